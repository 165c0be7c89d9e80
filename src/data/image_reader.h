/* One image of a dataset as numbers 0..1 in the size of the network, before augmentation and normalisation.

   Images of a dataset of one size are resized as a whole.  Images of any size keep their proportions: the shorter side
   becomes 8/7 of the network's (256 for 224; of a network that is not square, the side that is shorter in comparison)
   and the centre is cut out, as in torchvision's Resize and CenterCrop.  Both on bytes (resized_crop.h). */
#ifndef CORDS_DATA_IMAGE_READER_H
#define CORDS_DATA_IMAGE_READER_H

#include "data/dataset.h"

/* What one thread needs, kept from image to image. */
typedef struct _p_CordsImageReader *CordsImageReader;

/* For images of shape.rows × shape.columns with the dataset's channels.  scaled: in CordsImageReadTraining JPEG is
   decoded smaller where the random box allows it (CordsDecodeRestrict).  Not collective. */
PetscErrorCode CordsImageReaderCreate(CordsDataset dataset, CordsImageShape shape, PetscBool scaled,
                                      CordsImageReader *reader);
PetscErrorCode CordsImageReaderDestroy(CordsImageReader *reader);

/* Read, decode and resize image i; image [row][column][channel].  From any thread that has the reader for itself.
   False: the image cannot be used; problem says why (it is empty otherwise), label is set, and the image holds
   anything. */
PetscBool CordsImageRead(CordsImageReader reader, CordsSample i, float *image, PetscInt *label,
                         char problem[CORDS_DECODE_PROBLEM]);

/* The same for training with an augmentation on bytes (data/training_image.h): read, decode what the random box needs,
   change as the key says; image is normalised already. */
PetscBool CordsImageReadTraining(CordsImageReader reader, CordsSample i, CordsRandomKey key, float *image,
                                 PetscInt *label, char problem[CORDS_DECODE_PROBLEM]);

/* (value − mean) / deviation of each channel, in place, for so many pixels of a dataset. */
void CordsImageNormalise(const CordsDatasetFacts *facts, size_t pixels, float *image);

#endif
