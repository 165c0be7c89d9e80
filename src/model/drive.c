/* z_i = V_i a_i + b_i, what an area receives from the areas below, and its adjoint.

   Where no state is negative, ρ(r) = r needs no pass over memory.  Nor does ρ' backwards: a state that is zero has
   never been driven (u ≤ 0 at all steps before, since it would not be zero again), so φ' stops whatever is added to
   ∂L/∂r. */
#include "model/system_private.h"

/* ρ(r): r itself, or in work space. */
static PetscErrorCode Rates(CordsSystem system, CordsStates states, CordsWork work, size_t numbers, const void *r,
                            const void **rates)
{
  void *space;

  PetscFunctionBegin;
  *rates = r;
  if (states == CORDS_STATES_POSITIVE) PetscFunctionReturn(PETSC_SUCCESS);
  PetscCall(CordsSystemWork(system, work, numbers, &space));
  CordsRelu(system->type, numbers, r, space);
  *rates = space;
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* a_i for n items, i ≥ 1. */
static PetscErrorCode AreaInput(CordsSystem system, PetscInt area, PetscInt n, CordsStates states, CordsInput input,
                                const void *below, const void *below2, const void **area_input)
{
  const PetscInt skip = system->model->architecture.skip[area];
  const size_t one = CordsSystemNumbers(system, area - 1, 1), numbers = (size_t)n * one;
  const void *rates, *rates2;
  void *sum;

  PetscFunctionBegin;
  if (area == 1 && !input) {
    PetscCall(Rates(system, states, CORDS_WORK_AREA_INPUT, numbers, below, area_input));
    PetscFunctionReturn(PETSC_SUCCESS);
  }
  PetscCall(CordsSystemWork(system, CORDS_WORK_AREA_INPUT, numbers, &sum));
  if (area == 1) {
    CordsReluPeriodicSum(system->type, n, input->batch, one, below, input->skip.data, sum);
  } else if (skip < 0) {
    CordsReluSum(system->type, numbers, below, below2, sum);
  } else {
    PetscCall(Rates(system, states, CORDS_WORK_AREA_INPUT, numbers, below, &rates));
    PetscCall(Rates(system, states, CORDS_WORK_SKIP, CordsSystemNumbers(system, area - 2, n), below2, &rates2));
    PetscCall(CordsConvForwardFrom(CordsSystemConv(system, skip), n, rates2, rates, n, sum));
  }
  *area_input = sum;
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsSystemDrive(CordsSystem system, PetscInt area, PetscInt n, CordsStates states, CordsInput input,
                                const void *below, const void *below2, void *z)
{
  const void *area_input;

  PetscFunctionBegin;
  if (area == 0) {
    memset(z, 0, CordsSystemNumbers(system, 0, n) * CordsTypeSize(system->type));
    if (input) CordsAddPeriodic(system->type, n, input->batch, CordsSystemNumbers(system, 0, 1), input->drive.data, z);
    PetscCall(CordsSystemAddBias(system, area, n, z));
    PetscFunctionReturn(PETSC_SUCCESS);
  }
  PetscCall(AreaInput(system, area, n, states, input, below, below2, &area_input));
  PetscCall(CordsConvForwardFrom(CordsSystemConv(system, system->model->architecture.feedforward[area]), n, area_input,
                                 system->biases[area].data, 1, z));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* A gradient with respect to an area's states. */
typedef struct {
  void *g;
  PetscBool written; /* else added to */
} Gradient;

/* From d, the gradient with respect to ρ(r). */
static void ThroughRho(CordsSystem system, size_t numbers, const void *r, const void *d, const Gradient *to)
{
  if (to->written)
    CordsReluAdjoint(system->type, numbers, r, d, to->g);
  else
    CordsReluAdjointAdd(system->type, numbers, r, d, to->g);
}

/* g = or += ρ'(r) Wᵀ dy for n items of the area below a connection; by way of work space, unless there is no ρ' and the
   convolution itself adds. */
static PetscErrorCode ConvAdjoint(CordsSystem system, PetscInt connection, PetscInt n, CordsStates states,
                                  size_t numbers, const void *r, const void *dy, CordsWork work, const Gradient *to)
{
  const CordsConv conv = CordsSystemConv(system, connection);
  void *d;

  PetscFunctionBegin;
  if (states == CORDS_STATES_POSITIVE && system->type == system->master) {
    PetscCall(CordsConvBackwardData(conv, n, dy, to->g, (PetscBool)!to->written));
    PetscFunctionReturn(PETSC_SUCCESS);
  }
  PetscCall(CordsSystemWork(system, work, numbers, &d));
  PetscCall(CordsConvBackwardData(conv, n, dy, d, PETSC_FALSE));
  ThroughRho(system, numbers, r, d, to);
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* From dz to the areas below.  da = V_iᵀ dz, in work space, where `first` or the skip needs it; else NULL. */
static PetscErrorCode DriveAdjoint(CordsSystem system, PetscInt area, PetscInt n, CordsStates states,
                                   PetscBool keeps_da, const void *below, const void *below2, const void *dz, void *g,
                                   const Gradient *to2, void **da)
{
  const CordsArchitecture *a = &system->model->architecture;
  const size_t numbers = CordsSystemNumbers(system, area - 1, n);
  const Gradient to = {g, PETSC_FALSE};

  PetscFunctionBegin;
  *da = NULL;
  if (area == 1 && !keeps_da) {
    PetscCall(ConvAdjoint(system, a->feedforward[area], n, states, numbers, below, dz, CORDS_WORK_AREA_ADJOINT, &to));
    PetscFunctionReturn(PETSC_SUCCESS);
  }
  PetscCall(CordsSystemWork(system, CORDS_WORK_AREA_ADJOINT, numbers, da));
  PetscCall(CordsConvBackwardData(CordsSystemConv(system, a->feedforward[area]), n, dz, *da, PETSC_FALSE));
  ThroughRho(system, numbers, below, *da, &to);
  if (area < 2) PetscFunctionReturn(PETSC_SUCCESS);
  if (a->skip[area] < 0)
    ThroughRho(system, numbers, below2, *da, to2);
  else
    PetscCall(ConvAdjoint(system, a->skip[area], n, states, CordsSystemNumbers(system, area - 2, n), below2, *da,
                          CORDS_WORK_SKIP, to2));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsSystemDriveAdjoint(CordsSystem system, PetscInt area, PetscInt n, const void *below,
                                       const void *below2, const void *dz, void *g, void *g2)
{
  const Gradient to2 = {g2, PETSC_FALSE};
  void *da;

  PetscFunctionBegin;
  if (area > 0)
    PetscCall(DriveAdjoint(system, area, n, CORDS_STATES_ANY, PETSC_FALSE, below, below2, dz, g, &to2, &da));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsSystemDriveBackward(CordsSystem system, PetscInt area, PetscInt n, CordsStates states,
                                        CordsInput input, const void *below, const void *below2, const void *dz,
                                        void *g, void *g2, PetscBool first)
{
  const CordsArchitecture *a = &system->model->architecture;
  const size_t neurons = CordsSystemNumbers(system, area, 1);
  const Gradient to2 = {g2, first};
  const void *area_input, *rates;
  void *da;

  PetscFunctionBegin;
  PetscCall(CordsSystemBiasBackward(system, area, n, dz));
  if (area == 0) {
    if (input) CordsSumPeriodic(system->type, n, input->batch, neurons, dz, input->drive_gradient.data);
    PetscFunctionReturn(PETSC_SUCCESS);
  }
  PetscCall(AreaInput(system, area, n, states, input, below, below2, &area_input));
  PetscCall(CordsSystemCollectWeights(system, a->feedforward[area], n, area_input, dz));
  PetscCall(DriveAdjoint(system, area, n, states, (PetscBool)(input != NULL), below, below2, dz, g, &to2, &da));
  if (area == 1 && input) {
    CordsSumPeriodic(system->type, n, input->batch, CordsSystemNumbers(system, 0, 1), da, input->skip_gradient.data);
  } else if (a->skip[area] >= 0) {
    PetscCall(Rates(system, states, CORDS_WORK_SKIP, CordsSystemNumbers(system, area - 2, n), below2, &rates));
    PetscCall(CordsSystemCollectWeights(system, a->skip[area], n, rates, da));
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}
