#include "conv/pointwise.h"

#include "conv/number_types.h"

enum { SUM_RUN = 1024 };

/* Below this many numbers a second thread costs more than it gives. */
enum { NUMBERS_WORTH_THREADS = 1 << 16 };

#define PARALLEL_FOR                                                                                                   \
  _Pragma("omp parallel for simd schedule(static) if (n >= NUMBERS_WORTH_THREADS)") for (size_t k = 0; k < n; k++)

#define DEFINE(T, M, TO, FROM, suffix)                                                                                 \
  static void Relu##suffix(size_t n, const T *x, T *y)                                                                 \
  {                                                                                                                    \
    PARALLEL_FOR y[k] = TO(x[k]) > 0 ? x[k] : 0;                                                                       \
  }                                                                                                                    \
  static void ReluSum##suffix(size_t n, const T *x, const T *w, T *y)                                                  \
  {                                                                                                                    \
    PARALLEL_FOR y[k] = FROM((TO(x[k]) > 0 ? TO(x[k]) : 0) + (TO(w[k]) > 0 ? TO(w[k]) : 0));                           \
  }                                                                                                                    \
  static void ReluAdjoint##suffix(size_t n, const T *x, const T *d, M *y)                                              \
  {                                                                                                                    \
    PARALLEL_FOR y[k] = TO(x[k]) > 0 ? TO(d[k]) : 0;                                                                   \
  }                                                                                                                    \
  static void ReluAdjointAdd##suffix(size_t n, const T *x, const T *d, M *y)                                           \
  {                                                                                                                    \
    PARALLEL_FOR y[k] += TO(x[k]) > 0 ? TO(d[k]) : 0;                                                                  \
  }                                                                                                                    \
  static void Axpy##suffix(size_t n, M a, const T *x, T *y)                                                            \
  {                                                                                                                    \
    PARALLEL_FOR y[k] = FROM(TO(y[k]) + a * TO(x[k]));                                                                 \
  }                                                                                                                    \
  static void Scale##suffix(size_t n, M a, T *y)                                                                       \
  {                                                                                                                    \
    PARALLEL_FOR y[k] = FROM(a * TO(y[k]));                                                                            \
  }                                                                                                                    \
  static void Multiply##suffix(size_t n, M a, const T *x, const T *w, T *y)                                            \
  {                                                                                                                    \
    PARALLEL_FOR y[k] = FROM(a * TO(x[k]) * TO(w[k]));                                                                 \
  }                                                                                                                    \
  static void AddPeriodic##suffix(PetscInt items, PetscInt period, size_t n, const T *x, T *y)                         \
  {                                                                                                                    \
    _Pragma("omp parallel for schedule(static) if ((size_t)items * n >= NUMBERS_WORTH_THREADS)") for (PetscInt i = 0;  \
                                                                                                      i < items; i++)  \
    {                                                                                                                  \
      const T *from = x + (size_t)(i % period) * n;                                                                    \
      T *to = y + (size_t)i * n;                                                                                       \
      for (size_t k = 0; k < n; k++) to[k] = FROM(TO(to[k]) + TO(from[k]));                                            \
    }                                                                                                                  \
  }                                                                                                                    \
  static void ReluPeriodicSum##suffix(PetscInt items, PetscInt period, size_t n, const T *x, const T *w, T *y)         \
  {                                                                                                                    \
    _Pragma("omp parallel for schedule(static) if ((size_t)items * n >= NUMBERS_WORTH_THREADS)") for (PetscInt i = 0;  \
                                                                                                      i < items; i++)  \
    {                                                                                                                  \
      const T *from = x + (size_t)i * n, *more = w + (size_t)(i % period) * n;                                         \
      T *to = y + (size_t)i * n;                                                                                       \
      for (size_t k = 0; k < n; k++) to[k] = FROM((TO(from[k]) > 0 ? TO(from[k]) : 0) + TO(more[k]));                  \
    }                                                                                                                  \
  }                                                                                                                    \
  static void SumPeriodic##suffix(PetscInt items, PetscInt period, size_t n, const T *y, M *x)                         \
  {                                                                                                                    \
    /* by position, so that a sum has one order whatever the number of threads; in runs that stay in the cache */      \
    _Pragma(                                                                                                           \
        "omp parallel for schedule(static) if ((size_t)items * n >= NUMBERS_WORTH_THREADS)") for (size_t start = 0;    \
                                                                                                  start < n;           \
                                                                                                  start += SUM_RUN)    \
    {                                                                                                                  \
      const size_t end = start + SUM_RUN < n ? start + SUM_RUN : n;                                                    \
      for (PetscInt i = 0; i < items; i++) {                                                                           \
        const T *from = y + (size_t)i * n;                                                                             \
        M *to = x + (size_t)(i % period) * n;                                                                          \
        for (size_t k = start; k < end; k++) to[k] += TO(from[k]);                                                     \
      }                                                                                                                \
    }                                                                                                                  \
  }

CORDS_FOR_NUMBER_TYPES(DEFINE)

#define CONVERT(From, To, expression)                                                                                  \
  {                                                                                                                    \
    const From *restrict from_array = x;                                                                               \
    To *restrict to_array = y;                                                                                         \
    PARALLEL_FOR                                                                                                       \
    {                                                                                                                  \
      const From number = from_array[k];                                                                               \
      to_array[k] = (To)(expression);                                                                                  \
    }                                                                                                                  \
  }

void CordsConvert(CordsType from, CordsType to, size_t n, const void *x, void *y)
{
  if (from == to)
    memcpy(y, x, n * CordsTypeSize(from));
  else if (from == CORDS_F32 && to == CORDS_F64)
    CONVERT(float, double, number)
  else if (from == CORDS_F64 && to == CORDS_F32)
    CONVERT(double, float, number)
  else if (from == CORDS_F32)
    CONVERT(float, uint16_t, CordsToBf16(number))
  else if (from == CORDS_F64)
    CONVERT(double, uint16_t, CordsToBf16((float)number))
  else if (to == CORDS_F32)
    CONVERT(uint16_t, float, CordsFromBf16(number))
  else
    CONVERT(uint16_t, double, CordsFromBf16(number))
}

void CordsRelu(CordsType type, size_t n, const void *x, void *y)
{
  CORDS_BY_NUMBER_TYPE(type, Relu, n, x, y);
}

void CordsReluSum(CordsType type, size_t n, const void *x, const void *w, void *y)
{
  CORDS_BY_NUMBER_TYPE(type, ReluSum, n, x, w, y);
}

void CordsReluPeriodicSum(CordsType type, PetscInt items, PetscInt period, size_t n, const void *x, const void *w,
                          void *y)
{
  CORDS_BY_NUMBER_TYPE(type, ReluPeriodicSum, items, period, n, x, w, y);
}

void CordsReluAdjoint(CordsType type, size_t n, const void *x, const void *d, void *y)
{
  CORDS_BY_NUMBER_TYPE(type, ReluAdjoint, n, x, d, y);
}

void CordsReluAdjointAdd(CordsType type, size_t n, const void *x, const void *d, void *y)
{
  CORDS_BY_NUMBER_TYPE(type, ReluAdjointAdd, n, x, d, y);
}

void CordsAxpy(CordsType type, size_t n, double a, const void *x, void *y)
{
  CORDS_BY_NUMBER_TYPE(type, Axpy, n, a, x, y);
}

void CordsScale(CordsType type, size_t n, double a, void *y)
{
  CORDS_BY_NUMBER_TYPE(type, Scale, n, a, y);
}

void CordsMultiply(CordsType type, size_t n, double a, const void *x, const void *w, void *y)
{
  CORDS_BY_NUMBER_TYPE(type, Multiply, n, a, x, w, y);
}

void CordsAddPeriodic(CordsType type, PetscInt items, PetscInt period, size_t n, const void *x, void *y)
{
  CORDS_BY_NUMBER_TYPE(type, AddPeriodic, items, period, n, x, y);
}

void CordsSumPeriodic(CordsType type, PetscInt items, PetscInt period, size_t n, const void *y, void *x)
{
  CORDS_BY_NUMBER_TYPE(type, SumPeriodic, items, period, n, y, x);
}

void CordsConvertTiles(const CordsLayout *layout, CordsType type, PetscInt n, const float *maps, void *tiles)
{
  const PetscBool whole = (PetscBool)(layout->row_count == layout->rows && layout->column_count == layout->columns);
  const size_t channels = (size_t)layout->channels, row = (size_t)layout->column_count * channels;

  if (whole) {
    CordsConvert(CORDS_F32, type, (size_t)n * (size_t)layout->rows * row, maps, tiles);
    return;
  }
  for (PetscInt k = 0; k < n * layout->row_count; k++) {
    const PetscInt item = k / layout->row_count, at = item * layout->rows + layout->row_start + k % layout->row_count;
    CordsConvert(CORDS_F32, type, row, maps + ((size_t)at * layout->columns + layout->column_start) * channels,
                 (char *)tiles + (size_t)k * row * CordsTypeSize(type));
  }
}

#define DEFINE_SQUARES(T, suffix)                                                                                      \
  static void Squares##suffix(size_t n, const T *a, const T *b, double sums[3])                                        \
  {                                                                                                                    \
    double aa = 0, bb = 0, dd = 0;                                                                                     \
    _Pragma("omp simd reduction(+ : aa, bb, dd)") for (size_t k = 0; k < n; k++)                                       \
    {                                                                                                                  \
      const double x = (double)a[k], y = (double)b[k], d = x - y;                                                      \
      aa += x * x;                                                                                                     \
      bb += y * y;                                                                                                     \
      dd += d * d;                                                                                                     \
    }                                                                                                                  \
    sums[0] = aa;                                                                                                      \
    sums[1] = bb;                                                                                                      \
    sums[2] = dd;                                                                                                      \
  }

#define DEFINE_NON_NEGATIVE(T, suffix)                                                                                 \
  static PetscBool NonNegative##suffix(size_t n, const T *x)                                                           \
  {                                                                                                                    \
    size_t count = 0;                                                                                                  \
    _Pragma("omp simd reduction(+ : count)") for (size_t k = 0; k < n; k++) count += x[k] >= 0;                        \
    return (PetscBool)(count == n);                                                                                    \
  }
DEFINE_SQUARES(float, OfF32)
DEFINE_SQUARES(double, OfF64)
DEFINE_NON_NEGATIVE(float, OfF32)
DEFINE_NON_NEGATIVE(double, OfF64)

PetscBool CordsNonNegative(CordsType type, size_t n, const void *x)
{
  return type == CORDS_F64 ? NonNegativeOfF64(n, x) : NonNegativeOfF32(n, x);
}

void CordsSquares(CordsType type, size_t n, const void *x, const void *w, double sums[3])
{
  if (type == CORDS_F64)
    SquaresOfF64(n, x, w, sums);
  else
    SquaresOfF32(n, x, w, sums);
}
