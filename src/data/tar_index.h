/* Where the files in an uncompressed tar file are, so that they can be read in place with pread. */
#ifndef CORDS_DATA_TAR_INDEX_H
#define CORDS_DATA_TAR_INDEX_H

#include "data/dataset_file.h"

/* Called for each regular file in the tar: name, and the place of its bytes from the start of the outermost file.
   An error, or a problem, ends the walk. */
typedef PetscErrorCode (*CordsTarVisit)(void *user, const char *name, PetscInt64 offset, PetscInt64 length,
                                        char problem[CORDS_DATASET_PROBLEM]);

/* Walk through the tar file in bytes start .. start + length − 1 of an open file; a tar within a tar is walked through
   by giving its place.  Only headers are read.  where: its name, for messages.  Not collective.
   Problems: no tar file, compressed, damaged, truncated, sparse members. */
PetscErrorCode CordsTarWalk(int descriptor, const char *where, PetscInt64 start, PetscInt64 length, CordsTarVisit visit,
                            void *user, char problem[CORDS_DATASET_PROBLEM]);

/* Walk through the tar file `path`.  Problems as above, and a file that cannot be opened. */
PetscErrorCode CordsTarWalkFile(const char *path, CordsTarVisit visit, void *user, char problem[CORDS_DATASET_PROBLEM]);

#endif
