#include "data/image_folder.h"

#include "data/dataset_type.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

enum { CLASSES_MAX = 1000000 };

PetscBool CordsIsImageName(const char *name)
{
  const char *dot = strrchr(name, '.');

  return (PetscBool)(dot && (!strcasecmp(dot, ".jpg") || !strcasecmp(dot, ".jpeg") || !strcasecmp(dot, ".png")));
}

static int CompareNames(const void *a, const void *b)
{
  return strcmp(*(char *const *)a, *(char *const *)b);
}

static PetscBool IsFolder(const char *root, const struct dirent *entry)
{
  char path[PETSC_MAX_PATH_LEN];
  struct stat status;

  if (entry->d_name[0] == '.') return PETSC_FALSE;
  if (entry->d_type == DT_DIR) return PETSC_TRUE;
  if (entry->d_type == DT_REG) return PETSC_FALSE;
  snprintf(path, sizeof path, "%s/%s", root, entry->d_name);
  return (PetscBool)(!stat(path, &status) && S_ISDIR(status.st_mode));
}

/* Names of the class folders, sorted. */
static PetscErrorCode ListClasses(const char *root, PetscInt *count, char ***names, char *problem)
{
  DIR *folder = opendir(root);
  struct dirent *entry;

  PetscFunctionBegin;
  if (!folder) snprintf(problem, CORDS_DATASET_PROBLEM, "%s: cannot be listed (%s)", root, strerror(errno));
  while (folder && *count < CLASSES_MAX && (entry = readdir(folder))) {
    if (!IsFolder(root, entry)) continue;
    PetscCall(PetscRealloc(((size_t)*count + 1) * sizeof **names, names));
    PetscCall(PetscStrallocpy(entry->d_name, &(*names)[(*count)++]));
  }
  if (folder) closedir(folder);
  if (*count > 1) qsort(*names, (size_t)*count, sizeof **names, CompareNames);
  if (!problem[0] && *count == 0)
    snprintf(problem, CORDS_DATASET_PROBLEM, "%s: has no folders; one folder of images per class is needed", root);
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode ListImages(CordsMembers members, PetscInt file, const char *root, const char *name,
                                 PetscInt label, char *problem)
{
  char path[PETSC_MAX_PATH_LEN];
  PetscInt64 before = CordsMembersCount(members);
  struct dirent *entry;
  DIR *folder;

  PetscFunctionBegin;
  snprintf(path, sizeof path, "%s/%s", root, name);
  folder = opendir(path);
  if (!folder) snprintf(problem, CORDS_DATASET_PROBLEM, "%s: cannot be listed (%s)", path, strerror(errno));
  while (folder && (entry = readdir(folder))) {
    if (entry->d_name[0] == '.' || !CordsIsImageName(entry->d_name)) continue;
    snprintf(path, sizeof path, "%s/%s", name, entry->d_name);
    PetscCall(CordsMembersAdd(members, file, 0, -1, label, path));
  }
  if (folder) closedir(folder);
  if (!problem[0] && CordsMembersCount(members) == before)
    snprintf(problem, CORDS_DATASET_PROBLEM, "%s/%s: holds no image (a name that ends in .jpg, .jpeg or .png)", root,
             name);
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* Rank 0. */
static PetscErrorCode ListAll(CordsMembers members, const char *root, PetscInt *count, char ***names, char *problem)
{
  PetscInt file;

  PetscFunctionBegin;
  PetscCall(ListClasses(root, count, names, problem));
  PetscCall(CordsMembersAddFile(members, root, &file));
  for (PetscInt k = 0; k < *count && !problem[0]; k++)
    PetscCall(ListImages(members, file, root, (*names)[k], k, problem));
  CordsMembersSort(members);
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsImageFolderOpen(CordsDataset dataset, const char *root)
{
  char problem[CORDS_DATASET_PROBLEM] = "", **names = NULL;
  PetscInt count = 0;
  CordsMembers members;

  PetscFunctionBegin;
  PetscCall(CordsMembersCreate(&members));
  dataset->data = members;
  if (dataset->context->rank == 0) PetscCall(ListAll(members, root, &count, &names, problem));
  PetscCall(CordsDatasetSetClasses(dataset, count, (const char *const *)names));
  for (PetscInt k = 0; k < count; k++) PetscCall(PetscFree(names[k]));
  PetscCall(PetscFree(names));
  PetscCall(CordsDatasetAgree(dataset->context, problem));
  PetscCall(CordsDatasetShareMembers(dataset));
  PetscFunctionReturn(PETSC_SUCCESS);
}
