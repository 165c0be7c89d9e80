/* Cross-entropy of soft labels against its definition; derivative, accuracy, extremes; weights of time steps. */
#include "train/objective.h"
#include "support/networks.h"

enum { N = 3, CLASSES = 4, COUNT = N * CLASSES, TOTAL = 7 };

static void Labels(float labels[COUNT])
{
  memset(labels, 0, COUNT * sizeof labels[0]);
  labels[1] = 1;
  labels[CLASSES + 3] = 0.25F; /* mixed */
  labels[CLASSES + 0] = 0.75F;
  labels[2 * CLASSES + 2] = 1;
}

/* −Σ y log(exp x / Σ exp x), as written. */
static double Definition(const double *logits, const float *labels)
{
  double loss = 0;

  for (int i = 0; i < N; i++) {
    double sum = 0;
    for (int k = 0; k < CLASSES; k++) sum += exp(logits[i * CLASSES + k]);
    for (int k = 0; k < CLASSES; k++) {
      loss -= (double)labels[i * CLASSES + k] * log(exp(logits[i * CLASSES + k]) / sum) / TOTAL;
    }
  }
  return loss;
}

static void TestDefinition(void **state)
{
  double logits[COUNT], d[COUNT], loss = 5, accuracy = 2, loss32 = 0, accuracy32 = 0;
  float labels[COUNT], logits32[COUNT], d32[COUNT];

  SupportFillF64(1, COUNT, logits);
  Labels(labels);
  for (int k = 0; k < COUNT; k++) logits32[k] = (float)logits[k];
  CordsCrossEntropy(CORDS_F64, N, CLASSES, logits, labels, TOTAL, 0.3, &loss, &accuracy, d);
  CordsCrossEntropy(CORDS_F32, N, CLASSES, logits32, labels, TOTAL, 0.3, &loss32, &accuracy32, d32);
  assert_true(fabs(loss - 5 - Definition(logits, labels)) < 1e-14); /* adds; the weight is for the derivative only */
  assert_true(fabs(loss32 - Definition(logits, labels)) < 1e-6);
  for (int k = 0; k < COUNT; k++) {
    double saved = logits[k], high, low;
    logits[k] = saved + 1e-5;
    high = Definition(logits, labels);
    logits[k] = saved - 1e-5;
    low = Definition(logits, labels);
    logits[k] = saved;
    assert_true(fabs(d[k] - 0.3 * (high - low) / 2e-5) < 1e-10);
    assert_true(fabs((double)d32[k] - d[k]) < 1e-7);
  }
  loss32 = 0;
  CordsCrossEntropy(CORDS_F32, N, CLASSES, logits32, labels, TOTAL, 1, &loss32, &accuracy32, NULL);
  assert_true(fabs(loss32 - Definition(logits, labels)) < 1e-6);
}

/* The largest logit at the largest label. */
static void TestAccuracy(void **state)
{
  double logits[COUNT] = {0, 3, 1, 2, /**/ 5, 1, 1, 6, /**/ 0, 0, 1, 0}, loss = 0, accuracy = 1;
  float labels[COUNT];

  Labels(labels);
  CordsCrossEntropy(CORDS_F64, N, CLASSES, logits, labels, TOTAL, 1, &loss, &accuracy, NULL);
  assert_true(fabs(accuracy - 1 - 2.0 / TOTAL) < 1e-15); /* the second is guessed as its smaller label */
}

static void TestExtremes(void **state)
{
  double logits[CLASSES] = {1e4, -1e4, 0, 9999}, d[CLASSES], loss = 0, accuracy = 0;
  float labels[CLASSES] = {0, 1, 0, 0};

  CordsCrossEntropy(CORDS_F64, 1, CLASSES, logits, labels, 1, 1, &loss, &accuracy, d);
  assert_true(fabs(loss - 2e4 - log(1 + exp(-1))) < 1e-9);
  assert_true(fabs(d[1] + 1) < 1e-15 && fabs(d[0] - 1 / (1 + exp(-1))) < 1e-14 && accuracy == 0);
}

static void TestRamp(void **state)
{
  double weights[30];

  CordsRampWeights(30, weights);
  assert_true(fabs(weights[0] - 1e-3) < 1e-17 && fabs(weights[29] - 1) < 1e-15);
  for (int k = 1; k < 30; k++) assert_true(fabs(weights[k] / weights[k - 1] - pow(10, 3.0 / 29)) < 1e-13);
  CordsRampWeights(1, weights);
  assert_true(weights[0] == 1);
}

static const struct CMUnitTest tests[] = {cmocka_unit_test(TestDefinition), cmocka_unit_test(TestAccuracy),
                                          cmocka_unit_test(TestExtremes), cmocka_unit_test(TestRamp)};
SUPPORT_MAIN(tests)
