/* What a float32 convolution of every line of conv/backends.def loses to rounding, against the reference in float64:
   less than a millionth in the 2-norm for forward, back to images and back to weights, with many channels too; states
   and gradients of two ways to compute them must agree to that.  Twice as much for the library, which adds many products
   one by one.  Prints what it finds. */
#include "support/support.h"

#include "conv/conv.h"
#include "conv/pointwise.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct {
  PetscInt side, in, out, stride, images;
} Case;

/* The areas of R8 with the fewest and with the most channels, and what leads to the latter. */
static const Case cases[] = {{24, 64, 64, 1, 4}, {7, 512, 512, 1, 8}, {14, 256, 512, 2, 8}};

/* y, dx, dw of one backend in one type, as float64 and dw as [row][column][in][out]. */
typedef struct {
  CordsArray of[CORDS_CONV_OPERATION_COUNT];
} Results;

/* Numbers of ±1/2, for rates of either sign and cut at zero: a mean that is not zero. */
static CordsArray Numbers(size_t n, uint64_t stream, PetscBool rates, double size)
{
  CordsArray a;

  SupportCall(CordsArrayCreate(CORDS_F64, 1, (PetscInt)n, &a));
  SupportFillF64(stream, (PetscInt64)n, a.data);
  for (size_t k = 0; k < n; k++) {
    double *number = (double *)a.data + k;
    *number = (double)(float)(rates ? fmax(*number, 0) : size * *number);
  }
  return a;
}

/* A copy in another type. */
static CordsArray As(CordsType type, const CordsArray *a)
{
  CordsArray copy;

  SupportCall(CordsArrayCreate(type, 1, a->elements, &copy));
  CordsConvert(a->type, type, (size_t)a->elements, a->data, copy.data);
  return copy;
}

static CordsArray Widened(CordsArray *a)
{
  CordsArray wide = As(CORDS_F64, a);

  SupportCall(CordsArrayDestroy(a));
  return wide;
}

static Results Run(const char *backend, CordsType type, const CordsConvShape *shape, PetscInt n, const CordsArray *x,
                   const CordsArray *dy, const CordsArray *w)
{
  CordsArray tx = As(type, x), tdy = As(type, dy), tw = As(type, w), y, dx, dw;
  CordsConv conv;

  SupportCall(CordsArrayCreate(type, 1, dy->elements, &y));
  SupportCall(CordsArrayCreate(type, 1, x->elements, &dx));
  SupportCall(CordsArrayCreate(type, 1, w->elements, &dw));
  SupportCall(CordsConvCreate(shape, type, backend, &conv));
  SupportCall(CordsConvSetWeights(conv, tw.data));
  SupportCall(CordsConvForward(conv, n, tx.data, y.data, PETSC_FALSE));
  SupportCall(CordsConvBackwardData(conv, n, tdy.data, dx.data, PETSC_FALSE));
  SupportCall(CordsConvBackwardWeights(conv, n, tx.data, tdy.data, dw.data));
  SupportCall(CordsConvDestroy(&conv));
  SupportCall(CordsArrayDestroy(&tx));
  SupportCall(CordsArrayDestroy(&tdy));
  SupportCall(CordsArrayDestroy(&tw));
  return (Results){{Widened(&y), Widened(&dx), Widened(&dw)}};
}

static void Destroy(Results *r)
{
  for (int k = 0; k < CORDS_CONV_OPERATION_COUNT; k++) SupportCall(CordsArrayDestroy(&r->of[k]));
}

static void CheckBackend(const char *backend, const CordsConvShape *shape, const Case *c, const CordsArray *x,
                         const CordsArray *dy, const CordsArray *w, const Results *exact)
{
  const double most = strcmp(backend, "onednn") ? 1e-6 : 2e-6;
  Results found = Run(backend, CORDS_F32, shape, c->images, x, dy, w);

  for (int k = 0; k < CORDS_CONV_OPERATION_COUNT; k++) {
    double sums[3], error;
    CordsSquares(CORDS_F64, (size_t)found.of[k].elements, exact->of[k].data, found.of[k].data, sums);
    error = sqrt(sums[2] / sums[0]);
    printf("%-10s %-16s %dx%d, %d to %d channels, stride %d: relative error %.2g\n", backend,
           CordsConvOperationNames[k], (int)c->side, (int)c->side, (int)c->in, (int)c->out, (int)c->stride, error);
    assert_true(error > 0 && error < most);
  }
  Destroy(&found);
}

static void test_rounding_loses_less_than_a_millionth(void **state)
{
  const char *const *names;
  PetscInt count, tried = 0;

  SupportCall(CordsConvBackendList(&count, &names, NULL));
  for (size_t k = 0; k < PETSC_STATIC_ARRAY_LENGTH(cases); k++) {
    const Case *c = &cases[k];
    const CordsConvShape shape = CordsConvShapeSame(c->side, c->side, c->in, c->out, 3, c->stride);
    const size_t in = (size_t)c->images * shape.in_rows * shape.in_columns * c->in;
    const size_t out = (size_t)c->images * shape.out_rows * shape.out_columns * c->out;
    CordsArray x = Numbers(in, 1, PETSC_TRUE, 1), dy = Numbers(out, 2, PETSC_FALSE, 1);
    CordsArray w = Numbers((size_t)c->in * c->out * 9, 3, PETSC_FALSE, 1 / sqrt(9.0 * c->in));
    Results exact = Run("direct", CORDS_F64, &shape, c->images, &x, &dy, &w);
    for (PetscInt i = 0; i < count - 1; i++) { /* the reference adds all products in one go and loses more */
      PetscBool supports;
      SupportCall(CordsConvBackendSupports(names[i], &shape, CORDS_F32, &supports, NULL));
      if (supports) CheckBackend(names[i], &shape, c, &x, &dy, &w, &exact), tried++;
    }
    Destroy(&exact);
    SupportCall(CordsArrayDestroy(&x));
    SupportCall(CordsArrayDestroy(&dy));
    SupportCall(CordsArrayDestroy(&w));
  }
  assert_true(tried >= 13);
}

static const struct CMUnitTest tests[] = {cmocka_unit_test(test_rounding_loses_less_than_a_millionth)};
SUPPORT_MAIN(tests)
