/* All areas step by step, as the equation is written (model/system.h), and back again; everything is stored.

     r_i[t+1] = (1 − α_i) r_i[t] + α_i φ(u_i[t]),   u_i[t] = W_i r_i[t] + z_i(r_{i−1}[t], r_{i−2}[t], image)

   backwards, with λ[t] = ∂L/∂r[t] in all ways and g[t] what the loss says of r[t] itself:

     ∂L/∂u_i[t] = α_i φ'(u_i[t]) λ_i[t+1]
     λ_i[t] = g_i[t] + (1 − α_i) λ_i[t+1] + W_iᵀ ∂L/∂u_i[t] + what the areas above send down */
#include "conv/pointwise.h"
#include "train/rollout_type.h"

#include <string.h>

typedef struct {
  CordsArray states;   /* [steps + 1]: each a state of n items */
  CordsArray synaptic; /* [steps]: u in the layout of a state; ∂L/∂u on the way back */
  CordsArray now, later;
} Data;

static PetscBool Supports(CordsSystem system)
{
  return (PetscBool)(CordsSystemType(system) != CORDS_BF16);
}

static PetscErrorCode Create(CordsRollout rollout)
{
  CordsType type = CordsSystemType(rollout->system);
  PetscInt neurons = CordsSystemOffset(rollout->system, rollout->area_count), images = rollout->plan.images;
  Data *d;

  PetscFunctionBegin;
  PetscCall(PetscNew(&d));
  PetscCall(CordsArrayCreate(type, (rollout->steps_max + 1) * images, neurons, &d->states));
  PetscCall(CordsArrayCreate(type, PetscMax(rollout->steps_max, 1) * images, neurons, &d->synaptic));
  PetscCall(CordsArrayCreate(type, images, neurons, &d->now));
  PetscCall(CordsArrayCreate(type, images, neurons, &d->later));
  rollout->data = d;
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode Destroy(CordsRollout rollout)
{
  Data *d = rollout->data;

  PetscFunctionBegin;
  PetscCall(CordsArrayDestroy(&d->states));
  PetscCall(CordsArrayDestroy(&d->synaptic));
  PetscCall(CordsArrayDestroy(&d->now));
  PetscCall(CordsArrayDestroy(&d->later));
  PetscCall(PetscFree(d));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* Area i (NULL below the first) of the state, or of u, at a step. */
static void *At(CordsRollout rollout, const CordsArray *array, PetscInt step, PetscInt area)
{
  if (area < 0) return NULL;
  return CordsSystemArea(rollout->system, rollout->n, CordsArrayItem(array, step * rollout->n), area);
}

static CordsInput InputAt(CordsRollout rollout, PetscInt step)
{
  PetscInt end = 0;

  for (PetscInt p = 0; p < rollout->phase_count; p++) {
    end += rollout->phases[p].steps;
    if (step < end) return rollout->phases[p].image ? rollout->input : NULL;
  }
  return NULL;
}

static PetscErrorCode StepForward(CordsRollout rollout, PetscInt t)
{
  CordsSystem system = rollout->system;
  Data *d = rollout->data;

  PetscFunctionBegin;
  for (PetscInt i = rollout->area_count - 1; i >= 0; i--) {
    void *u = At(rollout, &d->synaptic, t, i);
    const void *r = At(rollout, &d->states, t, i);
    PetscCall(CordsSystemDrive(system, i, rollout->n, CORDS_STATES_ANY, InputAt(rollout, t),
                               At(rollout, &d->states, t, i - 1), At(rollout, &d->states, t, i - 2), u));
    PetscCall(CordsSystemSynapses(system, i, rollout->n, r, u));
    PetscCall(CordsSystemStep(system, i, rollout->n, u, r, At(rollout, &d->states, t + 1, i)));
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode Forward(CordsRollout rollout, void *state, const CordsObserver *observer)
{
  Data *d = rollout->data;
  PetscInt last = rollout->area_count - 1;
  size_t bytes = (size_t)rollout->n * d->states.elements * CordsTypeSize(d->states.type);

  PetscFunctionBegin;
  memcpy(d->states.data, state, bytes);
  for (PetscInt t = 0; t < rollout->steps; t++) {
    PetscCall(StepForward(rollout, t));
    PetscCall(CordsRolloutReadFeatures(rollout, t + 1, 1, At(rollout, &d->states, t + 1, last),
                                       At(rollout, &d->states, t + 1, last - 1)));
    for (PetscInt i = 0; observer && observer->forward && i <= last; i++) {
      PetscCall(observer->forward(observer->context, i, t + 1, 1, rollout->n, At(rollout, &d->states, t + 1, i)));
    }
  }
  memcpy(state, At(rollout, &d->states, rollout->steps, 0), bytes);
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* d->later holds λ[t+1]; on return d->now holds λ[t], the loss at t itself still missing. */
static PetscErrorCode StepBackward(CordsRollout rollout, PetscInt t)
{
  CordsSystem system = rollout->system;
  CordsType type = CordsSystemType(system);
  PetscInt n = rollout->n;
  Data *d = rollout->data;

  PetscFunctionBegin;
  memset(d->now.data, 0, (size_t)n * d->now.elements * CordsTypeSize(type));
  for (PetscInt i = rollout->area_count - 1; i >= 0; i--) {
    double alpha = (double)CordsArchitectureAlpha(&CordsSystemModel(system)->architecture, i);
    size_t numbers = CordsRolloutNumbers(rollout, i);
    void *du = At(rollout, &d->synaptic, t, i), *lambda = At(rollout, &d->now, 0, i);
    const void *later = At(rollout, &d->later, 0, i), *r = At(rollout, &d->states, t, i);
    PetscCall(CordsSystemSlope(system, i, n, du, du));
    CordsMultiply(type, numbers, alpha, du, later, du);
    CordsAxpy(type, numbers, 1 - alpha, later, lambda);
    PetscCall(CordsSystemSynapsesAdjoint(system, i, n, du, lambda));
    PetscCall(CordsSystemSynapsesGradient(system, i, n, r, du));
    PetscCall(CordsSystemDriveBackward(system, i, n, CORDS_STATES_ANY, InputAt(rollout, t),
                                       At(rollout, &d->states, t, i - 1), At(rollout, &d->states, t, i - 2), du,
                                       At(rollout, &d->now, 0, i - 1), At(rollout, &d->now, 0, i - 2), PETSC_FALSE));
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode Backward(CordsRollout rollout, const CordsObserver *observer)
{
  Data *d = rollout->data;
  size_t bytes = (size_t)rollout->n * d->now.elements * CordsTypeSize(d->now.type);

  PetscFunctionBegin;
  memset(d->now.data, 0, bytes);
  for (PetscInt t = rollout->steps; t > 0; t--) {
    for (PetscInt i = 0; i < rollout->area_count; i++) {
      PetscCall(
          CordsRolloutAddLoss(rollout, observer, i, t, 1, At(rollout, &d->states, t, i), At(rollout, &d->now, 0, i)));
    }
    memcpy(d->later.data, d->now.data, bytes);
    PetscCall(StepBackward(rollout, t - 1));
  }
  for (PetscInt i = rollout->area_count - 1; observer && observer->done && i >= 0; i--)
    PetscCall(observer->done(observer->context, i));
  PetscFunctionReturn(PETSC_SUCCESS);
}

const CordsRolloutType cords_rollout_reference = {.name = "reference",
                                                  .about = "all areas step by step, everything stored; f32, f64",
                                                  .supports = Supports,
                                                  .create = Create,
                                                  .destroy = Destroy,
                                                  .forward = Forward,
                                                  .backward = Backward};
