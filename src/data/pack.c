#include "data/pack.h"

#include "core/log.h"
#include "data/dataset_file.h"
#include "data/pack_file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { COPY_BYTES = 1 << 20 };
static const PetscInt64 flush_bytes = (PetscInt64)64 << 20; /* between two notes of how far the work is */

/* Work of rank 0; problem is what went wrong. */
typedef struct {
  CordsContext context;
  CordsDataset dataset;
  const CordsPackIndex *index;
  CordsPackPlaces places;
  const char *path; /* of the unfinished file */
  int descriptor;
  CordsDigest digest;
  CordsBytes image;
  PetscInt64 written, flushed; /* images that are in their place, and that the file says so of */
  char problem[CORDS_DATASET_PROBLEM];
} Packing;

static void FailAt(Packing *p, const char *what, int number)
{
  snprintf(p->problem, sizeof p->problem, "%s: cannot be %s (%s); the same command goes on where it stands", p->path,
           what, number == EIO ? "it ends too early" : strerror(number));
}

/* Data first, then the number that says that they are there. */
static void Flush(Packing *p)
{
  int failed = fdatasync(p->descriptor) ? errno : 0;

  if (!failed) failed = CordsPackWriteAt(p->descriptor, p->places.written, sizeof p->written, &p->written);
  if (!failed && fdatasync(p->descriptor)) failed = errno;
  if (failed) FailAt(p, "written", failed);
  p->flushed = p->written;
}

/* The digest of what an earlier run has written. */
static PetscErrorCode DigestWritten(Packing *p)
{
  PetscInt64 end = p->index->offsets[p->written];

  PetscFunctionBegin;
  PetscCheck(CordsBytesResize(&p->image, COPY_BYTES), PETSC_COMM_SELF, PETSC_ERR_MEM, "no memory for copying");
  for (PetscInt64 at = 0; at < end && !p->problem[0]; at += COPY_BYTES) {
    size_t length = (size_t)PetscMin(COPY_BYTES, end - at);
    int failed = CordsPackReadAt(p->descriptor, p->places.data + at, length, p->image.bytes);
    if (failed) FailAt(p, "read", failed);
    PetscCall(CordsDigestAdd(p->digest, length, p->image.bytes));
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode CopyImage(Packing *p, PetscInt64 i)
{
  size_t length = (size_t)(p->index->offsets[i + 1] - p->index->offsets[i]);
  char reason[CORDS_DECODE_PROBLEM] = "does not fit into memory", where[PETSC_MAX_PATH_LEN];
  PetscBool good = PETSC_TRUE;
  PetscInt label = 0;
  int failed;

  PetscFunctionBegin;
  if (p->index->rows > 0)
    good = (PetscBool)(CordsBytesResize(&p->image, length) &&
                       CordsDatasetPixels(p->dataset, i, p->image.bytes, &label, reason));
  else
    good = CordsDatasetFetch(p->dataset, i, &p->image, &label, reason);
  if (good && (p->image.length != length || label != p->index->labels[i])) {
    good = PETSC_FALSE;
    snprintf(reason, sizeof reason, "has changed while it was packed");
  }
  if (!good) {
    CordsDatasetWhere(p->dataset, i, sizeof where, where);
    snprintf(p->problem, sizeof p->problem, "image %lld, %s, %s", (long long)i, where, reason);
    PetscFunctionReturn(PETSC_SUCCESS);
  }
  failed = CordsPackWriteAt(p->descriptor, p->places.data + p->index->offsets[i], length, p->image.bytes);
  if (failed) FailAt(p, "written", failed);
  PetscCall(CordsDigestAdd(p->digest, length, p->image.bytes));
  p->written = i + 1;
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode CopyAll(Packing *p)
{
  CordsProgress progress;

  PetscFunctionBegin;
  PetscCall(CordsProgressStart(&progress, "packing", p->written, p->index->count));
  for (PetscInt64 i = p->written; i < p->index->count && !p->problem[0]; i++) {
    PetscCall(CopyImage(p, i));
    if (p->index->offsets[p->written] - p->index->offsets[p->flushed] >= flush_bytes && !p->problem[0]) Flush(p);
    PetscCall(CordsProgressUpdate(p->context, &progress, p->written, NULL));
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* The new name is on the disk when the folder is. */
static void SyncFolder(const char *path)
{
  char copy[PETSC_MAX_PATH_LEN];
  int descriptor;

  snprintf(copy, sizeof copy, "%s", path);
  descriptor = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return;
  fsync(descriptor); /* some file systems cannot */
  close(descriptor);
}

/* Everything is there: the digest, then the name. */
static PetscErrorCode Finish(Packing *p, const char *path)
{
  char digest[CORDS_PACK_DIGEST];
  int failed;

  PetscFunctionBegin;
  PetscCall(CordsDigestGet(p->digest, digest));
  PetscCall(CordsDigestDestroy(&p->digest));
  if (p->problem[0]) PetscFunctionReturn(PETSC_SUCCESS);
  Flush(p);
  failed = CordsPackWriteAt(p->descriptor, p->places.digest, CORDS_PACK_DIGEST - 1, digest);
  if (!failed && fsync(p->descriptor)) failed = errno;
  if (!failed && rename(p->path, path)) failed = errno;
  if (failed) FailAt(p, "finished", failed);
  SyncFolder(path);
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode Fill(Packing *p, const char *path)
{
  PetscFunctionBegin;
  p->descriptor = open(p->path, O_RDWR | O_CLOEXEC);
  if (p->descriptor < 0) {
    FailAt(p, "opened", errno);
    PetscFunctionReturn(PETSC_SUCCESS);
  }
  PetscCall(CordsDigestCreate(&p->digest));
  PetscCall(DigestWritten(p));
  PetscCall(CopyAll(p));
  PetscCall(Finish(p, path));
  CordsBytesFree(&p->image);
  close(p->descriptor);
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* An unfinished file of the same images, or a new one.  *written: what it holds. */
static PetscErrorCode OpenPart(CordsContext context, const char *part, const CordsPackIndex *index,
                               CordsPackPlaces *places, PetscInt64 *written)
{
  int found = context->rank == 0 && access(part, F_OK) == 0;
  char digest[CORDS_PACK_DIGEST];
  CordsPackIndex had;
  PetscBool equal;

  PetscFunctionBegin;
  PetscCallMPI(MPI_Bcast(&found, 1, MPI_INT, 0, context->comm));
  if (!found) PetscCall(CordsPackIndexWrite(context, part, index));
  PetscCall(CordsPackIndexRead(context, part, &had, places, written, digest));
  equal = CordsPackIndexEqual(index, &had);
  PetscCall(CordsPackIndexFree(&had));
  CordsCheckUser(equal, context->comm,
                 "%s: was begun with other images, or they have changed; remove it to begin again", part);
  if (*written > 0)
    PetscCall(CordsLog(context, "%s: goes on after %lld of %lld images\n", part, (long long)*written,
                       (long long)index->count));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsPack(CordsContext context, CordsDataset dataset, CordsSplit split, const char *path)
{
  char part[PETSC_MAX_PATH_LEN];
  CordsPackIndex index;
  Packing packing = {.context = context, .dataset = dataset, .index = &index, .path = part};

  PetscFunctionBegin;
  CordsCheckUser(strlen(path) + sizeof ".part.part" <= sizeof part, context->comm, "the name '%.60s...' is too long",
                 path);
  snprintf(part, sizeof part, "%s.part", path);
  PetscCall(CordsPackIndexOf(context, dataset, split, &index));
  PetscCall(OpenPart(context, part, &index, &packing.places, &packing.written));
  packing.flushed = packing.written;
  if (context->rank == 0) PetscCall(Fill(&packing, path));
  PetscCall(CordsDatasetAgree(context, packing.problem));
  PetscCall(CordsPackIndexFree(&index));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* ---- is a file whole? ---- */

PetscErrorCode CordsPackCheck(CordsContext context, const char *path, PetscInt64 *images, PetscInt64 *bytes,
                              char digest[65])
{
  CordsPackIndex index;
  Packing packing = {.context = context, .index = &index, .path = path};
  char stored[CORDS_PACK_DIGEST];

  PetscFunctionBegin;
  PetscCall(CordsPackIndexRead(context, path, &index, &packing.places, &packing.written, stored));
  *images = index.count;
  *bytes = index.offsets[index.count];
  memset(digest, 0, CORDS_PACK_DIGEST);
  if (packing.written < index.count)
    snprintf(packing.problem, sizeof packing.problem, "%s: is not complete: %lld of %lld images are there", path,
             (long long)packing.written, (long long)index.count);
  if (context->rank == 0 && !packing.problem[0]) {
    packing.descriptor = open(path, O_RDONLY | O_CLOEXEC);
    PetscCall(CordsDigestCreate(&packing.digest));
    PetscCall(DigestWritten(&packing));
    PetscCall(CordsDigestGet(packing.digest, digest));
    PetscCall(CordsDigestDestroy(&packing.digest));
    CordsBytesFree(&packing.image);
    if (packing.descriptor >= 0) close(packing.descriptor);
    if (packing.problem[0] || strcmp(digest, stored) != 0)
      snprintf(packing.problem, sizeof packing.problem,
               "%s: is damaged: its images have the digest %.16s..., they were written with %.16s...", path, digest,
               stored);
  }
  PetscCall(CordsPackIndexFree(&index));
  PetscCall(CordsDatasetAgree(context, packing.problem));
  PetscFunctionReturn(PETSC_SUCCESS);
}
