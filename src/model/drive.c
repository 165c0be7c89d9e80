/* z_i = V_i a_i + b_i, what an area receives from the areas below, and its adjoint.

   Where no state is negative, ρ(r) = r needs no pass over memory.  Nor does ρ' backwards: a state that is zero has
   never been driven (u ≤ 0 at all steps before, since it would not be zero again), so φ' stops whatever is added to
   ∂L/∂r. */
#include "model/system_private.h"

/* n items of an area and of the two below it. */
typedef struct {
  PetscInt area, n;
  CordsStates states;
  CordsInput input; /* NULL: the zero image */
  const void *below, *below2;
} Items;

/* Numbers in the items of the area `down` areas below. */
static size_t NumbersBelow(CordsSystem system, const Items *items, PetscInt down)
{
  return CordsSystemNumbers(system, items->area - down, items->n);
}

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

/* What a skip convolution reads. */
static PetscErrorCode SkippedRates(CordsSystem system, const Items *items, const void **rates)
{
  return Rates(system, items->states, CORDS_WORK_SKIP, NumbersBelow(system, items, 2), items->below2, rates);
}

/* a_i, i ≥ 1. */
static PetscErrorCode AreaInput(CordsSystem system, const Items *items, const void **area_input)
{
  const PetscInt n = items->n, skip = system->model->architecture.skip[items->area];
  const size_t numbers = NumbersBelow(system, items, 1);
  const void *rates, *skipped;
  void *sum;

  PetscFunctionBegin;
  if (items->area == 1 && !items->input) {
    PetscCall(Rates(system, items->states, CORDS_WORK_AREA_INPUT, numbers, items->below, area_input));
    PetscFunctionReturn(PETSC_SUCCESS);
  }
  PetscCall(CordsSystemWork(system, CORDS_WORK_AREA_INPUT, numbers, &sum));
  if (items->area == 1) {
    CordsReluPeriodicSum(system->type, n, items->input->batch, CordsSystemNumbers(system, 0, 1), items->below,
                         items->input->skip.data, sum);
  } else if (skip < 0) {
    CordsReluSum(system->type, numbers, items->below, items->below2, sum);
  } else {
    PetscCall(Rates(system, items->states, CORDS_WORK_AREA_INPUT, numbers, items->below, &rates));
    PetscCall(SkippedRates(system, items, &skipped));
    PetscCall(CordsConvForwardFrom(CordsSystemConv(system, skip), n, skipped, rates, n, sum));
  }
  *area_input = sum;
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsSystemDrive(CordsSystem system, PetscInt area, PetscInt n, CordsStates states, CordsInput input,
                                const void *below, const void *below2, void *z)
{
  const Items items = {area, n, states, input, below, below2};
  const void *area_input;

  PetscFunctionBegin;
  if (area == 0) {
    memset(z, 0, CordsSystemNumbers(system, 0, n) * CordsTypeSize(system->type));
    if (input) CordsAddPeriodic(system->type, n, input->batch, CordsSystemNumbers(system, 0, 1), input->drive.data, z);
    PetscCall(CordsSystemAddBias(system, area, n, z));
    PetscFunctionReturn(PETSC_SUCCESS);
  }
  PetscCall(AreaInput(system, &items, &area_input));
  PetscCall(CordsConvForwardFrom(CordsSystemConv(system, system->model->architecture.feedforward[area]), n, area_input,
                                 system->biases[area].data, 1, z));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* Where a gradient with respect to an area's states r goes. */
typedef struct {
  const void *r;
  size_t numbers;
  void *g;
  PetscBool written; /* else added to */
} Gradient;

/* From d, the gradient with respect to ρ(r). */
static void ThroughRho(CordsSystem system, const void *d, const Gradient *to)
{
  if (to->written)
    CordsReluAdjoint(system->type, to->numbers, to->r, d, to->g);
  else
    CordsReluAdjointAdd(system->type, to->numbers, to->r, d, to->g);
}

/* From dy back through a connection and ρ; by way of work space, unless there is no ρ' and the convolution itself adds.
 */
static PetscErrorCode ConvAdjoint(CordsSystem system, PetscInt connection, const Items *items, const void *dy,
                                  CordsWork work, const Gradient *to)
{
  const CordsConv conv = CordsSystemConv(system, connection);
  void *d;

  PetscFunctionBegin;
  if (items->states == CORDS_STATES_POSITIVE && system->type == system->master) {
    PetscCall(CordsConvBackwardData(conv, items->n, dy, to->g, (PetscBool)!to->written));
    PetscFunctionReturn(PETSC_SUCCESS);
  }
  PetscCall(CordsSystemWork(system, work, to->numbers, &d));
  PetscCall(CordsConvBackwardData(conv, items->n, dy, d, PETSC_FALSE));
  ThroughRho(system, d, to);
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* From dz to the areas below, i ≥ 1.  first: g2 is written.  da: V_iᵀ dz in work space, where more than the area below
   gets it; else NULL. */
static PetscErrorCode DriveAdjoint(CordsSystem system, const Items *items, const void *dz, void *g, void *g2,
                                   PetscBool first, void **da)
{
  const CordsArchitecture *a = &system->model->architecture;
  const PetscInt feedforward = a->feedforward[items->area], skip = a->skip[items->area];
  const Gradient to = {items->below, NumbersBelow(system, items, 1), g, PETSC_FALSE};
  Gradient to2 = {.r = items->below2, .g = g2, .written = first};

  PetscFunctionBegin;
  *da = NULL;
  if (items->area == 1 && !items->input) {
    PetscCall(ConvAdjoint(system, feedforward, items, dz, CORDS_WORK_AREA_ADJOINT, &to));
    PetscFunctionReturn(PETSC_SUCCESS);
  }
  PetscCall(CordsSystemWork(system, CORDS_WORK_AREA_ADJOINT, to.numbers, da));
  PetscCall(CordsConvBackwardData(CordsSystemConv(system, feedforward), items->n, dz, *da, PETSC_FALSE));
  ThroughRho(system, *da, &to);
  if (items->area == 1) PetscFunctionReturn(PETSC_SUCCESS);
  to2.numbers = NumbersBelow(system, items, 2);
  if (skip < 0)
    ThroughRho(system, *da, &to2);
  else
    PetscCall(ConvAdjoint(system, skip, items, *da, CORDS_WORK_SKIP, &to2));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsSystemDriveAdjoint(CordsSystem system, PetscInt area, PetscInt n, const void *below,
                                       const void *below2, const void *dz, void *g, void *g2)
{
  const Items items = {area, n, CORDS_STATES_ANY, NULL, below, below2};
  void *da;

  PetscFunctionBegin;
  if (area > 0) PetscCall(DriveAdjoint(system, &items, dz, g, g2, PETSC_FALSE, &da));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsSystemDriveBackward(CordsSystem system, PetscInt area, PetscInt n, CordsStates states,
                                        CordsInput input, const void *below, const void *below2, const void *dz,
                                        void *g, void *g2, PetscBool first)
{
  const CordsArchitecture *a = &system->model->architecture;
  const Items items = {area, n, states, input, below, below2};
  const void *area_input, *skipped;
  void *da;

  PetscFunctionBegin;
  PetscCall(CordsSystemBiasBackward(system, area, n, dz));
  if (area == 0) {
    if (input)
      CordsSumPeriodic(system->type, n, input->batch, CordsSystemNumbers(system, 0, 1), dz, input->drive_gradient.data);
    PetscFunctionReturn(PETSC_SUCCESS);
  }
  PetscCall(AreaInput(system, &items, &area_input));
  PetscCall(CordsSystemCollectWeights(system, a->feedforward[area], n, area_input, dz));
  PetscCall(DriveAdjoint(system, &items, dz, g, g2, first, &da));
  if (area == 1 && input) {
    CordsSumPeriodic(system->type, n, input->batch, CordsSystemNumbers(system, 0, 1), da, input->skip_gradient.data);
  } else if (a->skip[area] >= 0) {
    PetscCall(SkippedRates(system, &items, &skipped));
    PetscCall(CordsSystemCollectWeights(system, a->skip[area], n, skipped, da));
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}
