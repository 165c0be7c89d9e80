#include "train/train_log.h"

#include "core/agree.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { BINS = 6 };

struct _p_CordsTrainLog {
  CordsContext context;
  char path[PETSC_MAX_PATH_LEN];
  FILE *file; /* rank 0 */
};

/* The same verdict on all ranks about what rank 0 did to the file. */
static PetscErrorCode Verdict(CordsTrainLog log, int failed)
{
  PetscFunctionBegin;
  PetscCall(CordsAgreeFirst(log->context, sizeof failed, &failed));
  CordsCheckUser(!failed, log->context->comm, "%s: %s", log->path, strerror(failed));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static int OpenAndCut(CordsTrainLog log, PetscInt64 bytes)
{
  log->file = fopen(log->path, bytes > 0 ? "r+" : "w");
  if (!log->file) return errno;
  if (bytes > 0 && ftruncate(fileno(log->file), (off_t)bytes)) return errno;
  if (fseeko(log->file, 0, SEEK_END)) return errno;
  if (bytes > 0) return ftello(log->file) == (off_t)bytes ? 0 : EIO;
  fprintf(log->file, "stage,epoch,update,samples,learning_rate,gradient_norm,loss,accuracy");
  for (int b = 0; b < BINS; b++) fprintf(log->file, ",loss_%d", b);
  for (int b = 0; b < BINS; b++) fprintf(log->file, ",accuracy_%d", b);
  fprintf(log->file, ",spontaneous,error,spectral,transient,unsettled,forward_products,adjoint_products\n");
  return fflush(log->file) ? errno : 0;
}

static PetscErrorCode KeepLength(CordsTrainLog log, CordsTrainState *state)
{
  PetscFunctionBegin;
  if (log->file) state->log_bytes = (PetscInt64)ftello(log->file);
  PetscCall(CordsAgreeFirst(log->context, sizeof state->log_bytes, &state->log_bytes));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsTrainLogOpen(CordsContext context, const char *path, CordsTrainState *state, CordsTrainLog *log)
{
  PetscFunctionBegin;
  PetscCall(PetscNew(log));
  (*log)->context = context;
  PetscCall(PetscStrncpy((*log)->path, path, sizeof(*log)->path));
  PetscCall(Verdict(*log, context->rank == 0 ? OpenAndCut(*log, state->log_bytes) : 0));
  PetscCall(KeepLength(*log, state));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsTrainLogFlush(CordsTrainLog log)
{
  int failed = 0;

  PetscFunctionBegin;
  if (log->file && (fflush(log->file) || fsync(fileno(log->file)))) failed = errno;
  PetscCall(Verdict(log, failed));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsTrainLogClose(CordsTrainLog *log)
{
  PetscFunctionBegin;
  PetscCall(CordsTrainLogFlush(*log));
  if ((*log)->file) fclose((*log)->file);
  PetscCall(PetscFree(*log));
  PetscFunctionReturn(PETSC_SUCCESS);
}

void CordsTrainLogAdd(CordsTrainState *state, const CordsMetrics *metrics, double gradient_norm)
{
  double *sums = (double *)&state->row;
  const double *terms = (const double *)metrics;

  for (size_t k = 0; k < CORDS_METRICS_COUNT; k++) sums[k] += terms[k];
  state->row_norm += gradient_norm;
  state->row_updates++;
}

/* Mean of a part of the loss steps: bin b of six, or an empty cell where the stage has no time. */
static void PrintBins(FILE *file, const double *values, PetscInt steps, double updates)
{
  for (PetscInt b = 0; b < BINS; b++) {
    PetscInt first = b * steps / BINS, end = (b + 1) * steps / BINS;
    double sum = 0;
    for (PetscInt k = first; k < end; k++) sum += values[k];
    if (end > first)
      fprintf(file, ",%.9g", sum / (double)(end - first) / updates);
    else
      fprintf(file, ",");
  }
}

static void PrintMean(FILE *file, PetscBool present, const double *values, PetscInt count, double updates)
{
  double sum = 0;

  for (PetscInt k = 0; k < count; k++) sum += values[k];
  if (present)
    fprintf(file, ",%.9g", sum / (double)count / updates);
  else
    fprintf(file, ",");
}

PetscErrorCode CordsTrainLogRow(CordsTrainLog log, CordsTrainState *state, const char *stage, PetscInt loss_steps,
                                PetscInt area_count, PetscInt64 samples, double learning_rate)
{
  const CordsMetrics *row = &state->row;
  double updates = (double)state->row_updates;
  PetscBool inverse = (PetscBool)(row->errors[0] > 0), equilibrium = (PetscBool)(row->forward_products > 0);
  int failed = 0;

  PetscFunctionBegin;
  if (log->file) {
    fprintf(log->file, "%s,%" PetscInt64_FMT ",%" PetscInt64_FMT ",%" PetscInt64_FMT ",%.9g,%.9g,%.9g", stage,
            state->epoch, state->update, samples, learning_rate, state->row_norm / updates, row->loss / updates);
    PrintMean(log->file, (PetscBool)!inverse, &row->accuracy, 1, updates);
    PrintBins(log->file, row->loss_t, loss_steps, updates);
    PrintBins(log->file, row->accuracy_t, loss_steps, updates);
    PrintMean(log->file, (PetscBool)(row->spontaneous > 0), &row->spontaneous, 1, updates);
    PrintMean(log->file, inverse, row->errors, area_count, updates);
    PrintMean(log->file, inverse, row->spectral, area_count, updates);
    PrintMean(log->file, equilibrium, &row->transient, 1, updates);
    PrintMean(log->file, equilibrium, &row->unsettled, 1, updates);
    PrintMean(log->file, equilibrium, &row->forward_products, 1, updates);
    PrintMean(log->file, equilibrium, &row->adjoint_products, 1, updates);
    fprintf(log->file, "\n");
    if (fflush(log->file)) failed = errno;
  }
  PetscCall(Verdict(log, failed));
  PetscCall(KeepLength(log, state));
  memset(&state->row, 0, sizeof state->row);
  state->row_updates = 0;
  state->row_norm = 0;
  PetscFunctionReturn(PETSC_SUCCESS);
}
