#ifndef CORDS_CORE_CONTEXT_H
#define CORDS_CORE_CONTEXT_H

#include "core/error.h"

#include <stdint.h>

/* The ranks of a run and its seed: made once in main, passed down, never changed.
   World = batch groups × domain groups.  Image batches are split over `comm`; the ranks of `domain_comm` share the
   rows and columns of one image (one rank until the spatial decomposition is built; see core/layout). */
typedef struct {
  MPI_Comm comm;        /* all ranks of the run; batches are split over it */
  MPI_Comm domain_comm; /* the ranks that share one image */
  PetscMPIInt rank;     /* of this process in comm */
  PetscMPIInt size;     /* of comm */
  uint64_t seed;        /* -seed: key of every random number */
} CordsContextData;
typedef const CordsContextData *CordsContext;

/* Read -seed and fill the context.  Collective on comm. */
PetscErrorCode CordsContextInitialize(MPI_Comm comm, CordsContextData *context);

#endif
