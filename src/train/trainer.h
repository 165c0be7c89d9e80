/* The one training loop: batch, gradient, reduce, update, report, checkpoint, stop on signal. */
#ifndef CORDS_TRAIN_TRAINER_H
#define CORDS_TRAIN_TRAINER_H

#include "data/dataset.h"
#include "train/run.h"

/* Train, or continue where the output directory stands, to the end.  stopped: SIGTERM, SIGUSR1 or the time limit asked
   to stop, and the state was saved, or nothing was touched yet; the same call continues.  The signals are caught during
   the call, and before it from CordsStopCatch on; the time counts from CordsTimeLimitStart.  Says on the log where it
   stopped and why.  Collective. Errors (user): output not writable, checkpoint of another run, checkpoint and the one
   before it damaged, fewer images than ranks, -memory_limit too small, loss or parameters not finite, loss above its
   limit. */
PetscErrorCode CordsTrain(CordsContext context, const CordsRun *run, CordsDataset dataset, PetscBool *stopped);

#endif
