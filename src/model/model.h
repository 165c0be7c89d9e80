/* A network: architecture and parameters under their PyTorch names. */
#ifndef CORDS_MODEL_MODEL_H
#define CORDS_MODEL_MODEL_H

#include "io/tensors.h"
#include "model/architecture.h"

/* The three forms of the same network (SPEC section 2).  The form decides which parameters there are. */
typedef enum {
  CORDS_FORM_BATCHNORM, /* the CNN of stage 1, with batch normalisation */
  CORDS_FORM_FOLDED,    /* the same CNN with batch normalisation folded into area_bias and conv_bias */
  CORDS_FORM_RECURRENT  /* the CordsNet */
} CordsForm;
extern const char *const CordsFormNames[];
enum { CORDS_FORM_COUNT = 3 };

typedef struct {
  CordsArchitecture architecture;
  CordsForm form;
  PetscInt tensor_count;     /* all tensors: those that learn first, then running statistics */
  CordsTensor *tensors;      /* data point into `values` */
  PetscInt learnable_count;  /* tensors that learn */
  PetscInt value_count;      /* numbers in all tensors */
  PetscInt learnable_values; /* numbers in the tensors that learn */
  float *values;             /* one block; gradients and optimiser moments have the same order */
} CordsModelData;
typedef CordsModelData *CordsModel;

/* All parameters zero, except running variances and BN weights (1).  Not collective. */
PetscErrorCode CordsModelCreate(const CordsArchitecture *architecture, CordsForm form, CordsModel *model);
PetscErrorCode CordsModelDestroy(CordsModel *model);

/* PyTorch's default initialisation: v uniform in ±1/√fan_in, g = |v|, out_fc.bias uniform, conv_bias 0, a function of
   (seed, tensor name) only. */
PetscErrorCode CordsModelInitialise(CordsModel model, uint64_t seed);

/* Find a tensor by name; index −1 (or a NULL pointer) if there is none. */
PetscInt CordsModelFind(CordsModel model, const char *name);
float *CordsModelValues(CordsModel model, const char *name);

/* g and v of a connection: index of the tensor of g; v is the next one. */
PetscInt CordsModelConnectionTensor(CordsModel model, PetscInt connection);

/* Copy every tensor that both models have, under the same name and shape. */
PetscErrorCode CordsModelCopyShared(CordsModel from, CordsModel to);

/* Write /parameters and /architecture; read them back.  Collective.
   Errors (user): another architecture, missing or unknown tensors, wrong shapes, NaN. */
PetscErrorCode CordsModelWrite(CordsModel model, CordsH5 file, const char *group);
PetscErrorCode CordsModelRead(CordsModel model, CordsH5 file, const char *group);
/* Make the model that a checkpoint holds (its architecture, form and parameters).  Collective. */
PetscErrorCode CordsModelLoad(CordsContext context, const char *path, CordsModel *model);

#endif
