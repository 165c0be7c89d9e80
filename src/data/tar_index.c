#include "data/tar_index.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BLOCK_BYTES = 1 << 14 };

/* The part of a file that libarchive sees as a file of its own. */
typedef struct {
  int descriptor;
  PetscInt64 start, length, at; /* at: counted from start */
  char block[BLOCK_BYTES];
} Part;

static la_ssize_t ReadPart(struct archive *archive, void *user, const void **buffer)
{
  Part *part = user;
  ssize_t got = pread(part->descriptor, part->block, (size_t)PetscMin(BLOCK_BYTES, part->length - part->at),
                      (off_t)(part->start + part->at));

  *buffer = part->block;
  if (got < 0) archive_set_error(archive, errno, "%s", strerror(errno));
  if (got > 0) part->at += got;
  return got;
}

/* Whole blocks are jumped over; libarchive reads what is left. */
static la_int64_t SkipPart(struct archive *archive, void *user, la_int64_t request)
{
  Part *part = user;
  PetscInt64 step = PetscMin((PetscInt64)request, part->length - part->at);

  part->at += step;
  return step;
}

static void Fail(struct archive *archive, const char *where, char *problem)
{
  const char *text = archive_error_string(archive);

  snprintf(problem, CORDS_DATASET_PROBLEM,
           "%s: cannot be read as an uncompressed tar file: is it damaged, truncated or packed? (%s)", where,
           text ? text : "unknown reason");
}

static PetscErrorCode VisitEntry(struct archive *archive, struct archive_entry *entry, const char *where, Part *part,
                                 CordsTarVisit visit, void *user, char *problem)
{
  const char *name = archive_entry_pathname(entry);
  PetscInt64 at = archive_filter_bytes(archive, 0), length = archive_entry_size(entry);

  PetscFunctionBegin;
  if (!name) name = archive_entry_pathname_utf8(entry);
  if (archive_entry_filetype(entry) != AE_IFREG || archive_entry_hardlink(entry)) PetscFunctionReturn(PETSC_SUCCESS);
  if (!name || archive_entry_sparse_count(entry) > 0)
    snprintf(problem, CORDS_DATASET_PROBLEM, "%s: holds a file %s, which cords does not read", where,
             name ? "with holes (sparse)" : "without a name");
  else if (length < 0 || length > part->length - at)
    snprintf(problem, CORDS_DATASET_PROBLEM,
             "%s: is truncated: %s should have %" PetscInt64_FMT " bytes, %" PetscInt64_FMT " are there", where, name,
             length, part->length - at);
  else
    PetscCall(visit(user, name, part->start + at, length, problem));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode WalkOpen(struct archive *archive, const char *where, Part *part, CordsTarVisit visit, void *user,
                               char *problem)
{
  struct archive_entry *entry;
  int status;

  PetscFunctionBegin;
  /* warnings are about names and dates in other alphabets */
  while ((status = archive_read_next_header(archive, &entry)) == ARCHIVE_OK || status == ARCHIVE_WARN) {
    PetscCall(VisitEntry(archive, entry, where, part, visit, user, problem));
    if (problem[0]) PetscFunctionReturn(PETSC_SUCCESS);
  }
  if (status != ARCHIVE_EOF) Fail(archive, where, problem);
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsTarWalk(int descriptor, const char *where, PetscInt64 start, PetscInt64 length, CordsTarVisit visit,
                            void *user, char problem[CORDS_DATASET_PROBLEM])
{
  Part part = {.descriptor = descriptor, .start = start, .length = length};
  struct archive *archive = archive_read_new();
  PetscErrorCode ierr = PETSC_SUCCESS;

  PetscFunctionBegin;
  PetscCheck(archive, PETSC_COMM_SELF, PETSC_ERR_MEM, "no memory for reading an archive");
  archive_read_support_format_tar(archive); /* and no filter: packed bytes have no place of their own */
  archive_read_set_read_callback(archive, ReadPart);
  archive_read_set_skip_callback(archive, SkipPart);
  archive_read_set_callback_data(archive, &part);
  if (archive_read_open1(archive) != ARCHIVE_OK)
    Fail(archive, where, problem);
  else
    ierr = WalkOpen(archive, where, &part, visit, user, problem);
  archive_read_free(archive);
  PetscCall(ierr);
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsTarWalkFile(const char *path, CordsTarVisit visit, void *user, char problem[CORDS_DATASET_PROBLEM])
{
  int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  PetscErrorCode ierr = PETSC_SUCCESS;
  struct stat status;

  PetscFunctionBegin;
  if (descriptor < 0 || fstat(descriptor, &status))
    snprintf(problem, CORDS_DATASET_PROBLEM, "%s: cannot be opened (%s)", path, strerror(errno));
  else if (!S_ISREG(status.st_mode))
    snprintf(problem, CORDS_DATASET_PROBLEM, "%s: is not a regular file", path);
  else
    ierr = CordsTarWalk(descriptor, path, 0, (PetscInt64)status.st_size, visit, user, problem);
  if (descriptor >= 0) close(descriptor);
  PetscCall(ierr);
  PetscFunctionReturn(PETSC_SUCCESS);
}
