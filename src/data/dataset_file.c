#include "data/dataset_file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <zlib.h>

enum {
  CHUNK_BYTES = 1 << 24,   /* one read and one broadcast */
  DEFLATE_RATIO_MAX = 1032 /* 258 bytes from 2 bits: no gzip file expands more */
};

struct _p_CordsDatasetFile {
  CordsContext context;
  char *path;
  gzFile stream; /* rank 0 only */
  PetscInt64 bytes_max;
  PetscBool exact;
};

PetscErrorCode CordsDatasetAgree(CordsContext context, char problem[CORDS_DATASET_PROBLEM])
{
  int rank = problem[0] ? context->rank : context->size, first;

  PetscFunctionBegin;
  PetscCallMPI(MPI_Allreduce(&rank, &first, 1, MPI_INT, MPI_MIN, context->comm));
  if (first == context->size) PetscFunctionReturn(PETSC_SUCCESS);
  PetscCallMPI(MPI_Bcast(problem, CORDS_DATASET_PROBLEM, MPI_CHAR, first, context->comm));
  CordsCheckUser(!problem[0], context->comm, "%s", problem);
  PetscFunctionReturn(PETSC_SUCCESS);
}

static void CheckFolder(const char *folder, char problem[CORDS_DATASET_PROBLEM])
{
  struct stat status;

  if (stat(folder, &status))
    snprintf(problem, CORDS_DATASET_PROBLEM,
             "%s: cannot look into it (%s); the directory with the files of the dataset is needed", folder,
             strerror(errno));
  else if (!S_ISDIR(status.st_mode))
    snprintf(problem, CORDS_DATASET_PROBLEM,
             "%s: is not a directory; the directory with the files of the dataset is needed", folder);
}

static void FindIn(const char *folder, PetscInt count, const char *const names[], char path[PETSC_MAX_PATH_LEN],
                   char problem[CORDS_DATASET_PROBLEM])
{
  struct stat status;
  int length;

  for (PetscInt i = 0; i < count; i++) {
    length = snprintf(path, PETSC_MAX_PATH_LEN, "%s/%s", folder, names[i]);
    if (length < PETSC_MAX_PATH_LEN && !stat(path, &status)) return;
  }
  length = snprintf(problem, CORDS_DATASET_PROBLEM, "%s: has none of the files ", folder);
  for (PetscInt i = 0; i < count && length < CORDS_DATASET_PROBLEM; i++)
    length += snprintf(problem + length, CORDS_DATASET_PROBLEM - (size_t)length, "%s%s", i ? ", " : "", names[i]);
}

PetscErrorCode CordsDatasetFileFind(CordsContext context, const char *folder, PetscInt count, const char *const names[],
                                    char path[PETSC_MAX_PATH_LEN])
{
  char problem[CORDS_DATASET_PROBLEM] = "";

  PetscFunctionBegin;
  memset(path, 0, PETSC_MAX_PATH_LEN);
  if (context->rank == 0) {
    CheckFolder(folder, problem);
    if (!problem[0]) FindIn(folder, count, names, path, problem);
  }
  PetscCall(CordsDatasetAgree(context, problem));
  PetscCallMPI(MPI_Bcast(path, PETSC_MAX_PATH_LEN, MPI_CHAR, 0, context->comm));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* Rank 0: open the stream and learn what it can hold.  The kind of file is looked at first: opening a pipe would wait
   for its other end. */
static void OpenStream(CordsDatasetFile file, char problem[CORDS_DATASET_PROBLEM])
{
  struct stat status;

  if (stat(file->path, &status)) {
    snprintf(problem, CORDS_DATASET_PROBLEM, "%s: cannot be read (%s)", file->path, strerror(errno));
    return;
  }
  if (!S_ISREG(status.st_mode)) {
    snprintf(problem, CORDS_DATASET_PROBLEM, "%s: is not a regular file", file->path);
    return;
  }
  errno = 0;
  file->stream = gzopen(file->path, "rb");
  if (!file->stream) {
    snprintf(problem, CORDS_DATASET_PROBLEM, "%s: cannot be read (%s)", file->path,
             errno ? strerror(errno) : "out of memory");
    return;
  }
  gzbuffer(file->stream, 1 << 18);
  file->exact = (PetscBool)gzdirect(file->stream);
  file->bytes_max = (PetscInt64)status.st_size * (file->exact ? 1 : DEFLATE_RATIO_MAX);
}

PetscErrorCode CordsDatasetFileOpen(CordsContext context, const char *path, CordsDatasetFile *file)
{
  char problem[CORDS_DATASET_PROBLEM] = "";
  PetscInt64 numbers[2];

  PetscFunctionBegin;
  PetscCall(PetscNew(file));
  (*file)->context = context;
  PetscCall(PetscStrallocpy(path, &(*file)->path));
  if (context->rank == 0) OpenStream(*file, problem);
  PetscCallMPI(MPI_Bcast(problem, CORDS_DATASET_PROBLEM, MPI_CHAR, 0, context->comm));
  if (problem[0]) PetscCall(CordsDatasetFileClose(file));
  CordsCheckUser(!problem[0], context->comm, "%s", problem);
  numbers[0] = (*file)->bytes_max;
  numbers[1] = (*file)->exact;
  PetscCallMPI(MPI_Bcast(numbers, 2, MPIU_INT64, 0, context->comm));
  (*file)->bytes_max = numbers[0];
  (*file)->exact = (PetscBool)numbers[1];
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsDatasetFileClose(CordsDatasetFile *file)
{
  PetscFunctionBegin;
  if (!*file) PetscFunctionReturn(PETSC_SUCCESS);
  if ((*file)->stream) gzclose_r((*file)->stream); /* nothing is lost if this fails: what was read was checked */
  PetscCall(PetscFree((*file)->path));
  PetscCall(PetscFree(*file));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsDatasetFileLength(CordsDatasetFile file, PetscInt64 *bytes_max, PetscBool *exact)
{
  PetscFunctionBegin;
  *bytes_max = file->bytes_max;
  *exact = file->exact;
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* Rank 0: the next piece of the file.  zlib reports a truncated file only through gzerror, with fewer bytes. */
static PetscInt64 ReadStream(CordsDatasetFile file, size_t bytes, void *buffer, char problem[CORDS_DATASET_PROBLEM])
{
  int got = gzread(file->stream, buffer, (unsigned)bytes), code = Z_OK;
  const char *text = gzerror(file->stream, &code);

  if (code == Z_OK || code == Z_STREAM_END) return got;
  if (code == Z_ERRNO)
    text = strerror(errno);
  else if (strstr(text, ": "))
    text = strrchr(text, ':') + 2; /* zlib puts the path in front */
  snprintf(problem, CORDS_DATASET_PROBLEM, "%s: cannot be read: it is %s (%s)", file->path,
           code == Z_BUF_ERROR    ? "a truncated gzip file"
           : code == Z_DATA_ERROR ? "a damaged gzip file"
                                  : "unreadable",
           text);
  return 0;
}

PetscErrorCode CordsDatasetFileRead(CordsDatasetFile file, size_t bytes, void *buffer, size_t *got)
{
  CordsContext context = file->context;

  PetscFunctionBegin;
  *got = 0;
  while (*got < bytes) {
    char problem[CORDS_DATASET_PROBLEM] = "", *place = (char *)buffer + *got;
    PetscInt64 piece = 0;

    if (context->rank == 0) piece = ReadStream(file, PetscMin(bytes - *got, (size_t)CHUNK_BYTES), place, problem);
    PetscCall(CordsDatasetAgree(context, problem));
    PetscCallMPI(MPI_Bcast(&piece, 1, MPIU_INT64, 0, context->comm));
    if (piece == 0) break;
    PetscCallMPI(MPI_Bcast(place, (PetscMPIInt)piece, MPI_BYTE, 0, context->comm));
    *got += (size_t)piece;
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}
