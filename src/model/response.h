/* What an area answers to its input: r_next = (1−α) r + α φ(W_i r + z), a step of any length α (1: no leak), with its
   derivative kept.

   With D = α diag φ'(W_i r + z) at the r given last, the products with D W_i, its transpose and D follow without
   another look at u; where φ is linear on either side of zero D is one bit per neuron.  The fixed points of the map are
   the steady states of the area with its drive z held fixed (model/system.h).

   All arrays are [item][row][column][channel] of the system's type, which is float32 or float64.  Not collective. */
#ifndef CORDS_MODEL_RESPONSE_H
#define CORDS_MODEL_RESPONSE_H

#include "model/system.h"

typedef struct _p_CordsResponse *CordsResponse;

/* Of one area for at most `items` items; the system is borrowed, and its φ is the one of the last evaluation.
   alpha: whatever the network's own steps are. */
PetscErrorCode CordsResponseCreate(CordsSystem system, PetscInt area, PetscInt items, PetscReal alpha,
                                   CordsResponse *response);
PetscErrorCode CordsResponseDestroy(CordsResponse *response);

/* r_next = (1−α) r + α φ(W r + z), not in place; D of this r is kept until the next call. */
PetscErrorCode CordsResponseEvaluate(CordsResponse response, PetscInt n, const void *r, const void *z, void *r_next);

/* y = D W v, not in place */
PetscErrorCode CordsResponseTangent(CordsResponse response, PetscInt n, const void *v, void *y);
/* du = D λ; may be in place */
PetscErrorCode CordsResponseThrough(CordsResponse response, PetscInt n, const void *lambda, void *du);
/* λ = g + Wᵀ du,  du_before = D λ;  g NULL: zero; λ may be g; du_before is not du, and NULL if it is not wanted */
PetscErrorCode CordsResponseAdjoint(CordsResponse response, PetscInt n, const void *du, const void *g, void *lambda,
                                    void *du_before);

/* Memory of D for one item of an area, bytes. */
double CordsResponseBytes(CordsSystem system, PetscInt area);

#endif
