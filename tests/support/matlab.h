/* A MATLAB 5 file with a structure array as that of ImageNet's development kit, for tests. */
#ifndef CORDS_TESTS_SUPPORT_MATLAB_H
#define CORDS_TESTS_SUPPORT_MATLAB_H

#include "support/support.h"

#include <stdlib.h>
#include <zlib.h>

typedef struct {
  int number;
  const char *wnid;
} SupportSynset;

typedef struct {
  uint8_t *bytes;
  size_t length;
} SupportMatlab;

static inline void SupportMatlabPut(SupportMatlab *m, uint32_t number)
{
  for (int i = 0; i < 4; i++) m->bytes[m->length++] = (uint8_t)(number >> (8 * i));
}

static inline void SupportMatlabElement(SupportMatlab *m, uint32_t type, size_t length, const void *data)
{
  if (length > 0 && length <= 4) { /* in the tag */
    SupportMatlabPut(m, type | (uint32_t)length << 16);
    memset(m->bytes + m->length, 0, 4);
    memcpy(m->bytes + m->length, data, length);
    m->length += 4;
    return;
  }
  SupportMatlabPut(m, type);
  SupportMatlabPut(m, (uint32_t)length);
  memset(m->bytes + m->length, 0, (length + 7) / 8 * 8);
  if (length) memcpy(m->bytes + m->length, data, length);
  m->length += (length + 7) / 8 * 8;
}

/* The head of a matrix; returns where its length stands. */
static inline size_t SupportMatlabBegin(SupportMatlab *m, uint32_t class, uint32_t columns, const char *name)
{
  uint32_t flags[2] = {class, 0}, sizes[2] = {1, columns};
  size_t start;

  SupportMatlabPut(m, 14);
  start = m->length;
  SupportMatlabPut(m, 0);
  SupportMatlabElement(m, 6, sizeof flags, flags);
  SupportMatlabElement(m, 5, sizeof sizes, sizes);
  SupportMatlabElement(m, 1, strlen(name), name);
  return start;
}

static inline void SupportMatlabEnd(SupportMatlab *m, size_t start)
{
  size_t end = m->length;

  m->length = start;
  SupportMatlabPut(m, (uint32_t)(end - start - 4));
  m->length = end;
}

static inline void SupportMatlabStructure(SupportMatlab *m, int count, const SupportSynset list[])
{
  static const char names[3][16] = {"ILSVRC2012_ID", "WNID", "words"};
  uint32_t width = 16;
  size_t all = SupportMatlabBegin(m, 2, (uint32_t)count, "synsets"), one;

  SupportMatlabElement(m, 5, sizeof width, &width);
  SupportMatlabElement(m, 1, sizeof names, names);
  for (int k = 0; k < count; k++) {
    uint16_t number = (uint16_t)list[k].number, letters[16];
    for (size_t i = 0; i < strlen(list[k].wnid); i++) letters[i] = (uint8_t)list[k].wnid[i];
    one = SupportMatlabBegin(m, 6, 1, ""); /* double, stored in fewer bytes */
    SupportMatlabElement(m, k == 0 ? 2 : 4, k == 0 ? 1 : 2, &number);
    SupportMatlabEnd(m, one);
    one = SupportMatlabBegin(m, 4, (uint32_t)strlen(list[k].wnid), "");
    if (k == 1)
      SupportMatlabElement(m, 16, strlen(list[k].wnid), list[k].wnid);
    else
      SupportMatlabElement(m, 4, 2 * strlen(list[k].wnid), letters);
    SupportMatlabEnd(m, one);
    one = SupportMatlabBegin(m, 4, 5, "");
    SupportMatlabElement(m, 16, 5, "words");
    SupportMatlabEnd(m, one);
  }
  SupportMatlabEnd(m, all);
}

/* The file in memory, to be freed; packed: by zlib, as MATLAB does. */
static inline uint8_t *SupportMatlabMake(int count, const SupportSynset list[], int packed, size_t *length)
{
  SupportMatlab file = {calloc(1, 1 << 16), 128}, inner = {calloc(1, 1 << 16), 0};
  double other = 3;
  uLongf folded = 1 << 15;
  size_t start;

  memset(file.bytes, ' ', 124);
  memcpy(file.bytes, "MATLAB 5.0 MAT-file", 19);
  memcpy(file.bytes + 124, "\x00\x01IM", 4);
  start = SupportMatlabBegin(&file, 6, 1, "other"); /* passed over */
  SupportMatlabElement(&file, 9, sizeof other, &other);
  SupportMatlabEnd(&file, start);
  SupportMatlabStructure(packed ? &inner : &file, count, list);
  if (packed) {
    SupportMatlabPut(&file, 15);
    assert_int_equal(compress(file.bytes + file.length + 4, &folded, inner.bytes, inner.length), Z_OK);
    SupportMatlabPut(&file, (uint32_t)folded);
    file.length += folded;
  }
  free(inner.bytes);
  *length = file.length;
  return file.bytes;
}

#endif
