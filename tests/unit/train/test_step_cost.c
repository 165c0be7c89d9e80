/* The time of an update by the model of a machine: each of its terms alone, and what does not fit. */
#include "train/step_cost.h"

#include "support/networks.h"

enum { FINETUNE = 4, COMPATIBILITY = 0 };

static CordsStageSettings settings;

/* 4 ranks on a node; nothing takes time but arithmetic, 1 GFLOP/s. */
static const CordsMachine free_machine = {.ranks_per_node = 4,
                                          .memory_bytes = 1e12,
                                          .network = {0, 1e30},
                                          .node = {0, 1e30},
                                          .rates = {[CORDS_F32] = 1e9, [CORDS_BF16] = 2e9}};

static CordsStepTask Task(PetscInt stage, CordsForm form)
{
  SupportCall(CordsStageSettingsDefault(stage, &settings));
  settings.loss_steps = PetscMin(settings.loss_steps, 3);
  return (CordsStepTask){.model = NetworkModel(NETWORK_STEM, "relu", form),
                         .stage = stage,
                         .settings = &settings,
                         .batch = 8,
                         .process_bytes = 1e8};
}

static CordsStepCost Cost(const CordsStepTask *task, const CordsMachine *machine, PetscInt size, PetscInt rows,
                          PetscInt columns)
{
  CordsStepCost cost;

  SupportCall(CordsStepCostOf(task, machine, size, rows, columns, &cost));
  return cost;
}

static void TestArithmetic(void **state)
{
  CordsStepTask task = Task(FINETUNE, CORDS_FORM_RECURRENT);
  CordsStepCost one = Cost(&task, &free_machine, 1, 1, 1), two = Cost(&task, &free_machine, 2, 1, 1), cut;

  assert_true(one.fits && one.operations > 0 && one.message_s == 0 && one.all.messages == 0);
  NetworkClose("time", one.time_s, one.operations / 1e9, one.time_s, 1e-12);
  NetworkClose("efficiency", one.efficiency, 1, 1, 1e-12);
  assert_int_equal(two.groups, 2);
  /* the spontaneous phase is on both */
  assert_true(two.efficiency < 1 && two.efficiency > 0.9);
  NetworkClose("efficiency", two.efficiency, one.time_s / (2 * two.time_s), 1, 1e-12);
  cut = Cost(&task, &free_machine, 2, 2, 1); /* 6 + 6, 3 + 3 rows for the largest areas, and an odd one */
  assert_true(cut.efficiency <= 1 && cut.operations > 0.5 * one.operations && cut.operations < 0.7 * one.operations);
  settings.rollout.type = CORDS_BF16;
  assert_true(Cost(&task, &free_machine, 1, 1, 1).time_s < 0.6 * one.time_s);
  SupportCall(CordsModelDestroy(&task.model));
}

/* Latency and bandwidth, within a node and between nodes. */
static void TestMessages(void **state)
{
  CordsStepTask task = Task(FINETUNE, CORDS_FORM_RECURRENT);
  CordsMachine machine = free_machine;
  CordsStepCost cost;
  double alone_s;

  machine.node.latency_s = 1;
  cost = Cost(&task, &machine, 2, 2, 1);
  assert_true(cost.most.messages > 0);
  NetworkClose("latency", cost.message_s, (double)cost.most.messages, cost.message_s, 1e-12);
  machine = free_machine;
  machine.node.bandwidth = 1;
  cost = Cost(&task, &machine, 2, 2, 1);
  NetworkClose("bandwidth", cost.message_s, (double)cost.most.bytes, cost.message_s, 1e-9);
  machine.ranks_per_node = 1; /* and now nothing stays on a node */
  assert_true(Cost(&task, &machine, 2, 2, 1).message_s < 1e-9);
  machine = free_machine;
  machine.network.bandwidth = 1;
  assert_true(Cost(&task, &machine, 4, 2, 2).message_s < 1e-9);
  machine.ranks_per_node =
      1; /* of what goes to three others, two thirds leave a node of two, whose network is shared */
  alone_s = Cost(&task, &machine, 4, 1, 1).message_s;
  machine.ranks_per_node = 2;
  NetworkClose("shared network", Cost(&task, &machine, 4, 1, 1).message_s, 4.0 / 3 * alone_s, alone_s, 1e-3);
  SupportCall(CordsModelDestroy(&task.model));
}

static void TestMemory(void **state)
{
  CordsStepTask task = Task(FINETUNE, CORDS_FORM_RECURRENT);
  CordsMachine machine = free_machine;
  CordsStepCost whole = Cost(&task, &machine, 4, 1, 1), cut = Cost(&task, &machine, 4, 2, 2), less;

  assert_true(whole.memory_bytes > 1e8 && whole.plan.kept == 15 && cut.plan.kept == 15);
  machine.memory_bytes = 4 * (whole.memory_bytes - 1000);
  less = Cost(&task, &machine, 4, 1, 1);
  assert_true(less.fits && less.memory_bytes <= machine.memory_bytes / 4);
  assert_true(less.operations >= whole.operations);
  settings.rollout.memory_limit_bytes = 1e8; /* the program alone */
  assert_false(Cost(&task, &machine, 4, 1, 1).fits);
  settings.rollout.memory_limit_bytes = 0;
  SupportCall(CordsModelDestroy(&task.model));
  task = Task(COMPATIBILITY, CORDS_FORM_BATCHNORM);
  assert_true(Cost(&task, &machine, 4, 1, 1).memory_bytes > 1e8);
  SupportCall(CordsModelDestroy(&task.model));
}

static const struct CMUnitTest tests[] = {cmocka_unit_test(TestArithmetic), cmocka_unit_test(TestMessages),
                                          cmocka_unit_test(TestMemory)};
SUPPORT_MAIN(tests)
