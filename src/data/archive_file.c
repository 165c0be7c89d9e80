#include "data/archive_file.h"

#include "data/dataset_file.h"

#include <archive.h>
#include <archive_entry.h>
#include <stdio.h>
#include <string.h>

enum { BLOCK_BYTES = 1 << 18, MEMBERS_MAX = 10000 };

/* Rank 0 alone, with what went wrong. */
typedef struct {
  struct archive *archive;
  const char *path;
  char problem[CORDS_DATASET_PROBLEM];
} Reading;

static void Fail(Reading *reading)
{
  const char *text = archive_error_string(reading->archive);

  snprintf(reading->problem, sizeof reading->problem,
           "%s: cannot be read as a tar file, plain or packed: is it damaged or truncated? (%s)", reading->path,
           text ? text : "unknown reason");
}

static CordsArchiveFile *FindWanted(struct archive_entry *entry, PetscInt count, CordsArchiveFile files[])
{
  const char *name = archive_entry_pathname(entry), *slash = name ? strrchr(name, '/') : NULL;

  if (!name || archive_entry_filetype(entry) != AE_IFREG) return NULL;
  name = slash ? slash + 1 : name;
  for (PetscInt i = 0; i < count; i++)
    if (!strcmp(files[i].name, name)) return &files[i];
  return NULL;
}

static PetscErrorCode ReadMember(Reading *reading, struct archive_entry *entry, CordsArchiveFile *file)
{
  PetscInt64 length = archive_entry_size(entry), got;

  PetscFunctionBegin;
  if (file->bytes || length < 0 || length > file->bytes_max) {
    snprintf(reading->problem, sizeof reading->problem,
             file->bytes ? "%s: holds %s twice" : "%s: holds %s of %lld bytes, at most %lld are allowed", reading->path,
             file->name, (long long)length, (long long)file->bytes_max);
    PetscFunctionReturn(PETSC_SUCCESS);
  }
  PetscCall(PetscMalloc1((size_t)length + 1, &file->bytes));
  file->length = length;
  for (PetscInt64 done = 0; done < length; done += got) {
    got = archive_read_data(reading->archive, file->bytes + done, (size_t)(length - done));
    if (got > 0) continue;
    Fail(reading);
    break;
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode ReadAll(Reading *reading, PetscInt count, CordsArchiveFile files[])
{
  struct archive_entry *entry;
  int members = 0, status = ARCHIVE_OK;

  PetscFunctionBegin;
  while (!reading->problem[0] && (status = archive_read_next_header(reading->archive, &entry)) == ARCHIVE_OK) {
    CordsArchiveFile *file = FindWanted(entry, count, files);
    if (file) PetscCall(ReadMember(reading, entry, file));
    if (++members > MEMBERS_MAX)
      snprintf(reading->problem, sizeof reading->problem, "%s: holds more than %d files, it is no such archive",
               reading->path, MEMBERS_MAX);
  }
  if (!reading->problem[0] && status != ARCHIVE_EOF) Fail(reading);
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* Rank 0. */
static PetscErrorCode ReadHere(const char *path, PetscInt count, CordsArchiveFile files[], char *problem)
{
  Reading reading = {.archive = archive_read_new(), .path = path};

  PetscFunctionBegin;
  PetscCheck(reading.archive, PETSC_COMM_SELF, PETSC_ERR_MEM, "no memory for reading an archive");
  archive_read_support_filter_gzip(reading.archive);
  archive_read_support_filter_bzip2(reading.archive);
  archive_read_support_filter_xz(reading.archive);
  archive_read_support_filter_zstd(reading.archive);
  archive_read_support_format_tar(reading.archive);
  if (archive_read_open_filename(reading.archive, path, BLOCK_BYTES) != ARCHIVE_OK)
    Fail(&reading);
  else
    PetscCall(ReadAll(&reading, count, files));
  archive_read_free(reading.archive);
  strcpy(problem, reading.problem);
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode Share(CordsContext context, CordsArchiveFile *file)
{
  PetscInt64 length = file->bytes ? file->length : -1;

  PetscFunctionBegin;
  PetscCallMPI(MPI_Bcast(&length, 1, MPIU_INT64, 0, context->comm));
  if (length < 0) PetscFunctionReturn(PETSC_SUCCESS);
  if (context->rank > 0) PetscCall(PetscMalloc1((size_t)length + 1, &file->bytes));
  file->length = length;
  PetscCallMPI(MPI_Bcast(file->bytes, (int)length, MPI_BYTE, 0, context->comm));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsArchiveRead(CordsContext context, const char *path, PetscInt count, CordsArchiveFile files[])
{
  char problem[CORDS_DATASET_PROBLEM] = "";
  PetscErrorCode ierr;

  PetscFunctionBegin;
  for (PetscInt i = 0; i < count; i++) {
    files[i].bytes = NULL;
    PetscCheck(files[i].bytes_max <= PETSC_MPI_INT_MAX, PETSC_COMM_SELF, PETSC_ERR_ARG_OUTOFRANGE, "limit of %s",
               files[i].name);
  }
  if (context->rank == 0) PetscCall(ReadHere(path, count, files, problem));
  ierr = CordsDatasetAgree(context, problem);
  for (PetscInt i = 0; i < count; i++) {
    if (ierr)
      PetscCall(PetscFree(files[i].bytes));
    else
      PetscCall(Share(context, &files[i]));
  }
  PetscCall(ierr);
  PetscFunctionReturn(PETSC_SUCCESS);
}
