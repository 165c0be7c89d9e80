/* The problem that the solvers see: residual, Jacobian by Taylor's theorem, adjoint identities, dense assembly. */
#include "dynamics/problem.h"
#include "support/tiny.h"

#include <math.h>

enum { AREAS = 3 };

static const char *const phis[] = {"relu", "tanh", "softplus", "identity"};

/* A problem with an image, and a state in general position whose rates keep away from the kinks of rho between areas.
 */
static CordsProblem Make(const char *phi, CordsModel *model, double **r)
{
  float image[TINY_IMAGE_ROWS * TINY_IMAGE_COLUMNS];
  CordsProblem problem;
  PetscInt n;

  *model = TinyModel(phi, 1);
  TinyImage(7, image);
  SupportCall(CordsProblemCreate(*model, &problem));
  SupportCall(CordsProblemSetImage(problem, image));
  n = CordsProblemSize(problem, CORDS_ALL_AREAS);
  *r = malloc((size_t)n * sizeof **r);
  SupportFillF64(11, n, *r);
  for (PetscInt k = 0; k < n; k++) (*r)[k] += (*r)[k] > 0 ? 0.1 : -0.1;
  return problem;
}

static void Free(CordsProblem *problem, CordsModel *model, double *r)
{
  free(r);
  SupportCall(CordsProblemDestroy(problem));
  SupportCall(CordsModelDestroy(model));
}

static double Norm(PetscInt n, const double *x)
{
  double sum = 0;

  for (PetscInt k = 0; k < n; k++) sum += x[k] * x[k];
  return sqrt(sum);
}

static double Dot(PetscInt n, const double *x, const double *y)
{
  double sum = 0;

  for (PetscInt k = 0; k < n; k++) sum += x[k] * y[k];
  return sum;
}

/* |R(r + h v) − R(r) − h J v| */
static double Remainder(CordsProblem problem, PetscInt area, const double *r, const double *v, double h)
{
  PetscInt n = CordsProblemSize(problem, area);
  double *moved = malloc((size_t)n * sizeof *moved), *f = malloc((size_t)n * sizeof *f);
  double *f_moved = malloc((size_t)n * sizeof *f_moved), *jv = malloc((size_t)n * sizeof *jv), result;

  for (PetscInt k = 0; k < n; k++) moved[k] = r[k] + h * v[k];
  SupportCall(CordsProblemResidual(problem, area, r, f));
  SupportCall(CordsProblemResidual(problem, area, moved, f_moved));
  SupportCall(CordsProblemLinearise(problem, area, r));
  SupportCall(CordsProblemTangent(problem, area, v, jv));
  for (PetscInt k = 0; k < n; k++) f[k] = f_moved[k] - f[k] - h * jv[k];
  result = Norm(n, f);
  free(moved), free(f), free(f_moved), free(jv);
  return result;
}

static void CheckTaylor(CordsProblem problem, PetscInt area, const double *r, PetscBool linear)
{
  PetscInt n = CordsProblemSize(problem, area);
  double *v = malloc((size_t)n * sizeof *v), large, small;

  SupportFillF64(13, n, v);
  large = Remainder(problem, area, r, v, 2e-3);
  small = Remainder(problem, area, r, v, 1e-3);
  if (linear) {
    /* piecewise linear: no remainder at all as long as no neuron changes sides */
    assert_true(Remainder(problem, area, r, v, 1e-7) < 1e-12);
  } else {
    if (!(large / small > 3.8 && large / small < 4.2)) print_error("remainders %g and %g\n", large, small);
    assert_true(large / small > 3.8 && large / small < 4.2);
    assert_true(small > 1e-12);
  }
  free(v);
}

static void Taylor(void **state)
{
  for (size_t k = 0; k < PETSC_STATIC_ARRAY_LENGTH(phis); k++) {
    PetscBool linear = (PetscBool)(!strcmp(phis[k], "relu") || !strcmp(phis[k], "identity"));
    CordsModel model;
    double *r;
    CordsProblem problem = Make(phis[k], &model, &r);
    for (PetscInt area = 0; area < AREAS; area++) {
      SupportCall(CordsProblemSetDrive(problem, area, r));
      CheckTaylor(problem, area, r + CordsProblemOffset(problem, area), linear);
    }
    CheckTaylor(problem, CORDS_ALL_AREAS, r, linear);
    Free(&problem, &model, r);
  }
}

/* ⟨J v, w⟩ = ⟨v, Jᵀ w⟩, by the functions and by MatMult and MatMultTranspose. */
static void Adjoint(void **state)
{
  CordsModel model;
  double *r;
  CordsProblem problem = Make("tanh", &model, &r);

  SupportCall(CordsProblemLinearise(problem, CORDS_ALL_AREAS, r));
  for (PetscInt area = CORDS_ALL_AREAS; area < AREAS; area++) {
    Mat jacobian;
    Vec v, w, jv, jtw;
    PetscScalar *values, forward, backward, *dense;
    PetscReal norm_v, norm_w;
    PetscInt n = CordsProblemSize(problem, area);

    SupportCall(CordsProblemJacobian(problem, area, &jacobian));
    SupportCall(MatCreateVecs(jacobian, &v, &w));
    SupportCall(VecDuplicate(v, &jv));
    SupportCall(VecDuplicate(v, &jtw));
    SupportCall(VecGetArray(v, &values));
    SupportFillF64(21, n, values);
    SupportCall(VecRestoreArray(v, &values));
    SupportCall(VecGetArray(w, &values));
    SupportFillF64(22, n, values);
    SupportCall(VecRestoreArray(w, &values));
    SupportCall(MatMult(jacobian, v, jv));
    SupportCall(MatMultTranspose(jacobian, w, jtw));
    SupportCall(VecDot(jv, w, &forward));
    SupportCall(VecDot(v, jtw, &backward));
    SupportCall(VecNorm(v, NORM_2, &norm_v));
    SupportCall(VecNorm(w, NORM_2, &norm_w));
    assert_true(fabs(forward - backward) <= 1e-12 * norm_v * norm_w);
    assert_true(fabs(forward) > 1e-3);

    /* dense assembly is the same operator */
    dense = malloc((size_t)(n * n) * sizeof *dense);
    SupportCall(CordsProblemDense(problem, area, dense));
    SupportCall(VecGetArray(v, &values));
    SupportCall(VecZeroEntries(w));
    for (PetscInt k = 0; k < n; k++) {
      PetscScalar *product;
      SupportCall(VecGetArray(w, &product));
      for (PetscInt i = 0; i < n; i++) product[i] += dense[k * n + i] * values[k];
      SupportCall(VecRestoreArray(w, &product));
    }
    SupportCall(VecRestoreArray(v, &values));
    SupportCall(VecAXPY(w, -1, jv));
    SupportCall(VecNorm(w, NORM_2, &norm_w));
    assert_true(norm_w <= 1e-13 * norm_v * n);
    free(dense);
    SupportCall(VecDestroy(&v));
    SupportCall(VecDestroy(&w));
    SupportCall(VecDestroy(&jv));
    SupportCall(VecDestroy(&jtw));
    SupportCall(MatDestroy(&jacobian));
  }
  Free(&problem, &model, r);
}

/* Areas feed forward: the whole Jacobian is block lower triangular, and its diagonal blocks are those of the areas. */
static void BlockStructure(void **state)
{
  CordsModel model;
  double *r, *whole, above = 0, below = 0;
  CordsProblem problem = Make("tanh", &model, &r);
  PetscInt n = CordsProblemSize(problem, CORDS_ALL_AREAS);

  SupportCall(CordsProblemLinearise(problem, CORDS_ALL_AREAS, r));
  whole = malloc((size_t)(n * n) * sizeof *whole);
  SupportCall(CordsProblemDense(problem, CORDS_ALL_AREAS, whole));
  for (PetscInt area = 0; area < AREAS; area++) {
    PetscInt size = CordsProblemSize(problem, area), first = CordsProblemOffset(problem, area);
    double *block = malloc((size_t)(size * size) * sizeof *block);
    /* one area alone: with its input held fixed */
    SupportCall(CordsProblemSetDrive(problem, area, r));
    SupportCall(CordsProblemLinearise(problem, area, r + first));
    SupportCall(CordsProblemDense(problem, area, block));
    for (PetscInt k = 0; k < size; k++) {
      const double *column = whole + (first + k) * n;
      SupportCompareF64("diagonal block", size, block + k * size, column + first, 1e-13);
      for (PetscInt i = 0; i < first; i++) above += fabs(column[i]);
      for (PetscInt i = first + size; i < n; i++) below += fabs(column[i]);
    }
    free(block);
  }
  assert_true(above == 0);
  assert_true(below > 1);
  free(whole);
  Free(&problem, &model, r);
}

/* The residual of all areas together is the residual of each, scaled by τ/τ_i. */
static void ResidualOfAreas(void **state)
{
  static const double rates[AREAS] = {1, 0.5, 2}; /* tau: 10, 20, 5 ms */
  CordsModel model;
  double *r, *whole, *part, *unscaled;
  CordsProblem problem = Make("relu", &model, &r);
  PetscInt n = CordsProblemSize(problem, CORDS_ALL_AREAS);
  float image[TINY_IMAGE_ROWS * TINY_IMAGE_COLUMNS];
  CordsInput input;

  TinyImage(7, image);
  whole = malloc((size_t)n * sizeof *whole);
  part = malloc((size_t)n * sizeof *part);
  unscaled = malloc((size_t)n * sizeof *unscaled);
  SupportCall(CordsProblemResidual(problem, CORDS_ALL_AREAS, r, whole));
  SupportCall(CordsInputCreate(CordsProblemSystem(problem), 1, &input));
  SupportCall(CordsInputSet(input, image));
  SupportCall(CordsSystemRhs(CordsProblemSystem(problem), input, r, unscaled));
  for (PetscInt area = 0; area < AREAS; area++) {
    PetscInt first = CordsProblemOffset(problem, area), size = CordsProblemSize(problem, area);
    SupportCall(CordsProblemSetDrive(problem, area, r));
    SupportCall(CordsProblemResidual(problem, area, r + first, part + first));
    for (PetscInt k = first; k < first + size; k++) unscaled[k] *= rates[area];
    assert_true(CordsProblemRate(problem, area) == rates[area]);
  }
  SupportCompareF64("areas and whole", n, part, whole, 1e-13);
  SupportCompareF64("scaled by the rates", n, unscaled, whole, 1e-13);
  SupportCall(CordsInputDestroy(&input));
  free(whole), free(part), free(unscaled);
  Free(&problem, &model, r);
}

/* Its definition at three states: rest with and without drive, and far away. */
static void ResidualNorm(void **state)
{
  CordsModel model;
  double *r;
  CordsProblem problem = Make("relu", &model, &r);
  PetscInt n = CordsProblemSize(problem, CORDS_ALL_AREAS);
  PetscReal norm;

  SupportCall(PetscArrayzero(r, n));
  SupportCall(CordsProblemResidualNorm(problem, CORDS_ALL_AREAS, r, &norm));
  assert_true(norm == 1);
  for (PetscInt k = 0; k < n; k++) r[k] = 1e9 * SupportRandom(31, (uint32_t)k);
  SupportCall(CordsProblemResidualNorm(problem, CORDS_ALL_AREAS, r, &norm));
  assert_true(norm > 0.1 && norm <= 2);
  /* no drive at all: F(0) = 0 exactly */
  for (PetscInt i = 0; i < AREAS; i++) {
    char name[32];
    snprintf(name, sizeof name, "conv_bias.%d", (int)i);
    SupportCall(PetscArrayzero(CordsModelValues(model, name), CordsProblemSize(problem, i)));
  }
  SupportCall(CordsSystemUpdate(CordsProblemSystem(problem)));
  SupportCall(CordsProblemSetImage(problem, NULL));
  SupportCall(PetscArrayzero(r, n));
  SupportCall(CordsProblemResidualNorm(problem, CORDS_ALL_AREAS, r, &norm));
  assert_true(norm == 0);
  Free(&problem, &model, r);
}

/* Ten steps as the network itself takes them. */
static void Euler(void **state)
{
  CordsModel model;
  double *r, *expected, *u, *z, *next;
  CordsProblem problem = Make("relu", &model, &r);
  CordsSystem system = CordsProblemSystem(problem);
  PetscInt n = CordsProblemSize(problem, CORDS_ALL_AREAS);
  float image[TINY_IMAGE_ROWS * TINY_IMAGE_COLUMNS];
  CordsInput input;

  TinyImage(7, image);
  SupportCall(CordsInputCreate(system, 1, &input));
  SupportCall(CordsInputSet(input, image));
  expected = malloc((size_t)n * sizeof *expected);
  next = malloc((size_t)n * sizeof *next);
  u = malloc((size_t)n * sizeof *u);
  z = malloc((size_t)n * sizeof *z);
  SupportCall(PetscArraycpy(expected, r, n));
  for (int step = 0; step < 10; step++) {
    for (PetscInt i = 0; i < AREAS; i++) {
      const double *below = i >= 1 ? expected + CordsProblemOffset(problem, i - 1) : NULL;
      const double *below2 = i >= 2 ? expected + CordsProblemOffset(problem, i - 2) : NULL;
      PetscInt at = CordsProblemOffset(problem, i);
      SupportCall(CordsSystemDrive(system, i, 1, CORDS_STATES_ANY, input, below, below2, u));
      SupportCall(CordsSystemSynapses(system, i, 1, expected + at, u));
      SupportCall(CordsSystemStep(system, i, 1, u, expected + at, next + at));
    }
    SupportCall(PetscArraycpy(expected, next, n));
  }
  SupportCall(CordsProblemEuler(problem, CORDS_ALL_AREAS, 10, r));
  SupportCompareF64("Euler", n, r, expected, 1e-13);
  SupportCall(CordsInputDestroy(&input));
  free(expected), free(next), free(u), free(z);
  Free(&problem, &model, r);
}

/* A network that runs away stays finite. */
static void EulerExplodes(void **state)
{
  CordsModel model = TinyModel("identity", 30);
  CordsProblem problem;
  double *r;
  PetscInt n;

  SupportCall(CordsProblemCreate(model, &problem));
  n = CordsProblemSize(problem, CORDS_ALL_AREAS);
  r = calloc((size_t)n, sizeof *r);
  SupportCall(CordsProblemEuler(problem, CORDS_ALL_AREAS, 100000, r));
  assert_true(Norm(n, r) > 1e11 && Norm(n, r) < 1e15);
  assert_true(Dot(n, r, r) < INFINITY);
  Free(&problem, &model, r);
}

static const struct CMUnitTest tests[] = {cmocka_unit_test(Taylor),         cmocka_unit_test(Adjoint),
                                          cmocka_unit_test(BlockStructure), cmocka_unit_test(ResidualOfAreas),
                                          cmocka_unit_test(ResidualNorm),   cmocka_unit_test(Euler),
                                          cmocka_unit_test(EulerExplodes)};
SUPPORT_MAIN(tests)
