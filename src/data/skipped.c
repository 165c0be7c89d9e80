#include "data/skipped.h"

#include "core/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PRINTED_MAX = 10 };

struct _p_CordsSkipped {
  PetscBool strict;
  PetscInt64 *images; /* sorted */
  PetscInt count;
};

static PetscBool strict_images;

PetscErrorCode CordsSkippedFromOptions(void)
{
  PetscFunctionBegin;
  strict_images = PETSC_FALSE;
  PetscCall(CordsOptionBool("-strict_images", "stop at an image that cannot be decoded instead of leaving it out",
                            &strict_images));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsSkippedCreate(CordsSkipped *skipped)
{
  PetscFunctionBegin;
  PetscCall(PetscNew(skipped));
  (*skipped)->strict = strict_images;
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsSkippedDestroy(CordsSkipped *skipped)
{
  PetscFunctionBegin;
  if (!*skipped) PetscFunctionReturn(PETSC_SUCCESS);
  PetscCall(PetscFree((*skipped)->images));
  PetscCall(PetscFree(*skipped));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static void Print(CordsSkipped skipped, PetscInt64 image, const char *where, const char *problem)
{
  if (skipped->count <= PRINTED_MAX)
    fprintf(stderr, "cords: image %" PetscInt64_FMT ", %s, %s; it is left out\n", image, where, problem);
  else if (skipped->count == PRINTED_MAX + 1)
    fprintf(stderr, "cords: more images that are left out are only counted\n");
}

PetscErrorCode CordsSkippedAdd(CordsSkipped skipped, PetscInt64 image, const char *where, const char *problem)
{
  PetscInt at = 0;

  PetscFunctionBegin;
  CordsCheckUser(!skipped->strict, PETSC_COMM_SELF,
                 "image %" PetscInt64_FMT ", %s, %s; without -strict_images it is left out", image, where, problem);
  while (at < skipped->count && skipped->images[at] < image) at++;
  if (at < skipped->count && skipped->images[at] == image) PetscFunctionReturn(PETSC_SUCCESS);
  PetscCall(PetscRealloc(((size_t)skipped->count + 1) * sizeof *skipped->images, &skipped->images));
  memmove(skipped->images + at + 1, skipped->images + at, (size_t)(skipped->count - at) * sizeof *skipped->images);
  skipped->images[at] = image;
  skipped->count++;
  Print(skipped, image, where, problem);
  PetscFunctionReturn(PETSC_SUCCESS);
}

static int Compare(const void *a, const void *b)
{
  PetscInt64 first = *(const PetscInt64 *)a, second = *(const PetscInt64 *)b;

  return (first > second) - (first < second);
}

PetscErrorCode CordsSkippedGather(CordsSkipped skipped, CordsContext context, PetscInt *count, PetscInt64 **images)
{
  int own = (int)skipped->count, total = 0, *counts, *starts;

  PetscFunctionBegin;
  PetscCall(PetscMalloc2(context->size, &counts, context->size, &starts));
  PetscCallMPI(MPI_Allgather(&own, 1, MPI_INT, counts, 1, MPI_INT, context->comm));
  for (int i = 0; i < context->size; i++) starts[i] = total, total += counts[i];
  PetscCall(PetscMalloc1(total + 1, images));
  PetscCallMPI(MPI_Allgatherv(skipped->images, own, MPIU_INT64, *images, counts, starts, MPIU_INT64, context->comm));
  PetscCall(PetscFree2(counts, starts));
  qsort(*images, (size_t)total, sizeof **images, Compare);
  *count = 0;
  for (int i = 0; i < total; i++)
    if (i == 0 || (*images)[i] != (*images)[i - 1]) (*images)[(*count)++] = (*images)[i];
  PetscFunctionReturn(PETSC_SUCCESS);
}
