/* RANKS 1 2 4
   Predicted = counted: messages and bytes of an update, on every rank and of every kind, for all stages, grids, number
   types, plans and rollouts.  What is counted is what an update of `cords train` exchanges. */
#include "train/traffic_model.h"

#include "core/agree.h"
#include "train/plan.h"

#include "support/networks.h"

/* Odd maps of 13 × 11, 7 × 6 after the pooling and 4 × 3 behind the stride, more ranks in a row than some have. */
#define ODD                                                                                                            \
  "  image_rows: 13\n  image_columns: 11\n  stem_kernel: 5\n  stem_channels: 3\n  stem_stride: 1\n  pool_kernel: 3\n"  \
  "  pool_stride: 2\n  channels: [3, 4, 5, 5]\n  strides: [1, 2, 1, 1]\n"
/* Read-outs of so many numbers that they are summed in parts. */
#define WIDE                                                                                                           \
  "  image_rows: 6\n  image_columns: 7\n  stem_kernel: 0\n  pool_kernel: 0\n  channels: [4, 192, 192]\n"               \
  "  strides: [1, 2, 1]\n"

typedef struct {
  const char *stage, *body, *phi, *rollout;
  CordsType type;
  PetscInt batch, groups; /* groups of ranks that share images; 0: the grid has all ranks */
  PetscInt grid_rows;     /* of a group; 0: one column */
  CordsPlan plan;         /* images 0: the fastest */
} Case;

static const Case cases[] = {
    /* the five stages, images whole and cut into rows, columns and both */
    {"compatibility", NETWORK_STEM, "relu", "", CORDS_F32, 7, 0, 1, {0}},
    {"compatibility", ODD, "relu", "", CORDS_F32, 3, 0, 2, {0}},
    {"compatibility", NETWORK_BARE, "relu", "", CORDS_F32, 3, 4, 1, {0}}, /* groups without images */
    {"inverse", NETWORK_STEM, "relu", "", CORDS_F32, 5, 0, 0, {0}},
    {"inverse", ODD, "relu", "", CORDS_F32, 5, 2, 1, {0}},
    {"linear", NETWORK_BARE, "relu", "", CORDS_F32, 4, 0, 2, {0}},
    {"linear", ODD, "relu", "", CORDS_BF16, 4, 0, 1, {0}},
    {"parametric", NETWORK_STEM, "relu", "", CORDS_F32, 3, 0, 1, {0}},
    {"parametric", NETWORK_BARE, "relu", "", CORDS_BF16, 3, 2, 2, {0}},
    {"finetune", ODD, "relu", "", CORDS_F32, 5, 0, 0, {0}},
    {"finetune", ODD, "relu", "", CORDS_BF16, 5, 0, 2, {0}},
    {"finetune", NETWORK_STEM, "relu", "", CORDS_F32, 1, 2, 1, {0}}, /* one image for two groups */
    /* everything one step at a time: asked for, and for a φ that has no other way */
    {"finetune", NETWORK_STEM, "relu", "reference", CORDS_F32, 3, 0, 2, {0}},
    {"linear", NETWORK_BARE, "tanh", "", CORDS_F32, 2, 0, 1, {0}},
    {"finetune", WIDE, "relu", "", CORDS_F32, 3, 0, 0, {0}},
    /* blocks of steps, of which some are computed again */
    {"finetune", ODD, "relu", "fused", CORDS_F32, 5, 0, 2, {2, 4, 6}},
    {"parametric", NETWORK_STEM, "relu", "", CORDS_BF16, 5, 0, 1, {3, 3, 0}},
};

/* The ranks in groups, each a grid; false if they cannot be. */
static PetscBool Context(const Case *c, CordsContextData *context)
{
  const PetscInt groups = c->groups ? c->groups : 1, domain = support_context.size / groups;
  const PetscInt rows = c->grid_rows ? c->grid_rows : domain;

  if (support_context.size % groups || domain % rows) return PETSC_FALSE;
  *context = support_context;
  context->grid_rows = rows;
  context->grid_columns = domain / rows;
  context->group_size = (PetscMPIInt)groups;
  context->group_rank = context->rank / (PetscMPIInt)domain;
  SupportCall(MPI_Comm_split(context->comm, context->group_rank, context->rank, &context->domain_comm));
  SupportCall(MPI_Comm_rank(context->domain_comm, &context->domain_rank));
  return PETSC_TRUE;
}

static PetscInt StageIndex(const char *stage)
{
  const char *const *names;
  PetscInt count, k;

  SupportCall(CordsStageList(&count, &names, NULL));
  for (k = 0; k < count && strcmp(names[k], stage); k++) continue;
  assert_true(k < count);
  return k;
}

static CordsStageSettings Settings(const Case *c, PetscInt index)
{
  CordsStageSettings settings;

  SupportCall(CordsStageSettingsDefault(index, &settings));
  settings.loss_steps = PetscMin(settings.loss_steps, 3);
  settings.rollout.type = c->type;
  settings.rollout.plan = c->plan;
  snprintf(settings.rollout.name, sizeof settings.rollout.name, "%s", c->rollout);
  return settings;
}

static CordsStage Stage(CordsContext context, const Case *c, const CordsArchitecture *a, PetscInt batch_local)
{
  const PetscInt index = StageIndex(c->stage);
  const CordsStageSettings settings = Settings(c, index);
  CordsStage stage;

  SupportCall(CordsStageCreate(context, index, &settings, a, batch_local, NULL, PETSC_TRUE, &stage));
  NetworkFill(CordsStageModel(stage), 1000);
  if (CordsStageTarget(stage)) NetworkFill(CordsStageTarget(stage), 2000);
  return stage;
}

/* An update as train/trainer.c does it, without a time limit and without a row in the log. */
static void Update(CordsContext context, CordsStage stage, PetscInt n, PetscInt total)
{
  CordsModel model = CordsStageModel(stage);
  const PetscInt classes = model->architecture.classes;
  float *images = NetworkImages(model, n, 50), *labels, *gradient;
  CordsMetrics metrics;
  PetscBool stop;
  int due = 0;

  SupportCall(PetscCalloc2(n * classes, &labels, model->learnable_values, &gradient));
  for (PetscInt k = 0; k < n; k++) labels[k * classes + k % classes] = 1;
  SupportCall(CordsStageGradientSum(stage, 0, n, total, images, labels, gradient, &metrics));
  SupportCall(CordsAgreeAny(context, PETSC_FALSE, &stop));
  SupportCall(CordsAgreeFirst(context, sizeof due, &due));
  SupportCall(PetscFree2(labels, gradient));
  SupportCall(PetscFree(images));
}

static void Predict(const Case *c, CordsContext context, CordsStage stage, CordsForecast forecast[])
{
  const CordsRanks ranks = {context->size, context->grid_rows, context->grid_columns, 0};
  const PetscInt index = StageIndex(c->stage);
  const CordsUpdateTask task = {.architecture = &CordsStageModel(stage)->architecture,
                                .settings = CordsStageGetSettings(stage),
                                .plan = CordsStagePlan(stage),
                                .images = CordsGroupImages(&ranks, context->rank, c->batch)};
  CordsCalls calls = {0};

  SupportCall(CordsStageCalls(index, &task, &calls));
  SupportCall(CordsTrafficForecast(&calls, CordsStageModel(stage), &ranks, context->rank, NULL, forecast));
  SupportCall(PetscFree(calls.list));
}

/* *halos: bytes of this rank in them. */
static void CheckCase(const Case *c, CordsContext context, PetscInt64 *halos)
{
  const CordsArchitecture a = NetworkArchitecture(c->body, c->phi);
  const CordsRanks ranks = {context->size, context->grid_rows, context->grid_columns, 0};
  const PetscInt n = CordsGroupImages(&ranks, context->rank, c->batch);
  const PetscInt most = CordsGroupImages(&ranks, 0, c->batch);
  CordsStage stage = Stage(context, c, &a, most);
  CordsForecast forecast[CORDS_TRAFFIC_KINDS];
  CordsTraffic before[CORDS_TRAFFIC_KINDS];

  Predict(c, context, stage, forecast);
  for (int update = 0; update < 2; update++) { /* nothing is left over from the first to the second */
    for (int k = 0; k < CORDS_TRAFFIC_KINDS; k++) before[k] = CordsTrafficSoFar((CordsTrafficKind)k);
    Update(context, stage, n, c->batch);
    for (int k = 0; k < CORDS_TRAFFIC_KINDS; k++) {
      const CordsTraffic now = CordsTrafficSoFar((CordsTrafficKind)k);
      if (forecast[k].all.messages != now.messages - before[k].messages ||
          forecast[k].all.bytes != now.bytes - before[k].bytes)
        print_error("%s, %s: ", c->stage, CordsTrafficNames[k]);
      assert_int_equal(forecast[k].all.messages, now.messages - before[k].messages);
      assert_int_equal(forecast[k].all.bytes, now.bytes - before[k].bytes);
      assert_int_equal(forecast[k].far.messages, 0);
    }
  }
  *halos += forecast[CORDS_TRAFFIC_HALO].all.bytes;
  SupportCall(CordsStageDestroy(&stage));
}

static void TestPredictedIsCounted(void **state)
{
  PetscInt64 halos = 0;
  PetscInt checked = 0;
  CordsContextData context;

  for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
    if (!Context(&cases[k], &context)) continue;
    CheckCase(&cases[k], &context, &halos);
    SupportCall(MPI_Comm_free(&context.domain_comm));
    checked++;
  }
  assert_true(checked >= (support_context.size == 4 ? 17 : support_context.size == 2 ? 12 : 1));
  assert_int_equal(halos > 0, support_context.size > 1);
}

/* A convolution of 3 × 3 on 4 × 6 pixels over a grid of 2 × 2: 1 × 3 pixels to the rank below, 2 × 1 to the one beside,
   1 to the one across, of 2 channels; each on another node where there is one rank on each. */
static void TestHaloByHand(void **state)
{
  const CordsConvShape shape = CordsConvShapeSame(4, 6, 2, 3, 3, 1);
  const CordsRanks ranks = {4, 2, 2, 1}, pairs = {4, 2, 2, 2};
  CordsModel model = NetworkModel(NETWORK_BARE, "relu", CORDS_FORM_RECURRENT);
  const PetscInt connection = model->architecture.recurrent[0];
  CordsCall call = {CORDS_CALL_CONV, connection, CORDS_CONV_FORWARD, CORDS_BF16, 5, 7};
  const CordsCalls calls = {1, 1, &call};
  CordsForecast forecast[CORDS_TRAFFIC_KINDS];
  const CordsForecast *halo = &forecast[CORDS_TRAFFIC_HALO];

  model->architecture.connections[connection].shape = shape;
  for (PetscInt rank = 0; rank < 4; rank++) {
    SupportCall(CordsTrafficForecast(&calls, model, &ranks, rank, NULL, forecast));
    assert_int_equal(halo->all.messages, 7 * 3);
    assert_int_equal(halo->all.bytes, 7 * 5 * (3 + 2 + 1) * 2 * 2);
    assert_int_equal(halo->far.bytes, halo->all.bytes);
    SupportCall(CordsTrafficForecast(&calls, model, &pairs, rank, NULL, forecast));
    assert_int_equal(halo->far.messages, 7 * 2);
    assert_int_equal(halo->far.bytes, 7 * 5 * (3 + 1) * 2 * 2);
  }
  call.operation = CORDS_CONV_BACKWARD_DATA; /* the outputs have three channels */
  SupportCall(CordsTrafficForecast(&calls, model, &ranks, 0, NULL, forecast));
  assert_int_equal(halo->all.bytes, 7 * 5 * (3 + 2 + 1) * 3 * 2);
  SupportCall(CordsModelDestroy(&model));
}

/* What comes at the end of an update if it does. */
static void TestEnd(void **state)
{
  const CordsRanks ranks = {6, 1, 1, 3};
  const CordsUpdateEnd end = {PETSC_TRUE, PETSC_TRUE};
  const CordsCalls calls = {0};
  CordsModel model = NetworkModel(NETWORK_BARE, "relu", CORDS_FORM_RECURRENT);
  CordsForecast forecast[CORDS_TRAFFIC_KINDS];

  SupportCall(CordsTrafficForecast(&calls, model, &ranks, 1, &end, forecast));
  assert_int_equal(forecast[CORDS_TRAFFIC_CONTROL].all.messages, 5);
  assert_int_equal(forecast[CORDS_TRAFFIC_CONTROL].all.bytes, 5 * 4);
  assert_int_equal(forecast[CORDS_TRAFFIC_CONTROL].far.messages, 3);
  SupportCall(CordsTrafficForecast(&calls, model, &ranks, 0, &end, forecast));
  assert_int_equal(forecast[CORDS_TRAFFIC_CONTROL].all.messages, 5 * 5);
  assert_int_equal(forecast[CORDS_TRAFFIC_CONTROL].all.bytes, 5 * (4 * 4 + 8));
  assert_int_equal(forecast[CORDS_TRAFFIC_HALO].all.messages, 0);
  SupportCall(CordsModelDestroy(&model));
}

static void TestGroups(void **state)
{
  const CordsRanks ranks = {6, 2, 1, 0};
  const PetscInt images[] = {3, 3, 3, 3, 2, 2};

  for (PetscInt rank = 0; rank < 6; rank++) assert_int_equal(CordsGroupImages(&ranks, rank, 8), images[rank]);
}

static const struct CMUnitTest tests[] = {cmocka_unit_test(TestPredictedIsCounted), cmocka_unit_test(TestHaloByHand),
                                          cmocka_unit_test(TestEnd), cmocka_unit_test(TestGroups)};
SUPPORT_MAIN(tests)
