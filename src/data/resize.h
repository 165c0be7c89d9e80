/* Bilinear resize as in PyTorch (interpolate(mode="bilinear", align_corners=False, antialias=True), which is what
   torchvision's Resize does): each output pixel is a mean of input pixels weighted by a triangle around its centre.
   The triangle is one input pixel wide on each side when enlarging (then it is plain bilinear interpolation) and one
   output pixel when shrinking, so that nothing is skipped.

     input   |--0--|--1--|--2--|--3--|--4--|      pixel j covers [j, j+1), centre j + 1/2
     output  |----0----|----1----|----2----|      centre of i on the input: (i + 1/2) · input / output */
#ifndef CORDS_DATA_RESIZE_H
#define CORDS_DATA_RESIZE_H

#include "core/error.h"

typedef struct _p_CordsResize *CordsResize;

/* Weights for images of rows_in × columns_in to rows_out × columns_out; NULL without memory.  From any thread, each
   with its own. */
CordsResize CordsResizeCreate(PetscInt rows_in, PetscInt columns_in, PetscInt rows_out, PetscInt columns_out);
void CordsResizeDestroy(CordsResize *resize);

/* Numbers of work space that CordsResizeApply needs. */
size_t CordsResizeWorkSize(CordsResize resize, PetscInt channels);

/* One image [row][column][channel].  May be called from several threads at once, each with its own work. */
void CordsResizeApply(CordsResize resize, PetscInt channels, const float *input, float *output, float *work);

#endif
