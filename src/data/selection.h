/* The test images that a command works on: -dataset, -data and -samples. */
#ifndef CORDS_DATA_SELECTION_H
#define CORDS_DATA_SELECTION_H

#include "data/dataset.h"

typedef struct {
  char dataset[64], data[PETSC_MAX_PATH_LEN];
  CordsSample first, end; /* images first .. end−1 of the test split */
} CordsSelection;

/* Declare and read the options; samples is the default of -samples, "A:B", or NULL for a command without that option.
   Errors (user): missing options, a range without images. */
PetscErrorCode CordsSelectionConfigure(CordsSelection *selection, const char *samples);

/* Open the test split.  Collective.  where: file of the network, for messages.
   Errors (user): as CordsDatasetOpen; images or classes that the network is not made for; samples that do not exist. */
PetscErrorCode CordsSelectionOpen(CordsContext context, const CordsSelection *selection, const char *where,
                                  PetscInt channels, PetscInt classes, CordsDataset *dataset);

#endif
