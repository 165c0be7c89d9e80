/* Tar files (shards) of samples: members with the same path up to the first dot of their last part are one sample, and
   lie one after the other:

     000123.jpg (.jpeg, .png)   000123.cls: the label, a number in text   000123.json and others: passed over

   The shards of a split are all *.tar in DIR/train or DIR/val (or DIR/test), or those in DIR whose name has the word
   train, or val or test.  Classes are named in DIR/classes.txt, one per line; without it they are 0 to the largest
   label of the split. */
#include "data/dataset_type.h"
#include "data/image_folder.h"
#include "data/tar_index.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LABEL_MAX = 1000000, LABEL_TEXT = 32 };

typedef struct {
  CordsMembers members;
  const char *path; /* of the shard */
  int descriptor;
  PetscInt file;
  char key[PETSC_MAX_PATH_LEN], image[PETSC_MAX_PATH_LEN]; /* of the sample at hand; empty: none */
  PetscInt64 offset, length;
  PetscInt label, label_max; /* −1: none */
} Walk;

/* The sample at hand is complete; one with neither image nor label is not ours. */
static PetscErrorCode FinishSample(Walk *walk, char *problem)
{
  PetscFunctionBegin;
  if (walk->image[0] && walk->label >= 0) {
    PetscCall(CordsMembersAdd(walk->members, walk->file, walk->offset, walk->length, walk->label, walk->image));
    walk->label_max = PetscMax(walk->label_max, walk->label);
  } else if (walk->image[0] || walk->label >= 0) {
    snprintf(problem, CORDS_DATASET_PROBLEM, "%s: sample %s has %s", walk->path, walk->key,
             walk->image[0] ? "an image but no label (.cls)" : "a label but no image (.jpg, .jpeg or .png)");
  }
  walk->image[0] = '\0';
  walk->label = -1;
  PetscFunctionReturn(PETSC_SUCCESS);
}

static void ReadLabel(Walk *walk, const char *name, PetscInt64 offset, PetscInt64 length, char *problem)
{
  char text[LABEL_TEXT + 1] = "", *end = text;
  long label = -1;

  if (length < LABEL_TEXT && pread(walk->descriptor, text, (size_t)length, (off_t)offset) == length)
    label = strtol(text, &end, 10);
  end += strspn(end, " \r\n\t");
  if (end == text || *end || label < 0 || label >= LABEL_MAX)
    snprintf(problem, CORDS_DATASET_PROBLEM, "%s: %s is not a label, a number 0 to %d", walk->path, name,
             LABEL_MAX - 1);
  else
    walk->label = (PetscInt)label;
}

static PetscErrorCode Visit(void *user, const char *name, PetscInt64 offset, PetscInt64 length, char *problem)
{
  Walk *walk = user;
  const char *slash = strrchr(name, '/'), *dot = strchr(slash ? slash + 1 : name, '.');
  size_t key = dot ? (size_t)(dot - name) : 0;

  PetscFunctionBegin;
  if (!dot || strlen(name) >= PETSC_MAX_PATH_LEN) PetscFunctionReturn(PETSC_SUCCESS);
  if (strlen(walk->key) != key || memcmp(walk->key, name, key) != 0) PetscCall(FinishSample(walk, problem));
  if (problem[0]) PetscFunctionReturn(PETSC_SUCCESS);
  snprintf(walk->key, sizeof walk->key, "%.*s", (int)key, name);
  if (!strcmp(dot, ".cls"))
    ReadLabel(walk, name, offset, length, problem);
  else if (CordsIsImageName(dot)) {
    strcpy(walk->image, name);
    walk->offset = offset;
    walk->length = length;
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode WalkShard(Walk *walk, const char *path, char *problem)
{
  PetscFunctionBegin;
  walk->path = path;
  walk->key[0] = walk->image[0] = '\0';
  walk->label = -1;
  walk->descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  PetscCall(CordsMembersAddFile(walk->members, path, &walk->file));
  PetscCall(CordsTarWalkFile(path, Visit, walk, problem));
  if (!problem[0]) PetscCall(FinishSample(walk, problem));
  if (walk->descriptor >= 0) close(walk->descriptor);
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* ---- which shards ---- */

static PetscBool IsShard(const char *name, PetscBool any, CordsSplit split)
{
  size_t length = strlen(name);

  if (name[0] == '.' || length < 5 || strcmp(name + length - 4, ".tar") != 0) return PETSC_FALSE;
  if (any) return PETSC_TRUE;
  if (split == CORDS_SPLIT_TRAIN) return (PetscBool)(strstr(name, "train") != NULL);
  return (PetscBool)(strstr(name, "val") || strstr(name, "test"));
}

static int CompareNames(const void *a, const void *b)
{
  return strcmp(*(char *const *)a, *(char *const *)b);
}

static PetscErrorCode ListShards(const char *folder, PetscBool any, CordsSplit split, PetscInt *count, char ***paths)
{
  char path[PETSC_MAX_PATH_LEN];
  DIR *stream = opendir(folder);
  struct dirent *entry;

  PetscFunctionBegin;
  while (stream && (entry = readdir(stream))) {
    if (!IsShard(entry->d_name, any, split)) continue;
    snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
    PetscCall(PetscRealloc(((size_t)*count + 1) * sizeof **paths, paths));
    PetscCall(PetscStrallocpy(path, &(*paths)[(*count)++]));
  }
  if (stream) closedir(stream);
  if (*count > 1) qsort(*paths, (size_t)*count, sizeof **paths, CompareNames);
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* Rank 0. */
static PetscErrorCode FindShards(const char *path, CordsSplit split, PetscInt *count, char ***paths, char *problem)
{
  static const char *const folders[2][2] = {{"train", "train"}, {"val", "test"}};
  char folder[PETSC_MAX_PATH_LEN];
  struct stat status;

  PetscFunctionBegin;
  if (stat(path, &status)) {
    snprintf(problem, CORDS_DATASET_PROBLEM, "%s: cannot look into it (%s)", path, strerror(errno));
    PetscFunctionReturn(PETSC_SUCCESS);
  }
  for (int i = 0; i < 2 && *count == 0; i++) {
    snprintf(folder, sizeof folder, "%s/%s", path, folders[split][i]);
    PetscCall(ListShards(folder, PETSC_TRUE, split, count, paths));
  }
  if (*count == 0) PetscCall(ListShards(path, PETSC_FALSE, split, count, paths));
  if (*count == 0)
    snprintf(problem, CORDS_DATASET_PROBLEM, "%s: has none of the files %s/*.tar, *%s*.tar%s", path, folders[split][0],
             folders[split][0], split == CORDS_SPLIT_TRAIN ? "" : ", test/*.tar, *test*.tar");
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* ---- classes ---- */

/* Names of DIR/classes.txt, or numbers; rank 0. */
static PetscErrorCode NameClasses(const char *path, PetscInt label_max, PetscInt *count, char ***names, char *problem)
{
  char name[PETSC_MAX_PATH_LEN], line[256];
  FILE *stream;

  PetscFunctionBegin;
  snprintf(name, sizeof name, "%s/classes.txt", path);
  stream = fopen(name, "r");
  while (stream ? *count < LABEL_MAX && fgets(line, sizeof line, stream) : *count <= label_max) {
    if (stream)
      line[strcspn(line, "\r\n")] = '\0';
    else
      snprintf(line, sizeof line, "%d", (int)*count);
    PetscCall(PetscRealloc(((size_t)*count + 1) * sizeof **names, names));
    PetscCall(PetscStrallocpy(line, &(*names)[(*count)++]));
  }
  if (stream) fclose(stream);
  if (label_max >= *count)
    snprintf(problem, CORDS_DATASET_PROBLEM, "%s: names %d classes, but there is a sample of class %d", name,
             (int)*count, (int)label_max);
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* ---- opening ---- */

typedef struct {
  PetscInt shard_count, class_count;
  char **shards, **classes;
} Lists;

/* Rank 0. */
static PetscErrorCode OpenHere(CordsMembers members, const char *path, CordsSplit split, Lists *lists, char *problem)
{
  Walk walk = {.members = members, .label_max = -1};

  PetscFunctionBegin;
  PetscCall(FindShards(path, split, &lists->shard_count, &lists->shards, problem));
  for (PetscInt i = 0; i < lists->shard_count && !problem[0]; i++)
    PetscCall(WalkShard(&walk, lists->shards[i], problem));
  if (!problem[0] && CordsMembersCount(members) == 0)
    snprintf(problem, CORDS_DATASET_PROBLEM, "%s: holds no sample (KEY.jpg and KEY.cls)", lists->shards[0]);
  if (!problem[0]) PetscCall(NameClasses(path, walk.label_max, &lists->class_count, &lists->classes, problem));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode FreeNames(PetscInt count, char ***names)
{
  PetscFunctionBegin;
  for (PetscInt i = 0; i < count; i++) PetscCall(PetscFree((*names)[i]));
  PetscCall(PetscFree(*names));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode Open(CordsDataset dataset, const char *path, CordsSplit split)
{
  char problem[CORDS_DATASET_PROBLEM] = "";
  CordsMembers members;
  Lists lists = {0};

  PetscFunctionBegin;
  PetscCall(CordsMembersCreate(&members));
  dataset->data = members;
  if (dataset->context->rank == 0) PetscCall(OpenHere(members, path, split, &lists, problem));
  PetscCall(CordsDatasetSetClasses(dataset, lists.class_count, (const char *const *)lists.classes));
  PetscCall(FreeNames(lists.shard_count, &lists.shards));
  PetscCall(FreeNames(lists.class_count, &lists.classes));
  PetscCall(CordsDatasetAgree(dataset->context, problem));
  PetscCall(CordsDatasetShareMembers(dataset));
  PetscFunctionReturn(PETSC_SUCCESS);
}

extern const CordsDatasetType cords_dataset_webdataset;
const CordsDatasetType cords_dataset_webdataset = {
    .name = "webdataset",
    .about = "tar files of KEY.jpg and KEY.cls (WebDataset): DIR/train/*.tar, DIR/val/*.tar, or *train*.tar, *val*.tar",
    CORDS_DATASET_PHOTOGRAPHS,
    .open = Open,
};
