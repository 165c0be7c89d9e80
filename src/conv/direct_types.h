/* Vectors of 64 bytes and the multiply-add of each number type, for the direct kernels.  GCC's vector extensions
   compile for any machine; only bf16 needs an instruction of its own and has a replacement. */
#ifndef CORDS_CONV_DIRECT_TYPES_H
#define CORDS_CONV_DIRECT_TYPES_H

#include <stdint.h>
#if defined(__AVX512F__)
#include <immintrin.h>
#endif

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
typedef float LooseFloats __attribute__((vector_size(64), aligned(4), may_alias));
typedef double DoubleVector __attribute__((vector_size(64)));
typedef double LooseDoubles __attribute__((vector_size(64), aligned(8), may_alias));
typedef int32_t IntVector __attribute__((vector_size(64), may_alias));
typedef int64_t LongVector __attribute__((vector_size(64), may_alias));
typedef uint32_t UnsignedVector __attribute__((vector_size(64), may_alias));

/* sum += unit · weights for a vector of sums; one number, or a pair of bf16, times a vector of such. */
#define MULTIPLY_ADD_F32(sum, unit, w) sum += (FloatVector)SPLAT16(unit) * *(const FloatVector *)(w)
#define MULTIPLY_ADD_F64(sum, unit, w) sum += (DoubleVector)SPLAT8(unit) * *(const DoubleVector *)(w)
#if defined(__AVX512BF16__)
#define MULTIPLY_ADD_BF16(sum, unit, w)                                                                                \
  sum = (FloatVector)_mm512_dpbf16_ps((__m512)sum, (__m512bh)_mm512_set1_epi32((int)(unit)),                           \
                                      (__m512bh)_mm512_load_si512(w))
#else
#define MULTIPLY_ADD_BF16(sum, unit, w)                                                                                \
  {                                                                                                                    \
    const UnsignedVector pair_ = *(const UnsignedVector *)(w), image_ = SPLAT16(unit);                                 \
    sum += (FloatVector)(image_ << 16) * (FloatVector)(pair_ << 16) +                                                  \
           (FloatVector)(image_ & 0xffff0000u) * (FloatVector)(pair_ & 0xffff0000u);                                   \
  }
#endif

#endif
