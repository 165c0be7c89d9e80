/* What an update of training costs on ranks that do not exist yet: operations, messages, memory and time by a model of
   the machine.  src/train/COUNTS.md has the formulas and what they leave out. */
#ifndef CORDS_TRAIN_STEP_COST_H
#define CORDS_TRAIN_STEP_COST_H

#include "train/machine.h"
#include "train/traffic_model.h"

typedef struct {
  CordsModel model; /* of the form of the stage */
  PetscInt stage;   /* index of CordsStageList */
  const CordsStageSettings *settings;
  PetscInt batch;       /* images on all ranks together */
  double process_bytes; /* what program and libraries take on each rank */
} CordsStepTask;

typedef struct {
  CordsRanks ranks;
  PetscInt groups;
  CordsPlan plan;                      /* of the groups that have most images */
  double operations;                   /* of the rank that has most to do */
  CordsTraffic most, all;              /* of the rank that sends most bytes, of all ranks */
  double memory_bytes;                 /* of the first rank, whose tiles and share are the largest */
  PetscBool fits;                      /* into the memory that there is */
  double compute_s, message_s, time_s; /* of the slowest rank, and their sum */
  double efficiency;                   /* time of one rank with memory enough / (ranks × time) */
} CordsStepCost;

/* Cost on a grid of grid_rows × grid_columns per group, of `size` ranks.  settings->rollout.memory_limit_bytes, or the
   machine's memory over the ranks of a node, is what a rank may take.  Not collective. */
PetscErrorCode CordsStepCostOf(const CordsStepTask *task, const CordsMachine *machine, PetscInt size,
                               PetscInt grid_rows, PetscInt grid_columns, CordsStepCost *cost);

/* Seconds on one rank with memory enough: no message, nothing computed again. */
PetscErrorCode CordsStepAlone(const CordsStepTask *task, const CordsMachine *machine, double *seconds);

#endif
