/* A dataset: numbered, labelled images that any rank can read in any order. */
#ifndef CORDS_DATA_DATASET_H
#define CORDS_DATA_DATASET_H

#include "core/context.h"
#include "data/augment.h"

typedef PetscInt64 CordsSample; /* number of an image in its split of the dataset */

typedef enum { CORDS_SPLIT_TRAIN, CORDS_SPLIT_TEST } CordsSplit;

typedef struct _p_CordsDataset *CordsDataset;

/* Facts of an open dataset; all constant until it is destroyed. */
typedef struct {
  const char *name;
  CordsSample count;           /* images in this split */
  PetscInt classes;            /* labels are 0 .. classes-1 */
  PetscInt channels;           /* 1 grey, 3 colour */
  PetscInt rows, columns;      /* of every image */
  float mean[3], deviation[3]; /* normalisation: (value / 255 − mean) / deviation, SPEC section 3 */
  const char *const *class_names;
} CordsDatasetFacts;

/* Open `name` (a line of datasets.def) in directory `path`.  Collective.
   Errors (user): unknown name (with the closest), missing, truncated, swapped or damaged files, labels out of range. */
PetscErrorCode CordsDatasetOpen(CordsContext context, const char *name, const char *path, CordsSplit split,
                                CordsDataset *dataset);
PetscErrorCode CordsDatasetDestroy(CordsDataset *dataset);

const CordsDatasetFacts *CordsDatasetGetFacts(CordsDataset dataset);

/* What is done to its images in training; constant until the dataset is destroyed. */
const CordsAugmentation *CordsDatasetGetAugmentation(CordsDataset dataset);

/* Pixels [row][column][channel], 0..255, of image i; label of image i.  Not collective. */
PetscErrorCode CordsDatasetRead(CordsDataset dataset, CordsSample i, uint8_t *pixels, PetscInt *label);

/* Paths of the files that were read (for digests).  Borrowed. */
PetscErrorCode CordsDatasetFiles(CordsDataset dataset, PetscInt *count, const char *const **paths);

/* Names of all datasets, and what each is (for `cords info datasets`). */
PetscErrorCode CordsDatasetList(PetscInt *count, const char *const **names, const char *const **abouts);

/* Facts of a dataset that need no file, for error messages and defaults: image channels and classes.
   Errors (user): unknown name. */
PetscErrorCode CordsDatasetDescribe(const char *name, PetscInt *channels, PetscInt *classes);

#endif
