/* HDF5 files.  Only h5*.c of this folder call HDF5.

   Rank 0 touches the file; what is read is broadcast, what is written is taken from rank 0.  All functions are
   collective on the context's comm and fail on all ranks together.  A file is written under PATH.part and gets its
   name in CordsH5Commit, after it was flushed to the disk: a file that exists is complete. */
#ifndef CORDS_IO_H5_H
#define CORDS_IO_H5_H

#include "core/context.h"
#include "io/schema.h"

typedef struct _p_CordsH5 *CordsH5;

enum { CORDS_H5_DIMENSIONS_MAX = 6 };

/* "1.10.8".  Not collective. */
PetscErrorCode CordsH5LibraryVersion(size_t length, char *text);

/* Start writing PATH.part.  Makes no directories.
   Errors (user): not writable, names the path and the reason. */
PetscErrorCode CordsH5Create(CordsContext context, const char *path, CordsH5 *file);

/* Open for reading.  Errors (user): missing, not HDF5, truncated. */
PetscErrorCode CordsH5Open(CordsContext context, const char *path, CordsH5 *file);

/* Wish that CordsH5Commit keeps the file that has the name PATH until then, as `previous` in the same folder, in place
   of what is there.  At every moment at least one of the two names is a complete file.  Not collective. */
PetscErrorCode CordsH5KeepPrevious(CordsH5 file, const char *previous);

/* Finish writing: close, flush to the disk (fsync of file and directory), rename to PATH.
   Errors (user): disk full or any failed write; then PATH.part is removed and PATH is as it was before. */
PetscErrorCode CordsH5Commit(CordsH5 *file);

/* Close a file that was opened; drop one that was created (removes PATH.part). */
PetscErrorCode CordsH5Close(CordsH5 *file);

const char *CordsH5Path(CordsH5 file);

/* Write a whole array.  data: on rank 0, C order.  Groups on the way are made. */
PetscErrorCode CordsH5WriteArray(CordsH5 file, const CordsSchema *schema, CordsFileType type, PetscInt dimensions,
                                 const PetscInt64 sizes[], const void *data);

/* Make an array whose first axis grows (size 0 at first); sizes[0] is ignored. */
PetscErrorCode CordsH5CreateRows(CordsH5 file, const CordsSchema *schema, CordsFileType type, PetscInt dimensions,
                                 const PetscInt64 sizes[]);
/* Append `rows` rows.  data: on rank 0. */
PetscErrorCode CordsH5AppendRows(CordsH5 file, const char *name, PetscInt64 rows, const void *data);

/* Make room for an array of one axis, in one piece, whose values are written later at their place in the file and not
   through HDF5: for more bytes than fit into memory, and for writing that goes on after an interruption.  type: U8 or
   I64 (little-endian). */
PetscErrorCode CordsH5CreateRoom(CordsH5 file, const CordsSchema *schema, CordsFileType type, PetscInt64 size);
/* Where such an array is: bytes [offset, offset + bytes) of the file.  Errors (user): none of that name in one piece.
 */
PetscErrorCode CordsH5Place(CordsH5 file, const char *name, PetscInt64 *offset, PetscInt64 *bytes);

/* Shape of an array; exists is false if there is none of that name.  exists may be NULL: then a missing array is a
   user error that names file and array. */
PetscErrorCode CordsH5GetShape(CordsH5 file, const char *name, PetscBool *exists, PetscInt *dimensions,
                               PetscInt64 sizes[CORDS_H5_DIMENSIONS_MAX]);

/* Read a whole array, converted to `type`, on every rank.  Errors (user): missing, other shape (both named),
   not numbers, NaN or infinity in it. */
PetscErrorCode CordsH5ReadArray(CordsH5 file, const char *name, CordsFileType type, PetscInt dimensions,
                                const PetscInt64 sizes[], void *data);
/* Read rows [start, start + count) of the first axis; otherwise as CordsH5ReadArray. */
PetscErrorCode CordsH5ReadRows(CordsH5 file, const char *name, CordsFileType type, PetscInt64 start, PetscInt64 count,
                               void *data);

/* Names of the arrays directly in a group ("" = root), sorted; none if there is no such group.
   (*names)[i] and *names freed by CordsH5FreeNames. */
PetscErrorCode CordsH5List(CordsH5 file, const char *group, PetscInt *count, char ***names);
/* The same for the groups in a group. */
PetscErrorCode CordsH5ListGroups(CordsH5 file, const char *group, PetscInt *count, char ***names);
PetscErrorCode CordsH5FreeNames(PetscInt count, char ***names);

/* Attributes of an object: "/", an array, or a group (made if missing when writing).  Numbers must be finite. */
PetscErrorCode CordsH5WriteText(CordsH5 file, const char *object, const char *attribute, const char *text);
PetscErrorCode CordsH5WriteInt(CordsH5 file, const char *object, const char *attribute, PetscInt64 value);
PetscErrorCode CordsH5WriteReal(CordsH5 file, const char *object, const char *attribute, double value);
/* text: PetscFree by the caller; NULL if the attribute is absent */
PetscErrorCode CordsH5ReadText(CordsH5 file, const char *object, const char *attribute, char **text);
/* found may be NULL: then an absent attribute is a user error */
PetscErrorCode CordsH5ReadInt(CordsH5 file, const char *object, const char *attribute, PetscBool *found,
                              PetscInt64 *value);
PetscErrorCode CordsH5ReadReal(CordsH5 file, const char *object, const char *attribute, PetscBool *found,
                               double *value);

#endif
