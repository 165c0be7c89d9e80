/* Memory for the bytes of an image, used again for the next one.  No PETSc memory: threads fill theirs at once. */
#ifndef CORDS_DATA_BYTES_H
#define CORDS_DATA_BYTES_H

#include <petscsys.h>

#include <stdint.h>

/* All zero is an empty buffer. */
typedef struct {
  uint8_t *bytes;
  size_t length, capacity;
} CordsBytes;

/* Make room for `length` bytes and set the length; what was in it is lost.  False if there is no memory for it. */
PetscBool CordsBytesResize(CordsBytes *buffer, size_t length);

/* Give the memory back; the buffer is empty again. */
void CordsBytesFree(CordsBytes *buffer);

#endif
