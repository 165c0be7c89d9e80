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

/* --- A batch that is done in parts of some images, one part after the other, with nothing computed twice. --- */

typedef struct {
  PetscInt images, batch; /* of a part, and of all */
  double part_bytes;      /* what a part of so many images takes */
  double other_bytes;     /* everything else of the process at its peak */
  double limit_bytes;     /* 0: none */
} CordsPartsCost;

/* The largest parts that take at most `enough` bytes, and less if the limit says so.  one_bytes: what a part of one
   image takes, more_bytes: each further image; extra_bytes: as above.  Not collective.
   Errors (user): the limit is too small for one image at a time; the sentence says what the smallest is. */
PetscErrorCode CordsPlanParts(PetscInt batch, double one_bytes, double more_bytes, double enough_bytes,
                              double limit_bytes, double extra_bytes, CordsPartsCost *cost);

/* As CordsPlanDescribe. */
PetscErrorCode CordsPlanDescribeParts(const CordsPartsCost *cost, char **text);

/* What learning takes beside states: weights backwards, gradient and two moments of the optimiser, the images of a
   batch, and what kernels and libraries take for themselves; bytes.  most: images that a convolution is given at a time,
   every step of every one counted. */
double CordsPlanLearningBytes(CordsSystem system, PetscInt batch, PetscInt most);
/* What a CordsInput of so many images takes. */
double CordsPlanInputBytes(CordsSystem system, PetscInt images);

/* Resident set of this process now and at its highest, bytes; 0 where the system does not tell. */
double CordsResidentBytes(void);
double CordsResidentPeakBytes(void);

#endif
