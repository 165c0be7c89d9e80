#include "dynamics/steady_state.h"

#include "conv/pointwise.h"
#include "core/config.h"
#include "core/reduce.h"
#include "dynamics/newton.h"

#include <malloc.h>
#include <math.h>

/* Ten vectors of GMRES are enough for what is asked here. */
static const CordsNewtonDefaults newton_defaults = {.prefix = "equilibrium_",
                                                    .iterations = 10,
                                                    .evaluations = 1000,
                                                    .linear_failures =
                                                        1000, /* a step of too few iterations still leads down */
                                                    .linear_tolerance = 0.03,
                                                    .linear_iterations = 60,
                                                    .restart = 10};

/* Solvers of areas of other sizes are kept while all of them take no more than this. */
static const double kept_bytes = 16e6;

/* Relaxation goes on while the residual falls by this factor per step: below it Newton's method is cheaper. */
static const double slowest_relaxation = 0.75;
enum { RESCUE_STEPS = 30 };
static const double rescue_damping = 0.4;
/* An image is not settled if its residual is this much above what was asked for. */
static const double image_allowance = 10;

/* The solver for areas of one shape. */
typedef struct {
  PetscInt area; /* one of them */
  SNES snes;
  KSP ksp; /* of the SNES */
  Mat jacobian, adjoint;
  Vec state, residual;
  PetscReal newton_rtol; /* of ksp as Newton's */
} Solver;

struct _p_CordsSteadyState {
  CordsSystem system;     /* borrowed */
  CordsContextData group; /* the ranks that share its maps, for sums over them */
  CordsSteadyStateSettings settings;
  PetscInt items, area_count;
  CordsResponse *responses[CORDS_AREAS_MAX]; /* of each image */
  Solver solvers[CORDS_AREAS_MAX];
  PetscInt solver_count;
  PetscInt vectors;   /* that a solver takes */
  CordsArray work[4]; /* one image in the largest area */
  /* the solve at hand */
  PetscInt area;
  CordsResponse response; /* of this area and image */
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

PetscErrorCode CordsSteadyStateConfigure(CordsSteadyStateSettings *settings)
{
  PetscFunctionBegin;
  CordsSteadyStateDefault(settings);
  PetscCall(CordsOptionReal("-equilibrium_tolerance", "relative residual of the steady state of an image", "", 1e-7, 1,
                            &settings->tolerance));
  PetscCall(CordsOptionReal("-equilibrium_adjoint_tolerance", "relative residual of the linear systems of the gradient",
                            "", 1e-7, 1, &settings->adjoint_tolerance));
  PetscCall(CordsOptionInt("-equilibrium_steps", "most steps of relaxation before Newton's method or GMRES", "steps", 0,
                           10000, &settings->steps));
  PetscCall(CordsNewtonConfigure(&newton_defaults));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static double SolverBytes(PetscInt vectors, double neurons)
{
  return (double)sizeof(PetscScalar) * vectors * neurons;
}

/* Whether the vectors of two areas are alike, on all ranks. */
static PetscBool SameShape(CordsSystem system, PetscInt i, PetscInt j)
{
  const CordsAreaShape *a = &CordsSystemModel(system)->architecture.areas[i],
                       *b = &CordsSystemModel(system)->architecture.areas[j];

  return (PetscBool)(a->rows == b->rows && a->columns == b->columns && a->channels == b->channels);
}

/* Of the solvers of all areas, one for each shape, on the rank that has most of them. */
static double AllSolversBytes(CordsSystem system, PetscInt vectors)
{
  double bytes = 0;

  for (PetscInt i = 0; i < CordsSystemModel(system)->architecture.area_count; i++) {
    PetscBool counted = PETSC_FALSE;
    for (PetscInt j = 0; j < i; j++) counted |= SameShape(system, j, i);
    if (!counted) bytes += SolverBytes(vectors, CordsSystemMostNeurons(system, i));
  }
  return bytes;
}

PetscErrorCode CordsSteadyStateBytes(CordsSystem system, PetscInt items, double *bytes)
{
  double largest = CordsSystemLargestArea(system), all;
  PetscInt vectors;

  PetscFunctionBegin;
  PetscCall(CordsNewtonVectors(&newton_defaults, &vectors));
  all = AllSolversBytes(system, vectors);
  *bytes = all <= kept_bytes ? all : SolverBytes(vectors, largest);
  *bytes += 4 * largest * (double)CordsTypeSize(CordsSystemType(system));
  for (PetscInt i = 0; i < CordsSystemModel(system)->architecture.area_count; i++) {
    *bytes += items * CordsResponseBytes(system, i);
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode CreateResponses(CordsSteadyState s)
{
  PetscFunctionBegin;
  for (PetscInt i = 0; i < s->area_count; i++) {
    PetscCall(PetscCalloc1(s->items, &s->responses[i]));
    for (PetscInt k = 0; k < s->items; k++) PetscCall(CordsResponseCreate(s->system, i, 1, 1, &s->responses[i][k]));
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsSteadyStateCreate(CordsSystem system, PetscInt items, const CordsSteadyStateSettings *settings,
                                      CordsSteadyState *steady)
{
  CordsSteadyState s;

  PetscFunctionBegin;
  PetscCall(PetscNew(&s));
  s->system = system;
  s->settings = *settings;
  s->items = items;
  s->area_count = CordsSystemModel(system)->architecture.area_count;
  PetscCall(CordsContextUncut(CordsSystemContext(system)->domain_comm, &s->group));
  PetscCall(CordsNewtonVectors(&newton_defaults, &s->vectors));
  PetscCall(CreateResponses(s));
  for (int k = 0; k < 4; k++) {
    PetscCall(CordsArrayCreate(CordsSystemType(system), 1, CordsSystemLargestArea(system), &s->work[k]));
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

static PetscErrorCode DestroySolvers(CordsSteadyState s)
{
  PetscFunctionBegin;
  for (PetscInt k = 0; k < s->solver_count; k++) PetscCall(SolverDestroy(&s->solvers[k]));
  s->solver_count = 0;
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsSteadyStateDestroy(CordsSteadyState *steady)
{
  CordsSteadyState s = *steady;

  PetscFunctionBegin;
  if (!s) PetscFunctionReturn(PETSC_SUCCESS);
  for (PetscInt i = 0; i < s->area_count; i++) {
    for (PetscInt k = 0; k < s->items; k++) PetscCall(CordsResponseDestroy(&s->responses[i][k]));
    PetscCall(PetscFree(s->responses[i]));
  }
  PetscCall(DestroySolvers(s));
  for (int k = 0; k < 4; k++) PetscCall(CordsArrayDestroy(&s->work[k]));
  PetscCall(PetscFree(s));
  *steady = NULL;
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* --- numbers of the area and image at hand --- */

static CordsType Type(CordsSteadyState s)
{
  return CordsSystemType(s->system);
}

static size_t Numbers(CordsSteadyState s)
{
  return (size_t)CordsSystemNeurons(s->system, s->area);
}

static size_t Bytes(CordsSteadyState s)
{
  return Numbers(s) * CordsTypeSize(Type(s));
}

/* |a − b|, and the larger of |a| and |b|. */
static PetscErrorCode Distance(CordsSteadyState s, const void *a, const void *b, double *distance, double *size)
{
  double sums[3];

  PetscFunctionBegin;
  CordsSquares(Type(s), Numbers(s), a, b, sums);
  PetscCall(CordsReduceSumF64(&s->group, 3, sums));
  *distance = sqrt(sums[2]);
  *size = sqrt(fmax(sums[0], sums[1]));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* Whether the answer to r is there already, on all ranks. */
static PetscErrorCode IsAnswered(CordsSteadyState s, const void *r, PetscBool *answered)
{
  PetscFunctionBegin;
  *answered = (PetscBool)(s->answered && memcmp(s->asked, r, Bytes(s)) == 0);
  if (s->answered && s->group.size > 1)
    PetscCallMPI(MPI_Allreduce(MPI_IN_PLACE, answered, 1, MPIU_BOOL, MPI_LAND, s->group.comm));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* φ(W r + z) into s->answer, and D at r, unless they are there already. */
static PetscErrorCode Answer(CordsSteadyState s, const void *r)
{
  PetscBool answered;

  PetscFunctionBegin;
  PetscCall(IsAnswered(s, r, &answered));
  if (answered) PetscFunctionReturn(PETSC_SUCCESS);
  memcpy(s->asked, r, Bytes(s));
  PetscCall(CordsResponseEvaluate(s->response, 1, s->asked, s->z, s->answer));
  s->answered = PETSC_TRUE;
  s->products++;
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* --- PETSc's view: vectors of float64 --- */

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
  PetscCall(CordsNewtonJacobianChanged(jacobian));
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
  PetscCall(CordsResponseTangent(s->response, 1, s->in, s->out));
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
  PetscCall(CordsResponseAdjoint(s->response, 1, s->in, NULL, s->answer, s->out));
  PetscCall(FinishProduct(s, v, y, -1, 1));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode CreateShell(CordsSteadyState s, PetscErrorCode (*product)(Mat, Vec, Vec), Mat *mat)
{
  PetscInt size = (PetscInt)Numbers(s);

  PetscFunctionBegin;
  PetscCall(MatCreateShell(s->group.comm, size, size, PETSC_DETERMINE, PETSC_DETERMINE, s, mat));
  PetscCall(MatShellSetOperation(*mat, MATOP_MULT, (void (*)(void))product));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode SolverCreate(CordsSteadyState s, Solver *solver)
{
  PetscFunctionBegin;
  solver->area = s->area;
  PetscCall(CordsNewtonCreate(s->group.comm, &newton_defaults, &solver->snes));
  PetscCall(SNESGetKSP(solver->snes, &solver->ksp));
  PetscCall(KSPGetTolerances(solver->ksp, &solver->newton_rtol, NULL, NULL, NULL));
  PetscCall(CreateShell(s, JacobianProduct, &solver->jacobian));
  PetscCall(CreateShell(s, AdjointProduct, &solver->adjoint));
  PetscCall(MatCreateVecs(solver->jacobian, &solver->state, &solver->residual));
  PetscCall(SNESSetFunction(solver->snes, solver->residual, FormResidual, s));
  PetscCall(SNESSetJacobian(solver->snes, solver->jacobian, solver->jacobian, FormJacobian, s));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* Vectors of another size, and what comes between them, would leave holes: hand them back. */
static PetscErrorCode MakeRoom(CordsSteadyState s)
{
  PetscFunctionBegin;
  PetscCall(DestroySolvers(s));
  malloc_trim(0);
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* The solver for the area at hand, the same for all areas of its shape.  Those of other shapes make room for a new one
   unless all are small. */
static PetscErrorCode FindSolver(CordsSteadyState s, Solver **solver)
{
  PetscInt k = 0;

  PetscFunctionBegin;
  while (k < s->solver_count && !SameShape(s->system, s->solvers[k].area, s->area)) k++;
  if (k == s->solver_count) {
    if (AllSolversBytes(s->system, s->vectors) > kept_bytes) PetscCall(MakeRoom(s));
    k = s->solver_count++;
    PetscCall(SolverCreate(s, &s->solvers[k]));
  }
  *solver = &s->solvers[k];
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

static void Begin(CordsSteadyState s, PetscInt area, PetscInt image)
{
  s->area = area;
  s->response = s->responses[area][image];
  s->z = NULL;
  s->answered = PETSC_FALSE;
  s->products = 0;
}

/* Number k of a batch of images at hand. */
static void *Image(CordsSteadyState s, const void *batch, PetscInt k)
{
  return (char *)batch + (size_t)k * Bytes(s);
}

/* The steady state of the image at hand, and what is left of its relative residual. */
static PetscErrorCode SolveImage(CordsSteadyState s, void *r, double *residual)
{
  double tolerance = (double)s->settings.tolerance, distance, size;

  PetscFunctionBegin;
  PetscCall(Relax(s, r, &distance, &size));
  if (distance > tolerance * size) PetscCall(Newton(s, r, size, &distance));
  if (distance > tolerance * size) PetscCall(Rescue(s, r, size, &distance));
  PetscCall(Distance(s, r, s->answer, &distance, &size));
  *residual = distance > 0 ? distance / size : distance; /* NaN stays NaN */
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsSteadyStateSolve(CordsSteadyState steady, PetscInt area, PetscInt n, const void *z, void *r,
                                     PetscBool *settled, CordsSteadyStateResult *result)
{
  CordsSteadyState s = steady;
  double tolerance = (double)s->settings.tolerance, residual;

  PetscFunctionBegin;
  PetscCheck(n <= s->items, PETSC_COMM_SELF, PETSC_ERR_ARG_SIZ, "more images than the object is for");
  *result = (CordsSteadyStateResult){.converged = PETSC_TRUE};
  for (PetscInt k = 0; k < n; k++) {
    Begin(s, area, k);
    s->z = Image(s, z, k);
    PetscCall(SolveImage(s, Image(s, r, k), &residual));
    result->products += s->products;
    if (!(residual <= tolerance)) result->converged = PETSC_FALSE;
    if (residual <= image_allowance * tolerance) continue; /* false for NaN */
    if (settled) settled[k] = PETSC_FALSE;
    result->unsettled++;
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* --- the linear system of the gradient --- */

/* q ← D (g + Wᵀ q) from q = D g, as Relax; *residual is |D g − (I − D Wᵀ) q| of the q before. */
static PetscErrorCode RelaxAdjoint(CordsSteadyState s, const void *g, void *q, double *residual, double *size)
{
  double next, unused, before = INFINITY;

  PetscFunctionBegin;
  PetscCall(CordsResponseThrough(s->response, 1, g, q));
  PetscCall(Distance(s, q, q, &unused, size));
  *residual = *size;
  for (PetscInt step = 0; step<s->settings.steps && * residual>(double) s->settings.adjoint_tolerance * *size; step++) {
    PetscCall(CordsResponseAdjoint(s->response, 1, q, g, s->answer, s->out));
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
  PetscCall(CordsResponseThrough(s->response, 1, g, s->out));
  PetscCall(ToVec(s, s->out, solver->residual));
  PetscCall(ToVec(s, q, solver->state));
  PetscCall(KSPSolve(solver->ksp, solver->residual, solver->state));
  PetscCall(KSPGetConvergedReason(solver->ksp, &reason));
  *converged = (PetscBool)(reason > 0);
  PetscCall(FromVec(s, solver->state, q));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode AdjointOfImage(CordsSteadyState s, const void *g, void *q, PetscBool *converged)
{
  double residual, size;

  PetscFunctionBegin;
  *converged = PETSC_TRUE;
  PetscCall(RelaxAdjoint(s, g, q, &residual, &size));
  if (residual > (double)s->settings.adjoint_tolerance * size) PetscCall(SolveAdjoint(s, g, q, converged));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsSteadyStateAdjoint(CordsSteadyState steady, PetscInt area, PetscInt n, const void *g, void *q,
                                       CordsSteadyStateResult *result)
{
  CordsSteadyState s = steady;
  PetscBool converged;

  PetscFunctionBegin;
  PetscCheck(n <= s->items, PETSC_COMM_SELF, PETSC_ERR_ARG_SIZ, "more images than the object is for");
  *result = (CordsSteadyStateResult){.converged = PETSC_TRUE};
  for (PetscInt k = 0; k < n; k++) {
    Begin(s, area, k);
    PetscCall(AdjointOfImage(s, Image(s, g, k), Image(s, q, k), &converged));
    result->products += s->products;
    if (!converged) result->converged = PETSC_FALSE;
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}
