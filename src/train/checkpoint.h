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
  double update_s, save_s; /* worst recent times, for -time_limit of a run that continues here */
} CordsTrainState;

/* Write PATH (through PATH.part): parameters of the stage's model (and target), moments, state, and the SHA-256 of all
   these numbers.  previous: the name that the file of that name gets (CordsH5KeepPrevious); NULL: it is replaced.
   stages: the run's list of stages as text.  Collective. */
PetscErrorCode CordsCheckpointWrite(CordsContext context, const char *path, const char *previous, const char *stages,
                                    const CordsTrainState *state, CordsStage stage, CordsOptimizer optimizer,
                                    PetscInt input_count, const char *const inputs[]);

/* Whether a file is a whole checkpoint of training: every number can be read, is finite and is what was written.
   reason: a sentence that names the file, if not.  Collective. */
PetscErrorCode CordsCheckpointCheck(CordsContext context, const char *path, PetscBool *whole, size_t length,
                                    char *reason);

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
