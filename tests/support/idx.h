/* Small IDX files as MNIST's, for tests.  A pair of files is made in memory, may be damaged there, and is written by
   rank 0, plain or packed. */
#ifndef CORDS_TESTS_SUPPORT_IDX_H
#define CORDS_TESTS_SUPPORT_IDX_H

#include "support/support.h"

#include <stdio.h>
#include <sys/stat.h>
#include <zlib.h>

enum { IDX_IMAGES = 7, IDX_ROWS = 5, IDX_COLUMNS = 4, IDX_PIXELS = IDX_ROWS * IDX_COLUMNS };

typedef struct {
  uint8_t images[16 + IDX_IMAGES * IDX_PIXELS + 16], labels[8 + IDX_IMAGES + 16];
  size_t image_length, label_length;
} SupportIdx;

static inline void SupportIdxPut(uint8_t *place, uint32_t number)
{
  for (int i = 0; i < 4; i++) place[i] = (uint8_t)(number >> (24 - 8 * i));
}

static inline uint8_t SupportIdxPixel(int image, int pixel)
{
  return (uint8_t)(37 * image + 11 * pixel + 3);
}

static inline int SupportIdxLabel(int image)
{
  return (image * 3 + 1) % 10;
}

static inline void SupportIdxMake(SupportIdx *idx)
{
  memset(idx, 0, sizeof *idx);
  SupportIdxPut(idx->images, 0x803);
  SupportIdxPut(idx->images + 4, IDX_IMAGES);
  SupportIdxPut(idx->images + 8, IDX_ROWS);
  SupportIdxPut(idx->images + 12, IDX_COLUMNS);
  SupportIdxPut(idx->labels, 0x801);
  SupportIdxPut(idx->labels + 4, IDX_IMAGES);
  for (int i = 0; i < IDX_IMAGES; i++) {
    idx->labels[8 + i] = (uint8_t)SupportIdxLabel(i);
    for (int k = 0; k < IDX_PIXELS; k++) idx->images[16 + i * IDX_PIXELS + k] = SupportIdxPixel(i, k);
  }
  idx->image_length = 16 + IDX_IMAGES * IDX_PIXELS;
  idx->label_length = 8 + IDX_IMAGES;
}

static inline void SupportIdxWriteFile(const char *path, PetscBool gzip, size_t length, const uint8_t *bytes)
{
  gzFile stream = gzopen(path, gzip ? "wb" : "wbT"); /* T: as it is, without packing */

  assert_non_null(stream);
  if (length) assert_int_equal(gzwrite(stream, bytes, (unsigned)length), length);
  assert_int_equal(gzclose(stream), Z_OK);
}

/* Write both files of a split ("train" or "t10k") into `folder`, which is made if need be.  Collective. */
static inline void SupportIdxWrite(const SupportIdx *idx, const char *folder, const char *split, PetscBool gzip)
{
  char path[PETSC_MAX_PATH_LEN];
  const char *ending = gzip ? ".gz" : "";

  if (support_context.rank == 0) {
    mkdir(folder, 0777);
    snprintf(path, sizeof path, "%s/%s-images-idx3-ubyte%s", folder, split, ending);
    SupportIdxWriteFile(path, gzip, idx->image_length, idx->images);
    snprintf(path, sizeof path, "%s/%s-labels-idx1-ubyte%s", folder, split, ending);
    SupportIdxWriteFile(path, gzip, idx->label_length, idx->labels);
  }
  MPI_Barrier(support_context.comm);
}

#endif
