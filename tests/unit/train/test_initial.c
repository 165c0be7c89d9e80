/* A run starts from a file, if it holds the right network. */
#include "train/initial.h"

#include "support/networks.h"

static const char *Write(CordsModel model)
{
  const char *path = SupportPath("initial.h5");
  CordsH5 file;

  SupportCall(CordsH5Create(&support_context, path, &file));
  SupportCall(CordsModelWrite(model, file, "parameters"));
  SupportCall(CordsH5Commit(&file));
  return path;
}

static void Read(void **state)
{
  CordsModel model = NetworkModel(NETWORK_STEM, "relu", CORDS_FORM_BATCHNORM), back;

  SupportCall(CordsInitialRead(&support_context, Write(model), &model->architecture, CORDS_FORM_BATCHNORM, &back));
  assert_int_equal(back->form, CORDS_FORM_BATCHNORM);
  assert_memory_equal(back->values, model->values, (size_t)model->value_count * sizeof(float));
  SupportCall(CordsModelDestroy(&back));
  SupportCall(CordsInitialRead(&support_context, "", &model->architecture, CORDS_FORM_BATCHNORM, &back));
  assert_null(back);
  SupportCall(CordsModelDestroy(&model));
}

static void Refused(void **state)
{
  CordsModel model = NetworkModel(NETWORK_STEM, "relu", CORDS_FORM_RECURRENT), back;
  CordsArchitecture other = NetworkArchitecture(NETWORK_BARE, "relu");
  const char *path = Write(model);

  assert_non_null(strstr(SupportExpectUserError(CordsInitialRead(&support_context, path, &model->architecture,
                                                                 CORDS_FORM_BATCHNORM, &back)),
                         "of recurrent form, but the first stage trains one of batchnorm form"));
  assert_non_null(
      strstr(SupportExpectUserError(CordsInitialRead(&support_context, path, &other, CORDS_FORM_RECURRENT, &back)),
             "another architecture"));
  assert_non_null(strstr(SupportExpectUserError(CordsInitialRead(&support_context, SupportPath("none.h5"), &other,
                                                                 CORDS_FORM_RECURRENT, &back)),
                         "none.h5"));
  SupportCall(CordsModelDestroy(&model));
}

static const struct CMUnitTest tests[] = {cmocka_unit_test(Read), cmocka_unit_test(Refused)};
SUPPORT_MAIN(tests)
