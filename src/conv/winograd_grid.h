/* The image cut into tiles of outputs and the inputs that these read: one direction of a Winograd convolution. */
#ifndef CORDS_CONV_WINOGRAD_GRID_H
#define CORDS_CONV_WINOGRAD_GRID_H

#include "conv/conv.h"
#include "conv/winograd_transform.h"

typedef struct {
  CordsWinogradKind kind;
  const CordsWinogradSize *size;
  PetscInt in_pixels, in_columns, in_channels, out_pixels, out_channels;
  PetscInt tiles;   /* of an image; those at the edges may reach beyond it */
  int32_t *inputs;  /* [tile][size->inputs] input pixels, −1 outside */
  int32_t *outputs; /* [tile][size->outputs] output pixels, −1 outside */
  /* the first tiles, those that read a given box only (CordsWinogradGridDivide), and inputs in an image of this box */
  PetscInt early, early_pixels;
  int32_t *early_inputs;
} CordsWinogradGrid;

/* adjoint: from output to input of the shape, which is 3 × 3 with the stride of the kind.  Owned:
 * CordsWinogradGridDestroy. */
PetscErrorCode CordsWinogradGridCreate(const CordsConvShape *shape, CordsWinogradKind kind, PetscBool adjoint,
                                       CordsWinogradGrid *grid);
PetscErrorCode CordsWinogradGridDestroy(CordsWinogradGrid *grid);

/* The tiles that read nothing outside a box come first, in their order.  The box may reach beyond the input image. */
PetscErrorCode CordsWinogradGridDivide(CordsWinogradGrid *grid, const CordsBox *early);

/* Addresses of pixels [count] of an image of n, zeros where they lie outside. */
static inline void CordsWinogradAddresses(const int32_t *pixels, PetscInt count, const void *image, size_t pixel_bytes,
                                          const void *zeros, const void *addresses[])
{
  for (PetscInt k = 0; k < count; k++)
    addresses[k] = pixels[k] < 0 ? zeros : (const char *)image + (size_t)pixels[k] * pixel_bytes;
}

#endif
