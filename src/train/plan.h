/* How much of a rollout is done at once and how much is kept: the choice between memory and work, made before the run
   from the architecture alone.  What runs it is rollouts/fused.c. */
#ifndef CORDS_TRAIN_PLAN_H
#define CORDS_TRAIN_PLAN_H

#include "model/system.h"

typedef struct {
  PetscInt images; /* at a time; a larger batch is done in parts */
  PetscInt block;  /* steps whose drives, adjoints and weight gradients are one call */
  PetscInt kept;   /* last steps of which every state is kept; the others are computed again on the way back */
} CordsPlan;

/* How the user wants a rollout: options -rollout, -precision, -memory_limit. */
typedef struct {
  char name[32]; /* of rollouts.def; "": the fastest that can */
  CordsType type;
  double memory_limit_bytes; /* 0: none */
} CordsRolloutSettings;

/* Declare and read the options. */
PetscErrorCode CordsRolloutSettingsFromOptions(CordsRolloutSettings *settings);

/* What a rollout is asked to do. */
typedef struct {
  PetscInt batch;       /* images */
  PetscInt spontaneous; /* steps of one image before, never differentiated */
  PetscInt steps;       /* recorded, or only run */
  PetscBool record;
} CordsPlanTask;

/* A plan beside what it costs. */
typedef struct {
  CordsPlan plan;
  double rollout_bytes; /* what the rollout and the work space of its system will take */
  double other_bytes;   /* everything else of the process at its peak */
  double limit_bytes;   /* 0: none */
  double recomputation; /* time with recomputation / time without, from operation counts */
} CordsPlanCost;

/* Full speed: nothing is computed twice, blocks that stay in the cache. */
CordsPlan CordsPlanFast(CordsSystem system, const CordsPlanTask *task);

/* The fastest plan whose memory stays under the limit (bytes, 0: none).  extra_bytes: what this process will take
   beside the rollout and what it has now (its resident set is looked up).  Not collective.
   Errors (user): the limit is too small; the sentence says what the smallest is. */
PetscErrorCode CordsPlanMake(CordsSystem system, const CordsPlanTask *task, double limit_bytes, double extra_bytes,
                             CordsPlanCost *cost);

/* One line for the log: what was chosen, the memory it takes, what recomputation costs.  PetscFree by the caller. */
PetscErrorCode CordsPlanDescribe(const CordsPlanTask *task, const CordsPlanCost *cost, char **text);

/* Resident set of this process now and at its highest, bytes; 0 where the system does not tell. */
double CordsResidentBytes(void);
double CordsResidentPeakBytes(void);

#endif
