#include "cli/command.h"

#include "core/log.h"
#include "io/run_info.h"
#include "io/torch_writer.h"
#include "model/import.h"
#include "model/self_check.h"

#include <stdio.h>
#include <string.h>

static char input[PETSC_MAX_PATH_LEN], output[PETSC_MAX_PATH_LEN];
static CordsImportSettings settings;

static const char *const torch_endings[] = {".pth", ".pt", ".pth.tar"};
static const char *const own_endings[] = {".h5", ".hdf5"};

static PetscBool EndsWithOne(const char *path, size_t count, const char *const endings[])
{
  size_t length = strlen(path);

  for (size_t k = 0; k < count; k++) {
    size_t end = strlen(endings[k]);
    if (length > end && strcmp(path + length - end, endings[k]) == 0) return PETSC_TRUE;
  }
  return PETSC_FALSE;
}

static PetscBool IsTorch(const char *path)
{
  return EndsWithOne(path, PETSC_STATIC_ARRAY_LENGTH(torch_endings), torch_endings);
}

static PetscBool IsOwn(const char *path)
{
  return EndsWithOne(path, PETSC_STATIC_ARRAY_LENGTH(own_endings), own_endings);
}

static void TakeSecond(const char *word)
{
  snprintf(output, sizeof output, "%s", word);
}

static PetscErrorCode Configure(CordsContext context, const char *argument)
{
  PetscFunctionBegin;
  snprintf(input, sizeof input, "%s", argument);
  PetscCall(CordsImportSettingsFromOptions(&settings));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode CheckNames(void)
{
  PetscFunctionBegin;
  CordsCheckUser(input[0] && output[0], PETSC_COMM_WORLD,
                 "convert needs two files before its options: cords convert IN.pth OUT.h5, or IN.h5 OUT.pth");
  CordsCheckUser((IsTorch(input) && IsOwn(output)) || (IsOwn(input) && IsTorch(output)), PETSC_COMM_WORLD,
                 "convert %s %s: one of the names must end in .pth (or .pt, .pth.tar) and the other in .h5 (or .hdf5)",
                 input, output);
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode Save(CordsContext context, CordsModel model, const float *logits, const char *digest)
{
  const char *inputs[1] = {input};
  CordsH5 file;

  PetscFunctionBegin;
  PetscCall(CordsH5Create(context, output, &file));
  PetscCall(CordsModelWrite(model, file, "parameters"));
  PetscCall(CordsSelfCheckWrite(file, model->architecture.classes, logits, digest));
  PetscCall(CordsRunInfoWrite(context, file, "convert", 1, inputs));
  PetscCall(CordsH5Commit(&file));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode Export(CordsContext context, CordsModel model)
{
  const char *extra[3] = {cords_import_architecture};
  char *text;

  PetscFunctionBegin;
  PetscCall(CordsArchitectureToText(&model->architecture, &text));
  extra[1] = text;
  if (context->rank == 0) PetscCall(CordsTorchWrite(output, model->tensor_count, model->tensors, extra));
  PetscCall(PetscFree(text));
  PetscCall(CordsLog(context, "tensors: %" PetscInt_FMT " written; %" PetscInt_FMT " parameters\n", model->tensor_count,
                     model->learnable_values));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode Run(CordsContext context, int *exit_status)
{
  CordsModel model;
  float *logits;
  char digest[65];
  PetscBool import;

  PetscFunctionBegin;
  PetscCall(CheckNames());
  import = IsTorch(input);
  if (import)
    PetscCall(CordsImport(context, input, &settings, &model));
  else
    PetscCall(CordsModelLoad(context, input, &model));
  PetscCall(PetscMalloc1((size_t)model->architecture.classes, &logits));
  PetscCall(CordsSelfCheck(context, input, model, logits, digest));
  if (import)
    PetscCall(Save(context, model, logits, digest));
  else
    PetscCall(Export(context, model));
  PetscCall(CordsLog(context, "self-check: sha256 of the logits %s, first logit %.6g\n", digest, (double)logits[0]));
  PetscCall(CordsLog(context, "%s: written\n", output));
  PetscCall(PetscFree(logits));
  PetscCall(CordsModelDestroy(&model));
  PetscFunctionReturn(PETSC_SUCCESS);
}

const CordsCommandType cords_command_convert = {.name = "convert",
                                                .about = "a network from a PyTorch file to one of cords, or back",
                                                .usage = "IN.pth OUT.h5, or IN.h5 OUT.pth",
                                                .take_second = TakeSecond,
                                                .configure = Configure,
                                                .run = Run};
