#include "compare.h"

#include <math.h>
#include <stdio.h>

void CompareNumber(Comparison *comparison, const char *name, double difference, double tolerance)
{
  int rank = 0;

  comparison->compared++;
  if (MPI_Comm_rank(PETSC_COMM_WORLD, &rank)) return;
  if (difference / tolerance > comparison->worst) {
    comparison->worst = difference / tolerance;
    snprintf(comparison->worst_name, sizeof comparison->worst_name, "%s", name);
  }
  if (difference <= tolerance) return;
  comparison->disagreements++;
  if (rank == 0) {
    printf("%s: %s differs by %.3g, tolerance %.3g\n", CordsH5Path(comparison->file), name, difference, tolerance);
  }
}

PetscErrorCode StoredSize(CordsH5 file, const char *name, PetscInt64 *size)
{
  PetscInt64 sizes[CORDS_H5_DIMENSIONS_MAX];
  PetscInt dimensions;
  PetscBool exists;

  PetscFunctionBegin;
  PetscCall(CordsH5GetShape(file, name, &exists, &dimensions, sizes));
  *size = exists ? 1 : 0;
  for (PetscInt k = 0; k < dimensions && exists; k++) *size *= sizes[k];
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode ReadStored(CordsH5 file, const char *name, PetscInt64 size, double *values)
{
  PetscInt64 sizes[CORDS_H5_DIMENSIONS_MAX], stored;
  PetscInt dimensions;

  PetscFunctionBegin;
  PetscCall(CordsH5GetShape(file, name, NULL, &dimensions, sizes));
  PetscCall(StoredSize(file, name, &stored));
  CordsCheckUser(stored == size, PETSC_COMM_WORLD, "%s: %s has %" PetscInt64_FMT " numbers, expected %" PetscInt64_FMT,
                 CordsH5Path(file), name, stored, size);
  PetscCall(CordsH5ReadArray(file, name, CORDS_FILE_F64, dimensions, sizes, values));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CompareArray(Comparison *comparison, const char *name, PetscInt64 n, const double *values,
                            double tolerance, PetscBool relative)
{
  double *stored, largest = 0, difference = 0;

  PetscFunctionBegin;
  PetscCall(PetscMalloc1(n, &stored));
  PetscCall(ReadStored(comparison->file, name, n, stored));
  for (PetscInt64 k = 0; k < n; k++) {
    largest = fmax(largest, fabs(stored[k]));
    difference = fmax(difference, fabs(values[k] - stored[k]));
    if (values[k] != values[k]) difference = INFINITY;
  }
  CompareNumber(comparison, name, difference, relative ? tolerance * largest : tolerance);
  PetscCall(PetscFree(stored));
  PetscFunctionReturn(PETSC_SUCCESS);
}
