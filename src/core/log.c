#include "core/log.h"

#include <stdarg.h>
#include <stdio.h>

static const double progress_interval_s = 5.0;

PetscErrorCode CordsLog(CordsContext context, const char *format, ...)
{
  va_list arguments;

  PetscFunctionBegin;
  if (context->rank == 0) {
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    fflush(stdout);
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsProgressStart(CordsProgress *progress, const char *what, PetscInt64 done, PetscInt64 total)
{
  PetscFunctionBegin;
  PetscCall(PetscStrncpy(progress->what, what, sizeof progress->what));
  progress->total = total;
  progress->initial = done;
  progress->start_s = progress->last_s = MPI_Wtime();
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsProgressUpdate(CordsContext context, CordsProgress *progress, PetscInt64 done, const char *note)
{
  double now_s = MPI_Wtime(), left_s;

  PetscFunctionBegin;
  if (now_s - progress->last_s < progress_interval_s && done < progress->total) PetscFunctionReturn(PETSC_SUCCESS);
  progress->last_s = now_s;
  left_s =
      (now_s - progress->start_s) * (double)(progress->total - done) / (double)PetscMax(done - progress->initial, 1);
  PetscCall(CordsLog(context, "%s: %" PetscInt64_FMT " of %" PetscInt64_FMT ", about %.0f s left%s%s\n", progress->what,
                     done, progress->total, left_s, note ? ", " : "", note ? note : ""));
  PetscFunctionReturn(PETSC_SUCCESS);
}
