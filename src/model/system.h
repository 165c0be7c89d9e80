/* The equation, once.  SPEC section 1.

     τ_i dr_i/dt = F_i(r; image) = −r_i + φ(u_i),   u_i = W_i r_i + z_i,   z_i = V_i a_i + b_i
     a_0 = inp,  a_1 = ρ(r_0) + S inp,  a_i = ρ(r_{i−1}) + skip_i ρ(r_{i−2})

   W_i area_conv, V_i area_area, S inp_skip, ρ = relu.  Training uses it in float32 or bfloat16, analysis in float64:
   the type T is a property of the system.  States, gradients with respect to states, features and logits are of M =
   CordsTypeMaster(T); what convolutions read and write (activities as they are multiplied, drives, ∂L/∂u) is of T. M
   and T differ for bfloat16 only.

   A state of n items (images, or images at several time steps) is one block [area][item][row][column][channel]; the
   part of area i starts at n · CordsSystemOffset(i) numbers.  With n = 1 it is the layout of the Vecs of dynamics/.
   Item k uses image k mod batch of the input.  Nothing here is collective. */
#ifndef CORDS_MODEL_SYSTEM_H
#define CORDS_MODEL_SYSTEM_H

#include "model/weights.h"

typedef struct _p_CordsSystem *CordsSystem;
typedef struct _p_CordsInput *CordsInput;
typedef struct _p_CordsLinearisation *CordsLinearisation;

/* The model (of recurrent form) is borrowed.  φ is that of the architecture until changed. */
PetscErrorCode CordsSystemCreate(CordsModel model, CordsType type, CordsSystem *system);
/* The same with the maps of image, stem and areas cut over the context's domain group (core/layout): states, drives,
   biases and images in the system are this rank's tiles, and everything that convolves, reads out, takes images or
   multiplies with a Jacobian is collective on the group.  The context is borrowed. */
PetscErrorCode CordsSystemCreateCut(CordsContext context, CordsModel model, CordsType type, CordsSystem *system);
PetscErrorCode CordsSystemDestroy(CordsSystem *system);

/* Take over changed parameters. */
PetscErrorCode CordsSystemUpdate(CordsSystem system);
/* slope: of PReLU for negative arguments; else ignored. */
PetscErrorCode CordsSystemSetPhi(CordsSystem system, CordsPhi phi, PetscReal slope);

CordsContext CordsSystemContext(CordsSystem system);
CordsModel CordsSystemModel(CordsSystem system);
CordsWeights CordsSystemWeights(CordsSystem system);
CordsType CordsSystemType(CordsSystem system);
/* Neurons of this rank in the areas before (area_count: in all) and in an area. */
PetscInt CordsSystemOffset(CordsSystem system, PetscInt area);
PetscInt CordsSystemNeurons(CordsSystem system, PetscInt area);
/* The most neurons that a rank of the domain group has in one area, and in any; the same on all of them. */
PetscInt CordsSystemMostNeurons(CordsSystem system, PetscInt area);
PetscInt CordsSystemLargestArea(CordsSystem system);
/* state of n items, each a copy of the one item in `one` (both of M) */
void CordsSystemRepeat(CordsSystem system, PetscInt n, const void *one, void *state);
/* Part of an area in a state (of M) of n items. */
void *CordsSystemArea(CordsSystem system, PetscInt n, const void *state, PetscInt area);

/* What depends on the images only (inp, S inp, V_0 inp), for `batch` images. */
PetscErrorCode CordsInputCreate(CordsSystem system, PetscInt batch, CordsInput *input);
PetscErrorCode CordsInputDestroy(CordsInput *input);
/* images: float32 [batch][row][column][channel] whatever the system's type, whole on every rank of a domain group; call
   again after CordsSystemUpdate. */
PetscErrorCode CordsInputSet(CordsInput input, const float *images);
PetscInt CordsInputBatch(CordsInput input);

/* --- one area; input = NULL is the zero image --- */

/* What is known of states.  POSITIVE: none is negative, and they come by steps with relu from states none of which is;
   then ρ and ρ' cost nothing.  Gradients with respect to states that are zero are not cut off then, but stop at φ' one
   step before. */
typedef enum { CORDS_STATES_ANY, CORDS_STATES_POSITIVE } CordsStates;

/* z_i for n items.  below = r_{i−1}, below2 = r_{i−2} of the same items (ignored where i is too small). */
PetscErrorCode CordsSystemDrive(CordsSystem system, PetscInt area, PetscInt n, CordsStates states, CordsInput input,
                                const void *below, const void *below2, void *z);
/* g += (∂z_i/∂r_{i−1})ᵀ dz, g2 += (∂z_i/∂r_{i−2})ᵀ dz;  ρ'(0) = 0 */
PetscErrorCode CordsSystemDriveAdjoint(CordsSystem system, PetscInt area, PetscInt n, const void *below,
                                       const void *below2, const void *dz, void *g, void *g2);
/* As CordsSystemDriveAdjoint, and the gradient of ⟨dz, z_i⟩ with respect to V_i, skip_i, b_i, S and the stem is
   collected in the weights and in the input.  first: g2 is written, not added to, since nothing is there yet. */
PetscErrorCode CordsSystemDriveBackward(CordsSystem system, PetscInt area, PetscInt n, CordsStates states,
                                        CordsInput input, const void *below, const void *below2, const void *dz,
                                        void *g, void *g2, PetscBool first);
/* Carry what the areas collected in the input on to S and the stem; call once after all areas. */
PetscErrorCode CordsInputGradient(CordsInput input);

/* z += b_i for n items; its adjoint collects Σ dz as the gradient of b_i */
PetscErrorCode CordsSystemAddBias(CordsSystem system, PetscInt area, PetscInt n, void *z);
PetscErrorCode CordsSystemBiasBackward(CordsSystem system, PetscInt area, PetscInt n, const void *dz);

/* u += W_i r */
PetscErrorCode CordsSystemSynapses(CordsSystem system, PetscInt area, PetscInt n, const void *r, void *u);
/* v += W_iᵀ w */
PetscErrorCode CordsSystemSynapsesAdjoint(CordsSystem system, PetscInt area, PetscInt n, const void *w, void *v);
/* Gradient of ⟨du, W_i r⟩ with respect to W_i, collected in the weights. */
PetscErrorCode CordsSystemSynapsesGradient(CordsSystem system, PetscInt area, PetscInt n, const void *r,
                                           const void *du);

/* --- The fused step: one call for u = W_i r + z, φ and the leak; only for φ that are linear on either side of 0.
   Contracts of CordsConvStep, CordsConvStepAdjoint and CordsConvMaskMultiply. --- */
PetscBool CordsSystemHasFusedStep(CordsSystem system);
/* What is known of all states of a run of fused steps from a state of n items (of M) on. */
CordsStates CordsSystemStatesFrom(CordsSystem system, PetscInt n, const void *state);
size_t CordsSystemMaskWords(CordsSystem system, PetscInt area); /* uint16_t words of one item */
PetscErrorCode CordsSystemFusedStep(CordsSystem system, PetscInt area, PetscInt n, const void *x, const void *z,
                                    PetscInt period, const void *r, void *r_next, void *x_next, uint16_t *mask);
PetscErrorCode CordsSystemFusedStepAdjoint(CordsSystem system, PetscInt area, PetscInt n, const void *du, const void *g,
                                           const void *later, const uint16_t *mask, void *lambda, void *du_before);
/* du = ∂L/∂u of a step from λ = ∂L/∂r after it */
PetscErrorCode CordsSystemThroughPhi(CordsSystem system, PetscInt area, PetscInt n, const uint16_t *mask,
                                     const void *lambda, void *du);

/* --- The same in its parts, T = M. --- */

/* r_next = (1−α) r + α φ(u); r_next may be r */
PetscErrorCode CordsSystemStep(CordsSystem system, PetscInt area, PetscInt n, const void *u, const void *r,
                               void *r_next);
/* slope = φ'(u) */
PetscErrorCode CordsSystemSlope(CordsSystem system, PetscInt area, PetscInt n, const void *u, void *slope);
/* f = F_i = −r + φ(W_i r + z); work: n items of area i */
PetscErrorCode CordsSystemResidual(CordsSystem system, PetscInt area, PetscInt n, const void *z, const void *r,
                                   void *work, void *f);

/* gradient (float, in the order of model->values) += everything collected since the last zeroing */
PetscErrorCode CordsSystemAddGradient(CordsSystem system, float *gradient);
/* The same in parts, each to be added once: of what leads into an area (W_i, V_i, skip_i, b_i), i > 0; area 0: of
   everything else. */
PetscErrorCode CordsSystemAddAreaGradient(CordsSystem system, PetscInt area, float *gradient);
PetscErrorCode CordsSystemZeroGradient(CordsSystem system);

/* --- all areas --- */

/* f = F(r; image) for n = batch items of input (n = 1 where input is NULL). */
PetscErrorCode CordsSystemRhs(CordsSystem system, CordsInput input, const void *r, void *f);

/* The Jacobian of the ODE at a state of one item, in units of 1/τ with τ = tau_ms of area 0:
   diagonal blocks (τ/τ_i)(−I + D_i W_i), D_i = diag φ'(u_i), and the feed-forward blocks under them. */
PetscErrorCode CordsLinearisationCreate(CordsSystem system, CordsLinearisation *linearisation);
PetscErrorCode CordsLinearisationDestroy(CordsLinearisation *linearisation);
/* Linearise all areas at r; input with batch 1 or NULL. */
PetscErrorCode CordsLinearisationSet(CordsLinearisation linearisation, CordsInput input, const void *r);
/* Linearise one area alone at r_i, given its drive z_i; touches nothing of the other areas. */
PetscErrorCode CordsLinearisationSetArea(CordsLinearisation linearisation, PetscInt area, const void *z, const void *r);
/* D_i as an array of neurons of the area, borrowed */
const void *CordsLinearisationSlope(CordsLinearisation linearisation, PetscInt area);
/* y = J v, y = Jᵀ v over all areas for n vectors at a time; v, y: states of n items */
PetscErrorCode CordsLinearisationTangent(CordsLinearisation linearisation, PetscInt n, const void *v, void *y);
PetscErrorCode CordsLinearisationAdjoint(CordsLinearisation linearisation, PetscInt n, const void *v, void *y);
/* the same with the diagonal block of one area */
PetscErrorCode CordsLinearisationAreaTangent(CordsLinearisation linearisation, PetscInt area, const void *v, void *y);
PetscErrorCode CordsLinearisationAreaAdjoint(CordsLinearisation linearisation, PetscInt area, const void *v, void *y);

/* --- read-out --- */

/* features [item][channel] = spatial mean of ρ(r_{d−1}) + ρ(r_{d−2}) */
PetscErrorCode CordsSystemFeatures(CordsSystem system, PetscInt n, const void *last, const void *before,
                                   void *features);
/* logits [item][class] = out_fc(features) */
PetscErrorCode CordsSystemLogits(CordsSystem system, PetscInt n, const void *features, void *logits);
/* Collect the gradient of out_fc; dfeatures = out_fcᵀ dlogits */
PetscErrorCode CordsSystemLogitsBackward(CordsSystem system, PetscInt n, const void *features, const void *dlogits,
                                         void *dfeatures);
/* g += (∂features/∂r)ᵀ dfeatures, for one of the two areas read out (area d−1 or d−2), r its state */
PetscErrorCode CordsSystemFeaturesAdjoint(CordsSystem system, PetscInt area, PetscInt n, const void *r,
                                          const void *dfeatures, void *g);

#endif
