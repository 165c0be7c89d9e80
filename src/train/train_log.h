/* log.csv: one row of averages every few updates.  Its length is part of the checkpoint, so a continued run writes the
   same file as one that was never stopped. */
#ifndef CORDS_TRAIN_TRAIN_LOG_H
#define CORDS_TRAIN_TRAIN_LOG_H

#include "train/checkpoint.h"

typedef struct _p_CordsTrainLog *CordsTrainLog;

/* Open DIR/log.csv and cut it to state->log_bytes (0: write the header).  Rank 0 alone touches the file.  Collective.
   Errors (user): not writable. */
PetscErrorCode CordsTrainLogOpen(CordsContext context, const char *path, CordsTrainState *state, CordsTrainLog *log);
PetscErrorCode CordsTrainLogClose(CordsTrainLog *log);

/* Add one update to the sums in the state. */
void CordsTrainLogAdd(CordsTrainState *state, const CordsMetrics *metrics, double gradient_norm);

/* Write the averages as a row and empty the sums.  Collective. */
PetscErrorCode CordsTrainLogRow(CordsTrainLog log, CordsTrainState *state, const char *stage, PetscInt loss_steps,
                                PetscInt area_count, PetscInt64 samples, double learning_rate);

/* Make sure that what the checkpoint counts as written is on the disk.  Collective. */
PetscErrorCode CordsTrainLogFlush(CordsTrainLog log);

#endif
