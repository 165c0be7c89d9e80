#include "dynamics/dense.h"

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
void pdhseqr_(const char *job, const char *vectors, const int *n, const int *low, const int *high, double *h,
              const int *descriptor, double *re, double *im, double *z, const int *z_descriptor, double *work,
              const int *work_length, int *integer_work, const int *integer_work_length, int *info, size_t job_length,
              size_t vectors_length);

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

/* To upper Hessenberg form; below the first subdiagonal PDGEHRD leaves its reflectors, which PDHSEQR wants zero. */
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

/* re, im: n numbers on every rank.  The query for work space writes more than the first number of its arrays. */
static PetscErrorCode SolveHessenberg(GridMatrix *matrix, double *re, double *im, PetscBool *converged)
{
  enum { QUERY_LENGTH = 64 };
  const int query = -1;
  double *work, best[QUERY_LENGTH] = {0}, no_vectors = 0;
  int *integer_work, integer_best[QUERY_LENGTH] = {0}, length, integer_length, info;

  PetscFunctionBegin;
  pdhseqr_("E", "N", &matrix->n, &one, &matrix->n, matrix->values, matrix->descriptor, re, im, &no_vectors,
           matrix->descriptor, best, &query, integer_best, &query, &info, 1, 1);
  PetscCheck(info == 0, PETSC_COMM_SELF, PETSC_ERR_LIB, "pdhseqr: argument %d", -info);
  length = (int)best[0];
  integer_length = PetscMax(integer_best[0], QUERY_LENGTH);
  PetscCall(PetscMalloc2(length, &work, integer_length, &integer_work));
  pdhseqr_("E", "N", &matrix->n, &one, &matrix->n, matrix->values, matrix->descriptor, re, im, &no_vectors,
           matrix->descriptor, work, &length, integer_work, &integer_length, &info, 1, 1);
  PetscCheck(info >= 0, PETSC_COMM_SELF, PETSC_ERR_LIB, "pdhseqr: argument %d", -info);
  *converged = (PetscBool)(info == 0);
  PetscCall(PetscFree2(work, integer_work));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsDenseEigenvalues(CordsContext context, PetscInt n, CordsDenseColumn column, void *column_context,
                                     CordsEigenvalue eigenvalues[], PetscBool *converged)
{
  GridMatrix matrix;
  double *re, *im;

  PetscFunctionBegin;
  *converged = PETSC_TRUE;
  if (n == 0) PetscFunctionReturn(PETSC_SUCCESS);
  PetscCall(PetscCalloc2(n, &re, n, &im));
  PetscCall(GridMatrixCreate(context, n, &matrix));
  PetscCall(GridMatrixFill(&matrix, column, column_context));
  PetscCall(ReduceToHessenberg(&matrix));
  PetscCall(SolveHessenberg(&matrix, re, im, converged));
  PetscCall(GridMatrixDestroy(&matrix));
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
