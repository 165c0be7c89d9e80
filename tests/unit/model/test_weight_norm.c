/* Weight normalisation: rows of length g, and its adjoint against central differences. */
#include "model/weight_norm.h"
#include "support/networks.h"

enum { ROWS = 4, COLUMNS = 7, COUNT = ROWS * COLUMNS };

static double Product(const float *g, const float *v, const double *c)
{
  double w[COUNT];

  CordsWeightNormForward(ROWS, COLUMNS, g, v, CORDS_F64, w);
  return NetworkDot(CORDS_F64, COUNT, w, c);
}

static void TestForward(void **state)
{
  float g[ROWS] = {1, -2, 0, 0.5F}, v[COUNT], w32[COUNT];
  double w[COUNT];

  SupportFillF32(1, COUNT, v);
  CordsWeightNormForward(ROWS, COLUMNS, g, v, CORDS_F64, w);
  CordsWeightNormForward(ROWS, COLUMNS, g, v, CORDS_F32, w32);
  for (int o = 0; o < ROWS; o++) {
    double norm = sqrt(NetworkDot(CORDS_F64, COLUMNS, w + o * COLUMNS, w + o * COLUMNS));
    double ratio = w[o * COLUMNS + 1] * (double)v[o * COLUMNS], same = w[o * COLUMNS] * (double)v[o * COLUMNS + 1];
    assert_true(fabs(norm - fabs((double)g[o])) < 1e-14);
    assert_true(fabs(ratio - same) < 1e-14);
    assert_true(w[o * COLUMNS] * (double)v[o * COLUMNS] * (double)g[o] >= 0);
  }
  for (int k = 0; k < COUNT; k++) assert_true(fabs((double)w32[k] - w[k]) < 2e-7);
}

static void TestAdjoint(void **state)
{
  float g[ROWS] = {1, -2, 0.3F, 0.5F}, v[COUNT], dg[ROWS] = {1, 1, 1, 1}, dv[COUNT];
  float dg32[ROWS] = {0}, dv32[COUNT] = {0}, c32[COUNT];
  double c[COUNT];

  SupportFillF32(1, COUNT, v);
  SupportFillF64(2, COUNT, c);
  for (int k = 0; k < COUNT; k++) dv[k] = 1, c32[k] = (float)c[k];
  CordsWeightNormAdjoint(ROWS, COLUMNS, g, v, CORDS_F64, c, dg, dv); /* adds */
  CordsWeightNormAdjoint(ROWS, COLUMNS, g, v, CORDS_F32, c32, dg32, dv32);
  for (int k = 0; k < ROWS + COUNT; k++) {
    float *place = k < ROWS ? &g[k] : &v[k - ROWS], saved = *place;
    double derivative = (double)(k < ROWS ? dg[k] : dv[k - ROWS]) - 1, high, low, difference;
    *place = saved + 1e-3F;
    difference = (double)*place;
    high = Product(g, v, c);
    *place = saved - 1e-3F;
    difference -= (double)*place;
    low = Product(g, v, c);
    *place = saved;
    NetworkClose("adjoint", (high - low) / difference, derivative, 1, 1e-5);
    NetworkClose("adjoint in float32", (double)(k < ROWS ? dg32[k] : dv32[k - ROWS]), derivative, 1, 1e-6);
  }
}

static const struct CMUnitTest tests[] = {cmocka_unit_test(TestForward), cmocka_unit_test(TestAdjoint)};
SUPPORT_MAIN(tests)
