/* Newton's method: it solves a system it is given matrix-free, obeys its defaults and the user's options over them, and
   takes no more vectors than it says. */
#include "dynamics/newton.h"

#include "support/support.h"

#include <stdlib.h>
#include <sys/resource.h>

enum { SMALL = 50, LARGE = 500000 };

static PetscInt size;
static double *slope;  /* of F_k by x_k where the Jacobian was taken last */
static double stretch; /* of the Jacobian's eigenvalues */

static const CordsNewtonDefaults defaults = {.prefix = "test_newton_",
                                             .own_tolerances = PETSC_TRUE,
                                             .iterations = 20,
                                             .evaluations = 100,
                                             .linear_failures = 1,
                                             .linear_tolerance = 1e-8,
                                             .linear_iterations = 90,
                                             .restart = 7};

static double Scale(PetscInt k)
{
  return 1 + stretch * k / size;
}

/* F_k = a_k x_k + x_k³ / 3 + x_{k−1} / 2 − 1, whose Jacobian is no symmetric matrix. */
static PetscErrorCode Residual(SNES snes, Vec x, Vec f, void *context)
{
  const PetscScalar *in;
  PetscScalar *out;

  PetscFunctionBegin;
  PetscCall(VecGetArrayRead(x, &in));
  PetscCall(VecGetArray(f, &out));
  for (PetscInt k = 0; k < size; k++) {
    out[k] = Scale(k) * in[k] + in[k] * in[k] * in[k] / 3 - 1 + (k > 0 ? in[k - 1] / 2 : 0);
  }
  PetscCall(VecRestoreArray(f, &out));
  PetscCall(VecRestoreArrayRead(x, &in));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode Jacobian(SNES snes, Vec x, Mat jacobian, Mat preconditioner, void *context)
{
  const PetscScalar *in;

  PetscFunctionBegin;
  PetscCall(VecGetArrayRead(x, &in));
  for (PetscInt k = 0; k < size; k++) slope[k] = Scale(k) + in[k] * in[k];
  PetscCall(VecRestoreArrayRead(x, &in));
  PetscCall(CordsNewtonJacobianChanged(jacobian));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode Product(Mat jacobian, Vec v, Vec y)
{
  const PetscScalar *in;
  PetscScalar *out;

  PetscFunctionBegin;
  PetscCall(VecGetArrayRead(v, &in));
  PetscCall(VecGetArray(y, &out));
  for (PetscInt k = 0; k < size; k++) out[k] = slope[k] * in[k] + (k > 0 ? in[k - 1] / 2 : 0);
  PetscCall(VecRestoreArray(y, &out));
  PetscCall(VecRestoreArrayRead(v, &in));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* Solve from zero with an absolute tolerance; Newton's iterations. */
static PetscInt Solve(SNES snes, SNESConvergedReason *reason, double *norm)
{
  PetscInt iterations;
  Vec x, f;
  Mat jacobian;

  slope = calloc((size_t)size, sizeof *slope);
  SupportCall(MatCreateShell(PETSC_COMM_SELF, size, size, size, size, NULL, &jacobian));
  SupportCall(MatShellSetOperation(jacobian, MATOP_MULT, (void (*)(void))Product));
  SupportCall(MatCreateVecs(jacobian, &x, &f));
  SupportCall(SNESSetFunction(snes, f, Residual, NULL));
  SupportCall(SNESSetJacobian(snes, jacobian, jacobian, Jacobian, NULL));
  SupportCall(SNESSolve(snes, NULL, x));
  SupportCall(SNESGetConvergedReason(snes, reason));
  SupportCall(SNESGetIterationNumber(snes, &iterations));
  SupportCall(Residual(snes, x, f, NULL));
  SupportCall(VecNorm(f, NORM_2, norm));
  SupportCall(VecDestroy(&x));
  SupportCall(VecDestroy(&f));
  SupportCall(MatDestroy(&jacobian));
  free(slope);
  return iterations;
}

static void TestSolve(void **state)
{
  SNESConvergedReason reason;
  PetscInt iterations;
  double norm;
  SNES snes;

  size = SMALL;
  stretch = 0;
  SupportCall(CordsNewtonCreate(PETSC_COMM_SELF, &defaults, &snes));
  SupportCall(SNESSetTolerances(snes, 1e-12, 0, 0, defaults.iterations, defaults.evaluations));
  iterations = Solve(snes, &reason, &norm);
  assert_true(reason > 0 && norm <= 1e-12);
  assert_true(iterations > 2 && iterations < 10); /* a Jacobian that stayed as it was would take many */
  SupportCall(SNESDestroy(&snes));
}

/* Values of the defaults, and the user's over them. */
static void TestOptions(void **state)
{
  PetscReal rtol, atol, linear;
  PetscInt most, restart, linear_most, vectors;
  SNES snes;
  KSP ksp;

  SupportCall(CordsNewtonVectors(&defaults, &vectors));
  assert_int_equal(vectors, defaults.restart + 10);
  SupportCall(PetscOptionsSetValue(NULL, "-test_newton_snes_max_it", "3"));
  SupportCall(PetscOptionsSetValue(NULL, "-test_newton_snes_rtol", "0.5"));
  SupportCall(PetscOptionsSetValue(NULL, "-test_newton_ksp_gmres_restart", "4"));
  SupportCall(CordsNewtonCreate(PETSC_COMM_SELF, &defaults, &snes));
  SupportCall(SNESGetTolerances(snes, &atol, &rtol, NULL, &most, NULL));
  SupportCall(SNESGetKSP(snes, &ksp));
  SupportCall(KSPGetTolerances(ksp, &linear, NULL, NULL, &linear_most));
  SupportCall(KSPGMRESGetRestart(ksp, &restart));
  assert_true(rtol == 0.5 && atol == 0 && linear == 1e-8);
  assert_int_equal(most, 3);
  assert_int_equal(linear_most, 90);
  assert_int_equal(restart, 4);
  SupportCall(SNESDestroy(&snes));
  SupportCall(CordsNewtonVectors(&defaults, &vectors));
  assert_int_equal(vectors, 4 + 10);
  SupportCall(PetscOptionsSetValue(NULL, "-test_newton_ksp_type", "bcgs"));
  SupportCall(CordsNewtonConfigure(&defaults));
  SupportCall(CordsNewtonVectors(&defaults, &vectors));
  assert_true(vectors > 0);
  SupportCall(PetscOptionsClearValue(NULL, "-test_newton_snes_max_it"));
  SupportCall(PetscOptionsClearValue(NULL, "-test_newton_snes_rtol"));
  SupportCall(PetscOptionsClearValue(NULL, "-test_newton_ksp_gmres_restart"));
  SupportCall(PetscOptionsClearValue(NULL, "-test_newton_ksp_type"));
}

static double PeakBytes(void)
{
  struct rusage usage;

  assert_int_equal(getrusage(RUSAGE_SELF, &usage), 0);
  return 1024.0 * (double)usage.ru_maxrss;
}

/* Eigenvalues far apart, so that GMRES fills its basis: the process grows by what was said. */
static void TestMemory(void **state)
{
  SNESConvergedReason reason;
  double norm, grown, said;
  PetscInt vectors;
  SNES snes;

  size = LARGE;
  stretch = 30;
  SupportCall(CordsNewtonVectors(&defaults, &vectors));
  said = 8.0 * size * vectors;
  SupportCall(CordsNewtonCreate(PETSC_COMM_SELF, &defaults, &snes));
  SupportCall(SNESSetTolerances(snes, 1e-6, 0, 0, defaults.iterations, defaults.evaluations));
  grown = -PeakBytes();
  Solve(snes, &reason, &norm);
  grown += PeakBytes() - 8.0 * size; /* slope */
  assert_true(reason > 0);
  assert_true(grown <= 1.02 * said);
  assert_true(grown >= 0.8 * said);
  SupportCall(SNESDestroy(&snes));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(TestSolve),
    cmocka_unit_test(TestOptions),
    cmocka_unit_test(TestMemory),
};

SUPPORT_MAIN(tests)
