/* When the time is up: by the worst of the last updates and checkpoints, the same on all ranks.
   RANKS 1 2 */
#include "train/time_limit.h"

#include "support/support.h"

static void TestNeed(void **state)
{
  CordsTimeLimit limit = {.limit_s = 100};

  assert_true(CordsTimeLimitNeed(&limit, PETSC_FALSE) == 1);
  CordsTimeLimitAddUpdate(&limit, 2);
  CordsTimeLimitAddUpdate(&limit, 30);
  CordsTimeLimitAddUpdate(&limit, 4);
  CordsTimeLimitAddSave(&limit, 6);
  CordsTimeLimitAddSave(&limit, 5);
  assert_true(CordsTimeLimitWorstUpdate(&limit) == 30);
  assert_true(CordsTimeLimitWorstSave(&limit) == 6);
  assert_true(CordsTimeLimitNeed(&limit, PETSC_FALSE) == 1.5 * 36 + 1);
  limit.stage_s = 10;
  assert_true(CordsTimeLimitNeed(&limit, PETSC_FALSE) == 1.5 * 36 + 1);
  assert_true(CordsTimeLimitNeed(&limit, PETSC_TRUE) == 1.5 * (36 + 10 + 12) + 1);
  /* what is long ago does not count */
  for (int k = 0; k < CORDS_TIME_LIMIT_UPDATES - 2; k++) CordsTimeLimitAddUpdate(&limit, 1);
  assert_true(CordsTimeLimitWorstUpdate(&limit) == 30);
  CordsTimeLimitAddUpdate(&limit, 1);
  assert_true(CordsTimeLimitWorstUpdate(&limit) == 4);
  for (int k = 0; k < CORDS_TIME_LIMIT_SAVES; k++) CordsTimeLimitAddSave(&limit, 3);
  assert_true(CordsTimeLimitWorstSave(&limit) == 3);
}

static PetscBool Reached(CordsTimeLimit limit)
{
  PetscBool reached;

  if (support_context.rank > 0) limit.updates_s[0] = 0; /* rank 0 decides */
  SupportCall(CordsTimeLimitReached(&support_context, &limit, PETSC_FALSE, &reached));
  return reached;
}

static void TestReached(void **state)
{
  CordsTimeLimit limit = {.limit_s = 0};

  CordsTimeLimitAddUpdate(&limit, 40);
  CordsTimeLimitAddSave(&limit, 20);
  CordsTimeLimitStart();
  assert_true(CordsTimeLimitElapsed() < 5);
  assert_false(Reached(limit)); /* there is none */
  limit.limit_s = 1.5 * 60 + 1 + 30;
  assert_false(Reached(limit));
  limit.limit_s = 1.5 * 60 + 1;
  assert_true(Reached(limit));
}

static const struct CMUnitTest tests[] = {cmocka_unit_test(TestNeed), cmocka_unit_test(TestReached)};
SUPPORT_MAIN(tests)
