/* Processors over ranks: with every rank on all of them, and with each rank on one.  RANKS 1 2 */
#include "support/support.h"

#include "core/processors.h"

#include <sched.h>

static void TestShare(void **state)
{
  cpu_set_t before, one;
  PetscInt share;
  int first = 0;

  assert_int_equal(sched_getaffinity(0, sizeof before, &before), 0);
  SupportCall(CordsProcessorsShare(support_context.comm, &share));
  assert_int_equal(share, PetscMax(1, CPU_COUNT(&before) / support_context.size));
  while (!CPU_ISSET(first, &before)) first++;
  CPU_ZERO(&one);
  CPU_SET(first, &one);
  assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
  SupportCall(CordsProcessorsShare(support_context.comm, &share));
  assert_int_equal(share, 1);
  assert_int_equal(sched_setaffinity(0, sizeof before, &before), 0);
}

/* The ranks of a communicator only. */
static void TestAlone(void **state)
{
  PetscInt share;
  cpu_set_t own;

  assert_int_equal(sched_getaffinity(0, sizeof own, &own), 0);
  SupportCall(CordsProcessorsShare(PETSC_COMM_SELF, &share));
  assert_int_equal(share, CPU_COUNT(&own));
}

static const struct CMUnitTest tests[] = {cmocka_unit_test(TestShare), cmocka_unit_test(TestAlone)};

SUPPORT_MAIN(tests)
