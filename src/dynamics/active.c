#include "dynamics/active.h"

/* The area that neuron k of the problem's area (or of all areas) belongs to. */
static PetscInt AreaOf(CordsActive active, PetscInt k)
{
  PetscInt area = CordsProblemAreaCount(active->problem) - 1;

  if (active->area != CORDS_ALL_AREAS) return active->area;
  while (area > 0 && CordsProblemOffset(active->problem, area) > k) area--;
  return area;
}

/* Sort the neurons of one area, whose numbers start at `first`. */
static void SortArea(CordsActive active, PetscInt area, PetscInt first)
{
  const double *slope = CordsProblemSlope(active->problem, area);
  PetscInt n = CordsProblemSize(active->problem, area);

  for (PetscInt k = 0; k < n; k++) {
    if (slope[k] != 0)
      active->neurons[active->count++] = first + k;
    else
      active->inactive[first + k - active->count] = first + k;
  }
}

PetscErrorCode CordsActiveCreate(CordsProblem problem, PetscInt area, CordsActive *active)
{
  CordsActive a;

  PetscFunctionBegin;
  PetscCall(PetscNew(&a));
  a->problem = problem;
  a->area = area;
  a->size = CordsProblemSize(problem, area);
  a->whole_size = CordsProblemWholeSize(problem, area);
  PetscCall(PetscMalloc4(a->size, &a->neurons, a->size, &a->inactive, a->size, &a->full_in, a->size, &a->full_out));
  if (area != CORDS_ALL_AREAS) SortArea(a, area, 0);
  for (PetscInt i = 0; area == CORDS_ALL_AREAS && i < CordsProblemAreaCount(problem); i++)
    SortArea(a, i, CordsProblemOffset(problem, i));
  PetscCallMPI(MPI_Allreduce(&a->count, &a->whole_count, 1, MPIU_INT, MPI_SUM, CordsProblemComm(problem)));
  *active = a;
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsActiveDestroy(CordsActive *active)
{
  PetscFunctionBegin;
  if (!*active) PetscFunctionReturn(PETSC_SUCCESS);
  PetscCall(PetscFree4((*active)->neurons, (*active)->inactive, (*active)->full_in, (*active)->full_out));
  PetscCall(PetscFree(*active));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsActiveExpand(CordsActive active, const double *v, double *full)
{
  PetscFunctionBegin;
  PetscCall(PetscArrayzero(full, active->size));
  for (PetscInt k = 0; k < active->count; k++) full[active->neurons[k]] = v[k];
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsActiveTangent(CordsActive active, const double *v, double *y)
{
  PetscFunctionBegin;
  PetscCall(CordsActiveExpand(active, v, active->full_in));
  active->products++;
  PetscCall(CordsProblemTangent(active->problem, active->area, active->full_in, active->full_out));
  for (PetscInt k = 0; k < active->count; k++) y[k] = active->full_out[active->neurons[k]];
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsActiveAdjoint(CordsActive active, const double *v, double *y)
{
  PetscFunctionBegin;
  PetscCall(CordsActiveExpand(active, v, active->full_in));
  active->products++;
  PetscCall(CordsProblemAdjoint(active->problem, active->area, active->full_in, active->full_out));
  for (PetscInt k = 0; k < active->count; k++) y[k] = active->full_out[active->neurons[k]];
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscReal CordsActiveInactiveEigenvalue(CordsActive active, PetscInt k)
{
  return -CordsProblemRate(active->problem, AreaOf(active, active->inactive[k]));
}

PetscErrorCode CordsActiveInactiveOf(CordsActive active, PetscInt area, CordsActiveRest *rest)
{
  const MPI_Comm comm = CordsProblemComm(active->problem);
  const PetscInt all = active->size - active->count;

  PetscFunctionBegin;
  *rest = (CordsActiveRest){0};
  while (rest->first < all && AreaOf(active, active->inactive[rest->first]) < area) rest->first++;
  while (rest->first + rest->count < all && AreaOf(active, active->inactive[rest->first + rest->count]) == area)
    rest->count++;
  PetscCallMPI(MPI_Allreduce(&rest->count, &rest->whole_count, 1, MPIU_INT, MPI_SUM, comm));
  PetscCallMPI(MPI_Scan(&rest->count, &rest->before, 1, MPIU_INT, MPI_SUM, comm));
  rest->before -= rest->count;
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscInt CordsActivePlace(CordsActive active, PetscInt k)
{
  const CordsSystem system = CordsProblemSystem(active->problem);
  const PetscInt neuron = active->neurons[k], area = AreaOf(active, neuron);

  if (active->area != CORDS_ALL_AREAS) return CordsWholeStatePlace(system, area, neuron);
  return CordsWholeStateOffset(system, area) +
         CordsWholeStatePlace(system, area, neuron - CordsProblemOffset(active->problem, area));
}

typedef PetscErrorCode (*Product)(CordsActive, const double *, double *);

static PetscErrorCode ShellProduct(Mat mat, Vec v, Vec y, Product product)
{
  CordsActive active;
  const PetscScalar *v_values;
  PetscScalar *y_values;

  PetscFunctionBegin;
  PetscCall(MatShellGetContext(mat, &active));
  PetscCall(VecGetArrayRead(v, &v_values));
  PetscCall(VecGetArray(y, &y_values));
  PetscCall(product(active, v_values, y_values));
  PetscCall(VecRestoreArray(y, &y_values));
  PetscCall(VecRestoreArrayRead(v, &v_values));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode ShellMult(Mat mat, Vec v, Vec y)
{
  PetscFunctionBegin;
  PetscCall(ShellProduct(mat, v, y, CordsActiveTangent));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode ShellMultTranspose(Mat mat, Vec v, Vec y)
{
  PetscFunctionBegin;
  PetscCall(ShellProduct(mat, v, y, CordsActiveAdjoint));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsActiveJacobian(CordsActive active, Mat *jacobian)
{
  PetscInt n = active->count;

  PetscFunctionBegin;
  PetscCall(
      MatCreateShell(CordsProblemComm(active->problem), n, n, PETSC_DETERMINE, PETSC_DETERMINE, active, jacobian));
  PetscCall(MatShellSetOperation(*jacobian, MATOP_MULT, (void (*)(void))ShellMult));
  PetscCall(MatShellSetOperation(*jacobian, MATOP_MULT_TRANSPOSE, (void (*)(void))ShellMultTranspose));
  PetscFunctionReturn(PETSC_SUCCESS);
}
