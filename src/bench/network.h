/* A network with random weights that benchmarks run: a trial forward, and a training step. */
#ifndef CORDS_BENCH_NETWORK_H
#define CORDS_BENCH_NETWORK_H

#include "bench/benchmark.h"
#include "train/rollout.h"
#include "train/stage.h"

typedef struct {
  CordsContext context;
  CordsModel model;
  CordsType type;
  PetscInt batch, total; /* images of this rank, of all ranks */
  float *images, *labels;
  /* a trial */
  CordsSystem system;
  CordsInput input;
  CordsRollout rollout;
  CordsPlan plan; /* of a training step only plan.images is known */
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
   and labels.  batch: of all ranks together, at least one each; the same images on any number of ranks. */
PetscErrorCode CordsBenchNetworkCreate(CordsContext context, const CordsArchitecture *architecture, CordsType type,
                                       PetscInt batch, CordsBenchNetwork *network);
PetscErrorCode CordsBenchNetworkDestroy(CordsBenchNetwork *network);

/* Get ready for CordsBenchTrial / CordsBenchStep, with the kernels of conv/choice.h.  Collective. */
PetscErrorCode CordsBenchTrialCreate(CordsBenchNetwork *network);
PetscErrorCode CordsBenchStepCreate(CordsBenchNetwork *network);

/* Backends that do its convolutions, as text.  operations: the first so many of CordsConvOperation; after one of the
   two above. */
void CordsBenchNetworkBackends(const CordsBenchNetwork *network, PetscInt operations, size_t length, char *text);

/* Spontaneous and stimulus steps of the whole batch; fills logits.  A CordsBenchWork. */
PetscErrorCode CordsBenchTrial(void *network);
/* Gradient of stage finetune summed over ranks, clipping and AdamW.  A CordsBenchWork.  Collective. */
PetscErrorCode CordsBenchStep(void *network);

/* Operations of both for the whole batch, with what is computed once per phase or batch counted once, though every rank
   does it. */
double CordsBenchTrialOperations(const CordsArchitecture *architecture, PetscInt batch);
double CordsBenchStepOperationsOf(const CordsArchitecture *architecture, PetscInt batch);

#endif
