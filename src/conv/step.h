/* The pointwise part of an Euler step and of its adjoint, for backends that have no fused one; the definition that
   fused ones are compared with. */
#ifndef CORDS_CONV_STEP_H
#define CORDS_CONV_STEP_H

#include "conv/conv.h"

/* r_next = keep · r + gain · φ(u), x_next its rounding (bf16 only, may be NULL), mask = [u > 0] (may be NULL).
   Layouts and types as in CordsConvStep; u: T. */
void CordsStepPointwise(const CordsConvShape *shape, CordsType type, PetscInt n, const CordsConvLaw *law, const void *u,
                        const void *r, void *r_next, void *x_next, uint16_t *mask);

/* lambda = g + keep · later + v, g may be NULL; v = Wᵀ du: T. */
void CordsStepAdjointPointwise(const CordsConvShape *shape, CordsType type, PetscInt n, const CordsConvLaw *law,
                               const void *v, const void *g, const void *later, void *lambda);

#endif
