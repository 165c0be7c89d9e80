#include "train/checkpoint.h"

#include "conv/choice.h"
#include "io/run_info.h"

#include <stddef.h>
#include <string.h>

/* The integers of a state under their names in the file. */
static const struct {
  const char *name;
  size_t offset;
} counters[] = {
    {"stage", offsetof(CordsTrainState, stage)},         {"epoch", offsetof(CordsTrainState, epoch)},
    {"batch", offsetof(CordsTrainState, batch)},         {"update", offsetof(CordsTrainState, update)},
    {"log_bytes", offsetof(CordsTrainState, log_bytes)}, {"row_updates", offsetof(CordsTrainState, row_updates)}};

static const CordsSchema row_schema = {
    "train/row", "metric", "1", "sums of the metrics since the last row of log.csv, in the order of the program"};

/* Moments as tensors with the names and shapes of the parameters they belong to; *tensors is freed by the caller. */
static PetscErrorCode MomentTensors(CordsOptimizer optimizer, int which, CordsTensor **tensors)
{
  static const char *const meanings[2] = {"first moment of the optimiser, or its velocity",
                                          "second moment of the optimiser"};
  CordsModel model = optimizer->model;

  PetscFunctionBegin;
  PetscCall(PetscMalloc1(model->learnable_count, tensors));
  for (PetscInt k = 0; k < model->learnable_count; k++) {
    (*tensors)[k] = model->tensors[k];
    (*tensors)[k].meaning = meanings[which];
    (*tensors)[k].data = optimizer->moments[which] + (model->tensors[k].data - model->values);
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

static const char *const moment_groups[2] = {"optimizer/moment1", "optimizer/moment2"};

/* The choices of kernels, so that a continued run computes bit by bit as this one would. */
static PetscErrorCode WriteKernels(CordsH5 file)
{
  char *text;

  PetscFunctionBegin;
  PetscCall(CordsConvChoiceGetText(&text));
  PetscCall(CordsH5WriteText(file, "train", "kernels", text));
  PetscCall(PetscFree(text));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode ReadKernels(CordsContext context, CordsH5 file)
{
  char *text;

  PetscFunctionBegin;
  PetscCall(CordsH5ReadText(file, "train", "kernels", &text));
  if (text) PetscCall(CordsConvChoiceSetText(context, CordsH5Path(file), text));
  PetscCall(PetscFree(text));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsCheckpointWrite(CordsContext context, const char *path, const char *stages,
                                    const CordsTrainState *state, CordsStage stage, CordsOptimizer optimizer,
                                    PetscInt input_count, const char *const inputs[])
{
  PetscInt64 metric_count = CORDS_METRICS_COUNT;
  CordsTensor *moments;
  CordsH5 file;

  PetscFunctionBegin;
  PetscCall(CordsH5Create(context, path, &file));
  PetscCall(CordsModelWrite(CordsStageModel(stage), file, "parameters"));
  if (CordsStageTarget(stage)) PetscCall(CordsModelWrite(CordsStageTarget(stage), file, "target"));
  for (int k = 0; k < 2; k++) {
    PetscCall(MomentTensors(optimizer, k, &moments));
    PetscCall(CordsTensorsWrite(file, moment_groups[k], optimizer->model->learnable_count, moments));
    PetscCall(PetscFree(moments));
  }
  PetscCall(CordsH5WriteInt(file, "optimizer", "steps", optimizer->steps));
  for (size_t k = 0; k < PETSC_STATIC_ARRAY_LENGTH(counters); k++) {
    PetscCall(CordsH5WriteInt(file, "train", counters[k].name,
                              *(const PetscInt64 *)((const char *)state + counters[k].offset)));
  }
  PetscCall(CordsH5WriteReal(file, "train", "row_norm", state->row_norm));
  PetscCall(CordsH5WriteText(file, "train", "stages", stages));
  PetscCall(WriteKernels(file));
  PetscCall(CordsH5WriteInt(file, "train", "seed", (PetscInt64)context->seed));
  PetscCall(CordsH5WriteArray(file, &row_schema, CORDS_FILE_F64, 1, &metric_count, &state->row));
  PetscCall(CordsRunInfoWrite(context, file, "train", input_count, inputs));
  PetscCall(CordsH5Commit(&file));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsCheckpointReadState(CordsContext context, const char *path, const char *stages,
                                        CordsTrainState *state)
{
  PetscInt64 metric_count = CORDS_METRICS_COUNT, seed = 0;
  PetscBool found, same = PETSC_FALSE;
  char *stored;
  CordsH5 file;

  PetscFunctionBegin;
  PetscCall(CordsH5Open(context, path, &file));
  PetscCall(CordsH5ReadText(file, "train", "stages", &stored));
  CordsCheckUser(stored, PETSC_COMM_WORLD, "%s: is not the checkpoint of a training run", path);
  PetscCall(PetscStrcmp(stored, stages, &same));
  CordsCheckUser(same, PETSC_COMM_WORLD, "%s: was trained with -stages %s, now asked for %s; use another -output", path,
                 stored, stages);
  PetscCall(PetscFree(stored));
  PetscCall(CordsH5ReadInt(file, "train", "seed", &found, &seed));
  CordsCheckUser(found && (uint64_t)seed == context->seed, PETSC_COMM_WORLD,
                 "%s: was trained with -seed %" PetscInt64_FMT "; use the same, or another -output", path, seed);
  for (size_t k = 0; k < PETSC_STATIC_ARRAY_LENGTH(counters); k++) {
    PetscInt64 *counter = (PetscInt64 *)((char *)state + counters[k].offset);
    PetscCall(CordsH5ReadInt(file, "train", counters[k].name, NULL, counter));
    CordsCheckUser(*counter >= 0, PETSC_COMM_WORLD, "%s: counter %s is negative; the file is damaged", path,
                   counters[k].name);
  }
  PetscCall(CordsH5ReadReal(file, "train", "row_norm", NULL, &state->row_norm));
  PetscCall(ReadKernels(context, file));
  PetscCall(CordsH5ReadArray(file, row_schema.name, CORDS_FILE_F64, 1, &metric_count, &state->row));
  PetscCall(CordsH5Close(&file));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsCheckpointReadStage(CordsContext context, const char *path, CordsStage stage,
                                        CordsOptimizer optimizer)
{
  CordsTensor *moments;
  PetscInt64 steps;
  CordsH5 file;

  PetscFunctionBegin;
  PetscCall(CordsH5Open(context, path, &file));
  PetscCall(CordsModelRead(CordsStageModel(stage), file, "parameters"));
  if (CordsStageTarget(stage)) PetscCall(CordsModelRead(CordsStageTarget(stage), file, "target"));
  for (int k = 0; k < 2; k++) {
    PetscCall(MomentTensors(optimizer, k, &moments));
    PetscCall(CordsTensorsRead(file, moment_groups[k], optimizer->model->learnable_count, moments));
    PetscCall(PetscFree(moments));
  }
  PetscCall(CordsH5ReadInt(file, "optimizer", "steps", NULL, &steps));
  optimizer->steps = steps;
  PetscCall(CordsH5Close(&file));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsCheckpointWriteModel(CordsContext context, const char *path, CordsModel model, PetscInt input_count,
                                         const char *const inputs[])
{
  CordsH5 file;

  PetscFunctionBegin;
  PetscCall(CordsH5Create(context, path, &file));
  PetscCall(CordsModelWrite(model, file, "parameters"));
  PetscCall(CordsRunInfoWrite(context, file, "train", input_count, inputs));
  PetscCall(CordsH5Commit(&file));
  PetscFunctionReturn(PETSC_SUCCESS);
}
