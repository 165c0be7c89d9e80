#include "data/members.h"

#include "data/dataset_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct {
  PetscInt64 offset, length; /* in the file; length −1: a file of its own */
  PetscInt64 name;           /* where it starts in the text */
  int32_t file, label;
} Member;

/* What grows; the capacities are of rank 0 alone. */
struct _p_CordsMembers {
  Member *members;
  PetscInt64 count, capacity;
  char *text; /* names of members and paths of files, each with its zero */
  PetscInt64 text_length, text_capacity;
  PetscInt64 *paths; /* [file] where they start in the text */
  PetscInt file_count;
  int *descriptors; /* [file], after CordsMembersShare */
};

PetscErrorCode CordsMembersCreate(CordsMembers *members)
{
  PetscFunctionBegin;
  PetscCall(PetscNew(members));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsMembersDestroy(CordsMembers *members)
{
  PetscFunctionBegin;
  if (!*members) PetscFunctionReturn(PETSC_SUCCESS);
  for (PetscInt i = 0; (*members)->descriptors && i < (*members)->file_count; i++)
    if ((*members)->descriptors[i] >= 0) close((*members)->descriptors[i]);
  PetscCall(PetscFree((*members)->descriptors));
  PetscCall(PetscFree((*members)->members));
  PetscCall(PetscFree((*members)->text));
  PetscCall(PetscFree((*members)->paths));
  PetscCall(PetscFree(*members));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* ---- listing, on rank 0 ---- */

static PetscErrorCode AddText(CordsMembers members, const char *text, PetscInt64 *start)
{
  PetscInt64 length = (PetscInt64)strlen(text) + 1;

  PetscFunctionBegin;
  if (members->text_length + length > members->text_capacity) {
    members->text_capacity = 2 * members->text_capacity + length + 1024;
    PetscCall(PetscRealloc((size_t)members->text_capacity, &members->text));
  }
  memcpy(members->text + members->text_length, text, (size_t)length);
  *start = members->text_length;
  members->text_length += length;
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsMembersAddFile(CordsMembers members, const char *path, PetscInt *file)
{
  PetscFunctionBegin;
  PetscCall(PetscRealloc(((size_t)members->file_count + 1) * sizeof *members->paths, &members->paths));
  PetscCall(AddText(members, path, &members->paths[members->file_count]));
  *file = members->file_count++;
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsMembersAdd(CordsMembers members, PetscInt file, PetscInt64 offset, PetscInt64 length,
                               PetscInt label, const char *name)
{
  Member *member;

  PetscFunctionBegin;
  if (members->count == members->capacity) {
    members->capacity = 2 * members->capacity + 64;
    PetscCall(PetscRealloc((size_t)members->capacity * sizeof *members->members, &members->members));
  }
  member = &members->members[members->count++];
  *member = (Member){.offset = offset, .length = length, .file = (int32_t)file, .label = (int32_t)label};
  PetscCall(AddText(members, name, &member->name));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static int Compare(const void *first, const void *second, void *text)
{
  const Member *a = first, *b = second;

  if (a->label != b->label) return a->label < b->label ? -1 : 1;
  return strcmp((const char *)text + a->name, (const char *)text + b->name);
}

void CordsMembersSort(CordsMembers members)
{
  if (members->count == 0) return; /* there is no array */
  qsort_r(members->members, (size_t)members->count, sizeof *members->members, Compare, members->text);
}

/* ---- to all ranks ---- */

static PetscErrorCode Broadcast(MPI_Comm comm, PetscInt64 bytes, void *data)
{
  const PetscInt64 most = (PetscInt64)1 << 30; /* MPI counts are ints */

  PetscFunctionBegin;
  for (PetscInt64 done = 0; done < bytes; done += most)
    PetscCallMPI(MPI_Bcast((char *)data + done, (int)PetscMin(most, bytes - done), MPI_BYTE, 0, comm));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode ShareList(CordsMembers members, CordsContext context)
{
  PetscInt64 sizes[3] = {members->count, members->text_length, members->file_count};

  PetscFunctionBegin;
  PetscCallMPI(MPI_Bcast(sizes, 3, MPIU_INT64, 0, context->comm));
  if (context->rank > 0) {
    PetscCall(PetscMalloc1((size_t)sizes[0], &members->members));
    PetscCall(PetscMalloc1((size_t)sizes[1], &members->text));
    PetscCall(PetscMalloc1((size_t)sizes[2], &members->paths));
    members->count = sizes[0];
    members->text_length = sizes[1];
    members->file_count = (PetscInt)sizes[2];
  }
  PetscCall(Broadcast(context->comm, sizes[0] * (PetscInt64)sizeof(Member), members->members));
  PetscCall(Broadcast(context->comm, sizes[1], members->text));
  PetscCall(Broadcast(context->comm, sizes[2] * (PetscInt64)sizeof(PetscInt64), members->paths));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsMembersShare(CordsMembers members, CordsContext context)
{
  char problem[CORDS_DATASET_PROBLEM] = "";

  PetscFunctionBegin;
  PetscCall(ShareList(members, context));
  PetscCall(PetscMalloc1((size_t)members->file_count, &members->descriptors));
  for (PetscInt i = 0; i < members->file_count; i++) {
    const char *path = members->text + members->paths[i];
    members->descriptors[i] = open(path, O_RDONLY | O_CLOEXEC);
    if (members->descriptors[i] < 0 && !problem[0])
      snprintf(problem, sizeof problem, "%s: cannot be opened on every rank (%s)", path, strerror(errno));
  }
  PetscCall(CordsDatasetAgree(context, problem));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* ---- one member ---- */

PetscInt64 CordsMembersCount(CordsMembers members)
{
  return members->count;
}

PetscInt CordsMembersLabel(CordsMembers members, PetscInt64 i)
{
  return members->members[i].label;
}

void CordsMembersSetLabel(CordsMembers members, PetscInt64 i, PetscInt label)
{
  members->members[i].label = (int32_t)label;
}

const char *CordsMembersName(CordsMembers members, PetscInt64 i)
{
  return members->text + members->members[i].name;
}

void CordsMembersWhere(CordsMembers members, PetscInt64 i, size_t length, char *text)
{
  const Member *member = &members->members[i];

  snprintf(text, length, "%s%s%s", members->text + members->paths[member->file], member->length < 0 ? "/" : ": ",
           members->text + member->name);
}

PetscInt64 CordsMembersLength(CordsMembers members, PetscInt64 i)
{
  const Member *member = &members->members[i];
  struct stat status;

  if (member->length >= 0) return member->length;
  return fstatat(members->descriptors[member->file], members->text + member->name, &status, 0)
             ? -1
             : (PetscInt64)status.st_size;
}

/* Read `length` bytes into the buffer. */
static PetscBool ReadBytes(int descriptor, PetscInt64 offset, PetscInt64 length, CordsBytes *buffer, char *problem)
{
  if (length > CORDS_DECODE_BYTES_MAX) {
    snprintf(problem, CORDS_DECODE_PROBLEM, "has %" PetscInt64_FMT " bytes, at most %d are allowed", length,
             CORDS_DECODE_BYTES_MAX);
    return PETSC_FALSE;
  }
  if (!CordsBytesResize(buffer, (size_t)length)) {
    snprintf(problem, CORDS_DECODE_PROBLEM, "does not fit into memory");
    return PETSC_FALSE;
  }
  for (PetscInt64 done = 0; done < length;) {
    ssize_t got = pread(descriptor, buffer->bytes + done, (size_t)(length - done), (off_t)(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) {
      snprintf(problem, CORDS_DECODE_PROBLEM, "cannot be read: %s", got < 0 ? strerror(errno) : "it is cut off");
      return PETSC_FALSE;
    }
    done += got;
  }
  return PETSC_TRUE;
}

/* A file of its own; pipes and devices are not opened for long. */
static PetscBool ReadOwnFile(int folder, const char *name, CordsBytes *buffer, char *problem)
{
  int descriptor = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  struct stat status;
  PetscBool good = PETSC_FALSE;

  if (descriptor < 0 || fstat(descriptor, &status))
    snprintf(problem, CORDS_DECODE_PROBLEM, "cannot be opened: %s", strerror(errno));
  else if (!S_ISREG(status.st_mode))
    snprintf(problem, CORDS_DECODE_PROBLEM, "is not a regular file");
  else
    good = ReadBytes(descriptor, 0, (PetscInt64)status.st_size, buffer, problem);
  if (descriptor >= 0) close(descriptor);
  return good;
}

PetscBool CordsMembersFetch(CordsMembers members, PetscInt64 i, CordsBytes *buffer, char problem[CORDS_DECODE_PROBLEM])
{
  const Member *member = &members->members[i];
  int descriptor = members->descriptors[member->file];

  problem[0] = '\0';
  if (member->length < 0) return ReadOwnFile(descriptor, members->text + member->name, buffer, problem);
  return ReadBytes(descriptor, member->offset, member->length, buffer, problem);
}
