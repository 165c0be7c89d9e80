#include "model/self_check.h"

#include "io/run_info.h"
#include "model/cnn.h"
#include "model/system.h"

#include <math.h>
#include <string.h>

static const char image_formula[] = "((37 row + 17 column + 101 channel) mod 256)/64 - 2";

static const CordsSchema logits_schema = {"self_check/logits", "class", "1",
                                          "answer to the image of the formula, computed in float64"};

void CordsSelfCheckImage(PetscInt rows, PetscInt columns, PetscInt channels, float *image)
{
  for (PetscInt y = 0; y < rows; y++) {
    for (PetscInt x = 0; x < columns; x++) {
      for (PetscInt c = 0; c < channels; c++) *image++ = (float)((37 * y + 17 * x + 101 * c) % 256) / 64 - 2;
    }
  }
}

/* r ← one Euler step; from the last area down, so that each sees the areas below as they were. */
static PetscErrorCode Step(CordsSystem system, CordsInput input, void *r, void *work)
{
  PetscInt areas = CordsSystemModel(system)->architecture.area_count;

  PetscFunctionBegin;
  for (PetscInt i = areas - 1; i >= 0; i--) {
    void *here = CordsSystemArea(system, 1, r, i);
    const void *below = i >= 1 ? CordsSystemArea(system, 1, r, i - 1) : NULL;
    const void *below2 = i >= 2 ? CordsSystemArea(system, 1, r, i - 2) : NULL;
    PetscCall(CordsSystemDrive(system, i, 1, CORDS_STATES_ANY, input, below, below2, work));
    PetscCall(CordsSystemSynapses(system, i, 1, here, work));
    PetscCall(CordsSystemStep(system, i, 1, work, here, here));
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode RecurrentLogits(CordsModel model, const float *image, double *logits)
{
  const CordsArchitecture *a = &model->architecture;
  CordsSystem system;
  CordsInput input;
  CordsArray r, work, features;

  PetscFunctionBegin;
  PetscCall(CordsSystemCreate(model, CORDS_F64, &system));
  PetscCall(CordsInputCreate(system, 1, &input));
  PetscCall(CordsInputSet(input, image));
  PetscCall(CordsArrayCreate(CORDS_F64, 1, CordsArchitectureNeurons(a), &r));
  PetscCall(CordsArrayCreate(CORDS_F64, 1, CordsSystemLargestArea(system), &work));
  PetscCall(CordsArrayCreate(CORDS_F64, 1, a->areas[a->area_count - 1].channels, &features));
  for (PetscInt t = 0; t < a->spontaneous_steps; t++) PetscCall(Step(system, NULL, r.data, work.data));
  for (PetscInt t = 0; t < a->stimulus_steps; t++) PetscCall(Step(system, input, r.data, work.data));
  PetscCall(CordsSystemFeatures(system, 1, CordsSystemArea(system, 1, r.data, a->area_count - 1),
                                CordsSystemArea(system, 1, r.data, a->area_count - 2), features.data));
  PetscCall(CordsSystemLogits(system, 1, features.data, logits));
  PetscCall(CordsArrayDestroy(&r));
  PetscCall(CordsArrayDestroy(&work));
  PetscCall(CordsArrayDestroy(&features));
  PetscCall(CordsInputDestroy(&input));
  PetscCall(CordsSystemDestroy(&system));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode CnnLogits(CordsContext context, CordsModel model, const float *image, double *logits)
{
  CordsCnn cnn;

  PetscFunctionBegin;
  PetscCall(CordsCnnCreate(context, model, CORDS_F64, 1, &cnn));
  PetscCall(CordsCnnForward(cnn, 1, image, PETSC_FALSE, logits));
  PetscCall(CordsCnnDestroy(&cnn));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsSelfCheck(CordsContext context, const char *where, CordsModel model, float *logits, char digest[65])
{
  const CordsArchitecture *a = &model->architecture;
  float *image;
  double *exact;

  PetscFunctionBegin;
  PetscCall(PetscMalloc1((size_t)a->image_rows * a->image_columns * a->image_channels, &image));
  PetscCall(PetscMalloc1((size_t)a->classes, &exact));
  CordsSelfCheckImage(a->image_rows, a->image_columns, a->image_channels, image);
  if (model->form == CORDS_FORM_RECURRENT)
    PetscCall(RecurrentLogits(model, image, exact));
  else
    PetscCall(CnnLogits(context, model, image, exact));
  for (PetscInt k = 0; k < a->classes; k++) {
    logits[k] = (float)exact[k];
    CordsCheckUser(
        isfinite(logits[k]), PETSC_COMM_WORLD,
        "'%s': the network's answer to an image is not finite (a v of zeros, a negative variance, or activity "
        "that grows without bound)",
        where);
  }
  PetscCall(CordsRunInfoDigestBytes((size_t)a->classes * sizeof *logits, logits, digest));
  PetscCall(PetscFree(image));
  PetscCall(PetscFree(exact));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsSelfCheckWrite(CordsH5 file, PetscInt classes, const float *logits, const char *digest)
{
  PetscInt64 size = classes;

  PetscFunctionBegin;
  PetscCall(CordsH5WriteArray(file, &logits_schema, CORDS_FILE_F32, 1, &size, logits));
  PetscCall(CordsH5WriteText(file, "self_check", "image", image_formula));
  PetscCall(CordsH5WriteText(file, "self_check", "logits_sha256", digest));
  PetscFunctionReturn(PETSC_SUCCESS);
}
