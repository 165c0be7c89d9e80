/* The linear maps of Winograd's minimal convolutions of 3 × 3 taps: a tile of outputs Y from a tile of inputs d,

     Y = Aᵀ [ (G w Gᵀ) ⊙ (Bᵀ d B) ] A

   summed over input channels between ⊙ and A.  Its derivative to w: Gᵀ [ (Bᵀ d B) ⊙ (A dY Aᵀ) ] G.

     F2        F(2 × 2, 3 × 3): two by two outputs from four by four inputs by 16 products per pair of channels instead
               of 36
     F4        F(4 × 4, 3 × 3): four by four outputs from six by six inputs by 36 products instead of 144; rounding
               errors are two to three times those of F2
     STRIDE2   two by two outputs, two pixels apart, from five by five inputs by 25 products instead of 36: in one
               dimension, inputs at even places meet the taps w0 and w2, which is an F(2, 2) of three products, those
               at odd places w1.  Back from that: four by four pixels from three by three, likewise

   The entries of Bᵀ d B are called places here, [row][column], those of G w Gᵀ panels.  With stride 2 two places of a
   dimension are multiplied with the panel of w1.  Backwards with stride 1 it is the same convolution with the kernel
   turned by half a turn.
   Lavin, Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016, section 4.1. */
#ifndef CORDS_CONV_WINOGRAD_TRANSFORM_H
#define CORDS_CONV_WINOGRAD_TRANSFORM_H

#include "core/array.h"

typedef enum { CORDS_WINOGRAD_F2, CORDS_WINOGRAD_F4, CORDS_WINOGRAD_STRIDE2 } CordsWinogradKind;

enum {
  CORDS_WINOGRAD_TAPS = 9,
  CORDS_WINOGRAD_INPUTS_MAX = 36,
  CORDS_WINOGRAD_PLACES_MAX = 36,
  CORDS_WINOGRAD_PANELS_MAX = 36,
  CORDS_WINOGRAD_OUTPUTS_MAX = 16
};

/* Of tiles; the same for all number types. */
typedef struct {
  PetscInt stride;
  PetscInt input, output;                     /* pixels of a side */
  PetscInt inputs, places, panels, outputs;   /* of a tile */
  PetscInt run;                               /* channels, of bf16 pairs of them, whose sum is added to the total */
  PetscInt panel[CORDS_WINOGRAD_PLACES_MAX];  /* of each place */
  PetscInt turned[CORDS_WINOGRAD_PANELS_MAX]; /* what becomes of panels when the kernel is turned by half a turn */
} CordsWinogradSize;

/* Vectors of channels of pixels as units of one tile, or of two (bf16): half 0 before half 1 (see outer_tile.h).
   pixels: T, from channel `first` on; place k of a vector goes to `to` + k · place_bytes, the next vector vector_bytes
   further. */
typedef void (*CordsWinogradUnits)(const void *const *pixels, PetscInt first, PetscInt channels, int half, void *to,
                                   size_t vector_bytes, size_t place_bytes);

/* T: numbers of images, M: of sums and weights.  Counts of channels are multiples of the lanes (16; 8 for f64). */
typedef struct {
  const CordsWinogradSize *size;
  /* Bᵀ d B of `channels` channels.  pixels [inputs]: T of each input pixel; place k goes to `to` + k · place_bytes. */
  void (*input)(const void *const *pixels, PetscInt channels, void *to, size_t place_bytes);
  /* Y = Aᵀ m A of `width` vectors; m: vectors of M, place k at m + k · place_bytes.  outputs: M [outputs][width]. */
  void (*output)(const void *m, size_t place_bytes, PetscInt width, void *outputs);
  /* What follows is forwards only. */
  CordsWinogradUnits input_units;    /* Bᵀ d B */
  CordsWinogradUnits gradient_units; /* A dY Aᵀ */
  /* G w Gᵀ for the lanes of outputs from `out` on and one input channel.  weights: M [out][in][3][3]; panel k into the
     units at row + k · panel_bytes, as the first or second number (half) of pairs. */
  void (*weights)(const void *weights, PetscInt in_channels, PetscInt out, PetscInt in, int half, void *row,
                  size_t panel_bytes);
  /* dw += Gᵀ du G, M both, for `numbers` of each panel and tap, in whole vectors; panel k of du at du + k ·
     panel_bytes, aligned; tap: M from one tap of dw to the next. */
  void (*weights_gradient)(const void *du, size_t panel_bytes, PetscInt numbers, void *dw, size_t tap);
} CordsWinogradTransform;

/* adjoint: from output to input. */
const CordsWinogradTransform *CordsWinogradTransformOf(CordsType type, CordsWinogradKind kind, PetscBool adjoint);
const CordsWinogradSize *CordsWinogradSizeOf(CordsWinogradKind kind, PetscBool adjoint);

/* Bytes from one place to the next for what a place holds: in whole lines of the cache, and one line more, so that
   places do not share cache sets. */
static inline size_t CordsWinogradPlaceBytes(size_t bytes)
{
  return (bytes + 63) / 64 * 64 + 64;
}

#endif
