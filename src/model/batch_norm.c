#include "model/batch_norm.h"

#include "core/reduce.h"

#include <math.h>
#include <string.h>

enum { CHUNK = 16 /* channels whose sums stay in registers while the pixels of an image go by */ };

/* Of one image, that is read from memory once: the means of channels and their squared deviations from these, and
   Σ dy and Σ (x − μ) dy, where dy counts only where rate > closed (a product,
   because a choice would keep the compiler from using vectors).  Each image is summed by itself,
   so that a sum does not depend on the number of threads. */
#define DEFINE_IMAGE(T, suffix)                                                                                        \
  static inline void ChunkSpread##suffix(PetscInt pixels, PetscInt channels, PetscInt width, const T *x, double *mean, \
                                         double *squares)                                                              \
  {                                                                                                                    \
    double sum[CHUNK] = {0}, square[CHUNK] = {0};                                                                      \
    for (PetscInt p = 0; p < pixels; p++)                                                                              \
      for (PetscInt c = 0; c < width; c++) sum[c] += (double)x[p * channels + c];                                      \
    for (PetscInt c = 0; c < width; c++) sum[c] /= pixels;                                                             \
    for (PetscInt p = 0; p < pixels; p++)                                                                              \
      for (PetscInt c = 0; c < width; c++) {                                                                           \
        const double deviation = (double)x[p * channels + c] - sum[c];                                                 \
        square[c] += deviation * deviation;                                                                            \
      }                                                                                                                \
    for (PetscInt c = 0; c < width; c++) {                                                                             \
      mean[c] = sum[c];                                                                                                \
      squares[c] = square[c];                                                                                          \
    }                                                                                                                  \
  }                                                                                                                    \
  static void Spread##suffix(CordsBatchNormShape shape, const T *x, double *mean, double *squares)                     \
  {                                                                                                                    \
    PetscInt c = 0;                                                                                                    \
    for (; c + CHUNK <= shape.channels; c += CHUNK)                                                                    \
      ChunkSpread##suffix(shape.pixels, shape.channels, CHUNK, x + c, mean + c, squares + c);                          \
    if (c < shape.channels)                                                                                            \
      ChunkSpread##suffix(shape.pixels, shape.channels, shape.channels - c, x + c, mean + c, squares + c);             \
  }                                                                                                                    \
  static inline void ChunkGradient##suffix(PetscInt pixels, PetscInt channels, PetscInt width, const T *x,             \
                                           const T *rate, T closed, const T *dy, const double *mean, double *sums,     \
                                           double *products)                                                           \
  {                                                                                                                    \
    double sum[CHUNK] = {0}, product[CHUNK] = {0};                                                                     \
    for (PetscInt p = 0; p < pixels; p++)                                                                              \
      for (PetscInt c = 0; c < width; c++) {                                                                           \
        const double d = (double)((T)(rate[p * channels + c] > closed) * dy[p * channels + c]);                        \
        sum[c] += d;                                                                                                   \
        product[c] += ((double)x[p * channels + c] - mean[c]) * d;                                                     \
      }                                                                                                                \
    for (PetscInt c = 0; c < width; c++) {                                                                             \
      sums[c] = sum[c];                                                                                                \
      products[c] = product[c];                                                                                        \
    }                                                                                                                  \
  }                                                                                                                    \
  static void Gradient##suffix(CordsBatchNormShape shape, const T *x, const T *rate, T closed, const T *dy,            \
                               const double *mean, double *sums, double *products)                                     \
  {                                                                                                                    \
    PetscInt c = 0;                                                                                                    \
    for (; c + CHUNK <= shape.channels; c += CHUNK) {                                                                  \
      ChunkGradient##suffix(shape.pixels, shape.channels, CHUNK, x + c, rate + c, closed, dy + c, mean + c, sums + c,  \
                            products + c);                                                                             \
    }                                                                                                                  \
    if (c < shape.channels) {                                                                                          \
      ChunkGradient##suffix(shape.pixels, shape.channels, shape.channels - c, x + c, rate + c, closed, dy + c,         \
                            mean + c, sums + c, products + c);                                                         \
    }                                                                                                                  \
  }

DEFINE_IMAGE(float, F32)
DEFINE_IMAGE(double, F64)

/* Start of an image. */
static const void *Image(CordsType type, CordsBatchNormShape shape, PetscInt item, const void *x)
{
  return (const char *)x + (size_t)item * (size_t)shape.pixels * (size_t)shape.channels * CordsTypeSize(type);
}

/* Mean and sum of squared deviations of `count` numbers per channel. */
typedef struct {
  double count, *mean, *squares;
} Spread;

/* Chan, Golub, LeVeque, "Algorithms for computing the sample variance", 1983: two samples become one without the loss
   of E x² − (E x)². */
static void Join(PetscInt channels, double count, const double *mean, const double *squares, Spread *whole)
{
  const double share = count / (whole->count + count);

  if (count == 0) return; /* a rank without images or pixels */
  for (PetscInt c = 0; c < channels; c++) {
    const double difference = mean[c] - whole->mean[c];
    whole->mean[c] += share * difference;
    whole->squares[c] += squares[c] + share * whole->count * difference * difference;
  }
  whole->count += count;
}

/* Numbers that a rank tells the others: mean and spread of each channel, and of how many. */
static size_t MessageNumbers(PetscInt channels)
{
  return 2 * (size_t)channels + 1;
}

CordsTraffic CordsBatchNormTraffic(PetscInt size, PetscInt channels)
{
  const PetscInt64 others = size - 1;

  return (CordsTraffic){others, others * (PetscInt64)(MessageNumbers(channels) * sizeof(double))};
}

PetscErrorCode CordsBatchNormStatistics(CordsContext context, CordsType type, CordsBatchNormShape shape, PetscInt items,
                                        const void *x, double *mean, double *variance, double *count)
{
  const size_t pair = 2 * (size_t)shape.channels, message = MessageNumbers(shape.channels);
  Spread whole = {0, mean, variance};
  double *images, *mine, *all;

  PetscFunctionBegin;
  PetscCall(PetscMalloc3(pair * items, &images, message, &mine, message * (size_t)context->size, &all));
#pragma omp parallel for schedule(static)
  for (PetscInt i = 0; i < items; i++) {
    double *of = images + pair * (size_t)i;
    if (type == CORDS_F64)
      SpreadF64(shape, Image(type, shape, i, x), of, of + shape.channels);
    else
      SpreadF32(shape, Image(type, shape, i, x), of, of + shape.channels);
  }
  /* in the order of images, then of ranks */
  memset(mine, 0, message * sizeof(double));
  Spread part = {0, mine, mine + shape.channels};
  for (PetscInt i = 0; i < items; i++) {
    Join(shape.channels, shape.pixels, images + pair * (size_t)i, images + pair * (size_t)i + shape.channels, &part);
  }
  mine[pair] = part.count;
  PetscCallMPI(
      MPI_Allgather(mine, (PetscMPIInt)message, MPI_DOUBLE, all, (PetscMPIInt)message, MPI_DOUBLE, context->comm));
  CordsTrafficCount(CORDS_TRAFFIC_SUM, context->size - 1, (context->size - 1) * (PetscInt64)(message * sizeof(double)));
  for (PetscInt c = 0; c < shape.channels; c++) mean[c] = variance[c] = 0;
  for (PetscMPIInt rank = 0; rank < context->size; rank++) {
    const double *of = all + message * (size_t)rank;
    Join(shape.channels, of[pair], of, of + shape.channels, &whole);
  }
  *count = whole.count;
  for (PetscInt c = 0; c < shape.channels; c++) variance[c] /= whole.count;
  PetscCall(PetscFree3(images, mine, all));
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

/* y = scale x + shift, cut at zero if relu;  dx = a dy + b x + d, where dy counts only where rate > closed. */
#define DEFINE_AFFINE(T, suffix)                                                                                       \
  static void Apply##suffix(size_t rows, PetscInt channels, const T *x, const double *scale, const double *shift,      \
                            PetscBool relu, T *y)                                                                      \
  {                                                                                                                    \
    const double floor = relu ? 0 : -INFINITY;                                                                         \
    _Pragma("omp parallel for schedule(static)") for (size_t row = 0; row < rows; row++)                               \
    {                                                                                                                  \
      const T *from = x + row * (size_t)channels;                                                                      \
      T *to = y + row * (size_t)channels;                                                                              \
      _Pragma("omp simd") for (PetscInt c = 0; c < channels; c++)                                                      \
      {                                                                                                                \
        const double value = scale[c] * (double)from[c] + shift[c];                                                    \
        to[c] = (T)(value < floor ? floor : value);                                                                    \
      }                                                                                                                \
    }                                                                                                                  \
  }                                                                                                                    \
  static void Back##suffix(size_t rows, PetscInt channels, const T *x, const T *rate, T closed, const T *dy,           \
                           const double *a, const double *b, const double *d, T *dx)                                   \
  {                                                                                                                    \
    _Pragma("omp parallel for schedule(static)") for (size_t row = 0; row < rows; row++)                               \
    {                                                                                                                  \
      const size_t at = row * (size_t)channels;                                                                        \
      const T *from = dy + at, *input = x + at, *gate = rate + at;                                                     \
      T *to = dx + at;                                                                                                 \
      _Pragma("omp simd") for (PetscInt c = 0; c < channels; c++)                                                      \
      {                                                                                                                \
        const T open = (T)(gate[c] > closed) * from[c];                                                                \
        to[c] = (T)(a[c] * (double)open + b[c] * (double)input[c] + d[c]);                                             \
      }                                                                                                                \
    }                                                                                                                  \
  }

DEFINE_AFFINE(float, F32)
DEFINE_AFFINE(double, F64)

void CordsBatchNormApply(CordsType type, CordsBatchNormShape shape, PetscInt items, const void *x, const double *mean,
                         const double *variance, const float *weight, const float *bias, PetscBool relu, void *y)
{
  const size_t rows = (size_t)items * (size_t)shape.pixels;
  double scale[shape.channels], shift[shape.channels];

  for (PetscInt c = 0; c < shape.channels; c++) {
    scale[c] = (double)weight[c] / sqrt(variance[c] + CORDS_BATCH_NORM_EPSILON);
    shift[c] = (double)bias[c] - scale[c] * mean[c];
  }
  if (type == CORDS_F64)
    ApplyF64(rows, shape.channels, x, scale, shift, relu, y);
  else
    ApplyF32(rows, shape.channels, x, scale, shift, relu, y);
}

/* sums = Σ dy, products = Σ (x − μ) dy over this rank's images, each summed by itself and then in their order. */
static PetscErrorCode GradientSums(CordsType type, CordsBatchNormShape shape, PetscInt items, const void *x,
                                   const double *mean, const void *rate, double closed, const void *dy, double *sums,
                                   double *products)
{
  const PetscInt channels = shape.channels;
  double *images;

  PetscFunctionBegin;
  PetscCall(PetscMalloc1(2 * (size_t)items * (size_t)channels, &images));
#pragma omp parallel for schedule(static)
  for (PetscInt i = 0; i < items; i++) {
    double *of = images + 2 * (size_t)i * (size_t)channels;
    const void *gate = Image(type, shape, i, rate), *d = Image(type, shape, i, dy), *from = Image(type, shape, i, x);
    if (type == CORDS_F64)
      GradientF64(shape, from, gate, closed, d, mean, of, of + channels);
    else
      GradientF32(shape, from, gate, (float)closed, d, mean, of, of + channels);
  }
  for (PetscInt c = 0; c < channels; c++) sums[c] = products[c] = 0;
  for (PetscInt i = 0; i < items; i++) {
    const double *of = images + 2 * (size_t)i * (size_t)channels;
    for (PetscInt c = 0; c < channels; c++) {
      sums[c] += of[c];
      products[c] += of[channels + c];
    }
  }
  PetscCall(PetscFree(images));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsBatchNormBackward(CordsContext context, CordsType type, CordsBatchNormShape shape, PetscInt items,
                                      const void *x, const double *mean, const double *variance, double count,
                                      const float *weight, const void *rate, const void *dy, void *dx, float *dweight,
                                      float *dbias)
{
  const PetscInt channels = shape.channels;
  const size_t rows = (size_t)items * (size_t)shape.pixels;
  const double closed = rate ? 0 : -INFINITY;
  double sums[2 * channels], *products = sums + channels, a[channels], b[channels], d[channels];

  PetscFunctionBegin;
  if (!rate) rate = x; /* anything above −∞ */
  PetscCall(GradientSums(type, shape, items, x, mean, rate, closed, dy, sums, products));
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
  if (type == CORDS_F64)
    BackF64(rows, channels, x, rate, closed, dy, a, b, d, dx);
  else
    BackF32(rows, channels, x, rate, (float)closed, dy, a, b, d, dx);
  PetscFunctionReturn(PETSC_SUCCESS);
}
