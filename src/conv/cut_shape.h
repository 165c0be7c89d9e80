/* A convolution cut over a domain group: what one rank computes of it, from which pixels.

   Each rank computes the outputs of its own tile from a window of the input map, and the gradient of its own tile of
   the input from a window of the outputs' gradient.  Both are convolutions of the ordinary kind, only smaller, with the
   kernel and stride of the whole and with zero borders where a window ends with the map. */
#ifndef CORDS_CONV_CUT_SHAPE_H
#define CORDS_CONV_CUT_SHAPE_H

#include "conv/conv.h"
#include "core/box.h"

typedef struct {
  CordsBox in, out; /* own tiles of the input and output maps */
  CordsBox in_window,
      out_window;         /* of the input, for own outputs; of the output, for own inputs; empty with the tile */
  CordsConvShape local;   /* in_channels, out_channels of own tiles in place of the maps */
  CordsConvShape forward; /* from in_window to out; for outputs and for weight gradients */
  CordsConvShape adjoint; /* from in to out_window; for gradients of own inputs */
} CordsCutShape;

/* The part of `rank` of a grid of grid_rows × grid_columns.  whole: a convolution of whole maps.  Not collective. */
CordsCutShape CordsCutShapeOf(const CordsConvShape *whole, PetscInt grid_rows, PetscInt grid_columns, PetscInt rank);

/* Whether there is anything to compute in a direction. */
static inline PetscBool CordsCutHasForward(const CordsCutShape *cut)
{
  return (PetscBool)(CordsBoxPixels(&cut->in_window) > 0);
}
static inline PetscBool CordsCutHasAdjoint(const CordsCutShape *cut)
{
  return (PetscBool)(CordsBoxPixels(&cut->out_window) > 0);
}

#endif
