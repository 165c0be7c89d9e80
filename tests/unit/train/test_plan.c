/* Plans: what is kept for which memory, and that a rollout takes what its plan says. */
#include "train/plan.h"

#include "support/networks.h"
#include "train/rollout.h"

static const char body[] = "  image_rows: 64\n  image_columns: 64\n  stem_kernel: 0\n  pool_kernel: 0\n"
                           "  channels: [16, 16, 16]\n  strides: [1, 1, 1]\n";

static CordsSystem System(CordsModel *model)
{
  CordsSystem system;

  *model = NetworkModel(body, "relu", CORDS_FORM_RECURRENT);
  SupportCall(CordsSystemCreate(*model, CORDS_F32, &system));
  return system;
}

static void End(CordsSystem system, CordsModel model)
{
  SupportCall(CordsSystemDestroy(&system));
  SupportCall(CordsModelDestroy(&model));
}

static const CordsPlanTask task = {.batch = 8, .spontaneous = 50, .steps = 200, .record = PETSC_TRUE};

static void TestFast(void **state)
{
  CordsModel model;
  CordsSystem system = System(&model);
  CordsPlan plan = CordsPlanFast(system, &task);

  assert_true(plan.images >= 1 && plan.images <= task.batch);
  assert_true(plan.block >= 1 && plan.block <= task.steps);
  assert_int_equal(plan.kept, task.steps);
  End(system, model);
}

/* Less memory, more work, never above the limit; without a limit nothing is done twice. */
static void TestLimits(void **state)
{
  CordsModel model;
  CordsSystem system = System(&model);
  CordsPlanCost free_of_limit, cost;
  double before = 1;

  SupportCall(CordsPlanMake(system, &task, 0, 0, &free_of_limit));
  assert_true(free_of_limit.recomputation == 1);
  for (double share = 1; share > 0.2; share -= 0.1) {
    double limit = free_of_limit.other_bytes + share * free_of_limit.rollout_bytes + 1e6;
    SupportCall(CordsPlanMake(system, &task, limit, 0, &cost));
    assert_true(cost.other_bytes + cost.rollout_bytes <= limit);
    assert_true(cost.recomputation >= before);
    before = cost.recomputation;
  }
  assert_true(before > 1.1 && before < 1.4);
  End(system, model);
}

static PetscErrorCode TooSmall(CordsSystem system)
{
  CordsPlanCost cost;

  return CordsPlanMake(system, &task, 1e6, 0, &cost);
}

static void TestTooSmall(void **state)
{
  CordsModel model;
  CordsSystem system = System(&model);
  const char *said = SupportExpectUserError(TooSmall(system));

  assert_non_null(strstr(said, "-memory_limit 1MB"));
  assert_non_null(strstr(said, "it needs at least"));
  End(system, model);
}

static PetscErrorCode PartsTooSmall(void)
{
  CordsPartsCost cost;

  return CordsPlanParts(8, 10e6, 1e6, 50e6, 1e6, 0, &cost);
}

/* Parts of a batch: as many images as are enough, equal parts, fewer under a limit, a sentence where one is too many.
 */
static void TestParts(void **state)
{
  CordsPartsCost cost;
  char *text;

  SupportCall(CordsPlanParts(32, 2e6, 1e6, 50e6, 0, 0, &cost));
  assert_true(cost.images == 32 && cost.batch == 32 && cost.limit_bytes == 0);
  SupportCall(CordsPlanParts(33, 2e6, 1e6, 33e6, 0, 0, &cost));
  assert_int_equal(cost.images, 17);
  assert_true(cost.part_bytes == 18e6);
  SupportCall(CordsPlanParts(8, 100e6, 90e6, 50e6, 0, 0, &cost));
  assert_int_equal(cost.images, 1);
  SupportCall(CordsPlanParts(8, 100e6, 50e6, 1e9, cost.other_bytes + 230e6, 0, &cost));
  assert_int_equal(cost.images, 3);
  assert_true(cost.other_bytes + cost.part_bytes <= cost.limit_bytes);
  SupportCall(CordsPlanDescribeParts(&cost, &text));
  assert_non_null(strstr(text, "memory: 3 of 8 images at a time"));
  assert_non_null(strstr(text, "(200 MB for states and solvers)"));
  assert_non_null(strstr(text, "MB allowed"));
  SupportCall(PetscFree(text));
  assert_non_null(strstr(SupportExpectUserError(PartsTooSmall()), "-memory_limit 1MB: too small"));
}

/* The rollout of a plan grows the process by what the plan says; all its memory is touched when it is made. */
static void TestMeasured(void **state)
{
  CordsModel model;
  CordsSystem system = System(&model);
  CordsPlan plan = {.images = 8, .block = 10, .kept = 30};
  CordsRollout rollout;
  CordsPlanCost cost;
  double before, grown;

  SupportCall(CordsPlanMake(system, &task, 0, 0, &cost));
  plan = cost.plan;
  before = CordsResidentBytes();
  SupportCall(CordsRolloutCreate(system, "fused", &plan, task.steps, PETSC_TRUE, &rollout));
  grown = CordsResidentBytes() - before;
  assert_true(CordsResidentPeakBytes() > 0.9 * CordsResidentBytes());
  assert_true(grown > 0.85 * cost.rollout_bytes && grown < 1.05 * cost.rollout_bytes);
  SupportCall(CordsRolloutDestroy(&rollout));
  End(system, model);
}

static void TestDescribe(void **state)
{
  CordsPlanCost cost = {
      .plan = {2, 10, 40}, .rollout_bytes = 3e8, .other_bytes = 1e8, .limit_bytes = 5e8, .recomputation = 1.25};
  char *text;

  SupportCall(CordsPlanDescribe(&task, &cost, &text));
  assert_non_null(strstr(text, "2 of 8 images"));
  assert_non_null(strstr(text, "400 MB of 500 MB allowed"));
  assert_non_null(strstr(text, "1.25 times"));
  SupportCall(PetscFree(text));
}

static const struct CMUnitTest tests[] = {cmocka_unit_test(TestFast),     cmocka_unit_test(TestLimits),
                                          cmocka_unit_test(TestTooSmall), cmocka_unit_test(TestParts),
                                          cmocka_unit_test(TestMeasured), cmocka_unit_test(TestDescribe)};
SUPPORT_MAIN(tests)
