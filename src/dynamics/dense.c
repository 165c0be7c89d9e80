#include "dynamics/dense.h"

#include <math.h>
#include <petscblaslapack.h>

enum { BLOCK = 32, DESCRIPTOR_LENGTH = 9 };

/* BLACS and ScaLAPACK have no C header.  The last arguments of the Fortran routines are the lengths of their
   character arguments. */
int Csys2blacs_handle(MPI_Comm comm);
void Cfree_blacs_system_handle(int handle);
void Cblacs_gridinit(int *grid, const char *order, int rows, int columns);
void Cblacs_gridinfo(int grid, int *rows, int *columns, int *row, int *column);
void Cblacs_gridexit(int grid);
int numroc_(const int *n, const int *block, const int *rank, const int *source, const int *ranks);
void descinit_(int *descriptor, const int *m, const int *n, const int *row_block, const int *column_block,
               const int *row_source, const int *column_source, const int *grid, const int *leading, int *info);
void pdlaset_(const char *part, const int *m, const int *n, const double *off_diagonal, const double *diagonal,
              double *a, const int *row, const int *column, const int *descriptor, size_t part_length);
void pdgehrd_(const int *n, const int *low, const int *high, double *a, const int *row, const int *column,
              const int *descriptor, double *tau, double *work, const int *work_length, int *info);
static const int zero = 0, one = 1, block = BLOCK;

/* An n × n matrix on a grid of ranks:

       row i of the matrix belongs to grid row (i / BLOCK) mod rows, likewise columns; a rank's own part is a
       column-major array of local_rows × local_columns. */
typedef struct {
  int handle, grid;
  int rows, columns, row, column; /* of the grid; where this rank is in it */
  int n, local_rows, local_columns;
  int descriptor[DESCRIPTOR_LENGTH];
  double *values;
} GridMatrix;

static PetscErrorCode GridMatrixCreate(CordsContext context, PetscInt n, GridMatrix *matrix)
{
  int size = context->size, leading, info;

  PetscFunctionBegin;
  matrix->n = n;
  for (matrix->rows = 1; (matrix->rows + 1) * (matrix->rows + 1) <= size; matrix->rows++)
    ;
  while (size % matrix->rows) matrix->rows--;
  matrix->columns = size / matrix->rows;
  matrix->handle = Csys2blacs_handle(context->comm);
  matrix->grid = matrix->handle;
  Cblacs_gridinit(&matrix->grid, "Row", matrix->rows, matrix->columns);
  Cblacs_gridinfo(matrix->grid, &matrix->rows, &matrix->columns, &matrix->row, &matrix->column);
  matrix->local_rows = numroc_(&matrix->n, &block, &matrix->row, &zero, &matrix->rows);
  matrix->local_columns = numroc_(&matrix->n, &block, &matrix->column, &zero, &matrix->columns);
  leading = PetscMax(matrix->local_rows, 1);
  descinit_(matrix->descriptor, &matrix->n, &matrix->n, &block, &block, &zero, &zero, &matrix->grid, &leading, &info);
  PetscCheck(info == 0, PETSC_COMM_SELF, PETSC_ERR_LIB, "descinit: argument %d", -info);
  PetscCall(PetscCalloc1((size_t)leading * (size_t)PetscMax(matrix->local_columns, 1), &matrix->values));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode GridMatrixDestroy(GridMatrix *matrix)
{
  PetscFunctionBegin;
  PetscCall(PetscFree(matrix->values));
  Cblacs_gridexit(matrix->grid);
  Cfree_blacs_system_handle(matrix->handle);
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* Global index of a local row or column: `ranks` along this side of the grid, `rank` this one's place. */
static PetscInt Global(PetscInt local, PetscInt rank, PetscInt ranks)
{
  return (local / BLOCK * ranks + rank) * BLOCK + local % BLOCK;
}

static PetscErrorCode GridMatrixFill(GridMatrix *matrix, CordsDenseColumn column, void *column_context)
{
  double *whole;

  PetscFunctionBegin;
  PetscCall(PetscMalloc1(matrix->n, &whole));
  for (int k = 0; k < matrix->local_columns && matrix->local_rows > 0; k++) {
    double *local = matrix->values + (size_t)k * (size_t)matrix->local_rows;
    PetscCall(column(column_context, Global(k, matrix->column, matrix->columns), whole));
    for (int i = 0; i < matrix->local_rows; i++) local[i] = whole[Global(i, matrix->row, matrix->rows)];
  }
  PetscCall(PetscFree(whole));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* To upper Hessenberg form; below the first subdiagonal PDGEHRD leaves its reflectors, which the QR algorithm wants
 * zero. */
static PetscErrorCode ReduceToHessenberg(GridMatrix *matrix)
{
  const int query = -1, three = 3, inner = matrix->n - 2;
  const double nothing = 0;
  double *tau, *work, best = 0;
  int length, info;

  PetscFunctionBegin;
  PetscCall(PetscMalloc1(matrix->n, &tau));
  pdgehrd_(&matrix->n, &one, &matrix->n, matrix->values, &one, &one, matrix->descriptor, tau, &best, &query, &info);
  PetscCheck(info == 0, PETSC_COMM_SELF, PETSC_ERR_LIB, "pdgehrd: argument %d", -info);
  length = (int)best;
  PetscCall(PetscMalloc1(length, &work));
  pdgehrd_(&matrix->n, &one, &matrix->n, matrix->values, &one, &one, matrix->descriptor, tau, work, &length, &info);
  PetscCheck(info == 0, PETSC_COMM_SELF, PETSC_ERR_LIB, "pdgehrd: argument %d", -info);
  if (inner > 0) pdlaset_("L", &inner, &inner, &nothing, &nothing, matrix->values, &three, &one, matrix->descriptor, 1);
  PetscCall(PetscFree(work));
  PetscCall(PetscFree(tau));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* The whole Hessenberg matrix, column-major, on rank 0 (NULL elsewhere): everybody adds its part to zeros. */
static PetscErrorCode Gather(CordsContext context, const GridMatrix *matrix, double **whole)
{
  size_t n = (size_t)matrix->n;
  double *mine;

  PetscFunctionBegin;
  PetscCall(PetscCalloc1(n * n, &mine));
  for (int k = 0; k < matrix->local_columns; k++) {
    double *column = mine + n * (size_t)Global(k, matrix->column, matrix->columns);
    for (int i = 0; i < matrix->local_rows; i++)
      column[Global(i, matrix->row, matrix->rows)] = matrix->values[(size_t)k * (size_t)matrix->local_rows + (size_t)i];
  }
  PetscCallMPI(
      MPI_Reduce(context->rank == 0 ? MPI_IN_PLACE : mine, mine, (int)(n * n), MPI_DOUBLE, MPI_SUM, 0, context->comm));
  if (context->rank != 0) PetscCall(PetscFree(mine));
  *whole = mine;
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* The QR algorithm on rank 0; re, im: n numbers on every rank. */
static PetscErrorCode SolveHessenberg(CordsContext context, const GridMatrix *matrix, double *re, double *im,
                                      PetscBool *converged)
{
  PetscBLASInt n = matrix->n, low = 1, length, info = 0;
  double *hessenberg, *work, best, no_vectors = 0;

  PetscFunctionBegin;
  PetscCall(Gather(context, matrix, &hessenberg));
  if (context->rank == 0) {
    length = -1;
    LAPACKhseqr_("E", "N", &n, &low, &n, hessenberg, &n, re, im, &no_vectors, &low, &best, &length, &info);
    length = (PetscBLASInt)best;
    PetscCall(PetscMalloc1(length, &work));
    LAPACKhseqr_("E", "N", &n, &low, &n, hessenberg, &n, re, im, &no_vectors, &low, work, &length, &info);
    PetscCall(PetscFree(work));
    PetscCall(PetscFree(hessenberg));
  }
  PetscCallMPI(MPI_Bcast(re, n, MPI_DOUBLE, 0, context->comm));
  PetscCallMPI(MPI_Bcast(im, n, MPI_DOUBLE, 0, context->comm));
  PetscCallMPI(MPI_Bcast(&info, 1, MPIU_INT, 0, context->comm));
  PetscCheck(info >= 0, PETSC_COMM_SELF, PETSC_ERR_LIB, "dhseqr: argument %d", -info);
  *converged = (PetscBool)(info == 0);
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* This rank's part of the trace, and of the sum of absolute values on the diagonal. */
static void LocalTrace(const GridMatrix *matrix, double sums[2])
{
  sums[0] = sums[1] = 0;
  for (int k = 0; k < matrix->local_columns; k++) {
    for (int i = 0; i < matrix->local_rows; i++) {
      double value = matrix->values[(size_t)k * (size_t)matrix->local_rows + (size_t)i];
      if (Global(i, matrix->row, matrix->rows) != Global(k, matrix->column, matrix->columns)) continue;
      sums[0] += value;
      sums[1] += fabs(value);
    }
  }
}

/* The eigenvalues must add up to the trace: a QR code that loses one is found out. */
static PetscBool AddsUp(PetscInt n, const double *re, const double trace[2])
{
  double sum = 0;

  for (PetscInt k = 0; k < n; k++) sum += re[k];
  return (PetscBool)(fabs(sum - trace[0]) <= 1e-9 * PetscMax(trace[1], 1));
}

PetscErrorCode CordsDenseEigenvalues(CordsContext context, PetscInt n, CordsDenseColumn column, void *column_context,
                                     CordsEigenvalue eigenvalues[], PetscBool *converged)
{
  GridMatrix matrix;
  double *re, *im, trace[2];

  PetscFunctionBegin;
  *converged = PETSC_TRUE;
  if (n == 0) PetscFunctionReturn(PETSC_SUCCESS);
  PetscCall(PetscCalloc2(n, &re, n, &im));
  PetscCall(GridMatrixCreate(context, n, &matrix));
  PetscCall(GridMatrixFill(&matrix, column, column_context));
  LocalTrace(&matrix, trace);
  PetscCallMPI(MPI_Allreduce(MPI_IN_PLACE, trace, 2, MPI_DOUBLE, MPI_SUM, context->comm));
  PetscCall(ReduceToHessenberg(&matrix));
  PetscCall(SolveHessenberg(context, &matrix, re, im, converged));
  PetscCall(GridMatrixDestroy(&matrix));
  if (!AddsUp(n, re, trace)) *converged = PETSC_FALSE;
  for (PetscInt k = 0; k < n; k++) eigenvalues[k] = (CordsEigenvalue){re[k], im[k]};
  PetscCall(CordsEigenvaluesSort(n, eigenvalues, NULL));
  PetscCall(PetscFree2(re, im));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* Column k of J_AA. */
static PetscErrorCode ActiveColumn(void *context, PetscInt k, double *column)
{
  CordsActive active = context;
  double *unit;

  PetscFunctionBegin;
  PetscCall(PetscCalloc1(active->count, &unit));
  unit[k] = 1;
  PetscCall(CordsActiveTangent(active, unit, column));
  PetscCall(PetscFree(unit));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsDenseSpectrum(CordsContext context, CordsActive active, CordsEigenvalue eigenvalues[],
                                  PetscBool *converged)
{
  PetscFunctionBegin;
  PetscCall(CordsDenseEigenvalues(context, active->count, ActiveColumn, active, eigenvalues, converged));
  for (PetscInt k = active->count; k < active->size; k++)
    eigenvalues[k] = (CordsEigenvalue){CordsActiveInactiveEigenvalue(active, k - active->count), 0};
  PetscCall(CordsEigenvaluesSort(active->size, eigenvalues, NULL));
  PetscFunctionReturn(PETSC_SUCCESS);
}
