/* RANKS 1 2 4
   What the log says of an update's messages: means of what was counted, and a word that differs if the counts do. */
#include "train/traffic_watch.h"

#include "core/agree.h"
#include "core/reduce.h"
#include "train/gradient_sum.h"

#include "support/networks.h"

enum { STAGE = 4, BATCH = 4, UPDATES = 3 };

/* What an update without images exchanges: sums and agreements. */
static void Update(CordsContext context, CordsStage stage, float *gradient)
{
  CordsMetrics metrics = {0};
  CordsGradientSum sum;
  PetscBool stop;
  int due = 0;

  SupportCall(CordsGradientSumCreate(context, CordsStageModel(stage), &sum));
  CordsGradientSumBegin(sum, gradient);
  SupportCall(CordsGradientSumEnd(sum));
  SupportCall(CordsGradientSumDestroy(&sum));
  SupportCall(CordsReduceSumF64(context, CORDS_METRICS_COUNT, (double *)&metrics));
  SupportCall(CordsAgreeAny(context, PETSC_FALSE, &stop));
  SupportCall(CordsAgreeFirst(context, sizeof due, &due));
}

static void Describe(PetscInt more, char text[1024])
{
  const CordsArchitecture a = NetworkArchitecture(NETWORK_BARE, "relu");
  CordsTrafficWatch watch = {0};
  CordsStageSettings settings;
  CordsStage stage;
  float *gradient;

  SupportCall(CordsStageSettingsDefault(STAGE, &settings));
  settings.loss_steps = 1;
  SupportCall(CordsStageCreate(&support_context, STAGE, &settings, &a, BATCH, NULL, PETSC_TRUE, &stage));
  SupportCall(PetscCalloc1(CordsStageModel(stage)->learnable_values, &gradient));
  for (int k = 0; k < UPDATES; k++) {
    CordsTrafficWatchBegin(&watch);
    Update(&support_context, stage, gradient);
    if (support_context.rank == support_context.size - 1) CordsTrafficCount(CORDS_TRAFFIC_HALO, more, 1000000 * more);
    SupportCall(CordsTrafficWatchEnd(&watch, &support_context, stage, STAGE, BATCH, NULL));
    CordsTrafficCount(CORDS_TRAFFIC_HALO, 9, 9); /* between updates nothing is counted */
  }
  SupportCall(CordsTrafficWatchDescribe(&watch, &support_context, 1024, text));
  SupportCall(PetscFree(gradient));
  SupportCall(CordsStageDestroy(&stage));
}

static void TestTheSame(void **state)
{
  char text[1024];

  Describe(0, text);
  if (support_context.rank > 0 || support_context.size == 1) {
    assert_string_equal(text, "");
    return;
  }
  assert_non_null(strstr(text, "rank 0 sends most"));
  assert_non_null(strstr(text, "halo 0.0, 0.000000 MB"));
  assert_non_null(strstr(text, "predicted: the same"));
}

static void TestAnother(void **state)
{
  char text[1024], expected[64];

  Describe(2, text);
  if (support_context.rank > 0 || support_context.size == 1) return;
  snprintf(expected, sizeof expected, "rank %d sends most", support_context.size - 1);
  assert_non_null(strstr(text, expected));
  assert_non_null(strstr(text, "halo 2.0, 2.000000 MB"));
  snprintf(expected, sizeof expected, "predicted for rank %d, which sent something else:", support_context.size - 1);
  assert_non_null(strstr(text, expected));
}

static const struct CMUnitTest tests[] = {cmocka_unit_test(TestTheSame), cmocka_unit_test(TestAnother)};
SUPPORT_MAIN(tests)
