#include "conv/scratch.h"

#include "core/allocate.h"

#include <stdlib.h>

static struct {
  void *memory;
  size_t bytes;
  int holders;
} scratch;

void CordsScratchHold(void)
{
  scratch.holders++;
}

void CordsScratchRelease(void)
{
  if (--scratch.holders > 0) return;
  free(scratch.memory);
  scratch.memory = NULL;
  scratch.bytes = 0;
}

PetscErrorCode CordsScratchGet(size_t bytes, void *memory)
{
  PetscFunctionBegin;
  if (bytes > scratch.bytes) {
    free(scratch.memory);
    scratch.bytes = 0;
    scratch.memory = NULL;
    PetscCall(CordsAllocate(bytes, &scratch.memory));
    scratch.bytes = bytes;
  }
  *(void **)memory = scratch.memory;
  PetscFunctionReturn(PETSC_SUCCESS);
}
