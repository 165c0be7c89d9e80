/* Limits are positive, larger for float32 than for float64, and a folder that cannot be written to is no
   crash.  How large they are is the machine's business. */
#include "bench/benchmark.h"

#include "support/support.h"

#include <stdio.h>

static void TestLimits(void **state)
{
  CordsBenchData bench = {.context = &support_context};

  snprintf(bench.scratch, sizeof bench.scratch, "%s", SupportPath("."));
  SupportCall(CordsBenchLimits(&bench));
  for (int k = 1; k < CORDS_LIMIT_PEER; k++) assert_true(bench.limits[k] > 0);
  assert_true(bench.limits[CORDS_LIMIT_NONE] == 0 && bench.limits[CORDS_LIMIT_PEER] == 0);
  assert_true(bench.limits[CORDS_LIMIT_F32] > 1.2 * bench.limits[CORDS_LIMIT_F64]); /* twice as many in a register */
  assert_true(bench.gemm[CORDS_LIMIT_F32] > 0 && bench.gemm[CORDS_LIMIT_F64] > 0);
  assert_true(bench.gemm[CORDS_LIMIT_F64] < 1.2 * bench.limits[CORDS_LIMIT_F64]);
}

static void TestFolderThatIsNotThere(void **state)
{
  CordsBenchData bench = {.context = &support_context};

  snprintf(bench.scratch, sizeof bench.scratch, "%s", SupportPath("none/such"));
  SupportCall(CordsBenchLimits(&bench));
  assert_true(bench.limits[CORDS_LIMIT_FILE] == 0);
}

static const struct CMUnitTest tests[] = {cmocka_unit_test(TestLimits), cmocka_unit_test(TestFolderThatIsNotThere)};
SUPPORT_MAIN(tests)
