/* RANKS 1 2 3 4
   Every stage gives the same losses and the same gradient whether images are whole or cut over ranks, in every grid. */
#include "train/stage.h"

#include "support/domain.h"
#include "support/networks.h"

enum { BATCH = 3 };

static void Fill(CordsStage stage)
{
  NetworkFill(CordsStageModel(stage), 1000);
  if (CordsStageTarget(stage)) NetworkFill(CordsStageTarget(stage), 2000);
}

static void Gradient(CordsContext context, PetscInt index, const CordsArchitecture *a, float *gradient,
                     CordsMetrics *metrics)
{
  const PetscInt pixels = a->image_rows * a->image_columns * a->image_channels;
  CordsStageSettings settings;
  float *images, *labels;
  CordsStage stage;

  SupportCall(PetscMalloc2(BATCH * pixels, &images, BATCH * a->classes, &labels));
  SupportFillF32(50, BATCH * pixels, images);
  for (PetscInt k = 0; k < BATCH * a->classes; k++)
    labels[k] = k % a->classes == (k / a->classes) % a->classes ? 1.0F : 0.0F;
  SupportCall(CordsStageSettingsDefault(index, &settings));
  settings.loss_steps = PetscMin(settings.loss_steps, 3);
  SupportCall(CordsStageCreate(context, index, &settings, a, BATCH, NULL, PETSC_TRUE, &stage));
  Fill(stage);
  SupportCall(CordsStageGradientSum(stage, 0, BATCH, BATCH, images, labels, gradient, metrics));
  SupportCall(CordsStageDestroy(&stage));
  SupportCall(PetscFree2(images, labels));
}

/* Numbers that learn in a stage. */
static PetscInt Learnable(PetscInt index, const CordsArchitecture *a)
{
  CordsStageSettings settings;
  CordsStage stage;
  PetscInt count;

  SupportCall(CordsStageSettingsDefault(index, &settings));
  settings.loss_steps = PetscMin(settings.loss_steps, 3);
  SupportCall(CordsStageCreate(CordsContextSelf(), index, &settings, a, 1, NULL, PETSC_TRUE, &stage));
  count = CordsStageModel(stage)->learnable_values;
  SupportCall(CordsStageDestroy(&stage));
  return count;
}

static void CheckStage(PetscInt index, const char *body)
{
  const CordsArchitecture a = NetworkArchitecture(body, "relu");
  const PetscInt count = Learnable(index, &a);
  CordsMetrics alone, together;
  float *whole, *parts;

  SupportCall(PetscMalloc2(count, &whole, count, &parts));
  Gradient(CordsContextSelf(), index, &a, whole, &alone);
  assert_true(alone.loss > 0);
  SUPPORT_FOR_GRIDS(rows)
  {
    const CordsContextData context = SupportDomain(rows);
    Gradient(&context, index, &a, parts, &together);
    SupportCompareF32("gradient", count, parts, whole, 2e-6);
    SupportCompareF64("metrics", CORDS_METRICS_COUNT, (double *)&together, (double *)&alone, 1e-6);
  }
  SupportCall(PetscFree2(whole, parts));
}

static void TestStages(void **state)
{
  const char *const *names;
  PetscInt count;

  SupportCall(CordsStageList(&count, &names, NULL));
  assert_true(count >= 5);
  for (PetscInt index = 0; index < count; index++)
    for (int k = 0; k < NETWORK_COUNT; k++) CheckStage(index, network_texts[k]);
}

static const struct CMUnitTest tests[] = {cmocka_unit_test(TestStages)};
SUPPORT_MAIN(tests)
