/* Accuracy and loss of a network on a dataset, at each time step of the stimulus. */
#ifndef CORDS_TRAIN_EVALUATE_H
#define CORDS_TRAIN_EVALUATE_H

#include "data/image_queue.h"
#include "model/model.h"
#include "train/plan.h"

typedef struct {
  PetscInt steps;     /* stimulus steps of a recurrent network; 1 for a CNN */
  PetscInt64 images;  /* evaluated on all ranks, without those that were left out */
  PetscInt64 skipped; /* images of all ranks that could not be used */
  double *accuracy;   /* [step], of the whole set, on every rank */
  double *loss;       /* [step] */
  PetscInt64 count;   /* images of this rank: the samples [start, start + count) */
  PetscInt64 start;
  PetscInt64 *predicted, *label; /* [count], at the last step; predicted −1: left out */
} CordsEvaluation;

/* settings: rollout and precision; a CNN runs in float32.  loading: how images get ready.
   Images 0 .. images−1 of the dataset (0: all), split over the ranks in contiguous parts.  Collective.
   The evaluation is freed by CordsEvaluationDestroy. */
PetscErrorCode CordsEvaluate(CordsContext context, CordsModel model, const CordsRolloutSettings *settings,
                             const CordsLoading *loading, CordsDataset dataset, PetscInt64 images,
                             CordsEvaluation *evaluation);
PetscErrorCode CordsEvaluationDestroy(CordsEvaluation *evaluation);

/* Images of a batch such that their activity at one step stays small; at least 1, at most 256. */
PetscInt CordsEvaluateBatch(const CordsArchitecture *architecture);

#endif
