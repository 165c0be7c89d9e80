/* Pack a dataset into one file (its layout: data/pack_file.h), and look whether such a file is whole. */
#ifndef CORDS_DATA_PACK_H
#define CORDS_DATA_PACK_H

#include "data/dataset.h"

/* Write PATH.part and give it the name PATH when it is complete.  A PATH.part that is there, of the same images, is
   continued: at most the images of the last few seconds are copied again.  Rank 0 works.  Collective.
   Errors (user): not writable, disk full (PATH.part stays), an image that cannot be read or has changed, PATH.part of
   other images. */
PetscErrorCode CordsPack(CordsContext context, CordsDataset dataset, CordsSplit split, const char *path);

/* Read all data of PATH and compare their digest.  images, bytes: what the file holds.  Collective.
   Errors (user): no packed dataset, not complete, damaged. */
PetscErrorCode CordsPackCheck(CordsContext context, const char *path, PetscInt64 *images, PetscInt64 *bytes,
                              char digest[65]);

#endif
