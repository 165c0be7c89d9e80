/* Every line of train/stages.def: the gradient is that of the loss.  Everything is float32, as in training, so the loss
   is known to about 1e-7 of its size: the derivative along the gradient, (L(p + h g) − L(p − h g)) / 2h = |g|², is
   taken with a step that changes the loss by about 4e-4 of its value.  That leaves round-off of 3e-4 and
   curvature of 1e-3 or less; a wrong term shows as a part of the whole.  Gradients in float64, to 1e-5, are in
   unit/train/test_rollout.c and unit/model/test_cnn.c. */
#include "support/networks.h"
#include "train/stage_type.h"

#define CORDS_STAGE(name) extern const CordsStageType cords_stage_##name;
#include "train/stages.def"
#undef CORDS_STAGE

#define CORDS_STAGE(name) &cords_stage_##name,
static const CordsStageType *const types[] = {
#include "train/stages.def"
};
#undef CORDS_STAGE

enum { STAGES = sizeof types / sizeof types[0], BATCH = 3, EPOCH = 2 };

typedef struct {
  CordsStage stage;
  float *images, labels[BATCH * NETWORK_CLASSES], *gradient;
} Run;

static void Start(Run *run, PetscInt index, const char *body, const char *phi)
{
  const CordsStageType *type = types[index];
  CordsArchitecture a = NetworkArchitecture(body, phi);
  CordsStageSettings s;
  CordsModel previous = NULL;

  /* the baseline r0 counts as a constant in the gradient (SPEC section 2, stages 4 and 5), so here it must be one; a
     baseline of its own is compared with the original in tests/reference */
  a.spontaneous_steps = 0;
  SupportCall(CordsStageSettingsDefault(index, &s));
  s.loss_steps = PetscMin(s.loss_steps, 5);
  if (s.spontaneous_weight > 0) s.spontaneous_weight = 3; /* so that S is a visible part of the loss */
  if (type->has_target) previous = NetworkModel(body, phi, CORDS_FORM_BATCHNORM);
  if (!type->has_target && type->form == CORDS_FORM_RECURRENT) previous = NetworkModel(body, phi, type->form);
  SupportCall(CordsStageCreate(&support_context, index, &s, &a, BATCH, previous, PETSC_FALSE, &run->stage));
  SupportCall(CordsModelDestroy(&previous));
  run->images = NetworkImages(CordsStageModel(run->stage), BATCH, 3);
  memset(run->labels, 0, sizeof run->labels);
  for (int k = 0; k < BATCH; k++) {
    run->labels[k * NETWORK_CLASSES + k] = 0.75F;
    run->labels[k * NETWORK_CLASSES + 4] = 0.25F;
  }
  run->gradient = calloc((size_t)CordsStageModel(run->stage)->learnable_values, sizeof(float));
}

static void End(Run *run)
{
  SupportCall(PetscFree(run->images));
  free(run->gradient);
  SupportCall(CordsStageDestroy(&run->stage));
}

static double Loss(Run *run, float *gradient)
{
  CordsMetrics metrics;

  SupportCall(CordsStageGradient(run->stage, EPOCH, BATCH, BATCH, run->images, run->labels, gradient, &metrics));
  assert_true(isfinite(metrics.loss) && metrics.loss > 0);
  assert_true(metrics.accuracy >= 0 && metrics.accuracy <= 1);
  return metrics.loss;
}

static void CheckGradient(PetscInt index, const char *body, const char *phi)
{
  Run run;
  CordsModel model;
  float *saved, *scratch;
  double size = 0, h, losses[2], changed = 0, loss, expected = 0;

  Start(&run, index, body, phi);
  model = CordsStageModel(run.stage);
  saved = calloc(2 * (size_t)model->value_count, sizeof *saved);
  scratch = saved + model->value_count;
  memcpy(saved, model->values, (size_t)model->value_count * sizeof(float));
  loss = Loss(&run, run.gradient);
  for (PetscInt t = 0; t < model->learnable_count; t++) { /* along what learns in this stage */
    PetscInt at = (PetscInt)(model->tensors[t].data - model->values);
    for (PetscInt k = at; k < at + CordsTensorSize(&model->tensors[t]); k++) {
      if (!CordsStageLearns(run.stage, model->tensors[t].name)) run.gradient[k] = 0;
      size += (double)run.gradient[k] * (double)run.gradient[k];
    }
  }
  assert_true(size > 0);
  h = 0.0002 * loss / size;
  for (int side = 0; side < 2; side++) {
    memcpy(model->values, saved, (size_t)model->value_count * sizeof(float));
    for (PetscInt k = 0; k < model->learnable_values; k++) {
      double before = (double)model->values[k];
      model->values[k] += (float)((side ? -h : h) * (double)run.gradient[k]);
      expected += (side ? -1 : 1) * ((double)model->values[k] - before) * (double)run.gradient[k];
    }
    losses[side] = Loss(&run, scratch);
  }
  changed = losses[0] - losses[1];
  if (!(fabs(changed / expected - 1) < 1e-2)) {
    print_error("%s (%s): the loss changes by %g, by its gradient %g\n", types[index]->name, phi, changed, expected);
  }
  assert_true(fabs(changed / expected - 1) < 1e-2);
  free(saved);
  End(&run);
}

static void TestGradients(void **state)
{
  for (PetscInt k = 0; k < STAGES; k++) {
    for (int body = 0; body < NETWORK_COUNT; body++) {
      CheckGradient(k, network_texts[body], "relu");
      CheckGradient(k, network_texts[body], "tanh");
    }
  }
}

/* A share of a batch: gradients and metrics of parts add up to those of the whole; an empty share adds nothing.  Stages
   that normalise over the batch must see it at once, so they are left out. */
static void TestShares(void **state)
{
  for (PetscInt k = 0; k < STAGES; k++) {
    Run run;
    CordsModel model;
    CordsMetrics whole, parts = {0}, part;
    float *sum, *gradient;
    if (types[k]->form == CORDS_FORM_BATCHNORM) continue;
    Start(&run, k, NETWORK_STEM, "relu");
    model = CordsStageModel(run.stage);
    sum = calloc(2 * (size_t)model->learnable_values, sizeof *sum);
    gradient = sum + model->learnable_values;
    for (PetscInt start = 0, count = 2; start <= BATCH; start += count, count = start < BATCH ? 1 : 0) {
      SupportCall(CordsStageGradient(run.stage, EPOCH, count, BATCH, run.images + start * NetworkImageSize(model),
                                     run.labels + start * NETWORK_CLASSES, gradient, &part));
      for (PetscInt j = 0; j < model->learnable_values; j++) sum[j] += gradient[j];
      for (int j = 0; j < CORDS_METRICS_COUNT; j++) ((double *)&parts)[j] += ((double *)&part)[j];
      if (count == 0) {
        for (PetscInt j = 0; j < model->learnable_values; j++) assert_true(gradient[j] == 0);
        break;
      }
    }
    SupportCall(CordsStageGradient(run.stage, EPOCH, BATCH, BATCH, run.images, run.labels, gradient, &whole));
    SupportCompareF32("gradient of the parts", model->learnable_values, sum, gradient, 1e-5);
    SupportCompareF64("metrics of the parts", CORDS_METRICS_COUNT, (double *)&parts, (double *)&whole, 1e-6);
    free(sum);
    End(&run);
  }
}

/* Each has a name of its own, a line of help, settings that make sense, and is made from a file as well. */
static void TestEntries(void **state)
{
  const char *const *names, *const *abouts;
  PetscInt count;

  SupportCall(CordsStageList(&count, &names, &abouts));
  assert_int_equal(count, STAGES);
  for (PetscInt k = 0; k < STAGES; k++) {
    const CordsStageSettings *s = &types[k]->defaults;
    assert_string_equal(names[k], types[k]->name);
    assert_true(strlen(abouts[k]) > 10 && !strchr(abouts[k], '\n'));
    for (PetscInt j = 0; j < k; j++) assert_string_not_equal(names[j], names[k]);
    assert_true(s->epochs > 0 && s->batch > 0 && s->rounds > 0 && s->learning_rate > 0);
    assert_true(s->loss_steps <= CORDS_LOSS_STEPS_MAX);
  }
}

static const struct CMUnitTest tests[] = {cmocka_unit_test(TestEntries), cmocka_unit_test(TestGradients),
                                          cmocka_unit_test(TestShares)};
SUPPORT_MAIN(tests)
