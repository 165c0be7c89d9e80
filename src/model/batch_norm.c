#include "model/batch_norm.h"

#include "core/reduce.h"

#include <math.h>
#include <string.h>

/* sums[channel] += Σ over items and pixels of `term` (x[k], y[k], channel c known).  Each item is summed by itself and
   the items are added in order, so that the sum does not depend on the number of threads. */
#define DEFINE_SUM(T, name, term)                                                                                      \
  static void name(CordsBatchNormShape shape, PetscInt items, const T *x, const T *y, const double *mean,              \
                   double *partial)                                                                                    \
  {                                                                                                                    \
    _Pragma("omp parallel for schedule(static)") for (PetscInt i = 0; i < items; i++)                                  \
    {                                                                                                                  \
      double *sum = partial + (size_t)i * shape.channels;                                                              \
      size_t k = (size_t)i * shape.pixels * shape.channels;                                                            \
      for (PetscInt p = 0; p < shape.pixels; p++)                                                                      \
        for (PetscInt c = 0; c < shape.channels; c++, k++) sum[c] += term;                                             \
    }                                                                                                                  \
  }

DEFINE_SUM(float, SumF32, (double)x[k])
DEFINE_SUM(double, SumF64, x[k])
DEFINE_SUM(float, SumSquareF32, ((double)x[k] - mean[c]) * ((double)x[k] - mean[c]))
DEFINE_SUM(double, SumSquareF64, (x[k] - mean[c]) * (x[k] - mean[c]))
DEFINE_SUM(float, SumProductF32, ((double)x[k] - mean[c]) * (double)y[k])
DEFINE_SUM(double, SumProductF64, (x[k] - mean[c]) * y[k])

typedef void (*SumF32Function)(CordsBatchNormShape, PetscInt, const float *, const float *, const double *, double *);
typedef void (*SumF64Function)(CordsBatchNormShape, PetscInt, const double *, const double *, const double *, double *);

static PetscErrorCode ChannelSums(CordsType type, CordsBatchNormShape shape, PetscInt items, SumF32Function f32,
                                  SumF64Function f64, const void *x, const void *y, const double *mean, double *sums)
{
  double *partial;

  PetscFunctionBegin;
  PetscCall(PetscCalloc1((size_t)items * shape.channels + 1, &partial));
  if (type == CORDS_F64)
    f64(shape, items, x, y, mean, partial);
  else
    f32(shape, items, x, y, mean, partial);
  for (PetscInt c = 0; c < shape.channels; c++) sums[c] = 0;
  for (PetscInt i = 0; i < items; i++) {
    for (PetscInt c = 0; c < shape.channels; c++) sums[c] += partial[(size_t)i * shape.channels + c];
  }
  PetscCall(PetscFree(partial));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsBatchNormStatistics(CordsContext context, CordsType type, CordsBatchNormShape shape, PetscInt items,
                                        const void *x, double *mean, double *variance, double *count)
{
  double *sums;

  PetscFunctionBegin;
  PetscCall(PetscMalloc1(shape.channels + 1, &sums)); /* and the count, in one message */
  sums[shape.channels] = (double)items * shape.pixels;
  PetscCall(ChannelSums(type, shape, items, SumF32, SumF64, x, NULL, NULL, sums));
  PetscCall(CordsReduceSumF64(context, shape.channels + 1, sums));
  *count = sums[shape.channels];
  for (PetscInt c = 0; c < shape.channels; c++) mean[c] = sums[c] / *count;
  PetscCall(PetscFree(sums));
  PetscCall(ChannelSums(type, shape, items, SumSquareF32, SumSquareF64, x, NULL, mean, variance));
  PetscCall(CordsReduceSumF64(context, shape.channels, variance));
  for (PetscInt c = 0; c < shape.channels; c++) variance[c] /= *count;
  PetscFunctionReturn(PETSC_SUCCESS);
}

void CordsBatchNormUpdateRunning(PetscInt channels, const double *mean, const double *variance, double count,
                                 float *running_mean, float *running_variance)
{
  const double momentum = 0.1, unbias = count > 1 ? count / (count - 1) : 1;

  for (PetscInt c = 0; c < channels; c++) {
    running_mean[c] = (float)((1 - momentum) * (double)running_mean[c] + momentum * mean[c]);
    running_variance[c] = (float)((1 - momentum) * (double)running_variance[c] + momentum * unbias * variance[c]);
  }
}

/* y[k] = a[c] x[k] + b[c] z[k] + d[c] for all numbers; z may be x. */
#define DEFINE_AFFINE(T, suffix)                                                                                       \
  static void Affine##suffix(size_t rows, PetscInt channels, const T *x, const T *z, const double *a, const double *b, \
                             const double *d, T *y)                                                                    \
  {                                                                                                                    \
    _Pragma("omp parallel for schedule(static)") for (size_t row = 0; row < rows; row++)                               \
    {                                                                                                                  \
      const size_t at = row * (size_t)channels;                                                                        \
      for (PetscInt c = 0; c < channels; c++) y[at + c] = (T)(a[c] * x[at + c] + b[c] * z[at + c] + d[c]);             \
    }                                                                                                                  \
  }

DEFINE_AFFINE(float, F32)
DEFINE_AFFINE(double, F64)

static void Affine(CordsType type, size_t rows, PetscInt channels, const void *x, const void *z, const double *a,
                   const double *b, const double *d, void *y)
{
  if (type == CORDS_F64)
    AffineF64(rows, channels, x, z, a, b, d, y);
  else
    AffineF32(rows, channels, x, z, a, b, d, y);
}

void CordsBatchNormApply(CordsType type, CordsBatchNormShape shape, PetscInt items, const void *x, const double *mean,
                         const double *variance, const float *weight, const float *bias, void *y)
{
  double scale[shape.channels], zero[shape.channels], shift[shape.channels];

  for (PetscInt c = 0; c < shape.channels; c++) {
    scale[c] = (double)weight[c] / sqrt(variance[c] + CORDS_BATCH_NORM_EPSILON);
    shift[c] = (double)bias[c] - scale[c] * mean[c];
    zero[c] = 0;
  }
  Affine(type, (size_t)items * shape.pixels, shape.channels, x, x, scale, zero, shift, y);
}

PetscErrorCode CordsBatchNormBackward(CordsContext context, CordsType type, CordsBatchNormShape shape, PetscInt items,
                                      const void *x, const double *mean, const double *variance, double count,
                                      const float *weight, const void *dy, void *dx, float *dweight, float *dbias)
{
  const PetscInt channels = shape.channels;
  double *sums, *products, a[channels], b[channels], d[channels];

  PetscFunctionBegin;
  PetscCall(PetscMalloc1(2 * channels, &sums));
  products = sums + channels;
  PetscCall(ChannelSums(type, shape, items, SumF32, SumF64, dy, NULL, NULL, sums));
  PetscCall(ChannelSums(type, shape, items, SumProductF32, SumProductF64, x, dy, mean, products));
  for (PetscInt c = 0; c < channels; c++) {
    dbias[c] += (float)sums[c];
    dweight[c] += (float)(products[c] / sqrt(variance[c] + CORDS_BATCH_NORM_EPSILON));
  }
  PetscCall(CordsReduceSumF64(context, 2 * channels, sums));
  /* dx = w/σ (dy − mean(dy) − (x − μ) mean((x − μ) dy)/σ²) */
  for (PetscInt c = 0; c < channels; c++) {
    double power = variance[c] + CORDS_BATCH_NORM_EPSILON;
    a[c] = (double)weight[c] / sqrt(power);
    b[c] = -a[c] * products[c] / (count * power);
    d[c] = -a[c] * sums[c] / count - b[c] * mean[c];
  }
  Affine(type, (size_t)items * shape.pixels, channels, dy, x, a, b, d, dx);
  PetscCall(PetscFree(sums));
  PetscFunctionReturn(PETSC_SUCCESS);
}
