/* Comparing with the arrays of a reference file; one line for each disagreement. */
#ifndef CORDS_TESTS_REFERENCE_COMPARE_H
#define CORDS_TESTS_REFERENCE_COMPARE_H

#include "io/h5.h"

/* Where comparisons are counted. */
typedef struct {
  CordsH5 file;
  PetscInt compared, disagreements;
  char worst_name[160];
  double worst; /* largest difference / tolerance seen */
} Comparison;

/* Count one comparison: |difference| ≤ tolerance. */
void CompareNumber(Comparison *comparison, const char *name, double difference, double tolerance);

/* An array of the file against n values, largest difference ≤ tolerance · (relative ? largest of the array : 1). */
PetscErrorCode CompareArray(Comparison *comparison, const char *name, PetscInt64 n, const double *values,
                            double tolerance, PetscBool relative);

/* Number of elements stored under a name; 0 if there is none. */
PetscErrorCode StoredSize(CordsH5 file, const char *name, PetscInt64 *size);
PetscErrorCode ReadStored(CordsH5 file, const char *name, PetscInt64 size, double *values);

#endif
