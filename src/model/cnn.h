/* The feed-forward network of stage 1 (batch normalised) and its folded form: the same convolutions as the CordsNet,
   each used once.  SPEC section 2.

     batchnorm  x_i = ρ(nrm2_i(W_i norm_i(V_i a_i)))        folded  x_i = ρ(W_i (V_i a_i + area_bias_i) + conv_bias_i)

   with a_i as in model/system.h, x for ρ(r); in the batchnorm form inp and the skips are normalised too. */
#ifndef CORDS_MODEL_CNN_H
#define CORDS_MODEL_CNN_H

#include "model/model.h"

typedef struct _p_CordsCnn *CordsCnn;

/* For up to `batch` images of this rank at a time.  The model (batchnorm or folded) is borrowed. */
PetscErrorCode CordsCnnCreate(CordsContext context, CordsModel model, CordsType type, PetscInt batch, CordsCnn *cnn);
PetscErrorCode CordsCnnDestroy(CordsCnn *cnn);

/* Take over changed parameters. */
PetscErrorCode CordsCnnUpdate(CordsCnn cnn);

/* logits [n][class] in the type of the network; images float32 NHWC.  training: batch statistics (over all ranks), and
   the running ones are updated; else the running ones are used.  Collective on the context's comm when training. */
PetscErrorCode CordsCnnForward(CordsCnn cnn, PetscInt n, const float *images, PetscBool training, void *logits);

/* gradient (in the order of model->values) += gradient of ⟨dlogits, logits⟩ of the last training forward pass.
   Batchnorm form only.  Collective. */
PetscErrorCode CordsCnnBackward(CordsCnn cnn, const void *dlogits, float *gradient);

/* Of the last forward pass of a folded network, n items: drive V_i a_i, and response T_i = W_i (V_i a_i + area_bias_i)
   + conv_bias_i before the nonlinearity.  Borrowed. */
PetscErrorCode CordsCnnTarget(CordsCnn cnn, PetscInt area, const void **drive, const void **response);

#endif
