/* Convolution as one matrix product per image: the windows of an image are gathered into a matrix
   [pixel][row, column, channel] (im2col) and multiplied with the weights [row, column, channel][out] by BLAS.

   f64 runs here; f32 too where oneDNN is not wanted.  The gathered matrix is kernel² times the image and stays in the
   cache for the areas' sizes; one image at a time keeps it small.  Chellapilla, Puri, Simard, "High performance
   convolutional neural networks for document processing", 2006. */
#include "conv/backend.h"

#include <petscblaslapack.h>
#include <string.h>

typedef struct {
  CordsConvShape shape;
  CordsType type;
  size_t pixels, window, out; /* M, K, N of the matrix product */
  void *weights;              /* [window][out] */
  void *columns;              /* [pixel][window] */
  void *product;              /* [window][out], for weight gradients */
} Data;

/* Fortran names of the single-precision BLAS, which PETSc's real-double headers do not declare. */
extern void sgemm_(const char *, const char *, const PetscBLASInt *, const PetscBLASInt *, const PetscBLASInt *,
                   const float *, const float *, const PetscBLASInt *, const float *, const PetscBLASInt *,
                   const float *, float *, const PetscBLASInt *);
extern void dgemm_(const char *, const char *, const PetscBLASInt *, const PetscBLASInt *, const PetscBLASInt *,
                   const double *, const double *, const PetscBLASInt *, const double *, const PetscBLASInt *,
                   const double *, double *, const PetscBLASInt *);

static PetscBool Supports(const CordsConvShape *shape, CordsType type)
{
  return (PetscBool)(type != CORDS_BF16);
}

static PetscErrorCode Create(const CordsConvShape *shape, CordsType type, void **data)
{
  Data *d;

  PetscFunctionBegin;
  PetscCall(PetscNew(&d));
  d->shape = *shape;
  d->type = type;
  d->pixels = (size_t)shape->out_rows * shape->out_columns;
  d->window = (size_t)shape->kernel_rows * shape->kernel_columns * shape->in_channels;
  d->out = (size_t)shape->out_channels;
  PetscCall(PetscMalloc(d->window * d->out * CordsTypeSize(type), &d->weights));
  PetscCall(PetscMalloc(d->window * d->out * CordsTypeSize(type), &d->product));
  PetscCall(PetscMalloc(d->pixels * d->window * CordsTypeSize(type), &d->columns));
  *data = d;
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode Destroy(void *data)
{
  Data *d = data;

  PetscFunctionBegin;
  PetscCall(PetscFree(d->weights));
  PetscCall(PetscFree(d->product));
  PetscCall(PetscFree(d->columns));
  PetscCall(PetscFree(d));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* C [m][n] (+)= op(A) op(B), all row-major; transposed operands are stored [k][m] or [n][k].  Column-major BLAS sees
   the transposes of all three, so the operands change places. */
static void RowMajorGemm(CordsType type, PetscBool transpose_a, PetscBool transpose_b, size_t m, size_t n, size_t k,
                         const void *a, const void *b, PetscBool accumulate, void *c)
{
  PetscBLASInt bm = (PetscBLASInt)m, bn = (PetscBLASInt)n, bk = (PetscBLASInt)k;
  PetscBLASInt lda = transpose_a ? bm : bk, ldb = transpose_b ? bk : bn;
  const char *ta = transpose_a ? "T" : "N", *tb = transpose_b ? "T" : "N";

  if (type == CORDS_F64) {
    double one = 1, beta = accumulate ? 1 : 0;
    dgemm_(tb, ta, &bn, &bm, &bk, &one, b, &ldb, a, &lda, &beta, c, &bn);
  } else {
    float one = 1, beta = accumulate ? 1 : 0;
    sgemm_(tb, ta, &bn, &bm, &bk, &one, b, &ldb, a, &lda, &beta, c, &bn);
  }
}

/* Walk over the windows of one image; each (pixel, kernel place) is a run of in_channels numbers at `inside` in the
   image, or outside of it (NULL). */
typedef void (*RunVisitor)(char *column, char *inside, size_t numbers, CordsType type);

static void VisitWindows(const Data *d, char *image, char *columns, RunVisitor visit)
{
  const CordsConvShape *s = &d->shape;
  size_t run = (size_t)s->in_channels * CordsTypeSize(d->type);

  for (PetscInt i = 0; i < s->out_rows; i++) {
    for (PetscInt j = 0; j < s->out_columns; j++) {
      for (PetscInt a = 0; a < s->kernel_rows; a++) {
        for (PetscInt b = 0; b < s->kernel_columns; b++, columns += run) {
          PetscInt row = i * s->stride + a - s->pad_top, column = j * s->stride + b - s->pad_left;
          PetscBool inside = (PetscBool)(row >= 0 && row < s->in_rows && column >= 0 && column < s->in_columns);
          visit(columns, inside ? image + ((size_t)row * s->in_columns + column) * run : NULL, (size_t)s->in_channels,
                d->type);
        }
      }
    }
  }
}

static void Gather(char *column, char *inside, size_t numbers, CordsType type)
{
  if (inside)
    memcpy(column, inside, numbers * CordsTypeSize(type));
  else
    memset(column, 0, numbers * CordsTypeSize(type));
}

static void ScatterAdd(char *column, char *inside, size_t numbers, CordsType type)
{
  if (!inside) return;
  if (type == CORDS_F64) {
    for (size_t k = 0; k < numbers; k++) ((double *)inside)[k] += ((const double *)column)[k];
  } else {
    for (size_t k = 0; k < numbers; k++) ((float *)inside)[k] += ((const float *)column)[k];
  }
}

/* [out][in][row][column] as [row, column, in][out] */
static void Transpose(const Data *d, const void *oihw, void *window_out)
{
  const CordsConvShape *s = &d->shape;

  for (size_t o = 0; o < d->out; o++) {
    for (PetscInt c = 0; c < s->in_channels; c++) {
      for (PetscInt k = 0; k < s->kernel_rows * s->kernel_columns; k++) {
        size_t from = (o * s->in_channels + c) * s->kernel_rows * s->kernel_columns + k;
        size_t to = ((size_t)k * s->in_channels + c) * d->out + o;
        if (d->type == CORDS_F64)
          ((double *)window_out)[to] = ((const double *)oihw)[from];
        else
          ((float *)window_out)[to] = ((const float *)oihw)[from];
      }
    }
  }
}

static PetscErrorCode Pack(void *data, const void *weights)
{
  Data *d = data;

  Transpose(d, weights, d->weights);
  return PETSC_SUCCESS;
}

static size_t ImageBytesIn(const Data *d)
{
  return (size_t)d->shape.in_rows * d->shape.in_columns * d->shape.in_channels * CordsTypeSize(d->type);
}

static size_t ImageBytesOut(const Data *d)
{
  return d->pixels * d->out * CordsTypeSize(d->type);
}

static PetscErrorCode Forward(void *data, PetscInt n, const void *x, const void *start, PetscInt period, void *y)
{
  Data *d = data;

  CordsConvFill(&d->shape, d->type, n, start, period, y);
  for (PetscInt image = 0; image < n; image++) {
    VisitWindows(d, (char *)x + image * ImageBytesIn(d), d->columns, Gather);
    RowMajorGemm(d->type, PETSC_FALSE, PETSC_FALSE, d->pixels, d->out, d->window, d->columns, d->weights, start != NULL,
                 (char *)y + image * ImageBytesOut(d));
  }
  return PETSC_SUCCESS;
}

static PetscErrorCode BackwardData(void *data, PetscInt n, const void *dy, void *dx, PetscBool accumulate)
{
  Data *d = data;

  if (!accumulate) memset(dx, 0, (size_t)n * ImageBytesIn(d));
  for (PetscInt image = 0; image < n; image++) {
    RowMajorGemm(d->type, PETSC_FALSE, PETSC_TRUE, d->pixels, d->window, d->out,
                 (const char *)dy + image * ImageBytesOut(d), d->weights, PETSC_FALSE, d->columns);
    VisitWindows(d, (char *)dx + image * ImageBytesIn(d), d->columns, ScatterAdd);
  }
  return PETSC_SUCCESS;
}

static PetscErrorCode BackwardWeights(void *data, PetscInt n, const void *x, const void *dy, void *dw)
{
  Data *d = data;

  for (PetscInt image = 0; image < n; image++) {
    VisitWindows(d, (char *)x + image * ImageBytesIn(d), d->columns, Gather);
    RowMajorGemm(d->type, PETSC_TRUE, PETSC_FALSE, d->window, d->out, d->pixels, d->columns,
                 (const char *)dy + image * ImageBytesOut(d), (PetscBool)(image > 0), d->product);
  }
  for (size_t k = 0; k < d->window * d->out; k++) {
    if (d->type == CORDS_F64)
      ((double *)dw)[k] += ((const double *)d->product)[k];
    else
      ((float *)dw)[k] += ((const float *)d->product)[k];
  }
  return PETSC_SUCCESS;
}

const CordsConvBackendType cords_conv_backend_gemm = {.name = "gemm",
                                                      .about = "gathered windows times weights by BLAS, f32 and f64",
                                                      .lean = PETSC_TRUE,
                                                      .supports = Supports,
                                                      .create = Create,
                                                      .destroy = Destroy,
                                                      .pack = Pack,
                                                      .forward = Forward,
                                                      .backward_data = BackwardData,
                                                      .backward_weights = BackwardWeights};
