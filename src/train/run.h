/* What a run of training is, from its options. */
#ifndef CORDS_TRAIN_RUN_H
#define CORDS_TRAIN_RUN_H

#include "data/dataset.h"
#include "train/stage.h"

enum { CORDS_RUN_STAGES_MAX = 16 };

/* What a run is; everything else follows from these and the seed. */
typedef struct {
  char output[PETSC_MAX_PATH_LEN];  /* directory: checkpoint.h5, checkpoint_prev.h5, cnn.h5, model.h5, log.csv */
  char initial[PETSC_MAX_PATH_LEN]; /* file of the network to start from; "": random numbers */
  PetscInt stage_count;
  PetscInt stages[CORDS_RUN_STAGES_MAX];             /* indices of CordsStageList */
  CordsStageSettings settings[CORDS_RUN_STAGES_MAX]; /* of each of them */
  CordsArchitecture architecture;
  PetscReal checkpoint_interval_s; /* at most this much work is lost when the process is killed */
  PetscInt log_interval;           /* updates per row of log.csv */
  double time_limit_s;             /* save and stop before this time after the start of the program; 0: none */
  PetscReal loss_limit;            /* a loss above it is an error; 0: none */
} CordsRun;

/* Declare and read -stages, -output, -initial, -checkpoint_interval, -time_limit, -loss_limit, -log_interval, the
   options of loading (data/image_queue.h) and of the stages. architecture is filled by the caller. */
PetscErrorCode CordsRunFromOptions(CordsRun *run);

/* What would stop the run in a later stage is found before the first.  Collective.  Errors (user): fewer images than
   ranks or than a stage wants, -memory_limit too small. */
PetscErrorCode CordsRunCheck(CordsContext context, const CordsRun *run, CordsDataset dataset);

#endif
