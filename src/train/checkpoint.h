/* The complete state of a training run in one file: everything that the continued run needs to be bit-identical. */
#ifndef CORDS_TRAIN_CHECKPOINT_H
#define CORDS_TRAIN_CHECKPOINT_H

#include "train/optimizer.h"
#include "train/stage.h"

/* Where a run stands: the next batch to be trained on is `batch` of `epoch` of stage number `stage` of the run. */
typedef struct {
  PetscInt64 stage;                /* in the run's list of stages */
  PetscInt64 epoch, batch, update; /* update: counts batches in the stage */
  PetscInt64 log_bytes;            /* valid length of log.csv */
  PetscInt64 row_updates;          /* updates since its last row, their sums below */
  double row_norm;
  CordsMetrics row;
} CordsTrainState;

/* Write PATH (through PATH.part): parameters of the stage's model (and target), moments, state.  stages: the run's list
   of stages as text.  Collective. */
PetscErrorCode CordsCheckpointWrite(CordsContext context, const char *path, const char *stages,
                                    const CordsTrainState *state, CordsStage stage, CordsOptimizer optimizer,
                                    PetscInt input_count, const char *const inputs[]);

/* Where the run of a checkpoint stands; its choices of kernels (conv/choice.h) are used from here on.  Errors (user):
   not a checkpoint of training; another list of stages or seed than this run's. */
PetscErrorCode CordsCheckpointReadState(CordsContext context, const char *path, const char *stages,
                                        CordsTrainState *state);
/* Parameters and moments.  Errors (user): another architecture, damaged tensors. */
PetscErrorCode CordsCheckpointReadStage(CordsContext context, const char *path, CordsStage stage,
                                        CordsOptimizer optimizer);

/* Write a model alone: DIR/model.h5, DIR/cnn.h5.  Collective. */
PetscErrorCode CordsCheckpointWriteModel(CordsContext context, const char *path, CordsModel model, PetscInt input_count,
                                         const char *const inputs[]);

#endif
