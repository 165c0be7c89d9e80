/* What the files torch_*.c share: the archive that a PyTorch file is. */
#ifndef CORDS_IO_TORCH_PRIVATE_H
#define CORDS_IO_TORCH_PRIVATE_H

#include "io/torch_reader.h"
#include "io/zip_reader.h"

#include <stdio.h>

typedef struct {
  char path[PETSC_MAX_PATH_LEN];
  char prefix[CORDS_TORCH_NAME_MAX]; /* folder of all entries: the file's stem when it was saved */
  CordsZipReader zip;
} CordsTorchArchive;

/* Open an archive, find its prefix, check version and byte order.  CordsZipClose(&archive->zip) by the caller. */
PetscErrorCode CordsTorchArchiveOpen(const char *path, CordsTorchArchive *archive);

/* Index of entry PREFIX/NAME, −1 if there is none. */
PetscInt CordsTorchArchiveFind(const CordsTorchArchive *archive, const char *name);
PetscInt64 CordsTorchArchiveBytes(const CordsTorchArchive *archive, PetscInt entry);

/* Entry PREFIX/NAME, if it has at most `most` bytes, ended by 0; NULL if there is none.  PetscFree by the caller. */
PetscErrorCode CordsTorchArchiveText(const CordsTorchArchive *archive, const char *name, PetscInt64 most, char **text);

/* archive: pointer to the archive that the sentence is about */
#define CordsTorchCheck(archive, condition, ...)                                                                       \
  do {                                                                                                                 \
    if (PetscUnlikely(!(condition))) {                                                                                 \
      char sentence_[1024];                                                                                            \
      snprintf(sentence_, sizeof sentence_, __VA_ARGS__);                                                              \
      CordsUserError(PETSC_COMM_WORLD, "'%s': %s", (archive)->path, sentence_);                                        \
    }                                                                                                                  \
  } while (0)

#endif
