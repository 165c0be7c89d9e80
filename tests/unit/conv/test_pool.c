/* Average pooling and the mean of relu over pixels: against sums written out, and adjoints. */
#include "conv/pool.h"
#include "support/networks.h"

typedef struct {
  PetscInt rows, columns, channels, kernel, stride, images;
} Case;

static const Case cases[] = {{7, 5, 3, 3, 2, 2}, {8, 6, 1, 3, 2, 3}, {4, 9, 2, 5, 3, 1},
                             {3, 3, 4, 1, 1, 2}, {1, 1, 2, 3, 1, 2}, {6, 6, 5, 7, 2, 1}};

/* One output with the padding counted in the mean. */
static double Expected(CordsType type, const Case *c, const void *x, PetscInt n, PetscInt i, PetscInt j, PetscInt k)
{
  double sum = 0;

  for (PetscInt a = 0; a < c->kernel; a++) {
    for (PetscInt b = 0; b < c->kernel; b++) {
      PetscInt row = i * c->stride + a - c->kernel / 2, column = j * c->stride + b - c->kernel / 2;
      if (row < 0 || row >= c->rows || column < 0 || column >= c->columns) continue;
      sum += NetworkGet(type, x, (size_t)(((n * c->rows + row) * c->columns + column) * c->channels + k));
    }
  }
  return sum / (double)(c->kernel * c->kernel);
}

static void CheckCase(CordsType type, const Case *c)
{
  CordsConvShape shape = CordsConvShapeSame(c->rows, c->columns, c->channels, c->channels, c->kernel, c->stride);
  size_t nx = (size_t)(c->images * c->rows * c->columns * c->channels);
  size_t ny = (size_t)(c->images * shape.out_rows * shape.out_columns * c->channels);
  CordsArray x = NetworkRandom(type, nx, 1), y = NetworkRandom(type, ny, 2), d = NetworkRandom(type, ny, 3);
  CordsArray g = NetworkRandom(type, nx, 4), g_before = NetworkRandom(type, nx, 4);
  double tolerance = type == CORDS_F64 ? 1e-14 : 1e-6;
  size_t at = 0;

  SupportCall(CordsPoolForward(&shape, type, c->images, x.data, y.data));
  for (PetscInt n = 0; n < c->images; n++) {
    for (PetscInt i = 0; i < shape.out_rows; i++) {
      for (PetscInt j = 0; j < shape.out_columns; j++) {
        for (PetscInt k = 0; k < c->channels; k++) {
          NetworkClose("mean", NetworkGet(type, y.data, at++), Expected(type, c, x.data, n, i, j, k), 1, tolerance);
        }
      }
    }
  }
  SupportCall(CordsPoolAdjoint(&shape, type, c->images, d.data, g.data)); /* adds */
  NetworkClose("<P x, d> and <x, P' d>", NetworkDot(type, ny, y.data, d.data),
               NetworkDot(type, nx, x.data, g.data) - NetworkDot(type, nx, x.data, g_before.data), (double)nx,
               tolerance);
  for (int k = 0; k < 5; k++) {
    CordsArray *all[] = {&x, &y, &d, &g, &g_before};
    SupportCall(CordsArrayDestroy(all[k]));
  }
}

static void TestPool(void **state)
{
  for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
    CheckCase(CORDS_F32, &cases[k]);
    CheckCase(CORDS_F64, &cases[k]);
  }
}

static void CheckMeanRelu(CordsType type)
{
  enum { N = 3, PIXELS = 10, CHANNELS = 4, COUNT = N * PIXELS * CHANNELS };
  CordsArray x = NetworkRandom(type, COUNT, 1), d = NetworkRandom(type, N * CHANNELS, 2);
  CordsArray f = NetworkRandom(type, N * CHANNELS, 3), f_before = NetworkRandom(type, N * CHANNELS, 3);
  CordsArray g = NetworkRandom(type, COUNT, 4), g_before = NetworkRandom(type, COUNT, 4);
  double tolerance = type == CORDS_F64 ? 1e-15 : 1e-6;

  NetworkSet(type, x.data, 5, 0); /* relu'(0) = 0 */
  CordsMeanReluAdd(type, N, PIXELS, PIXELS, CHANNELS, x.data, f.data);
  CordsMeanReluAdjointAdd(type, N, PIXELS, PIXELS, CHANNELS, x.data, d.data, g.data);
  for (size_t n = 0; n < N; n++) {
    for (size_t c = 0; c < CHANNELS; c++) {
      double sum = 0;
      for (size_t p = 0; p < PIXELS; p++) {
        size_t at = (n * PIXELS + p) * CHANNELS + c;
        double value = NetworkGet(type, x.data, at);
        sum += fmax(value, 0);
        NetworkClose("adjoint", NetworkGet(type, g.data, at) - NetworkGet(type, g_before.data, at),
                     value > 0 ? NetworkGet(type, d.data, n * CHANNELS + c) / PIXELS : 0, 1, tolerance);
      }
      NetworkClose("mean of relu",
                   NetworkGet(type, f.data, n * CHANNELS + c) - NetworkGet(type, f_before.data, n * CHANNELS + c),
                   sum / PIXELS, 1, tolerance);
    }
  }
  for (int k = 0; k < 6; k++) {
    CordsArray *all[] = {&x, &d, &f, &f_before, &g, &g_before};
    SupportCall(CordsArrayDestroy(all[k]));
  }
}

static void TestMeanRelu(void **state)
{
  CheckMeanRelu(CORDS_F32);
  CheckMeanRelu(CORDS_F64);
}

static const struct CMUnitTest tests[] = {cmocka_unit_test(TestPool), cmocka_unit_test(TestMeanRelu)};
SUPPORT_MAIN(tests)
