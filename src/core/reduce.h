/* Sums over ranks in a fixed order: the result depends on the number of ranks, never on timing. */
#ifndef CORDS_CORE_REDUCE_H
#define CORDS_CORE_REDUCE_H

#include "core/array.h"
#include "core/context.h"

/* values [count] of every rank is replaced by the sum, added in the order of the ranks.  Collective.  Each rank adds
   one part of the array and the parts are exchanged: 2 · count numbers sent and received per rank; a small array is
   exchanged whole instead, in one message.  */
PetscErrorCode CordsReduceSumF32(CordsContext context, PetscInt count, float *values);
PetscErrorCode CordsReduceSumF64(CordsContext context, PetscInt count, double *values);

/* Bytes that a rank of `size` sends to others for a sum, and in how many messages if each of them gets what it needs
   from each in one. */
PetscInt64 CordsReduceBytes(PetscMPIInt size, PetscMPIInt rank, PetscInt count, size_t number_bytes,
                            PetscInt64 *messages);

/* A sum of float32 in pieces that are exchanged while others are still being computed.  Bit for bit what
   CordsReduceSumF32 of all of them would give, in whatever order messages arrive. */
typedef struct _p_CordsReduction *CordsReduction;

/* For at most `most` pieces at a time.  The context is borrowed.  Collective, as is Destroy. */
PetscErrorCode CordsReductionCreate(CordsContext context, PetscInt most, CordsReduction *reduction);
PetscErrorCode CordsReductionDestroy(CordsReduction *reduction);
/* values [count] begins to be summed and must not be touched until End.  To be called for the same pieces in the same
   order on all ranks; it does not wait for them. */
PetscErrorCode CordsReductionBegin(CordsReduction reduction, PetscInt count, float *values);
/* All pieces are summed.  Collective. */
PetscErrorCode CordsReductionEnd(CordsReduction reduction);

#endif
