/* Processors of this machine that a rank may count on. */
#ifndef CORDS_CORE_PROCESSORS_H
#define CORDS_CORE_PROCESSORS_H

#include "core/error.h"

/* Processors that the ranks of comm on this machine may run on, over the number of these ranks, rounded down, at least
   1: with one rank bound to each core 1, with one rank on the whole machine all.  Other programs and the machine's
   other limits on processor time are not known.  Collective on comm. */
PetscErrorCode CordsProcessorsShare(MPI_Comm comm, PetscInt *share);

#endif
