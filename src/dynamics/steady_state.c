#include "dynamics/steady_state.h"

#include "conv/pointwise.h"
#include "core/config.h"

#include <math.h>
#include <petscsnes.h>

static const char prefix[] = "equilibrium_";

/* Names that SNES and KSP read themselves, as far as people want them. */
static const char *const solver_options[] = {
    "-equilibrium_snes_type",    "-equilibrium_snes_max_it", "-equilibrium_snes_linesearch_type",
    "-equilibrium_snes_monitor", "-equilibrium_snes_ksp_ew", "-equilibrium_ksp_type",
    "-equilibrium_ksp_rtol",     "-equilibrium_ksp_max_it",  "-equilibrium_ksp_gmres_restart",
    "-equilibrium_ksp_monitor"};

enum { RESTART = 20, VECTORS_BESIDE = 10 /* of SNES, line search and GMRES beside its basis */ };

/* Relaxation goes on while the residual falls by this factor per step: below it Newton's method is cheaper. */
static const double slowest_relaxation = 0.75;
enum { RESCUE_STEPS = 30 };
static const double rescue_damping = 0.4;
/* An image is not settled if its own residual is this much above what the batch was asked for. */
static const double image_allowance = 10;

/* The solvers for areas of one size. */
typedef struct {
  PetscInt neurons, items; /* of this rank */
  SNES snes;
  KSP ksp; /* of the SNES */
  Mat jacobian, adjoint;
  Vec state, residual;
  PetscReal newton_rtol; /* of ksp as Newton's */
} Solver;

struct _p_CordsSteadyState {
  MPI_Comm comm;
  CordsSystem system; /* borrowed */
  CordsSteadyStateSettings settings;
  PetscInt items, area_count;
  CordsResponse responses[CORDS_AREAS_MAX];
  Solver solvers[CORDS_AREAS_MAX];
  PetscInt solver_count;
  CordsArray work[4]; /* of the largest area */
  /* the solve at hand */
  PetscInt area, n;
  const void *z;
  void *answer; /* φ(W r + z) at `asked`, whose D the response holds */
  void *asked;
  PetscBool answered; /* whether these two are valid */
  void *in, *out;     /* of a product */
  PetscInt products;
};

void CordsSteadyStateDefault(CordsSteadyStateSettings *settings)
{
  *settings = (CordsSteadyStateSettings){.tolerance = 1e-3, .adjoint_tolerance = 1e-2, .steps = 30};
}

/* Defaults, then the user's options. */
static PetscErrorCode CreateSnes(MPI_Comm comm, SNES *snes)
{
  KSP ksp;
  PC pc;

  PetscFunctionBegin;
  PetscCall(SNESCreate(comm, snes));
  PetscCall(SNESSetOptionsPrefix(*snes, prefix));
  PetscCall(SNESSetType(*snes, SNESNEWTONLS));
  PetscCall(SNESSetTolerances(*snes, 0, 0, 0, 10, 1000));
  PetscCall(SNESSetMaxLinearSolveFailures(*snes, 1000)); /* a step from too few iterations still leads down */
  PetscCall(SNESGetKSP(*snes, &ksp));
  PetscCall(KSPSetType(ksp, KSPGMRES));
  PetscCall(KSPGMRESSetRestart(ksp, RESTART));
  PetscCall(KSPSetTolerances(ksp, 0.03, 0, PETSC_DEFAULT, 3 * RESTART));
  PetscCall(KSPGetPC(ksp, &pc));
  PetscCall(PCSetType(pc, PCNONE));
  PetscCall(SNESSetFromOptions(*snes));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsSteadyStateConfigure(CordsSteadyStateSettings *settings)
{
  SNES snes;

  PetscFunctionBegin;
  CordsSteadyStateDefault(settings);
  PetscCall(CordsOptionReal("-equilibrium_tolerance", "relative residual of the steady states of a batch", "", 1e-7, 1,
                            &settings->tolerance));
  PetscCall(CordsOptionReal("-equilibrium_adjoint_tolerance", "relative residual of the linear systems of the gradient",
                            "", 1e-7, 1, &settings->adjoint_tolerance));
  PetscCall(CordsOptionInt("-equilibrium_steps", "most steps of relaxation before Newton's method or GMRES", "steps", 0,
                           10000, &settings->steps));
  for (size_t i = 0; i < PETSC_STATIC_ARRAY_LENGTH(solver_options); i++) PetscCall(CordsConfigKnow(solver_options[i]));
  PetscCall(CreateSnes(PETSC_COMM_SELF, &snes)); /* reads their options, so that they are known before the work */
  PetscCall(SNESDestroy(&snes));
  PetscFunctionReturn(PETSC_SUCCESS);
}

double CordsSteadyStateBytes(CordsSystem system, PetscInt items)
{
  double bytes = 0, largest = CordsSystemLargestArea(system);

  for (PetscInt i = 0; i < CordsSystemModel(system)->architecture.area_count; i++) {
    PetscBool counted = PETSC_FALSE;
    for (PetscInt j = 0; j < i; j++) counted |= CordsSystemNeurons(system, j) == CordsSystemNeurons(system, i);
    if (!counted) bytes += 8.0 * (RESTART + VECTORS_BESIDE) * CordsSystemNeurons(system, i);
    bytes += CordsResponseBytes(system, i);
  }
  return items * (bytes + 4.0 * largest * (double)CordsTypeSize(CordsSystemType(system)));
}

PetscErrorCode CordsSteadyStateCreate(MPI_Comm comm, CordsSystem system, PetscInt items,
                                      const CordsSteadyStateSettings *settings, CordsSteadyState *steady)
{
  CordsSteadyState s;

  PetscFunctionBegin;
  PetscCall(PetscNew(&s));
  s->comm = comm;
  s->system = system;
  s->settings = *settings;
  s->items = items;
  s->area_count = CordsSystemModel(system)->architecture.area_count;
  for (PetscInt i = 0; i < s->area_count; i++) PetscCall(CordsResponseCreate(system, i, items, 1, &s->responses[i]));
  for (int k = 0; k < 4; k++) {
    PetscCall(
        CordsArrayCreate(CordsSystemType(system), PetscMax(items, 1), CordsSystemLargestArea(system), &s->work[k]));
  }
  s->answer = s->work[0].data;
  s->asked = s->work[1].data;
  s->in = s->work[2].data;
  s->out = s->work[3].data;
  *steady = s;
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode SolverDestroy(Solver *solver)
{
  PetscFunctionBegin;
  PetscCall(VecDestroy(&solver->state));
  PetscCall(VecDestroy(&solver->residual));
  PetscCall(MatDestroy(&solver->jacobian));
  PetscCall(MatDestroy(&solver->adjoint));
  PetscCall(SNESDestroy(&solver->snes));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsSteadyStateDestroy(CordsSteadyState *steady)
{
  CordsSteadyState s = *steady;

  PetscFunctionBegin;
  if (!s) PetscFunctionReturn(PETSC_SUCCESS);
  for (PetscInt i = 0; i < s->area_count; i++) PetscCall(CordsResponseDestroy(&s->responses[i]));
  for (PetscInt k = 0; k < s->solver_count; k++) PetscCall(SolverDestroy(&s->solvers[k]));
  for (int k = 0; k < 4; k++) PetscCall(CordsArrayDestroy(&s->work[k]));
  PetscCall(PetscFree(s));
  *steady = NULL;
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* --- numbers of the area at hand --- */

static CordsResponse Response(CordsSteadyState s)
{
  return s->responses[s->area];
}

static CordsType Type(CordsSteadyState s)
{
  return CordsSystemType(s->system);
}

static size_t Numbers(CordsSteadyState s)
{
  return (size_t)s->n * (size_t)CordsSystemNeurons(s->system, s->area);
}

static size_t Bytes(CordsSteadyState s)
{
  return Numbers(s) * CordsTypeSize(Type(s));
}

#define DEFINE_SQUARES(T, suffix)                                                                                      \
  static void Squares##suffix(size_t n, const T *a, const T *b, double sums[3])                                        \
  {                                                                                                                    \
    double aa = 0, bb = 0, dd = 0;                                                                                     \
    _Pragma("omp simd reduction(+ : aa, bb, dd)") for (size_t k = 0; k < n; k++)                                       \
    {                                                                                                                  \
      const double x = (double)a[k], y = (double)b[k], d = x - y;                                                      \
      aa += x * x;                                                                                                     \
      bb += y * y;                                                                                                     \
      dd += d * d;                                                                                                     \
    }                                                                                                                  \
    sums[0] = aa;                                                                                                      \
    sums[1] = bb;                                                                                                      \
    sums[2] = dd;                                                                                                      \
  }
DEFINE_SQUARES(float, F32)
DEFINE_SQUARES(double, F64)

/* Σ a², Σ b², Σ (a − b)² of n numbers. */
static void Squares(CordsType type, size_t n, const void *a, const void *b, double sums[3])
{
  if (type == CORDS_F64)
    SquaresF64(n, a, b, sums);
  else
    SquaresF32(n, a, b, sums);
}

/* |a − b| over the batch on all ranks, and the larger of |a| and |b|. */
static PetscErrorCode Distance(CordsSteadyState s, const void *a, const void *b, double *distance, double *size)
{
  double here[3], all[3];

  PetscFunctionBegin;
  Squares(Type(s), Numbers(s), a, b, here);
  PetscCallMPI(MPI_Allreduce(here, all, 3, MPI_DOUBLE, MPI_SUM, s->comm));
  *distance = sqrt(all[2]);
  *size = sqrt(fmax(all[0], all[1]));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* φ(W r + z) into s->answer, and D at r, unless they are there already.  Whether they are is a matter of all ranks. */
static PetscErrorCode Answer(CordsSteadyState s, const void *r)
{
  int there = s->answered && memcmp(s->asked, r, Bytes(s)) == 0;

  PetscFunctionBegin;
  PetscCallMPI(MPI_Allreduce(MPI_IN_PLACE, &there, 1, MPI_INT, MPI_MIN, s->comm));
  if (there) PetscFunctionReturn(PETSC_SUCCESS);
  if (r != s->asked) memcpy(s->asked, r, Bytes(s));
  PetscCall(CordsResponseEvaluate(Response(s), s->n, s->asked, s->z, s->answer));
  s->answered = PETSC_TRUE;
  s->products++;
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* --- PETSc's view: vectors of float64 on all ranks --- */

static PetscErrorCode FromVec(CordsSteadyState s, Vec vec, void *numbers)
{
  const PetscScalar *values;

  PetscFunctionBegin;
  PetscCall(VecGetArrayRead(vec, &values));
  CordsConvert(CORDS_F64, Type(s), Numbers(s), values, numbers);
  PetscCall(VecRestoreArrayRead(vec, &values));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode ToVec(CordsSteadyState s, const void *numbers, Vec vec)
{
  PetscScalar *values;

  PetscFunctionBegin;
  PetscCall(VecGetArrayWrite(vec, &values));
  CordsConvert(Type(s), CORDS_F64, Numbers(s), numbers, values);
  PetscCall(VecRestoreArrayWrite(vec, &values));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode FormResidual(SNES snes, Vec state, Vec residual, void *context)
{
  CordsSteadyState s = context;

  PetscFunctionBegin;
  PetscCall(FromVec(s, state, s->in));
  PetscCall(Answer(s, s->in));
  memcpy(s->out, s->answer, Bytes(s));
  CordsAxpy(Type(s), Numbers(s), -1, s->in, s->out);
  PetscCall(ToVec(s, s->out, residual));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode FormJacobian(SNES snes, Vec state, Mat jacobian, Mat preconditioner, void *context)
{
  CordsSteadyState s = context;

  PetscFunctionBegin;
  PetscCall(FromVec(s, state, s->in));
  PetscCall(Answer(s, s->in));
  PetscCall(MatAssemblyBegin(jacobian, MAT_FINAL_ASSEMBLY));
  PetscCall(MatAssemblyEnd(jacobian, MAT_FINAL_ASSEMBLY));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* y = a · y + b · v with y = what was computed in s->out */
static PetscErrorCode FinishProduct(CordsSteadyState s, Vec v, Vec y, double a, double b)
{
  PetscFunctionBegin;
  PetscCall(ToVec(s, s->out, y));
  PetscCall(VecAXPBY(y, b, a, v));
  s->products++;
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* y = (D W − I) v */
static PetscErrorCode JacobianProduct(Mat mat, Vec v, Vec y)
{
  CordsSteadyState s;

  PetscFunctionBegin;
  PetscCall(MatShellGetContext(mat, &s));
  PetscCall(FromVec(s, v, s->in));
  PetscCall(CordsResponseTangent(Response(s), s->n, s->in, s->out));
  PetscCall(FinishProduct(s, v, y, 1, -1));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* y = (I − D Wᵀ) v */
static PetscErrorCode AdjointProduct(Mat mat, Vec v, Vec y)
{
  CordsSteadyState s;

  PetscFunctionBegin;
  PetscCall(MatShellGetContext(mat, &s));
  PetscCall(FromVec(s, v, s->in));
  PetscCall(CordsResponseAdjoint(Response(s), s->n, s->in, NULL, s->answer, s->out));
  PetscCall(FinishProduct(s, v, y, -1, 1));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode CreateShell(CordsSteadyState s, PetscInt size, PetscErrorCode (*product)(Mat, Vec, Vec), Mat *mat)
{
  PetscFunctionBegin;
  PetscCall(MatCreateShell(s->comm, size, size, PETSC_DETERMINE, PETSC_DETERMINE, s, mat));
  PetscCall(MatShellSetOperation(*mat, MATOP_MULT, (void (*)(void))product));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode SolverCreate(CordsSteadyState s, Solver *solver)
{
  PetscInt size = (PetscInt)Numbers(s);

  PetscFunctionBegin;
  solver->neurons = CordsSystemNeurons(s->system, s->area);
  solver->items = s->n;
  PetscCall(CreateSnes(s->comm, &solver->snes));
  PetscCall(SNESGetKSP(solver->snes, &solver->ksp));
  PetscCall(KSPGetTolerances(solver->ksp, &solver->newton_rtol, NULL, NULL, NULL));
  PetscCall(CreateShell(s, size, JacobianProduct, &solver->jacobian));
  PetscCall(CreateShell(s, size, AdjointProduct, &solver->adjoint));
  PetscCall(MatCreateVecs(solver->jacobian, &solver->state, &solver->residual));
  PetscCall(SNESSetFunction(solver->snes, solver->residual, FormResidual, s));
  PetscCall(SNESSetJacobian(solver->snes, solver->jacobian, solver->jacobian, FormJacobian, s));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* The solver for the area and the number of images at hand.  All areas of a size share one; a batch of another size
   than before, on any rank, needs a new one. */
static PetscErrorCode FindSolver(CordsSteadyState s, Solver **solver)
{
  PetscInt k = 0;
  int fits;

  PetscFunctionBegin;
  while (k < s->solver_count && s->solvers[k].neurons != CordsSystemNeurons(s->system, s->area)) k++;
  *solver = &s->solvers[k];
  if (k < s->solver_count) {
    fits = (*solver)->items == s->n;
    PetscCallMPI(MPI_Allreduce(MPI_IN_PLACE, &fits, 1, MPI_INT, MPI_MIN, s->comm));
    if (fits) PetscFunctionReturn(PETSC_SUCCESS);
    PetscCall(SolverDestroy(*solver));
  } else {
    s->solver_count++;
  }
  PetscCall(SolverCreate(s, *solver));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* --- the state --- */

/* r ← φ(W r + z) until the residual is small or falls too slowly.  On return r is the best state, the answer to it is
   known and *residual and *size are its |F| and max(|r|, |φ|). */
static PetscErrorCode Relax(CordsSteadyState s, void *r, double *residual, double *size)
{
  double next, next_size;

  PetscFunctionBegin;
  PetscCall(Answer(s, r));
  PetscCall(Distance(s, r, s->answer, residual, size));
  for (PetscInt step = 0; step<s->settings.steps && * residual>(double) s->settings.tolerance * *size; step++) {
    memcpy(s->in, s->answer, Bytes(s));
    PetscCall(Answer(s, s->in));
    PetscCall(Distance(s, s->in, s->answer, &next, &next_size));
    if (!(next < *residual)) { /* worse, or not a number: back to the state before */
      PetscCall(Answer(s, r));
      break;
    }
    memcpy(r, s->in, Bytes(s));
    *size = next_size;
    if (next > slowest_relaxation * *residual) step = s->settings.steps;
    *residual = next;
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* Newton's method from r, whose residual is known; r becomes the result if that is better. */
static PetscErrorCode Newton(CordsSteadyState s, void *r, double size, double *residual)
{
  PetscInt iterations, evaluations;
  double reached, reached_size;
  Solver *solver;

  PetscFunctionBegin;
  PetscCall(FindSolver(s, &solver));
  PetscCall(KSPSetInitialGuessNonzero(solver->ksp, PETSC_FALSE));
  PetscCall(KSPSetTolerances(solver->ksp, solver->newton_rtol, PETSC_DEFAULT, PETSC_DEFAULT, PETSC_DEFAULT));
  PetscCall(SNESGetTolerances(solver->snes, NULL, NULL, NULL, &iterations, &evaluations));
  PetscCall(SNESSetTolerances(solver->snes, (double)s->settings.tolerance * fmax(size, 1e-30), 0, 0, iterations,
                              evaluations));
  PetscCall(ToVec(s, r, solver->state));
  PetscCall(SNESSolve(solver->snes, NULL, solver->state));
  PetscCall(FromVec(s, solver->state, s->in));
  PetscCall(Answer(s, s->in));
  PetscCall(Distance(s, s->in, s->answer, &reached, &reached_size));
  if (reached < *residual) {
    memcpy(r, s->in, Bytes(s));
    *residual = reached;
  } else {
    PetscCall(Answer(s, r));
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* Newton's method did not get there from a start that is too far away: the best state so far, carried on by damped
   steps whatever the residual does on the way, is another start. */
static PetscErrorCode Rescue(CordsSteadyState s, void *r, double size, double *residual)
{
  size_t bytes = Bytes(s);
  double reached;
  void *start;

  PetscFunctionBegin;
  PetscCall(PetscMalloc(PetscMax(bytes, 1), &start));
  memcpy(start, r, bytes);
  for (PetscInt step = 0; step < RESCUE_STEPS; step++) {
    PetscCall(Answer(s, start));
    CordsScale(Type(s), Numbers(s), 1 - rescue_damping, start);
    CordsAxpy(Type(s), Numbers(s), rescue_damping, s->answer, start);
  }
  PetscCall(Answer(s, start));
  PetscCall(Distance(s, start, s->answer, &reached, &size));
  if (reached > (double)s->settings.tolerance * size) PetscCall(Newton(s, start, size, &reached));
  if (reached < *residual) {
    memcpy(r, start, bytes);
    *residual = reached;
  }
  PetscCall(Answer(s, r));
  PetscCall(PetscFree(start));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* Which images are not settled, by their own residuals; the answer to r is known. */
static void CheckImages(CordsSteadyState s, const void *r, PetscBool *settled, CordsSteadyStateResult *result)
{
  size_t neurons = (size_t)CordsSystemNeurons(s->system, s->area), bytes = neurons * CordsTypeSize(Type(s));
  double allowed = image_allowance * (double)s->settings.tolerance, sums[3];

  for (PetscInt k = 0; k < s->n; k++) {
    Squares(Type(s), neurons, (const char *)r + (size_t)k * bytes, (const char *)s->answer + (size_t)k * bytes, sums);
    if (sums[2] <= allowed * allowed * fmax(sums[0], sums[1])) continue; /* false for NaN */
    if (settled) settled[k] = PETSC_FALSE;
    result->unsettled++;
  }
}

static void Begin(CordsSteadyState s, PetscInt area, PetscInt n, const void *z)
{
  s->area = area;
  s->n = n;
  s->z = z;
  s->answered = PETSC_FALSE;
  s->products = 0;
}

PetscErrorCode CordsSteadyStateSolve(CordsSteadyState steady, PetscInt area, PetscInt n, const void *z, void *r,
                                     PetscBool *settled, CordsSteadyStateResult *result)
{
  CordsSteadyState s = steady;
  double residual, size;

  PetscFunctionBegin;
  PetscCheck(n <= s->items, PETSC_COMM_SELF, PETSC_ERR_ARG_SIZ, "more images than the object is for");
  *result = (CordsSteadyStateResult){0};
  Begin(s, area, n, z);
  PetscCall(Relax(s, r, &residual, &size));
  if (residual > (double)s->settings.tolerance * size) PetscCall(Newton(s, r, size, &residual));
  if (residual > (double)s->settings.tolerance * size) PetscCall(Rescue(s, r, size, &residual));
  CheckImages(s, r, settled, result);
  result->converged = (PetscBool)(residual <= (double)s->settings.tolerance * size);
  result->products = s->products;
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* --- the linear system of the gradient --- */

/* q ← D (g + Wᵀ q) from q = D g, as Relax; *residual is |D g − (I − D Wᵀ) q| of the q before. */
static PetscErrorCode RelaxAdjoint(CordsSteadyState s, const void *g, void *q, double *residual, double *size)
{
  double next, unused, before = INFINITY;

  PetscFunctionBegin;
  PetscCall(CordsResponseThrough(Response(s), s->n, g, q));
  PetscCall(Distance(s, q, q, &unused, size));
  *residual = *size;
  for (PetscInt step = 0; step<s->settings.steps && * residual>(double) s->settings.adjoint_tolerance * *size; step++) {
    PetscCall(CordsResponseAdjoint(Response(s), s->n, q, g, s->answer, s->out));
    s->products++;
    PetscCall(Distance(s, q, s->out, &next, &unused));
    *residual = next;
    if (!(next < before)) break; /* q, the one before, is the best */
    memcpy(q, s->out, Bytes(s));
    if (next > slowest_relaxation * before) break;
    before = next;
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* GMRES on (I − D Wᵀ) q = D g from q. */
static PetscErrorCode SolveAdjoint(CordsSteadyState s, const void *g, void *q, PetscBool *converged)
{
  KSPConvergedReason reason;
  Solver *solver;

  PetscFunctionBegin;
  PetscCall(FindSolver(s, &solver));
  PetscCall(KSPSetOperators(solver->ksp, solver->adjoint, solver->adjoint));
  PetscCall(KSPSetInitialGuessNonzero(solver->ksp, PETSC_TRUE));
  PetscCall(KSPSetTolerances(solver->ksp, s->settings.adjoint_tolerance, PETSC_DEFAULT, PETSC_DEFAULT, PETSC_DEFAULT));
  PetscCall(CordsResponseThrough(Response(s), s->n, g, s->out));
  PetscCall(ToVec(s, s->out, solver->residual));
  PetscCall(ToVec(s, q, solver->state));
  PetscCall(KSPSolve(solver->ksp, solver->residual, solver->state));
  PetscCall(KSPGetConvergedReason(solver->ksp, &reason));
  *converged = (PetscBool)(reason > 0);
  PetscCall(FromVec(s, solver->state, q));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsSteadyStateAdjoint(CordsSteadyState steady, PetscInt area, PetscInt n, const void *g, void *q,
                                       CordsSteadyStateResult *result)
{
  CordsSteadyState s = steady;
  double residual, size;

  PetscFunctionBegin;
  *result = (CordsSteadyStateResult){.converged = PETSC_TRUE};
  Begin(s, area, n, NULL);
  PetscCall(RelaxAdjoint(s, g, q, &residual, &size));
  if (residual > (double)s->settings.adjoint_tolerance * size) PetscCall(SolveAdjoint(s, g, q, &result->converged));
  result->products = s->products;
  PetscFunctionReturn(PETSC_SUCCESS);
}
