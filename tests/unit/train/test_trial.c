/* RANKS 1 2 3 4
   The gradient of a trial whose images are cut over ranks is that of whole images: losses, spontaneous distance and
   every number of the gradient, in every grid, by both rollouts, for odd maps some of which are smaller than the grid.
 */
#include "train/trial.h"

#include "core/reduce.h"
#include "support/domain.h"
#include "support/networks.h"

enum { BATCH = 3 };

static CordsStageSettings Settings(const char *rollout, CordsType type, double memory_limit_bytes)
{
  CordsStageSettings settings;

  SupportCall(CordsStageSettingsDefault(4, &settings));
  settings.loss_steps = 3;
  settings.spontaneous_weight = 0.1;
  settings.rollout.type = type;
  settings.rollout.memory_limit_bytes = memory_limit_bytes;
  snprintf(settings.rollout.name, sizeof settings.rollout.name, "%s", rollout);
  return settings;
}

static void Gradient(CordsContext context, CordsModel model, const CordsStageSettings *settings, float *gradient,
                     CordsMetrics *metrics)
{
  const PetscInt pixels = NetworkImageSize(model), classes = model->architecture.classes;
  float *images, *labels;
  CordsTrial trial;

  SupportCall(PetscMalloc2(BATCH * pixels, &images, BATCH * classes, &labels));
  SupportFillF32(50, BATCH * pixels, images);
  for (PetscInt k = 0; k < BATCH * classes; k++) labels[k] = k % classes == (k / classes) % classes ? 1.0F : 0.0F;
  memset(gradient, 0, (size_t)model->learnable_values * sizeof *gradient);
  *metrics = (CordsMetrics){0};
  SupportCall(CordsTrialCreate(context, model, settings, BATCH, PETSC_TRUE, &trial));
  SupportCall(CordsTrialGradient(trial, BATCH, BATCH, images, labels, gradient, NULL, metrics));
  SupportCall(CordsTrialDestroy(&trial));
  SupportCall(PetscFree2(images, labels));
}

static void CheckNetwork(const char *body, const char *rollout, CordsType type, double tolerance)
{
  CordsModel model = NetworkModel(body, "relu", CORDS_FORM_RECURRENT);
  const CordsStageSettings settings = Settings(rollout, type, 0);
  CordsMetrics alone, together;
  float *whole, *parts;

  SupportCall(PetscMalloc2(model->learnable_values, &whole, model->learnable_values, &parts));
  Gradient(CordsContextSelf(), model, &settings, whole, &alone);
  assert_true(alone.loss > 0 && alone.spontaneous > 0);
  SUPPORT_FOR_GRIDS(rows)
  {
    const CordsContextData context = SupportDomain(rows);
    Gradient(&context, model, &settings, parts, &together);
    SupportCall(CordsReduceSumF32(&context, model->learnable_values, parts));
    SupportCall(CordsReduceSumF64(&context, CORDS_METRICS_COUNT, (double *)&together));
    SupportCompareF32("gradient", model->learnable_values, parts, whole, tolerance);
    SupportCompareF64("metrics", CORDS_METRICS_COUNT, (double *)&together, (double *)&alone, tolerance);
  }
  SupportCall(PetscFree2(whole, parts));
  SupportCall(CordsModelDestroy(&model));
}

static void TestCut(void **state)
{
  for (int k = 0; k < NETWORK_COUNT; k++) {
    CheckNetwork(network_texts[k], "fused", CORDS_F32, 1e-6);
    CheckNetwork(network_texts[k], "reference", CORDS_F32, 1e-6);
    CheckNetwork(network_texts[k], "fused", CORDS_BF16, 2e-2);
  }
}

static const struct CMUnitTest tests[] = {cmocka_unit_test(TestCut)};
SUPPORT_MAIN(tests)
