/* Average pooling of maps that are cut over a domain group; see cut_shape.h.  Where the group is one rank it is pool.h
   itself. */
#ifndef CORDS_CONV_CUT_POOL_H
#define CORDS_CONV_CUT_POOL_H

#include "conv/conv.h"

typedef struct _p_CordsCutPool *CordsCutPool;

/* whole: as in pool.h.  Everything is collective on the domain group. */
PetscErrorCode CordsCutPoolCreate(CordsContext context, const CordsConvShape *whole, CordsType type,
                                  CordsCutPool *pool);
PetscErrorCode CordsCutPoolDestroy(CordsCutPool *pool);

/* Contracts of CordsPoolForward and CordsPoolAdjoint, with tiles for images. */
PetscErrorCode CordsCutPoolForward(CordsCutPool pool, PetscInt n, const void *x, void *y);
PetscErrorCode CordsCutPoolAdjoint(CordsCutPool pool, PetscInt n, const void *dy, void *dx);

#endif
