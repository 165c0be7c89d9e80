/* Requests to stop: kept from the first CordsStopCatch on, known on all ranks, forgotten at the end.
   RANKS 1 2 4 */
#include "train/stop.h"

#include "support/support.h"

#include <signal.h>

static volatile sig_atomic_t earlier;

static void Earlier(int number)
{
  earlier = number;
}

static PetscBool Asked(void)
{
  PetscBool asked;

  SupportCall(CordsStopAsked(&support_context, &asked));
  return asked;
}

static void TestBothSignals(void **state)
{
  static const int signals[] = {SIGTERM, SIGUSR1};

  for (int k = 0; k < 2; k++) {
    CordsStopCatch();
    assert_false(Asked());
    if (support_context.rank == support_context.size - 1) raise(signals[k]);
    assert_true(Asked());
    CordsStopCatch(); /* what came before stays */
    assert_true(Asked());
    CordsStopRelease();
    CordsStopCatch();
    assert_false(Asked());
    CordsStopRelease();
  }
}

static void TestWhatWasThereBefore(void **state)
{
  signal(SIGTERM, Earlier);
  CordsStopCatch();
  CordsStopCatch();
  raise(SIGTERM);
  assert_int_equal(earlier, 0);
  CordsStopRelease();
  raise(SIGTERM);
  assert_int_equal(earlier, SIGTERM);
  CordsStopRelease(); /* nothing left to do */
  assert_false(Asked());
  signal(SIGTERM, SIG_DFL);
}

static const struct CMUnitTest tests[] = {cmocka_unit_test(TestBothSignals), cmocka_unit_test(TestWhatWasThereBefore)};
SUPPORT_MAIN(tests)
