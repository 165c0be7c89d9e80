#include "io/tensors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

PetscInt CordsTensorSize(const CordsTensor *tensor)
{
  PetscInt size = 1;

  for (PetscInt i = 0; i < tensor->dimensions; i++) size *= tensor->sizes[i];
  return size;
}

/* Path of a tensor in the file and its sizes as io/h5 wants them. */
static PetscErrorCode Place(const char *group, const CordsTensor *tensor, size_t length, char *path,
                            PetscInt64 sizes[4])
{
  PetscFunctionBegin;
  PetscCheck(tensor->dimensions >= 1 && tensor->dimensions <= 4, PETSC_COMM_SELF, PETSC_ERR_ARG_OUTOFRANGE,
             "tensor %s has %" PetscInt_FMT " dimensions", tensor->name, tensor->dimensions);
  PetscCheck(!strchr(tensor->name, '/'), PETSC_COMM_SELF, PETSC_ERR_ARG_WRONG, "tensor %s has a / in its name",
             tensor->name);
  snprintf(path, length, "%s/%s", group, tensor->name);
  for (PetscInt i = 0; i < tensor->dimensions; i++) sizes[i] = tensor->sizes[i];
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsTensorsWrite(CordsH5 file, const char *group, PetscInt count, const CordsTensor tensors[])
{
  char path[512];
  PetscInt64 sizes[4];

  PetscFunctionBegin;
  for (PetscInt i = 0; i < count; i++) {
    CordsSchema schema = {path, tensors[i].axes, tensors[i].unit, tensors[i].meaning};

    PetscCall(Place(group, &tensors[i], sizeof path, path, sizes));
    PetscCall(CordsH5WriteArray(file, &schema, CORDS_FILE_F32, tensors[i].dimensions, sizes, tensors[i].data));
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* The first name that is in the file but not among the tensors; NULL if there is none. */
static const char *FindUnknown(PetscInt name_count, char *const names[], PetscInt count, const CordsTensor tensors[])
{
  for (PetscInt i = 0; i < name_count; i++) {
    PetscBool known = PETSC_FALSE;

    for (PetscInt k = 0; k < count && !known; k++) known = (PetscBool)!strcmp(names[i], tensors[k].name);
    if (!known) return names[i];
  }
  return NULL;
}

static const char *FindMissing(PetscInt name_count, char *const names[], PetscInt count, const CordsTensor tensors[])
{
  for (PetscInt k = 0; k < count; k++) {
    PetscBool found = PETSC_FALSE;

    for (PetscInt i = 0; i < name_count && !found; i++) found = (PetscBool)!strcmp(names[i], tensors[k].name);
    if (!found) return tensors[k].name;
  }
  return NULL;
}

/* Exactly the tensors that are asked for must be there. */
static PetscErrorCode CheckNames(CordsH5 file, const char *group, PetscInt count, const CordsTensor tensors[])
{
  PetscInt name_count;
  char **names;
  const char *missing, *unknown;

  PetscFunctionBegin;
  PetscCall(CordsH5List(file, group, &name_count, &names));
  missing = FindMissing(name_count, names, count, tensors);
  unknown = FindUnknown(name_count, names, count, tensors);
  CordsCheckUser(!missing, PETSC_COMM_WORLD,
                 "'%s' has no tensor '%s' in group '%s'; it does not belong to this architecture", CordsH5Path(file),
                 missing, group);
  CordsCheckUser(!unknown, PETSC_COMM_WORLD,
                 "'%s' has a tensor '%s' in group '%s' that this architecture does not have", CordsH5Path(file),
                 unknown, group);
  PetscCall(CordsH5FreeNames(name_count, &names));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsTensorsRead(CordsH5 file, const char *group, PetscInt count, const CordsTensor tensors[])
{
  char path[512];
  PetscInt64 sizes[4];

  PetscFunctionBegin;
  PetscCall(CheckNames(file, group, count, tensors));
  for (PetscInt i = 0; i < count; i++) {
    PetscCall(Place(group, &tensors[i], sizeof path, path, sizes));
    PetscCall(CordsH5ReadArray(file, path, CORDS_FILE_F32, tensors[i].dimensions, sizes, tensors[i].data));
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* ---- digests ---- */

static PetscErrorCode DigestOne(CordsDigest digest, const char *group, const char *name, PetscInt64 size,
                                const float *data)
{
  char path[512];

  PetscFunctionBegin;
  snprintf(path, sizeof path, "%s/%s", group, name);
  PetscCall(CordsDigestAdd(digest, strlen(path) + 1, path));
  PetscCall(CordsDigestAdd(digest, (size_t)size * sizeof(float), data));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static int CompareNames(const void *a, const void *b)
{
  return strcmp((*(const CordsTensor *const *)a)->name, (*(const CordsTensor *const *)b)->name);
}

PetscErrorCode CordsTensorsDigest(CordsDigest digest, const char *group, PetscInt count, const CordsTensor tensors[])
{
  const CordsTensor **sorted;

  PetscFunctionBegin;
  PetscCall(PetscMalloc1(count, &sorted));
  for (PetscInt k = 0; k < count; k++) sorted[k] = &tensors[k];
  qsort(sorted, (size_t)count, sizeof *sorted, CompareNames);
  for (PetscInt k = 0; k < count; k++)
    PetscCall(DigestOne(digest, group, sorted[k]->name, CordsTensorSize(sorted[k]), sorted[k]->data));
  PetscCall(PetscFree(sorted));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode DigestOneOfFile(CordsDigest digest, CordsH5 file, const char *group, const char *name)
{
  PetscInt64 sizes[CORDS_H5_DIMENSIONS_MAX], size = 1;
  PetscInt dimensions;
  char path[512];
  float *data;

  PetscFunctionBegin;
  snprintf(path, sizeof path, "%s/%s", group, name);
  PetscCall(CordsH5GetShape(file, path, NULL, &dimensions, sizes));
  for (PetscInt i = 0; i < dimensions; i++) size *= sizes[i];
  PetscCall(PetscMalloc1((size_t)size, &data));
  PetscCall(CordsH5ReadArray(file, path, CORDS_FILE_F32, dimensions, sizes, data));
  PetscCall(DigestOne(digest, group, name, size, data));
  PetscCall(PetscFree(data));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsTensorsDigestFile(CordsDigest digest, CordsH5 file, const char *group)
{
  PetscInt count;
  char **names;

  PetscFunctionBegin;
  PetscCall(CordsH5List(file, group, &count, &names));
  for (PetscInt k = 0; k < count; k++) PetscCall(DigestOneOfFile(digest, file, group, names[k]));
  PetscCall(CordsH5FreeNames(count, &names));
  PetscFunctionReturn(PETSC_SUCCESS);
}
