/* Which of two checkpoints is taken, whatever happened to them.
   RANKS 1 2 */
#include "train/restart.h"
#include "support/networks.h"
#include "train/checkpoint.h"

#include <unistd.h>

enum { LINEAR = 2 };

static const char *newest, *previous;

static void Write(const char *path, const char *kept)
{
  CordsArchitecture a = NetworkArchitecture(NETWORK_STEM, "relu");
  CordsTrainState state = {.stage = 0};
  CordsStageSettings s;
  CordsStage stage;
  CordsOptimizer optimizer;

  SupportCall(CordsStageSettingsDefault(LINEAR, &s));
  s.loss_steps = 4;
  SupportCall(CordsStageCreate(&support_context, LINEAR, &s, &a, 2, NULL, PETSC_FALSE, &stage));
  SupportCall(CordsStageOptimizer(stage, &optimizer));
  SupportCall(CordsCheckpointWrite(&support_context, path, kept, "linear", &state, stage, optimizer, 0, NULL));
  SupportCall(CordsOptimizerDestroy(&optimizer));
  SupportCall(CordsStageDestroy(&stage));
}

static void Cut(const char *path, off_t length)
{
  if (support_context.rank == 0) assert_int_equal(truncate(path, length), 0);
  MPI_Barrier(support_context.comm);
}

static void Remove(const char *path)
{
  if (support_context.rank == 0) unlink(path);
  MPI_Barrier(support_context.comm);
}

static const char *Find(void)
{
  const char *found;

  SupportCall(CordsRestartFind(&support_context, newest, previous, &found));
  return found;
}

static const char *Refused(void)
{
  const char *found;

  return SupportExpectUserError(CordsRestartFind(&support_context, newest, previous, &found));
}

static void TestFind(void **state)
{
  static char newest_path[PETSC_MAX_PATH_LEN], previous_path[PETSC_MAX_PATH_LEN];
  const char *sentence;

  snprintf(newest_path, sizeof newest_path, "%s", SupportPath("checkpoint.h5"));
  snprintf(previous_path, sizeof previous_path, "%s", SupportPath("checkpoint_prev.h5"));
  newest = newest_path;
  previous = previous_path;
  assert_null(Find());
  Write(newest, previous);
  assert_ptr_equal(Find(), newest);
  Cut(newest, 1000); /* and nothing before it */
  sentence = Refused();
  assert_non_null(strstr(sentence, newest));
  assert_non_null(strstr(sentence, "checkpoint_prev.h5' is not there"));
  Write(newest, NULL);
  Write(newest, previous); /* both are there now */
  assert_ptr_equal(Find(), newest);
  Cut(newest, 1000);
  assert_ptr_equal(Find(), previous);
  Remove(newest);
  assert_ptr_equal(Find(), previous);
  Cut(previous, 1000);
  assert_non_null(strstr(Refused(), "checkpoint.h5' is not there"));
}

static void TestStepBack(void **state)
{
  PetscBool back;

  Remove(newest);
  Remove(previous);
  Write(previous, NULL);
  SupportCall(CordsRestartStepBack(&support_context, newest, previous, &back));
  assert_true(back);
  assert_ptr_equal(Find(), newest);
  SupportCall(CordsRestartStepBack(&support_context, newest, previous, &back));
  assert_false(back);
  assert_ptr_equal(Find(), newest);
}

static const struct CMUnitTest tests[] = {cmocka_unit_test(TestFind), cmocka_unit_test(TestStepBack)};
SUPPORT_MAIN(tests)
