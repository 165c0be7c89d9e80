#include "dynamics/fixed_point.h"

#include "core/config.h"
#include "dynamics/newton.h"

#include <math.h>

const char *const CordsFixedPointMethodNames[] = {"block", "whole"};

/* With GMRES solved to 1e-3, 1e-5, 1e-8 and 1e-10 in each Newton step the whole cost 1, 1.1, 1.6 and 1.4 times in
   iterations, with 19, 13, 12 and 9 Newton steps. */
static const CordsNewtonDefaults newton_defaults = {.prefix = "fixed_points_",
                                                    .own_tolerances = PETSC_TRUE,
                                                    .iterations = 50,
                                                    .evaluations = 10000,
                                                    .linear_failures = 1,
                                                    .linear_tolerance = 1e-5,
                                                    .linear_iterations = 500,
                                                    .restart = 100};

/* The solver is asked for this much less than the user, so that what is recomputed outside stays below. */
static const PetscReal reserve = 1e-3;

/* One SNES on one area or on all of them. */
typedef struct {
  CordsProblem problem;
  PetscInt area;
  SNES snes;
  Mat jacobian;
  Vec state, residual;
  PetscReal atol_given; /* by the user's options; 0: none */
} Solver;

PetscErrorCode CordsFixedPointConfigure(CordsFixedPointSettings *settings)
{
  PetscFunctionBegin;
  *settings = (CordsFixedPointSettings){
      .method = CORDS_FIXED_POINT_BLOCK, .tolerance = 1e-10, .euler_steps = 100, .retries = 2};
  PetscCall(CordsOptionChoice("-fixed_points_method", "block: area by area; whole: all areas in one system",
                              CORDS_FIXED_POINT_METHOD_COUNT, CordsFixedPointMethodNames, &settings->method));
  PetscCall(CordsOptionReal("-fixed_points_tolerance", "relative residual |F|/max(|r|, |phi(u)|) asked for", "", 1e-14,
                            1, &settings->tolerance));
  PetscCall(CordsOptionInt("-fixed_points_euler_steps", "Euler steps from r = 0 to Newton's start", "steps", 0, 1000000,
                           &settings->euler_steps));
  PetscCall(CordsOptionInt("-fixed_points_retries", "times Newton is started again after a longer Euler run", "", 0, 10,
                           &settings->retries));
  PetscCall(CordsNewtonConfigure(&newton_defaults));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode FormResidual(SNES snes, Vec state, Vec residual, void *context)
{
  Solver *solver = context;
  const PetscScalar *r;
  PetscScalar *f;

  PetscFunctionBegin;
  PetscCall(VecGetArrayRead(state, &r));
  PetscCall(VecGetArray(residual, &f));
  PetscCall(CordsProblemResidual(solver->problem, solver->area, r, f));
  PetscCall(VecRestoreArray(residual, &f));
  PetscCall(VecRestoreArrayRead(state, &r));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode FormJacobian(SNES snes, Vec state, Mat jacobian, Mat preconditioner, void *context)
{
  Solver *solver = context;
  const PetscScalar *r;

  PetscFunctionBegin;
  PetscCall(VecGetArrayRead(state, &r));
  PetscCall(CordsProblemLinearise(solver->problem, solver->area, r));
  PetscCall(VecRestoreArrayRead(state, &r));
  PetscCall(CordsNewtonJacobianChanged(jacobian));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode SolverCreate(CordsProblem problem, PetscInt area, Solver *solver)
{
  PetscFunctionBegin;
  solver->problem = problem;
  solver->area = area;
  PetscCall(CordsNewtonCreate(CordsProblemComm(problem), &newton_defaults, &solver->snes));
  PetscCall(CordsProblemJacobian(problem, area, &solver->jacobian));
  PetscCall(MatCreateVecs(solver->jacobian, &solver->state, &solver->residual));
  PetscCall(SNESGetTolerances(solver->snes, &solver->atol_given, NULL, NULL, NULL, NULL));
  PetscCall(SNESSetFunction(solver->snes, solver->residual, FormResidual, solver));
  PetscCall(SNESSetJacobian(solver->snes, solver->jacobian, solver->jacobian, FormJacobian, solver));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode SolverDestroy(Solver *solver)
{
  PetscFunctionBegin;
  PetscCall(VecDestroy(&solver->state));
  PetscCall(VecDestroy(&solver->residual));
  PetscCall(MatDestroy(&solver->jacobian));
  PetscCall(SNESDestroy(&solver->snes));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* The absolute residual that SNES has to reach, unless the user gave one: `reserve` times the asked tolerance, times
   the size of the start, which is near the solution. */
static PetscErrorCode SetAbsoluteTolerance(Solver *solver, PetscReal tolerance, const double *r, const double *f)
{
  PetscInt n = CordsProblemSize(solver->problem, solver->area);
  PetscReal atol, rtol, stol, target;
  PetscInt iterations, evaluations;
  double squares[2] = {0}; /* of r and of φ(u) = r + F */

  PetscFunctionBegin;
  if (solver->atol_given > 0) PetscFunctionReturn(PETSC_SUCCESS);
  for (PetscInt k = 0; k < n; k++) {
    squares[0] += r[k] * r[k];
    squares[1] += (r[k] + f[k]) * (r[k] + f[k]);
  }
  PetscCall(CordsProblemSum(solver->problem, 2, squares));
  target = sqrt(PetscMax(squares[0], squares[1]));
  PetscCall(SNESGetTolerances(solver->snes, &atol, &rtol, &stol, &iterations, &evaluations));
  /* round-off in F is of the order of 1e-15 of the activity; at rest without input F is exactly 0 */
  atol = PetscMax(reserve * tolerance, 1e-14) * PetscMax(target, 1e-30);
  PetscCall(SNESSetTolerances(solver->snes, atol, rtol, stol, iterations, evaluations));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* One attempt: Newton from r.  r gets the result if that is better than the start, and stays finite. */
static PetscErrorCode Attempt(Solver *solver, PetscReal tolerance, double *r, CordsFixedPoint *point,
                              SNESConvergedReason *reason)
{
  PetscInt n = CordsProblemSize(solver->problem, solver->area), newton, linear;
  PetscScalar *x;
  PetscReal start, reached;
  double *f;

  PetscFunctionBegin;
  PetscCall(PetscMalloc1(n, &f));
  PetscCall(CordsProblemResidual(solver->problem, solver->area, r, f));
  PetscCall(CordsProblemNorm(solver->problem, n, f, &start));
  PetscCall(SetAbsoluteTolerance(solver, tolerance, r, f));
  PetscCall(VecGetArray(solver->state, &x));
  PetscCall(PetscArraycpy(x, r, n));
  PetscCall(VecRestoreArray(solver->state, &x));
  PetscCall(SNESSolve(solver->snes, NULL, solver->state));
  PetscCall(SNESGetConvergedReason(solver->snes, reason));
  PetscCall(SNESGetIterationNumber(solver->snes, &newton));
  PetscCall(SNESGetLinearSolveIterations(solver->snes, &linear));
  point->newton_iterations += newton;
  point->linear_iterations += linear;
  PetscCall(VecGetArray(solver->state, &x));
  PetscCall(CordsProblemResidual(solver->problem, solver->area, x, f));
  PetscCall(CordsProblemNorm(solver->problem, n, f, &reached));
  if (*reason > 0 || reached < start) PetscCall(PetscArraycpy(r, x, n)); /* false for NaN */
  PetscCall(VecRestoreArray(solver->state, &x));
  PetscCall(PetscFree(f));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* Euler and Newton on one area or on all, starting again from a longer Euler run where Newton fails.  r: its neurons.
 */
static PetscErrorCode SolvePart(CordsProblem problem, PetscInt area, const CordsFixedPointSettings *settings, double *r,
                                CordsFixedPoint *point)
{
  PetscInt n = CordsProblemSize(problem, area), steps = settings->euler_steps;
  SNESConvergedReason reason = SNES_CONVERGED_ITERATING;
  Solver solver;
  double *euler;

  PetscFunctionBegin;
  PetscCall(SolverCreate(problem, area, &solver));
  PetscCall(PetscCalloc1(n, &euler));
  for (PetscInt attempt = 0; attempt <= settings->retries && reason <= 0; attempt++) {
    PetscCall(CordsProblemEuler(problem, area, steps, euler));
    PetscCall(PetscArraycpy(r, euler, n));
    PetscCall(Attempt(&solver, settings->tolerance, r, point, &reason));
    steps = 4 * PetscMin(steps, 1000000);
  }
  point->reason = (SNESConvergedReason)PetscMin((int)point->reason, (int)reason);
  PetscCall(PetscFree(euler));
  PetscCall(SolverDestroy(&solver));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsFixedPointSolve(CordsProblem problem, const CordsFixedPointSettings *settings, double *state,
                                    CordsFixedPoint *point)
{
  PetscFunctionBegin;
  *point = (CordsFixedPoint){.tolerance = settings->tolerance, .reason = (SNESConvergedReason)PETSC_MAX_INT};
  if (settings->method == CORDS_FIXED_POINT_WHOLE) {
    PetscCall(SolvePart(problem, CORDS_ALL_AREAS, settings, state, point));
  } else {
    for (PetscInt i = 0; i < CordsProblemAreaCount(problem); i++) {
      PetscCall(CordsProblemSetDrive(problem, i, state));
      PetscCall(SolvePart(problem, i, settings, state + CordsProblemOffset(problem, i), point));
    }
  }
  PetscCall(CordsProblemResidualNorm(problem, CORDS_ALL_AREAS, state, &point->residual_norm_rel));
  PetscFunctionReturn(PETSC_SUCCESS);
}
