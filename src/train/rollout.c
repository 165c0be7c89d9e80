#include "train/rollout.h"

#include "conv/pointwise.h"

#include <string.h>

/* Drives and weight gradients are computed for as many steps at once as keep a block of numbers this small: large
   enough for one efficient call, small enough not to fill the memory. */
static const size_t block_bytes = (size_t)48 << 20;

enum { PHASES_MAX = 8 };

struct _p_CordsRollout {
  CordsSystem system; /* borrowed */
  PetscInt batch, steps_max, area_count;
  PetscBool record;
  /* of the last run */
  PetscInt n, steps, phase_count;
  CordsPhase phases[PHASES_MAX];
  CordsInput input;
  CordsArray starts;                    /* the state at the start */
  CordsArray synaptic[CORDS_AREAS_MAX]; /* u, [step][item][neuron]; one block only unless recorded */
  CordsArray states[3];                 /* r of three neighbouring areas, area i in i mod 3: [step + 1][item][neuron] */
  CordsArray gradients[3];              /* ∂L/∂r, the same places */
  CordsArray features;                  /* [step + 1][item][channel] */
};

static size_t Bytes(CordsRollout rollout, PetscInt area, PetscInt steps)
{
  return (size_t)steps * rollout->n * CordsSystemNeurons(rollout->system, area) *
         CordsTypeSize(CordsSystemType(rollout->system));
}

/* r or g of an area at a step, in one of the rings of three; NULL below the first area. */
static void *At(CordsRollout rollout, CordsArray ring[3], PetscInt area, PetscInt step)
{
  return area < 0 ? NULL : (char *)ring[area % 3].data + Bytes(rollout, area, step);
}

static void *SynapticAt(CordsRollout rollout, PetscInt area, PetscInt step)
{
  return (char *)rollout->synaptic[area].data + Bytes(rollout, area, step);
}

static PetscInt LargestArea(CordsSystem system)
{
  PetscInt largest = 0;

  for (PetscInt i = 0; i < CordsSystemModel(system)->architecture.area_count; i++) {
    largest = PetscMax(largest, CordsSystemNeurons(system, i));
  }
  return largest;
}

PetscErrorCode CordsRolloutCreate(CordsSystem system, PetscInt batch, PetscInt steps_max, PetscBool record,
                                  CordsRollout *rollout)
{
  const CordsArchitecture *a = &CordsSystemModel(system)->architecture;
  CordsType type = CordsSystemType(system);
  PetscInt largest = LargestArea(system);
  CordsRollout r;

  PetscFunctionBegin;
  PetscCall(PetscNew(&r));
  r->system = system;
  r->batch = batch;
  r->steps_max = steps_max;
  r->record = record;
  r->area_count = a->area_count;
  PetscCall(CordsArrayCreate(type, batch, CordsSystemOffset(system, a->area_count), &r->starts));
  for (PetscInt i = 0; i < a->area_count; i++) {
    /* without a record one area's u is as good as another's */
    if (!record && i > 0) continue;
    PetscCall(
        CordsArrayCreate(type, steps_max * batch, record ? CordsSystemNeurons(system, i) : largest, &r->synaptic[i]));
  }
  for (PetscInt i = 1; i < a->area_count && !record; i++) r->synaptic[i] = r->synaptic[0];
  for (int k = 0; k < 3; k++) {
    PetscCall(CordsArrayCreate(type, (steps_max + 1) * batch, largest, &r->states[k]));
    if (record) PetscCall(CordsArrayCreate(type, (steps_max + 1) * batch, largest, &r->gradients[k]));
  }
  PetscCall(CordsArrayCreate(type, (steps_max + 1) * batch, a->areas[a->area_count - 1].channels, &r->features));
  *rollout = r;
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsRolloutDestroy(CordsRollout *rollout)
{
  CordsRollout r = *rollout;

  PetscFunctionBegin;
  if (!r) PetscFunctionReturn(PETSC_SUCCESS);
  PetscCall(CordsArrayDestroy(&r->starts));
  for (PetscInt i = 0; i < (r->record ? r->area_count : 1); i++) PetscCall(CordsArrayDestroy(&r->synaptic[i]));
  for (int k = 0; k < 3; k++) {
    PetscCall(CordsArrayDestroy(&r->states[k]));
    PetscCall(CordsArrayDestroy(&r->gradients[k]));
  }
  PetscCall(CordsArrayDestroy(&r->features));
  PetscCall(PetscFree(r));
  *rollout = NULL;
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* A run of steps that one call can handle: within one phase and not above block_bytes. */
typedef struct {
  PetscInt start, steps;
  CordsInput input; /* NULL without image */
} Block;

/* Cut the phases into blocks; blocks are in order of time. */
static PetscErrorCode CutBlocks(CordsRollout rollout, PetscInt *count, Block **blocks)
{
  size_t step_bytes =
      (size_t)rollout->n * LargestArea(rollout->system) * CordsTypeSize(CordsSystemType(rollout->system));
  PetscInt longest = (PetscInt)PetscMax(block_bytes / PetscMax(step_bytes, 1), 1), start = 0;

  PetscFunctionBegin;
  *count = 0;
  PetscCall(PetscMalloc1(rollout->steps + 1, blocks));
  for (PetscInt p = 0; p < rollout->phase_count; p++) {
    for (PetscInt left = rollout->phases[p].steps; left > 0; left -= longest) {
      PetscInt steps = PetscMin(left, longest);
      (*blocks)[(*count)++] = (Block){start, steps, rollout->phases[p].image ? rollout->input : NULL};
      start += steps;
    }
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode AreaForward(CordsRollout rollout, PetscInt area, PetscInt block_count, const Block blocks[])
{
  CordsSystem system = rollout->system;
  PetscInt n = rollout->n;

  PetscFunctionBegin;
  memcpy(At(rollout, rollout->states, area, 0), CordsSystemArea(system, n, rollout->starts.data, area),
         Bytes(rollout, area, 1));
  for (PetscInt b = 0; b < block_count; b++) {
    PetscInt start = blocks[b].start;
    PetscCall(CordsSystemDrive(system, area, blocks[b].steps * n, blocks[b].input,
                               At(rollout, rollout->states, area - 1, start),
                               At(rollout, rollout->states, area - 2, start), SynapticAt(rollout, area, start)));
    for (PetscInt t = start; t < start + blocks[b].steps; t++) {
      const void *r = At(rollout, rollout->states, area, t);
      PetscCall(CordsSystemSynapses(system, area, n, r, SynapticAt(rollout, area, t)));
      PetscCall(
          CordsSystemStep(system, area, n, SynapticAt(rollout, area, t), r, At(rollout, rollout->states, area, t + 1)));
    }
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsRolloutForward(CordsRollout rollout, PetscInt n, CordsInput input, PetscInt phase_count,
                                   const CordsPhase phases[], void *state, const CordsObserver *observer)
{
  CordsSystem system = rollout->system;
  PetscInt last = rollout->area_count - 1, block_count;
  size_t size = CordsTypeSize(CordsSystemType(system));
  Block *blocks;

  PetscFunctionBegin;
  PetscCheck(n <= rollout->batch && phase_count <= PHASES_MAX, PETSC_COMM_SELF, PETSC_ERR_ARG_SIZ,
             "%" PetscInt_FMT " images in %" PetscInt_FMT " phases", n, phase_count);
  rollout->n = n;
  rollout->input = input;
  rollout->phase_count = phase_count;
  rollout->steps = 0;
  for (PetscInt p = 0; p < phase_count; p++) rollout->steps += (rollout->phases[p] = phases[p]).steps;
  PetscCheck(rollout->steps <= rollout->steps_max, PETSC_COMM_SELF, PETSC_ERR_ARG_SIZ, "too many steps");
  memcpy(rollout->starts.data, state, (size_t)n * rollout->starts.elements * size);
  PetscCall(CutBlocks(rollout, &block_count, &blocks));
  for (PetscInt i = 0; i < rollout->area_count; i++) {
    PetscCall(AreaForward(rollout, i, block_count, blocks));
    memcpy(CordsSystemArea(system, n, state, i), At(rollout, rollout->states, i, rollout->steps), Bytes(rollout, i, 1));
    if (observer && observer->forward) {
      PetscCall(observer->forward(observer->context, i, rollout->steps, n, At(rollout, rollout->states, i, 0)));
    }
  }
  PetscCall(PetscFree(blocks));
  PetscCall(CordsSystemFeatures(system, (rollout->steps + 1) * n, At(rollout, rollout->states, last, 0),
                                At(rollout, rollout->states, last - 1, 0), rollout->features.data));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static void *FeaturesAt(CordsRollout rollout, PetscInt step)
{
  return CordsArrayItem(&rollout->features, step * rollout->n);
}

PetscErrorCode CordsRolloutLogits(CordsRollout rollout, PetscInt first, PetscInt count, void *logits)
{
  return CordsSystemLogits(rollout->system, count * rollout->n, FeaturesAt(rollout, first + 1), logits);
}

/* Fill the states of an area again from its u. */
static PetscErrorCode Replay(CordsRollout rollout, PetscInt area)
{
  PetscFunctionBegin;
  if (area < 0) PetscFunctionReturn(PETSC_SUCCESS);
  memcpy(At(rollout, rollout->states, area, 0),
         CordsSystemArea(rollout->system, rollout->n, rollout->starts.data, area), Bytes(rollout, area, 1));
  for (PetscInt t = 0; t < rollout->steps; t++) {
    PetscCall(CordsSystemStep(rollout->system, area, rollout->n, SynapticAt(rollout, area, t),
                              At(rollout, rollout->states, area, t), At(rollout, rollout->states, area, t + 1)));
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* u of every step is replaced by ∂L/∂u.  With λ_t = ∂L/∂r[t] in all ways:
   ∂L/∂u[t] = α φ'(u[t]) λ_{t+1},   λ_t = g[t] + (1 − α) λ_{t+1} + Wᵀ ∂L/∂u[t];  g becomes λ. */
static PetscErrorCode AreaBackwardInTime(CordsRollout rollout, PetscInt area)
{
  CordsSystem system = rollout->system;
  CordsType type = CordsSystemType(system);
  double alpha = (double)CordsArchitectureAlpha(&CordsSystemModel(system)->architecture, area);
  size_t numbers = (size_t)rollout->n * CordsSystemNeurons(system, area);

  PetscFunctionBegin;
  for (PetscInt t = rollout->steps - 1; t >= 0; t--) {
    void *u = SynapticAt(rollout, area, t), *g = At(rollout, rollout->gradients, area, t);
    const void *later = At(rollout, rollout->gradients, area, t + 1);
    PetscCall(CordsSystemSlope(system, area, rollout->n, u, u));
    CordsMultiply(type, numbers, alpha, u, later, u);
    if (t == 0) continue; /* nothing flows into the start */
    CordsAxpy(type, numbers, 1 - alpha, later, g);
    PetscCall(CordsSystemSynapsesAdjoint(system, area, rollout->n, u, g));
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* Weight gradients of an area over blocks of steps, and the gradient for the areas below. */
static PetscErrorCode AreaBackwardToInputs(CordsRollout rollout, PetscInt area, PetscInt block_count,
                                           const Block blocks[])
{
  PetscFunctionBegin;
  for (PetscInt b = 0; b < block_count; b++) {
    PetscInt start = blocks[b].start, items = blocks[b].steps * rollout->n;
    const void *du = SynapticAt(rollout, area, start);
    PetscCall(CordsSystemSynapsesGradient(rollout->system, area, items, At(rollout, rollout->states, area, start), du));
    PetscCall(CordsSystemDriveBackward(
        rollout->system, area, items, blocks[b].input, At(rollout, rollout->states, area - 1, start),
        At(rollout, rollout->states, area - 2, start), du, At(rollout, rollout->gradients, area - 1, start),
        At(rollout, rollout->gradients, area - 2, start)));
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode ReadoutBackward(CordsRollout rollout, PetscInt first, PetscInt count, const void *dlogits)
{
  CordsSystem system = rollout->system;
  PetscInt last = rollout->area_count - 1, items = count * rollout->n;
  CordsArray dfeatures;

  PetscFunctionBegin;
  PetscCall(CordsArrayCreate(CordsSystemType(system), items, rollout->features.elements, &dfeatures));
  PetscCall(CordsSystemLogitsBackward(system, items, FeaturesAt(rollout, first + 1), dlogits, dfeatures.data));
  for (PetscInt area = last; area >= last - 1; area--) {
    PetscCall(CordsSystemFeaturesAdjoint(system, area, items, At(rollout, rollout->states, area, first + 1),
                                         dfeatures.data, At(rollout, rollout->gradients, area, first + 1)));
  }
  PetscCall(CordsArrayDestroy(&dfeatures));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsRolloutBackward(CordsRollout rollout, PetscInt first, PetscInt count, const void *dlogits,
                                    const CordsObserver *observer)
{
  PetscInt last = rollout->area_count - 1, block_count;
  Block *blocks;

  PetscFunctionBegin;
  PetscCheck(rollout->record, PETSC_COMM_SELF, PETSC_ERR_ORDER, "the run was not recorded");
  PetscCall(CutBlocks(rollout, &block_count, &blocks));
  for (PetscInt i = last; i >= PetscMax(last - 2, 0); i--) {
    memset(At(rollout, rollout->gradients, i, 0), 0, Bytes(rollout, i, rollout->steps + 1));
    PetscCall(Replay(rollout, i));
  }
  PetscCall(ReadoutBackward(rollout, first, count, dlogits));
  for (PetscInt i = last; i >= 0; i--) {
    if (observer && observer->backward) {
      PetscCall(observer->backward(observer->context, i, rollout->steps, rollout->n, At(rollout, rollout->states, i, 0),
                                   At(rollout, rollout->gradients, i, 0)));
    }
    PetscCall(AreaBackwardInTime(rollout, i));
    PetscCall(AreaBackwardToInputs(rollout, i, block_count, blocks));
    if (i < 3) continue;
    /* the place of area i is free for area i − 3 now */
    memset(At(rollout, rollout->gradients, i - 3, 0), 0, Bytes(rollout, i - 3, rollout->steps + 1));
    PetscCall(Replay(rollout, i - 3));
  }
  PetscCall(PetscFree(blocks));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsRolloutSpontaneous(CordsSystem system, PetscInt steps, PetscInt items, void *state)
{
  PetscInt area_count = CordsSystemModel(system)->architecture.area_count;
  CordsType type = CordsSystemType(system);
  CordsPhase phase = {steps, PETSC_FALSE};
  CordsRollout rollout;
  CordsArray one;

  PetscFunctionBegin;
  PetscCall(CordsArrayCreate(type, 1, CordsSystemOffset(system, area_count), &one));
  PetscCall(CordsRolloutCreate(system, 1, PetscMax(steps, 1), PETSC_FALSE, &rollout));
  PetscCall(CordsRolloutForward(rollout, 1, NULL, 1, &phase, one.data, NULL));
  for (PetscInt i = 0; i < area_count; i++) {
    size_t bytes = (size_t)CordsSystemNeurons(system, i) * CordsTypeSize(type);
    for (PetscInt k = 0; k < items; k++) {
      memcpy((char *)CordsSystemArea(system, items, state, i) + (size_t)k * bytes,
             CordsSystemArea(system, 1, one.data, i), bytes);
    }
  }
  PetscCall(CordsRolloutDestroy(&rollout));
  PetscCall(CordsArrayDestroy(&one));
  PetscFunctionReturn(PETSC_SUCCESS);
}
