#include "data/bytes.h"

#include <stdlib.h>

PetscBool CordsBytesResize(CordsBytes *buffer, size_t length)
{
  if (length > buffer->capacity) {
    size_t capacity = PetscMax(length, 2 * buffer->capacity);
    uint8_t *bytes = malloc(capacity);
    if (!bytes) return PETSC_FALSE;
    free(buffer->bytes);
    buffer->bytes = bytes;
    buffer->capacity = capacity;
  }
  buffer->length = length;
  return PETSC_TRUE;
}

void CordsBytesFree(CordsBytes *buffer)
{
  free(buffer->bytes);
  *buffer = (CordsBytes){0};
}
