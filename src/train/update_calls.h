/* What the ranks of a domain group call in one update, as a list: convolutions, pooling and sums, each with how many
   images (and steps) it is given at a time and how often.  Written down from the equations of the stages and from the
   plan, without a system; what it costs in messages is train/traffic_model, in operations CordsCallsOperations.
   src/train/COUNTS.md has the same as formulas. */
#ifndef CORDS_TRAIN_UPDATE_CALLS_H
#define CORDS_TRAIN_UPDATE_CALLS_H

#include "model/model.h"
#include "train/stage.h"

typedef enum {
  CORDS_CALL_CONV,       /* an operation of a connection on `items` images */
  CORDS_CALL_POOL,       /* the pooling after the stem on `items` images: forward or backward_data */
  CORDS_CALL_FEATURES,   /* read-outs of `items` states, summed over the domain group */
  CORDS_CALL_STATISTICS, /* mean and spread of `items` channels over all ranks (stage 1) */
  CORDS_CALL_NORM_SUM    /* two sums for each of `items` channels over all ranks (stage 1, on the way back) */
} CordsCallKind;

typedef struct {
  CordsCallKind kind;
  PetscInt connection;          /* of CONV */
  CordsConvOperation operation; /* of CONV and POOL */
  CordsType type;               /* of the numbers that travel */
  PetscInt items;               /* of one call */
  PetscInt64 times;
} CordsCall;

/* Zero to begin with; PetscFree(calls.list) by the caller. */
typedef struct {
  PetscInt count, capacity;
  CordsCall *list; /* no two with the same all but `times` */
} CordsCalls;

/* An update of a stage (index of CordsStageList) on one domain group. */
typedef struct {
  const CordsArchitecture *architecture;
  const CordsStageSettings *settings;
  CordsPlan plan;  /* of a stage with time: CordsStagePlan, CordsPlanStates */
  PetscInt images; /* of the batch on this group; may be 0 */
} CordsUpdateTask;

/* Add the calls of an update.  Nothing with -gradient equilibrium, whose solvers decide by themselves how often they
   call.  Not collective. */
PetscErrorCode CordsStageCalls(PetscInt stage, const CordsUpdateTask *task, CordsCalls *calls);

/* For the stages (stage_type.h). */
PetscErrorCode CordsCallsCnn(const CordsUpdateTask *task, CordsCalls *calls);      /* stage 1, there and back */
PetscErrorCode CordsCallsInverse(const CordsUpdateTask *task, CordsCalls *calls);  /* stage 2 */
PetscErrorCode CordsCallsStimulus(const CordsUpdateTask *task, CordsCalls *calls); /* stage 3 */
PetscErrorCode CordsCallsTrial(const CordsUpdateTask *task, CordsCalls *calls);    /* stages 4 and 5 */

/* Multiply-adds × 2 of the convolutions of a type on one rank: those of whole maps in proportion to the pixels that the
   rank computes.  The read-out is done by every rank of the group.  Not collective. */
double CordsCallsOperations(const CordsCalls *calls, const CordsArchitecture *architecture, PetscInt grid_rows,
                            PetscInt grid_columns, PetscInt domain_rank, CordsType type);

#endif
