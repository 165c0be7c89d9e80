/* The gradient through the equilibrium, in float64: against central differences of a loss that is written out here once
   more, with a steady state found by plain iteration; against long backpropagation through time; on any number of
   ranks; and what does not settle is counted. */
/* RANKS 1 2 4 */
#include "train/equilibrium.h"
#include "core/reduce.h"
#include "train/objective.h"
#include "train/rollout.h"
#include "support/domain.h"
#include "support/runs.h"

enum { BATCH = 3 };

/* A loss and what it is a function of. */
typedef struct {
  CordsSystem system;
  CordsInput input;
  CordsEquilibriumSettings settings;
  double *state;    /* of the batch */
  double *baseline; /* of one item; a constant */
  float *images, labels[BATCH * NETWORK_CLASSES];
} Loss;

/* A network that settles: W a third of its usual size. */
static CordsModel Network(const char *body, const char *phi)
{
  CordsModel model = NetworkModel(body, phi, CORDS_FORM_RECURRENT);

  for (PetscInt i = 0; i < model->architecture.area_count; i++) {
    CordsTensor *g = &model->tensors[CordsModelConnectionTensor(model, model->architecture.recurrent[i])];
    for (PetscInt k = 0; k < CordsTensorSize(g); k++) g->data[k] *= 0.35F;
  }
  return model;
}

static CordsStageSettings Settings(double transient_weight)
{
  CordsStageSettings settings;

  SupportCall(CordsStageSettingsDefault(4, &settings));
  settings.equilibrium =
      (CordsEquilibriumSettings){.solver = {.tolerance = 1e-13, .adjoint_tolerance = 1e-11, .steps = 5},
                                 .transient_weight = transient_weight,
                                 .transient_steps = 3,
                                 .transient_step = 0.7};
  return settings;
}

static void FillLabels(float labels[BATCH * NETWORK_CLASSES])
{
  memset(labels, 0, BATCH * NETWORK_CLASSES * sizeof *labels);
  for (int k = 0; k < BATCH; k++) {
    labels[k * NETWORK_CLASSES + k] = 0.75F;
    labels[k * NETWORK_CLASSES + 4] = 0.25F;
  }
}

/* Part of area i in a state of `items` items; NULL below the first. */
static double *Part(Loss *loss, PetscInt items, double *state, PetscInt i)
{
  return i < 0 ? NULL : CordsSystemArea(loss->system, items, state, i);
}

/* state ← steady state, area by area, by damped iteration. */
static void Settle(Loss *loss, CordsInput input, PetscInt items, double *state, double *z, double *work, double *f)
{
  for (PetscInt i = 0; i < CordsSystemModel(loss->system)->architecture.area_count; i++) {
    PetscInt n = items * CordsSystemNeurons(loss->system, i);
    double *r = Part(loss, items, state, i);
    SupportCall(CordsSystemDrive(loss->system, i, items, CORDS_STATES_ANY, input, Part(loss, items, state, i - 1),
                                 Part(loss, items, state, i - 2), z));
    memset(r, 0, (size_t)n * sizeof *r);
    for (int t = 0; t < 300; t++) {
      SupportCall(CordsSystemResidual(loss->system, i, items, z, r, work, f));
      for (PetscInt k = 0; k < n; k++) r[k] += 0.7 * f[k];
    }
  }
}

/* |s − r|² / |r|² summed over the batch, s after the transient's steps with the drive z. */
static double Transient(Loss *loss, PetscInt i, const double *z, double *s, double *work, double *f)
{
  PetscInt n = CordsSystemNeurons(loss->system, i);
  const double *r = Part(loss, BATCH, loss->state, i);
  double sum = 0;

  for (PetscInt k = 0; k < BATCH; k++) {
    memcpy(s + k * n, Part(loss, 1, loss->baseline, i), (size_t)n * sizeof *s);
  }
  for (PetscInt t = 0; t < loss->settings.transient_steps; t++) {
    SupportCall(CordsSystemResidual(loss->system, i, BATCH, z, s, work, f));
    for (PetscInt k = 0; k < BATCH * n; k++) s[k] += (double)loss->settings.transient_step * f[k];
  }
  for (PetscInt k = 0; k < BATCH; k++) {
    double distance = 0, size = 0;
    for (PetscInt j = k * n; j < (k + 1) * n; j++) distance += pow(s[j] - r[j], 2), size += pow(r[j], 2);
    sum += distance / size;
  }
  return sum;
}

static double Evaluate(void *context, CordsModel model)
{
  Loss *loss = context;
  const CordsArchitecture *a = &model->architecture;
  PetscInt neurons = BATCH * CordsArchitectureNeurons(a), last = a->area_count - 1;
  double *z = calloc(4 * (size_t)neurons, sizeof *z), features[BATCH * 8], logits[BATCH * NETWORK_CLASSES];
  double value = 0, accuracy = 0, transient = 0;

  SupportCall(CordsSystemUpdate(loss->system));
  SupportCall(CordsInputSet(loss->input, loss->images));
  Settle(loss, loss->input, BATCH, loss->state, z, z + neurons, z + 2 * neurons);
  for (PetscInt i = 0; i <= last && loss->settings.transient_weight > 0; i++) {
    SupportCall(CordsSystemDrive(loss->system, i, BATCH, CORDS_STATES_ANY, loss->input,
                                 Part(loss, BATCH, loss->state, i - 1), Part(loss, BATCH, loss->state, i - 2), z));
    transient += Transient(loss, i, z, z + neurons, z + 2 * neurons, z + 3 * neurons);
  }
  SupportCall(CordsSystemFeatures(loss->system, BATCH, Part(loss, BATCH, loss->state, last),
                                  Part(loss, BATCH, loss->state, last - 1), features));
  SupportCall(CordsSystemLogits(loss->system, BATCH, features, logits));
  CordsCrossEntropy(CORDS_F64, BATCH, NETWORK_CLASSES, logits, loss->labels, BATCH, 1, &value, &accuracy, NULL);
  free(z);
  return value + (double)loss->settings.transient_weight * transient / (double)(BATCH * a->area_count);
}

static void LossStart(Loss *loss, CordsModel model, const CordsStageSettings *settings)
{
  PetscInt neurons = CordsArchitectureNeurons(&model->architecture);
  double *work = calloc(3 * (size_t)neurons, sizeof *work);

  loss->settings = settings->equilibrium;
  SupportCall(CordsSystemCreate(model, CORDS_F64, &loss->system));
  SupportCall(CordsSystemSetPhi(loss->system, model->architecture.phi, 0.3));
  SupportCall(CordsInputCreate(loss->system, BATCH, &loss->input));
  loss->images = NetworkImages(model, BATCH, 3);
  loss->state = calloc((size_t)(BATCH * neurons), sizeof *loss->state);
  loss->baseline = calloc((size_t)neurons, sizeof *loss->baseline);
  FillLabels(loss->labels);
  Settle(loss, NULL, 1, loss->baseline, work, work + neurons, work + 2 * neurons);
  free(work);
}

static void LossEnd(Loss *loss)
{
  SupportCall(PetscFree(loss->images));
  free(loss->state);
  free(loss->baseline);
  SupportCall(CordsInputDestroy(&loss->input));
  SupportCall(CordsSystemDestroy(&loss->system));
}

/* The gradient of a batch, the images of this rank's group being `first` ... `first + n − 1` of it. */
static CordsMetrics GradientOf(CordsContext context, CordsModel model, const CordsStageSettings *settings,
                               const Loss *loss, PetscInt first, PetscInt n, float *gradient)
{
  CordsEquilibrium equilibrium;
  CordsMetrics metrics = {0};

  SupportCall(CordsEquilibriumCreate(context, model, settings, n, CORDS_F64, &equilibrium));
  SupportCall(CordsEquilibriumSetPhi(equilibrium, model->architecture.phi, 0.3));
  for (int again = 0; again < 2; again++) { /* nothing is left over from the first time */
    memset(gradient, 0, (size_t)model->learnable_values * sizeof *gradient);
    memset(&metrics, 0, sizeof metrics);
    SupportCall(CordsEquilibriumGradient(equilibrium, n, BATCH, loss->images + first * NetworkImageSize(model),
                                         loss->labels + first * NETWORK_CLASSES, gradient, &metrics));
  }
  SupportCall(CordsEquilibriumDestroy(&equilibrium));
  return metrics;
}

static CordsMetrics Gradient(CordsModel model, const CordsStageSettings *settings, const Loss *loss, PetscInt first,
                             PetscInt n, float *gradient)
{
  return GradientOf(CordsContextSelf(), model, settings, loss, first, n, gradient);
}

/* What has nothing to do with ranks is tested on one. */
static void OnOneRank(void)
{
  if (support_context.size > 1) skip();
}

/* The step is short, so that no neuron passes a kink of relu. */
static void TestDifferences(void **state)
{
  OnOneRank();
  for (int k = 0; k < NETWORK_COUNT; k++) {
    for (int p = 0; p < CORDS_PHI_COUNT; p++) {
      for (int with = 0; with < 2; with++) {
        CordsModel model = Network(network_texts[k], CordsPhiNames[p]);
        CordsStageSettings settings = Settings(with ? 0.8 : 0);
        float *gradient = calloc((size_t)model->learnable_values, sizeof *gradient);
        CordsMetrics metrics;
        Loss loss;
        LossStart(&loss, model, &settings);
        metrics = Gradient(model, &settings, &loss, 0, BATCH, gradient);
        NetworkClose("loss", metrics.loss, Evaluate(&loss, model), 1, 1e-12);
        assert_true(metrics.unsettled == 0 && metrics.forward_products > 0 && metrics.adjoint_products > 0);
        NetworkCheckGradient(model, gradient, Evaluate, &loss, 3e-6, 1e-5);
        LossEnd(&loss);
        free(gradient);
        SupportCall(CordsModelDestroy(&model));
      }
    }
  }
}

/* Back through so many steps that the state has settled and its gradient, too. */
static void TimeGradient(CordsModel model, Loss *loss, float *gradient)
{
  enum { STEPS = 900 };
  const CordsPlan plan = {.images = BATCH, .block = STEPS, .kept = STEPS};
  const CordsPhase phase = {STEPS, PETSC_TRUE};
  double logits[BATCH * NETWORK_CLASSES], value = 0, accuracy = 0;
  CordsRollout rollout;

  SupportCall(CordsRolloutCreate(loss->system, NULL, &plan, STEPS, PETSC_TRUE, &rollout));
  SupportCall(CordsInputSet(loss->input, loss->images));
  memset(loss->state, 0, (size_t)(BATCH * CordsArchitectureNeurons(&model->architecture)) * sizeof *loss->state);
  SupportCall(CordsRolloutForward(rollout, BATCH, loss->input, 1, &phase, PETSC_TRUE, loss->state, NULL));
  SupportCall(CordsRolloutLogits(rollout, STEPS - 1, 1, logits));
  CordsCrossEntropy(CORDS_F64, BATCH, NETWORK_CLASSES, logits, loss->labels, BATCH, 1, &value, &accuracy, logits);
  SupportCall(CordsSystemZeroGradient(loss->system));
  SupportCall(CordsRolloutBackward(rollout, STEPS - 1, 1, logits, NULL));
  SupportCall(CordsInputGradient(loss->input));
  SupportCall(CordsSystemAddGradient(loss->system, gradient));
  SupportCall(CordsRolloutDestroy(&rollout));
}

static void TestThroughTime(void **state)
{
  OnOneRank();
  const char *const phis[] = {"relu", "tanh"};

  for (int p = 0; p < 2; p++) {
    CordsModel model = Network(NETWORK_STEM, phis[p]);
    CordsStageSettings settings = Settings(0);
    float *gradient = calloc(2 * (size_t)model->learnable_values, sizeof *gradient);
    Loss loss;
    LossStart(&loss, model, &settings);
    Gradient(model, &settings, &loss, 0, BATCH, gradient);
    TimeGradient(model, &loss, gradient + model->learnable_values);
    SupportCompareF32("gradient", model->learnable_values, gradient, gradient + model->learnable_values, 1e-6);
    LossEnd(&loss);
    free(gradient);
    SupportCall(CordsModelDestroy(&model));
  }
}

/* The images of a batch on one rank or on all of them, some without any: the same sums, at tolerances that leave most
   of the error to the solvers, because their iterations are the same. */
static void TestRanks(void **state)
{
  CordsModel model = Network(NETWORK_STEM, "relu");
  CordsStageSettings settings = Settings(0.8);
  float *gradient = calloc(2 * (size_t)model->learnable_values, sizeof *gradient),
        *sum = gradient + model->learnable_values;
  PetscInt size = support_context.size, rank = support_context.rank;
  PetscInt first = rank * BATCH / size, n = (rank + 1) * BATCH / size - first;
  CordsMetrics whole, part;
  double losses[2];
  Loss loss;

  settings.equilibrium.solver = (CordsSteadyStateSettings){.tolerance = 1e-3, .adjoint_tolerance = 1e-2, .steps = 1};
  LossStart(&loss, model, &settings);
  whole = Gradient(model, &settings, &loss, 0, BATCH, gradient);
  part = Gradient(model, &settings, &loss, first, n, sum);
  losses[0] = part.loss;
  losses[1] = part.forward_products + part.adjoint_products;
  MPI_Allreduce(MPI_IN_PLACE, losses, 2, MPI_DOUBLE, MPI_SUM, support_context.comm);
  MPI_Allreduce(MPI_IN_PLACE, sum, model->learnable_values, MPI_FLOAT, MPI_SUM, support_context.comm);
  NetworkClose("loss", losses[0], whole.loss, 1, 1e-12);
  NetworkClose("products", losses[1], whole.forward_products + whole.adjoint_products, 1, 1e-12);
  SupportCompareF32("gradient", model->learnable_values, sum, gradient, 1e-6);
  LossEnd(&loss);
  free(gradient);
  SupportCall(CordsModelDestroy(&model));
}

/* Images that are cut over all ranks, by relaxation and by Newton's method and GMRES. */
static void CheckCut(CordsContext context, CordsModel model, const CordsStageSettings *settings)
{
  float *gradient = calloc(2 * (size_t)model->learnable_values, sizeof *gradient),
        *sum = gradient + model->learnable_values;
  CordsMetrics whole, part;
  Loss loss;

  LossStart(&loss, model, settings);
  whole = Gradient(model, settings, &loss, 0, BATCH, gradient);
  part = GradientOf(context, model, settings, &loss, 0, BATCH, sum);
  SupportCall(CordsReduceSumF64(context, CORDS_METRICS_COUNT, (double *)&part));
  SupportCall(CordsReduceSumF32(context, model->learnable_values, sum));
  NetworkClose("loss", part.loss, whole.loss, 1, 1e-12);
  NetworkClose("accuracy", part.accuracy, whole.accuracy, 1, 1e-12);
  NetworkClose("transient", part.transient, whole.transient, 1, 1e-12);
  NetworkClose("unsettled", part.unsettled, whole.unsettled, 1, 1e-12);
  NetworkClose("products", part.forward_products + part.adjoint_products,
               whole.forward_products + whole.adjoint_products, 1, 2); /* one iteration at the edge of a tolerance */
  SupportCompareF32("gradient", model->learnable_values, sum, gradient, 1e-6);
  LossEnd(&loss);
  free(gradient);
}

static void TestCut(void **state)
{
  for (int k = 0; k < NETWORK_COUNT; k++) {
    CordsModel model = Network(network_texts[k], k == 0 ? "relu" : "tanh");
    CordsStageSettings settings = Settings(0.8);
    SUPPORT_FOR_GRIDS(rows)
    {
      const CordsContextData context = SupportDomain(rows);
      for (settings.equilibrium.solver.steps = 0; settings.equilibrium.solver.steps < 10;
           settings.equilibrium.solver.steps += 8)
        CheckCut(&context, model, &settings);
    }
    SupportCall(CordsModelDestroy(&model));
  }
}

/* A network without a stable state, and a solver that may not do much: images are counted, the gradient is finite. */
static void TestUnsettled(void **state)
{
  OnOneRank();
  CordsModel model = Network(NETWORK_STEM, "tanh");
  CordsStageSettings settings = Settings(1);
  float *gradient = calloc((size_t)model->learnable_values, sizeof *gradient);
  CordsMetrics metrics;
  Loss loss;

  for (PetscInt i = 0; i < model->architecture.area_count; i++) {
    CordsTensor *g = &model->tensors[CordsModelConnectionTensor(model, model->architecture.recurrent[i])];
    for (PetscInt k = 0; k < CordsTensorSize(g); k++) g->data[k] *= -40;
  }
  LossStart(&loss, model, &settings);
  SupportCall(PetscOptionsSetValue(NULL, "-equilibrium_snes_max_it", "1"));
  metrics = Gradient(model, &settings, &loss, 0, BATCH, gradient);
  SupportCall(PetscOptionsClearValue(NULL, "-equilibrium_snes_max_it"));
  NetworkClose("unsettled", metrics.unsettled, 1, 1, 1e-12);
  assert_true(isfinite(metrics.loss) && metrics.transient > 0.01);
  for (PetscInt k = 0; k < model->learnable_values; k++) assert_true(isfinite(gradient[k]));
  LossEnd(&loss);
  free(gradient);
  SupportCall(CordsModelDestroy(&model));
}

/* Stages 3 to 5 learn this way: forty updates of one batch, the loss falls, and a second time to the same bits. */
static void TestStages(void **state)
{
  enum { UPDATES = 40 };

  for (PetscInt index = 2; index <= 4; index++) {
    CordsModel previous = Network(NETWORK_STEM, "relu");
    CordsStageSettings settings;
    double first[2] = {0}, last[2] = {0};
    SupportCall(CordsStageSettingsDefault(index, &settings));
    settings.gradient = CORDS_GRADIENT_EQUILIBRIUM;
    settings.learning_rate = 0.003;
    for (int again = 0; again < 2; again++) {
      float *gradient, *images, labels[BATCH * NETWORK_CLASSES];
      CordsOptimizer optimizer;
      CordsMetrics metrics;
      CordsStage stage;
      double norm;
      SupportCall(CordsStageCreate(&support_context, index, &settings, &previous->architecture, BATCH, previous,
                                   PETSC_FALSE, &stage));
      SupportCall(CordsStageOptimizer(stage, &optimizer));
      gradient = calloc((size_t)previous->learnable_values, sizeof *gradient);
      images = NetworkImages(previous, BATCH, 3);
      FillLabels(labels);
      for (int k = 0; k < UPDATES; k++) {
        SupportCall(CordsStageGradient(stage, 1, BATCH, BATCH, images, labels, gradient, &metrics));
        SupportCall(CordsOptimizerStep(optimizer, (double)settings.learning_rate, gradient, &norm));
        assert_true(isfinite(norm) && metrics.unsettled < 0.5);
        if (k == 0) first[again] = metrics.loss;
        last[again] = metrics.loss;
      }
      assert_true(last[again] < 0.9 * first[again]);
      free(gradient);
      SupportCall(PetscFree(images));
      SupportCall(CordsOptimizerDestroy(&optimizer));
      SupportCall(CordsStageDestroy(&stage));
    }
    assert_true(first[0] == first[1] && last[0] == last[1]);
    SupportCall(CordsModelDestroy(&previous));
  }
}

/* A whole run, on all ranks: in one piece or continued from its checkpoint, to the same bits. */
static void TestRestart(void **state)
{
  CordsDataset dataset = RunDataset(&support_context, CORDS_SPLIT_TRAIN);
  CordsModel models[2];
  PetscBool stopped;

  for (int pieces = 1; pieces <= 2; pieces++) {
    char path[PETSC_MAX_PATH_LEN];
    CordsRun run;
    for (PetscInt epochs = 3 - pieces; epochs <= 2; epochs++) {
      RunMake(pieces == 1 ? "whole" : "pieces", epochs, &run);
      run.settings[0] = run.settings[4];
      run.settings[0].gradient = CORDS_GRADIENT_EQUILIBRIUM;
      run.stages[0] = 4;
      run.stage_count = 1;
      SupportCall(CordsTrain(&support_context, &run, dataset, &stopped));
      assert_false(stopped);
    }
    snprintf(path, sizeof path, "%s/model.h5", run.output);
    SupportCall(CordsModelLoad(&support_context, path, &models[pieces - 1]));
  }
  assert_memory_equal(models[0]->values, models[1]->values, (size_t)models[0]->value_count * sizeof(float));
  for (int k = 0; k < 2; k++) SupportCall(CordsModelDestroy(&models[k]));
  SupportCall(CordsDatasetDestroy(&dataset));
}

/* Maps of many pixels, so that an image more or less is megabytes. */
static const char large[] = "  image_rows: 64\n  image_columns: 64\n  stem_kernel: 0\n  pool_kernel: 0\n"
                            "  channels: [16, 16, 16]\n  strides: [1, 2, 1]\n";

/* The number after a word of a text. */
static double After(const char *text, const char *word)
{
  const char *place = strstr(text, word);

  assert_non_null(place);
  return strtod(place + strlen(word), NULL);
}

/* The gradient of a batch in float32 under a limit (bytes); images at a time. */
static PetscInt Limited(CordsModel model, double limit, PetscInt batch, const float *images, const float *labels,
                        float *gradient)
{
  CordsStageSettings settings = Settings(1);
  CordsEquilibrium equilibrium;
  CordsMetrics metrics = {0};
  PetscInt together;
  char *text;

  settings.equilibrium.solver = (CordsSteadyStateSettings){.tolerance = 1e-3, .adjoint_tolerance = 1e-2, .steps = 3};
  settings.rollout.memory_limit_bytes = limit;
  SupportCall(CordsEquilibriumCreate(CordsContextSelf(), model, &settings, batch, CORDS_F32, &equilibrium));
  SupportCall(CordsEquilibriumDescribe(equilibrium, &text));
  together = (PetscInt)After(text, "memory: ");
  if (limit > 0) assert_true(After(text, "steps: ") <= limit / 1e6);
  memset(gradient, 0, (size_t)model->learnable_values * sizeof *gradient);
  SupportCall(CordsEquilibriumGradient(equilibrium, batch, batch, images, labels, gradient, &metrics));
  assert_true(isfinite(metrics.loss) && metrics.transient > 0);
  SupportCall(PetscFree(text));
  SupportCall(CordsEquilibriumDestroy(&equilibrium));
  return together;
}

static PetscErrorCode TooSmall(CordsModel model, PetscInt batch)
{
  CordsStageSettings settings = Settings(1);
  CordsEquilibrium equilibrium;

  settings.rollout.memory_limit_bytes = 1e6;
  return CordsEquilibriumCreate(CordsContextSelf(), model, &settings, batch, CORDS_F32, &equilibrium);
}

/* Fewer images at a time where memory is short, down to one; below that the sentence says what it needs.  The gradient
   is the same, though the solvers are asked for little. */
static void TestMemoryLimit(void **state)
{
  OnOneRank();
  enum { IMAGES = 5 };
  CordsModel model = Network(large, "relu");
  float *images = NetworkImages(model, IMAGES, 3), labels[IMAGES * NETWORK_CLASSES] = {0};
  float *free_of_limit = calloc(2 * (size_t)model->learnable_values, sizeof *free_of_limit);
  float *gradient = free_of_limit + model->learnable_values;
  PetscInt together = 0, before;

  for (PetscInt k = 0; k < IMAGES; k++) labels[k * NETWORK_CLASSES + k % NETWORK_CLASSES] = 1;
  before = Limited(model, 0, IMAGES, images, labels, free_of_limit);
  assert_true(before > 1);
  assert_non_null(strstr(SupportExpectUserError(TooSmall(model, IMAGES)), "-memory_limit 1MB"));
  for (int more = 20; more >= 0; more -= 4) {
    double least = 1e6 * After(SupportExpectUserError(TooSmall(model, IMAGES)), "at least ");
    together = Limited(model, least + 3e6 + 1e6 * more, IMAGES, images, labels, gradient);
    assert_true(together <= before);
    SupportCompareF32("gradient", model->learnable_values, gradient, free_of_limit, 1e-6);
    before = together;
  }
  assert_int_equal(together, 1);
  SupportCall(PetscFree(images));
  free(free_of_limit);
  SupportCall(CordsModelDestroy(&model));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(TestDifferences), cmocka_unit_test(TestThroughTime), cmocka_unit_test(TestRanks),
    cmocka_unit_test(TestCut),         cmocka_unit_test(TestUnsettled),   cmocka_unit_test(TestStages),
    cmocka_unit_test(TestRestart),     cmocka_unit_test(TestMemoryLimit),
};

SUPPORT_MAIN(tests)
