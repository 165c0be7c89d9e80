/* Writing the parameters of a network to a checkpoint, flushed to the disk. */
#include "bench/network.h"
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
  CordsBenchNetwork network;
  Writing writing = {.context = bench->context};
  char what[72];

  PetscFunctionBegin;
  PetscCall(CordsBenchNetworkCreate(bench->context, &bench->architecture, CORDS_F32, 1, &network));
  writing.model = network.model;
  snprintf(writing.path, sizeof writing.path, "%s/cords-bench-model.%d.h5", bench->scratch, (int)getpid());
  snprintf(what, sizeof what, "%s parameters written and flushed", bench->architecture.preset);
  PetscCall(CordsBenchMeasure(bench, "checkpoint", what, CORDS_LIMIT_FILE,
                              (double)network.model->value_count * sizeof(float), Write, &writing));
  if (bench->context->rank == 0) unlink(writing.path);
  PetscCall(CordsBenchNetworkDestroy(&network));
  PetscFunctionReturn(PETSC_SUCCESS);
}

const CordsBenchmarkType cords_benchmark_checkpoint = {
    .name = "checkpoint", .about = "writing parameters to a file", .by_default = PETSC_TRUE, .run = Run};
