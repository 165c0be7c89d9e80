/* Statistics of times, counts of operations, and the order in which a case is warmed up and timed. */
#include "bench/benchmark.h"

#include "support/support.h"

#include <math.h>
#include <stdio.h>

static void Near(double a, double b)
{
  assert_true(fabs(a - b) <= 1e-12 * fabs(b));
}

static void TestStatistics(void **state)
{
  double odd[] = {5, 1, 2}, even[] = {4, 1, 3, 2}, one[] = {7}, median, spread;

  CordsBenchStatistics(3, odd, &median, &spread);
  Near(median, 2);
  Near(spread, 2); /* (5 - 1) / 2 */
  CordsBenchStatistics(4, even, &median, &spread);
  Near(median, 2.5);
  Near(spread, 1.2); /* (4 - 1) / 2.5 */
  CordsBenchStatistics(1, one, &median, &spread);
  Near(median, 7);
  assert_true(spread == 0);
}

/* Two operations for each weight and output neuron: of R8 3.16 GFLOP a step. */
static void TestOperationsOfR8(void **state)
{
  CordsArchitecture a;
  double expected = 0, out[] = {64, 64, 128, 128, 256, 256, 512, 512}, in[] = {0, 64, 64, 128, 128, 256, 256, 512};

  SupportCall(CordsArchitecturePreset("R8", 3, 1000, &a));
  for (int i = 0; i < 8; i++) {
    double side = 56 >> i / 2, skip = i >= 3 && i % 2 ? in[i - 1] : 0;
    expected += 2 * side * side * out[i] * (9 * out[i] + 9 * in[i] + skip);
  }
  Near(CordsBenchStepOperations(&a), expected);
  assert_true(fabs(CordsBenchStepOperations(&a) - 3.16e9) < 0.01e9);
}

typedef struct {
  int calls;
} Calls;

static PetscErrorCode Count(void *data)
{
  ((Calls *)data)->calls++;
  return PETSC_SUCCESS;
}

static void TestMeasure(void **state)
{
  CordsBenchData bench = {.context = &support_context, .repetitions = 4, .limits = {[CORDS_LIMIT_F32] = 1e9}};
  Calls calls = {0};

  bench.dry = PETSC_TRUE;
  SupportCall(CordsBenchMeasure(&bench, "test", "dry", CORDS_LIMIT_F32, 100, NULL, NULL));
  assert_int_equal(calls.calls, 0);
  bench.dry = PETSC_FALSE;
  for (int k = 0; k < 100; k++) { /* more than fit at first */
    SupportCall(CordsBenchMeasure(&bench, "test", "real", CORDS_LIMIT_F32, 100, Count, &calls));
  }
  assert_int_equal(calls.calls, 100 * (1 + bench.repetitions)); /* with the warm-up */
  assert_int_equal(bench.count, 101);
  assert_true(bench.measurements[0].median_s == 0);
  Near(bench.measurements[1].ratio, 100 / bench.measurements[1].median_s / 1e9);
  assert_true(bench.measurements[1].gemm_ratio == 0);
  SupportCall(PetscFree(bench.measurements));
}

static PetscErrorCode Fail(void *data)
{
  CordsUserError(PETSC_COMM_SELF, "this case fails");
}

static PetscErrorCode MeasureFailure(CordsBench bench)
{
  return CordsBenchMeasure(bench, "test", "fails", CORDS_LIMIT_NONE, 1, Fail, NULL);
}

/* An error of the work is not a time. */
static void TestFailure(void **state)
{
  CordsBenchData bench = {.context = &support_context, .repetitions = 4};

  assert_string_equal(SupportExpectUserError(MeasureFailure(&bench)), "this case fails");
  assert_int_equal(bench.count, 0);
}

static const struct CMUnitTest tests[] = {cmocka_unit_test(TestStatistics), cmocka_unit_test(TestOperationsOfR8),
                                          cmocka_unit_test(TestMeasure), cmocka_unit_test(TestFailure)};
SUPPORT_MAIN(tests)
