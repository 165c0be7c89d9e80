/* How much of a rollout is done at once and how much is kept: the choice between memory and work, made before the run
   from the architecture alone.  What runs it is rollouts/fused.c.  The gradient through the equilibrium keeps no steps:
   its batch is only cut into parts. */
#ifndef CORDS_TRAIN_PLAN_H
#define CORDS_TRAIN_PLAN_H

#include "data/image_queue.h"
#include "train/state_sizes.h"

typedef struct {
  PetscInt images; /* at a time; a larger batch is done in parts */
  PetscInt block;  /* steps whose drives, adjoints and weight gradients are one call; 0: nothing depends on steps */
  PetscInt kept;   /* last steps of which every state is kept; the others are computed again on the way back */
} CordsPlan;

/* How the user wants a rollout: options -rollout, -precision, -memory_limit. */
typedef struct {
  char name[32]; /* of rollouts.def; "": the fastest that can */
  CordsType type;
  double memory_limit_bytes; /* 0: none */
  CordsPlan plan;            /* images > 0: the plan, whatever memory there is; for tests */
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

/* A plan beside what it costs.  The two factors come from operation counts; their product is how much slower the run is
   than it would be with memory enough. */
typedef struct {
  CordsPlan plan;
  PetscInt batch, steps; /* what of the plan's numbers are parts */
  double states_bytes;   /* states and what is needed to get from one to the next: rollout or solvers, work space */
  double other_bytes;    /* everything else of the process at its peak */
  double limit_bytes;    /* 0: none */
  double recomputation;  /* time with recomputation / time without */
  double kernels;        /* time with the kernels at hand / time with the fastest, as trials compared them */
} CordsPlanCost;

/* Full speed: nothing is computed twice, blocks that stay in the cache. */
CordsPlan CordsPlanFast(CordsSystem system, const CordsPlanTask *task);

/* The fastest plan whose states take at most `room` bytes (INFINITY: no limit), and what they take; false, and the
   bytes of the most modest plan, where none does.  Not collective; needs no system. */
PetscBool CordsPlanStates(const CordsStateSizes *sizes, const CordsPlanTask *task, double room, CordsPlan *plan,
                          double *states_bytes, double *smallest);

/* The fastest plan whose memory stays under the limit (bytes, 0: none).  extra_bytes: what this process will take
   beside the rollout and what it has now (its resident set is looked up).  Not collective.
   Errors (user): the limit is too small; the sentence says what the smallest is. */
PetscErrorCode CordsPlanMake(CordsSystem system, const CordsPlanTask *task, double limit_bytes, double extra_bytes,
                             CordsPlanCost *cost);

/* A batch that is done in parts of some images, one part after the other, with nothing computed twice: the largest
   parts that take at most `enough` bytes, and less if the limit says so.  one_bytes: what a part of one image takes,
   more_bytes: each further image; extra_bytes: as above.  Not collective.
   Errors (user): the limit is too small for one image at a time; the sentence says what the smallest is. */
PetscErrorCode CordsPlanParts(CordsSystem system, PetscInt batch, double one_bytes, double more_bytes,
                              double enough_bytes, double limit_bytes, double extra_bytes, CordsPlanCost *cost);

/* One line for the log: what was chosen, the memory it takes, how much slower the run is for it.  PetscFree by the
   caller. */
PetscErrorCode CordsPlanDescribe(const CordsPlanCost *cost, char **text);

/* What learning takes beside states: weights backwards, gradient and two moments of the optimiser, the images of a
   batch, and those that wait for their turn, what kernels and libraries take for themselves; bytes.  most: images that
   a convolution is given at a time, every step of every one counted. */
double CordsPlanLearningBytes(CordsSystem system, const CordsLoading *loading, PetscInt batch, PetscInt most);
/* What a CordsInput of so many images takes. */
double CordsPlanInputBytes(CordsSystem system, PetscInt images);

/* Resident set of this process now and at its highest, bytes; 0 where the system does not tell. */
double CordsResidentBytes(void);
double CordsResidentPeakBytes(void);

#endif
