#include "conv/step.h"

#include "conv/finish.h"
#include "conv/number_types.h"

enum { WORD = 16 /* neurons */ };

size_t CordsConvMaskWords(const CordsConvShape *shape)
{
  return (size_t)shape->out_rows * shape->out_columns * CordsMaskWordsPerPixel(shape->out_channels);
}

#define DEFINE(T, M, TO, FROM, suffix)                                                                                 \
  static void Step##suffix(const CordsConvShape *s, PetscInt n, const CordsConvLaw *law, const T *u, const M *r,       \
                           M *r_next, T *x_next, uint16_t *mask)                                                       \
  {                                                                                                                    \
    const M keep = (M)law->keep, gain = (M)law->gain, slope = (M)law->slope;                                           \
    const size_t channels = (size_t)s->out_channels, words = CordsMaskWordsPerPixel(s->out_channels);                  \
    _Pragma("omp parallel for schedule(static)") for (PetscInt p = 0; p < n * s->out_rows * s->out_columns; p++)       \
    {                                                                                                                  \
      uint16_t *bits = mask ? mask + (size_t)p * words : NULL;                                                         \
      for (size_t w = 0; bits && w < words; w++) bits[w] = 0;                                                          \
      for (size_t c = 0; c < channels; c++) {                                                                          \
        const size_t k = (size_t)p * channels + c;                                                                     \
        const M value = TO(u[k]);                                                                                      \
        r_next[k] = keep * r[k] + gain * (value > 0 ? value : slope * value);                                          \
        if (x_next) x_next[k] = FROM(r_next[k]);                                                                       \
        if (bits) bits[c / WORD] |= (uint16_t)((value > 0) << (c % WORD));                                             \
      }                                                                                                                \
    }                                                                                                                  \
  }                                                                                                                    \
  static void StepAdjoint##suffix(size_t count, const CordsConvLaw *law, const T *v, const M *g, const M *later,       \
                                  M *lambda)                                                                           \
  {                                                                                                                    \
    const M keep = (M)law->keep;                                                                                       \
    _Pragma("omp parallel for schedule(static)") for (size_t k = 0; k < count; k++) lambda[k] =                        \
        (g ? g[k] : 0) + keep * later[k] + TO(v[k]);                                                                   \
  }                                                                                                                    \
  /* of `width` neurons of one word; all of a word in vectors */                                                       \
  static inline void MaskWord##suffix(unsigned width, unsigned bits, M active, M silent, const M *lambda, T *du)       \
  {                                                                                                                    \
    _Pragma("omp simd") for (unsigned c = 0; c < width; c++) du[c] =                                                   \
        FROM((bits >> c & 1 ? active : silent) * lambda[c]);                                                           \
  }                                                                                                                    \
  static void MaskMultiply##suffix(const CordsConvShape *s, PetscInt n, const CordsConvLaw *law, const uint16_t *mask, \
                                   const M *lambda, T *du)                                                             \
  {                                                                                                                    \
    const M active = (M)law->gain, silent = (M)(law->gain * law->slope);                                               \
    const size_t channels = (size_t)s->out_channels, words = CordsMaskWordsPerPixel(s->out_channels);                  \
    const unsigned rest = (unsigned)(channels % WORD);                                                                 \
    _Pragma("omp parallel for schedule(static)") for (PetscInt p = 0; p < n * s->out_rows * s->out_columns; p++)       \
    {                                                                                                                  \
      const uint16_t *bits = mask + (size_t)p * words;                                                                 \
      const M *from = lambda + (size_t)p * channels;                                                                   \
      T *to = du + (size_t)p * channels;                                                                               \
      for (size_t w = 0; w < channels / WORD; w++)                                                                     \
        MaskWord##suffix(WORD, bits[w], active, silent, from + w * WORD, to + w * WORD);                               \
      if (rest > 0) {                                                                                                  \
        const size_t at = channels - rest;                                                                             \
        MaskWord##suffix(rest, bits[words - 1], active, silent, from + at, to + at);                                   \
      }                                                                                                                \
    }                                                                                                                  \
  }

CORDS_FOR_NUMBER_TYPES(DEFINE)

void CordsStepPointwise(const CordsConvShape *shape, CordsType type, PetscInt n, const CordsConvLaw *law, const void *u,
                        const void *r, void *r_next, void *x_next, uint16_t *mask)
{
  CORDS_BY_NUMBER_TYPE(type, Step, shape, n, law, u, r, r_next, x_next, mask);
}

void CordsStepAdjointPointwise(const CordsConvShape *shape, CordsType type, PetscInt n, const CordsConvLaw *law,
                               const void *v, const void *g, const void *later, void *lambda)
{
  size_t count = (size_t)n * shape->in_rows * shape->in_columns * shape->in_channels;

  CORDS_BY_NUMBER_TYPE(type, StepAdjoint, count, law, v, g, later, lambda);
}

void CordsConvMaskMultiply(const CordsConvShape *shape, CordsType type, PetscInt n, const CordsConvLaw *law,
                           const uint16_t *mask, const void *lambda, void *du)
{
  CORDS_BY_NUMBER_TYPE(type, MaskMultiply, shape, n, law, mask, lambda, du);
}
