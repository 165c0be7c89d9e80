#ifndef CORDS_CORE_LOG_H
#define CORDS_CORE_LOG_H

#include "core/context.h"

/* Messages of rank 0 to standard output.  Everything a user may want to grep is one line, "what: value unit". */
PetscErrorCode CordsLog(CordsContext context, const char *format, ...) PETSC_ATTRIBUTE_FORMAT(2, 3);

/* Progress of long work with an estimate of the time left, at most one line every few seconds. */
typedef struct {
  char what[64];      /* the work, for example "fixed points" */
  PetscInt64 total;   /* units of work */
  double start_s;     /* when the work began */
  double last_s;      /* when the last line was printed */
  PetscInt64 initial; /* units done before the start (a continued run) */
} CordsProgress;

PetscErrorCode CordsProgressStart(CordsProgress *progress, const char *what, PetscInt64 done, PetscInt64 total);

/* Tell that `done` of `total` units are done; note (may be NULL) is appended to the line.  Not collective: only
   rank 0 prints. */
PetscErrorCode CordsProgressUpdate(CordsContext context, CordsProgress *progress, PetscInt64 done, const char *note);

#endif
