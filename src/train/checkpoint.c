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

/* Its other numbers. */
static const struct {
  const char *name;
  size_t offset;
} reals[] = {{"row_norm", offsetof(CordsTrainState, row_norm)},
             {"update_s", offsetof(CordsTrainState, update_s)},
             {"save_s", offsetof(CordsTrainState, save_s)}};

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

/* SHA-256 of all numbers of the network and of its optimiser, and of the kernels that made them. */
static PetscErrorCode Digest(CordsStage stage, CordsOptimizer optimizer, CordsDigestText text)
{
  CordsModel model = CordsStageModel(stage), target = CordsStageTarget(stage);
  CordsTensor *moments;
  CordsDigest digest;
  char *kernels;

  PetscFunctionBegin;
  PetscCall(CordsDigestCreate(&digest));
  PetscCall(CordsTensorsDigest(digest, "parameters", model->tensor_count, model->tensors));
  if (target) PetscCall(CordsTensorsDigest(digest, "target", target->tensor_count, target->tensors));
  for (int k = 0; k < 2; k++) {
    PetscCall(MomentTensors(optimizer, k, &moments));
    PetscCall(CordsTensorsDigest(digest, moment_groups[k], model->learnable_count, moments));
    PetscCall(PetscFree(moments));
  }
  PetscCall(CordsConvChoiceGetText(&kernels));
  PetscCall(CordsDigestAdd(digest, strlen(kernels), kernels));
  PetscCall(PetscFree(kernels));
  PetscCall(CordsDigestGet(digest, text));
  PetscCall(CordsDigestDestroy(&digest));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode DigestFile(CordsH5 file, CordsDigest digest)
{
  char *kernels;

  PetscFunctionBegin;
  PetscCall(CordsTensorsDigestFile(digest, file, "parameters"));
  PetscCall(CordsTensorsDigestFile(digest, file, "target"));
  for (int k = 0; k < 2; k++) PetscCall(CordsTensorsDigestFile(digest, file, moment_groups[k]));
  PetscCall(CordsH5ReadText(file, "train", "kernels", &kernels));
  if (kernels) PetscCall(CordsDigestAdd(digest, strlen(kernels), kernels));
  PetscCall(PetscFree(kernels));
  PetscFunctionReturn(PETSC_SUCCESS);
}

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

PetscErrorCode CordsCheckpointWrite(CordsContext context, const char *path, const char *previous, const char *stages,
                                    const CordsTrainState *state, CordsStage stage, CordsOptimizer optimizer,
                                    PetscInt input_count, const char *const inputs[])
{
  PetscInt64 metric_count = CORDS_METRICS_COUNT;
  CordsDigestText digest = "";
  CordsTensor *moments;
  CordsH5 file;

  PetscFunctionBegin;
  PetscCall(CordsH5Create(context, path, &file));
  if (previous) PetscCall(CordsH5KeepPrevious(file, previous));
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
  for (size_t k = 0; k < PETSC_STATIC_ARRAY_LENGTH(reals); k++) {
    PetscCall(CordsH5WriteReal(file, "train", reals[k].name, *(const double *)((const char *)state + reals[k].offset)));
  }
  if (context->rank == 0) PetscCall(Digest(stage, optimizer, digest));
  PetscCall(CordsH5WriteText(file, "train", "digest", digest));
  PetscCall(CordsH5WriteText(file, "train", "stages", stages));
  PetscCall(WriteKernels(file));
  PetscCall(CordsH5WriteInt(file, "train", "seed", (PetscInt64)context->seed));
  PetscCall(CordsH5WriteArray(file, &row_schema, CORDS_FILE_F64, 1, &metric_count, &state->row));
  PetscCall(CordsRunInfoWrite(context, file, "train", input_count, inputs));
  PetscCall(CordsH5Commit(&file));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* Read everything there is, and compare. */
static PetscErrorCode CheckOpened(CordsH5 file, CordsDigest digest)
{
  PetscInt64 metric_count = CORDS_METRICS_COUNT, counter;
  CordsDigestText text;
  CordsMetrics row;
  double real;
  char *stages, *stored;

  PetscFunctionBegin;
  PetscCall(CordsH5ReadText(file, "train", "stages", &stages));
  CordsCheckUser(stages, PETSC_COMM_WORLD, "'%s' is not the checkpoint of a training run", CordsH5Path(file));
  PetscCall(PetscFree(stages));
  for (size_t k = 0; k < PETSC_STATIC_ARRAY_LENGTH(counters); k++)
    PetscCall(CordsH5ReadInt(file, "train", counters[k].name, NULL, &counter));
  for (size_t k = 0; k < PETSC_STATIC_ARRAY_LENGTH(reals); k++)
    PetscCall(CordsH5ReadReal(file, "train", reals[k].name, NULL, &real));
  PetscCall(CordsH5ReadArray(file, row_schema.name, CORDS_FILE_F64, 1, &metric_count, &row));
  PetscCall(DigestFile(file, digest));
  PetscCall(CordsH5ReadText(file, "train", "digest", &stored));
  CordsCheckUser(stored, PETSC_COMM_WORLD, "'%s' has no digest of its numbers", CordsH5Path(file));
  PetscCall(CordsDigestGet(digest, text));
  CordsCheckUser(
      !strcmp(text, stored), PETSC_COMM_WORLD,
      "'%s' is damaged: its parameters, moments and kernels do not have the SHA-256 that was written with them",
      CordsH5Path(file));
  PetscCall(PetscFree(stored));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* Closes the file also after an error. */
static PetscErrorCode Check(CordsContext context, const char *path)
{
  CordsDigest digest;
  CordsH5 file;
  PetscErrorCode ierr;

  PetscFunctionBegin;
  PetscCall(CordsH5Open(context, path, &file));
  PetscCall(CordsDigestCreate(&digest));
  ierr = CheckOpened(file, digest);
  PetscCall(CordsDigestDestroy(&digest));
  PetscCall(CordsH5Close(&file));
  PetscCall(ierr);
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsCheckpointCheck(CordsContext context, const char *path, PetscBool *whole, size_t length,
                                    char *reason)
{
  const char *sentence;
  PetscErrorCode ierr;

  PetscFunctionBegin;
  PetscCall(CordsErrorCatchBegin());
  ierr = Check(context, path);
  PetscCall(CordsErrorCatchEnd(&sentence));
  if (ierr != CORDS_ERR_USER) PetscCall(ierr);
  *whole = (PetscBool)!ierr;
  PetscCall(PetscStrncpy(reason, sentence, length));
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
  for (size_t k = 0; k < PETSC_STATIC_ARRAY_LENGTH(reals); k++)
    PetscCall(CordsH5ReadReal(file, "train", reals[k].name, NULL, (double *)((char *)state + reals[k].offset)));
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
