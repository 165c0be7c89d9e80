/* Work that is done ahead by threads: numbered jobs, each of some items that do not depend on each other, in a ring of
   slots.  Knows nothing of what an item is.

     jobs    ... | 7 taken | 8 ready | 9 at work | 10 planned | 11 not yet
                             \________ ring of 3 slots _____/     job k is in slot k mod 3

   One thread, the owner, asks for the jobs one after the other; it makes items of the job that it waits for itself,
   with all OpenMP threads, rather than wait idle.  With no threads of its own the ring makes the job when it is asked
   for. What an item becomes depends on job and item alone, so the results do not depend on the number of threads.

   The threads make no PETSc and no MPI calls, and signals are left to the owner. */
#ifndef CORDS_DATA_PREFETCH_H
#define CORDS_DATA_PREFETCH_H

#include "core/error.h"

typedef struct _p_CordsPrefetch *CordsPrefetch;

/* What the work is.  `context` is passed on as it is. */
typedef struct {
  void *context;
  /* Get `slot` ready for the items of a job and say how many they are; −1: there is no such job.  Called by the owner,
     for each job once, in order. */
  PetscInt (*plan)(void *context, PetscInt64 job, PetscInt slot);
  /* Make an item of the job planned into `slot`.  From any thread; two threads with the same number `worker`, 0 to
     CordsPrefetchWorkers − 1, are never at work at the same time. */
  void (*make)(void *context, PetscInt slot, PetscInt item, PetscInt worker);
} CordsPrefetchWork;

/* Since the ring was made. */
typedef struct {
  double waited_s; /* of the owner in CordsPrefetchTake, its own making included */
  double made_s;   /* processor time of all threads in `make` */
  PetscInt64 made; /* items */
} CordsPrefetchStatistics;

/* threads: beside the owner, 0 to 1024; slots: at least 1.  Not collective.
   Errors: PETSC_ERR_SYS if a thread cannot be started. */
PetscErrorCode CordsPrefetchCreate(const CordsPrefetchWork *work, PetscInt threads, PetscInt slots,
                                   CordsPrefetch *prefetch);
/* Items at work are finished first, planned ones are dropped. */
PetscErrorCode CordsPrefetchDestroy(CordsPrefetch *prefetch);

/* Numbers of workers that `make` will see, for their buffers: known before the ring is made. */
PetscInt CordsPrefetchWorkers(PetscInt threads);

/* Wait for a job.  Another one than that after the last drops what is in the ring and begins anew.  Its slot keeps what
   was made until CordsPrefetchRelease, which comes before the next CordsPrefetchTake. */
PetscErrorCode CordsPrefetchTake(CordsPrefetch prefetch, PetscInt64 job, PetscInt *slot);
/* The slot may be used for a later job. */
PetscErrorCode CordsPrefetchRelease(CordsPrefetch prefetch);

CordsPrefetchStatistics CordsPrefetchGetStatistics(CordsPrefetch prefetch);

#endif
