/* A loss that grows is noticed once; the tensor and the images whose numbers are not finite are named.
   RANKS 1 2 4 */
#include "train/divergence.h"
#include "support/networks.h"

enum { TOTAL = 6, LINEAR = 2 };

static void TestLossWatch(void **state)
{
  CordsLossWatch watch = {.mean = 0};
  double mean;

  for (int k = 0; k < CORDS_LOSS_WATCH_FIRST; k++) assert_false(CordsLossWatchAdd(&watch, k % 2 ? 1 : 3, &mean));
  for (int k = 0; k < CORDS_LOSS_WATCH_IN_A_ROW - 1; k++) assert_false(CordsLossWatchAdd(&watch, 7, &mean));
  assert_false(CordsLossWatchAdd(&watch, 2, &mean)); /* not in a row */
  for (int k = 0; k < CORDS_LOSS_WATCH_IN_A_ROW - 1; k++) assert_false(CordsLossWatchAdd(&watch, 7, &mean));
  assert_true(CordsLossWatchAdd(&watch, 7, &mean));
  assert_true(fabs(mean - 2) < 1e-9);
  for (int k = 0; k < 100; k++) assert_false(CordsLossWatchAdd(&watch, 7, &mean)); /* once */
}

static CordsStage Make(PetscInt index)
{
  CordsArchitecture a = NetworkArchitecture(NETWORK_STEM, "relu");
  CordsStageSettings s;
  CordsStage stage;

  SupportCall(CordsStageSettingsDefault(index, &s));
  s.loss_steps = PetscMin(s.loss_steps, 4);
  SupportCall(CordsStageCreate(&support_context, index, &s, &a, TOTAL, NULL, PETSC_FALSE, &stage));
  NetworkFill(CordsStageModel(stage), 60);
  return stage;
}

/* From the loss backwards: the last of the bad ones, of those that learn. */
static void TestTensor(void **state)
{
  CordsStage stage = Make(LINEAR);
  CordsModel model = CordsStageModel(stage);
  float *values;

  assert_null(CordsDivergenceTensor(stage, model->values));
  for (PetscInt k = 0; k < model->learnable_count; k++) {
    const CordsTensor *tensor = &model->tensors[k];
    tensor->data[CordsTensorSize(tensor) - 1] = k % 2 ? NAN : INFINITY;
    if (CordsStageLearns(stage, tensor->name))
      assert_string_equal(CordsDivergenceTensor(stage, model->values), tensor->name);
  }
  SupportCall(PetscCalloc1(model->learnable_values, &values));
  assert_null(CordsDivergenceTensor(stage, values));
  SupportCall(PetscFree(values));
  SupportCall(CordsStageDestroy(&stage));
}

/* Running statistics and moments, too. */
static void TestState(void **state)
{
  CordsStage stage = Make(0);
  CordsModel model = CordsStageModel(stage);
  const CordsTensor *statistic = &model->tensors[model->tensor_count - 1];
  CordsOptimizer optimizer;
  const char *what;

  SupportCall(CordsStageOptimizer(stage, &optimizer));
  assert_null(CordsDivergenceState(stage, optimizer, &what));
  for (int k = 0; k < 2; k++) {
    optimizer->moments[k][0] = INFINITY;
    assert_string_equal(CordsDivergenceState(stage, optimizer, &what), model->tensors[0].name);
    assert_string_equal(what, "moments");
    optimizer->moments[k][0] = 0;
  }
  assert_true(model->tensor_count > model->learnable_count);
  statistic->data[0] = INFINITY;
  assert_string_equal(CordsDivergenceState(stage, optimizer, &what), statistic->name);
  assert_string_equal(what, "values");
  SupportCall(CordsOptimizerDestroy(&optimizer));
  SupportCall(CordsStageDestroy(&stage));
}

/* This rank's part of a batch of six; images whose bit is set are not finite. */
static void Images(PetscInt index, int bad, const char *expected)
{
  CordsStage stage = Make(index);
  CordsModel model = CordsStageModel(stage);
  PetscInt size = NetworkImageSize(model), rank = support_context.rank, ranks = support_context.size;
  float *images = NetworkImages(model, TOTAL, 5), *gradient, labels[TOTAL * NETWORK_CLASSES] = {0};
  CordsSample samples[TOTAL];
  CordsBatch batch = {.total = TOTAL, .start = rank * TOTAL / ranks};
  char text[256];

  batch.count = (rank + 1) * TOTAL / ranks - batch.start;
  for (PetscInt k = 0; k < TOTAL; k++) {
    samples[k] = 100 + k;
    labels[k * NETWORK_CLASSES + k % NETWORK_CLASSES] = 1;
    if (bad >> k & 1) images[k * size + size / 2] = INFINITY;
  }
  batch.images = images + batch.start * size;
  batch.labels = labels + batch.start * NETWORK_CLASSES;
  batch.samples = samples + batch.start;
  SupportCall(PetscMalloc1(model->learnable_values, &gradient));
  SupportCall(CordsDivergenceImages(&support_context, stage, &batch, gradient, sizeof text, text));
  assert_string_equal(text, expected);
  SupportCall(CordsDivergenceBatch(&support_context, &batch, sizeof text, text));
  assert_string_equal(text, "images 100, 101, 102, 103, 104, 105");
  SupportCall(PetscFree(gradient));
  SupportCall(PetscFree(images));
  SupportCall(CordsStageDestroy(&stage));
}

static void TestImages(void **state)
{
  for (PetscInt index = 0; index <= LINEAR; index += LINEAR) { /* with and without batch normalisation */
    Images(index, 0, "no image");
    Images(index, 1 << 4, "image 104");
    Images(index, 1 << 0 | 1 << 3 | 1 << 5, "images 100, 103, 105");
  }
}

static void TestManyImages(void **state)
{
  CordsSample samples[20];
  CordsBatch batch = {.total = 20, .count = support_context.rank == 0 ? 20 : 0, .samples = samples};
  char text[256];

  for (int k = 0; k < 20; k++) samples[k] = k;
  SupportCall(CordsDivergenceBatch(&support_context, &batch, sizeof text, text));
  assert_string_equal(text, "images 0, 1, 2, 3, 4, 5, 6, 7 and 12 more");
}

static const struct CMUnitTest tests[] = {cmocka_unit_test(TestLossWatch), cmocka_unit_test(TestTensor),
                                          cmocka_unit_test(TestState), cmocka_unit_test(TestImages),
                                          cmocka_unit_test(TestManyImages)};
SUPPORT_MAIN(tests)
