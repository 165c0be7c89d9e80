/* The network that benchmarks run: its trial gives the logits of the plain equation however the batch is divided, its
   training step changes the parameters, and the operations it counts are those of its steps.
   RANKS 1 2 */
#include "bench/network.h"

#include "support/networks.h"

enum { IMAGES = 3 };

static CordsContextData alone; /* this rank */

static CordsArchitecture Architecture(void)
{
  return NetworkArchitecture(NETWORK_STEM, "relu");
}

static void Trial(PetscInt images_at_a_time, float *logits)
{
  CordsArchitecture a = Architecture();
  CordsBenchNetwork network;

  SupportCall(CordsBenchNetworkCreate(&alone, &a, CORDS_F32, IMAGES, &network));
  SupportCall(CordsBenchTrialCreate(&network));
  assert_true(network.plan.images >= 1);
  assert_true(network.planned_bytes > 1e6 && network.planned_bytes < 1e9);
  if (images_at_a_time < network.plan.images) network.plan.images = images_at_a_time;
  SupportCall(CordsBenchTrial(&network));
  memcpy(logits, network.logits, IMAGES * NETWORK_CLASSES * sizeof *logits);
  SupportCall(CordsBenchNetworkDestroy(&network));
}

/* Against float64, all areas step by step. */
static void TestTrial(void **state)
{
  CordsArchitecture a = Architecture();
  CordsPlan plan = {.images = 1, .block = a.stimulus_steps, .kept = a.stimulus_steps};
  CordsPhase stimulus = {a.stimulus_steps, PETSC_TRUE};
  float logits[IMAGES * NETWORK_CLASSES], parts[IMAGES * NETWORK_CLASSES], expected[IMAGES * NETWORK_CLASSES];
  double exact[NETWORK_CLASSES];
  CordsBenchNetwork network;
  CordsArray r;

  Trial(IMAGES, logits);
  Trial(2, parts);
  SupportCall(CordsBenchNetworkCreate(&alone, &a, CORDS_F64, IMAGES, &network));
  SupportCall(CordsSystemCreate(network.model, CORDS_F64, &network.system));
  SupportCall(CordsSystemUpdate(network.system));
  SupportCall(CordsInputCreate(network.system, 1, &network.input));
  SupportCall(CordsRolloutCreate(network.system, "reference", &plan, a.stimulus_steps, PETSC_FALSE, &network.rollout));
  SupportCall(CordsArrayCreate(CORDS_F64, 1, CordsArchitectureNeurons(&a), &r));
  for (PetscInt k = 0; k < IMAGES; k++) {
    SupportCall(CordsRolloutSpontaneous(network.rollout, a.spontaneous_steps, r.data));
    SupportCall(CordsInputSet(network.input, network.images + k * NetworkImageSize(network.model)));
    SupportCall(CordsRolloutForward(network.rollout, 1, network.input, 1, &stimulus, PETSC_FALSE, r.data, NULL));
    SupportCall(CordsRolloutLogits(network.rollout, a.stimulus_steps - 1, 1, exact));
    for (int c = 0; c < NETWORK_CLASSES; c++) expected[k * NETWORK_CLASSES + c] = (float)exact[c];
  }
  SupportCompareF32("logits", IMAGES * NETWORK_CLASSES, logits, expected, 1e-5);
  SupportCompareF32("logits of parts", IMAGES * NETWORK_CLASSES, parts, expected, 1e-5);
  SupportCall(CordsArrayDestroy(&r));
  SupportCall(CordsBenchNetworkDestroy(&network));
}

static void TestStep(void **state)
{
  CordsArchitecture a = Architecture();
  CordsBenchNetwork network;
  CordsModel model;
  float *before;

  SupportCall(CordsBenchNetworkCreate(&alone, &a, CORDS_F32, 2, &network));
  SupportCall(CordsBenchStepCreate(&network));
  assert_true(network.planned_bytes > 1e6 && network.planned_bytes < 1e9); /* the process and little more */
  model = CordsStageModel(network.stage);
  SupportCall(PetscMalloc1(model->value_count, &before));
  memcpy(before, model->values, (size_t)model->value_count * sizeof *before);
  SupportCall(CordsBenchStep(&network));
  assert_true(isfinite(network.metrics.loss) && network.metrics.loss > 0);
  assert_true(isfinite(network.gradient_norm) && network.gradient_norm > 0);
  assert_memory_not_equal(before, model->values, (size_t)model->value_count * sizeof *before);
  SupportCall(PetscFree(before));
  SupportCall(CordsBenchNetworkDestroy(&network));
}

static void Step(CordsContext context, CordsMetrics *metrics, double *norm, PetscInt *images)
{
  CordsArchitecture a = Architecture();
  CordsBenchNetwork network;
  char backends[48];

  SupportCall(CordsBenchNetworkCreate(context, &a, CORDS_F32, 2, &network));
  SupportCall(CordsBenchStepCreate(&network));
  assert_true(network.plan.images >= 1 && network.plan.images <= network.batch);
  CordsBenchNetworkBackends(&network, CORDS_CONV_OPERATION_COUNT, sizeof backends, backends);
  assert_string_equal(backends, "direct"); /* without a choice the first */
  SupportCall(CordsBenchStep(&network));
  *metrics = network.metrics;
  *norm = network.gradient_norm;
  *images = network.batch;
  SupportCall(CordsBenchNetworkDestroy(&network));
}

/* A batch split over ranks is the same batch. */
static void TestRanks(void **state)
{
  CordsMetrics all_here, together;
  double alone_norm, together_norm;
  PetscInt all, share;

  Step(&alone, &all_here, &alone_norm, &all);
  Step(&support_context, &together, &together_norm, &share);
  assert_int_equal(all, 2);
  assert_int_equal(share, 2 / support_context.size);
  assert_true(fabs(together.loss - all_here.loss) < 1e-6 * all_here.loss);
  assert_true(fabs(together_norm - alone_norm) < 1e-5 * alone_norm);
}

/* A step of three gradients' worth: forward, back to the data, back to the weights; the spontaneous phase once. */
static void TestOperations(void **state)
{
  CordsArchitecture a = Architecture();
  double step = CordsBenchStepOperations(&a);

  assert_true(CordsBenchTrialOperations(&a, 5) == step * (6 + 5 * 8));
  assert_true(CordsBenchStepOperationsOf(&a, 2) == step * (6 + 3 * 2 * (8 + 7)));
}

static const struct CMUnitTest tests[] = {cmocka_unit_test(TestTrial), cmocka_unit_test(TestStep),
                                          cmocka_unit_test(TestRanks), cmocka_unit_test(TestOperations)};

static int RunAll(void)
{
  if (CordsContextUncut(PETSC_COMM_SELF, &alone)) return 1;
  alone.seed = support_context.seed;
  return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(int argc, char **argv)
{
  return SupportRun(argc, argv, RunAll);
}
