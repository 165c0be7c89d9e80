/* What the updates of a stage send, counted where it is sent, beside what train/traffic_model predicts. */
#ifndef CORDS_TRAIN_TRAFFIC_WATCH_H
#define CORDS_TRAIN_TRAFFIC_WATCH_H

#include "train/traffic_model.h"

/* Zero at the start of a stage. */
typedef struct {
  PetscInt64 updates;
  CordsTraffic counted[CORDS_TRAFFIC_KINDS], predicted[CORDS_TRAFFIC_KINDS]; /* of this rank, of all of them */
  CordsTraffic before[CORDS_TRAFFIC_KINDS];                                  /* of the update at work */
  PetscBool has_solvers; /* that decide by themselves how often they exchange: nothing is predicted of them */
} CordsTrafficWatch;

/* An update begins. */
void CordsTrafficWatchBegin(CordsTrafficWatch *watch);

/* It is over: index, of CordsStageList, and total, images of its batch, say what is predicted.  Not collective. */
PetscErrorCode CordsTrafficWatchEnd(CordsTrafficWatch *watch, CordsContext context, CordsStage stage, PetscInt index,
                                    PetscInt total, const CordsUpdateEnd *end);

/* One line of an update's mean for the log: the rank that sends most, by kind, and all ranks; and whether each rank has
   sent what was predicted, if that can be said.  Empty on one rank.  Collective. */
PetscErrorCode CordsTrafficWatchDescribe(const CordsTrafficWatch *watch, CordsContext context, size_t length,
                                         char *text);

#endif
