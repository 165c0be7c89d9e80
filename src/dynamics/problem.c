#include "dynamics/problem.h"

#include "core/reduce.h"

#include <math.h>

struct _p_CordsProblem {
  CordsContextData group; /* the ranks of the domain group, for sums over them */
  CordsSystem system;
  CordsInput input; /* one image */
  PetscBool has_image;
  CordsLinearisation linearisation;
  PetscInt area_count;
  const CordsArchitecture *architecture;
  CordsArray drive; /* z of every area, as a state */
  CordsArray work;  /* u of the area at hand, or F of all areas */
};

/* What a MATSHELL needs. */
typedef struct {
  CordsProblem problem;
  PetscInt area;
} ShellContext;

PetscErrorCode CordsProblemCreate(CordsModel model, CordsProblem *problem)
{
  return CordsProblemCreateCut(CordsContextSelf(), model, problem);
}

PetscErrorCode CordsProblemCreateCut(CordsContext context, CordsModel model, CordsProblem *problem)
{
  CordsProblem p;
  PetscInt neurons;

  PetscFunctionBegin;
  PetscCall(PetscNew(&p));
  p->architecture = &model->architecture;
  p->area_count = model->architecture.area_count;
  PetscCall(CordsContextUncut(context->domain_comm, &p->group));
  PetscCall(CordsSystemCreateCut(context, model, CORDS_F64, &p->system));
  neurons = CordsSystemOffset(p->system, p->area_count);
  PetscCall(CordsInputCreate(p->system, 1, &p->input));
  PetscCall(CordsLinearisationCreate(p->system, &p->linearisation));
  PetscCall(CordsArrayCreate(CORDS_F64, 1, neurons, &p->drive));
  PetscCall(CordsArrayCreate(CORDS_F64, 1, neurons, &p->work));
  *problem = p;
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsProblemDestroy(CordsProblem *problem)
{
  CordsProblem p = *problem;

  PetscFunctionBegin;
  if (!p) PetscFunctionReturn(PETSC_SUCCESS);
  PetscCall(CordsArrayDestroy(&p->work));
  PetscCall(CordsArrayDestroy(&p->drive));
  PetscCall(CordsLinearisationDestroy(&p->linearisation));
  PetscCall(CordsInputDestroy(&p->input));
  PetscCall(CordsSystemDestroy(&p->system));
  PetscCall(PetscFree(*problem));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsProblemSetImage(CordsProblem problem, const float *image)
{
  PetscFunctionBegin;
  problem->has_image = (PetscBool)(image != NULL);
  if (image) PetscCall(CordsInputSet(problem->input, image));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static CordsInput Input(CordsProblem problem)
{
  return problem->has_image ? problem->input : NULL;
}

CordsSystem CordsProblemSystem(CordsProblem problem)
{
  return problem->system;
}

PetscInt CordsProblemAreaCount(CordsProblem problem)
{
  return problem->area_count;
}

PetscInt CordsProblemSize(CordsProblem problem, PetscInt area)
{
  return area == CORDS_ALL_AREAS ? problem->drive.elements : CordsSystemNeurons(problem->system, area);
}

PetscInt CordsProblemWholeSize(CordsProblem problem, PetscInt area)
{
  return area == CORDS_ALL_AREAS ? CordsWholeStateOffset(problem->system, problem->area_count)
                                 : CordsWholeStateNeurons(problem->system, area);
}

PetscInt CordsProblemOffset(CordsProblem problem, PetscInt area)
{
  return area == CORDS_ALL_AREAS ? 0 : CordsSystemOffset(problem->system, area);
}

PetscReal CordsProblemRate(CordsProblem problem, PetscInt area)
{
  return problem->architecture->areas[0].tau_ms / problem->architecture->areas[area].tau_ms;
}

MPI_Comm CordsProblemComm(CordsProblem problem)
{
  return problem->group.comm;
}

PetscErrorCode CordsProblemSum(CordsProblem problem, PetscInt count, double *values)
{
  return CordsReduceSumF64(&problem->group, count, values);
}

PetscErrorCode CordsProblemNorm(CordsProblem problem, PetscInt n, const double *x, PetscReal *norm)
{
  double sum = 0;

  PetscFunctionBegin;
  for (PetscInt k = 0; k < n; k++) sum += x[k] * x[k];
  PetscCall(CordsProblemSum(problem, 1, &sum));
  *norm = sqrt(sum);
  PetscFunctionReturn(PETSC_SUCCESS);
}

static double *Drive(CordsProblem problem, PetscInt area)
{
  return (double *)problem->drive.data + CordsSystemOffset(problem->system, area);
}

PetscErrorCode CordsProblemSetDrive(CordsProblem problem, PetscInt area, const double *state)
{
  const double *below = area >= 1 ? state + CordsSystemOffset(problem->system, area - 1) : NULL;
  const double *below2 = area >= 2 ? state + CordsSystemOffset(problem->system, area - 2) : NULL;

  PetscFunctionBegin;
  PetscCall(CordsSystemDrive(problem->system, area, 1, CORDS_STATES_ANY, Input(problem), below, below2,
                             Drive(problem, area)));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* f = F(r), not yet in units of 1/τ. */
static PetscErrorCode UnscaledResidual(CordsProblem problem, PetscInt area, const double *r, double *f)
{
  PetscFunctionBegin;
  if (area == CORDS_ALL_AREAS)
    PetscCall(CordsSystemRhs(problem->system, Input(problem), r, f));
  else
    PetscCall(CordsSystemResidual(problem->system, area, 1, Drive(problem, area), r, problem->work.data, f));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* Multiply the part of each area by its τ/τ_i. */
static void ScaleByRate(CordsProblem problem, PetscInt area, double *f)
{
  PetscInt first = area == CORDS_ALL_AREAS ? 0 : area, last = area == CORDS_ALL_AREAS ? problem->area_count - 1 : area;

  for (PetscInt i = first; i <= last; i++) {
    double rate = CordsProblemRate(problem, i);
    PetscInt n = CordsProblemSize(problem, i);
    for (PetscInt k = 0; k < n; k++) f[k] *= rate;
    f += n;
  }
}

PetscErrorCode CordsProblemResidual(CordsProblem problem, PetscInt area, const double *r, double *f)
{
  PetscFunctionBegin;
  PetscCall(UnscaledResidual(problem, area, r, f));
  ScaleByRate(problem, area, f);
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsProblemResidualNorm(CordsProblem problem, PetscInt area, const double *r, PetscReal *norm_rel)
{
  PetscInt n = CordsProblemSize(problem, area);
  double *f, residual, sums[3] = {0};

  PetscFunctionBegin;
  PetscCall(PetscMalloc1(n, &f));
  PetscCall(UnscaledResidual(problem, area, r, f));
  for (PetscInt k = 0; k < n; k++) {
    sums[0] += f[k] * f[k];
    sums[1] += r[k] * r[k];
    sums[2] += (r[k] + f[k]) * (r[k] + f[k]); /* φ(u) = r + F */
  }
  PetscCall(CordsProblemSum(problem, 3, sums));
  residual = sums[0];
  *norm_rel = residual > 0 ? sqrt(residual / PetscMax(sums[1], sums[2])) : 0;
  if (residual != residual) *norm_rel = residual; /* NaN stays NaN */
  PetscCall(PetscFree(f));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsProblemEuler(CordsProblem problem, PetscInt area, PetscInt steps, double *r)
{
  PetscInt n = CordsProblemSize(problem, area);
  double *f, step = CordsArchitectureAlpha(problem->architecture, 0); /* time step in units of τ */
  PetscReal norm;

  PetscFunctionBegin;
  PetscCall(PetscMalloc1(n, &f));
  for (PetscInt t = 0; t < steps; t++) {
    PetscCall(CordsProblemNorm(problem, n, r, &norm));
    if (!(norm < 1e12)) break;
    PetscCall(CordsProblemResidual(problem, area, r, f));
    for (PetscInt k = 0; k < n; k++) r[k] += step * f[k];
  }
  PetscCall(PetscFree(f));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsProblemLinearise(CordsProblem problem, PetscInt area, const double *r)
{
  PetscFunctionBegin;
  if (area == CORDS_ALL_AREAS)
    PetscCall(CordsLinearisationSet(problem->linearisation, Input(problem), r));
  else
    PetscCall(CordsLinearisationSetArea(problem->linearisation, area, Drive(problem, area), r));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsProblemTangent(CordsProblem problem, PetscInt area, const double *v, double *y)
{
  PetscFunctionBegin;
  if (area == CORDS_ALL_AREAS)
    PetscCall(CordsLinearisationTangent(problem->linearisation, 1, v, y));
  else
    PetscCall(CordsLinearisationAreaTangent(problem->linearisation, area, v, y));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsProblemAdjoint(CordsProblem problem, PetscInt area, const double *v, double *y)
{
  PetscFunctionBegin;
  if (area == CORDS_ALL_AREAS)
    PetscCall(CordsLinearisationAdjoint(problem->linearisation, 1, v, y));
  else
    PetscCall(CordsLinearisationAreaAdjoint(problem->linearisation, area, v, y));
  PetscFunctionReturn(PETSC_SUCCESS);
}

const double *CordsProblemSlope(CordsProblem problem, PetscInt area)
{
  return CordsLinearisationSlope(problem->linearisation, area);
}

typedef PetscErrorCode (*Product)(CordsProblem, PetscInt, const double *, double *);

static PetscErrorCode ShellProduct(Mat mat, Vec v, Vec y, Product product)
{
  ShellContext *context;
  const PetscScalar *v_values;
  PetscScalar *y_values;

  PetscFunctionBegin;
  PetscCall(MatShellGetContext(mat, &context));
  PetscCall(VecGetArrayRead(v, &v_values));
  PetscCall(VecGetArray(y, &y_values));
  PetscCall(product(context->problem, context->area, v_values, y_values));
  PetscCall(VecRestoreArray(y, &y_values));
  PetscCall(VecRestoreArrayRead(v, &v_values));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode ShellMult(Mat mat, Vec v, Vec y)
{
  PetscFunctionBegin;
  PetscCall(ShellProduct(mat, v, y, CordsProblemTangent));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode ShellMultTranspose(Mat mat, Vec v, Vec y)
{
  PetscFunctionBegin;
  PetscCall(ShellProduct(mat, v, y, CordsProblemAdjoint));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode ShellDestroy(Mat mat)
{
  ShellContext *context;

  PetscFunctionBegin;
  PetscCall(MatShellGetContext(mat, &context));
  PetscCall(PetscFree(context));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsProblemJacobian(CordsProblem problem, PetscInt area, Mat *jacobian)
{
  PetscInt n = CordsProblemSize(problem, area);
  ShellContext *context;

  PetscFunctionBegin;
  PetscCall(PetscNew(&context));
  context->problem = problem;
  context->area = area;
  PetscCall(MatCreateShell(CordsProblemComm(problem), n, n, PETSC_DETERMINE, PETSC_DETERMINE, context, jacobian));
  PetscCall(MatShellSetOperation(*jacobian, MATOP_MULT, (void (*)(void))ShellMult));
  PetscCall(MatShellSetOperation(*jacobian, MATOP_MULT_TRANSPOSE, (void (*)(void))ShellMultTranspose));
  PetscCall(MatShellSetOperation(*jacobian, MATOP_DESTROY, (void (*)(void))ShellDestroy));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsProblemDense(CordsProblem problem, PetscInt area, double *dense)
{
  PetscInt n = CordsProblemSize(problem, area);
  double *unit;

  PetscFunctionBegin;
  PetscCall(PetscCalloc1(n, &unit));
  for (PetscInt k = 0; k < n; k++) {
    unit[k] = 1;
    PetscCall(CordsProblemTangent(problem, area, unit, dense + (size_t)k * (size_t)n));
    unit[k] = 0;
  }
  PetscCall(PetscFree(unit));
  PetscFunctionReturn(PETSC_SUCCESS);
}
