#include "train/initial.h"

#include "core/config.h"

PetscErrorCode CordsInitialFromOptions(char path[PETSC_MAX_PATH_LEN])
{
  PetscFunctionBegin;
  path[0] = '\0';
  PetscCall(CordsOptionString("-initial", "file with a network to start the first stage from (`cords convert`)",
                              PETSC_MAX_PATH_LEN, path));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsInitialRead(CordsContext context, const char *path, const CordsArchitecture *architecture,
                                CordsForm form, CordsModel *model)
{
  CordsModel stored;
  CordsForm form_stored;
  CordsH5 file;

  PetscFunctionBegin;
  *model = NULL;
  if (!path[0]) PetscFunctionReturn(PETSC_SUCCESS);
  PetscCall(CordsModelLoad(context, path, &stored));
  form_stored = stored->form;
  PetscCall(CordsModelDestroy(&stored));
  CordsCheckUser(form_stored == form, context->comm,
                 "-initial %s: holds a network of %s form, but the first stage trains one of %s form", path,
                 CordsFormNames[form_stored], CordsFormNames[form]);
  PetscCall(CordsH5Open(context, path, &file));
  PetscCall(CordsModelCreate(architecture, form, model));
  PetscCall(CordsModelRead(*model, file, "parameters"));
  PetscCall(CordsH5Close(&file));
  PetscFunctionReturn(PETSC_SUCCESS);
}
