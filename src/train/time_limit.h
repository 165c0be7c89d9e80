/* -time_limit: stop while there is time to save, by how long updates and checkpoints have taken. */
#ifndef CORDS_TRAIN_TIME_LIMIT_H
#define CORDS_TRAIN_TIME_LIMIT_H

#include "core/context.h"

enum { CORDS_TIME_LIMIT_UPDATES = 16, CORDS_TIME_LIMIT_SAVES = 4 };

/* The last times in seconds; zero at first. */
typedef struct {
  double limit_s; /* since CordsTimeLimitStart; 0: none */
  double updates_s[CORDS_TIME_LIMIT_UPDATES], saves_s[CORDS_TIME_LIMIT_SAVES];
  PetscInt64 update_count, save_count;
  double stage_s; /* the last start of a stage */
} CordsTimeLimit;

/* The clock starts; may be called before MPI is there.  Not collective, as all but CordsTimeLimitReached. */
void CordsTimeLimitStart(void);
/* Seconds since then; if it was not started, it starts here. */
double CordsTimeLimitElapsed(void);

void CordsTimeLimitAddUpdate(CordsTimeLimit *limit, double seconds);
void CordsTimeLimitAddSave(CordsTimeLimit *limit, double seconds);

/* The worst of the last ones; 0 if there were none. */
double CordsTimeLimitWorstUpdate(const CordsTimeLimit *limit);
double CordsTimeLimitWorstSave(const CordsTimeLimit *limit);

/* What another update and a checkpoint may take, half as much again as at worst, and a second to end the program.
   stage_ends: the next stage is made before the update, and one file more is written. */
double CordsTimeLimitNeed(const CordsTimeLimit *limit, PetscBool stage_ends);

/* Whether that does not fit any more, by the clock of rank 0.  Collective. */
PetscErrorCode CordsTimeLimitReached(CordsContext context, const CordsTimeLimit *limit, PetscBool stage_ends,
                                     PetscBool *reached);

#endif
