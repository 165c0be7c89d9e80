/* Elementwise operations in both types, lengths that are no multiple of a vector, zeros, aliases. */
#include "conv/pointwise.h"
#include "support/networks.h"

enum { COUNT = 1037 };

typedef struct {
  CordsType type;
  CordsArray x, w, y, y_before;
} Fixture;

static Fixture Start(CordsType type)
{
  Fixture f = {type, NetworkRandom(type, COUNT, 1), NetworkRandom(type, COUNT, 2), NetworkRandom(type, COUNT, 3),
               NetworkRandom(type, COUNT, 3)};

  NetworkSet(type, f.x.data, 3, 0);
  NetworkSet(type, f.x.data, COUNT - 1, 0);
  return f;
}

static void End(Fixture *f)
{
  CordsArray *all[] = {&f->x, &f->w, &f->y, &f->y_before};

  for (int k = 0; k < 4; k++) SupportCall(CordsArrayDestroy(all[k]));
}

static double X(const Fixture *f, size_t k)
{
  return NetworkGet(f->type, f->x.data, k);
}

static void Check(const Fixture *f, const char *what, size_t k, double expected)
{
  NetworkClose(what, NetworkGet(f->type, f->y.data, k), expected, 1, f->type == CORDS_F64 ? 1e-15 : 5e-7);
}

static void CheckType(CordsType type)
{
  Fixture f;
#define W NetworkGet(type, f.w.data, k)
#define BEFORE NetworkGet(type, f.y_before.data, k)
#define OPERATION(call, expected)                                                                                      \
  f = Start(type);                                                                                                     \
  call;                                                                                                                \
  for (size_t k = 0; k < COUNT; k++) Check(&f, #call, k, expected);                                                    \
  End(&f)

  OPERATION(CordsRelu(type, COUNT, f.x.data, f.y.data), fmax(X(&f, k), 0));
  OPERATION(CordsReluAdjoint(type, COUNT, f.x.data, f.w.data, f.y.data), X(&f, k) > 0 ? W : 0);
  OPERATION(CordsReluAdjointAdd(type, COUNT, f.x.data, f.w.data, f.y.data), BEFORE + (X(&f, k) > 0 ? W : 0));
  OPERATION(CordsAxpy(type, COUNT, -0.3, f.x.data, f.y.data), BEFORE - 0.3 * X(&f, k));
  OPERATION(CordsScale(type, COUNT, 1.7, f.y.data), 1.7 * BEFORE);
  OPERATION(CordsMultiply(type, COUNT, 1.5, f.x.data, f.w.data, f.y.data), 1.5 * X(&f, k) * W);
  OPERATION(CordsMultiply(type, COUNT, 1.5, f.y.data, f.w.data, f.y.data), 1.5 * BEFORE * W);
  /* the last number is not touched when the length excludes it */
  OPERATION(CordsRelu(type, COUNT - 1, f.x.data, f.y.data), k == COUNT - 1 ? BEFORE : fmax(X(&f, k), 0));
#undef OPERATION
#undef BEFORE
#undef W
}

/* Zeros of either sign are not negative; NaN is not known to be anything. */
static void CheckNonNegative(CordsType type)
{
  const double wrong[] = {-1e-30, NAN};
  CordsArray x = NetworkRandom(type, COUNT, 1);

  for (size_t k = 0; k < COUNT; k++) NetworkSet(type, x.data, k, fmax(NetworkGet(type, x.data, k), 0));
  NetworkSet(type, x.data, 5, -0.0);
  assert_true(CordsNonNegative(type, COUNT, x.data));
  for (int k = 0; k < 2; k++) {
    NetworkSet(type, x.data, COUNT - 1, wrong[k]);
    assert_false(CordsNonNegative(type, COUNT, x.data));
    assert_true(CordsNonNegative(type, COUNT - 1, x.data));
  }
  SupportCall(CordsArrayDestroy(&x));
}

/* Σ x², Σ w², Σ (x − w)² */
static void CheckSquares(CordsType type)
{
  enum { MANY = 1000 };
  CordsArray x = NetworkRandom(type, MANY, 1), w = NetworkRandom(type, MANY, 2);
  double sums[3], expected[3] = {0};

  for (size_t k = 0; k < MANY; k++) {
    const double a = NetworkGet(type, x.data, k), b = NetworkGet(type, w.data, k);
    expected[0] += a * a;
    expected[1] += b * b;
    expected[2] += (a - b) * (a - b);
  }
  CordsSquares(type, MANY, x.data, w.data, sums);
  for (int k = 0; k < 3; k++) NetworkClose("squares", sums[k], expected[k], expected[k], 1e-13);
  SupportCall(CordsArrayDestroy(&x));
  SupportCall(CordsArrayDestroy(&w));
}

static void TestOperations(void **state)
{
  CheckSquares(CORDS_F32);
  CheckSquares(CORDS_F64);
  CheckNonNegative(CORDS_F32);
  CheckNonNegative(CORDS_F64);
  CheckType(CORDS_F32);
  CheckType(CORDS_F64);
}

/* y[item] += x[item mod period], and its adjoint. */
static void CheckPeriodic(CordsType type, PetscInt items, PetscInt period, size_t n)
{
  CordsArray x = NetworkRandom(type, (size_t)period * n, 1), y = NetworkRandom(type, (size_t)items * n, 2);
  CordsArray y_before = NetworkRandom(type, (size_t)items * n, 2),
             x_before = NetworkRandom(type, (size_t)period * n, 1);
  double tolerance = type == CORDS_F64 ? 1e-14 : 2e-6;

  CordsAddPeriodic(type, items, period, n, x.data, y.data);
  for (size_t k = 0; k < (size_t)items * n; k++) {
    size_t from = (k / n % (size_t)period) * n + k % n;
    NetworkClose("add", NetworkGet(type, y.data, k),
                 NetworkGet(type, y_before.data, k) + NetworkGet(type, x.data, from), 1, tolerance);
  }
  CordsReluPeriodicSum(type, items, period, n, y_before.data, x.data, y.data);
  for (size_t k = 0; k < (size_t)items * n; k++) {
    size_t from = (k / n % (size_t)period) * n + k % n;
    NetworkClose("relu and sum", NetworkGet(type, y.data, k),
                 fmax(NetworkGet(type, y_before.data, k), 0) + NetworkGet(type, x.data, from), 1, tolerance);
  }
  CordsSumPeriodic(type, items, period, n, y_before.data, x.data);
  for (size_t k = 0; k < (size_t)period * n; k++) {
    double sum = NetworkGet(type, x_before.data, k);
    for (size_t item = k / n; item < (size_t)items; item += (size_t)period) {
      sum += NetworkGet(type, y_before.data, item * n + k % n);
    }
    NetworkClose("sum", NetworkGet(type, x.data, k), sum, 1, tolerance);
  }
  for (int k = 0; k < 4; k++) {
    CordsArray *all[] = {&x, &y, &y_before, &x_before};
    SupportCall(CordsArrayDestroy(all[k]));
  }
}

static void TestPeriodic(void **state)
{
  for (int type = CORDS_F32; type <= CORDS_F64; type++) {
    CheckPeriodic((CordsType)type, 6, 2, 37);
    CheckPeriodic((CordsType)type, 4, 1, 5);
    CheckPeriodic((CordsType)type, 3, 3, 1);
    CheckPeriodic((CordsType)type, 7, 3, 11); /* the last period is not complete */
  }
}

static const struct CMUnitTest tests[] = {cmocka_unit_test(TestOperations), cmocka_unit_test(TestPeriodic)};
SUPPORT_MAIN(tests)
