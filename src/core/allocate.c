#include "core/allocate.h"

#include <stdlib.h>
#include <sys/mman.h>

static const size_t line = 64, large_page = (size_t)2 << 20;

PetscErrorCode CordsAllocate(size_t bytes, void *memory)
{
  const PetscBool large = (PetscBool)(bytes >= 2 * large_page);
  void *start = NULL;

  PetscFunctionBegin;
  if (posix_memalign(&start, large ? large_page : line, PetscMax(bytes, line))) start = NULL;
  PetscCheck(start, PETSC_COMM_SELF, PETSC_ERR_MEM, "no memory for %zu bytes", bytes);
  if (large) madvise(start, bytes / large_page * large_page, MADV_HUGEPAGE); /* a wish: nothing depends on it */
  *(void **)memory = start;
  PetscFunctionReturn(PETSC_SUCCESS);
}
