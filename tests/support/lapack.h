/* The sequential dense solver that every other eigenvalue is compared with. */
#ifndef CORDS_TESTS_LAPACK_H
#define CORDS_TESTS_LAPACK_H

#include "dynamics/spectrum.h"
#include "support/support.h"

#include <petscblaslapack.h>
#include <stdlib.h>

/* Eigenvalues of a column-major n × n matrix, which is overwritten; sorted by falling real part. */
static inline void LapackEigenvalues(PetscInt n, double *matrix, CordsEigenvalue eigenvalues[])
{
  double *re = malloc((size_t)n * sizeof *re), *im = malloc((size_t)n * sizeof *im);
  double *work = malloc((size_t)(8 * n) * sizeof *work), none = 0;
  PetscBLASInt size = n, work_length = 8 * n, one = 1, info;

  LAPACKgeev_("N", "N", &size, matrix, &size, re, im, &none, &one, &none, &one, work, &work_length, &info);
  assert_int_equal(info, 0);
  for (PetscInt k = 0; k < n; k++) eigenvalues[k] = (CordsEigenvalue){re[k], im[k]};
  SupportCall(CordsEigenvaluesSort(n, eigenvalues, NULL));
  free(re);
  free(im);
  free(work);
}

/* Fail unless the n eigenvalues `rightmost` are, up to the tolerance, the first n of `all_count` sorted ones. */
static inline void LapackCompareRightmost(const char *what, PetscInt n, const CordsEigenvalue rightmost[],
                                          PetscInt all_count, const CordsEigenvalue all[], double tolerance)
{
  PetscReal difference = CordsEigenvaluesDifference(n, rightmost, all_count, all);

  if (!(difference <= tolerance)) print_error("%s: largest difference %g, tolerance %g\n", what, difference, tolerance);
  assert_true(difference <= tolerance);
}

static inline void LapackCompare(const char *what, PetscInt n, const CordsEigenvalue a[], const CordsEigenvalue b[],
                                 double tolerance)
{
  LapackCompareRightmost(what, n, a, n, b, tolerance);
}

#endif
