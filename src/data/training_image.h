/* One image on its way from decoded bytes of any size to what the network learns from: random box, resize, flip and
   RandAugment on bytes, then normalised float32.  For datasets with CordsAugmentOnBytes; the others go through
   CordsImageRead (image_reader.h) and CordsAugmentImage.

   All functions are pure and may be called from several threads at once, each with its own work. */
#ifndef CORDS_DATA_TRAINING_IMAGE_H
#define CORDS_DATA_TRAINING_IMAGE_H

#include "data/augment.h"

/* (value / 255 − mean) / deviation of each channel (at most 3). */
void CordsNormalisePixels(CordsImageShape shape, const float mean[], const float deviation[], const uint8_t *pixels,
                          float *image);

/* Bytes of work space (aligned for float) for images of up to rows × columns. */
size_t CordsTrainingImageWorkBytes(PetscInt rows, PetscInt columns, CordsImageShape shape);

/* The box of an image of rows × columns that the key draws; the whole image without random boxes.
   key.sample is the number of the image, key.purpose CORDS_RANDOM_AUGMENT. */
CordsBox CordsTrainingBox(const CordsAugmentation *augmentation, PetscInt rows, PetscInt columns, CordsRandomKey key);

/* pixels  [row][column][channel], rows × columns of shape.channels
   part    where that box is in these pixels, which may be a part of the image, decoded smaller (CordsDecodeRestrict)
   shape   of the network's image, one or three channels
   key     that of the box
   image   normalised */
void CordsTrainingImage(const CordsAugmentation *augmentation, const float mean[], const float deviation[],
                        PetscInt rows, PetscInt columns, const uint8_t *pixels, const CordsImagePart *part,
                        CordsImageShape shape, CordsRandomKey key, float *image, void *work);

#endif
