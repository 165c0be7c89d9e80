#include "conv/pool.h"

#include "conv/number_types.h"

#include <string.h>

#define DEFINE_POOL(T, suffix)                                                                                         \
  /* For every output pixel and window place inside the image: forward y += x / k², adjoint x += y / k². */          \
  static void Pool##suffix(const CordsConvShape *s, PetscInt n, T *x, T *y, PetscBool adjoint)                         \
  {                                                                                                                    \
    const T weight = (T)1 / (T)(s->kernel_rows * s->kernel_columns);                                                   \
    const PetscInt channels = s->in_channels;                                                                          \
    _Pragma("omp parallel for schedule(static) if (n > 1)") for (PetscInt image = 0; image < n; image++)               \
    {                                                                                                                  \
      for (PetscInt i = 0; i < s->out_rows; i++)                                                                       \
        for (PetscInt j = 0; j < s->out_columns; j++) {                                                                \
          T *out = y + (((size_t)image * s->out_rows + i) * s->out_columns + j) * channels;                            \
          for (PetscInt a = 0; a < s->kernel_rows; a++)                                                                \
            for (PetscInt b = 0; b < s->kernel_columns; b++) {                                                         \
              PetscInt row = i * s->stride + a - s->pad_top, column = j * s->stride + b - s->pad_left;                 \
              if (row < 0 || row >= s->in_rows || column < 0 || column >= s->in_columns) continue;                     \
              T *in = x + (((size_t)image * s->in_rows + row) * s->in_columns + column) * channels;                    \
              if (adjoint)                                                                                             \
                for (PetscInt c = 0; c < channels; c++) in[c] += weight * out[c];                                      \
              else                                                                                                     \
                for (PetscInt c = 0; c < channels; c++) out[c] += weight * in[c];                                      \
            }                                                                                                          \
        }                                                                                                              \
    }                                                                                                                  \
  }

DEFINE_POOL(float, F32)
DEFINE_POOL(double, F64)

PetscErrorCode CordsPoolForward(const CordsConvShape *shape, CordsType type, PetscInt n, const void *x, void *y)
{
  memset(y, 0, (size_t)n * shape->out_rows * shape->out_columns * shape->out_channels * CordsTypeSize(type));
  if (type == CORDS_F64)
    PoolF64(shape, n, (double *)x, y, PETSC_FALSE);
  else
    PoolF32(shape, n, (float *)x, y, PETSC_FALSE);
  return PETSC_SUCCESS;
}

PetscErrorCode CordsPoolAdjoint(const CordsConvShape *shape, CordsType type, PetscInt n, const void *dy, void *dx)
{
  if (type == CORDS_F64)
    PoolF64(shape, n, dx, (double *)dy, PETSC_TRUE);
  else
    PoolF32(shape, n, dx, (float *)dy, PETSC_TRUE);
  return PETSC_SUCCESS;
}

/* Products instead of choices, because these would keep the compiler from using vectors. */
#define DEFINE_MEAN(T, M, TO, FROM, suffix)                                                                            \
  static void MeanReluAdd##suffix(PetscInt n, PetscInt pixels, PetscInt all, PetscInt channels, const T *x,            \
                                  M *features)                                                                         \
  {                                                                                                                    \
    _Pragma("omp parallel for schedule(static) if (n > 1)") for (PetscInt k = 0; k < n; k++)                           \
    {                                                                                                                  \
      double sum[channels];                                                                                            \
      const T *in = x + (size_t)k * pixels * channels;                                                                 \
      for (PetscInt c = 0; c < channels; c++) sum[c] = 0;                                                              \
      for (PetscInt p = 0; p < pixels; p++) {                                                                          \
        _Pragma("omp simd") for (PetscInt c = 0; c < channels; c++)                                                    \
        {                                                                                                              \
          const M value = TO(in[p * channels + c]);                                                                    \
          sum[c] += (double)((M)(value > 0) * value);                                                                  \
        }                                                                                                              \
      }                                                                                                                \
      for (PetscInt c = 0; c < channels; c++) features[(size_t)k * channels + c] += (M)(sum[c] / all);                 \
    }                                                                                                                  \
  }                                                                                                                    \
  static void MeanReluAdjointAdd##suffix(PetscInt n, PetscInt pixels, PetscInt all, PetscInt channels, const T *x,     \
                                         const M *d, M *g)                                                             \
  {                                                                                                                    \
    const M weight = (M)1 / (M)all;                                                                                    \
    _Pragma("omp parallel for schedule(static) if (n > 1)") for (PetscInt k = 0; k < n; k++)                           \
    {                                                                                                                  \
      const M *from = d + (size_t)k * channels;                                                                        \
      for (PetscInt p = 0; p < pixels; p++) {                                                                          \
        const size_t at = ((size_t)k * pixels + p) * channels;                                                         \
        _Pragma("omp simd") for (PetscInt c = 0; c < channels; c++) g[at + c] +=                                       \
            (M)(TO(x[at + c]) > 0) * weight * from[c];                                                                 \
      }                                                                                                                \
    }                                                                                                                  \
  }

CORDS_FOR_NUMBER_TYPES(DEFINE_MEAN)

void CordsMeanReluAdd(CordsType type, PetscInt n, PetscInt pixels, PetscInt all, PetscInt channels, const void *x,
                      void *features)
{
  CORDS_BY_NUMBER_TYPE(type, MeanReluAdd, n, pixels, all, channels, x, features);
}

void CordsMeanReluAdjointAdd(CordsType type, PetscInt n, PetscInt pixels, PetscInt all, PetscInt channels,
                             const void *x, const void *dfeatures, void *g)
{
  CORDS_BY_NUMBER_TYPE(type, MeanReluAdjointAdd, n, pixels, all, channels, x, dfeatures, g);
}
