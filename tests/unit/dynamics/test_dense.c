/* ScaLAPACK against LAPACK on any number of ranks.  RANKS 1 2 4 */
#include "dynamics/dense.h"
#include "support/lapack.h"
#include "support/tiny.h"

#include <math.h>

typedef struct {
  PetscInt n;
  uint64_t stream;
} RandomMatrix;

static PetscErrorCode RandomColumn(void *context, PetscInt k, double *column)
{
  const RandomMatrix *matrix = context;

  for (PetscInt i = 0; i < matrix->n; i++)
    column[i] = SupportRandom(matrix->stream + (uint64_t)k, (uint32_t)i) - (i == k);
  return PETSC_SUCCESS;
}

static void TestAgainstLapack(void **state)
{
  static const PetscInt sizes[] = {1, 2, 3, 31, 33, 100, 150, 400};

  for (size_t s = 0; s < PETSC_STATIC_ARRAY_LENGTH(sizes); s++) {
    PetscInt n = sizes[s];
    RandomMatrix matrix = {.n = n, .stream = 1000 * s};
    double *dense = malloc((size_t)(n * n) * sizeof *dense);
    CordsEigenvalue *ours = calloc((size_t)n, sizeof *ours), *theirs = calloc((size_t)n, sizeof *theirs);
    PetscBool converged;

    for (PetscInt k = 0; k < n; k++) RandomColumn(&matrix, k, dense + k * n);
    LapackEigenvalues(n, dense, theirs);
    SupportCall(CordsDenseEigenvalues(&support_context, n, RandomColumn, &matrix, ours, &converged));
    assert_true(converged);
    LapackCompare("eigenvalues of a random matrix", n, ours, theirs, 1e-10);
    free(dense);
    free(ours);
    free(theirs);
  }
}

/* The spectrum of an area: active block and known eigenvalues together are that of the full Jacobian. */
static void TestArea(void **state)
{
  CordsModel model = TinyModel("relu", 1);
  CordsProblem problem;
  float image[TINY_IMAGE_ROWS * TINY_IMAGE_COLUMNS];
  double *r;

  TinyImage(7, image);
  SupportCall(CordsProblemCreate(model, &problem));
  SupportCall(CordsProblemSetImage(problem, image));
  SupportCall(PetscCalloc1(CordsProblemSize(problem, CORDS_ALL_AREAS), &r));
  SupportCall(CordsProblemEuler(problem, CORDS_ALL_AREAS, 50, r));
  SupportCall(CordsProblemLinearise(problem, CORDS_ALL_AREAS, r));
  for (PetscInt area = CORDS_ALL_AREAS; area < 3; area++) {
    PetscInt n = CordsProblemSize(problem, area);
    double *dense = malloc((size_t)(n * n) * sizeof *dense);
    CordsEigenvalue *ours = calloc((size_t)n, sizeof *ours), *theirs = calloc((size_t)n, sizeof *theirs);
    CordsActive active;
    PetscBool converged;

    SupportCall(CordsProblemDense(problem, area, dense));
    LapackEigenvalues(n, dense, theirs);
    SupportCall(CordsActiveCreate(problem, area, &active));
    assert_true(active->count > 0 && active->count < n);
    SupportCall(CordsDenseSpectrum(&support_context, active, ours, &converged));
    assert_true(converged);
    LapackCompare("eigenvalues of an area", n, ours, theirs, 1e-9);
    SupportCall(CordsActiveDestroy(&active));
    free(dense);
    free(ours);
    free(theirs);
  }
  SupportCall(PetscFree(r));
  SupportCall(CordsProblemDestroy(&problem));
  SupportCall(CordsModelDestroy(&model));
}

static const struct CMUnitTest tests[] = {cmocka_unit_test(TestAgainstLapack), cmocka_unit_test(TestArea)};
SUPPORT_MAIN(tests)
