/* The Jacobian of the ODE at a state, as products with vectors. */
#include "model/system_private.h"

struct _p_CordsLinearisation {
  CordsSystem system; /* borrowed */
  CordsArray state;   /* where it was linearised, for ρ' between areas */
  CordsArray slopes;  /* φ'(u), the diagonal of D, all areas */
  PetscInt copies;    /* of both beside each other for products with several vectors; 0: not made */
  CordsArray states_copied, slopes_copied;
  double rates[CORDS_AREAS_MAX]; /* τ/τ_i */
  PetscInt largest;
  CordsArray active[2]; /* [ρ'(r) v] of the two areas below, work */
};

/* State, slopes and vectors of a product with n vectors. */
typedef struct {
  PetscInt n;
  const void *state, *slopes;
} Copies;

PetscErrorCode CordsLinearisationCreate(CordsSystem system, CordsLinearisation *linearisation)
{
  const CordsArchitecture *a = &system->model->architecture;
  PetscInt neurons = CordsSystemOffset(system, a->area_count);
  CordsLinearisation l;

  PetscFunctionBegin;
  PetscCall(PetscNew(&l));
  l->system = system;
  for (PetscInt i = 0; i < a->area_count; i++) {
    l->rates[i] = (double)(a->areas[0].tau_ms / a->areas[i].tau_ms);
    l->largest = PetscMax(l->largest, CordsSystemNeurons(system, i));
  }
  PetscCall(CordsArrayCreate(system->type, 1, neurons, &l->state));
  PetscCall(CordsArrayCreate(system->type, 1, neurons, &l->slopes));
  for (int k = 0; k < 2; k++) PetscCall(CordsArrayCreate(system->type, 1, l->largest, &l->active[k]));
  *linearisation = l;
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsLinearisationDestroy(CordsLinearisation *linearisation)
{
  PetscFunctionBegin;
  if (!*linearisation) PetscFunctionReturn(PETSC_SUCCESS);
  PetscCall(CordsArrayDestroy(&(*linearisation)->state));
  PetscCall(CordsArrayDestroy(&(*linearisation)->slopes));
  PetscCall(CordsArrayDestroy(&(*linearisation)->states_copied));
  PetscCall(CordsArrayDestroy(&(*linearisation)->slopes_copied));
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
  linearisation->copies = 0;
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
    PetscCall(CordsSystemDrive(system, i, 1, CORDS_STATES_ANY, input, Part(linearisation, r, i - 1),
                               Part(linearisation, r, i - 2), z.data));
    PetscCall(CordsLinearisationSetArea(linearisation, i, z.data, Part(linearisation, r, i)));
    PetscCall(CordsArrayDestroy(&z));
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* What products with n vectors read, made once for each linearisation. */
static PetscErrorCode MakeCopies(CordsLinearisation l, PetscInt n, Copies *copies)
{
  CordsSystem system = l->system;

  PetscFunctionBegin;
  *copies = (Copies){1, l->state.data, l->slopes.data};
  if (n == 1) PetscFunctionReturn(PETSC_SUCCESS);
  if (l->states_copied.items != n) {
    PetscCall(CordsArrayDestroy(&l->states_copied));
    PetscCall(CordsArrayDestroy(&l->slopes_copied));
    PetscCall(CordsArrayCreate(system->type, n, l->state.elements, &l->states_copied));
    PetscCall(CordsArrayCreate(system->type, n, l->state.elements, &l->slopes_copied));
    for (int k = 0; k < 2; k++) {
      PetscCall(CordsArrayDestroy(&l->active[k]));
      PetscCall(CordsArrayCreate(system->type, n, l->largest, &l->active[k]));
    }
  }
  if (l->copies != n) {
    CordsSystemRepeat(system, n, l->state.data, l->states_copied.data);
    CordsSystemRepeat(system, n, l->slopes.data, l->slopes_copied.data);
    l->copies = n;
  }
  *copies = (Copies){n, l->states_copied.data, l->slopes_copied.data};
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* Area of n items; NULL below the first. */
static void *PartOf(CordsLinearisation l, PetscInt n, const void *vectors, PetscInt area)
{
  return area < 0 ? NULL : CordsSystemArea(l->system, n, vectors, area);
}

/* y_i = (τ/τ_i)(−v_i + D_i du); slopes: of the area, for n items */
static void ApplyLaw(CordsLinearisation l, PetscInt area, PetscInt n, const void *slopes, const void *du, const void *v,
                     void *y)
{
  CordsSystem system = l->system;
  size_t numbers = CordsSystemNumbers(system, area, n);

  CordsMultiply(system->type, numbers, l->rates[area], du, slopes, y);
  CordsAxpy(system->type, numbers, -l->rates[area], v, y);
}

/* y_i = −(τ/τ_i) w_i + W_iᵀ q (+ what y_i holds), q = (τ/τ_i) D_i w_i */
static PetscErrorCode ApplyLawAdjoint(CordsLinearisation l, PetscInt area, PetscInt n, const void *slopes,
                                      const void *w, void *y, void **q)
{
  CordsSystem system = l->system;
  size_t numbers = CordsSystemNumbers(system, area, n);

  PetscFunctionBegin;
  PetscCall(CordsSystemWork(system, CORDS_WORK_SYNAPSES, numbers, q));
  CordsMultiply(system->type, numbers, l->rates[area], w, slopes, *q);
  CordsAxpy(system->type, numbers, -l->rates[area], w, y);
  PetscCall(CordsSystemSynapsesAdjoint(system, area, n, *q, y));
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
  ApplyLaw(linearisation, area, 1, CordsLinearisationSlope(linearisation, area), du, v, y);
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsLinearisationAreaAdjoint(CordsLinearisation linearisation, PetscInt area, const void *v, void *y)
{
  CordsSystem system = linearisation->system;
  void *q;

  PetscFunctionBegin;
  memset(y, 0, CordsSystemNumbers(system, area, 1) * CordsTypeSize(system->type));
  PetscCall(ApplyLawAdjoint(linearisation, area, 1, CordsLinearisationSlope(linearisation, area), v, y, &q));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* ρ'(r_j) v_j of a lower area in work space k. */
static void *Active(CordsLinearisation l, const Copies *copies, PetscInt area, const void *v, int k)
{
  size_t numbers;

  if (area < 0) return NULL;
  numbers = CordsSystemNumbers(l->system, area, copies->n);
  memset(l->active[k].data, 0, numbers * CordsTypeSize(l->system->type));
  CordsReluAdjointAdd(l->system->type, numbers, PartOf(l, copies->n, copies->state, area),
                      PartOf(l, copies->n, v, area), l->active[k].data);
  return l->active[k].data;
}

/* du = (∂z_i/∂r) v: the wiring of CordsSystemAreaInput with ρ replaced by multiplication with ρ'. */
static PetscErrorCode DriveTangent(CordsLinearisation l, const Copies *copies, PetscInt area, const void *v, void *du)
{
  CordsSystem system = l->system;
  const CordsArchitecture *a = &system->model->architecture;
  PetscInt n = copies->n;
  void *below = Active(l, copies, area - 1, v, 0), *below2 = Active(l, copies, area - 2, v, 1);

  PetscFunctionBegin;
  if (area == 0) {
    memset(du, 0, CordsSystemNumbers(system, 0, n) * CordsTypeSize(system->type));
    PetscFunctionReturn(PETSC_SUCCESS);
  }
  if (area >= 2 && a->skip[area] < 0) {
    CordsAxpy(system->type, CordsSystemNumbers(system, area - 2, n), 1, below2, below);
  } else if (area >= 2) {
    PetscCall(CordsConvForward(CordsSystemConv(system, a->skip[area]), n, below2, below, PETSC_TRUE));
  }
  PetscCall(CordsConvForward(CordsSystemConv(system, a->feedforward[area]), n, below, du, PETSC_FALSE));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsLinearisationTangent(CordsLinearisation linearisation, PetscInt n, const void *v, void *y)
{
  CordsLinearisation l = linearisation;
  CordsSystem system = l->system;
  Copies copies;
  void *du;

  PetscFunctionBegin;
  PetscCall(MakeCopies(l, n, &copies));
  for (PetscInt i = 0; i < system->model->architecture.area_count; i++) {
    PetscCall(CordsSystemWork(system, CORDS_WORK_SYNAPSES, CordsSystemNumbers(system, i, n), &du));
    PetscCall(DriveTangent(l, &copies, i, v, du));
    PetscCall(CordsSystemSynapses(system, i, n, PartOf(l, n, v, i), du));
    ApplyLaw(l, i, n, PartOf(l, n, copies.slopes, i), du, PartOf(l, n, v, i), PartOf(l, n, y, i));
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsLinearisationAdjoint(CordsLinearisation linearisation, PetscInt n, const void *v, void *y)
{
  CordsLinearisation l = linearisation;
  CordsSystem system = l->system;
  PetscInt area_count = system->model->architecture.area_count;
  Copies copies;
  void *q;

  PetscFunctionBegin;
  PetscCall(MakeCopies(l, n, &copies));
  memset(y, 0, (size_t)n * CordsSystemOffset(system, area_count) * CordsTypeSize(system->type));
  for (PetscInt i = area_count - 1; i >= 0; i--) {
    PetscCall(ApplyLawAdjoint(l, i, n, PartOf(l, n, copies.slopes, i), PartOf(l, n, v, i), PartOf(l, n, y, i), &q));
    PetscCall(CordsSystemDriveAdjoint(system, i, n, PartOf(l, n, copies.state, i - 1),
                                      PartOf(l, n, copies.state, i - 2), q, PartOf(l, n, y, i - 1),
                                      PartOf(l, n, y, i - 2)));
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}
