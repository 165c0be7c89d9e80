/* The reduction to active neurons: rows of inactive ones are −τ/τ_i e_kᵀ, the rest is a part of the full matrix. */
#include "dynamics/active.h"
#include "support/tiny.h"

#include <math.h>

static void CheckArea(CordsProblem problem, PetscInt area)
{
  PetscInt n = CordsProblemSize(problem, area), count, next_active = 0, next_inactive = 0;
  double *dense = malloc((size_t)(n * n) * sizeof *dense), *v, *y, *w, forward = 0, backward = 0;
  CordsActive active;

  SupportCall(CordsProblemDense(problem, area, dense));
  SupportCall(CordsActiveCreate(problem, area, &active));
  count = active->count;
  assert_int_equal(active->size, n);
  assert_true(count > 0 && count < n);
  for (PetscInt k = 0; k < n; k++) {
    if (next_active < count && active->neurons[next_active] == k) {
      next_active++;
      continue;
    }
    assert_int_equal(active->inactive[next_inactive], k);
    for (PetscInt j = 0; j < n; j++) {
      double expected = j == k ? CordsActiveInactiveEigenvalue(active, next_inactive) : 0;
      assert_true(dense[j * n + k] == expected);
    }
    next_inactive++;
  }
  assert_int_equal(next_active + next_inactive, n);

  v = malloc((size_t)n * sizeof *v);
  w = malloc((size_t)n * sizeof *w);
  y = malloc((size_t)n * sizeof *y);
  SupportFillF64(1, count, v);
  SupportFillF64(2, count, w);
  SupportCall(CordsActiveTangent(active, v, y));
  for (PetscInt i = 0; i < count; i++) {
    double sum = 0;
    for (PetscInt j = 0; j < count; j++) sum += dense[active->neurons[j] * n + active->neurons[i]] * v[j];
    assert_true(fabs(sum - y[i]) < 1e-13);
    forward += y[i] * w[i];
  }
  SupportCall(CordsActiveAdjoint(active, w, y));
  for (PetscInt i = 0; i < count; i++) backward += y[i] * v[i];
  assert_true(fabs(forward - backward) < 1e-12);
  assert_int_equal(active->products, 2);
  SupportCall(CordsActiveDestroy(&active));
  free(dense), free(v), free(w), free(y);
}

static void EveryArea(void **state)
{
  CordsModel model = TinyModel("relu", 1);
  CordsProblem problem;
  float image[TINY_IMAGE_ROWS * TINY_IMAGE_COLUMNS];
  double *r;

  TinyImage(3, image);
  SupportCall(CordsProblemCreate(model, &problem));
  SupportCall(CordsProblemSetImage(problem, image));
  r = calloc((size_t)CordsProblemSize(problem, CORDS_ALL_AREAS), sizeof *r);
  SupportCall(CordsProblemEuler(problem, CORDS_ALL_AREAS, 50, r));
  SupportCall(CordsProblemLinearise(problem, CORDS_ALL_AREAS, r));
  for (PetscInt area = CORDS_ALL_AREAS; area < 3; area++) CheckArea(problem, area);
  free(r);
  SupportCall(CordsProblemDestroy(&problem));
  SupportCall(CordsModelDestroy(&model));
}

static const struct CMUnitTest tests[] = {cmocka_unit_test(EveryArea)};
SUPPORT_MAIN(tests)
