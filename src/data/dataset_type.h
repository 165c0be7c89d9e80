/* What the author of a dataset fills in: a CordsDatasetType, in datasets/<file>.c, and a line in datasets.def.  The
   rest of cords uses data/dataset.h and never this file. */
#ifndef CORDS_DATA_DATASET_TYPE_H
#define CORDS_DATA_DATASET_TYPE_H

#include "data/dataset.h"
#include "data/dataset_file.h"

typedef struct {
  const char *name;  /* the word after -dataset; also written into checkpoints */
  const char *about; /* one line for `cords info datasets` */

  /* Facts that need no file. */
  PetscInt channels, classes;
  const char *const *class_names; /* `classes` of them */
  float mean[3], deviation[3];    /* of the values / 255, per channel */
  CordsAugmentation augmentation; /* of training images */

  /* Open the files of a split in directory `path`: set dataset->data and count, rows and columns of dataset->facts.
     Collective.  Sizes are checked before memory is allocated, labels before they are used; errors are user errors
     on dataset->context->comm.  After an error `close` is called. */
  PetscErrorCode (*open)(CordsDataset dataset, const char *path, CordsSplit split);

  /* Pixels [row][column][channel], 0..255, and label of image i, which is in range.  Not collective. */
  PetscErrorCode (*read)(CordsDataset dataset, CordsSample i, uint8_t *pixels, PetscInt *label);

  /* Free dataset->data, which may be NULL or half filled. */
  PetscErrorCode (*close)(CordsDataset dataset);
} CordsDatasetType;

struct _p_CordsDataset {
  const CordsDatasetType *type;
  CordsContext context;
  CordsDatasetFacts facts;
  void *data;            /* of the type */
  CordsDatasetFile file; /* the one that is open, or NULL */
  char **paths;          /* files that were opened */
  PetscInt path_count;
};

/* Find the first of names[0..count) in `folder` and open it as dataset->file; it is closed by the next call, or when
   the dataset is destroyed.  Its path is kept for CordsDatasetFiles.  Collective.  Errors: see dataset_file.h. */
PetscErrorCode CordsDatasetOpenFile(CordsDataset dataset, const char *folder, PetscInt count,
                                    const char *const names[]);

#endif
