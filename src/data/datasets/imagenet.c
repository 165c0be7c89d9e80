/* ImageNet (ILSVRC2012) in the files as distributed, which are read in place:

     DIR/ILSVRC2012_img_train.tar   of 1,000 tar files nXXXXXXXX.tar of JPEG images     or class folders DIR/train/n...
     DIR/ILSVRC2012_img_val.tar     of ILSVRC2012_val_XXXXXXXX.JPEG                     or class folders DIR/val/n...

   The labels of the flat validation tar stand in the development kit (in DIR, DIR/data or DIR/ILSVRC2012_devkit_t12/
   data): ILSVRC2012_validation_ground_truth.txt has the kit's number of each image's class, meta.mat tells which
   WordNet id has which number.  ILSVRC2012_synsets.txt with lines "NUMBER WNID" is read instead if it is there.

   A label is the place of the class's WordNet id in the sorted list of ids, as everybody counts, and not the kit's
   number. */
#include "data/dataset_type.h"
#include "data/image_folder.h"
#include "data/synsets.h"
#include "data/tar_index.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CLASSES_MAX = 100000, CLASS_NAME = CORDS_WNID_LENGTH };

/* ---- training: a tar of tars ---- */

typedef struct {
  CordsWnid wnid;
  PetscInt64 offset, length;
} Class;

typedef struct {
  const char *path;
  Class *classes;
  PetscInt count;
} Outer;

static const char *BaseName(const char *name)
{
  const char *slash = strrchr(name, '/');

  return slash ? slash + 1 : name;
}

static PetscErrorCode VisitClass(void *user, const char *name, PetscInt64 offset, PetscInt64 length, char *problem)
{
  Outer *outer = user;
  const char *base = BaseName(name);
  CordsWnid wnid = "";

  PetscFunctionBegin;
  if (strlen(base) == CORDS_WNID_LENGTH + 3 && !strcmp(base + CORDS_WNID_LENGTH - 1, ".tar"))
    memcpy(wnid, base, CORDS_WNID_LENGTH - 1);
  if (!CordsIsWnid(wnid) || outer->count == CLASSES_MAX) {
    snprintf(problem, CORDS_DATASET_PROBLEM, "%s: holds %.100s where tar files nXXXXXXXX.tar of classes are expected",
             outer->path, name);
    PetscFunctionReturn(PETSC_SUCCESS);
  }
  PetscCall(PetscRealloc(((size_t)outer->count + 1) * sizeof *outer->classes, &outer->classes));
  outer->classes[outer->count] = (Class){.offset = offset, .length = length};
  memcpy(outer->classes[outer->count++].wnid, wnid, sizeof wnid);
  PetscFunctionReturn(PETSC_SUCCESS);
}

typedef struct {
  CordsMembers members;
  PetscInt file, label;
  const char *wnid; /* NULL: the validation images */
} Inner;

static PetscErrorCode VisitImage(void *user, const char *name, PetscInt64 offset, PetscInt64 length, char *problem)
{
  Inner *inner = user;
  char text[PETSC_MAX_PATH_LEN];

  PetscFunctionBegin;
  if (!CordsIsImageName(BaseName(name)) || BaseName(name)[0] == '.') PetscFunctionReturn(PETSC_SUCCESS);
  snprintf(text, sizeof text, "%s%s%s", inner->wnid ? inner->wnid : "", inner->wnid ? ".tar/" : "", name);
  PetscCall(CordsMembersAdd(inner->members, inner->file, offset, length, inner->label, text));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static int CompareClasses(const void *a, const void *b)
{
  return strcmp(((const Class *)a)->wnid, ((const Class *)b)->wnid);
}

/* The tar files within, in the order of the classes. */
static PetscErrorCode WalkClasses(const Outer *outer, CordsMembers members, PetscInt file, char *problem)
{
  int descriptor = open(outer->path, O_RDONLY | O_CLOEXEC);
  PetscErrorCode ierr = PETSC_SUCCESS;

  PetscFunctionBegin;
  if (descriptor < 0)
    snprintf(problem, CORDS_DATASET_PROBLEM, "%s: cannot be opened (%s)", outer->path, strerror(errno));
  for (PetscInt k = 0; k < outer->count && !ierr && !problem[0]; k++) {
    const Class *class = &outer->classes[k];
    Inner inner = {.members = members, .file = file, .label = k, .wnid = class->wnid};
    PetscInt64 before = CordsMembersCount(members);
    char where[PETSC_MAX_PATH_LEN];
    snprintf(where, sizeof where, "%s: %s.tar", outer->path, class->wnid);
    if (k > 0 && !strcmp(class->wnid, class[-1].wnid))
      snprintf(problem, CORDS_DATASET_PROBLEM, "%s: is there twice", where);
    else
      ierr = CordsTarWalk(descriptor, where, class->offset, class->length, VisitImage, &inner, problem);
    if (!ierr && !problem[0] && CordsMembersCount(members) == before)
      snprintf(problem, CORDS_DATASET_PROBLEM, "%s: holds no image", where);
  }
  if (descriptor >= 0) close(descriptor);
  PetscCall(ierr);
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* Rank 0.  names: of the classes, PetscFree by the caller. */
static PetscErrorCode ListTraining(const char *path, CordsMembers members, PetscInt *count, char (**names)[CLASS_NAME],
                                   char *problem)
{
  Outer outer = {.path = path};
  PetscInt file;

  PetscFunctionBegin;
  PetscCall(CordsMembersAddFile(members, path, &file));
  PetscCall(CordsTarWalkFile(path, VisitClass, &outer, problem));
  if (!problem[0] && outer.count == 0)
    snprintf(problem, CORDS_DATASET_PROBLEM, "%s: holds no tar files nXXXXXXXX.tar of classes", path);
  if (outer.count > 1) qsort(outer.classes, (size_t)outer.count, sizeof *outer.classes, CompareClasses);
  if (!problem[0]) PetscCall(WalkClasses(&outer, members, file, problem));
  PetscCall(PetscMalloc1((size_t)outer.count, names));
  for (PetscInt k = 0; k < outer.count; k++) memcpy((*names)[k], outer.classes[k].wnid, CLASS_NAME);
  *count = outer.count;
  PetscCall(PetscFree(outer.classes));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* ---- validation: a flat tar and the development kit ---- */

/* The kit's numbers, one per line. */
static PetscErrorCode ReadTruth(const char *path, PetscInt *count, PetscInt **numbers, char *problem)
{
  FILE *stream = fopen(path, "r");
  char line[64], *end;

  PetscFunctionBegin;
  if (!stream) snprintf(problem, CORDS_DATASET_PROBLEM, "%s: cannot be read (%s)", path, strerror(errno));
  while (stream && !problem[0] && fgets(line, sizeof line, stream)) {
    long number = strtol(line, &end, 10);
    end += strspn(end, " \t\r\n");
    if (end == line || *end || number < 1 || number > CORDS_SYNSET_MAX) {
      snprintf(problem, CORDS_DATASET_PROBLEM, "%s: line %d is not a number 1 to %d", path, (int)*count + 1,
               CORDS_SYNSET_MAX);
      break;
    }
    if (*count % 4096 == 0) PetscCall(PetscRealloc(((size_t)*count + 4096) * sizeof **numbers, numbers));
    (*numbers)[(*count)++] = (PetscInt)number;
  }
  if (stream) fclose(stream);
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* ILSVRC2012_val_00000001.JPEG has the first line. */
static PetscInt ImageNumber(const char *name)
{
  const char *digits = strrchr(name, '_');

  return digits ? (PetscInt)strtol(digits + 1, NULL, 10) : 0;
}

static void SetLabels(CordsMembers members, const char *truth, PetscInt count, const PetscInt *numbers,
                      const char *synsets_path, const CordsSynsets *synsets, char *problem)
{
  for (PetscInt64 i = 0; i < CordsMembersCount(members) && !problem[0]; i++) {
    const char *name = CordsMembersName(members, i);
    PetscInt image = ImageNumber(name);
    if (image < 1 || image > count)
      snprintf(problem, CORDS_DATASET_PROBLEM, "%s: has %d lines, none of them for image %s", truth, (int)count, name);
    else if (synsets->index[numbers[image - 1]] < 0)
      snprintf(problem, CORDS_DATASET_PROBLEM, "%s: has no class with number %d, which %s gives to image %s",
               synsets_path, (int)numbers[image - 1], truth, name);
    else
      CordsMembersSetLabel(members, i, synsets->index[numbers[image - 1]]);
  }
}

typedef struct {
  char tar[PETSC_MAX_PATH_LEN], truth[PETSC_MAX_PATH_LEN], synsets[PETSC_MAX_PATH_LEN];
} Validation;

/* Rank 0. */
static PetscErrorCode ListValidation(const Validation *paths, CordsMembers members, CordsSynsets *synsets,
                                     char *problem)
{
  Inner inner = {.members = members};
  PetscInt count = 0, *numbers = NULL;

  PetscFunctionBegin;
  PetscCall(CordsMembersAddFile(members, paths->tar, &inner.file));
  PetscCall(CordsSynsetsRead(paths->synsets, synsets, problem));
  if (!problem[0]) PetscCall(ReadTruth(paths->truth, &count, &numbers, problem));
  if (!problem[0]) PetscCall(CordsTarWalkFile(paths->tar, VisitImage, &inner, problem));
  if (!problem[0]) SetLabels(members, paths->truth, count, numbers, paths->synsets, synsets, problem);
  if (!problem[0] && CordsMembersCount(members) == 0)
    snprintf(problem, CORDS_DATASET_PROBLEM, "%s: holds no image", paths->tar);
  PetscCall(PetscFree(numbers));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* ---- opening ---- */

static PetscErrorCode SetClasses(CordsDataset dataset, PetscInt count, char (*names)[CLASS_NAME])
{
  const char **list;

  PetscFunctionBegin;
  PetscCall(PetscMalloc1((size_t)count, &list));
  for (PetscInt k = 0; k < count; k++) list[k] = names[k];
  PetscCall(CordsDatasetSetClasses(dataset, count, list));
  PetscCall(PetscFree(list));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode OpenTraining(CordsDataset dataset, const char *path)
{
  char problem[CORDS_DATASET_PROBLEM] = "", (*names)[CLASS_NAME] = NULL;
  PetscInt count = 0;

  PetscFunctionBegin;
  if (dataset->context->rank == 0) PetscCall(ListTraining(path, dataset->data, &count, &names, problem));
  PetscCall(SetClasses(dataset, count, names));
  PetscCall(PetscFree(names));
  PetscCall(CordsDatasetAgree(dataset->context, problem));
  PetscCall(CordsDatasetShareMembers(dataset));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode OpenValidation(CordsDataset dataset, const char *folder, const char *path)
{
  static const char *const truths[] = {"ILSVRC2012_validation_ground_truth.txt",
                                       "data/ILSVRC2012_validation_ground_truth.txt",
                                       "ILSVRC2012_devkit_t12/data/ILSVRC2012_validation_ground_truth.txt"};
  static const char *const lists[] = {"ILSVRC2012_synsets.txt", "meta.mat", "data/meta.mat",
                                      "ILSVRC2012_devkit_t12/data/meta.mat"};
  char problem[CORDS_DATASET_PROBLEM] = "";
  static CordsSynsets synsets; /* 30 kB, and of this call only */
  Validation paths;

  PetscFunctionBegin;
  memset(&synsets, 0, sizeof synsets);
  PetscCall(PetscStrncpy(paths.tar, path, sizeof paths.tar));
  PetscCall(CordsDatasetFileFind(dataset->context, folder, 3, truths, paths.truth));
  PetscCall(CordsDatasetFileFind(dataset->context, folder, 4, lists, paths.synsets));
  PetscCall(CordsDatasetAddPath(dataset, paths.truth));
  PetscCall(CordsDatasetAddPath(dataset, paths.synsets));
  if (dataset->context->rank == 0) PetscCall(ListValidation(&paths, dataset->data, &synsets, problem));
  PetscCall(SetClasses(dataset, synsets.count, synsets.sorted));
  PetscCall(CordsDatasetAgree(dataset->context, problem));
  PetscCall(CordsDatasetShareMembers(dataset));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode Open(CordsDataset dataset, const char *path, CordsSplit split)
{
  static const char *const names[2][2] = {{"ILSVRC2012_img_train.tar", "train"}, {"ILSVRC2012_img_val.tar", "val"}};
  char found[PETSC_MAX_PATH_LEN];
  CordsMembers members;

  PetscFunctionBegin;
  PetscCall(CordsDatasetFileFind(dataset->context, path, 2, names[split], found));
  if (strcmp(found + strlen(found) - 4, ".tar") != 0) {
    PetscCall(CordsImageFolderOpen(dataset, found));
    PetscFunctionReturn(PETSC_SUCCESS);
  }
  PetscCall(CordsMembersCreate(&members));
  dataset->data = members;
  if (split == CORDS_SPLIT_TRAIN)
    PetscCall(OpenTraining(dataset, found));
  else
    PetscCall(OpenValidation(dataset, path, found));
  PetscFunctionReturn(PETSC_SUCCESS);
}

extern const CordsDatasetType cords_dataset_imagenet;
const CordsDatasetType cords_dataset_imagenet = {
    .name = "imagenet",
    .about = "ImageNet (ILSVRC2012): its tar files as distributed with the development kit, or class folders",
    CORDS_DATASET_PHOTOGRAPHS,
    .open = Open,
};
