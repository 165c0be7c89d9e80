#include "data/dataset.h"

#include "core/registry.h"
#include "data/dataset_type.h"
#include "data/skipped.h"

#include <stdio.h>
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

const CordsDatasetType *CordsDatasetTypeOf(const char *name)
{
  for (int i = 0; i < TYPE_COUNT; i++)
    if (!strcmp(types[i]->name, name)) return types[i];
  return NULL;
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

/* What the author of the type has promised. */
static PetscErrorCode CheckFacts(CordsDataset dataset)
{
  const CordsDatasetFacts *facts = &dataset->facts;
  PetscBool sized = (PetscBool)(facts->rows > 0 && facts->columns > 0);

  PetscFunctionBegin;
  PetscCheck(facts->count > 0 && facts->classes > 0 && facts->channels > 0 && facts->class_names,
             dataset->context->comm, PETSC_ERR_PLIB, "dataset %s was opened without its facts", facts->name);
  PetscCheck(sized ? !!dataset->type->read : dataset->type->fetch && dataset->type->length && dataset->type->where,
             dataset->context->comm, PETSC_ERR_PLIB, "dataset %s was opened without a size", facts->name);
  PetscFunctionReturn(PETSC_SUCCESS);
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
  (*dataset)->augmentation = type->augmentation;
  CopyFacts(type, &(*dataset)->facts);
  PetscCall(CordsSkippedCreate(&(*dataset)->skipped));
  ierr = type->open(*dataset, path, split);
  if (ierr) (void)CordsDatasetDestroy(dataset); /* the first error is the one to report */
  PetscCall(ierr);
  PetscCall(CordsDatasetFileClose(&(*dataset)->file));
  PetscCall(CheckFacts(*dataset));
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
  PetscCall(PetscFree((*dataset)->class_text));
  PetscCall(PetscFree((*dataset)->class_names));
  PetscCall(CordsSkippedDestroy(&(*dataset)->skipped));
  PetscCall(PetscFree(*dataset));
  PetscFunctionReturn(PETSC_SUCCESS);
}

const CordsDatasetFacts *CordsDatasetGetFacts(CordsDataset dataset)
{
  return &dataset->facts;
}

const CordsAugmentation *CordsDatasetGetAugmentation(CordsDataset dataset)
{
  return &dataset->augmentation;
}

PetscErrorCode CordsDatasetRead(CordsDataset dataset, CordsSample i, uint8_t *pixels, PetscInt *label)
{
  char problem[CORDS_DECODE_PROBLEM];

  PetscFunctionBegin;
  CordsCheckUser(i >= 0 && i < dataset->facts.count, PETSC_COMM_SELF,
                 "dataset %s: image %" PetscInt64_FMT " does not exist, the images are 0 to %" PetscInt64_FMT,
                 dataset->facts.name, i, dataset->facts.count - 1);
  PetscCheck(dataset->facts.rows > 0, PETSC_COMM_SELF, PETSC_ERR_ARG_WRONGSTATE, "dataset %s has images of any size",
             dataset->facts.name);
  CordsCheckUser(CordsDatasetPixels(dataset, i, pixels, label, problem), PETSC_COMM_SELF,
                 "dataset %s: image %" PetscInt64_FMT " %s", dataset->facts.name, i, problem);
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscBool CordsDatasetPixels(CordsDataset dataset, CordsSample i, uint8_t *pixels, PetscInt *label,
                             char problem[CORDS_DECODE_PROBLEM])
{
  problem[0] = '\0';
  return dataset->type->read(dataset, i, pixels, label, problem);
}

PetscBool CordsDatasetFetch(CordsDataset dataset, CordsSample i, CordsBytes *file, PetscInt *label,
                            char problem[CORDS_DECODE_PROBLEM])
{
  problem[0] = '\0';
  return dataset->type->fetch(dataset, i, file, label, problem);
}

PetscInt64 CordsDatasetLength(CordsDataset dataset, CordsSample i, PetscInt *label)
{
  return dataset->type->length(dataset, i, label);
}

void CordsDatasetWhere(CordsDataset dataset, CordsSample i, size_t length, char *text)
{
  if (dataset->facts.rows == 0)
    dataset->type->where(dataset, i, length, text);
  else
    snprintf(text, length, "%s %" PetscInt64_FMT, dataset->facts.name, i);
}

PetscErrorCode CordsDatasetSetClasses(CordsDataset dataset, PetscInt count, const char *const names[])
{
  CordsContext context = dataset->context;
  PetscInt64 sizes[2] = {count, 0};
  char *end;

  PetscFunctionBegin;
  for (PetscInt k = 0; context->rank == 0 && k < count; k++) sizes[1] += (PetscInt64)strlen(names[k]) + 1;
  PetscCallMPI(MPI_Bcast(sizes, 2, MPIU_INT64, 0, context->comm));
  PetscCall(PetscCalloc1((size_t)sizes[1] + 1, &dataset->class_text));
  PetscCall(PetscMalloc1((size_t)sizes[0] + 1, &dataset->class_names));
  end = dataset->class_text;
  for (PetscInt k = 0; context->rank == 0 && k < count; k++) end = stpcpy(end, names[k]) + 1;
  PetscCallMPI(MPI_Bcast(dataset->class_text, (int)sizes[1], MPI_CHAR, 0, context->comm));
  end = dataset->class_text;
  for (PetscInt64 k = 0; k < sizes[0]; k++, end += strlen(end) + 1) dataset->class_names[k] = end;
  dataset->facts.classes = (PetscInt)sizes[0];
  dataset->facts.class_names = dataset->class_names;
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsDatasetAddPath(CordsDataset dataset, const char *path)
{
  PetscFunctionBegin;
  PetscCall(PetscRealloc(((size_t)dataset->path_count + 1) * sizeof *dataset->paths, &dataset->paths));
  PetscCall(PetscStrallocpy(path, &dataset->paths[dataset->path_count]));
  dataset->path_count++;
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsDatasetOpenFile(CordsDataset dataset, const char *folder, PetscInt count, const char *const names[])
{
  char path[PETSC_MAX_PATH_LEN];

  PetscFunctionBegin;
  PetscCall(CordsDatasetFileClose(&dataset->file));
  PetscCall(CordsDatasetFileFind(dataset->context, folder, count, names, path));
  PetscCall(CordsDatasetFileOpen(dataset->context, path, &dataset->file));
  PetscCall(CordsDatasetAddPath(dataset, path));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsDatasetFiles(CordsDataset dataset, PetscInt *count, const char *const **paths)
{
  PetscFunctionBegin;
  *count = dataset->path_count;
  *paths = (const char *const *)dataset->paths;
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsDatasetCommitResults(CordsDataset dataset, const char *command, const char *checkpoint,
                                         CordsResults *results)
{
  const char **inputs;

  PetscFunctionBegin;
  PetscCall(PetscMalloc1(dataset->path_count + 1, &inputs));
  inputs[0] = checkpoint;
  for (PetscInt k = 0; k < dataset->path_count; k++) inputs[k + 1] = dataset->paths[k];
  PetscCall(CordsResultsCommit(results, command, dataset->path_count + 1, inputs));
  PetscCall(PetscFree(inputs));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* ---- datasets of members ---- */

PetscBool CordsDatasetFetchMember(CordsDataset dataset, CordsSample i, CordsBytes *file, PetscInt *label,
                                  char problem[CORDS_DECODE_PROBLEM])
{
  *label = CordsMembersLabel(dataset->data, i);
  return CordsMembersFetch(dataset->data, i, file, problem);
}

PetscInt64 CordsDatasetMemberLength(CordsDataset dataset, CordsSample i, PetscInt *label)
{
  *label = CordsMembersLabel(dataset->data, i);
  return CordsMembersLength(dataset->data, i);
}

void CordsDatasetWhereMember(CordsDataset dataset, CordsSample i, size_t length, char *text)
{
  CordsMembersWhere(dataset->data, i, length, text);
}

PetscErrorCode CordsDatasetCloseMembers(CordsDataset dataset)
{
  PetscFunctionBegin;
  PetscCall(CordsMembersDestroy((CordsMembers *)&dataset->data));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsDatasetShareMembers(CordsDataset dataset)
{
  PetscFunctionBegin;
  PetscCall(CordsMembersShare(dataset->data, dataset->context));
  dataset->facts.count = CordsMembersCount(dataset->data);
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* ---- images that are left out ---- */

PetscErrorCode CordsDatasetStrictFromOptions(void)
{
  PetscFunctionBegin;
  PetscCall(CordsSkippedFromOptions());
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsDatasetSkip(CordsDataset dataset, CordsSample i, const char *problem)
{
  char where[PETSC_MAX_PATH_LEN];

  PetscFunctionBegin;
  CordsDatasetWhere(dataset, i, sizeof where, where);
  PetscCall(CordsSkippedAdd(dataset->skipped, i, where, problem));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsDatasetSkipped(CordsDataset dataset, PetscInt *count, CordsSample **images)
{
  PetscFunctionBegin;
  PetscCall(CordsSkippedGather(dataset->skipped, dataset->context, count, images));
  PetscFunctionReturn(PETSC_SUCCESS);
}
