/* ZIP archives whose entries are stored as they are, the form of PyTorch's files, read by their central directory.

   Not libarchive: it reads such files from front to back, believes local headers, and neither tells where an entry
   stands nor whether two entries share bytes.  A file of which each byte is hostile needs the opposite: the directory
   is read and checked as a whole before anything is allocated for an entry.  Refused with a sentence: compressed or
   encrypted entries, several disks, sizes beyond the file, entries that overlap each other or the directory, two
   entries of one name, names that are paths to elsewhere, local headers that contradict the directory. Format: PKWARE's
   APPNOTE 6.3.9, with ZIP64.  Nothing here is collective; each rank reads for itself. */
#ifndef CORDS_IO_ZIP_READER_H
#define CORDS_IO_ZIP_READER_H

#include "core/error.h"

typedef struct _p_CordsZipReader *CordsZipReader;

typedef struct {
  const char *name;    /* as in the directory */
  PetscInt64 start;    /* of its data in the file */
  PetscInt64 bytes;    /* of its data, in the file and in memory */
  uint32_t crc;        /* CRC-32 that the directory gives */
  PetscInt64 header;   /* start of its local header */
  PetscBool confirmed; /* its CRC has been computed and is right */
} CordsZipEntry;

/* Open and check the directory.  Errors (user): missing, no ZIP archive, or damaged in one of the ways above. */
PetscErrorCode CordsZipOpen(const char *path, CordsZipReader *zip);
PetscErrorCode CordsZipClose(CordsZipReader *zip);

/* All entries, in the order of their places in the file; borrowed. */
PetscErrorCode CordsZipEntries(CordsZipReader zip, PetscInt *count, const CordsZipEntry **entries);
/* Index of the entry of this name, −1 if there is none. */
PetscInt CordsZipFind(CordsZipReader zip, const char *name);

/* Read all of an entry into data [bytes].  Errors (user): the file cannot be read, or has another CRC-32. */
PetscErrorCode CordsZipRead(CordsZipReader zip, PetscInt entry, void *data);

/* Compute the CRC-32 of every entry that has not been read.  Errors (user): as CordsZipRead. */
PetscErrorCode CordsZipConfirm(CordsZipReader zip);

#endif
