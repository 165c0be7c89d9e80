/* The linear maps of Winograd's F(2 × 2, 3 × 3): two by two outputs of a 3 × 3 convolution with stride 1 from four by
   four inputs by 16 products per pair of channels instead of 36,

     Y = Aᵀ [ (G w Gᵀ) ⊙ (Bᵀ d B) ] A

   summed over input channels between ⊙ and A.  Its derivative to w: Gᵀ [ (Bᵀ d B) ⊙ (A dY Aᵀ) ] G.  The 16 entries of
   the 4 × 4 matrices are called places here, [row][column].
   Lavin, Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016, section 4.1. */
#ifndef CORDS_CONV_WINOGRAD_TRANSFORM_H
#define CORDS_CONV_WINOGRAD_TRANSFORM_H

#include "core/array.h"

enum { CORDS_WINOGRAD_PLACES = 16, CORDS_WINOGRAD_OUTPUTS = 4, CORDS_WINOGRAD_TAPS = 9 };

/* T: numbers of images, M: of sums and weights.  Counts of channels are multiples of the lanes (16; 8 for f64). */
typedef struct {
  /* Bᵀ d B of `channels` channels.  pixels [4 × 4]: T of each input pixel; place k goes to `to` + k · place_bytes. */
  void (*input)(const void *const *pixels, PetscInt channels, void *to, size_t place_bytes);
  /* The same from channel `first` on, into units of two tiles (bf16) or one: half 0 before half 1 (see outer_tile.h).
     vector_bytes: from one vector of channels to the next. */
  void (*input_units)(const void *const *pixels, PetscInt first, PetscInt channels, int half, void *to,
                      size_t vector_bytes, size_t place_bytes);
  /* A dY Aᵀ likewise, vectors without gaps; pixels [2 × 2]. */
  void (*gradient_units)(const void *const *pixels, PetscInt first, PetscInt channels, int half, void *to,
                         size_t place_bytes);
  /* Y = Aᵀ m A of `width` vectors; m: vectors of M, place k at m + k · place_bytes.  outputs: M [2 × 2][width]. */
  void (*output)(const void *m, size_t place_bytes, PetscInt width, void *outputs);
  /* G w Gᵀ for the lanes of outputs from `out` on and one input channel.  weights: M [out][in][3][3]; place k into the
     units at rows[k], as the first or second number (half) of pairs. */
  void (*weights)(const void *weights, PetscInt in_channels, PetscInt out, PetscInt in, int half, void *const *rows);
  /* dw += Gᵀ du G, M both, for `numbers` of each place and tap, in whole vectors; place k of du at du + k ·
     place_bytes, aligned; tap: M from one tap of dw to the next. */
  void (*weights_gradient)(const void *du, size_t place_bytes, PetscInt numbers, void *dw, size_t tap);
} CordsWinogradTransform;

const CordsWinogradTransform *CordsWinogradTransformOf(CordsType type);

/* Bytes from one place to the next for what a place holds: in whole lines of the cache, and one line more, so that
   places do not share cache sets. */
static inline size_t CordsWinogradPlaceBytes(size_t bytes)
{
  return (bytes + 63) / 64 * 64 + 64;
}

#endif
