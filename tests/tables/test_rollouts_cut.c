/* RANKS 2 4 6
   Every way to run steps in time gives the same states, logits and gradients whether images are whole or cut over
   ranks: every grid of all ranks, and groups of ranks that share a batch; areas of 57 × 43 and 7 × 7, some smaller than
   the grid; in float64 to 1e-13, in float32 to 1e-6. */
#include "conv/pointwise.h"
#include "core/box.h"
#include "core/reduce.h"
#include "train/rollout.h"

#include "support/domain.h"
#include "support/networks.h"

enum { BATCH = 3, STEPS = 7, FIRST = 2, COUNT = 4 };

static const CordsPhase phases[2] = {{4, PETSC_TRUE}, {3, PETSC_FALSE}};
/* On the way back some states are kept and some computed again. */
static const CordsPlan plan = {.images = BATCH, .block = 2, .kept = 3};

/* Areas of 57 × 43 and 29 × 22. */
#define NETWORK_LARGE                                                                                                  \
  "  image_rows: 114\n  image_columns: 86\n  stem_kernel: 3\n  stem_channels: 2\n  stem_stride: 2\n  pool_kernel: 0\n" \
  "  channels: [2, 2, 3, 3]\n  strides: [1, 1, 2, 1]\n  kernels: [3, 5, 3, 3]\n  tau: [10, 20, 5, 10]\n"
/* Areas of 7 × 7 and 4 × 4, after a stem with pooling. */
#define NETWORK_SMALL                                                                                                  \
  "  image_rows: 27\n  image_columns: 28\n  stem_kernel: 7\n  stem_channels: 3\n  stem_stride: 2\n  pool_kernel: 3\n"  \
  "  pool_stride: 2\n  channels: [3, 3, 4, 4]\n  strides: [1, 1, 2, 1]\n"

static const char *const bodies[] = {NETWORK_LARGE, NETWORK_SMALL};

/* Of the whole batch and whole maps, on every rank. */
typedef struct {
  PetscInt neurons, logit_count, weight_count, values; /* lengths */
  double *states;                                      /* [area][item][row][column][channel] at the end */
  double *rhs;                                         /* F at that state, the same */
  double *logits;                                      /* [step][item][class] */
  double *weights;                                     /* of all connections, one after the other */
  float *gradient;                                     /* in the order of the model's values: biases, too */
} Result;

static PetscInt WeightCount(const CordsConvShape *s)
{
  return s->in_channels * s->out_channels * s->kernel_rows * s->kernel_columns;
}

static Result ResultCreate(CordsModel model)
{
  const CordsArchitecture *a = &model->architecture;
  Result r = {.neurons = BATCH * CordsArchitectureNeurons(a),
              .logit_count = STEPS * BATCH * a->classes,
              .values = model->learnable_values};

  for (PetscInt k = 0; k < a->connection_count; k++) r.weight_count += WeightCount(&a->connections[k].shape);
  SupportCall(PetscCalloc5(r.neurons, &r.states, r.neurons, &r.rhs, r.logit_count, &r.logits, r.weight_count,
                           &r.weights, r.values, &r.gradient));
  return r;
}

static void ResultDestroy(Result *r)
{
  SupportCall(PetscFree5(r->states, r->rhs, r->logits, r->weights, r->gradient));
}

/* g += 0.01 r: every area at every step is in the loss. */
static PetscErrorCode PullBack(void *context, PetscInt area, PetscInt first, PetscInt count, PetscInt items,
                               const void *r, void *g)
{
  CordsSystem system = context;
  const CordsType type = CordsSystemType(system);
  const size_t numbers = (size_t)(count * items * CordsSystemNeurons(system, area));

  for (size_t k = 0; k < numbers && type != CORDS_BF16; k++)
    NetworkSet(type, g, k, NetworkGet(type, g, k) + 0.01 * NetworkGet(type, r, k));
  return PETSC_SUCCESS;
}

/* This rank's tiles of a state of its images, to their place in all maps of all images. */
static void Place(CordsContext context, CordsSystem system, const CordsLayout *share, const void *state, double *all)
{
  const CordsArchitecture *a = &CordsSystemModel(system)->architecture;
  const CordsType type = CordsTypeMaster(CordsSystemType(system));

  for (PetscInt i = 0; i < a->area_count; all += BATCH * CordsAreaNeurons(&a->areas[i]), i++) {
    const CordsAreaShape *s = &a->areas[i];
    const CordsLayout layout = CordsLayoutOf(context, s->rows, s->columns, s->channels);
    const CordsBox tile = CordsBoxOfLayout(&layout), map = {0, s->rows, 0, s->columns};
    const PetscInt numbers = share->row_count * CordsSystemNeurons(system, i);
    double *own;
    SupportCall(PetscMalloc1(numbers + 1, &own));
    CordsConvert(type, CORDS_F64, (size_t)numbers, CordsSystemArea(system, share->row_count, state, i), own);
    CordsBoxCopy(&tile, share->row_count, (size_t)s->channels * sizeof *own, &tile, own, &map,
                 all + share->row_start * CordsAreaNeurons(s));
    SupportCall(PetscFree(own));
  }
}

/* Logits of all steps are the same on all ranks of a group; the first fills them in. */
static void ReadLogits(CordsContext context, CordsRollout rollout, const CordsLayout *share, CordsType type, Result *r)
{
  const PetscInt classes = r->logit_count / (STEPS * BATCH), numbers = STEPS * share->row_count * classes;
  CordsArray logits, exact;

  SupportCall(CordsArrayCreate(type, 1, numbers, &logits));
  SupportCall(CordsArrayCreate(CORDS_F64, 1, numbers, &exact));
  SupportCall(CordsRolloutLogits(rollout, 0, STEPS, logits.data));
  CordsConvert(type, CORDS_F64, (size_t)numbers, logits.data, exact.data);
  for (PetscInt t = 0; t < STEPS && context->domain_rank == 0; t++)
    memcpy(r->logits + (t * BATCH + share->row_start) * classes, (double *)exact.data + t * share->row_count * classes,
           (size_t)(share->row_count * classes) * sizeof *r->logits);
  SupportCall(CordsArrayDestroy(&logits));
  SupportCall(CordsArrayDestroy(&exact));
}

/* ∂L/∂logits of this rank's images, a formula of step, image and class. */
static CordsArray LogitGradient(const CordsLayout *share, PetscInt classes, CordsType type)
{
  CordsArray d;

  SupportCall(CordsArrayCreate(type, 1, COUNT * share->row_count * classes, &d));
  for (PetscInt t = 0, k = 0; t < COUNT; t++)
    for (PetscInt i = share->row_start; i < share->row_start + share->row_count; i++)
      for (PetscInt c = 0; c < classes; c++)
        NetworkSet(type, d.data, (size_t)k++, SupportRandom(5, (uint32_t)((t * BATCH + i) * classes + c)));
  return d;
}

static void ReadGradient(CordsSystem system, Result *r)
{
  CordsWeights weights = CordsSystemWeights(system);
  const CordsArchitecture *a = &CordsSystemModel(system)->architecture;
  const CordsType type = CordsTypeMaster(CordsSystemType(system));
  double *next = r->weights;

  for (PetscInt k = 0; k < a->connection_count; k++) {
    const PetscInt count = WeightCount(&a->connections[k].shape);
    CordsConvert(type, CORDS_F64, (size_t)count, CordsWeightsGradient(weights, k), next);
    next += count;
  }
  SupportCall(CordsSystemAddGradient(system, r->gradient));
}

/* Steps with and without image, and back. */
static void Run(CordsContext context, CordsModel model, CordsType type, const char *name, Result *r)
{
  const PetscInt classes = model->architecture.classes;
  const CordsLayout share = CordsLayoutCut(BATCH, 1, 1, context->group_size, 1, context->group_rank);
  float *images = NetworkImages(model, BATCH, 3);
  CordsObserver observer = {.backward = PullBack};
  CordsArray state, rhs, dlogits = LogitGradient(&share, classes, CordsTypeMaster(type));
  CordsRollout rollout;
  CordsSystem system;
  CordsInput input;
  PetscInt neurons;

  SupportCall(CordsSystemCreateCut(context, model, type, &system));
  observer.context = system;
  neurons = CordsSystemOffset(system, model->architecture.area_count);
  SupportCall(CordsInputCreate(system, share.row_count, &input));
  SupportCall(CordsInputSet(input, images + share.row_start * NetworkImageSize(model)));
  SupportCall(CordsArrayCreate(CordsTypeMaster(type), share.row_count, neurons, &state));
  SupportCall(CordsArrayCreate(CordsTypeMaster(type), share.row_count, neurons, &rhs));
  SupportCall(CordsRolloutCreate(system, name, &plan, STEPS, PETSC_TRUE, &rollout));
  SupportCall(CordsRolloutForward(rollout, share.row_count, input, 2, phases, PETSC_TRUE, state.data, &observer));
  Place(context, system, &share, state.data, r->states);
  ReadLogits(context, rollout, &share, CordsTypeMaster(type), r);
  SupportCall(CordsRolloutBackward(rollout, FIRST, COUNT, dlogits.data, &observer));
  SupportCall(CordsInputGradient(input));
  ReadGradient(system, r);
  if (type != CORDS_BF16) {
    SupportCall(CordsSystemRhs(system, input, state.data, rhs.data));
    Place(context, system, &share, rhs.data, r->rhs);
  }
  SupportCall(CordsRolloutDestroy(&rollout));
  SupportCall(CordsInputDestroy(&input));
  SupportCall(CordsSystemDestroy(&system));
  SupportCall(CordsArrayDestroy(&state));
  SupportCall(CordsArrayDestroy(&rhs));
  SupportCall(CordsArrayDestroy(&dlogits));
  SupportCall(PetscFree(images));
}

static void CheckCut(CordsContext context, CordsModel model, CordsType type, const char *name, const Result *whole)
{
  const double tolerance = type == CORDS_F64 ? 1e-13 : type == CORDS_F32 ? 1e-6 : 2e-2;
  Result r = ResultCreate(model);

  Run(context, model, type, name, &r);
  SupportCall(CordsReduceSumF64(context, r.neurons, r.states));
  SupportCall(CordsReduceSumF64(context, r.neurons, r.rhs));
  SupportCall(CordsReduceSumF64(context, r.logit_count, r.logits));
  SupportCall(CordsReduceSumF64(context, r.weight_count, r.weights));
  SupportCall(CordsReduceSumF32(context, r.values, r.gradient));
  SupportCompareF64("states", r.neurons, r.states, whole->states, tolerance);
  SupportCompareF64("right-hand side", r.neurons, r.rhs, whole->rhs, tolerance);
  SupportCompareF64("logits", r.logit_count, r.logits, whole->logits, tolerance);
  SupportCompareF64("gradient of weights", r.weight_count, r.weights, whole->weights, tolerance);
  SupportCompareF32("gradient of parameters", r.values, r.gradient, whole->gradient, PetscMax(tolerance, 1e-6));
  ResultDestroy(&r);
}

static void CheckWay(CordsModel model, CordsType type, const char *name)
{
  Result whole = ResultCreate(model);

  Run(CordsContextSelf(), model, type, name, &whole);
  for (PetscInt groups = 1; groups <= PetscMin(BATCH, support_context.size / 2); groups++) {
    if (support_context.size % groups) continue;
    for (PetscInt rows = 1; rows <= support_context.size / groups; rows++) {
      CordsContextData context;
      if (support_context.size / groups % rows) continue;
      context = SupportGroups(groups, rows);
      CheckCut(&context, model, type, name, &whole);
      SupportGroupsFree(&context);
    }
  }
  ResultDestroy(&whole);
}

static void TestWays(void **state)
{
  const char *const *names;
  PetscInt count;

  SupportCall(CordsRolloutList(&count, &names, NULL));
  for (size_t k = 0; k < PETSC_STATIC_ARRAY_LENGTH(bodies); k++) {
    CordsModel model = NetworkModel(bodies[k], "relu", CORDS_FORM_RECURRENT);
    for (PetscInt way = 0; way < count; way++)
      for (CordsType type = CORDS_F32; type <= CORDS_F64; type++) CheckWay(model, type, names[way]);
    CheckWay(model, CORDS_BF16, NULL); /* not every way has it */
    SupportCall(CordsModelDestroy(&model));
  }
}

static const struct CMUnitTest tests[] = {cmocka_unit_test(TestWays)};
SUPPORT_MAIN(tests)
