/* Files out of a small archive, such as CIFAR's .tar.gz, into memory.  Not for archives of images, whose members stay
   where they are: see data/tar_index.h. */
#ifndef CORDS_DATA_ARCHIVE_FILE_H
#define CORDS_DATA_ARCHIVE_FILE_H

#include "core/context.h"

/* A file that is wanted and what was found of it. */
typedef struct {
  const char *name;     /* after the last slash of its path in the archive */
  PetscInt64 bytes_max; /* a longer one is refused, also before it is unpacked */
  uint8_t *bytes;       /* NULL: it is not there; PetscFree by the caller */
  PetscInt64 length;
} CordsArchiveFile;

/* Read the archive (tar, plain or packed by gzip, bzip2, xz or zstd) once and fill `files`, the same on every rank.
   Files that are not there stay NULL.  Collective.  On an error nothing is left to free.
   Errors (user): missing, no archive, damaged, truncated, a file that is too long or there twice. */
PetscErrorCode CordsArchiveRead(CordsContext context, const char *path, PetscInt count, CordsArchiveFile files[]);

#endif
