/* Plain loops in any type: the definition that the other backends are compared with. */
#include "conv/backend.h"

#include <string.h>

typedef struct {
  CordsConvShape shape;
  CordsType type;
  void *weights; /* [out][in][row][column], bf16 ones rounded but kept as floats */
  size_t weight_count;
} Data;

static PetscBool Supports(const CordsConvShape *shape, CordsType type)
{
  return PETSC_TRUE;
}

static PetscErrorCode Create(const CordsConvShape *shape, CordsType type, void **data)
{
  Data *d;

  PetscFunctionBegin;
  PetscCall(PetscNew(&d));
  d->shape = *shape;
  d->type = type;
  d->weight_count = (size_t)shape->out_channels * shape->in_channels * shape->kernel_rows * shape->kernel_columns;
  PetscCall(PetscCalloc(d->weight_count * CordsTypeSize(CordsTypeMaster(type)), &d->weights));
  *data = d;
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode Destroy(void *data)
{
  PetscFunctionBegin;
  PetscCall(PetscFree(((Data *)data)->weights));
  PetscCall(PetscFree(data));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode Pack(void *data, const void *weights)
{
  Data *d = data;

  memcpy(d->weights, weights, d->weight_count * CordsTypeSize(CordsTypeMaster(d->type)));
  if (d->type == CORDS_BF16) {
    float *w = d->weights;
    for (size_t k = 0; k < d->weight_count; k++) w[k] = CordsFromBf16(CordsToBf16(w[k]));
  }
  return PETSC_SUCCESS;
}

/* Every product w · x · y of the trilinear form ⟨y, W x⟩ once; `body` says what is done with the three places. */
#define FOR_EACH_PRODUCT(s, n, body)                                                                                   \
  for (PetscInt image = 0; image < (n); image++)                                                                       \
    for (PetscInt i = 0; i < (s)->out_rows; i++)                                                                       \
      for (PetscInt j = 0; j < (s)->out_columns; j++)                                                                  \
        for (PetscInt a = 0; a < (s)->kernel_rows; a++)                                                                \
          for (PetscInt b = 0; b < (s)->kernel_columns; b++) {                                                         \
            PetscInt row = i * (s)->stride + a - (s)->pad_top, column = j * (s)->stride + b - (s)->pad_left;           \
            if (row < 0 || row >= (s)->in_rows || column < 0 || column >= (s)->in_columns) continue;                   \
            for (PetscInt o = 0; o < (s)->out_channels; o++)                                                           \
              for (PetscInt c = 0; c < (s)->in_channels; c++) {                                                        \
                size_t at_w = (((size_t)o * (s)->in_channels + c) * (s)->kernel_rows + a) * (s)->kernel_columns + b;   \
                size_t at_x =                                                                                          \
                    (((size_t)image * (s)->in_rows + row) * (s)->in_columns + column) * (s)->in_channels + c;          \
                size_t at_y = (((size_t)image * (s)->out_rows + i) * (s)->out_columns + j) * (s)->out_channels + o;    \
                body;                                                                                                  \
              }                                                                                                        \
          }

#define DEFINE_LOOPS(T, suffix)                                                                                        \
  static void Forward##suffix(const CordsConvShape *s, PetscInt n, const T *w, const T *x, T *y)                       \
  {                                                                                                                    \
    FOR_EACH_PRODUCT(s, n, y[at_y] += w[at_w] * x[at_x])                                                               \
  }                                                                                                                    \
  static void BackwardData##suffix(const CordsConvShape *s, PetscInt n, const T *w, const T *y, T *x)                  \
  {                                                                                                                    \
    FOR_EACH_PRODUCT(s, n, x[at_x] += w[at_w] * y[at_y])                                                               \
  }                                                                                                                    \
  static void BackwardWeights##suffix(const CordsConvShape *s, PetscInt n, const T *x, const T *y, T *w)               \
  {                                                                                                                    \
    FOR_EACH_PRODUCT(s, n,                                                                                             \
                     w[(((size_t)a * s->kernel_columns + b) * s->in_channels + c) * s->out_channels + o] +=            \
                     x[at_x] * y[at_y];                                                                                \
                     (void)at_w)                                                                                       \
  }

DEFINE_LOOPS(float, F32)
DEFINE_LOOPS(double, F64)

static size_t CountIn(const CordsConvShape *s, PetscInt n)
{
  return (size_t)n * s->in_rows * s->in_columns * s->in_channels;
}

static size_t CountOut(const CordsConvShape *s, PetscInt n)
{
  return (size_t)n * s->out_rows * s->out_columns * s->out_channels;
}

/* bf16 images are widened to floats, which hold products and sums of them far more exactly. */
static PetscErrorCode Widen(size_t count, const uint16_t *x, float **wide)
{
  PetscFunctionBegin;
  PetscCall(PetscMalloc1(count, wide));
  for (size_t k = 0; k < count; k++) (*wide)[k] = CordsFromBf16(x[k]);
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode Narrow(size_t count, float **wide, uint16_t *x)
{
  PetscFunctionBegin;
  for (size_t k = 0; k < count; k++) x[k] = CordsToBf16((*wide)[k]);
  PetscCall(PetscFree(*wide));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode Forward(void *data, PetscInt n, const void *x, const void *start, PetscInt period, void *y)
{
  Data *d = data;
  const CordsConvShape *s = &d->shape;
  float *wide_x, *wide_y;

  PetscFunctionBegin;
  CordsConvFill(s, d->type, n, start, period, y);
  if (d->type == CORDS_F64) {
    ForwardF64(s, n, d->weights, x, y);
  } else if (d->type == CORDS_F32) {
    ForwardF32(s, n, d->weights, x, y);
  } else {
    PetscCall(Widen(CountIn(s, n), x, &wide_x));
    PetscCall(Widen(CountOut(s, n), y, &wide_y));
    ForwardF32(s, n, d->weights, wide_x, wide_y);
    PetscCall(Narrow(CountOut(s, n), &wide_y, y));
    PetscCall(PetscFree(wide_x));
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode BackwardData(void *data, PetscInt n, const void *dy, void *dx, PetscBool accumulate)
{
  Data *d = data;
  const CordsConvShape *s = &d->shape;
  float *wide_x, *wide_y;

  PetscFunctionBegin;
  if (!accumulate) memset(dx, 0, CountIn(s, n) * CordsTypeSize(d->type));
  if (d->type == CORDS_F64) {
    BackwardDataF64(s, n, d->weights, dy, dx);
  } else if (d->type == CORDS_F32) {
    BackwardDataF32(s, n, d->weights, dy, dx);
  } else {
    PetscCall(Widen(CountIn(s, n), dx, &wide_x));
    PetscCall(Widen(CountOut(s, n), dy, &wide_y));
    BackwardDataF32(s, n, d->weights, wide_y, wide_x);
    PetscCall(Narrow(CountIn(s, n), &wide_x, dx));
    PetscCall(PetscFree(wide_y));
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode BackwardWeights(void *data, PetscInt n, const void *x, const void *dy, void *dw)
{
  Data *d = data;
  const CordsConvShape *s = &d->shape;
  float *wide_x, *wide_y;

  PetscFunctionBegin;
  if (d->type == CORDS_F64) {
    BackwardWeightsF64(s, n, x, dy, dw);
  } else if (d->type == CORDS_F32) {
    BackwardWeightsF32(s, n, x, dy, dw);
  } else {
    PetscCall(Widen(CountIn(s, n), x, &wide_x));
    PetscCall(Widen(CountOut(s, n), dy, &wide_y));
    BackwardWeightsF32(s, n, wide_x, wide_y, dw);
    PetscCall(PetscFree(wide_x));
    PetscCall(PetscFree(wide_y));
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

const CordsConvBackendType cords_conv_backend_reference = {.name = "reference",
                                                           .about = "plain loops, f32, bf16 and f64: the definition",
                                                           .lean = PETSC_TRUE,
                                                           .supports = Supports,
                                                           .create = Create,
                                                           .destroy = Destroy,
                                                           .pack = Pack,
                                                           .forward = Forward,
                                                           .backward_data = BackwardData,
                                                           .backward_weights = BackwardWeights};
