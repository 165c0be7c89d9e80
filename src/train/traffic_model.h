/* How many messages of how many bytes a rank sends in an update of training, without sending any: from the calls of the
   update (train/update_calls), the windows of tiles (conv/cut_shape) and the way of sums (core/reduce).
   src/train/COUNTS.md has the formulas; tests/unit/train/test_traffic_model.c compares them with what is counted where
   it is sent.

   Of an update are: the gradient with everything it exchanges, its sum and that of the metrics, and the agreements
   after it (stop, save, time).  Not of an update: what is exchanged once at the start of a stage, checkpoints, anything
   of datasets, and the line about loading at the end of an epoch. */
#ifndef CORDS_TRAIN_TRAFFIC_MODEL_H
#define CORDS_TRAIN_TRAFFIC_MODEL_H

#include "core/traffic.h"
#include "train/update_calls.h"

/* The ranks of a run: groups of grid_rows × grid_columns neighbouring ranks share images. */
typedef struct {
  PetscInt size, grid_rows, grid_columns;
  PetscInt ranks_per_node; /* neighbours on one node; 0: all */
} CordsRanks;

/* What a rank sends, and the part of it that goes to ranks of other nodes. */
typedef struct {
  CordsTraffic all, far;
} CordsForecast;

/* What may happen at the end of an update besides. */
typedef struct {
  PetscBool time_limit; /* -time_limit is given */
  PetscBool log_row;    /* a row of log.csv is written */
} CordsUpdateEnd;

/* calls: of the update, on the group of `rank`.  model: of the stage; its tensors tell what a gradient is.
   end may be NULL: neither.  Not collective. */
PetscErrorCode CordsTrafficForecast(const CordsCalls *calls, CordsModel model, const CordsRanks *ranks, PetscInt rank,
                                    const CordsUpdateEnd *end, CordsForecast forecast[CORDS_TRAFFIC_KINDS]);

/* Images of a batch of `total` that the group of a rank has (data/loader: the first groups have one more). */
PetscInt CordsGroupImages(const CordsRanks *ranks, PetscInt rank, PetscInt total);

#endif
