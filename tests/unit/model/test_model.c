/* Parameters: names and shapes, initialisation, copies, and files. */
/* RANKS 1 2 */
#include "model/model.h"
#include "support/networks.h"

static CordsModel Create(const char *body, CordsForm form)
{
  CordsArchitecture a = NetworkArchitecture(body, "relu");
  CordsModel model;

  SupportCall(CordsModelCreate(&a, form, &model));
  return model;
}

/* One block: tensors one after the other, those that learn first. */
static void TestBlock(void **state)
{
  for (int form = 0; form < CORDS_FORM_COUNT; form++) {
    CordsModel model = Create(NETWORK_STEM, (CordsForm)form);
    float *at = model->values;
    for (PetscInt k = 0; k < model->tensor_count; k++) {
      PetscBool running = (PetscBool)(strstr(model->tensors[k].name, "running") != NULL);
      assert_ptr_equal(model->tensors[k].data, at);
      assert_int_equal(running, k >= model->learnable_count);
      assert_int_equal(CordsModelFind(model, model->tensors[k].name), k);
      at += CordsTensorSize(&model->tensors[k]);
    }
    assert_int_equal(at - model->values, model->value_count);
    assert_ptr_equal(model->values + model->learnable_values,
                     form == CORDS_FORM_BATCHNORM ? model->tensors[model->learnable_count].data : at);
    assert_int_equal(CordsModelFind(model, "no such tensor"), -1);
    assert_null(CordsModelValues(model, "no such tensor"));
    SupportCall(CordsModelDestroy(&model));
  }
}

static void CheckShape(CordsModel model, const char *name, PetscInt dimensions, const PetscInt sizes[])
{
  PetscInt k = CordsModelFind(model, name);

  if (k < 0) print_error("%s is missing\n", name);
  assert_true(k >= 0);
  assert_int_equal(model->tensors[k].dimensions, dimensions);
  for (PetscInt d = 0; d < dimensions; d++) assert_int_equal(model->tensors[k].sizes[d], sizes[d]);
}

/* The state-dict of the original (SPEC section 1). */
static void TestNames(void **state)
{
  CordsModel model = Create(NETWORK_STEM, CORDS_FORM_RECURRENT);

  CheckShape(model, "inp_conv.parametrizations.weight.original1", 4, (PetscInt[]){3, 2, 3, 3});
  CheckShape(model, "inp_skip.parametrizations.weight.original0", 4, (PetscInt[]){3, 1, 1, 1});
  CheckShape(model, "area_area.1.parametrizations.weight.original1", 4, (PetscInt[]){4, 3, 3, 3});
  CheckShape(model, "area_conv.2.parametrizations.weight.original1", 4, (PetscInt[]){4, 4, 3, 3});
  CheckShape(model, "skip_area.0.parametrizations.weight.original1", 4, (PetscInt[]){4, 3, 1, 1});
  CheckShape(model, "conv_bias.0", 3, (PetscInt[]){3, 6, 5});
  CheckShape(model, "out_fc.parametrizations.weight.original0", 2, (PetscInt[]){5, 1});
  CheckShape(model, "out_fc.parametrizations.weight.original1", 2, (PetscInt[]){5, 4});
  CheckShape(model, "out_fc.bias", 1, (PetscInt[]){5});
  assert_int_equal(CordsModelFind(model, "area_bias.0"), -1);
  SupportCall(CordsModelDestroy(&model));
  model = Create(NETWORK_STEM, CORDS_FORM_BATCHNORM);
  CheckShape(model, "inp_norm.running_var", 1, (PetscInt[]){3});
  CheckShape(model, "area_nrm2.2.weight", 1, (PetscInt[]){4});
  CheckShape(model, "skip_norm.0.bias", 1, (PetscInt[]){4});
  assert_int_equal(CordsModelFind(model, "conv_bias.0"), -1);
  SupportCall(CordsModelDestroy(&model));
  model = Create(NETWORK_STEM, CORDS_FORM_FOLDED);
  CheckShape(model, "area_bias.1", 3, (PetscInt[]){4, 3, 3});
  SupportCall(CordsModelDestroy(&model));
}

/* g = |v|, bounds 1/√fan_in and of that size, the same values for the same seed and name in any network. */
static void TestInitialise(void **state)
{
  CordsModel model = Create(NETWORK_STEM, CORDS_FORM_RECURRENT), other = Create(NETWORK_STEM, CORDS_FORM_BATCHNORM);
  CordsTensor *g, *v;

  NetworkFill(model, 1);
  SupportCall(CordsModelInitialise(model, 5));
  SupportCall(CordsModelInitialise(other, 5));
  for (PetscInt k = 0; k < model->architecture.connection_count; k++) {
    const CordsConvShape *s = &model->architecture.connections[k].shape;
    PetscInt row = s->in_channels * s->kernel_rows * s->kernel_columns;
    double bound = 1 / sqrt((double)row), largest = 0;
    g = &model->tensors[CordsModelConnectionTensor(model, k)];
    v = g + 1;
    for (PetscInt o = 0; o < s->out_channels; o++) {
      double norm = sqrt(NetworkDot(CORDS_F32, (size_t)row, v->data + o * row, v->data + o * row));
      assert_true(fabs(norm - (double)g->data[o]) < 1e-6 * norm);
    }
    for (PetscInt j = 0; j < CordsTensorSize(v); j++) largest = fmax(largest, fabs((double)v->data[j]));
    assert_true(largest <= bound * (1 + 1e-6) && largest > 0.7 * bound);
    assert_memory_equal(v->data, CordsModelValues(other, v->name), (size_t)CordsTensorSize(v) * sizeof(float));
  }
  for (PetscInt j = 0; j < 30; j++) assert_true(CordsModelValues(model, "conv_bias.0")[j] == 0);
  assert_true(CordsModelValues(other, "area_norm.0.weight")[1] == 1);
  assert_true(CordsModelValues(other, "area_nrm2.1.running_var")[2] == 1);
  assert_true(CordsModelValues(other, "area_nrm2.1.running_mean")[2] == 0);
  assert_true(CordsModelValues(model, "out_fc.bias")[0] != 0);
  SupportCall(CordsModelInitialise(other, 6));
  v = &model->tensors[1];
  assert_memory_not_equal(v->data, CordsModelValues(other, v->name), (size_t)CordsTensorSize(v) * sizeof(float));
  SupportCall(CordsModelDestroy(&model));
  SupportCall(CordsModelDestroy(&other));
}

static void TestCopyShared(void **state)
{
  CordsModel from = NetworkModel(NETWORK_STEM, "relu", CORDS_FORM_BATCHNORM);
  CordsModel to = Create(NETWORK_STEM, CORDS_FORM_RECURRENT);

  NetworkFill(to, 70);
  SupportCall(CordsModelCopyShared(from, to));
  for (PetscInt k = 0; k < to->tensor_count; k++) {
    const float *values = CordsModelValues(from, to->tensors[k].name);
    assert_int_equal(values == NULL, strstr(to->tensors[k].name, "conv_bias") != NULL);
    if (values) assert_memory_equal(values, to->tensors[k].data, (size_t)CordsTensorSize(&to->tensors[k]) * 4);
  }
  SupportCall(CordsModelDestroy(&from));
  SupportCall(CordsModelDestroy(&to));
}

static void Write(CordsModel model, const char *path)
{
  CordsH5 file;

  SupportCall(CordsH5Create(&support_context, path, &file));
  SupportCall(CordsModelWrite(model, file, "parameters"));
  SupportCall(CordsH5Commit(&file));
}

static void TestFile(void **state)
{
  const char *path = SupportPath("model.h5");

  for (int form = 0; form < CORDS_FORM_COUNT; form++) {
    CordsModel model = NetworkModel(NETWORK_BARE, "tanh", (CordsForm)form), back;
    Write(model, path);
    SupportCall(CordsModelLoad(&support_context, path, &back));
    assert_int_equal(back->form, form);
    assert_int_equal(back->value_count, model->value_count);
    assert_memory_equal(back->values, model->values, (size_t)model->value_count * sizeof(float));
    assert_int_equal(back->architecture.phi, CORDS_PHI_TANH);
    SupportCall(CordsModelDestroy(&model));
    SupportCall(CordsModelDestroy(&back));
  }
}

static PetscErrorCode Read(CordsModel model, CordsH5 file)
{
  return CordsModelRead(model, file, "parameters");
}

static void TestWrongFile(void **state)
{
  const char *path = SupportPath("wrong.h5");
  CordsModel model = NetworkModel(NETWORK_BARE, "tanh", CORDS_FORM_FOLDED);
  CordsModel other = NetworkModel(NETWORK_STEM, "tanh", CORDS_FORM_FOLDED);
  CordsModel form = NetworkModel(NETWORK_BARE, "tanh", CORDS_FORM_RECURRENT), loaded;
  CordsH5 file;

  Write(model, path);
  SupportCall(CordsH5Open(&support_context, path, &file));
  assert_non_null(strstr(SupportExpectUserError(Read(other, file)), path));
  assert_non_null(strstr(SupportExpectUserError(Read(form, file)), "another architecture"));
  SupportCall(Read(model, file));
  SupportCall(CordsH5Close(&file));
  model->values[3] = NAN;
  Write(model, path);
  assert_non_null(strstr(SupportExpectUserError(CordsModelLoad(&support_context, path, &loaded)), path));
  SupportCall(CordsH5Create(&support_context, path, &file));
  SupportCall(CordsH5WriteInt(file, "train", "epoch", 1));
  SupportCall(CordsH5Commit(&file));
  assert_non_null(strstr(SupportExpectUserError(CordsModelLoad(&support_context, path, &loaded)), "holds no network"));
  SupportCall(CordsModelDestroy(&model));
  SupportCall(CordsModelDestroy(&other));
  SupportCall(CordsModelDestroy(&form));
}

static const struct CMUnitTest tests[] = {cmocka_unit_test(TestBlock),      cmocka_unit_test(TestNames),
                                          cmocka_unit_test(TestInitialise), cmocka_unit_test(TestCopyShared),
                                          cmocka_unit_test(TestFile),       cmocka_unit_test(TestWrongFile)};
SUPPORT_MAIN(tests)
