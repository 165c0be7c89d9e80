/* The Jacobian of the ODE at a state, as products with vectors. */
#include "model/system_private.h"

struct _p_CordsLinearisation {
  CordsSystem system;            /* borrowed */
  CordsArray state;              /* where it was linearised, for ρ' between areas */
  CordsArray slopes;             /* φ'(u), the diagonal of D, all areas */
  double rates[CORDS_AREAS_MAX]; /* τ/τ_i */
  CordsArray active[2];          /* [ρ'(r) v] of the two areas below, work */
};

PetscErrorCode CordsLinearisationCreate(CordsSystem system, CordsLinearisation *linearisation)
{
  const CordsArchitecture *a = &system->model->architecture;
  PetscInt neurons = CordsSystemOffset(system, a->area_count), largest = 0;
  CordsLinearisation l;

  PetscFunctionBegin;
  PetscCall(PetscNew(&l));
  l->system = system;
  for (PetscInt i = 0; i < a->area_count; i++) {
    l->rates[i] = (double)(a->areas[0].tau_ms / a->areas[i].tau_ms);
    largest = PetscMax(largest, CordsSystemNeurons(system, i));
  }
  PetscCall(CordsArrayCreate(system->type, 1, neurons, &l->state));
  PetscCall(CordsArrayCreate(system->type, 1, neurons, &l->slopes));
  for (int k = 0; k < 2; k++) PetscCall(CordsArrayCreate(system->type, 1, largest, &l->active[k]));
  *linearisation = l;
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsLinearisationDestroy(CordsLinearisation *linearisation)
{
  PetscFunctionBegin;
  if (!*linearisation) PetscFunctionReturn(PETSC_SUCCESS);
  PetscCall(CordsArrayDestroy(&(*linearisation)->state));
  PetscCall(CordsArrayDestroy(&(*linearisation)->slopes));
  for (int k = 0; k < 2; k++) PetscCall(CordsArrayDestroy(&(*linearisation)->active[k]));
  PetscCall(PetscFree(*linearisation));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static void *Part(CordsLinearisation l, const void *state, PetscInt area)
{
  return area < 0 ? NULL : CordsSystemArea(l->system, 1, state, area);
}

const void *CordsLinearisationSlope(CordsLinearisation linearisation, PetscInt area)
{
  return Part(linearisation, linearisation->slopes.data, area);
}

PetscErrorCode CordsLinearisationSetArea(CordsLinearisation linearisation, PetscInt area, const void *z, const void *r)
{
  CordsSystem system = linearisation->system;
  size_t neurons = CordsSystemNumbers(system, area, 1);
  void *u;

  PetscFunctionBegin;
  memcpy(Part(linearisation, linearisation->state.data, area), r, neurons * CordsTypeSize(system->type));
  PetscCall(CordsSystemWork(system, CORDS_WORK_SYNAPSES, neurons, &u));
  memcpy(u, z, neurons * CordsTypeSize(system->type));
  PetscCall(CordsSystemSynapses(system, area, 1, r, u));
  PetscCall(CordsSystemSlope(system, area, 1, u, Part(linearisation, linearisation->slopes.data, area)));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsLinearisationSet(CordsLinearisation linearisation, CordsInput input, const void *r)
{
  CordsSystem system = linearisation->system;
  CordsArray z;

  PetscFunctionBegin;
  PetscCheck(!input || input->batch == 1, PETSC_COMM_SELF, PETSC_ERR_ARG_SIZ, "a linearisation is for one image");
  for (PetscInt i = 0; i < system->model->architecture.area_count; i++) {
    PetscCall(CordsArrayCreate(system->type, 1, CordsSystemNeurons(system, i), &z));
    PetscCall(
        CordsSystemDrive(system, i, 1, input, Part(linearisation, r, i - 1), Part(linearisation, r, i - 2), z.data));
    PetscCall(CordsLinearisationSetArea(linearisation, i, z.data, Part(linearisation, r, i)));
    PetscCall(CordsArrayDestroy(&z));
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* y_i = (τ/τ_i)(−v_i + D_i du) */
static void ApplyLaw(CordsLinearisation l, PetscInt area, const void *du, const void *v, void *y)
{
  CordsSystem system = l->system;
  size_t neurons = CordsSystemNumbers(system, area, 1);

  CordsMultiply(system->type, neurons, l->rates[area], du, CordsLinearisationSlope(l, area), y);
  CordsAxpy(system->type, neurons, -l->rates[area], v, y);
}

/* y_i = −(τ/τ_i) w_i + W_iᵀ q (+ what y_i holds), q = (τ/τ_i) D_i w_i */
static PetscErrorCode ApplyLawAdjoint(CordsLinearisation l, PetscInt area, const void *w, void *y, void **q)
{
  CordsSystem system = l->system;
  size_t neurons = CordsSystemNumbers(system, area, 1);

  PetscFunctionBegin;
  PetscCall(CordsSystemWork(system, CORDS_WORK_SYNAPSES, neurons, q));
  CordsMultiply(system->type, neurons, l->rates[area], w, CordsLinearisationSlope(l, area), *q);
  CordsAxpy(system->type, neurons, -l->rates[area], w, y);
  PetscCall(CordsSystemSynapsesAdjoint(system, area, 1, *q, y));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsLinearisationAreaTangent(CordsLinearisation linearisation, PetscInt area, const void *v, void *y)
{
  CordsSystem system = linearisation->system;
  size_t neurons = CordsSystemNumbers(system, area, 1);
  void *du;

  PetscFunctionBegin;
  PetscCall(CordsSystemWork(system, CORDS_WORK_SYNAPSES, neurons, &du));
  memset(du, 0, neurons * CordsTypeSize(system->type));
  PetscCall(CordsSystemSynapses(system, area, 1, v, du));
  ApplyLaw(linearisation, area, du, v, y);
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsLinearisationAreaAdjoint(CordsLinearisation linearisation, PetscInt area, const void *v, void *y)
{
  CordsSystem system = linearisation->system;
  void *q;

  PetscFunctionBegin;
  memset(y, 0, CordsSystemNumbers(system, area, 1) * CordsTypeSize(system->type));
  PetscCall(ApplyLawAdjoint(linearisation, area, v, y, &q));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* ρ'(r_j) v_j of a lower area in work space k. */
static void *Active(CordsLinearisation l, PetscInt area, const void *v, int k)
{
  size_t neurons;

  if (area < 0) return NULL;
  neurons = CordsSystemNumbers(l->system, area, 1);
  memset(l->active[k].data, 0, neurons * CordsTypeSize(l->system->type));
  CordsReluAdjointAdd(l->system->type, neurons, Part(l, l->state.data, area), Part(l, v, area), l->active[k].data);
  return l->active[k].data;
}

/* du = (∂z_i/∂r) v: the wiring of CordsSystemAreaInput with ρ replaced by multiplication with ρ'. */
static PetscErrorCode DriveTangent(CordsLinearisation l, PetscInt area, const void *v, void *du)
{
  CordsSystem system = l->system;
  const CordsArchitecture *a = &system->model->architecture;
  void *below = Active(l, area - 1, v, 0), *below2 = Active(l, area - 2, v, 1);

  PetscFunctionBegin;
  if (area == 0) {
    memset(du, 0, CordsSystemNumbers(system, 0, 1) * CordsTypeSize(system->type));
    PetscFunctionReturn(PETSC_SUCCESS);
  }
  if (area >= 2 && a->skip[area] < 0) {
    CordsAxpy(system->type, CordsSystemNumbers(system, area - 2, 1), 1, below2, below);
  } else if (area >= 2) {
    PetscCall(CordsConvForward(CordsSystemConv(system, a->skip[area]), 1, below2, below, PETSC_TRUE));
  }
  PetscCall(CordsConvForward(CordsSystemConv(system, a->feedforward[area]), 1, below, du, PETSC_FALSE));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsLinearisationTangent(CordsLinearisation linearisation, const void *v, void *y)
{
  CordsSystem system = linearisation->system;
  void *du;

  PetscFunctionBegin;
  for (PetscInt i = 0; i < system->model->architecture.area_count; i++) {
    PetscCall(CordsSystemWork(system, CORDS_WORK_SYNAPSES, CordsSystemNumbers(system, i, 1), &du));
    PetscCall(DriveTangent(linearisation, i, v, du));
    PetscCall(CordsSystemSynapses(system, i, 1, Part(linearisation, v, i), du));
    ApplyLaw(linearisation, i, du, Part(linearisation, v, i), Part(linearisation, y, i));
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsLinearisationAdjoint(CordsLinearisation linearisation, const void *v, void *y)
{
  CordsSystem system = linearisation->system;
  const void *r = linearisation->state.data;
  PetscInt area_count = system->model->architecture.area_count;
  void *q;

  PetscFunctionBegin;
  memset(y, 0, (size_t)CordsSystemOffset(system, area_count) * CordsTypeSize(system->type));
  for (PetscInt i = area_count - 1; i >= 0; i--) {
    PetscCall(ApplyLawAdjoint(linearisation, i, Part(linearisation, v, i), Part(linearisation, y, i), &q));
    PetscCall(CordsSystemDriveAdjoint(system, i, 1, Part(linearisation, r, i - 1), Part(linearisation, r, i - 2), q,
                                      Part(linearisation, y, i - 1), Part(linearisation, y, i - 2)));
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}
