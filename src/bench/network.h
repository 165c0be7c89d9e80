/* A network with random weights that benchmarks run: a trial forward, and a training step. */
#ifndef CORDS_BENCH_NETWORK_H
#define CORDS_BENCH_NETWORK_H

#include "bench/benchmark.h"
#include "train/rollout.h"
#include "train/stage.h"

typedef struct {
  CordsModel model;
  CordsType type;
  PetscInt batch;
  float *images, *labels;
  /* a trial */
  CordsSystem system;
  CordsInput input;
  CordsRollout rollout;
  CordsPlan plan;
  CordsArray baseline, state;
  float *logits; /* [image][class], read out at the end of the stimulus */
  /* a training step: stage finetune and its optimiser */
  CordsStage stage;
  CordsOptimizer optimizer;
  float *gradient;
  CordsMetrics metrics;
  double gradient_norm;
  double planned_bytes; /* memory of the process that the plan says, of a trial or a training step */
} CordsBenchNetwork;

/* Recurrent model with PyTorch's initialisation from the seed of the context, but biases that are not zero; some images
   and labels. */
PetscErrorCode CordsBenchNetworkCreate(CordsContext context, const CordsArchitecture *architecture, CordsType type,
                                       PetscInt batch, CordsBenchNetwork *network);
PetscErrorCode CordsBenchNetworkDestroy(CordsBenchNetwork *network);

/* Get ready for CordsBenchTrial / CordsBenchStep. */
PetscErrorCode CordsBenchTrialCreate(CordsBenchNetwork *network);
PetscErrorCode CordsBenchStepCreate(CordsContext context, const CordsRolloutSettings *settings,
                                    CordsBenchNetwork *network);

/* Spontaneous and stimulus steps of the whole batch; fills logits.  A CordsBenchWork. */
PetscErrorCode CordsBenchTrial(void *network);
/* Gradient of stage finetune, clipping and AdamW.  A CordsBenchWork. */
PetscErrorCode CordsBenchStep(void *network);

/* Operations of both for the whole batch, with what is computed once per phase or batch counted once. */
double CordsBenchTrialOperations(const CordsArchitecture *architecture, PetscInt batch);
double CordsBenchStepOperationsOf(const CordsArchitecture *architecture, PetscInt batch);

#endif
