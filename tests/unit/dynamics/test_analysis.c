/* The table of analyses and what they share.  The analyses themselves: tests/tables/test_analyses.c. */
#include "dynamics/analysis.h"
#include "support/tiny.h"

static void Table(void **state)
{
  const char *const *names, *const *abouts;
  const CordsAnalysisType *type;
  PetscInt count;

  SupportCall(CordsAnalysisList(&count, &names, &abouts));
  assert_true(count >= 2);
  for (PetscInt k = 0; k < count; k++) {
    SupportCall(CordsAnalysisFind(names[k], &type));
    assert_string_equal(type->name, names[k]);
    assert_non_null(type->configure);
    assert_non_null(type->run);
    assert_true(strlen(abouts[k]) > 10);
  }
  assert_non_null(strstr(SupportExpectUserError(CordsAnalysisFind("stabilty", &type)), "did you mean 'stability'"));
}

static void Rounds(void **state)
{
  CordsContextData context = {.size = 8, .group_size = 4}; /* two ranks to an image */

  assert_int_equal(CordsAnalysisRoundCount(&context, 0), 0);
  assert_int_equal(CordsAnalysisRoundCount(&context, 4), 1);
  assert_int_equal(CordsAnalysisRoundCount(&context, 5), 2);
}

/* A network of stage 1 has no dynamics. */
static void Form(void **state)
{
  CordsModel model = TinyModel("relu", 1), folded, loaded;
  const char *sentence;
  CordsH5 file;

  SupportCall(CordsModelCreate(&model->architecture, CORDS_FORM_FOLDED, &folded));
  SupportCall(CordsH5Create(&support_context, SupportPath("folded.h5"), &file));
  SupportCall(CordsModelWrite(folded, file, "parameters"));
  SupportCall(CordsH5Commit(&file));
  sentence = SupportExpectUserError(CordsAnalysisLoadModel(&support_context, SupportPath("folded.h5"), &loaded));
  assert_non_null(strstr(sentence, "no dynamics"));
  SupportCall(CordsModelDestroy(&folded));
  SupportCall(CordsModelDestroy(&model));
}

static const struct CMUnitTest tests[] = {cmocka_unit_test(Table), cmocka_unit_test(Rounds), cmocka_unit_test(Form)};
SUPPORT_MAIN(tests)
