/* Stages: order, settings from options, learning rates, which tensors learn, and starts. */
#include "train/stage.h"
#include "support/networks.h"

static const char *const paper[] = {"compatibility", "inverse", "linear", "parametric", "finetune"};
enum { PAPER = 5 };

static PetscInt Index(const char *name)
{
  const char *const *names;
  PetscInt count;

  SupportCall(CordsStageList(&count, &names, NULL));
  for (PetscInt k = 0; k < count; k++) {
    if (strcmp(names[k], name) == 0) return k;
  }
  fail();
  return -1;
}

/* The paper's stages in the paper's order, with the paper's values (SPEC section 2). */
static void TestPaper(void **state)
{
  CordsStageSettings s;

  for (PetscInt k = 1; k < PAPER; k++) assert_true(Index(paper[k - 1]) < Index(paper[k]));
  SupportCall(CordsStageSettingsDefault(Index("compatibility"), &s));
  assert_true(s.epochs == 300 && s.batch == 256 && s.learning_rate == 0.1 && s.rounds == 3 && s.warmup == 100);
  assert_true(s.optimizer == CORDS_OPTIMIZER_SGD && s.weight_decay == 1e-4 && s.clip == 0);
  SupportCall(CordsStageSettingsDefault(Index("inverse"), &s));
  assert_true(s.epochs == 100 && s.batch == 64 && s.learning_rate == 1e-4 && s.clip == 1e-3);
  assert_true(s.optimizer == CORDS_OPTIMIZER_ADAMW && s.weight_decay == 0.01);
  SupportCall(CordsStageSettingsDefault(Index("linear"), &s));
  assert_true(s.epochs == 100 && s.batch == 8 && s.learning_rate == 1e-5 && s.clip == 1e-4 && s.loss_steps == 30);
  SupportCall(CordsStageSettingsDefault(Index("parametric"), &s));
  assert_true(s.epochs == 20 && s.batch == 2 && s.new_optimizer && s.slope_start == 0.95 && s.slope_step == 0.05);
  assert_true(s.spontaneous_weight == 1e-3);
  SupportCall(CordsStageSettingsDefault(Index("finetune"), &s));
  assert_true(s.epochs == 20 && s.clip == 1e-4 && s.spontaneous_weight == 1e-3 && s.loss_steps == 30);
}

static void Close(double a, double b)
{
  NetworkClose("learning rate", a, b, fabs(b), 1e-12);
}

static void TestLearningRate(void **state)
{
  CordsStageSettings s = {.learning_rate = 0.3, .schedule = CORDS_SCHEDULE_CONSTANT, .rounds = 1};
  double last = 1;

  Close(CordsStageLearningRate(&s, 0, 100), 0.3);
  Close(CordsStageLearningRate(&s, 99, 100), 0.3);
  /* three rounds of 100, in each from a third to the whole in ten updates */
  s = (CordsStageSettings){.learning_rate = 0.3, .schedule = CORDS_SCHEDULE_ROUNDS, .rounds = 3, .warmup = 10};
  for (int round = 0; round < 3; round++) {
    double rate = 0.3 * pow(10, -round);
    Close(CordsStageLearningRate(&s, 100 * round, 300), rate / 3);
    Close(CordsStageLearningRate(&s, 100 * round + 5, 300), rate * 2 / 3);
    Close(CordsStageLearningRate(&s, 100 * round + 10, 300), rate);
    Close(CordsStageLearningRate(&s, 100 * round + 99, 300), rate);
  }
  s.warmup = 0;
  Close(CordsStageLearningRate(&s, 0, 300), 0.3);
  /* up and down once, continuous, never negative */
  s.schedule = CORDS_SCHEDULE_ONE_CYCLE;
  Close(CordsStageLearningRate(&s, 250, 1000), 0.3);
  assert_true(CordsStageLearningRate(&s, 0, 1000) < 0.1);
  assert_true(CordsStageLearningRate(&s, 999, 1000) < 0.001);
  for (PetscInt64 k = 0; k < 1000; k++) {
    double rate = CordsStageLearningRate(&s, k, 1000);
    assert_true(rate > 0 && rate <= 0.3 * (1 + 1e-12));
    if (k > 0) assert_true(fabs(rate - last) < 0.003);
    last = rate;
  }
  assert_true(isfinite(CordsStageLearningRate(&s, 0, 0)));
}

static PetscErrorCode Order(PetscInt count, const char *const names[])
{
  PetscInt stages[8];

  for (PetscInt k = 0; k < count; k++) stages[k] = Index(names[k]);
  return CordsStageCheckOrder(count, stages);
}

static void TestOrder(void **state)
{
  SupportCall(Order(PAPER, paper));
  SupportCall(Order(1, paper + 4));
  SupportCall(Order(2, paper));
  SupportCall(Order(2, paper + 2));
  assert_non_null(strstr(SupportExpectUserError(Order(1, paper + 1)), "inverse"));
  assert_non_null(strstr(SupportExpectUserError(Order(2, (const char *const[]){"linear", "compatibility"})), "first"));
  assert_non_null(
      strstr(SupportExpectUserError(Order(2, (const char *const[]){"compatibility", "linear"})), "inverse"));
  assert_non_null(strstr(SupportExpectUserError(Order(2, (const char *const[]){"linear", "inverse"})), "inverse"));
}

static void TestOptions(void **state)
{
  CordsStageSettings s;

  SupportCall(PetscOptionsClear(NULL));
  SupportCall(PetscOptionsInsertString(NULL, "-linear_batch 3 -linear_clip 0 -parametric_slope_step 0.1 "
                                             "-finetune_optimizer sgd -finetune_schedule one_cycle -linear_mix no"));
  SupportCall(CordsStageSettingsFromOptions(Index("linear"), &s));
  assert_true(s.batch == 3 && s.clip == 0 && !s.mix && s.augment && s.epochs == 100);
  SupportCall(CordsStageSettingsFromOptions(Index("parametric"), &s));
  assert_true(s.slope_step == 0.1 && s.batch == 2);
  SupportCall(CordsStageSettingsFromOptions(Index("finetune"), &s));
  assert_true(s.optimizer == CORDS_OPTIMIZER_SGD && s.schedule == CORDS_SCHEDULE_ONE_CYCLE);
  SupportCall(PetscOptionsInsertString(NULL, "-linear_batch 0"));
  SupportExpectUserError(CordsStageSettingsFromOptions(Index("linear"), &s));
  SupportCall(PetscOptionsClear(NULL));
  SupportCall(PetscOptionsInsertString(NULL, "-linear_loss_steps 65"));
  SupportExpectUserError(CordsStageSettingsFromOptions(Index("linear"), &s));
  SupportCall(PetscOptionsClear(NULL));
}

static CordsStage Create(const char *name, CordsModel previous, PetscBool load)
{
  CordsArchitecture a = NetworkArchitecture(NETWORK_STEM, "relu");
  CordsStageSettings s;
  CordsStage stage;

  SupportCall(CordsStageSettingsDefault(Index(name), &s));
  s.loss_steps = PetscMin(s.loss_steps, a.stimulus_steps);
  SupportCall(CordsStageCreate(&support_context, Index(name), &s, &a, 2, previous, load, &stage));
  assert_string_equal(CordsStageName(stage), name);
  return stage;
}

/* Stage 2: the folded CNN is the target and gives everything but area_conv and conv_bias, which alone learn. */
static void TestInverse(void **state)
{
  CordsModel cnn = NetworkModel(NETWORK_STEM, "relu", CORDS_FORM_BATCHNORM), model, target;
  CordsStage stage = Create("inverse", cnn, PETSC_FALSE);

  model = CordsStageModel(stage);
  target = CordsStageTarget(stage);
  assert_int_equal(model->form, CORDS_FORM_RECURRENT);
  assert_int_equal(target->form, CORDS_FORM_FOLDED);
  for (PetscInt k = 0; k < model->tensor_count; k++) {
    CordsTensor *t = &model->tensors[k];
    PetscBool learns = CordsStageLearns(stage, t->name);
    size_t bytes = (size_t)CordsTensorSize(t) * sizeof(float);
    assert_int_equal(learns, strstr(t->name, "area_conv") || strstr(t->name, "conv_bias"));
    if (!learns) assert_memory_equal(t->data, CordsModelValues(target, t->name), bytes);
    if (learns) assert_memory_not_equal(t->data, CordsModelValues(target, t->name), bytes);
  }
  SupportCall(CordsStageDestroy(&stage));
  SupportCall(CordsModelDestroy(&cnn));
}

/* Stages with time go on with the network before them; alone they start from the seed. */
static void TestRecurrentStart(void **state)
{
  for (PetscInt k = 2; k < PAPER; k++) {
    CordsModel previous = NetworkModel(NETWORK_STEM, "relu", CORDS_FORM_RECURRENT), model;
    CordsStage stage = Create(paper[k], previous, PETSC_FALSE);
    model = CordsStageModel(stage);
    assert_memory_equal(model->values, previous->values, (size_t)model->value_count * sizeof(float));
    assert_null(CordsStageTarget(stage));
    for (PetscInt t = 0; t < model->tensor_count; t++) assert_true(CordsStageLearns(stage, model->tensors[t].name));
    SupportCall(CordsStageDestroy(&stage));
    stage = Create(paper[k], NULL, PETSC_FALSE);
    SupportCall(CordsModelInitialise(previous, support_context.seed));
    assert_memory_equal(CordsStageModel(stage)->values, previous->values,
                        (size_t)previous->value_count * sizeof(float));
    SupportCall(CordsStageDestroy(&stage));
    SupportCall(CordsModelDestroy(&previous));
  }
}

/* Stages 3 to 5: loss = mean_t(w_t L_t) + weight · S with w from 1e-3 to 1, the accuracy that of the last step. */
static void TestLossInTime(void **state)
{
  for (PetscInt k = 2; k < PAPER; k++) {
    CordsModel previous = NetworkModel(NETWORK_STEM, "relu", CORDS_FORM_RECURRENT);
    CordsStage stage = Create(paper[k], previous, PETSC_FALSE);
    const CordsStageSettings *s = CordsStageGetSettings(stage);
    float *images = NetworkImages(previous, 2, 3), labels[2 * NETWORK_CLASSES] = {0}, *gradient;
    double expected = 0;
    CordsMetrics m;
    labels[1] = labels[NETWORK_CLASSES + 3] = 1;
    gradient = calloc((size_t)previous->learnable_values, sizeof *gradient);
    SupportCall(CordsStageGradient(stage, 0, 2, 2, images, labels, gradient, &m));
    for (PetscInt t = 0; t < s->loss_steps; t++) {
      double weight = pow(10, -3 + 3 * (double)t / (double)(s->loss_steps - 1));
      assert_true(m.loss_t[t] > 0);
      expected += weight * m.loss_t[t] / (double)s->loss_steps;
    }
    assert_true(fabs(m.loss_t[0] - m.loss_t[s->loss_steps - 1]) > 1e-3); /* or the order of the weights is not seen */
    assert_int_equal(m.spontaneous > 0, s->spontaneous_weight > 0);
    NetworkClose("loss", m.loss, expected + s->spontaneous_weight * m.spontaneous, m.loss, 1e-12);
    assert_true(m.accuracy == m.accuracy_t[s->loss_steps - 1]);
    free(gradient);
    SupportCall(PetscFree(images));
    SupportCall(CordsStageDestroy(&stage));
    SupportCall(CordsModelDestroy(&previous));
  }
}

/* More counted steps than the stimulus has. */
static PetscErrorCode CreateLong(CordsStage *stage)
{
  CordsArchitecture a = NetworkArchitecture(NETWORK_STEM, "relu");
  CordsStageSettings s;

  SupportCall(CordsStageSettingsDefault(Index("linear"), &s));
  s.loss_steps = a.stimulus_steps + 1;
  return CordsStageCreate(&support_context, Index("linear"), &s, &a, 2, NULL, PETSC_FALSE, stage);
}

static void TestLossSteps(void **state)
{
  CordsStage stage;

  assert_non_null(strstr(SupportExpectUserError(CreateLong(&stage)), "stimulus"));
}

static const struct CMUnitTest tests[] = {cmocka_unit_test(TestPaper),      cmocka_unit_test(TestLearningRate),
                                          cmocka_unit_test(TestOrder),      cmocka_unit_test(TestOptions),
                                          cmocka_unit_test(TestInverse),    cmocka_unit_test(TestRecurrentStart),
                                          cmocka_unit_test(TestLossInTime), cmocka_unit_test(TestLossSteps)};
SUPPORT_MAIN(tests)
