/* What the author of a way to run the steps fills in.  Add a line to rollouts.def. */
#ifndef CORDS_TRAIN_ROLLOUT_TYPE_H
#define CORDS_TRAIN_ROLLOUT_TYPE_H

#include "train/rollout.h"

typedef struct {
  const char *name;
  const char *about; /* one line */
  PetscBool (*supports)(CordsSystem system);
  /* rollout->data, for plan, steps_max and record */
  PetscErrorCode (*create)(CordsRollout rollout);
  PetscErrorCode (*destroy)(CordsRollout rollout);
  /* the phases from `state`, in place; fills rollout->features */
  PetscErrorCode (*forward)(CordsRollout rollout, void *state, const CordsObserver *observer);
  /* rollout->dfeatures of steps [read_first, read_first + read_count) are given */
  PetscErrorCode (*backward)(CordsRollout rollout, const CordsObserver *observer);
} CordsRolloutType;

enum { CORDS_PHASES_MAX = 8 };

struct _p_CordsRollout {
  const CordsRolloutType *type;
  CordsSystem system; /* borrowed */
  CordsPlan plan;
  PetscInt steps_max, area_count;
  PetscBool record;
  /* of the last run */
  PetscInt n, steps, phase_count;
  CordsPhase phases[CORDS_PHASES_MAX];
  CordsInput input;
  PetscBool recorded;
  CordsArray features;  /* M [state index][item][channel] */
  CordsArray dfeatures; /* M [step − read_first][item][channel] */
  PetscInt read_first, read_count;
  void *data; /* the type's */
};

/* Numbers in n items of an area, for the n of the run. */
static inline size_t CordsRolloutNumbers(CordsRollout rollout, PetscInt area)
{
  return (size_t)rollout->n * (size_t)CordsSystemNeurons(rollout->system, area);
}

/* features of states first .. first + count − 1 from those of the last two areas (T) */
PetscErrorCode CordsRolloutReadFeatures(CordsRollout rollout, PetscInt first, PetscInt count, const void *last,
                                        const void *before);

/* What read-out and observer add to g of states first .. first + count − 1 of an area: r T, g M. */
PetscErrorCode CordsRolloutAddLoss(CordsRollout rollout, const CordsObserver *observer, PetscInt area, PetscInt first,
                                   PetscInt count, const void *r, void *g);

#endif
