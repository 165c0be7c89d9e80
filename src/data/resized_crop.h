/* From an image of any size to the network's, bytes to bytes: cut a box out and resize it, as torchvision's
   RandomResizedCrop and Resize + CenterCrop do on PIL images: pixels outside of the box have no influence.  Each output
   pixel is a mean of input pixels weighted by a triangle around its centre, one input pixel wide on each side when
   enlarging (bilinear interpolation) and one output pixel when shrinking, so that nothing is skipped:

     input   |--0--|--1--|--2--|--3--|--4--|      pixel j covers [j, j+1), centre j + 1/2
     output  |----0----|----1----|----2----|      centre of i on the input: (i + 1/2) · input / output

   Sums are float32 and rounded once, so the result is within 1 of PIL's, which rounds to bytes between the two
   directions.

   Which function: CordsResizedCrop with CordsCropDraw for training, CordsResizedCentre for evaluation.

   Images are [row][column][channel].  All functions are pure and may be called from several threads at once, each with
   its own work. */
#ifndef CORDS_DATA_RESIZED_CROP_H
#define CORDS_DATA_RESIZED_CROP_H

#include "core/box.h"
#include "core/random.h"
#include "data/image.h"

/* What CordsCropDraw draws from. */
typedef struct {
  double area_min, area_max;   /* part of the image's area, uniform; area_max 0: no random crop */
  double ratio_min, ratio_max; /* columns / rows of the box, uniform in the logarithm */
} CordsCropRange;

/* Bytes of work space (aligned for float) for any box of an image of rows × columns, or a part that covers so many. */
size_t CordsResizedCropWorkBytes(PetscInt rows, PetscInt columns, PetscInt channels, PetscInt out_rows,
                                 PetscInt out_columns);

/* The box of `image` (rows × columns pixels), inside it and not empty, resized to out_rows × out_columns. */
void CordsResizedCrop(const uint8_t *image, PetscInt rows, PetscInt columns, PetscInt channels, CordsBox box,
                      PetscInt out_rows, PetscInt out_columns, uint8_t *output, void *work);

/* The same of a part of `image`, not empty; of pixels that are partly in it the whole takes part. */
void CordsResizedPart(const uint8_t *image, PetscInt rows, PetscInt columns, PetscInt channels,
                      const CordsImagePart *part, PetscInt out_rows, PetscInt out_columns, uint8_t *output, void *work);

/* Sides of the smallest image in proportion to rows × columns that covers rows_min × columns_min, rounded down
   (torchvision's Resize to a shorter side: both are that). */
void CordsCoverSides(PetscInt rows, PetscInt columns, PetscInt rows_min, PetscInt columns_min, PetscInt *full_rows,
                     PetscInt *full_columns);

/* The part resized to full_rows × full_columns, of that the centre of out_rows × out_columns (not more), which is all
   that is computed. */
void CordsResizedCentre(const uint8_t *image, PetscInt rows, PetscInt columns, PetscInt channels,
                        const CordsImagePart *part, PetscInt full_rows, PetscInt full_columns, PetscInt out_rows,
                        PetscInt out_columns, uint8_t *output, void *work);

/* A random box: ten tries, then the largest central box whose ratio is in the range (torchvision's rule).
   key.sample is the number of the image; key.purpose is not looked at. */
CordsBox CordsCropDraw(const CordsCropRange *range, PetscInt rows, PetscInt columns, CordsRandomKey key);

#endif
