/* From an image of any size to the network's, bytes to bytes: cut a box out and resize it, bilinear with the triangle
   widened when shrinking (see data/resize.h for the picture), as torchvision's RandomResizedCrop and Resize +
   CenterCrop do on PIL images: pixels outside of the box have no influence.  Sums are float32 and rounded once, so the
   result is within 1 of PIL's, which rounds to bytes between the two directions.

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

/* Bytes of work space (aligned for float) for any box of an image of rows × columns.  For CordsResizedCentre the
   outputs are those of the whole resized image, CordsCentreSides. */
size_t CordsResizedCropWorkBytes(PetscInt rows, PetscInt columns, PetscInt channels, PetscInt out_rows,
                                 PetscInt out_columns);

/* The box of `image` (rows × columns pixels), inside it and not empty, resized to out_rows × out_columns. */
void CordsResizedCrop(const uint8_t *image, PetscInt rows, PetscInt columns, PetscInt channels, CordsBox box,
                      PetscInt out_rows, PetscInt out_columns, uint8_t *output, void *work);

/* The same of a part of `image`, not empty; of pixels that are partly in it the whole takes part. */
void CordsResizedPart(const uint8_t *image, PetscInt rows, PetscInt columns, PetscInt channels,
                      const CordsImagePart *part, PetscInt out_rows, PetscInt out_columns, uint8_t *output, void *work);

/* Sides of an image whose shorter side has become `shorter` pixels, the other in proportion, rounded down. */
void CordsCentreSides(PetscInt rows, PetscInt columns, PetscInt shorter, PetscInt *new_rows, PetscInt *new_columns);

/* The image resized so that its shorter side is `shorter`, then its centre of out_rows × out_columns (each at most
   `shorter`).  Only what is in the centre is computed. */
void CordsResizedCentre(const uint8_t *image, PetscInt rows, PetscInt columns, PetscInt channels, PetscInt shorter,
                        PetscInt out_rows, PetscInt out_columns, uint8_t *output, void *work);

/* A random box: ten tries, then the largest central box whose ratio is in the range (torchvision's rule).
   key.sample is the number of the image; key.purpose is not looked at. */
CordsBox CordsCropDraw(const CordsCropRange *range, PetscInt rows, PetscInt columns, CordsRandomKey key);

#endif
