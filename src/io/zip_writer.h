/* ZIP archives as PyTorch writes them: entries stored as they are, their data at multiples of 64 bytes.  A file is
   written as PATH.part and gets its name when it is complete and on the disk.  Not collective: one rank writes. */
#ifndef CORDS_IO_ZIP_WRITER_H
#define CORDS_IO_ZIP_WRITER_H

#include "core/error.h"

typedef struct _p_CordsZipWriter *CordsZipWriter;

/* Start PATH.part.  Errors (user): it cannot be written. */
PetscErrorCode CordsZipCreate(const char *path, CordsZipWriter *zip);

/* Add an entry.  Errors (user): disk full; PATH.part is removed then.  More than 4 GiB in all (no ZIP64 is written). */
PetscErrorCode CordsZipAdd(CordsZipWriter zip, const char *name, size_t bytes, const void *data);

/* Write the directory, flush, rename to PATH.  Errors (user): as CordsZipAdd. */
PetscErrorCode CordsZipCommit(CordsZipWriter *zip);

#endif
