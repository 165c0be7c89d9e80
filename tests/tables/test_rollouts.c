/* Steps in time and back: against single Euler steps, and gradients against central differences. */
#include "train/rollout.h"
#include "support/networks.h"

enum { BATCH = 2, STEPS = 7 };

/* A run: image for four steps, none for three; loss = ⟨c, logits of steps 2..5⟩ + Σ_t,area w_t |r_t|²/2. */
typedef struct {
  CordsSystem system;
  CordsInput input;
  CordsRollout rollout;
  float *images;
  double *start, *state, *c, *logits;
  double observed;
  PetscBool record;
} Run;

/* How the runs of a test are made. */
static const char *way; /* of rollouts.def, or NULL */
static CordsPlan plan = {.images = BATCH + 1, .block = 2, .kept = STEPS};

enum { FIRST = 2, COUNT = 4 };
static const CordsPhase phases[2] = {{4, PETSC_TRUE}, {3, PETSC_FALSE}};

static double StepWeight(PetscInt step, PetscInt area)
{
  return 0.01 * (double)(step + 1) / (double)(area + 2);
}

static PetscErrorCode Forward(void *context, PetscInt area, PetscInt first, PetscInt count, PetscInt items,
                              const void *r)
{
  Run *run = context;
  PetscInt n = items * CordsSystemNeurons(run->system, area);

  assert_true(first >= 1 && first + count <= STEPS + 1);
  for (PetscInt t = 0; t < count; t++) {
    for (PetscInt k = 0; k < n; k++) {
      run->observed += StepWeight(first + t, area) * pow(((const double *)r)[t * n + k], 2) / 2;
    }
  }
  return PETSC_SUCCESS;
}

static PetscErrorCode Backward(void *context, PetscInt area, PetscInt first, PetscInt count, PetscInt items,
                               const void *r, void *g)
{
  Run *run = context;
  PetscInt n = items * CordsSystemNeurons(run->system, area);

  assert_true(first >= 1 && first + count <= STEPS + 1);
  for (PetscInt t = 0; t < count; t++) {
    for (PetscInt k = 0; k < n; k++) {
      ((double *)g)[t * n + k] += StepWeight(first + t, area) * ((const double *)r)[t * n + k];
    }
  }
  return PETSC_SUCCESS;
}

static void Start(Run *run, CordsModel model, PetscBool record)
{
  PetscInt neurons = CordsArchitectureNeurons(&model->architecture);

  run->record = record;
  SupportCall(CordsSystemCreate(model, CORDS_F64, &run->system));
  SupportCall(CordsSystemSetPhi(run->system, model->architecture.phi, 0.3));
  SupportCall(CordsInputCreate(run->system, BATCH, &run->input));
  SupportCall(CordsRolloutCreate(run->system, way, &plan, STEPS + 2, record, &run->rollout));
  run->images = NetworkImages(model, BATCH, 3);
  run->start = calloc(2 * (size_t)(BATCH * neurons), sizeof *run->start);
  run->state = run->start + BATCH * neurons;
  SupportFillF64(4, BATCH * neurons, run->start);
  run->c = calloc(2 * COUNT * BATCH * NETWORK_CLASSES, sizeof *run->c);
  run->logits = run->c + COUNT * BATCH * NETWORK_CLASSES;
  SupportFillF64(5, COUNT * BATCH * NETWORK_CLASSES, run->c);
}

static void End(Run *run)
{
  free(run->start);
  free(run->c);
  SupportCall(PetscFree(run->images));
  SupportCall(CordsRolloutDestroy(&run->rollout));
  SupportCall(CordsInputDestroy(&run->input));
  SupportCall(CordsSystemDestroy(&run->system));
}

static double Loss(void *context, CordsModel model)
{
  Run *run = context;
  PetscInt neurons = CordsArchitectureNeurons(&model->architecture);
  CordsObserver observer = {.context = run, .forward = Forward};
  PetscBool record = run->record;

  SupportCall(CordsSystemUpdate(run->system));
  SupportCall(CordsInputSet(run->input, run->images));
  memcpy(run->state, run->start, (size_t)(BATCH * neurons) * sizeof(double));
  run->observed = 0;
  SupportCall(CordsRolloutForward(run->rollout, BATCH, run->input, 2, phases, record, run->state, &observer));
  SupportCall(CordsRolloutLogits(run->rollout, FIRST, COUNT, run->logits));
  return run->observed + NetworkDot(CORDS_F64, COUNT * BATCH * NETWORK_CLASSES, run->c, run->logits);
}

static void Gradient(Run *run, CordsModel model, float *gradient)
{
  CordsObserver observer = {.context = run, .backward = Backward};

  memset(gradient, 0, (size_t)model->learnable_values * sizeof(float));
  Loss(run, model);
  SupportCall(CordsSystemZeroGradient(run->system));
  SupportCall(CordsRolloutBackward(run->rollout, FIRST, COUNT, run->c, &observer));
  SupportCall(CordsInputGradient(run->input));
  SupportCall(CordsSystemAddGradient(run->system, gradient));
}

/* float32 parameters and gradients: 1e-5 leaves room for the rounding of the sum over a tensor.  Kinks of relu are
   crossed by few neurons at this step length, none in these runs. */
static void TestGradient(void **state)
{
  for (int k = 0; k < NETWORK_COUNT; k++) {
    for (int p = 0; p < CORDS_PHI_COUNT; p++) {
      CordsModel model = NetworkModel(network_texts[k], CordsPhiNames[p], CORDS_FORM_RECURRENT);
      float *gradient = calloc((size_t)model->learnable_values, sizeof *gradient);
      Run run = {0};
      Start(&run, model, PETSC_TRUE);
      Gradient(&run, model, gradient);
      NetworkCheckGradient(model, gradient, Loss, &run, 1e-5, 1e-5);
      free(gradient);
      End(&run);
      SupportCall(CordsModelDestroy(&model));
    }
  }
}

/* A second gradient after another run is the same as the first: nothing is left over. */
static void TestGradientAgain(void **state)
{
  CordsModel model = NetworkModel(NETWORK_BARE, "tanh", CORDS_FORM_RECURRENT);
  float *gradients = calloc(2 * (size_t)model->learnable_values, sizeof *gradients);
  Run run = {0};

  Start(&run, model, PETSC_TRUE);
  for (int k = 0; k < 2; k++) Gradient(&run, model, gradients + k * model->learnable_values);
  assert_memory_equal(gradients, gradients + model->learnable_values, (size_t)model->learnable_values * sizeof(float));
  free(gradients);
  End(&run);
  SupportCall(CordsModelDestroy(&model));
}

/* Explicit Euler by the whole right-hand side, one step at a time; an area has its own α. */
static void Euler(Run *run, CordsModel model, double *state)
{
  PetscInt neurons = CordsArchitectureNeurons(&model->architecture);
  double *rhs = calloc(2 * (size_t)(BATCH * neurons), sizeof *rhs);

  for (int t = 0; t < STEPS; t++) {
    CordsInput input = t < phases[0].steps ? run->input : NULL;
    if (input) {
      SupportCall(CordsSystemRhs(run->system, input, state, rhs));
    }
    for (PetscInt k = 0; k < BATCH && !input; k++) { /* without input it is for one item: copy it out and back */
      double *one = rhs + BATCH * neurons;
      double *out = calloc((size_t)neurons, sizeof *out);
      for (PetscInt i = 0; i < model->architecture.area_count; i++) {
        PetscInt n = CordsSystemNeurons(run->system, i);
        memcpy(one + CordsSystemOffset(run->system, i), (double *)CordsSystemArea(run->system, BATCH, state, i) + k * n,
               (size_t)n * sizeof(double));
      }
      SupportCall(CordsSystemRhs(run->system, NULL, one, out));
      for (PetscInt i = 0; i < model->architecture.area_count; i++) {
        PetscInt n = CordsSystemNeurons(run->system, i);
        memcpy((double *)CordsSystemArea(run->system, BATCH, rhs, i) + k * n, out + CordsSystemOffset(run->system, i),
               (size_t)n * sizeof(double));
      }
      free(out);
    }
    for (PetscInt i = 0; i < model->architecture.area_count; i++) {
      double alpha = CordsArchitectureAlpha(&model->architecture, i);
      double *r = CordsSystemArea(run->system, BATCH, state, i);
      const double *f = CordsSystemArea(run->system, BATCH, rhs, i);
      for (PetscInt j = 0; j < BATCH * CordsSystemNeurons(run->system, i); j++) r[j] += alpha * f[j];
    }
  }
  free(rhs);
}

static void TestEuler(void **state)
{
  for (int k = 0; k < NETWORK_COUNT; k++) {
    CordsModel model = NetworkModel(network_texts[k], "softplus", CORDS_FORM_RECURRENT);
    PetscInt neurons = CordsArchitectureNeurons(&model->architecture);
    double *expected = calloc((size_t)(BATCH * neurons), sizeof *expected);
    Run run = {0};
    Start(&run, model, PETSC_FALSE);
    memcpy(expected, run.start, (size_t)(BATCH * neurons) * sizeof(double));
    Loss(&run, model);
    Euler(&run, model, expected);
    SupportCompareF64("state after the run", BATCH * neurons, run.state, expected, 1e-13);
    free(expected);
    End(&run);
    SupportCall(CordsModelDestroy(&model));
  }
}

/* Recorded or not, in one run or in pieces of one step: the same numbers, and the same logits at every step. */
static void TestPieces(void **state)
{
  CordsModel model = NetworkModel(NETWORK_STEM, "relu", CORDS_FORM_RECURRENT);
  PetscInt neurons = CordsArchitectureNeurons(&model->architecture);
  Run run = {0}, recorded = {0}, piece = {0};
  double logits[STEPS * BATCH * NETWORK_CLASSES], one[BATCH * NETWORK_CLASSES];
  double a, b;

  Start(&run, model, PETSC_FALSE);
  Start(&recorded, model, PETSC_TRUE);
  Start(&piece, model, PETSC_FALSE);
  a = Loss(&run, model);
  b = Loss(&recorded, model);
  assert_float_equal(a, b, 1e-13 * fabs(a)); /* in blocks of other lengths */
  SupportCompareF64("state", BATCH * neurons, run.state, recorded.state, 1e-13);
  SupportCall(CordsRolloutLogits(run.rollout, 0, STEPS, logits));
  SupportCall(CordsInputSet(piece.input, piece.images));
  for (PetscInt t = 0; t < STEPS; t++) {
    CordsPhase step = {1, (PetscBool)(t < phases[0].steps)};
    SupportCall(CordsRolloutForward(piece.rollout, BATCH, piece.input, 1, &step, PETSC_FALSE, piece.start, NULL));
    SupportCall(CordsRolloutLogits(piece.rollout, 0, 1, one));
    SupportCompareF64("logits of a step", BATCH * NETWORK_CLASSES, logits + t * BATCH * NETWORK_CLASSES, one, 1e-13);
  }
  SupportCompareF64("state after single steps", BATCH * neurons, run.state, piece.start, 1e-13);
  End(&run);
  End(&recorded);
  End(&piece);
  SupportCall(CordsModelDestroy(&model));
}

/* The spontaneous state is that of any item of a batch run without image from zero. */
static void TestSpontaneous(void **state)
{
  CordsModel model = NetworkModel(NETWORK_BARE, "relu", CORDS_FORM_RECURRENT);
  PetscInt neurons = CordsArchitectureNeurons(&model->architecture);
  CordsPhase phase = {STEPS, PETSC_FALSE};
  double *one = calloc((size_t)neurons, sizeof *one), *copies = calloc((size_t)(BATCH * neurons), sizeof *copies), size;
  Run run = {0};

  Start(&run, model, PETSC_FALSE);
  memset(run.state, 0, (size_t)(BATCH * neurons) * sizeof(double));
  SupportCall(CordsRolloutForward(run.rollout, BATCH, NULL, 1, &phase, PETSC_FALSE, run.state, NULL));
  size = NetworkDot(CORDS_F64, (size_t)(BATCH * neurons), run.state, run.state);
  assert_true(size > 0.1);
  SupportFillF64(9, neurons, one); /* to be overwritten */
  SupportCall(CordsRolloutSpontaneous(run.rollout, STEPS, one));
  CordsSystemRepeat(run.system, BATCH, one, copies);
  SupportCompareF64("spontaneous state", BATCH * neurons, copies, run.state, 1e-13);
  SupportCall(CordsRolloutSpontaneous(run.rollout, 0, one));
  for (PetscInt k = 0; k < neurons; k++) assert_true(one[k] == 0);
  free(one);
  free(copies);
  End(&run);
  SupportCall(CordsModelDestroy(&model));
}

/* Loss, end state and gradient with one way and plan. */
static double Result(CordsModel model, double *end, float *gradient)
{
  PetscInt neurons = CordsArchitectureNeurons(&model->architecture);
  Run run = {0};
  double loss;

  Start(&run, model, PETSC_TRUE);
  Gradient(&run, model, gradient);
  loss = run.observed + NetworkDot(CORDS_F64, COUNT * BATCH * NETWORK_CLASSES, run.c, run.logits);
  memcpy(end, run.state, (size_t)(BATCH * neurons) * sizeof(double));
  End(&run);
  return loss;
}

/* Every block length and number of kept steps gives what the reference gives. */
static void TestPlans(void **state)
{
  static const char *const phis[] = {"relu", "prelu", "identity"};
  static const CordsPlan plans[] = {{BATCH, 1, 0},
                                    {BATCH, 1, STEPS},
                                    {BATCH, 2, 0},
                                    {BATCH, 3, 4},
                                    {BATCH, 4, 1},
                                    {BATCH, STEPS, 0},
                                    {BATCH + 1, STEPS + 5, STEPS}};

  for (int k = 0; k < NETWORK_COUNT; k++) {
    for (size_t f = 0; f < PETSC_STATIC_ARRAY_LENGTH(phis); f++) {
      CordsModel model = NetworkModel(network_texts[k], phis[f], CORDS_FORM_RECURRENT);
      PetscInt neurons = CordsArchitectureNeurons(&model->architecture), values = model->learnable_values;
      double *ends = calloc(2 * (size_t)(BATCH * neurons), sizeof *ends), expected;
      float *gradients = calloc(2 * (size_t)values, sizeof *gradients);
      way = "reference";
      expected = Result(model, ends, gradients);
      way = "fused";
      for (size_t p = 0; p < PETSC_STATIC_ARRAY_LENGTH(plans); p++) {
        plan = plans[p];
        assert_float_equal(Result(model, ends + BATCH * neurons, gradients + values), expected, 1e-12 * fabs(expected));
        SupportCompareF64("end state", BATCH * neurons, ends + BATCH * neurons, ends, 1e-13);
        SupportCompareF32("gradient", values, gradients + values, gradients, 1e-6);
      }
      way = NULL;
      free(ends);
      free(gradients);
      SupportCall(CordsModelDestroy(&model));
    }
  }
}

/* bfloat16: 8 bits of precision in every product; sums, running states and gradients stay close to those of float32. */
static void TestBf16(void **state)
{
  CordsModel model = NetworkModel(NETWORK_STEM, "relu", CORDS_FORM_RECURRENT);
  PetscInt neurons = CordsArchitectureNeurons(&model->architecture), values = model->learnable_values;
  static const CordsType types[2] = {CORDS_F32, CORDS_BF16};
  CordsPlan small = {.images = BATCH, .block = 3, .kept = 4};
  float *images = NetworkImages(model, BATCH, 3), *ends[2], *gradients[2], c[COUNT * BATCH * NETWORK_CLASSES];

  SupportFillF32(5, COUNT * BATCH * NETWORK_CLASSES, c);
  for (int k = 0; k < 2; k++) {
    CordsSystem system;
    CordsInput input;
    CordsRollout rollout;
    ends[k] = calloc((size_t)(BATCH * neurons), sizeof *ends[k]);
    gradients[k] = calloc((size_t)values, sizeof *gradients[k]);
    SupportCall(CordsSystemCreate(model, types[k], &system));
    SupportCall(CordsInputCreate(system, BATCH, &input));
    SupportCall(CordsInputSet(input, images));
    SupportCall(CordsRolloutCreate(system, NULL, &small, STEPS, PETSC_TRUE, &rollout));
    SupportCall(CordsRolloutForward(rollout, BATCH, input, 2, phases, PETSC_TRUE, ends[k], NULL));
    SupportCall(CordsRolloutBackward(rollout, FIRST, COUNT, c, NULL));
    SupportCall(CordsInputGradient(input));
    SupportCall(CordsSystemAddGradient(system, gradients[k]));
    SupportCall(CordsRolloutDestroy(&rollout));
    SupportCall(CordsInputDestroy(&input));
    SupportCall(CordsSystemDestroy(&system));
  }
  SupportCompareF32("bf16 end state", BATCH * neurons, ends[1], ends[0], 2e-2);
  SupportCompareF32("bf16 gradient", values, gradients[1], gradients[0], 4e-2);
  for (int k = 0; k < 2; k++) free(ends[k]), free(gradients[k]);
  SupportCall(PetscFree(images));
  SupportCall(CordsModelDestroy(&model));
}

static const struct CMUnitTest tests[] = {cmocka_unit_test(TestGradient),    cmocka_unit_test(TestGradientAgain),
                                          cmocka_unit_test(TestEuler),       cmocka_unit_test(TestPieces),
                                          cmocka_unit_test(TestSpontaneous), cmocka_unit_test(TestPlans),
                                          cmocka_unit_test(TestBf16)};
SUPPORT_MAIN(tests)
