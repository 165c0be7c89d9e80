/* Small files as CIFAR's, for tests: made in memory, damaged there, written into a folder or a .tar.gz by rank 0. */
#ifndef CORDS_TESTS_SUPPORT_CIFAR_H
#define CORDS_TESTS_SUPPORT_CIFAR_H

#include "support/images.h"
#include "support/tar.h"

#include <sys/stat.h>

enum { CIFAR_RECORDS = 3, CIFAR_FILES = 5, CIFAR_PIXELS = 3 * 1024, CIFAR_RECORD_MAX = 2 + CIFAR_PIXELS };

typedef struct {
  int hundred; /* CIFAR-100 */
  int count;   /* of files */
  char names[CIFAR_FILES][32];
  uint8_t bytes[CIFAR_FILES][CIFAR_RECORDS * CIFAR_RECORD_MAX + 8];
  size_t lengths[CIFAR_FILES];
} SupportCifar;

static inline uint8_t SupportCifarPixel(int image, int row, int column, int channel)
{
  return (uint8_t)(7 * image + 3 * row + column + 90 * channel);
}

static inline int SupportCifarLabel(int hundred, int image)
{
  return hundred ? (image * 31 + 69) % 100 : (image * 3 + 1) % 10;
}

static inline void SupportCifarRecord(SupportCifar *cifar, int file, int image)
{
  uint8_t *at = cifar->bytes[file] + cifar->lengths[file];

  if (cifar->hundred) *at++ = 19; /* the coarse label */
  *at++ = (uint8_t)SupportCifarLabel(cifar->hundred, image);
  for (int k = 0; k < CIFAR_PIXELS; k++) *at++ = SupportCifarPixel(image, k % 1024 / 32, k % 32, k / 1024);
  cifar->lengths[file] = (size_t)(at - cifar->bytes[file]);
}

/* name of the dataset; the files of the training or the test split. */
static inline void SupportCifarMake(SupportCifar *cifar, const char *name, PetscBool test)
{
  memset(cifar, 0, sizeof *cifar);
  cifar->hundred = !strcmp(name, "cifar100");
  cifar->count = cifar->hundred || test ? 1 : CIFAR_FILES;
  for (int f = 0; f < cifar->count; f++) {
    if (cifar->hundred)
      snprintf(cifar->names[f], sizeof cifar->names[f], "%s.bin", test ? "test" : "train");
    else if (test)
      snprintf(cifar->names[f], sizeof cifar->names[f], "test_batch.bin");
    else
      snprintf(cifar->names[f], sizeof cifar->names[f], "data_batch_%d.bin", f + 1);
    for (int i = 0; i < CIFAR_RECORDS; i++) SupportCifarRecord(cifar, f, f * CIFAR_RECORDS + i);
  }
}

static inline void SupportCifarWriteArchive(const SupportCifar *cifar, const char *path)
{
  SupportTar tar = SupportTarBegin("ustar", "gzip");
  const char *folder = cifar->hundred ? "cifar-100-binary" : "cifar-10-batches-bin";
  char name[128];

  SupportTarOpen(&tar);
  SupportTarAddFolder(&tar, folder);
  for (int f = 0; f < cifar->count; f++) {
    snprintf(name, sizeof name, "%s/%s", folder, cifar->names[f]);
    SupportTarAdd(&tar, name, cifar->lengths[f], cifar->bytes[f]);
  }
  SupportTarEnd(&tar);
  SupportWriteFile(path, tar.length, tar.bytes);
  SupportTarFree(&tar);
}

/* Into `folder`, which is made if need be: the files themselves, or the archive.  Collective. */
static inline void SupportCifarWrite(const SupportCifar *cifar, const char *folder, PetscBool archive)
{
  char path[PETSC_MAX_PATH_LEN];

  MPI_Barrier(support_context.comm);
  if (support_context.rank == 0) {
    mkdir(folder, 0777);
    snprintf(path, sizeof path, "%s/%s", folder, cifar->hundred ? "cifar-100-binary.tar.gz" : "cifar-10-binary.tar.gz");
    if (archive) SupportCifarWriteArchive(cifar, path);
    for (int f = 0; f < cifar->count && !archive; f++) {
      snprintf(path, sizeof path, "%s/%s", folder, cifar->names[f]);
      SupportWriteFile(path, cifar->lengths[f], cifar->bytes[f]);
    }
  }
  MPI_Barrier(support_context.comm);
}

#endif
