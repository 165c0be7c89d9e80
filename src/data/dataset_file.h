/* Reading the files of a dataset, plain or gzip: rank 0 reads, all ranks get the same bytes and therefore come to the
   same verdict.  Everything here is collective on context->comm, and every error is a user error on all ranks. */
#ifndef CORDS_DATA_DATASET_FILE_H
#define CORDS_DATA_DATASET_FILE_H

#include "core/context.h"

typedef struct _p_CordsDatasetFile *CordsDatasetFile;

/* Characters of a sentence that names a file or two. */
enum { CORDS_DATASET_PROBLEM = 2 * PETSC_MAX_PATH_LEN };

/* Some rank found a problem, or none did (all empty): all ranks fail together with the sentence of the first. */
PetscErrorCode CordsDatasetAgree(CordsContext context, char problem[CORDS_DATASET_PROBLEM]);

/* The first of names[0..count) that exists in `folder`, as a path.
   Errors: no such directory; none of the names is in it. */
PetscErrorCode CordsDatasetFileFind(CordsContext context, const char *folder, PetscInt count, const char *const names[],
                                    char path[PETSC_MAX_PATH_LEN]);

/* Open a file.  A file that starts with the gzip magic number is unpacked while reading, whatever its name.
   Errors: missing, unreadable, not a regular file. */
PetscErrorCode CordsDatasetFileOpen(CordsContext context, const char *path, CordsDatasetFile *file);
PetscErrorCode CordsDatasetFileClose(CordsDatasetFile *file);

/* A bound on the number of bytes in the file, to be compared with what a header promises before memory is allocated:
 *exact tells that it is the number itself (plain files); else it is what gzip can hold at most in so few bytes. */
PetscErrorCode CordsDatasetFileLength(CordsDatasetFile file, PetscInt64 *bytes_max, PetscBool *exact);

/* Read the next `bytes` bytes; *got is smaller only at the end of the file.  Asking for one byte after the last makes
   sure that the checksum of a gzip file was compared.
   Errors: damaged or truncated gzip data, failure of the disk. */
PetscErrorCode CordsDatasetFileRead(CordsDatasetFile file, size_t bytes, void *buffer, size_t *got);

#endif
