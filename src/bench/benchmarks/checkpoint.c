/* Writing the parameters of a network to a checkpoint, flushed to the disk. */
#include "bench/benchmark.h"
#include "train/checkpoint.h"

#include <stdio.h>
#include <unistd.h>

typedef struct {
  CordsContext context;
  CordsModel model;
  char path[PETSC_MAX_PATH_LEN + 64];
} Writing;

static PetscErrorCode Write(void *data)
{
  Writing *w = data;

  return CordsCheckpointWriteModel(w->context, w->path, w->model, 0, NULL);
}

static PetscErrorCode Run(CordsBench bench)
{
  CordsMeasurement m = {.benchmark = "checkpoint", .limit = CORDS_LIMIT_FILE};
  Writing writing = {.context = bench->context};
  PetscBool processor_time = bench->processor_time;
  int process = (int)getpid();

  PetscFunctionBegin;
  PetscCallMPI(MPI_Bcast(&process, 1, MPI_INT, 0, bench->context->comm));
  PetscCall(CordsModelCreate(&bench->architecture, CORDS_FORM_RECURRENT, &writing.model));
  snprintf(writing.path, sizeof writing.path, "%s/cords-bench-model.%d.h5", bench->scratch, process);
  snprintf(m.what, sizeof m.what, "%s parameters written and flushed", bench->architecture.preset);
  m.amount = (double)writing.model->value_count * sizeof(float);
  bench->processor_time = PETSC_FALSE; /* waiting for the disk counts */
  PetscCall(CordsBenchMeasureAndPrint(bench, &m, Write, &writing));
  bench->processor_time = processor_time;
  if (bench->context->rank == 0) unlink(writing.path);
  PetscCall(CordsModelDestroy(&writing.model));
  PetscFunctionReturn(PETSC_SUCCESS);
}

const CordsBenchmarkType cords_benchmark_checkpoint = {
    .name = "checkpoint", .about = "writing parameters to a file", .by_default = PETSC_TRUE, .run = Run};
