/* Plans: what is kept for which memory, and that a rollout takes what its plan says. */
#include "train/plan.h"

#include "conv/choice.h"
#include "support/networks.h"
#include "train/rollout.h"

#include <math.h>
#include <omp.h>
#include <stdio.h>

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

/* Images that wait for their turn take memory, too: those of a batch and a neighbour, as often as there are slots. */
static void TestLoading(void **state)
{
  const CordsLoading ahead = {.threads = 1, .prefetch = 3}, none = {.threads = 0, .prefetch = 3};
  CordsModel model;
  CordsSystem system = System(&model);
  const CordsArchitecture *a = &model->architecture;
  double image = sizeof(float) * (double)a->image_rows * a->image_columns * a->image_channels;

  assert_true(fabs(CordsPlanLearningBytes(system, &ahead, 8, 4) - CordsPlanLearningBytes(system, &none, 8, 4) -
                   2 * 9 * image) < 1);
  assert_true(fabs(CordsPlanLearningBytes(system, &none, 16, 4) - CordsPlanLearningBytes(system, &none, 8, 4) -
                   2 * 8 * image) < 1);
  End(system, model);
}

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
    double limit = free_of_limit.other_bytes + share * free_of_limit.states_bytes + 1e6;
    SupportCall(CordsPlanMake(system, &task, limit, 0, &cost));
    assert_true(cost.other_bytes + cost.states_bytes <= limit);
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

static PetscErrorCode PartsTooSmall(CordsSystem system)
{
  CordsPlanCost cost;

  return CordsPlanParts(system, 8, 10e6, 1e6, 50e6, 1e6, 0, &cost);
}

/* Parts of a batch: as many images as are enough, equal parts, fewer under a limit, a sentence where one is too many.
 */
static void TestParts(void **state)
{
  CordsModel model;
  CordsSystem system = System(&model);
  CordsPlanCost cost;
  char *text;

  SupportCall(CordsPlanParts(system, 32, 2e6, 1e6, 50e6, 0, 0, &cost));
  assert_true(cost.plan.images == 32 && cost.batch == 32 && cost.limit_bytes == 0);
  SupportCall(CordsPlanParts(system, 33, 2e6, 1e6, 33e6, 0, 0, &cost));
  assert_int_equal(cost.plan.images, 17);
  assert_true(cost.states_bytes == 18e6);
  SupportCall(CordsPlanParts(system, 8, 100e6, 90e6, 50e6, 0, 0, &cost));
  assert_int_equal(cost.plan.images, 1);
  SupportCall(CordsPlanParts(system, 8, 100e6, 50e6, 1e9, cost.other_bytes + 230e6, 0, &cost));
  assert_int_equal(cost.plan.images, 3);
  assert_true(cost.other_bytes + cost.states_bytes <= cost.limit_bytes);
  SupportCall(CordsPlanDescribe(&cost, &text));
  assert_non_null(strstr(text, "memory: 3 of 8 images at a time"));
  assert_non_null(strstr(text, "(200 MB for states and solvers)"));
  assert_non_null(strstr(text, "MB allowed"));
  assert_null(strstr(text, "slower"));
  SupportCall(PetscFree(text));
  assert_non_null(strstr(SupportExpectUserError(PartsTooSmall(system)), "-memory_limit 1MB: too small"));
  End(system, model);
}

/* The kernels' part of the cost, when the trials said so: all convolutions of this network have the same shape. */
static double KernelCost(CordsSystem system, PetscInt batch, PetscInt spontaneous, PetscBool record, const char *lines)
{
  const CordsPlanTask asked = {.batch = batch, .spontaneous = spontaneous, .steps = 100, .record = record};
  char text[2048] = "";
  CordsPlanCost cost;

  for (char line[64]; *lines; lines += strcspn(lines, "\n") + 1) {
    double ahead;
    assert_int_equal(sscanf(lines, "%63[a-z_ ]%lf", line, &ahead), 2);
    snprintf(
        text + strlen(text), sizeof text - strlen(text),
        "f32 %sthreads %d in 64x64x16 out 64x64x16 kernel 3x3 stride 1 padding 1,1,1,1 backend direct ahead %.2f\n",
        line, omp_get_max_threads(), ahead);
  }
  CordsConvChoiceClear();
  SupportCall(CordsConvChoiceSetText(&support_context, "a test", text));
  SupportCall(CordsPlanMake(system, &asked, 0, 0, &cost));
  CordsConvChoiceClear();
  return cost.kernels;
}

/* Three areas: a step has three recurrent convolutions, for one image at a time, and two between areas; and the same
   twice on the way back. */
static void TestKernels(void **state)
{
  const char *all = "forward few 0.50\nforward many 0.50\nbackward_data few 0.50\nbackward_data many 0.50\n"
                    "backward_weights many 0.50\n";
  CordsModel model;
  CordsSystem system = System(&model);

  assert_true(KernelCost(system, 1, 0, PETSC_TRUE, "") == 1);
  assert_true(fabs(KernelCost(system, 1, 50, PETSC_TRUE, all) - 2) < 1e-12);
  assert_true(KernelCost(system, 1, 50, PETSC_TRUE, "forward few 1.50\nforward many 0.97\n") == 1);
  assert_true(fabs(KernelCost(system, 1, 0, PETSC_TRUE, "forward few 0.50\n") - 15 / 13.5) < 1e-12);
  assert_true(fabs(KernelCost(system, 1, 0, PETSC_TRUE, "backward_weights many 0.50\n") - 15 / 12.5) < 1e-12);
  assert_true(fabs(KernelCost(system, 3, 0, PETSC_TRUE, "forward many 0.50\n") - 15 / 12.5) < 1e-12);
  assert_true(fabs(KernelCost(system, 1, 0, PETSC_FALSE, "forward many 0.50\n") - 5 / 4.0) < 1e-12);
  /* 50 steps of one image more, forwards only */
  assert_true(fabs(KernelCost(system, 1, 50, PETSC_TRUE, "forward many 0.50\n") - 17.5 / 16) < 1e-12);
  End(system, model);
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
  assert_true(grown > 0.85 * cost.states_bytes && grown < 1.05 * cost.states_bytes);
  SupportCall(CordsRolloutDestroy(&rollout));
  End(system, model);
}

static void TestDescribe(void **state)
{
  CordsPlanCost cost = {.plan = {2, 10, 40},
                        .batch = 8,
                        .steps = 200,
                        .states_bytes = 3e8,
                        .other_bytes = 1e8,
                        .limit_bytes = 5e8,
                        .recomputation = 1.25,
                        .kernels = 1.2};
  char *text;

  SupportCall(CordsPlanDescribe(&cost, &text));
  assert_string_equal(text,
                      "memory: 2 of 8 images at a time, blocks of 10 steps, states of 40 of 200 steps kept: 400 MB "
                      "of 500 MB allowed (300 MB for states), slower by 1.50 for lack of memory (1.25 for states "
                      "computed again, 1.20 for kernels that take little of it)");
  SupportCall(PetscFree(text));
  cost.recomputation = 1;
  SupportCall(CordsPlanDescribe(&cost, &text));
  assert_non_null(strstr(text, ", slower by 1.20 for lack of memory (1.20 for kernels that take little of it)"));
  SupportCall(PetscFree(text));
  cost.kernels = 1;
  SupportCall(CordsPlanDescribe(&cost, &text));
  assert_null(strstr(text, "slower"));
  SupportCall(PetscFree(text));
}

static const struct CMUnitTest tests[] = {cmocka_unit_test(TestLoading),  cmocka_unit_test(TestFast),
                                          cmocka_unit_test(TestLimits),   cmocka_unit_test(TestTooSmall),
                                          cmocka_unit_test(TestParts),    cmocka_unit_test(TestKernels),
                                          cmocka_unit_test(TestMeasured), cmocka_unit_test(TestDescribe)};
SUPPORT_MAIN(tests)
