/* Evaluation: every image once on any number of ranks, against single Euler steps in float64. */
/* RANKS 1 2 4 */
#include "train/evaluate.h"
#include "core/reduce.h"
#include "data/loader.h"
#include "model/system.h"
#include "support/runs.h"

#include "train/objective.h"

static const CordsRolloutSettings settings = {.type = CORDS_F32};
static const CordsLoading loading = {.threads = 2, .prefetch = 2};

static CordsModel Model(CordsForm form)
{
  CordsArchitecture a = RunArchitecture();
  CordsModel model;

  SupportCall(CordsModelCreate(&a, form, &model));
  NetworkFill(model, 1);
  return model;
}

/* Logits after each stimulus step of one image, by the whole right-hand side. */
static void Steps(CordsModel model, const float *image, double *logits)
{
  const CordsArchitecture *a = &model->architecture;
  PetscInt neurons = CordsArchitectureNeurons(a), last = a->area_count - 1;
  double *r = calloc(2 * (size_t)neurons, sizeof *r), *f = r + neurons, features[8];
  CordsSystem system;
  CordsInput input;

  SupportCall(CordsSystemCreate(model, CORDS_F64, &system));
  SupportCall(CordsInputCreate(system, 1, &input));
  SupportCall(CordsInputSet(input, image));
  for (PetscInt t = -a->spontaneous_steps; t < a->stimulus_steps; t++) {
    SupportCall(CordsSystemRhs(system, t < 0 ? NULL : input, r, f));
    for (PetscInt k = 0; k < neurons; k++) r[k] += (double)CordsArchitectureAlpha(a, 0) * f[k]; /* τ is the same */
    if (t < 0) continue;
    SupportCall(CordsSystemFeatures(system, 1, CordsSystemArea(system, 1, r, last),
                                    CordsSystemArea(system, 1, r, last - 1), features));
    SupportCall(CordsSystemLogits(system, 1, features, logits + t * a->classes));
  }
  free(r);
  SupportCall(CordsInputDestroy(&input));
  SupportCall(CordsSystemDestroy(&system));
}

static void TestRecurrent(void **state)
{
  CordsModel model = Model(CORDS_FORM_RECURRENT);
  CordsDataset dataset = RunDataset(&support_context, CORDS_SPLIT_TEST);
  const CordsArchitecture *a = &model->architecture;
  double loss[16] = {0}, accuracy[16] = {0}, logits[16 * 10];
  PetscInt label;
  float image[128], labels[10];
  CordsEvaluation e;

  SupportCall(CordsEvaluate(&support_context, model, &settings, &loading, dataset, 0, &e));
  assert_int_equal(e.steps, a->stimulus_steps);
  assert_int_equal(e.images, IDX_IMAGES);
  for (PetscInt k = 0; k < IDX_IMAGES; k++) {
    SupportCall(CordsLoaderImage(dataset, k, a->image_rows, a->image_columns, image, &label));
    Steps(model, image, logits);
    memset(labels, 0, sizeof labels);
    labels[label] = 1;
    for (PetscInt t = 0; t < e.steps; t++) {
      CordsCrossEntropy(CORDS_F64, 1, 10, logits + t * 10, labels, IDX_IMAGES, 1, &loss[t], &accuracy[t], NULL);
    }
    if (k >= e.start && k < e.start + e.count) {
      const double *end = logits + (e.steps - 1) * 10;
      assert_int_equal(e.label[k - e.start], SupportIdxLabel((int)k));
      for (int c = 0; c < 10; c++) assert_true(end[c] <= end[e.predicted[k - e.start]]);
    }
  }
  SupportCompareF64("loss", e.steps, e.loss, loss, 1e-5);
  for (PetscInt t = 0; t < e.steps; t++) assert_true(fabs(e.accuracy[t] - accuracy[t]) < 1e-12);
  SupportCall(CordsEvaluationDestroy(&e));
  SupportCall(CordsDatasetDestroy(&dataset));
  SupportCall(CordsModelDestroy(&model));
}

/* The parts of the ranks are one after the other and cover what was asked for; accuracy is that of the predictions. */
static void CheckParts(CordsForm form, PetscInt64 images)
{
  CordsModel model = Model(form);
  CordsDataset dataset = RunDataset(&support_context, CORDS_SPLIT_TEST);
  double numbers[2] = {0, 0};
  PetscInt64 start = 0;
  CordsEvaluation e;

  SupportCall(CordsEvaluate(&support_context, model, &settings, &loading, dataset, images, &e));
  assert_int_equal(e.images, images);
  for (PetscInt64 k = 0; k < e.count; k++) numbers[0] += e.predicted[k] == e.label[k];
  numbers[1] = (double)e.count;
  MPI_Exscan(&e.count, &start, 1, MPI_INT64_T, MPI_SUM, support_context.comm);
  assert_int_equal(e.start, support_context.rank ? start : 0);
  SupportCall(CordsReduceSumF64(&support_context, 2, numbers));
  assert_true(numbers[1] == (double)images);
  assert_true(fabs(e.accuracy[e.steps - 1] - numbers[0] / (double)images) < 1e-12);
  SupportCall(CordsEvaluationDestroy(&e));
  SupportCall(CordsDatasetDestroy(&dataset));
  SupportCall(CordsModelDestroy(&model));
}

static void TestParts(void **state)
{
  for (PetscInt64 images = 1; images <= IDX_IMAGES; images += 2) {
    CheckParts(CORDS_FORM_RECURRENT, images);
    CheckParts(CORDS_FORM_FOLDED, images);
    CheckParts(CORDS_FORM_BATCHNORM, images);
  }
}

static PetscErrorCode TooMany(CordsModel model, CordsDataset dataset)
{
  CordsEvaluation e;

  return CordsEvaluate(&support_context, model, &settings, &loading, dataset, IDX_IMAGES + 1, &e);
}

static void TestTooMany(void **state)
{
  CordsModel model = Model(CORDS_FORM_RECURRENT);
  CordsDataset dataset = RunDataset(&support_context, CORDS_SPLIT_TEST);

  assert_non_null(strstr(SupportExpectUserError(TooMany(model, dataset)), "only 7"));
  SupportCall(CordsDatasetDestroy(&dataset));
  SupportCall(CordsModelDestroy(&model));
}

static void TestBatch(void **state)
{
  CordsArchitecture a;

  SupportCall(CordsArchitecturePreset("R8", 3, 1000, &a));
  assert_true(CordsEvaluateBatch(&a) >= 1 && CordsEvaluateBatch(&a) <= 32);
  a = RunArchitecture();
  assert_int_equal(CordsEvaluateBatch(&a), 256);
}

static const struct CMUnitTest tests[] = {cmocka_unit_test(TestRecurrent), cmocka_unit_test(TestParts),
                                          cmocka_unit_test(TestTooMany), cmocka_unit_test(TestBatch)};
SUPPORT_MAIN(tests)
