/* Which samples make batch k of an epoch, and their images as the network wants them.

   The order of an epoch is a permutation that depends on (seed, epoch) only; augmentation depends on (seed, epoch,
   global sample); mixing on (seed, epoch, batch).  A rank produces its rows of a batch; the union over ranks is the
   same batch on any number of ranks. */
#ifndef CORDS_DATA_LOADER_H
#define CORDS_DATA_LOADER_H

#include "core/context.h"
#include "data/dataset.h"

typedef struct _p_CordsLoader *CordsLoader;

typedef struct {
  PetscInt rows, columns; /* of the images the network sees; how others are fitted to it: data/image_reader.h */
  PetscInt batch;         /* images in a global batch; the last one of an epoch may be smaller */
  CordsSample samples;    /* images used per epoch (a prefix of the permutation), 0 = all */
  PetscBool augment;      /* flip, affine, jitter as the dataset says (training) */
  PetscBool mix;          /* CutMix or MixUp, if the dataset says so (training) */
  PetscBool shuffle;      /* false: samples in their own order (evaluation) */
} CordsLoaderSettings;

PetscErrorCode CordsLoaderCreate(CordsContext context, CordsDataset dataset, const CordsLoaderSettings *settings,
                                 CordsLoader *loader);
PetscErrorCode CordsLoaderDestroy(CordsLoader *loader);

/* Batches per epoch (the last may be partial; all images of the epoch are used). */
PetscInt CordsLoaderBatchCount(CordsLoader loader);

/* Images of a batch that this rank owns: rows [*start, *start + *count) of the global batch of *total images; parts
   differ by at most one image, a rank may own none. */
PetscErrorCode CordsLoaderShare(CordsLoader loader, PetscInt batch, PetscInt *start, PetscInt *count, PetscInt *total);

/* This rank's part of a batch.
   images  [image][row][column][channel], normalised float32
   labels  [image][class], soft (one-hot unless mixed)
   samples [image] numbers in the dataset (may be NULL); an image that cannot be used is reported (CordsDatasetSkip)
           and replaced by the next one of the dataset that can
   Not collective: mixing partners on other ranks are read here again.  */
PetscErrorCode CordsLoaderRead(CordsLoader loader, PetscInt epoch, PetscInt batch, float *images, float *labels,
                               CordsSample *samples);

/* One image of a dataset as the network sees it in evaluation: fitted to rows × columns (data/image_reader.h),
   normalised. image [row][column][channel].  Not collective.  Errors (user): an image that cannot be used. */
PetscErrorCode CordsLoaderImage(CordsDataset dataset, CordsSample sample, PetscInt rows, PetscInt columns, float *image,
                                PetscInt *label);

/* The same; an image that cannot be used is reported (CordsDatasetSkip) and *skipped is true.  label is set in any
   case. */
PetscErrorCode CordsLoaderImageOrSkip(CordsDataset dataset, CordsSample sample, PetscInt rows, PetscInt columns,
                                      float *image, PetscInt *label, PetscBool *skipped);

#endif
