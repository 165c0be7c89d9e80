/* The CNN of stage 1: gradients, batches split over ranks, running statistics, float32 against float64. */
/* RANKS 1 2 4 */
#include "model/cnn.h"
#include "core/reduce.h"
#include "reference/formula.c"
#include "support/networks.h"

#include "train/objective.h"

enum { BATCH = 5 };

/* This rank alone. */
static CordsContextData Alone(void)
{
  CordsContextData alone = support_context;

  alone.comm = PETSC_COMM_SELF;
  alone.rank = 0;
  alone.size = 1;
  alone.group_rank = 0;
  alone.group_size = 1;
  return alone;
}

typedef struct {
  CordsContextData context;
  CordsCnn cnn;
  float *images;
  double c[BATCH * NETWORK_CLASSES], logits[BATCH * NETWORK_CLASSES];
} Run;

static double Loss(void *context, CordsModel model)
{
  Run *run = context;

  (void)model;
  SupportCall(CordsCnnUpdate(run->cnn));
  SupportCall(CordsCnnForward(run->cnn, BATCH, run->images, PETSC_TRUE, run->logits));
  return NetworkDot(CORDS_F64, BATCH * NETWORK_CLASSES, run->c, run->logits);
}

static void TestGradient(void **state)
{
  for (int k = 0; k < NETWORK_COUNT; k++) {
    CordsModel model = NetworkModel(network_texts[k], "relu", CORDS_FORM_BATCHNORM);
    float *gradient = calloc((size_t)model->learnable_values, sizeof *gradient);
    Run run = {.context = Alone()};
    SupportCall(CordsCnnCreate(&run.context, model, CORDS_F64, BATCH + 1, &run.cnn));
    run.images = NetworkImages(model, BATCH, 3);
    SupportFillF64(4, BATCH * NETWORK_CLASSES, run.c);
    Loss(&run, model);
    SupportCall(CordsCnnBackward(run.cnn, run.c, gradient));
    NetworkCheckGradient(model, gradient, Loss, &run, 1e-5, 1e-5);
    free(gradient);
    SupportCall(PetscFree(run.images));
    SupportCall(CordsCnnDestroy(&run.cnn));
    SupportCall(CordsModelDestroy(&model));
  }
}

/* A batch split over the ranks (some with no image) gives the logits, the gradient and the running statistics of the
   whole batch on one rank. */
static void TestSplit(void **state)
{
  enum { WHOLE = 3 };
  PetscInt start = WHOLE * support_context.rank / support_context.size;
  PetscInt count = WHOLE * (support_context.rank + 1) / support_context.size - start;

  for (int k = 0; k < NETWORK_COUNT; k++) {
    CordsModel whole = NetworkModel(network_texts[k], "relu", CORDS_FORM_BATCHNORM);
    CordsModel part = NetworkModel(network_texts[k], "relu", CORDS_FORM_BATCHNORM);
    CordsContextData alone = Alone();
    float *images = NetworkImages(whole, WHOLE, 3);
    float *gradients = calloc(2 * (size_t)whole->learnable_values, sizeof *gradients);
    float *gradient = gradients + whole->learnable_values;
    double c[WHOLE * NETWORK_CLASSES], logits[2][WHOLE * NETWORK_CLASSES];
    CordsCnn cnn;
    SupportFillF64(4, WHOLE * NETWORK_CLASSES, c);
    SupportCall(CordsCnnCreate(&alone, whole, CORDS_F64, WHOLE, &cnn));
    SupportCall(CordsCnnForward(cnn, WHOLE, images, PETSC_TRUE, logits[0]));
    SupportCall(CordsCnnBackward(cnn, c, gradients));
    SupportCall(CordsCnnDestroy(&cnn));
    SupportCall(CordsCnnCreate(&support_context, part, CORDS_F64, WHOLE, &cnn));
    SupportCall(CordsCnnForward(cnn, count, images + start * NetworkImageSize(part), PETSC_TRUE, logits[1]));
    SupportCall(CordsCnnBackward(cnn, c + start * NETWORK_CLASSES, gradient));
    SupportCall(CordsCnnDestroy(&cnn));
    SupportCall(CordsReduceSumF32(&support_context, part->learnable_values, gradient));
    SupportCompareF64("logits of the part", count * NETWORK_CLASSES, logits[1], logits[0] + start * NETWORK_CLASSES,
                      1e-12);
    SupportCompareF32("sum of gradients", part->learnable_values, gradient, gradients, 1e-6);
    SupportCompareF32("running statistics", part->value_count, part->values, whole->values, 1e-7);
    free(gradients);
    SupportCall(PetscFree(images));
    SupportCall(CordsModelDestroy(&whole));
    SupportCall(CordsModelDestroy(&part));
  }
}

/* PyTorch's rule: running = 0.9 running + 0.1 batch, the variance unbiased; evaluation uses them and changes nothing.
 */
static void TestRunning(void **state)
{
  CordsModel model = NetworkModel(NETWORK_BARE, "relu", CORDS_FORM_BATCHNORM), before, folded;
  CordsContextData alone = Alone();
  const CordsAreaShape *area = &model->architecture.areas[0];
  PetscInt pixels = area->rows * area->columns;
  float *images = NetworkImages(model, BATCH, 3), *values, logits[2][BATCH * NETWORK_CLASSES];
  const float *drive;
  CordsCnn cnn;

  SupportCall(CordsModelCreate(&model->architecture, model->form, &before));
  SupportCall(CordsModelCopyShared(model, before));
  SupportCall(CordsCnnCreate(&alone, model, CORDS_F32, BATCH, &cnn));
  SupportCall(CordsCnnForward(cnn, BATCH, images, PETSC_TRUE, logits[0]));
  SupportCall(CordsCnnTarget(cnn, 0, (const void **)&drive, (const void **)&folded));
  for (PetscInt c = 0; c < area->channels; c++) {
    double mean = 0, variance = 0;
    for (PetscInt k = 0; k < BATCH * pixels; k++) mean += (double)drive[k * area->channels + c] / (BATCH * pixels);
    for (PetscInt k = 0; k < BATCH * pixels; k++) {
      variance += pow((double)drive[k * area->channels + c] - mean, 2) / (BATCH * pixels - 1);
    }
    values = CordsModelValues(before, "area_norm.0.running_mean");
    NetworkClose("running mean", (double)CordsModelValues(model, "area_norm.0.running_mean")[c],
                 0.9 * (double)values[c] + 0.1 * mean, 1, 1e-6);
    values = CordsModelValues(before, "area_norm.0.running_var");
    NetworkClose("running variance", (double)CordsModelValues(model, "area_norm.0.running_var")[c],
                 0.9 * (double)values[c] + 0.1 * variance, 1, 1e-6);
  }
  SupportCall(CordsModelCopyShared(model, before));
  SupportCall(CordsCnnForward(cnn, BATCH, images, PETSC_FALSE, logits[0]));
  assert_memory_equal(before->values, model->values, (size_t)model->value_count * sizeof(float));
  /* in evaluation an image's logits do not depend on its neighbours */
  SupportCall(CordsCnnForward(cnn, 1, images + NetworkImageSize(model), PETSC_FALSE, logits[1]));
  SupportCompareF32("logits alone", NETWORK_CLASSES, logits[1], logits[0] + NETWORK_CLASSES, 1e-6);
  SupportCall(PetscFree(images));
  SupportCall(CordsCnnDestroy(&cnn));
  SupportCall(CordsModelDestroy(&model));
  SupportCall(CordsModelDestroy(&before));
}

/* Gradient of the reference case (R2, Fashion-MNIST's shape, seed 10, two images) in one type. */
static void ReferenceGradient(CordsType type, CordsModel model, const float *images, const float *labels,
                              float *gradient)
{
  CordsContextData alone = Alone();
  CordsArray logits = NetworkRandom(type, 2 * 10, 0), dlogits = NetworkRandom(type, 2 * 10, 0);
  double loss = 0, accuracy = 0;
  CordsCnn cnn;

  SupportCall(CordsCnnCreate(&alone, model, type, 2, &cnn));
  SupportCall(CordsCnnForward(cnn, 2, images, PETSC_TRUE, logits.data));
  CordsCrossEntropy(type, 2, 10, logits.data, labels, 2, 1, &loss, &accuracy, dlogits.data);
  SupportCall(CordsCnnBackward(cnn, dlogits.data, gradient));
  SupportCall(CordsCnnDestroy(&cnn));
  SupportCall(CordsArrayDestroy(&logits));
  SupportCall(CordsArrayDestroy(&dlogits));
}

/* The bias whose gradient is almost nothing (tests/reference/README.md): float32 against float64. */
static void TestReferenceBias(void **state)
{
  CordsArchitecture a;
  CordsModel model;
  float *images, labels[20], *gradients;
  double largest = 0, whole = 0;
  PetscInt at, n;

  if (support_context.size > 1) skip(); /* large; once is enough */
  SupportCall(CordsArchitecturePreset("R2", 1, 10, &a));
  SupportCall(CordsModelCreate(&a, CORDS_FORM_BATCHNORM, &model));
  FormulaFillModel(model, 10);
  SupportCall(PetscMalloc1(2 * a.image_rows * a.image_columns, &images));
  FormulaImages(&a, 10, 0, 2, images);
  FormulaLabels(&a, 10, 0, 2, labels);
  gradients = calloc(2 * (size_t)model->learnable_values, sizeof *gradients);
  ReferenceGradient(CORDS_F32, model, images, labels, gradients);
  ReferenceGradient(CORDS_F64, model, images, labels, gradients + model->learnable_values);
  at = (PetscInt)(CordsModelValues(model, "area_norm.1.bias") - model->values);
  n = CordsTensorSize(&model->tensors[CordsModelFind(model, "area_norm.1.bias")]);
  for (PetscInt k = 0; k < n; k++) {
    largest = fmax(largest, fabs((double)gradients[at + k] - (double)gradients[model->learnable_values + at + k]));
  }
  for (PetscInt k = 0; k < model->learnable_values; k++) whole += pow((double)gradients[k], 2);
  print_message("area_norm.1.bias: float32 and float64 differ by %g, whole gradient %g\n", largest, sqrt(whole));
  assert_true(whole > 0 && largest < 1e-8);
  SupportCompareF32("whole gradient", model->learnable_values, gradients, gradients + model->learnable_values, 1e-5);
  free(gradients);
  SupportCall(PetscFree(images));
  SupportCall(CordsModelDestroy(&model));
}

static const struct CMUnitTest tests[] = {cmocka_unit_test(TestGradient), cmocka_unit_test(TestSplit),
                                          cmocka_unit_test(TestRunning), cmocka_unit_test(TestReferenceBias)};
SUPPORT_MAIN(tests)
