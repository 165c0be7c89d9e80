/* The image files of a dataset: where each is and what its label is.  They lie in folders or, one after the other, in
   uncompressed tar files, whose places are looked up once.

     file     0: a folder     1: a.tar                      2: b.tar
              └ cat/3.jpg     |..|==member 4==|..|==5==|    |..|=6=|..
     member   file, offset and length (folder: none), label, name

   Rank 0 lists the members; after CordsMembersShare all ranks have the list, and any thread may fetch any member. */
#ifndef CORDS_DATA_MEMBERS_H
#define CORDS_DATA_MEMBERS_H

#include "core/context.h"
#include "data/bytes.h"
#include "data/decode.h"

typedef struct _p_CordsMembers *CordsMembers;

/* Not collective. */
PetscErrorCode CordsMembersCreate(CordsMembers *members);
PetscErrorCode CordsMembersDestroy(CordsMembers *members);

/* Rank 0: a folder or a file that holds members.  *file: its number.  Copied. */
PetscErrorCode CordsMembersAddFile(CordsMembers members, const char *path, PetscInt *file);

/* Rank 0: a member; name within its file, copied.  length −1: a file of its own in a folder. */
PetscErrorCode CordsMembersAdd(CordsMembers members, PetscInt file, PetscInt64 offset, PetscInt64 length,
                               PetscInt label, const char *name);

/* Rank 0: sort by label, then name. */
void CordsMembersSort(CordsMembers members);

/* Rank 0's list goes to all ranks.  Collective.  Errors (user): a file that cannot be opened. */
PetscErrorCode CordsMembersShare(CordsMembers members, CordsContext context);

PetscInt64 CordsMembersCount(CordsMembers members);
PetscInt CordsMembersLabel(CordsMembers members, PetscInt64 i);
void CordsMembersSetLabel(CordsMembers members, PetscInt64 i, PetscInt label);

/* "FOLDER/NAME" or "FILE.tar: NAME". */
void CordsMembersWhere(CordsMembers members, PetscInt64 i, size_t length, char *text);
/* Name within its file; borrowed. */
const char *CordsMembersName(CordsMembers members, PetscInt64 i);

/* Bytes of member i, or −1 if it cannot be looked at. */
PetscInt64 CordsMembersLength(CordsMembers members, PetscInt64 i);

/* Read member i.  From any thread, each with its own buffer.  False: problem says why (missing, cut off, too long). */
PetscBool CordsMembersFetch(CordsMembers members, PetscInt64 i, CordsBytes *buffer, char problem[CORDS_DECODE_PROBLEM]);

#endif
