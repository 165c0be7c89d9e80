#ifndef CORDS_CORE_CONTEXT_H
#define CORDS_CORE_CONTEXT_H

#include "core/error.h"

#include <stdint.h>

/* The ranks of a run and its seed: made once in main, passed down, never changed.
   World = batch groups × domain groups.  The ranks of `domain_comm` share the rows and columns of every image as a grid
   (see core/layout); image batches are split over the groups.  Neighbouring ranks of `comm` are of one domain group. */
typedef struct {
  MPI_Comm comm;                      /* all ranks of the run */
  PetscMPIInt rank, size;             /* of this process in comm, of comm */
  MPI_Comm domain_comm;               /* the ranks that share one image */
  PetscMPIInt domain_rank;            /* of this process in domain_comm */
  PetscInt grid_rows, grid_columns;   /* of domain_comm: rank = grid row · grid_columns + grid column */
  PetscMPIInt group_rank, group_size; /* number of this process's domain group, and of groups */
  uint64_t seed;                      /* -seed: key of every random number */
} CordsContextData;
typedef const CordsContextData *CordsContext;

/* Read -seed, -domain_ranks and -domain_grid and fill the context.  Collective on comm.
   Errors (user): domain ranks that do not divide the ranks, a grid that is not ROWSxCOLUMNS. */
PetscErrorCode CordsContextInitialize(MPI_Comm comm, CordsContextData *context);
PetscErrorCode CordsContextFinalize(CordsContextData *context);

/* A context whose ranks are each a domain group of their own.  Collective on comm; nothing to finalize. */
PetscErrorCode CordsContextUncut(MPI_Comm comm, CordsContextData *context);
/* That of this rank alone. */
CordsContext CordsContextSelf(void);

/* Error (user) where images are cut: `what` works on whole images. */
PetscErrorCode CordsContextCheckUncut(CordsContext context, const char *what);

static inline PetscBool CordsContextIsCut(CordsContext context)
{
  return (PetscBool)(context->grid_rows * context->grid_columns > 1);
}

#endif
