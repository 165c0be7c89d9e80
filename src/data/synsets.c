#include "data/synsets.h"

#include "data/synsets_private.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FILE_BYTES_MAX = 1 << 26 };

PetscBool CordsIsWnid(const char *text)
{
  if (text[0] != 'n') return PETSC_FALSE;
  for (int i = 1; i < CORDS_WNID_LENGTH - 1; i++)
    if (!isdigit((unsigned char)text[i])) return PETSC_FALSE;
  return (PetscBool)(text[CORDS_WNID_LENGTH - 1] == '\0');
}

void CordsSynsetsAdd(CordsSynsets *synsets, const char *path, double number, const char *wnid, char *problem)
{
  int k = number >= 1 && number <= CORDS_SYNSET_MAX ? (int)number : 0;

  if (problem[0] || number > CORDS_SYNSET_MAX) return;
  if (k < 1 || k != number || !CordsIsWnid(wnid))
    snprintf(problem, CORDS_DATASET_PROBLEM, "%s: holds a class with the number %g and the WordNet id '%.20s'", path,
             number, wnid);
  else if (synsets->wnid[k][0])
    snprintf(problem, CORDS_DATASET_PROBLEM, "%s: has the number %d twice", path, k);
  else
    strcpy(synsets->wnid[k], wnid);
}

static void ReadText(const char *path, char *text, CordsSynsets *synsets, char *problem)
{
  char *rest = text, *line;

  for (int number = 1; (line = strsep(&rest, "\r\n")) && !problem[0]; number++) {
    char *end, *wnid;
    long k = strtol(line, &end, 10);
    if (line[strspn(line, " \t")] == '\0') continue;
    wnid = end + strspn(end, " \t");
    wnid[strcspn(wnid, " \t")] = '\0';
    if (end == line || k > CORDS_SYNSET_MAX)
      snprintf(problem, CORDS_DATASET_PROBLEM, "%s: line %d is not a number 1 to %d and a WordNet id", path, number,
               CORDS_SYNSET_MAX);
    else
      CordsSynsetsAdd(synsets, path, (double)k, wnid, problem);
  }
}

static int CompareWnids(const void *a, const void *b)
{
  return strcmp(a, b);
}

/* A class's index is the rank of its id. */
static void Sort(CordsSynsets *synsets, const char *path, char *problem)
{
  for (int k = 1; k <= CORDS_SYNSET_MAX; k++)
    if (synsets->wnid[k][0]) strcpy(synsets->sorted[synsets->count++], synsets->wnid[k]);
  qsort(synsets->sorted, (size_t)synsets->count, sizeof *synsets->sorted, CompareWnids);
  for (PetscInt i = 1; i < synsets->count; i++)
    if (!strcmp(synsets->sorted[i], synsets->sorted[i - 1]))
      snprintf(problem, CORDS_DATASET_PROBLEM, "%s: has %s twice", path, synsets->sorted[i]);
  for (int k = 0; k <= CORDS_SYNSET_MAX; k++) {
    CordsWnid *found =
        bsearch(synsets->wnid[k], synsets->sorted, (size_t)synsets->count, sizeof *synsets->sorted, CompareWnids);
    synsets->index[k] = found ? (PetscInt)(found - synsets->sorted) : -1;
  }
  if (synsets->count == 0) snprintf(problem, CORDS_DATASET_PROBLEM, "%s: names no class", path);
}

/* The whole file with a zero behind it; NULL with a problem. */
static char *ReadFile(const char *path, size_t *length, char *problem)
{
  FILE *stream = fopen(path, "rb");
  long end = stream && !fseek(stream, 0, SEEK_END) ? ftell(stream) : -1;
  size_t most = end < 0 ? 0 : (size_t)PetscMin(end, (long)FILE_BYTES_MAX);
  char *bytes = end < 0 ? NULL : malloc(most + 1);

  *length = 0;
  if (bytes) {
    rewind(stream);
    *length = fread(bytes, 1, most, stream);
  }
  if (!bytes || ferror(stream))
    snprintf(problem, CORDS_DATASET_PROBLEM, "%s: cannot be read (%s)", path, strerror(errno));
  else if (*length == FILE_BYTES_MAX)
    snprintf(problem, CORDS_DATASET_PROBLEM, "%s: is longer than %d bytes", path, FILE_BYTES_MAX - 1);
  if (stream) fclose(stream);
  if (bytes) bytes[*length] = '\0';
  return bytes;
}

PetscErrorCode CordsSynsetsRead(const char *path, CordsSynsets *synsets, char problem[CORDS_DATASET_PROBLEM])
{
  size_t length, name = strlen(path);
  char *bytes = ReadFile(path, &length, problem);
  PetscErrorCode ierr = PETSC_SUCCESS;

  PetscFunctionBegin;
  memset(synsets, 0, sizeof *synsets);
  if (!problem[0]) {
    if (name > 4 && !strcmp(path + name - 4, ".mat"))
      ierr = CordsSynsetsMatlab(path, length, (const uint8_t *)bytes, synsets, problem);
    else
      ReadText(path, bytes, synsets, problem);
  }
  free(bytes);
  PetscCall(ierr);
  if (!problem[0]) Sort(synsets, path, problem);
  PetscFunctionReturn(PETSC_SUCCESS);
}
