/* Batch normalisation: statistics over all ranks, PyTorch's running estimate, the backward pass. */
/* RANKS 1 2 4 */
#include "model/batch_norm.h"
#include "support/networks.h"

enum { ITEMS = 5, PIXELS = 6, CHANNELS = 3, COUNT = ITEMS * PIXELS * CHANNELS, ITEM = PIXELS * CHANNELS };

static const CordsBatchNormShape shape = {PIXELS, CHANNELS};

/* This rank's items of the five. */
static PetscInt Start(PetscMPIInt rank)
{
  return ITEMS * rank / support_context.size;
}

/* A large mean beside a small spread, where E x² − (E x)² would lose everything. */
static void Fill(double *x)
{
  SupportFillF64(1, COUNT, x);
  for (int k = 0; k < COUNT; k++) x[k] = k % CHANNELS == 1 ? 1e6 + 1e-2 * x[k] : x[k];
}

static void TestStatistics(void **state)
{
  PetscInt first = Start(support_context.rank), items = Start(support_context.rank + 1) - first;
  double x[COUNT], mean[CHANNELS], variance[CHANNELS], count;

  Fill(x);
  SupportCall(
      CordsBatchNormStatistics(&support_context, CORDS_F64, shape, items, x + first * ITEM, mean, variance, &count));
  assert_true(count == ITEMS * PIXELS);
  for (int c = 0; c < CHANNELS; c++) {
    long double sum = 0, square = 0;
    for (int k = c; k < COUNT; k += CHANNELS) sum += x[k];
    sum /= ITEMS * PIXELS;
    for (int k = c; k < COUNT; k += CHANNELS) square += (x[k] - sum) * (x[k] - sum);
    NetworkClose("mean", mean[c], (double)sum, fabs((double)sum) + 1, 1e-14);
    NetworkClose("variance", variance[c], (double)(square / (ITEMS * PIXELS)), variance[c], 1e-6);
  }
}

static void TestRunning(void **state)
{
  double mean[2] = {2, -1}, variance[2] = {3, 4};
  float running_mean[2] = {1, 1}, running_variance[2] = {1, 2};

  CordsBatchNormUpdateRunning(2, mean, variance, 10, running_mean, running_variance);
  NetworkClose("mean", (double)running_mean[0], 0.9 + 0.2, 1, 1e-7);
  NetworkClose("mean", (double)running_mean[1], 0.9 - 0.1, 1, 1e-7);
  NetworkClose("variance", (double)running_variance[0], 0.9 + 0.3 * 10 / 9, 1, 1e-7);
  NetworkClose("variance", (double)running_variance[1], 1.8 + 0.4 * 10 / 9, 1, 1e-7);
}

static const float weight[CHANNELS] = {0.7F, 1.2F, -0.4F}, bias[CHANNELS] = {0.1F, 0, -0.3F};

/* ⟨d, norm(x)⟩ with the statistics of x itself. */
static double Product(const double *x, const double *d)
{
  double mean[CHANNELS], variance[CHANNELS], count, y[COUNT];
  CordsContextData alone = support_context;

  alone.comm = PETSC_COMM_SELF;
  alone.rank = 0;
  alone.size = 1;
  alone.group_rank = 0;
  alone.group_size = 1;
  SupportCall(CordsBatchNormStatistics(&alone, CORDS_F64, shape, ITEMS, x, mean, variance, &count));
  CordsBatchNormApply(CORDS_F64, shape, ITEMS, x, mean, variance, weight, bias, PETSC_FALSE, y);
  return NetworkDot(CORDS_F64, COUNT, y, d);
}

static void TestApply(void **state)
{
  double x[2] = {3, 4}, mean = 1, variance = 4, y[2];
  const CordsBatchNormShape one = {2, 1};

  CordsBatchNormApply(CORDS_F64, one, 1, x, &mean, &variance, weight, bias, PETSC_FALSE, y);
  NetworkClose("y", y[0], (double)weight[0] * 2 / sqrt(4 + 1e-5) + (double)bias[0], 1, 1e-15);
  NetworkClose("y", y[1], (double)weight[0] * 3 / sqrt(4 + 1e-5) + (double)bias[0], 1, 1e-15);
}

/* Against central differences; the batch is split over the ranks. */
static void TestBackward(void **state)
{
  PetscInt first = Start(support_context.rank), items = Start(support_context.rank + 1) - first;
  double x[COUNT], d[COUNT], dx[COUNT], mean[CHANNELS], variance[CHANNELS], count;
  float dweight[CHANNELS] = {0}, dbias[CHANNELS] = {0};

  SupportFillF64(1, COUNT, x);
  SupportFillF64(2, COUNT, d);
  memcpy(dx, d, sizeof d); /* in place */
  SupportCall(
      CordsBatchNormStatistics(&support_context, CORDS_F64, shape, items, x + first * ITEM, mean, variance, &count));
  SupportCall(CordsBatchNormBackward(&support_context, CORDS_F64, shape, items, x + first * ITEM, mean, variance, count,
                                     weight, NULL, dx + first * ITEM, dx + first * ITEM, dweight, dbias));
  for (PetscInt k = first * ITEM; k < (first + items) * ITEM; k++) {
    double saved = x[k], high, low;
    x[k] = saved + 1e-5;
    high = Product(x, d);
    x[k] = saved - 1e-5;
    low = Product(x, d);
    x[k] = saved;
    NetworkClose("dx", dx[k], (high - low) / 2e-5, 1, 1e-8);
  }
  MPI_Allreduce(MPI_IN_PLACE, dweight, CHANNELS, MPI_FLOAT, MPI_SUM, support_context.comm);
  MPI_Allreduce(MPI_IN_PLACE, dbias, CHANNELS, MPI_FLOAT, MPI_SUM, support_context.comm);
  for (int c = 0; c < CHANNELS; c++) {
    double expected_weight = 0, expected_bias = 0;
    for (int k = c; k < COUNT; k += CHANNELS) {
      expected_weight += d[k] * (x[k] - mean[c]) / sqrt(variance[c] + 1e-5);
      expected_bias += d[k];
    }
    NetworkClose("dweight", (double)dweight[c], expected_weight, 10, 1e-6);
    NetworkClose("dbias", (double)dbias[c], expected_bias, 10, 1e-6);
  }
}

/* With relu: what is cut at zero, and the gradient with respect to it, in float32 and float64; as many channels as are
   summed together and a few more. */
static void TestRelu(void **state)
{
  enum { WIDE = 19, NUMBERS = ITEMS * PIXELS * WIDE };
  const CordsBatchNormShape wide = {PIXELS, WIDE};
  float weights[WIDE], biases[WIDE], changes[4][WIDE] = {0};

  SupportFillF32(5, WIDE, weights);
  SupportFillF32(6, WIDE, biases);
  for (CordsType type = CORDS_F32; type <= CORDS_F64; type++) {
    CordsArray x = NetworkRandom(type, NUMBERS, 1), d = NetworkRandom(type, NUMBERS, 2),
               y = NetworkRandom(type, NUMBERS, 3);
    CordsArray cut = NetworkRandom(type, NUMBERS, 3), open = NetworkRandom(type, NUMBERS, 2);
    double mean[WIDE], variance[WIDE], count;
    memset(changes, 0, sizeof changes);
    SupportCall(CordsBatchNormStatistics(&support_context, type, wide, ITEMS, x.data, mean, variance, &count));
    CordsBatchNormApply(type, wide, ITEMS, x.data, mean, variance, weights, biases, PETSC_FALSE, y.data);
    CordsBatchNormApply(type, wide, ITEMS, x.data, mean, variance, weights, biases, PETSC_TRUE, cut.data);
    for (PetscInt k = 0; k < NUMBERS; k++) {
      double value = NetworkGet(type, y.data, (size_t)k);
      assert_true(NetworkGet(type, cut.data, (size_t)k) == fmax(value, 0));
      if (!(value > 0)) NetworkSet(type, open.data, (size_t)k, 0);
    }
    SupportCall(CordsBatchNormBackward(&support_context, type, wide, ITEMS, x.data, mean, variance, count, weights,
                                       NULL, open.data, open.data, changes[0], changes[1]));
    SupportCall(CordsBatchNormBackward(&support_context, type, wide, ITEMS, x.data, mean, variance, count, weights,
                                       cut.data, d.data, d.data, changes[2], changes[3]));
    for (PetscInt k = 0; k < NUMBERS; k++) {
      assert_true(NetworkGet(type, d.data, (size_t)k) == NetworkGet(type, open.data, (size_t)k));
    }
    assert_memory_equal(changes[0], changes[2], 2 * sizeof changes[0]);
    SupportCall(CordsArrayDestroy(&x));
    SupportCall(CordsArrayDestroy(&d));
    SupportCall(CordsArrayDestroy(&y));
    SupportCall(CordsArrayDestroy(&cut));
    SupportCall(CordsArrayDestroy(&open));
  }
}

static const struct CMUnitTest tests[] = {cmocka_unit_test(TestStatistics), cmocka_unit_test(TestRunning),
                                          cmocka_unit_test(TestApply), cmocka_unit_test(TestBackward),
                                          cmocka_unit_test(TestRelu)};
SUPPORT_MAIN(tests)
