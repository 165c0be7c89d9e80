/* Shared work memory: kept while it is large enough, aligned, freed by the last holder. */
#include "conv/scratch.h"
#include "support/support.h"

static void TestScratch(void **state)
{
  void *first, *second, *larger;

  CordsScratchHold();
  CordsScratchHold();
  SupportCall(CordsScratchGet(1000, &first));
  assert_int_equal((uintptr_t)first % 64, 0);
  memset(first, 7, 1000);
  SupportCall(CordsScratchGet(500, &second));
  assert_ptr_equal(first, second);
  SupportCall(CordsScratchGet(1 << 20, &larger));
  memset(larger, 1, 1 << 20);
  CordsScratchRelease();
  SupportCall(CordsScratchGet(1 << 20, &second));
  assert_ptr_equal(larger, second); /* one still holds it */
  CordsScratchRelease();
  CordsScratchHold();
  SupportCall(CordsScratchGet(64, &first));
  assert_non_null(first);
  CordsScratchRelease();
}

static const struct CMUnitTest tests[] = {cmocka_unit_test(TestScratch)};
SUPPORT_MAIN(tests)
