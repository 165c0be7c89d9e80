/* A convolution whose maps are cut over a domain group: each rank does its part by the kernels of an ordinary
   convolution, first what needs no halo while the halo travels, then the rest.  Behind CordsConvCreateCut; the
   contracts are those of conv.h with tiles for images.

   An exchange is one message for all images (and time steps) of a call from every rank that owns a part of the window.
   Everything is collective on the domain group. */
#ifndef CORDS_CONV_CUT_CONV_H
#define CORDS_CONV_CUT_CONV_H

#include "conv/conv.h"
#include "core/context.h"

typedef struct _p_CordsCutConv *CordsCutConv;

/* CordsConvChoicePrepare for what all ranks of a domain group will create for these convolutions of whole maps; those
   themselves where maps are not cut.  Collective on all ranks of the context. */
PetscErrorCode CordsCutConvPrepare(CordsContext context, PetscInt count, const CordsConvShape whole[],
                                   const CordsType types[]);

PetscErrorCode CordsCutConvCreate(CordsContext context, const CordsConvShape *whole, CordsType type,
                                  CordsCutConv *conv);
PetscErrorCode CordsCutConvDestroy(CordsCutConv *conv);

/* Tiles in place of maps, no borders. */
const CordsConvShape *CordsCutConvGetShape(CordsCutConv conv);
/* The convolution that does an operation on this rank; NULL where it has nothing to do. */
CordsConv CordsCutConvPart(CordsCutConv conv, CordsConvOperation operation);
PetscErrorCode CordsCutConvSetWeights(CordsCutConv conv, const void *weights);
void CordsCutConvLaterBytes(CordsCutConv conv, PetscInt most, double *own, double *shared);

PetscErrorCode CordsCutConvForwardFrom(CordsCutConv conv, PetscInt n, const void *x, const void *start, PetscInt period,
                                       void *y);
PetscErrorCode CordsCutConvBackwardData(CordsCutConv conv, PetscInt n, const void *dy, void *dx, PetscBool accumulate);
PetscErrorCode CordsCutConvBackwardWeights(CordsCutConv conv, PetscInt n, const void *x, const void *dy, void *dw);
PetscErrorCode CordsCutConvStep(CordsCutConv conv, PetscInt n, const CordsConvLaw *law, const void *x, const void *z,
                                PetscInt period, const void *r, void *r_next, void *x_next, uint16_t *mask);
PetscErrorCode CordsCutConvStepAdjoint(CordsCutConv conv, PetscInt n, const CordsConvLaw *law, const void *du,
                                       const void *g, const void *later, const uint16_t *mask, void *lambda,
                                       void *du_before);

#endif
