#include "train/time_limit.h"

#include "core/agree.h"

#include <time.h>

static double started_s = -1;

/* MPI_Wtime is not there before MPI. */
static double Now(void)
{
  struct timespec now;

  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

void CordsTimeLimitStart(void)
{
  started_s = Now();
}

double CordsTimeLimitElapsed(void)
{
  if (started_s < 0) CordsTimeLimitStart();
  return Now() - started_s;
}

void CordsTimeLimitAddUpdate(CordsTimeLimit *limit, double seconds)
{
  limit->updates_s[limit->update_count++ % CORDS_TIME_LIMIT_UPDATES] = seconds;
}

void CordsTimeLimitAddSave(CordsTimeLimit *limit, double seconds)
{
  limit->saves_s[limit->save_count++ % CORDS_TIME_LIMIT_SAVES] = seconds;
}

static double Worst(PetscInt count, const double seconds[])
{
  double worst = 0;

  for (PetscInt k = 0; k < count; k++) worst = PetscMax(worst, seconds[k]);
  return worst;
}

double CordsTimeLimitWorstUpdate(const CordsTimeLimit *limit)
{
  return Worst(CORDS_TIME_LIMIT_UPDATES, limit->updates_s);
}

double CordsTimeLimitWorstSave(const CordsTimeLimit *limit)
{
  return Worst(CORDS_TIME_LIMIT_SAVES, limit->saves_s);
}

double CordsTimeLimitNeed(const CordsTimeLimit *limit, PetscBool stage_ends)
{
  const double margin = 1.5, end_s = 1;
  double work_s = CordsTimeLimitWorstUpdate(limit) + CordsTimeLimitWorstSave(limit);

  if (stage_ends) work_s += limit->stage_s + 2 * CordsTimeLimitWorstSave(limit);
  return margin * work_s + end_s;
}

PetscErrorCode CordsTimeLimitReached(CordsContext context, const CordsTimeLimit *limit, PetscBool stage_ends,
                                     PetscBool *reached)
{
  int over = CordsTimeLimitElapsed() + CordsTimeLimitNeed(limit, stage_ends) > limit->limit_s;

  PetscFunctionBegin;
  *reached = PETSC_FALSE;
  if (limit->limit_s <= 0) PetscFunctionReturn(PETSC_SUCCESS);
  PetscCall(CordsAgreeFirst(context, sizeof over, &over));
  *reached = (PetscBool)over;
  PetscFunctionReturn(PETSC_SUCCESS);
}
