#include "conv/pointwise.h"

enum { SUM_RUN = 1024 };

#define PARALLEL_FOR _Pragma("omp parallel for simd schedule(static)") for (size_t k = 0; k < n; k++)

#define DEFINE(T, suffix)                                                                                              \
  static void Relu##suffix(size_t n, const T *x, T *y)                                                                 \
  {                                                                                                                    \
    PARALLEL_FOR y[k] = x[k] > 0 ? x[k] : 0;                                                                           \
  }                                                                                                                    \
  static void ReluAdd##suffix(size_t n, const T *x, T *y)                                                              \
  {                                                                                                                    \
    PARALLEL_FOR y[k] += x[k] > 0 ? x[k] : 0;                                                                          \
  }                                                                                                                    \
  static void ReluAdjointAdd##suffix(size_t n, const T *x, const T *d, T *y)                                           \
  {                                                                                                                    \
    PARALLEL_FOR y[k] += x[k] > 0 ? d[k] : 0;                                                                          \
  }                                                                                                                    \
  static void Axpy##suffix(size_t n, T a, const T *x, T *y)                                                            \
  {                                                                                                                    \
    PARALLEL_FOR y[k] += a * x[k];                                                                                     \
  }                                                                                                                    \
  static void Scale##suffix(size_t n, T a, T *y)                                                                       \
  {                                                                                                                    \
    PARALLEL_FOR y[k] *= a;                                                                                            \
  }                                                                                                                    \
  static void Multiply##suffix(size_t n, T a, const T *x, const T *w, T *y)                                            \
  {                                                                                                                    \
    PARALLEL_FOR y[k] = a * x[k] * w[k];                                                                               \
  }                                                                                                                    \
  static void AddPeriodic##suffix(PetscInt items, PetscInt period, size_t n, const T *x, T *y)                         \
  {                                                                                                                    \
    _Pragma("omp parallel for schedule(static)") for (PetscInt i = 0; i < items; i++)                                  \
    {                                                                                                                  \
      const T *from = x + (size_t)(i % period) * n;                                                                    \
      T *to = y + (size_t)i * n;                                                                                       \
      for (size_t k = 0; k < n; k++) to[k] += from[k];                                                                 \
    }                                                                                                                  \
  }                                                                                                                    \
  static void SumPeriodic##suffix(PetscInt items, PetscInt period, size_t n, const T *y, T *x)                         \
  {                                                                                                                    \
    /* by position, so that a sum has one order whatever the number of threads; in runs that stay in the cache */      \
    _Pragma("omp parallel for schedule(static)") for (size_t start = 0; start < n; start += SUM_RUN)                   \
    {                                                                                                                  \
      const size_t end = start + SUM_RUN < n ? start + SUM_RUN : n;                                                    \
      for (PetscInt i = 0; i < items; i++) {                                                                           \
        const T *from = y + (size_t)i * n;                                                                             \
        T *to = x + (size_t)(i % period) * n;                                                                          \
        for (size_t k = start; k < end; k++) to[k] += from[k];                                                         \
      }                                                                                                                \
    }                                                                                                                  \
  }

DEFINE(float, F32)
DEFINE(double, F64)

#define BY_TYPE(name, f64, f32)                                                                                        \
  if (type == CORDS_F64)                                                                                               \
    name##F64 f64;                                                                                                     \
  else                                                                                                                 \
    name##F32 f32

void CordsRelu(CordsType type, size_t n, const void *x, void *y)
{
  BY_TYPE(Relu, (n, x, y), (n, x, y));
}

void CordsReluAdd(CordsType type, size_t n, const void *x, void *y)
{
  BY_TYPE(ReluAdd, (n, x, y), (n, x, y));
}

void CordsReluAdjointAdd(CordsType type, size_t n, const void *x, const void *d, void *y)
{
  BY_TYPE(ReluAdjointAdd, (n, x, d, y), (n, x, d, y));
}

void CordsAxpy(CordsType type, size_t n, double a, const void *x, void *y)
{
  BY_TYPE(Axpy, (n, a, x, y), (n, (float)a, x, y));
}

void CordsScale(CordsType type, size_t n, double a, void *y)
{
  BY_TYPE(Scale, (n, a, y), (n, (float)a, y));
}

void CordsMultiply(CordsType type, size_t n, double a, const void *x, const void *w, void *y)
{
  BY_TYPE(Multiply, (n, a, x, w, y), (n, (float)a, x, w, y));
}

void CordsAddPeriodic(CordsType type, PetscInt items, PetscInt period, size_t n, const void *x, void *y)
{
  BY_TYPE(AddPeriodic, (items, period, n, x, y), (items, period, n, x, y));
}

void CordsSumPeriodic(CordsType type, PetscInt items, PetscInt period, size_t n, const void *y, void *x)
{
  BY_TYPE(SumPeriodic, (items, period, n, y, x), (items, period, n, y, x));
}
