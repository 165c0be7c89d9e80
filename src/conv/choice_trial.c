/* Method: the candidates do the same work on the same made-up numbers in turn, so that a slow moment of the machine
   meets all of them; the shortest time that was reached twice counts.  Recurrent shapes are measured with the whole
   Euler step, as they are used. */
#include "conv/choice_private.h"

#include "conv/pointwise.h"

#include <math.h>
#include <mpi.h>
#include <omp.h>
#include <string.h>

enum { CANDIDATES_MAX = 16, IMAGES_MAX = 32 };
/* So many times at least each candidate that may be the best; all of them, and more often, where the ratio of two times
   is what is wanted, rather than the shorter one. */
enum { ROUNDS = 4, ROUNDS_LEAN = 8 };

/* Work of one call in the trial for many images: about as many as a block of steps has, since weights pass through
   memory once a call, and short enough that a whole network is measured in a few seconds. */
static const double trial_flops = 4e9;
/* Time for the repetitions of one candidate on a machine that is busy with other things; a few calls otherwise. */
static const double candidate_s = 50e-3;
/* Two times this close are the same. */
static const double same_time = 1.1;
const double cords_conv_clearly_faster = 1.04;
/* The same where one of the two times was not reached twice. */
static const double unsettled_faster = 1.25;
/* A candidate this much slower than the best one is not tried again. */
static const double hopeless = 1.5;

/* The arrays of a trial.  T is the type of the images, M that of states. */
typedef struct {
  CordsConvShape shape;
  CordsType type;
  PetscInt n;
  PetscBool recurrent;
  CordsArray weights, gradient; /* M */
  CordsArray in, out;           /* T: x and y, or dx and dy */
  CordsArray z;                 /* T: what a convolution adds to, the same for all images */
  CordsArray next;              /* T, recurrent only: x_next or du_before */
  CordsArray state, state_next; /* M, recurrent only */
  CordsArray expected;          /* result of the first candidate */
  uint16_t *mask;
} Trial;

typedef struct {
  PetscInt backend;
  const char *name;
  CordsConv conv;
  PetscBool lean;
  double best_s, second_s; /* the two shortest times */
  PetscBool dropped;
} Candidate;

/* Numbers in ±1 without a pattern that a kernel could profit from, never denormal. */
static void FillMadeUp(CordsArray *array, uint32_t seed)
{
  size_t count = (size_t)array->items * array->elements;
  uint32_t state = seed;

  for (size_t k = 0; k < count; k++) {
    float value;

    state = state * 1664525u + 1013904223u;
    value = (float)((int32_t)(state | 256u)) * 0x1p-31f;
    if (array->type == CORDS_F64)
      ((double *)array->data)[k] = (double)value;
    else if (array->type == CORDS_BF16)
      ((uint16_t *)array->data)[k] = CordsToBf16(value);
    else
      ((float *)array->data)[k] = value;
  }
}

static PetscErrorCode MakeArray(CordsType type, PetscInt items, PetscInt elements, uint32_t seed, CordsArray *array)
{
  PetscFunctionBegin;
  PetscCall(CordsArrayCreate(type, items, elements, array));
  FillMadeUp(array, seed);
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode TrialCreate(const CordsConvShape *s, CordsType type, PetscInt n, Trial *t)
{
  PetscInt in = s->in_rows * s->in_columns * s->in_channels, out = s->out_rows * s->out_columns * s->out_channels;
  PetscInt weights = s->in_channels * s->out_channels * s->kernel_rows * s->kernel_columns;
  CordsType master = CordsTypeMaster(type);

  PetscFunctionBegin;
  *t = (Trial){.shape = *s, .type = type, .n = n};
  t->recurrent = (PetscBool)(s->stride == 1 && s->in_rows == s->out_rows && s->in_columns == s->out_columns &&
                             s->in_channels == s->out_channels);
  PetscCall(MakeArray(master, 1, weights, 1, &t->weights));
  PetscCall(MakeArray(master, 1, weights, 2, &t->gradient));
  PetscCall(MakeArray(type, n, in, 3, &t->in));
  PetscCall(MakeArray(type, n, out, 4, &t->out));
  PetscCall(CordsArrayCreate(master, 1, PetscMax(PetscMax(n * in, n * out), weights), &t->expected));
  PetscCall(MakeArray(type, 1, out, 5, &t->z));
  if (!t->recurrent) PetscFunctionReturn(PETSC_SUCCESS);
  PetscCall(MakeArray(type, n, out, 6, &t->next));
  PetscCall(MakeArray(master, n, out, 7, &t->state));
  PetscCall(MakeArray(master, n, out, 8, &t->state_next));
  PetscCall(PetscCalloc1((size_t)n * CordsConvMaskWords(s), &t->mask));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode TrialDestroy(Trial *t)
{
  CordsArray *arrays[] = {&t->weights, &t->gradient, &t->in,         &t->out,     &t->z,
                          &t->next,    &t->state,    &t->state_next, &t->expected};

  PetscFunctionBegin;
  for (size_t k = 0; k < PETSC_STATIC_ARRAY_LENGTH(arrays); k++) PetscCall(CordsArrayDestroy(arrays[k]));
  PetscCall(PetscFree(t->mask));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* One call; result: the array it wrote to. */
static PetscErrorCode Call(Trial *t, CordsConv conv, CordsConvOperation operation, const CordsArray **result)
{
  const CordsConvLaw law = {.keep = 0.8, .gain = 0.2};
  void *rounded = t->type == CORDS_BF16 ? t->next.data : NULL;

  PetscFunctionBegin;
  if (operation == CORDS_CONV_BACKWARD_WEIGHTS) {
    *result = &t->gradient;
    PetscCall(CordsConvBackwardWeights(conv, t->n, t->in.data, t->out.data, t->gradient.data));
  } else if (operation == CORDS_CONV_FORWARD && t->recurrent) {
    *result = &t->state_next;
    PetscCall(
        CordsConvStep(conv, t->n, &law, t->in.data, t->z.data, 1, t->state.data, t->state_next.data, rounded, t->mask));
  } else if (operation == CORDS_CONV_FORWARD) {
    *result = &t->out;
    PetscCall(CordsConvForwardFrom(conv, t->n, t->in.data, t->z.data, 1, t->out.data));
  } else if (t->recurrent) {
    *result = &t->state_next;
    PetscCall(CordsConvStepAdjoint(conv, t->n, &law, t->out.data, NULL, t->state.data, t->mask, t->state_next.data,
                                   t->next.data));
  } else {
    *result = &t->in;
    PetscCall(CordsConvBackwardData(conv, t->n, t->out.data, t->in.data, PETSC_TRUE));
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

static double NumberAt(const CordsArray *array, size_t k)
{
  if (array->type == CORDS_BF16) return (double)CordsFromBf16(((const uint16_t *)array->data)[k]);
  return array->type == CORDS_F64 ? ((const double *)array->data)[k] : (double)((const float *)array->data)[k];
}

/* Whether a result agrees with that of the first candidate: a fast transform may round more, but not by much. */
static PetscBool Agrees(const Trial *t, const CordsArray *result)
{
  const double tolerance = t->type == CORDS_F64 ? 1e-11 : t->type == CORDS_F32 ? 5e-5 : 3e-2;
  const size_t count = (size_t)result->items * result->elements;
  double largest = 0, difference = 0;

  for (size_t k = 0; k < count; k++) {
    const double expected = NumberAt(&t->expected, k), found = NumberAt(result, k);
    if (!isfinite(found)) return PETSC_FALSE;
    largest = fmax(largest, fabs(expected));
    difference = fmax(difference, fabs(found - expected));
  }
  return (PetscBool)(difference <= tolerance * largest);
}

/* The first call of each candidate compiles what it needs; its result is compared. */
static PetscErrorCode WarmUp(Trial *t, CordsConvOperation operation, PetscInt count, Candidate candidates[])
{
  const CordsArray *result;

  PetscFunctionBegin;
  for (PetscInt k = 0; k < count; k++) {
    candidates[k].best_s = candidates[k].second_s = INFINITY;
    memset(t->gradient.data, 0, (size_t)t->gradient.elements * CordsTypeSize(t->gradient.type));
    FillMadeUp(&t->in, 3); /* what operations add to */
    PetscCall(Call(t, candidates[k].conv, operation, &result));
    if (k == 0)
      CordsConvert(result->type, CordsTypeMaster(t->type), (size_t)result->items * result->elements, result->data,
                   t->expected.data);
    candidates[k].dropped = (PetscBool)(k > 0 && !Agrees(t, result));
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* A time is trusted when it was reached twice. */
static PetscBool Settled(const Candidate *c)
{
  return (PetscBool)(c->second_s <= same_time * c->best_s);
}

static void AddTime(Candidate *c, double time_s)
{
  c->second_s = fmin(c->second_s, fmax(time_s, c->best_s));
  c->best_s = fmin(c->best_s, time_s);
}

/* Until every candidate's time is settled, or it is clear that it is not the best (not where all times are wanted), or
   the machine is too busy. */
static PetscErrorCode Repeat(Trial *t, CordsConvOperation operation, PetscBool all, PetscInt count,
                             Candidate candidates[])
{
  const PetscInt rounds_least = all ? ROUNDS_LEAN : ROUNDS;
  const double begin_s = MPI_Wtime();
  double fastest_s = INFINITY;
  PetscBool settled = PETSC_FALSE;

  PetscFunctionBegin;
  for (PetscInt round = 1; round <= rounds_least || (!settled && MPI_Wtime() - begin_s < (double)count * candidate_s);
       round++) {
    settled = PETSC_TRUE;
    for (PetscInt k = 0; k < count; k++) {
      Candidate *c = &candidates[k];
      const CordsArray *result;
      double start_s = MPI_Wtime();

      if (c->dropped) continue;
      PetscCall(Call(t, c->conv, operation, &result));
      AddTime(c, MPI_Wtime() - start_s);
      if (Settled(c)) fastest_s = fmin(fastest_s, c->best_s);
      c->dropped = (PetscBool)((!all || round >= rounds_least) && Settled(c) && c->best_s > hopeless * fastest_s);
      if (!Settled(c)) settled = PETSC_FALSE;
    }
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* On a busy machine, where times do not settle, it takes more to be clear. */
static PetscBool ClearlyFaster(const Candidate *a, const Candidate *b)
{
  const double margin = Settled(a) && Settled(b) ? cords_conv_clearly_faster : unsettled_faster;

  return (PetscBool)(a->best_s * margin <= b->best_s);
}

/* The one to begin from, unless a later one is clearly faster. */
static PetscInt Best(PetscInt count, const Candidate candidates[], PetscInt start)
{
  PetscInt best = start;

  for (PetscInt k = 0; k < count; k++)
    if (ClearlyFaster(&candidates[k], &candidates[best])) best = k;
  return best;
}

/* CordsConvChoice.ahead of the best one. */
static double Ahead(PetscInt count, const Candidate candidates[], PetscInt best)
{
  double next_s = INFINITY;

  for (PetscInt k = 0; k < count; k++)
    if (k != best && Settled(&candidates[k])) next_s = fmin(next_s, candidates[k].best_s);
  return isfinite(next_s) && Settled(&candidates[best]) ? next_s / candidates[best].best_s : 0;
}

/* The second candidate because it is lean, and what that costs.  Nothing else depends on these times, so unclear ones
   are better than none. */
static PetscInt Lean(const Candidate candidates[], PetscInt best, double *ahead)
{
  if (best == 0) *ahead = candidates[0].best_s / candidates[1].best_s;
  if (!isfinite(*ahead)) *ahead = 0;
  return 1;
}

/* n images of a shape: all operations.  preferred: candidate to begin from for each operation, in and out. */
static PetscErrorCode MeasureImages(const CordsConvShape *shape, CordsType type, PetscBool lean, CordsConvImages images,
                                    PetscInt n, PetscInt count, Candidate candidates[], PetscInt preferred[],
                                    CordsConvChoiceTable *table)
{
  PetscInt chosen;
  Trial trial;

  PetscFunctionBegin;
  PetscCall(TrialCreate(shape, type, n, &trial));
  for (PetscInt k = 0; k < count; k++) PetscCall(CordsConvSetWeights(candidates[k].conv, trial.weights.data));
  for (int operation = 0; operation < CORDS_CONV_OPERATION_COUNT; operation++) {
    CordsConvChoice choice = {.shape = *shape,
                              .type = type,
                              .operation = (CordsConvOperation)operation,
                              .images = images,
                              .threads = omp_get_max_threads()};
    PetscCall(WarmUp(&trial, choice.operation, count, candidates));
    PetscCall(Repeat(&trial, choice.operation, lean, count, candidates));
    chosen = preferred[operation] = Best(count, candidates, preferred[operation]);
    choice.ahead = Ahead(count, candidates, chosen);
    if (lean) chosen = Lean(candidates, chosen, &choice.ahead);
    choice.backend = candidates[chosen].backend;
    CordsConvChoicePut(table, &choice);
  }
  PetscCall(TrialDestroy(&trial));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* All that can do it (lean: in little memory); the reference and the plain matrix product only where nothing before
   them can. */
static PetscErrorCode FindCandidates(const CordsConvShape *shape, CordsType type, PetscBool lean, PetscInt *count,
                                     Candidate candidates[CANDIDATES_MAX])
{
  const char *const *names;
  PetscBool supports, is_lean;
  PetscInt all;

  PetscFunctionBegin;
  PetscCall(CordsConvBackendList(&all, &names, NULL));
  *count = 0;
  for (PetscInt k = 0; k < all && *count < CANDIDATES_MAX; k++) {
    PetscCall(CordsConvBackendSupports(names[k], shape, type, &supports, &is_lean));
    if (!supports || (lean && !is_lean)) continue;
    if (*count > 0 && (!strcmp(names[k], "reference") || !strcmp(names[k], "gemm"))) continue;
    candidates[(*count)++] = (Candidate){.backend = k, .name = names[k], .lean = is_lean};
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* Of all candidates the first and the first lean one, if that is another; returns how many these are.  More would take
   memory themselves. */
static PetscInt FirstAndLean(PetscInt count, Candidate candidates[])
{
  PetscInt lean = 0;

  while (lean < count && !candidates[lean].lean) lean++;
  if (lean == 0 || lean == count) return 1;
  candidates[1] = candidates[lean];
  return 2;
}

PetscErrorCode CordsConvChoiceOrder(const CordsConvShape *shape, CordsType type, PetscBool lean,
                                    CordsConvChoiceTable *table)
{
  Candidate candidates[CANDIDATES_MAX];
  PetscInt count;

  PetscFunctionBegin;
  PetscCall(FindCandidates(shape, type, lean, &count, candidates));
  for (int operation = 0; operation < CORDS_CONV_OPERATION_COUNT; operation++) {
    for (int images = 0; images < CORDS_CONV_IMAGES_COUNT; images++) {
      CordsConvChoice choice = {.shape = *shape,
                                .type = type,
                                .operation = (CordsConvOperation)operation,
                                .images = (CordsConvImages)images,
                                .threads = omp_get_max_threads(),
                                .backend = candidates[0].backend};
      CordsConvChoicePut(table, &choice);
    }
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsConvChoiceMeasure(const CordsConvShape *shape, CordsType type, PetscBool lean,
                                      CordsConvChoiceTable *table)
{
  Candidate candidates[CANDIDATES_MAX];
  PetscInt count, preferred[CORDS_CONV_OPERATION_COUNT] = {0};
  PetscInt many = (PetscInt)PetscMin(PetscMax(trial_flops / CordsConvFlops(shape), 2), IMAGES_MAX);

  PetscFunctionBegin;
  PetscCall(FindCandidates(shape, type, PETSC_FALSE, &count, candidates));
  if (lean) count = FirstAndLean(count, candidates);
  if (count == 1) {
    PetscCall(CordsConvChoiceOrder(shape, type, lean, table));
    PetscFunctionReturn(PETSC_SUCCESS);
  }
  for (PetscInt k = 0; k < count; k++) PetscCall(CordsConvCreate(shape, type, candidates[k].name, &candidates[k].conv));
  /* few images begin from the choice for many: fewer kernels, and fewer copies of the weights */
  PetscCall(MeasureImages(shape, type, lean, CORDS_CONV_MANY_IMAGES, many, count, candidates, preferred, table));
  PetscCall(MeasureImages(shape, type, lean, CORDS_CONV_FEW_IMAGES, 1, count, candidates, preferred, table));
  for (PetscInt k = 0; k < count; k++) PetscCall(CordsConvDestroy(&candidates[k].conv));
  PetscFunctionReturn(PETSC_SUCCESS);
}
