/* Training that goes wrong: a loss that grows out of bounds, and where numbers stop being finite. */
#ifndef CORDS_TRAIN_DIVERGENCE_H
#define CORDS_TRAIN_DIVERGENCE_H

#include "data/dataset.h"
#include "train/stage.h"

enum { CORDS_LOSS_WATCH_FIRST = 20, CORDS_LOSS_WATCH_IN_A_ROW = 5 };
#define CORDS_LOSS_WATCH_FACTOR 3.0

/* Running mean of the loss in a stage; zero at its start. */
typedef struct {
  double mean;
  PetscInt64 updates; /* in the mean */
  PetscInt above;     /* last updates in a row that were far above it */
} CordsLossWatch;

/* Add the loss of an update.  True, once, when it was above CORDS_LOSS_WATCH_FACTOR times the mean of the updates
   before for the CORDS_LOSS_WATCH_IN_A_ROW-th time in a row; a new mean begins after that.  mean: as it was.  Not
   collective.
 */
PetscBool CordsLossWatchAdd(CordsLossWatch *watch, double loss, double *mean);

/* A batch as CordsStageGradient gets it, for reports. */
typedef struct {
  PetscInt epoch, start, count, total;
  const float *images, *labels;
  const CordsSample *samples; /* [count] */
} CordsBatch;

/* The first tensor that learns and has a number that is not finite, on the way from the loss back to the image; NULL if
   there is none.  values [learnable_values]: a gradient, for example.  Not collective. */
const char *CordsDivergenceTensor(CordsStage stage, const float *values);

/* The same of everything that a checkpoint holds: all tensors of the model, also running statistics, and moments.
   what: "values" or "moments". */
const char *CordsDivergenceState(CordsStage stage, CordsOptimizer optimizer, const char **what);

/* "images 3, 17, 21 and 13 more": the samples of the whole batch.  Collective. */
PetscErrorCode CordsDivergenceBatch(CordsContext context, const CordsBatch *batch, size_t length, char *text);

/* Which images of the batch give a loss or gradient that is not finite by themselves, in words as above; every image is
   tried, which takes about as long as an update and spoils running statistics and `gradient` [learnable_values]:
   for a run that ends.  Collective, the same text on all ranks. */
PetscErrorCode CordsDivergenceImages(CordsContext context, CordsStage stage, const CordsBatch *batch, float *gradient,
                                     size_t length, char *text);

#endif
