/* A dataset: numbered, labelled images that any rank can read in any order. */
#ifndef CORDS_DATA_DATASET_H
#define CORDS_DATA_DATASET_H

#include "core/context.h"
#include "data/augment.h"
#include "data/bytes.h"
#include "data/decode.h"
#include "io/results.h"

typedef PetscInt64 CordsSample; /* number of an image in its split of the dataset */

typedef enum { CORDS_SPLIT_TRAIN, CORDS_SPLIT_TEST } CordsSplit;

typedef struct _p_CordsDataset *CordsDataset;

/* Facts of an open dataset; all constant until it is destroyed. */
typedef struct {
  const char *name;
  CordsSample count;           /* images in this split */
  PetscInt classes;            /* labels are 0 .. classes-1 */
  PetscInt channels;           /* 1 grey, 3 colour */
  PetscInt rows, columns;      /* of every image; 0: images are files, JPEG or PNG, of any size */
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

/* Pixels [row][column][channel], 0..255, of image i; label of image i.  For datasets of one size.  Not collective. */
PetscErrorCode CordsDatasetRead(CordsDataset dataset, CordsSample i, uint8_t *pixels, PetscInt *label);

/* The same from any thread; i must be in range.  False: problem says why the image cannot be read. */
PetscBool CordsDatasetPixels(CordsDataset dataset, CordsSample i, uint8_t *pixels, PetscInt *label,
                             char problem[CORDS_DECODE_PROBLEM]);

/* For datasets of image files: the file of image i as it is, and its label.  From any thread, each with its own buffer.
   False: the file cannot be read, and problem says why. */
PetscBool CordsDatasetFetch(CordsDataset dataset, CordsSample i, CordsBytes *file, PetscInt *label,
                            char problem[CORDS_DECODE_PROBLEM]);
/* Bytes of that file, −1 if it cannot be looked at, and the label, without reading it. */
PetscInt64 CordsDatasetLength(CordsDataset dataset, CordsSample i, PetscInt *label);
/* Where image i is, for messages: its file, or the dataset and its number.  Any dataset. */
void CordsDatasetWhere(CordsDataset dataset, CordsSample i, size_t length, char *text);

/* -strict_images: an image that cannot be read or decoded stops the run instead of being left out.  To be called when
   a command is configured; holds for datasets that are opened after it. */
PetscErrorCode CordsDatasetStrictFromOptions(void);

/* Image i cannot be used, problem says why.  It is counted and reported once on this rank; with -strict_images that is
   a user error.  Not collective; from one thread. */
PetscErrorCode CordsDatasetSkip(CordsDataset dataset, CordsSample i, const char *problem);

/* Images that some rank has left out, sorted.  Collective.  PetscFree by the caller. */
PetscErrorCode CordsDatasetSkipped(CordsDataset dataset, PetscInt *count, CordsSample **images);

/* Paths of the files that were read (for digests), without archives of images.  Borrowed. */
PetscErrorCode CordsDatasetFiles(CordsDataset dataset, PetscInt *count, const char *const **paths);
/* CordsResultsCommit of what a command made from a checkpoint and the dataset's images: /run names both.  Collective.
 */
PetscErrorCode CordsDatasetCommitResults(CordsDataset dataset, const char *command, const char *checkpoint,
                                         CordsResults *results);

/* Names of all datasets, and what each is (for `cords info datasets`). */
PetscErrorCode CordsDatasetList(PetscInt *count, const char *const **names, const char *const **abouts);

/* Facts of a dataset that need no file, for error messages and defaults: image channels and classes, 0 where only the
   files tell.  Errors (user): unknown name. */
PetscErrorCode CordsDatasetDescribe(const char *name, PetscInt *channels, PetscInt *classes);

#endif
