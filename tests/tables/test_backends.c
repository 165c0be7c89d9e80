/* Every line of conv/backends.def against the reference backend, and the adjoint identities of each:
   ⟨y, W x⟩ = ⟨Wᵀ y, x⟩ = ⟨∂/∂W, W⟩. */
#include "support/support.h"

#include "conv/conv.h"

#include <math.h>
#include <stdio.h>

typedef struct {
  PetscInt rows, columns, in, out, kernel, stride, images;
} Case;

static const Case cases[] = {{9, 7, 3, 5, 3, 1, 2},    {8, 11, 4, 6, 3, 2, 3},   {14, 14, 16, 32, 3, 2, 4},
                             {28, 28, 1, 16, 5, 1, 2}, {15, 9, 2, 3, 7, 2, 1},   {6, 6, 8, 16, 1, 2, 2},
                             {1, 1, 20, 10, 1, 1, 5},  {14, 14, 32, 32, 3, 1, 3}};

static double Dot(CordsType type, size_t n, const void *a, const void *b)
{
  double sum = 0;

  for (size_t k = 0; k < n; k++) {
    if (type == CORDS_F64)
      sum += ((const double *)a)[k] * ((const double *)b)[k];
    else
      sum += (double)((const float *)a)[k] * (double)((const float *)b)[k];
  }
  return sum;
}

static CordsArray RandomArray(CordsType type, size_t n, uint64_t stream)
{
  CordsArray a;

  SupportCall(CordsArrayCreate(type, 1, (PetscInt)n, &a));
  if (type == CORDS_F64)
    SupportFillF64(stream, (PetscInt64)n, a.data);
  else
    SupportFillF32(stream, (PetscInt64)n, a.data);
  return a;
}

static void Compare(const char *what, CordsType type, size_t n, const void *a, const void *b)
{
  if (type == CORDS_F64)
    SupportCompareF64(what, (PetscInt64)n, a, b, 1e-13);
  else
    SupportCompareF32(what, (PetscInt64)n, a, b, 3e-6);
}

static void CheckCase(const char *backend, CordsType type, const Case *c)
{
  CordsConvShape shape = CordsConvShapeSame(c->rows, c->columns, c->in, c->out, c->kernel, c->stride);
  size_t nx = (size_t)c->images * c->rows * c->columns * c->in;
  size_t ny = (size_t)c->images * shape.out_rows * shape.out_columns * c->out;
  size_t nw = (size_t)c->in * c->out * c->kernel * c->kernel;
  CordsArray x = RandomArray(type, nx, 1), dy = RandomArray(type, ny, 2), w = RandomArray(type, nw, 3);
  const char *names[2] = {backend, "reference"};
  CordsArray y[2], dx[2], dw[2];
  double forward, tolerance = type == CORDS_F64 ? 1e-12 : 1e-5, scale;
  char what[96];

  for (int k = 0; k < 2; k++) {
    CordsConv conv;
    /* start from the same numbers, so that accumulation is seen too */
    y[k] = RandomArray(type, ny, 4);
    dx[k] = RandomArray(type, nx, 5);
    dw[k] = RandomArray(type, nw, 6);
    SupportCall(CordsConvCreate(&shape, type, names[k], &conv));
    SupportCall(CordsConvSetWeights(conv, w.data));
    SupportCall(CordsConvForward(conv, c->images, x.data, y[k].data, PETSC_TRUE));
    SupportCall(CordsConvBackwardData(conv, c->images, dy.data, dx[k].data, PETSC_TRUE));
    SupportCall(CordsConvBackwardWeights(conv, c->images, x.data, dy.data, dw[k].data));
    if (k == 0) { /* adjoint identities without accumulation */
      CordsArray y0 = RandomArray(type, ny, 4), dx0 = RandomArray(type, nx, 5), dw0;
      SupportCall(CordsArrayCreate(type, 1, (PetscInt)nw, &dw0));
      SupportCall(CordsConvForward(conv, c->images, x.data, y0.data, PETSC_FALSE));
      SupportCall(CordsConvBackwardData(conv, c->images, dy.data, dx0.data, PETSC_FALSE));
      SupportCall(CordsConvBackwardWeights(conv, c->images, x.data, dy.data, dw0.data));
      forward = Dot(type, ny, dy.data, y0.data);
      scale = sqrt(Dot(type, ny, dy.data, dy.data) * Dot(type, ny, y0.data, y0.data));
      assert_true(fabs(forward - Dot(type, nx, dx0.data, x.data)) <= tolerance * scale);
      assert_true(fabs(forward - Dot(type, nw, dw0.data, w.data)) <= tolerance * scale);
      SupportCall(CordsArrayDestroy(&y0));
      SupportCall(CordsArrayDestroy(&dx0));
      SupportCall(CordsArrayDestroy(&dw0));
    }
    SupportCall(CordsConvDestroy(&conv));
  }
  snprintf(what, sizeof what, "%s %s kernel %d stride %d", backend, type == CORDS_F64 ? "f64" : "f32", (int)c->kernel,
           (int)c->stride);
  Compare(what, type, ny, y[0].data, y[1].data);
  Compare(what, type, nx, dx[0].data, dx[1].data);
  Compare(what, type, nw, dw[0].data, dw[1].data);
  for (int k = 0; k < 2; k++) {
    SupportCall(CordsArrayDestroy(&y[k]));
    SupportCall(CordsArrayDestroy(&dx[k]));
    SupportCall(CordsArrayDestroy(&dw[k]));
  }
  SupportCall(CordsArrayDestroy(&x));
  SupportCall(CordsArrayDestroy(&dy));
  SupportCall(CordsArrayDestroy(&w));
}

static void test_every_backend_agrees_with_the_reference(void **state)
{
  const char *const *names;
  PetscInt count, tried = 0;

  SupportCall(CordsConvBackendList(&count, &names, NULL));
  assert_string_equal(names[count - 1], "reference");
  for (PetscInt i = 0; i < count; i++) {
    for (CordsType type = CORDS_F32; type <= CORDS_F64; type++) {
      if (strcmp(names[i], "onednn") == 0 && type == CORDS_F64) continue; /* refused, see the next test */
      for (size_t k = 0; k < PETSC_STATIC_ARRAY_LENGTH(cases); k++, tried++) CheckCase(names[i], type, &cases[k]);
    }
  }
  assert_true(tried >= 16);
}

static void test_unsupported_and_unknown_backends_are_refused(void **state)
{
  CordsConvShape shape = CordsConvShapeSame(4, 4, 1, 1, 3, 1);
  CordsConv conv = NULL;

  assert_non_null(strstr(SupportExpectUserError(CordsConvCreate(&shape, CORDS_F64, "onednn", &conv)), "onednn"));
  assert_non_null(
      strstr(SupportExpectUserError(CordsConvCreate(&shape, CORDS_F32, "gem", &conv)), "did you mean 'gemm'"));
}

static const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_backend_agrees_with_the_reference),
                                          cmocka_unit_test(test_unsupported_and_unknown_backends_are_refused)};
SUPPORT_MAIN(tests)
