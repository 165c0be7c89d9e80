/* Memory for large arrays. */
#ifndef CORDS_CORE_ALLOCATE_H
#define CORDS_CORE_ALLOCATE_H

#include "core/error.h"

/* `bytes` bytes at a line of the cache (64), with anything in them; from some megabytes on in large pages where the
   system has them, since thousands of small ones cost more look-ups than a core remembers.  free() them. */
PetscErrorCode CordsAllocate(size_t bytes, void *memory);

#endif
