/* Vectors of 64 bytes and the multiply-add of each number type, for our own kernels.  GCC's vector extensions
   compile for any machine; only bf16 needs an instruction of its own and has a replacement. */
#ifndef CORDS_CONV_VECTOR_TYPES_H
#define CORDS_CONV_VECTOR_TYPES_H

#include "core/array.h"

#include <stdint.h>
#if defined(__AVX512F__)
#include <immintrin.h>
#endif

enum { CORDS_VECTOR_BYTES = 64 };

/* What one multiplication reads of an image, a number or a pair of bf16: as many bytes as a number of the sums. */
static inline size_t CordsUnitSize(CordsType type)
{
  return CordsTypeSize(CordsTypeMaster(type));
}

/* Sums, or units of weights, in a vector. */
static inline PetscInt CordsVectorLanes(CordsType type)
{
  return CORDS_VECTOR_BYTES / (PetscInt)CordsUnitSize(type);
}

#define UNROLL _Pragma("GCC unroll 16")

#define SPLAT8(x)                                                                                                      \
  {                                                                                                                    \
    x, x, x, x, x, x, x, x                                                                                             \
  }
#define SPLAT16(x)                                                                                                     \
  {                                                                                                                    \
    x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x                                                                     \
  }

typedef float FloatVector __attribute__((vector_size(64)));
typedef double DoubleVector __attribute__((vector_size(64)));
typedef int32_t IntVector __attribute__((vector_size(64), may_alias));
typedef int64_t LongVector __attribute__((vector_size(64), may_alias));
typedef uint32_t UnsignedVector __attribute__((vector_size(64), may_alias));

/* `weights` = a vector of UNITs at p, whatever their type, for several multiply-adds.  It is held in a register: gcc 12
   would read memory again for each of up to four of them, and a processor multiplies as fast as it loads. */
#if defined(__AVX512F__)
#define LOAD_UNITS(weights, p)                                                                                         \
  {                                                                                                                    \
    weights = *(const UnsignedVector *)(p);                                                                            \
    __asm__("" : "+v"(weights));                                                                                       \
  }
#else
#define LOAD_UNITS(weights, p) weights = *(const UnsignedVector *)(p)
#endif

/* sum += unit · weights for a vector of sums; one number, or a pair of bf16, times a vector of such. */
#define MULTIPLY_ADD_F32(sum, unit, weights) sum += (FloatVector)SPLAT16(unit) * (FloatVector)(weights)
#define MULTIPLY_ADD_F64(sum, unit, weights) sum += (DoubleVector)SPLAT8(unit) * (DoubleVector)(weights)
#if defined(__AVX512BF16__)
#define MULTIPLY_ADD_BF16(sum, unit, weights)                                                                          \
  sum = (FloatVector)_mm512_dpbf16_ps((__m512)sum, (__m512bh)_mm512_set1_epi32((int)(unit)), (__m512bh)(weights))
#else
#define MULTIPLY_ADD_BF16(sum, unit, weights)                                                                          \
  {                                                                                                                    \
    const UnsignedVector image_ = SPLAT16(unit);                                                                       \
    sum += (FloatVector)(image_ << 16) * (FloatVector)((weights) << 16) +                                              \
           (FloatVector)(image_ & 0xffff0000u) * (FloatVector)((weights)&0xffff0000u);                                 \
  }
#endif

/* 16 bf16 numbers as floats, and back, rounded to nearest even. */
static inline FloatVector CordsLoadBf16(const uint16_t *p)
{
  FloatVector v;

#if defined(__AVX512F__)
  v = (FloatVector)_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)p)), 16);
#else
  for (int k = 0; k < 16; k++) v[k] = CordsFromBf16(p[k]);
#endif
  return v;
}

static inline void CordsStoreBf16(uint16_t *p, FloatVector v)
{
#if defined(__AVX512BF16__)
  _mm256_storeu_si256((__m256i *)p, (__m256i)_mm512_cvtneps_pbh((__m512)v));
#else
  for (int k = 0; k < 16; k++) p[k] = CordsToBf16(v[k]);
#endif
}

/* 16 numbers as the first (half 0; the second becomes zero) or the second number of 16 pairs. */
static inline void CordsStoreBf16Half(uint32_t *p, FloatVector v, int half)
{
#if defined(__AVX512BF16__)
  __m512i wide = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh((__m512)v));
  if (half) wide = _mm512_or_si512(_mm512_slli_epi32(wide, 16), _mm512_loadu_si512(p));
  _mm512_storeu_si512(p, wide);
#else
  for (int k = 0; k < 16; k++) {
    uint32_t number = CordsToBf16(v[k]);
    p[k] = half ? p[k] | number << 16 : number;
  }
#endif
}

#endif
