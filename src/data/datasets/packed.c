/* The files that `cords pack` writes, one per split: DIR/train.h5 and DIR/val.h5 (or DIR/test.h5).  Their images are
   read in place.  Normalisation and augmentation are those of the dataset that was packed. */
#include "data/dataset_type.h"
#include "data/pack_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

typedef struct {
  CordsPackIndex index;
  CordsPackPlaces places;
  const char **names; /* [image] in index.names, whose lines are cut */
  int descriptor;
} Packed;

/* Cut a text of lines into `count` strings. */
static PetscErrorCode CutLines(char *text, PetscInt64 count, const char ***lines)
{
  char *rest = text;

  PetscFunctionBegin;
  PetscCall(PetscMalloc1((size_t)count, lines));
  for (PetscInt64 k = 0; k < count; k++) (*lines)[k] = strsep(&rest, "\n");
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode SetFacts(CordsDataset dataset, const CordsDatasetType *type)
{
  Packed *packed = dataset->data;
  const CordsPackIndex *index = &packed->index;
  const char **classes;

  PetscFunctionBegin;
  dataset->facts.count = index->count;
  dataset->facts.rows = (PetscInt)index->rows;
  dataset->facts.columns = (PetscInt)index->columns;
  dataset->facts.channels = (PetscInt)index->channels;
  memcpy(dataset->facts.mean, type->mean, sizeof type->mean);
  memcpy(dataset->facts.deviation, type->deviation, sizeof type->deviation);
  dataset->augmentation = type->augmentation;
  PetscCall(CutLines(index->classes, index->class_count, &classes));
  PetscCall(CordsDatasetSetClasses(dataset, (PetscInt)index->class_count, classes));
  PetscCall(PetscFree(classes));
  PetscCall(CutLines(index->names, index->count, &packed->names));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode OpenFile(CordsDataset dataset, const char *path, CordsSplit split)
{
  Packed *packed = dataset->data;
  const char *wanted = split == CORDS_SPLIT_TRAIN ? "train" : "test";
  char digest[CORDS_PACK_DIGEST], problem[CORDS_DATASET_PROBLEM] = "";
  const CordsDatasetType *type;
  PetscInt64 written;

  PetscFunctionBegin;
  PetscCall(CordsPackIndexRead(dataset->context, path, &packed->index, &packed->places, &written, digest));
  type = CordsDatasetTypeOf(packed->index.dataset);
  if (written < packed->index.count || !digest[0])
    snprintf(problem, sizeof problem, "%s: is not complete: %lld of %lld images are there", path, (long long)written,
             (long long)packed->index.count);
  else if (strcmp(packed->index.split, wanted) != 0)
    snprintf(problem, sizeof problem, "%s: holds the images of the %s split, those of %s are wanted", path,
             packed->index.split, wanted);
  else if (!type || (type->channels > 0 && type->channels != packed->index.channels))
    snprintf(problem, sizeof problem, "%s: holds images of dataset '%s', which cords does not know", path,
             packed->index.dataset);
  packed->descriptor = open(path, O_RDONLY | O_CLOEXEC);
  if (packed->descriptor < 0 && !problem[0])
    snprintf(problem, sizeof problem, "%s: cannot be opened on every rank (%s)", path, strerror(errno));
  PetscCall(CordsDatasetAgree(dataset->context, problem));
  PetscCall(SetFacts(dataset, type));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode Open(CordsDataset dataset, const char *path, CordsSplit split)
{
  static const char *const names[2][2] = {{"train.h5", "train.h5"}, {"val.h5", "test.h5"}};
  char found[PETSC_MAX_PATH_LEN];
  Packed *packed;

  PetscFunctionBegin;
  PetscCall(PetscNew(&packed));
  packed->descriptor = -1;
  dataset->data = packed;
  PetscCall(CordsDatasetFileFind(dataset->context, path, split == CORDS_SPLIT_TRAIN ? 1 : 2, names[split], found));
  PetscCall(OpenFile(dataset, found, split));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscBool ReadImage(const Packed *packed, CordsSample i, uint8_t *bytes, char *problem)
{
  PetscInt64 offset = packed->index.offsets[i], length = packed->index.offsets[i + 1] - offset;
  int failed = CordsPackReadAt(packed->descriptor, packed->places.data + offset, (size_t)length, bytes);

  if (failed) snprintf(problem, CORDS_DECODE_PROBLEM, "cannot be read: %s", strerror(failed));
  return (PetscBool)!failed;
}

static PetscBool Read(CordsDataset dataset, CordsSample i, uint8_t *pixels, PetscInt *label,
                      char problem[CORDS_DECODE_PROBLEM])
{
  const Packed *packed = dataset->data;

  *label = (PetscInt)packed->index.labels[i];
  return ReadImage(packed, i, pixels, problem);
}

static PetscInt64 Length(CordsDataset dataset, CordsSample i, PetscInt *label)
{
  const Packed *packed = dataset->data;

  *label = (PetscInt)packed->index.labels[i];
  return packed->index.offsets[i + 1] - packed->index.offsets[i];
}

static PetscBool Fetch(CordsDataset dataset, CordsSample i, CordsBytes *file, PetscInt *label,
                       char problem[CORDS_DECODE_PROBLEM])
{
  PetscInt64 length = Length(dataset, i, label);

  if (!CordsBytesResize(file, (size_t)length)) {
    snprintf(problem, CORDS_DECODE_PROBLEM, "does not fit into memory");
    return PETSC_FALSE;
  }
  return ReadImage(dataset->data, i, file->bytes, problem);
}

static void Where(CordsDataset dataset, CordsSample i, size_t length, char *text)
{
  const Packed *packed = dataset->data;

  snprintf(text, length, "%s (packed)", packed->names[i]);
}

static PetscErrorCode Close(CordsDataset dataset)
{
  Packed *packed = dataset->data;

  PetscFunctionBegin;
  if (!packed) PetscFunctionReturn(PETSC_SUCCESS);
  if (packed->descriptor >= 0) close(packed->descriptor);
  PetscCall(CordsPackIndexFree(&packed->index));
  PetscCall(PetscFree(packed->names));
  PetscCall(PetscFree(dataset->data));
  PetscFunctionReturn(PETSC_SUCCESS);
}

extern const CordsDatasetType cords_dataset_packed;
const CordsDatasetType cords_dataset_packed = {
    .name = "packed",
    .about = "any dataset in one file per split, made by `cords pack`: DIR/train.h5, DIR/val.h5 (or DIR/test.h5)",
    .open = Open,
    .read = Read,
    .fetch = Fetch,
    .length = Length,
    .where = Where,
    .close = Close,
};
