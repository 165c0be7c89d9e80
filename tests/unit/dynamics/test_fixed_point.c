/* Fixed points: Newton against long Euler integration, area by area against all areas in one, non-convergence. */
#include "dynamics/fixed_point.h"
#include "support/tiny.h"

#include <math.h>

typedef struct {
  CordsModel model;
  CordsProblem problem;
  PetscInt n;
  double *r, *other;
  CordsFixedPointSettings settings;
} Fixture;

static Fixture Make(const char *phi, float gain, PetscBool image_shown)
{
  Fixture f = {.model = TinyModel(phi, gain)};
  float image[TINY_IMAGE_ROWS * TINY_IMAGE_COLUMNS];

  TinyImage(5, image);
  SupportCall(CordsProblemCreate(f.model, &f.problem));
  SupportCall(CordsProblemSetImage(f.problem, image_shown ? image : NULL));
  f.n = CordsProblemSize(f.problem, CORDS_ALL_AREAS);
  f.r = calloc((size_t)f.n, sizeof *f.r);
  f.other = calloc((size_t)f.n, sizeof *f.other);
  SupportCall(CordsFixedPointConfigure(&f.settings));
  return f;
}

static void Free(Fixture *f)
{
  free(f->r);
  free(f->other);
  SupportCall(CordsProblemDestroy(&f->problem));
  SupportCall(CordsModelDestroy(&f->model));
}

static void CheckConverged(const CordsFixedPoint *point)
{
  assert_true(point->reason > 0);
  assert_true(point->tolerance == 1e-10);
  assert_true(point->residual_norm_rel <= 1e-12);
  assert_true(CordsFixedPointConverged(point->reason, point->residual_norm_rel, point->tolerance));
}

/* For every φ, with an image and without: Newton, Euler for a long time, and all areas in one agree. */
static void MethodsAgree(void **state)
{
  static const char *const phis[] = {"relu", "tanh", "softplus", "identity"};

  for (int k = 0; k < 8; k++) {
    Fixture f = Make(phis[k / 2], 1, (PetscBool)(k % 2));
    CordsFixedPoint block, whole;
    SupportCall(CordsFixedPointSolve(f.problem, &f.settings, f.r, &block));
    CheckConverged(&block);
    assert_true(block.newton_iterations > 0 && block.linear_iterations >= block.newton_iterations);
    SupportCall(CordsProblemEuler(f.problem, CORDS_ALL_AREAS, 4000, f.other));
    SupportCompareF64("Newton and Euler", f.n, f.r, f.other, 1e-8);
    f.settings.method = CORDS_FIXED_POINT_WHOLE;
    SupportCall(CordsFixedPointSolve(f.problem, &f.settings, f.other, &whole));
    CheckConverged(&whole);
    SupportCompareF64("block and whole", f.n, f.r, f.other, 1e-9);
    Free(&f);
  }
}

/* Not one step of Euler: Newton has to find the active neurons by itself. */
static void FromRest(void **state)
{
  Fixture f = Make("relu", 1.5F, PETSC_TRUE);
  CordsFixedPoint point;

  SupportCall(CordsFixedPointSolve(f.problem, &f.settings, f.other, &point));
  CheckConverged(&point);
  f.settings.euler_steps = 0;
  f.settings.retries = 0;
  SupportCall(CordsFixedPointSolve(f.problem, &f.settings, f.r, &point));
  CheckConverged(&point);
  SupportCompareF64("with and without Euler", f.n, f.r, f.other, 1e-9);
  Free(&f);
}

/* No bias and no image: rest, found without a step. */
static void Rest(void **state)
{
  Fixture f = Make("relu", 1, PETSC_FALSE);
  CordsFixedPoint point;
  char name[32];

  for (PetscInt i = 0; i < 3; i++) {
    snprintf(name, sizeof name, "conv_bias.%d", (int)i);
    SupportCall(PetscArrayzero(CordsModelValues(f.model, name), CordsProblemSize(f.problem, i)));
  }
  SupportCall(CordsSystemUpdate(CordsProblemSystem(f.problem)));
  SupportCall(CordsFixedPointSolve(f.problem, &f.settings, f.r, &point));
  assert_true(point.reason > 0 && point.residual_norm_rel == 0 && point.newton_iterations == 0);
  for (PetscInt k = 0; k < f.n; k++) assert_true(f.r[k] == 0);
  Free(&f);
}

/* An asked tolerance, and what is reached, are told; a loose one costs less. */
static void Tolerance(void **state)
{
  Fixture f = Make("tanh", 1, PETSC_TRUE);
  CordsFixedPoint loose, tight;

  f.settings.euler_steps = 10;
  SupportCall(CordsFixedPointSolve(f.problem, &f.settings, f.r, &tight));
  f.settings.tolerance = 1e-3;
  SupportCall(CordsFixedPointSolve(f.problem, &f.settings, f.r, &loose));
  assert_true(loose.tolerance == 1e-3 && loose.residual_norm_rel <= 1e-3 && loose.reason > 0);
  assert_true(loose.residual_norm_rel > tight.residual_norm_rel);
  assert_true(loose.linear_iterations < tight.linear_iterations);
  Free(&f);
}

/* A runaway network has no stable fixed point within reach of one Newton step: a result with its reason, and finite. */
static void NonConvergence(void **state)
{
  CordsFixedPoint point;
  Fixture f;

  SupportCall(PetscOptionsSetValue(NULL, "-fixed_points_snes_max_it", "1"));
  f = Make("relu", 12, PETSC_TRUE);
  SupportCall(CordsFixedPointSolve(f.problem, &f.settings, f.r, &point));
  assert_true(point.reason < 0);
  assert_true(point.residual_norm_rel > 1e-10 && point.residual_norm_rel <= 2);
  assert_true(point.newton_iterations <= 3 * (1 + f.settings.retries));
  assert_false(CordsFixedPointConverged(point.reason, point.residual_norm_rel, point.tolerance));
  for (PetscInt k = 0; k < f.n; k++) assert_true(isfinite(f.r[k]));
  SupportCall(PetscOptionsClearValue(NULL, "-fixed_points_snes_max_it"));
  Free(&f);
}

static const struct CMUnitTest tests[] = {cmocka_unit_test(MethodsAgree), cmocka_unit_test(FromRest),
                                          cmocka_unit_test(Rest), cmocka_unit_test(Tolerance),
                                          cmocka_unit_test(NonConvergence)};
SUPPORT_MAIN(tests)
