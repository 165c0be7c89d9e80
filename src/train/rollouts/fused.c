/* Block by block of steps, inside a block area by area.  The same equations as in reference.c, in another order:

     forward, block [s, s + K), area i:   z_i of all K steps by one convolution of the states below, then K fused steps
     backward, blocks from the last:      K fused steps of λ and ∂L/∂u, then the adjoint of z_i for all K steps by one
                                          convolution, and weight gradients of W_i and V_i by one call each

   A block is short enough for its states to be in the cache when the next area reads them.  Where all states of the
   run do not fit, only the last plan.kept steps are kept; the start of every other block is, and its states are
   computed again.  Griewank, Walther, "Evaluating Derivatives", chapter 12, with one level of checkpoints. */
#include "conv/pointwise.h"
#include "train/blocks.h"
#include "train/fused_arrays.h"
#include "train/rollout_type.h"

#include <string.h>

typedef struct {
  CordsFusedArrays arrays;
  PetscInt block_count;
  CordsBlock *blocks; /* in order of time */
  CordsStates states;
} Data;

/* Where a block's states and masks lie. */
typedef struct {
  const CordsArray *states, *masks; /* of all areas */
  PetscInt offset;                  /* step of the block's first in them */
} Place;

static PetscBool Supports(CordsSystem system)
{
  return CordsSystemHasFusedStep(system);
}

static PetscErrorCode Create(CordsRollout rollout)
{
  Data *d;

  PetscFunctionBegin;
  PetscCall(PetscNew(&d));
  PetscCall(CordsFusedArraysCreate(rollout->system, &rollout->plan, rollout->steps_max, rollout->record, &d->arrays));
  PetscCall(PetscMalloc1(rollout->steps_max + 1, &d->blocks));
  rollout->data = d;
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode Destroy(CordsRollout rollout)
{
  Data *d = rollout->data;

  PetscFunctionBegin;
  PetscCall(CordsFusedArraysDestroy(&d->arrays));
  PetscCall(PetscFree(d->blocks));
  PetscCall(PetscFree(d));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static void CutBlocks(CordsRollout rollout)
{
  Data *d = rollout->data;
  PetscInt steps[CORDS_PHASES_MAX];

  for (PetscInt p = 0; p < rollout->phase_count; p++) steps[p] = rollout->phases[p].steps;
  d->block_count =
      CordsBlocksCut(&rollout->plan, rollout->n, rollout->phase_count, steps, rollout->recorded, d->blocks);
}

/* NULL without image. */
static CordsInput InputOf(CordsRollout rollout, const CordsBlock *block)
{
  return rollout->phases[block->phase].image ? rollout->input : NULL;
}

static Place PlaceOf(CordsRollout rollout, const CordsBlock *block)
{
  Data *d = rollout->data;

  if (!block->kept) return (Place){d->arrays.block, d->arrays.block_masks, 0};
  return (Place){d->arrays.kept, d->arrays.kept_masks, block->start - PetscMax(rollout->steps - rollout->plan.kept, 0)};
}

/* r: T of an area after `step` steps of a block; NULL below the first area. */
static void *StatesAt(CordsRollout rollout, const Place *place, PetscInt area, PetscInt step)
{
  return area < 0 ? NULL : CordsArrayItem(&place->states[area], (place->offset + step) * rollout->n);
}

static uint16_t *MasksAt(CordsRollout rollout, const Place *place, PetscInt area, PetscInt step)
{
  return CordsArrayItem(&place->masks[area], (place->offset + step) * rollout->n);
}

/* Part of a step in one of the arrays that are as wide as the largest area. */
static void *PartAt(CordsRollout rollout, const CordsArray *array, PetscInt area, PetscInt step)
{
  return (char *)array->data + (size_t)step * CordsRolloutNumbers(rollout, area) * CordsTypeSize(array->type);
}

/* In bf16 the running state is kept beside the trajectory, because increments of a few per mille would be rounded away.
 */
static PetscBool RunsBeside(CordsRollout rollout)
{
  return (PetscBool)(CordsSystemType(rollout->system) == CORDS_BF16);
}

static PetscErrorCode Step(CordsRollout rollout, PetscInt area, const void *x, const void *z, void *x_next,
                           uint16_t *mask)
{
  void *running = ((Data *)rollout->data)->arrays.running[area].data;
  PetscInt n = rollout->n;

  PetscFunctionBegin;
  if (RunsBeside(rollout))
    PetscCall(CordsSystemFusedStep(rollout->system, area, n, x, z, n, running, running, x_next, mask));
  else
    PetscCall(CordsSystemFusedStep(rollout->system, area, n, x, z, n, x, x_next, NULL, mask));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* z of a block.  That of the first area is the same at all steps: one step of it is enough. */
static PetscErrorCode Drive(CordsRollout rollout, const CordsBlock *block, const Place *place, PetscInt area)
{
  Data *d = rollout->data;
  PetscInt items = (area == 0 ? 1 : block->steps) * rollout->n;

  return CordsSystemDrive(rollout->system, area, items, d->states, InputOf(rollout, block),
                          StatesAt(rollout, place, area - 1, 0), StatesAt(rollout, place, area - 2, 0),
                          d->arrays.drive.data);
}

/* The trajectory of an area over a block, from the running state, which is moved on. */
static PetscErrorCode AreaForward(CordsRollout rollout, const CordsBlock *block, const Place *place, PetscInt area)
{
  Data *d = rollout->data;
  CordsArray *running = &d->arrays.running[area];
  CordsType type = CordsSystemType(rollout->system);
  size_t numbers = CordsRolloutNumbers(rollout, area);

  PetscFunctionBegin;
  PetscCall(Drive(rollout, block, place, area));
  CordsConvert(running->type, type, numbers, running->data, StatesAt(rollout, place, area, 0));
  for (PetscInt t = 0; t < block->steps; t++) {
    PetscCall(Step(rollout, area, StatesAt(rollout, place, area, t),
                   PartAt(rollout, &d->arrays.drive, area, area == 0 ? 0 : t), StatesAt(rollout, place, area, t + 1),
                   rollout->recorded ? MasksAt(rollout, place, area, t) : NULL));
  }
  if (!RunsBeside(rollout)) {
    memcpy(running->data, StatesAt(rollout, place, area, block->steps), numbers * CordsTypeSize(type));
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* Between the running states and a state of the system. */
static void CopyRunning(CordsRollout rollout, void *state, PetscBool save)
{
  Data *d = rollout->data;

  for (PetscInt i = 0; i < rollout->area_count; i++) {
    CordsArray *running = &d->arrays.running[i];
    void *part = CordsSystemArea(rollout->system, rollout->n, state, i);
    size_t bytes = CordsRolloutNumbers(rollout, i) * CordsTypeSize(running->type);
    if (save)
      memcpy(part, running->data, bytes);
    else
      memcpy(running->data, part, bytes);
  }
}

static void *StartOf(CordsRollout rollout, PetscInt block)
{
  Data *d = rollout->data;

  return CordsArrayItem(&d->arrays.starts, block * rollout->n);
}

static PetscErrorCode Forward(CordsRollout rollout, void *state, const CordsObserver *observer)
{
  Data *d = rollout->data;
  PetscInt last = rollout->area_count - 1;

  PetscFunctionBegin;
  CutBlocks(rollout);
  d->states = CordsSystemStatesFrom(rollout->system, rollout->n, state);
  CopyRunning(rollout, state, PETSC_FALSE);
  for (PetscInt b = 0; b < d->block_count; b++) {
    const CordsBlock *block = &d->blocks[b];
    Place place = PlaceOf(rollout, block);
    if (rollout->recorded && !block->kept) {
      PetscCheck((b + 1) * rollout->n <= d->arrays.starts.items, PETSC_COMM_SELF, PETSC_ERR_ARG_SIZ,
                 "a recorded run has at most two phases");
      CopyRunning(rollout, StartOf(rollout, b), PETSC_TRUE);
    }
    for (PetscInt i = 0; i <= last; i++) {
      PetscCall(AreaForward(rollout, block, &place, i));
      if (!observer || !observer->forward) continue;
      PetscCall(observer->forward(observer->context, i, block->start + 1, block->steps, rollout->n,
                                  StatesAt(rollout, &place, i, 1)));
    }
    PetscCall(CordsRolloutReadFeatures(rollout, block->start + 1, block->steps, StatesAt(rollout, &place, last, 1),
                                       StatesAt(rollout, &place, last - 1, 1)));
  }
  CopyRunning(rollout, state, PETSC_TRUE);
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* States and masks of a block that was not kept. */
static PetscErrorCode ComputeAgain(CordsRollout rollout, PetscInt b, const Place *place)
{
  Data *d = rollout->data;

  PetscFunctionBegin;
  CopyRunning(rollout, StartOf(rollout, b), PETSC_FALSE);
  for (PetscInt i = 0; i < rollout->area_count; i++) PetscCall(AreaForward(rollout, &d->blocks[b], place, i));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* ∂L/∂u of all steps of a block; λ moves from its end to its start.  Nothing flows into the start of the run. */
static PetscErrorCode AreaBackwardInTime(CordsRollout rollout, const CordsBlock *block, const Place *place,
                                         PetscInt area)
{
  Data *d = rollout->data;
  void *lambda = d->arrays.lambda[area].data;
  PetscInt last = block->steps - 1;

  PetscFunctionBegin;
  PetscCall(CordsSystemThroughPhi(rollout->system, area, rollout->n, MasksAt(rollout, place, area, last), lambda,
                                  PartAt(rollout, &d->arrays.drive, area, last)));
  for (PetscInt t = last; t >= 0 && block->start + t > 0; t--) {
    PetscCall(CordsSystemFusedStepAdjoint(rollout->system, area, rollout->n, PartAt(rollout, &d->arrays.drive, area, t),
                                          PartAt(rollout, &d->arrays.gradient[area % 3], area, t), lambda,
                                          t > 0 ? MasksAt(rollout, place, area, t - 1) : NULL, lambda,
                                          t > 0 ? PartAt(rollout, &d->arrays.drive, area, t - 1) : NULL));
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

static void *GradientOf(CordsRollout rollout, PetscInt area)
{
  Data *d = rollout->data;

  return area < 0 ? NULL : d->arrays.gradient[area % 3].data;
}

static void ZeroGradient(CordsRollout rollout, const CordsBlock *block, PetscInt area)
{
  Data *d = rollout->data;

  memset(GradientOf(rollout, area), 0,
         (size_t)block->steps * CordsRolloutNumbers(rollout, area) * CordsTypeSize(d->arrays.gradient[0].type));
}

/* An area over a block: loss, back in time, weight gradients, and on to the areas below. */
static PetscErrorCode AreaBackward(CordsRollout rollout, const CordsBlock *block, const Place *place, PetscInt area,
                                   const CordsObserver *observer)
{
  Data *d = rollout->data;
  PetscInt items = block->steps * rollout->n, skipped = block->start == 0 ? 1 : 0; /* r[0] has no gradient */
  const void *du = d->arrays.drive.data, *r = StatesAt(rollout, place, area, 0);

  PetscFunctionBegin;
  PetscCall(CordsRolloutAddLoss(rollout, observer, area, block->start + skipped, block->steps - skipped,
                                StatesAt(rollout, place, area, skipped),
                                PartAt(rollout, &d->arrays.gradient[area % 3], area, skipped)));
  PetscCall(AreaBackwardInTime(rollout, block, place, area));
  PetscCall(CordsSystemSynapsesGradient(rollout->system, area, items, r, du));
  PetscCall(CordsSystemDriveBackward(rollout->system, area, items, d->states, InputOf(rollout, block),
                                     StatesAt(rollout, place, area - 1, 0), StatesAt(rollout, place, area - 2, 0), du,
                                     GradientOf(rollout, area - 1), GradientOf(rollout, area - 2), PETSC_TRUE));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* λ at the end of the run: what the loss says of the last state. */
static PetscErrorCode BeginAtEnd(CordsRollout rollout, const CordsObserver *observer)
{
  Data *d = rollout->data;
  const CordsBlock *block = &d->blocks[d->block_count - 1];
  Place place = PlaceOf(rollout, block);

  PetscFunctionBegin;
  for (PetscInt i = 0; i < rollout->area_count; i++) {
    CordsArray *lambda = &d->arrays.lambda[i];
    memset(lambda->data, 0, CordsRolloutNumbers(rollout, i) * CordsTypeSize(lambda->type));
    PetscCall(CordsRolloutAddLoss(rollout, observer, i, rollout->steps, 1, StatesAt(rollout, &place, i, block->steps),
                                  lambda->data));
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode Backward(CordsRollout rollout, const CordsObserver *observer)
{
  Data *d = rollout->data;
  PetscInt last = rollout->area_count - 1;

  PetscFunctionBegin;
  for (PetscInt b = d->block_count - 1; b >= 0; b--) {
    const CordsBlock *block = &d->blocks[b];
    Place place = PlaceOf(rollout, block);
    /* the last block's states are still there */
    if (!block->kept && b < d->block_count - 1) PetscCall(ComputeAgain(rollout, b, &place));
    if (b == d->block_count - 1) PetscCall(BeginAtEnd(rollout, observer));
    /* an area is reached first from two above it, which writes what others add to */
    for (PetscInt i = last; i >= PetscMax(last - 1, 0); i--) ZeroGradient(rollout, block, i);
    for (PetscInt i = last; i >= 0; i--) {
      PetscCall(AreaBackward(rollout, block, &place, i, observer));
      if (b == 0 && observer && observer->done) PetscCall(observer->done(observer->context, i));
    }
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

const CordsRolloutType cords_rollout_fused = {.name = "fused",
                                              .about =
                                                  "blocks of steps, area by area, one call per step; relu-like phi",
                                              .supports = Supports,
                                              .create = Create,
                                              .destroy = Destroy,
                                              .forward = Forward,
                                              .backward = Backward};
