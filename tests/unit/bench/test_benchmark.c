/* Statistics of times, counts of operations, and the order in which a case is warmed up and timed.
   RANKS 1 2 */
#include "bench/benchmark.h"

#include "support/support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

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
  usleep(100);
  return PETSC_SUCCESS;
}

static void TestMeasure(void **state)
{
  CordsBenchData bench = {.context = &support_context, .repetitions = 4, .limits = {[CORDS_LIMIT_F32] = 1e9}};
  CordsMeasurement m = {.benchmark = "test", .what = "dry", .limit = CORDS_LIMIT_F32, .amount = 100};
  Calls calls = {0};

  bench.dry = PETSC_TRUE;
  SupportCall(CordsBenchMeasure(&bench, &m, NULL, NULL));
  assert_int_equal(calls.calls, 0);
  bench.dry = PETSC_FALSE;
  SupportCall(CordsBenchMeasure(&bench, &m, Count, &calls));
  assert_int_equal((calls.calls - 1) % bench.repetitions, 0); /* with the warm-up */
  calls.calls = 0;
  SupportCall(
      CordsBenchTime(&bench, 2, 0.0045, &m, Count, &calls)); /* short work: 4 calls are a repetition of 0.02 s */
  assert_int_equal(calls.calls, 8);
  assert_true(bench.measurements[0].median_s == 0);
  Near(bench.measurements[1].ratio, 100 / bench.measurements[1].median_s / 1e9);
  assert_true(bench.measurements[1].gemm_ratio == 0);
  for (int k = 0; k < 100; k++) SupportCall(CordsBenchAdd(&bench, &m)); /* more than fit at first */
  assert_int_equal(bench.count, 102);
  assert_true(bench.measurements[101].median_s == m.median_s);
  SupportCall(PetscFree(bench.measurements));
}

static PetscErrorCode Fail(void *data)
{
  CordsUserError(PETSC_COMM_SELF, "this case fails");
}

static PetscErrorCode MeasureFailure(CordsBench bench)
{
  CordsMeasurement m = {.benchmark = "test", .what = "fails", .amount = 1};

  return CordsBenchMeasure(bench, &m, Fail, NULL);
}

static PetscErrorCode SleepOnLast(void *data)
{
  if (support_context.rank == support_context.size - 1) usleep(20000);
  return PETSC_SUCCESS;
}

/* What counts is the slowest rank, whoever asks. */
static void TestTimeOfSlowestRank(void **state)
{
  CordsBenchData bench = {.context = &support_context};
  CordsMeasurement m = {.amount = 1};

  SupportCall(CordsBenchTime(&bench, 2, 1, &m, SleepOnLast, NULL));
  assert_true(m.best_s >= 0.02 && m.median_s >= m.best_s);
}

/* Sleeping takes no time of the processor. */
static void TestProcessorTime(void **state)
{
  CordsBenchData bench = {.context = &support_context, .processor_time = PETSC_TRUE};
  double asleep_s, awake_s;

  SupportCall(CordsBenchOnce(&bench, 1, SleepOnLast, NULL, &asleep_s));
  bench.processor_time = PETSC_FALSE;
  SupportCall(CordsBenchOnce(&bench, 1, SleepOnLast, NULL, &awake_s));
  assert_true(asleep_s < 0.01 && awake_s >= 0.02);
}

static PetscErrorCode Share(PetscInt images)
{
  CordsBenchData bench = {.context = &support_context};

  return CordsBenchShare(&bench, images);
}

static void TestShare(void **state)
{
  SupportCall(Share(support_context.size));
  assert_non_null(strstr(SupportExpectUserError(Share(support_context.size - 1)), "cannot be dealt to"));
}

/* What the processor does not multiply is left out, with a word. */
static void TestCan(void **state)
{
  CordsBenchData bench = {.context = &support_context};
  PetscBool can;

  SupportCall(CordsBenchCan(&bench, "test", CORDS_F64, &can));
  assert_true(can);
  setenv("CORDS_TEST_NO_BF16", "1", 1);
  SupportCall(CordsBenchCan(&bench, "test", CORDS_BF16, &can));
  assert_false(can);
  unsetenv("CORDS_TEST_NO_BF16");
}

/* An error of the work is not a time. */
static void TestFailure(void **state)
{
  CordsBenchData bench = {.context = &support_context, .repetitions = 4};

  assert_string_equal(SupportExpectUserError(MeasureFailure(&bench)), "this case fails");
  assert_int_equal(bench.count, 0);
}

static const struct CMUnitTest tests[] = {cmocka_unit_test(TestStatistics),
                                          cmocka_unit_test(TestOperationsOfR8),
                                          cmocka_unit_test(TestMeasure),
                                          cmocka_unit_test(TestFailure),
                                          cmocka_unit_test(TestTimeOfSlowestRank),
                                          cmocka_unit_test(TestProcessorTime),
                                          cmocka_unit_test(TestShare),
                                          cmocka_unit_test(TestCan)};
SUPPORT_MAIN(tests)
