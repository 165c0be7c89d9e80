/* Whole files as bytes, to damage them on purpose. */
#ifndef CORDS_TESTS_SUPPORT_BYTES_H
#define CORDS_TESTS_SUPPORT_BYTES_H

#include "support/support.h"

#include <stdio.h>
#include <stdlib.h>

typedef struct {
  size_t length;
  unsigned char *at;
} Bytes;

/* free(bytes.at) by the caller; 64 bytes of room for more. */
static inline Bytes BytesLoad(const char *path)
{
  Bytes bytes = {0};
  FILE *file = fopen(path, "rb");

  assert_non_null(file);
  fseek(file, 0, SEEK_END);
  bytes.length = (size_t)ftell(file);
  bytes.at = calloc(bytes.length + 64, 1);
  rewind(file);
  assert_int_equal(fread(bytes.at, 1, bytes.length, file), bytes.length);
  fclose(file);
  return bytes;
}

static inline void BytesSave(const char *path, size_t length, const void *at)
{
  FILE *file = fopen(path, "wb");

  assert_non_null(file);
  assert_int_equal(fwrite(at, 1, length, file), length);
  fclose(file);
}

/* Place of the n-th occurrence (from 0) of some bytes, which must be there. */
static inline size_t BytesFind(Bytes bytes, size_t count, const char *what, int n)
{
  for (size_t k = 0; k + count <= bytes.length; k++) {
    if (memcmp(bytes.at + k, what, count) == 0 && n-- == 0) return k;
  }
  fail_msg("%s is not in the file", what);
  return 0;
}

#endif
