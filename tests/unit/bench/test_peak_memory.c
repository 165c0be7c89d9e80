/* The peak follows what is touched, and begins anew. */
#include "bench/peak_memory.h"

#include "support/support.h"

#include <stdlib.h>

enum { BYTES = 1 << 27 };

static void Touch(void)
{
  char *block = malloc(BYTES);

  assert_non_null(block);
  memset(block, 1, BYTES);
  __asm__ volatile("" : : "r"(block) : "memory"); /* the block is really written */
  free(block);
}

static void TestPeak(void **state)
{
  double before, high, after;

  CordsBenchMemoryReset();
  before = CordsBenchMemoryPeak();
  Touch();
  high = CordsBenchMemoryPeak();
  assert_true(before > 1e6);
  assert_true(high - before > 0.9 * BYTES && high - before < 1.2 * BYTES);
  CordsBenchMemoryReset();
  after = CordsBenchMemoryPeak();
  assert_true(high - after > 0.9 * BYTES);
}

static const struct CMUnitTest tests[] = {cmocka_unit_test(TestPeak)};
SUPPORT_MAIN(tests)
