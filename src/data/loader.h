/* Which samples make batch k of an epoch, and their images as the network wants them.

   The order of an epoch is a permutation that depends on (seed, epoch) only; augmentation depends on (seed, epoch,
   global sample); mixing on (seed, epoch, batch).  A rank produces its rows of a batch; the union over ranks is the
   same batch on any number of ranks. */
#ifndef CORDS_DATA_LOADER_H
#define CORDS_DATA_LOADER_H

#include "core/context.h"
#include "data/image_queue.h"

typedef struct _p_CordsLoader *CordsLoader;

typedef struct {
  PetscInt rows, columns; /* of the images the network sees; how others are fitted to it: data/image_reader.h */
  PetscInt batch;         /* images in a global batch; the last one of an epoch may be smaller */
  CordsSample samples;    /* images used per epoch (a prefix of the permutation), 0 = all */
  PetscBool augment;      /* flip, affine, jitter as the dataset says (training) */
  PetscBool mix;          /* CutMix or MixUp, if the dataset says so (training) */
  PetscBool shuffle;      /* false: samples in their own order */
  PetscInt epochs;        /* images are made ahead up to the end of these; 0: of the epoch at hand */
  CordsLoading loading;
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
   Threads have made the images ahead if the batch before was the last that was read; after any other they begin anew.
   Not collective: mixing partners on other ranks are read here again.  Errors (user): -strict_images. */
PetscErrorCode CordsLoaderRead(CordsLoader loader, PetscInt epoch, PetscInt batch, float *images, float *labels,
                               CordsSample *samples);

/* Tell on the log what reading has cost since the last time, where `batches` of the stage `what` are done: nothing if
   that was a moment ago, unless this is the last time.  Collective. */
PetscErrorCode CordsLoaderLog(CordsLoader loader, const char *what, PetscInt64 batches, PetscBool last);

/* What reading has cost since the loader was made, on this rank. */
CordsQueueStatistics CordsLoaderGetStatistics(CordsLoader loader);

/* One image of a dataset as the network sees it in evaluation: fitted to rows × columns (data/image_reader.h),
   normalised. image [row][column][channel].  Not collective.  Errors (user): an image that cannot be used. */
PetscErrorCode CordsLoaderImage(CordsDataset dataset, CordsSample sample, PetscInt rows, PetscInt columns, float *image,
                                PetscInt *label);

#endif
