#include "data/dataset.h"

#include "core/registry.h"
#include "data/dataset_type.h"

#include <string.h>

#define CORDS_DATASET(name) extern const CordsDatasetType cords_dataset_##name;
#include "data/datasets.def"
#undef CORDS_DATASET

#define CORDS_DATASET(name) &cords_dataset_##name,
static const CordsDatasetType *const types[] = {
#include "data/datasets.def"
};
#undef CORDS_DATASET

enum { TYPE_COUNT = sizeof types / sizeof *types };

PetscErrorCode CordsDatasetList(PetscInt *count, const char *const **names, const char *const **abouts)
{
  PetscFunctionBegin;
  CORDS_REGISTRY_LIST(types, count, names, abouts);
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode FindType(const char *name, const CordsDatasetType **type)
{
  const char *const *names;
  PetscInt count, index;

  PetscFunctionBegin;
  PetscCall(CordsDatasetList(&count, &names, NULL));
  PetscCall(CordsRegistryFind("dataset", count, names, name, &index));
  *type = types[index];
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsDatasetDescribe(const char *name, PetscInt *channels, PetscInt *classes)
{
  const CordsDatasetType *type;

  PetscFunctionBegin;
  PetscCall(FindType(name, &type));
  *channels = type->channels;
  *classes = type->classes;
  PetscFunctionReturn(PETSC_SUCCESS);
}

static void CopyFacts(const CordsDatasetType *type, CordsDatasetFacts *facts)
{
  facts->name = type->name;
  facts->classes = type->classes;
  facts->channels = type->channels;
  facts->class_names = type->class_names;
  memcpy(facts->mean, type->mean, sizeof facts->mean);
  memcpy(facts->deviation, type->deviation, sizeof facts->deviation);
}

PetscErrorCode CordsDatasetOpen(CordsContext context, const char *name, const char *path, CordsSplit split,
                                CordsDataset *dataset)
{
  const CordsDatasetType *type;
  PetscErrorCode ierr;

  PetscFunctionBegin;
  *dataset = NULL;
  PetscCall(FindType(name, &type));
  CordsCheckUser(path && path[0], context->comm, "dataset %s: the directory of its files is not given", name);
  PetscCall(PetscNew(dataset));
  (*dataset)->type = type;
  (*dataset)->context = context;
  CopyFacts(type, &(*dataset)->facts);
  ierr = type->open(*dataset, path, split);
  if (ierr) (void)CordsDatasetDestroy(dataset); /* the first error is the one to report */
  PetscCall(ierr);
  PetscCall(CordsDatasetFileClose(&(*dataset)->file));
  PetscCheck((*dataset)->facts.count > 0 && (*dataset)->facts.rows > 0 && (*dataset)->facts.columns > 0, context->comm,
             PETSC_ERR_PLIB, "dataset %s was opened without a size", name);
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsDatasetDestroy(CordsDataset *dataset)
{
  PetscFunctionBegin;
  if (!*dataset) PetscFunctionReturn(PETSC_SUCCESS);
  PetscCall((*dataset)->type->close(*dataset));
  PetscCall(CordsDatasetFileClose(&(*dataset)->file));
  for (PetscInt i = 0; i < (*dataset)->path_count; i++) PetscCall(PetscFree((*dataset)->paths[i]));
  PetscCall(PetscFree((*dataset)->paths));
  PetscCall(PetscFree(*dataset));
  PetscFunctionReturn(PETSC_SUCCESS);
}

const CordsDatasetFacts *CordsDatasetGetFacts(CordsDataset dataset)
{
  return &dataset->facts;
}

const CordsAugmentation *CordsDatasetGetAugmentation(CordsDataset dataset)
{
  return &dataset->type->augmentation;
}

PetscErrorCode CordsDatasetRead(CordsDataset dataset, CordsSample i, uint8_t *pixels, PetscInt *label)
{
  PetscFunctionBegin;
  CordsCheckUser(i >= 0 && i < dataset->facts.count, PETSC_COMM_SELF,
                 "dataset %s: image %" PetscInt64_FMT " does not exist, the images are 0 to %" PetscInt64_FMT,
                 dataset->facts.name, i, dataset->facts.count - 1);
  PetscCall(dataset->type->read(dataset, i, pixels, label));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsDatasetOpenFile(CordsDataset dataset, const char *folder, PetscInt count, const char *const names[])
{
  char path[PETSC_MAX_PATH_LEN];

  PetscFunctionBegin;
  PetscCall(CordsDatasetFileClose(&dataset->file));
  PetscCall(CordsDatasetFileFind(dataset->context, folder, count, names, path));
  PetscCall(CordsDatasetFileOpen(dataset->context, path, &dataset->file));
  PetscCall(PetscRealloc(((size_t)dataset->path_count + 1) * sizeof *dataset->paths, &dataset->paths));
  PetscCall(PetscStrallocpy(path, &dataset->paths[dataset->path_count]));
  dataset->path_count++;
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsDatasetFiles(CordsDataset dataset, PetscInt *count, const char *const **paths)
{
  PetscFunctionBegin;
  *count = dataset->path_count;
  *paths = (const char *const *)dataset->paths;
  PetscFunctionReturn(PETSC_SUCCESS);
}
