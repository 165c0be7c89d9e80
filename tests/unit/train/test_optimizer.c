/* SGD and AdamW against PyTorch's formulas in float64 over several steps; clipping; tensors that do not learn. */
#include "train/optimizer.h"
#include "support/networks.h"

enum { STEPS = 6 };

typedef struct {
  double *p, *first, *second;
  double norm;
} Truth;

/* torch.optim.SGD(momentum=0.9) */
static void TrueSgd(Truth *t, PetscInt k, double g, double rate, double decay, int step)
{
  g += decay * t->p[k];
  t->first[k] = step == 1 ? g : 0.9 * t->first[k] + g;
  t->p[k] -= rate * t->first[k];
}

/* torch.optim.AdamW */
static void TrueAdamW(Truth *t, PetscInt k, double g, double rate, double decay, int step)
{
  t->p[k] *= 1 - rate * decay;
  t->first[k] = 0.9 * t->first[k] + 0.1 * g;
  t->second[k] = 0.999 * t->second[k] + 0.001 * g * g;
  t->p[k] -= rate / (1 - pow(0.9, step)) * t->first[k] / (sqrt(t->second[k]) / sqrt(1 - pow(0.999, step)) + 1e-8);
}

static PetscBool Learns(const char *tensor)
{
  return (PetscBool)!strstr(tensor, "area_area");
}

/* size: of the gradients; with the clip at 1e-3 either nothing or everything is clipped. */
static void CheckSteps(CordsOptimizerKind kind, double size, double clip, double rate)
{
  CordsModel model = NetworkModel(NETWORK_STEM, "relu", CORDS_FORM_RECURRENT);
  PetscInt n = model->learnable_values;
  float *gradient = calloc((size_t)n, sizeof *gradient), *start = calloc((size_t)n, sizeof *start);
  Truth truth = {.p = calloc((size_t)n, 8), .first = calloc((size_t)n, 8), .second = calloc((size_t)n, 8)};
  const double decay = 0.01;
  double norm, moved = 0;
  CordsOptimizer optimizer;

  for (PetscInt k = 0; k < n; k++) truth.p[k] = (double)model->values[k];
  memcpy(start, model->values, (size_t)n * sizeof(float));
  SupportCall(CordsOptimizerCreate(model, kind, decay, clip, Learns, &optimizer));
  for (int step = 1; step <= STEPS; step++) {
    double factor, largest = 0;
    SupportFillF32((uint64_t)(step % 4), n, gradient);
    truth.norm = 0;
    for (PetscInt k = 0; k < n; k++) gradient[k] *= (float)size;
    for (PetscInt t = 0; t < model->learnable_count; t++) {
      PetscInt at = (PetscInt)(model->tensors[t].data - model->values);
      if (Learns(model->tensors[t].name)) {
        truth.norm += NetworkDot(CORDS_F32, (size_t)CordsTensorSize(&model->tensors[t]), gradient + at, gradient + at);
      }
    }
    truth.norm = sqrt(truth.norm);
    factor = clip > 0 ? fmin(1, clip / (truth.norm + 1e-6)) : 1;
    for (PetscInt t = 0; t < model->learnable_count; t++) {
      PetscInt at = (PetscInt)(model->tensors[t].data - model->values);
      for (PetscInt k = at; k < at + CordsTensorSize(&model->tensors[t]) && Learns(model->tensors[t].name); k++) {
        (kind == CORDS_OPTIMIZER_SGD ? TrueSgd : TrueAdamW)(&truth, k, factor * (double)gradient[k], rate, decay, step);
      }
    }
    SupportCall(CordsOptimizerStep(optimizer, rate, gradient, &norm));
    assert_true(fabs(norm - truth.norm) < 1e-12 * truth.norm);
    for (PetscInt k = 0; k < n; k++) largest = fmax(largest, fabs((double)model->values[k] - truth.p[k]));
    /* a value near 1 resolves 6e-8, and each step rounds it once or twice */
    if (!(largest < step * 1.2e-7)) print_error("step %d: differs by %g\n", step, largest);
    assert_true(largest < step * 1.2e-7);
  }
  for (PetscInt t = 0; t < model->learnable_count; t++) {
    PetscInt at = (PetscInt)(model->tensors[t].data - model->values), count = CordsTensorSize(&model->tensors[t]);
    if (!Learns(model->tensors[t].name)) {
      assert_memory_equal(model->values + at, start + at, (size_t)count * sizeof(float));
    }
    for (PetscInt k = at; k < at + count; k++) moved = fmax(moved, fabs((double)model->values[k] - (double)start[k]));
  }
  assert_true(moved > 1e-5); /* the test would not see a step that does nothing */
  free(gradient);
  free(start);
  free(truth.p);
  free(truth.first);
  free(truth.second);
  SupportCall(CordsOptimizerDestroy(&optimizer));
  SupportCall(CordsModelDestroy(&model));
}

static void TestSgd(void **state)
{
  CheckSteps(CORDS_OPTIMIZER_SGD, 1, 0, 0.01);
  CheckSteps(CORDS_OPTIMIZER_SGD, 1, 0.5, 0.1);
  CheckSteps(CORDS_OPTIMIZER_SGD, 1, 1e6, 0.01);
}

static void TestAdamW(void **state)
{
  CheckSteps(CORDS_OPTIMIZER_ADAMW, 1, 0, 1e-4);
  CheckSteps(CORDS_OPTIMIZER_ADAMW, 1, 0.5, 1e-4);
  /* the paper's clip: single gradients of about 1e-8, the size of ε, and below it */
  CheckSteps(CORDS_OPTIMIZER_ADAMW, 1, 1e-7, 1e-3);
  CheckSteps(CORDS_OPTIMIZER_ADAMW, 1e-9, 1e-4, 1e-3);
}

/* Clipping scales the gradient in place to the asked norm. */
static void TestClipInPlace(void **state)
{
  CordsModel model = NetworkModel(NETWORK_STEM, "relu", CORDS_FORM_RECURRENT);
  PetscInt n = model->learnable_values;
  float *gradient = calloc((size_t)n, sizeof *gradient);
  double norm, after = 0;
  CordsOptimizer optimizer;

  SupportFillF32(1, n, gradient);
  SupportCall(CordsOptimizerCreate(model, CORDS_OPTIMIZER_ADAMW, 0, 0.25, Learns, &optimizer));
  SupportCall(CordsOptimizerStep(optimizer, 1e-3, gradient, &norm));
  for (PetscInt t = 0; t < model->learnable_count; t++) {
    const float *g = gradient + (model->tensors[t].data - model->values);
    if (Learns(model->tensors[t].name))
      after += NetworkDot(CORDS_F32, (size_t)CordsTensorSize(&model->tensors[t]), g, g);
  }
  assert_true(norm > 1 && fabs(sqrt(after) - 0.25) < 1e-6);
  free(gradient);
  SupportCall(CordsOptimizerDestroy(&optimizer));
  SupportCall(CordsModelDestroy(&model));
}

/* After Reset the next step is like the first of a new optimiser. */
static void TestReset(void **state)
{
  for (int kind = 0; kind < CORDS_OPTIMIZER_COUNT; kind++) {
    CordsModel model = NetworkModel(NETWORK_STEM, "relu", CORDS_FORM_RECURRENT), other;
    PetscInt n = model->learnable_values;
    float *gradient = calloc((size_t)n, sizeof *gradient);
    double norm;
    CordsOptimizer used, fresh;

    SupportCall(CordsModelCreate(&model->architecture, model->form, &other));
    SupportCall(CordsOptimizerCreate(model, (CordsOptimizerKind)kind, 0.01, 0, Learns, &used));
    SupportCall(CordsOptimizerCreate(other, (CordsOptimizerKind)kind, 0.01, 0, Learns, &fresh));
    for (int step = 0; step < 3; step++) {
      SupportFillF32((uint64_t)step, n, gradient);
      SupportCall(CordsOptimizerStep(used, 0.01, gradient, &norm));
    }
    SupportCall(CordsModelCopyShared(model, other));
    SupportCall(CordsOptimizerReset(used));
    SupportCall(CordsOptimizerStep(used, 0.01, gradient, &norm));
    SupportCall(CordsOptimizerStep(fresh, 0.01, gradient, &norm));
    assert_memory_equal(model->values, other->values, (size_t)n * sizeof(float));
    free(gradient);
    SupportCall(CordsOptimizerDestroy(&used));
    SupportCall(CordsOptimizerDestroy(&fresh));
    SupportCall(CordsModelDestroy(&model));
    SupportCall(CordsModelDestroy(&other));
  }
}

static const struct CMUnitTest tests[] = {cmocka_unit_test(TestSgd), cmocka_unit_test(TestAdamW),
                                          cmocka_unit_test(TestClipInPlace), cmocka_unit_test(TestReset)};
SUPPORT_MAIN(tests)
