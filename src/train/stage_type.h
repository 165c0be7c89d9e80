/* What the author of a training stage fills in.  Add a line to stages.def, in the order of training. */
#ifndef CORDS_TRAIN_STAGE_TYPE_H
#define CORDS_TRAIN_STAGE_TYPE_H

#include "train/gradient_sum.h"
#include "train/update_calls.h"

typedef struct {
  const char *name;  /* the word in -stages and the prefix of the stage's options */
  const char *about; /* one line */
  CordsForm form;    /* of the network that is trained */
  PetscBool has_target;
  CordsStageSettings defaults;
  PetscBool (*learns)(const char *tensor);
  /* values of the new model (and target) from the previous one; previous is NULL for a random start */
  PetscErrorCode (*start)(CordsContext context, CordsModel previous, CordsModel model, CordsModel target);
  /* what the gradient needs: stage->data */
  PetscErrorCode (*create)(CordsStage stage);
  PetscErrorCode (*destroy)(CordsStage stage);
  /* contract of CordsStageDescribe; may be NULL */
  PetscErrorCode (*describe)(CordsStage stage, char **text);
  /* contract of CordsStageCalls */
  PetscErrorCode (*calls)(const CordsUpdateTask *task, CordsCalls *calls);
  /* contract of CordsStageGradient; the gradient is zero on entry, parameters may have changed since the last call */
  PetscErrorCode (*gradient)(CordsStage stage, PetscInt epoch, PetscInt n, PetscInt total, const float *images,
                             const float *labels, float *gradient, CordsMetrics *metrics);
} CordsStageType;

struct _p_CordsStage {
  CordsContext context;
  const CordsStageType *type;
  CordsStageSettings settings;
  PetscInt batch_local;
  CordsModel model, target; /* owned */
  CordsPlan plan;           /* of steps in time; zero where there are none */
  CordsGradientSum summing; /* made when it is wanted */
  CordsGradientSum sum; /* the same while a gradient is to be summed, for the type to tell it what is done; or NULL */
  void *data;           /* the type's */
};

/* All tensors learn. */
PetscBool CordsStageLearnsAll(const char *tensor);

#endif
