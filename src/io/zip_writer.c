#include "io/zip_writer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

enum {
  ALIGNMENT = 64,      /* of the data, as torch.save does it */
  LOCAL_BYTES = 30,    /* fixed part of a local header */
  CENTRAL_BYTES = 46,  /* of an entry of the directory */
  END_BYTES = 22,      /* of the end of the directory */
  PADDING_ID = 0x4246, /* extra field "FB" that PyTorch pads with */
  VERSION_NEEDED = 10,
  DATE = 0x21 /* 1 January 1980: the same network gives the same file */
};

typedef struct {
  char *name;
  uint32_t start, bytes, crc;
} Entry;

struct _p_CordsZipWriter {
  char path[PETSC_MAX_PATH_LEN], part[PETSC_MAX_PATH_LEN];
  FILE *file;
  uint64_t at;
  size_t count, capacity;
  Entry *entries;
};

static void Put16(unsigned char *p, uint32_t value)
{
  p[0] = (unsigned char)value;
  p[1] = (unsigned char)(value >> 8);
}

static void Put32(unsigned char *p, uint32_t value)
{
  Put16(p, value & 0xffff);
  Put16(p + 2, value >> 16);
}

/* Give the file up. */
static PetscErrorCode Failed(CordsZipWriter zip)
{
  int reason = errno ? errno : EIO;

  PetscFunctionBegin;
  if (zip->file) fclose(zip->file);
  zip->file = NULL;
  unlink(zip->part);
  CordsErrorSetUnfinished(NULL);
  CordsUserError(PETSC_COMM_SELF, "cannot write '%s': %s; the unfinished file was removed", zip->path,
                 strerror(reason));
}

PetscErrorCode CordsZipCreate(const char *path, CordsZipWriter *zip)
{
  CordsZipWriter z;

  PetscFunctionBegin;
  PetscCall(PetscNew(&z));
  snprintf(z->path, sizeof z->path, "%s", path);
  CordsCheckUser(snprintf(z->part, sizeof z->part, "%s.part", path) < (int)sizeof z->part, PETSC_COMM_SELF,
                 "the path of the output is too long");
  z->file = fopen(z->part, "wb");
  CordsCheckUser(z->file, PETSC_COMM_SELF, "cannot write '%s': %s", path, strerror(errno));
  CordsErrorSetUnfinished(z->part);
  *zip = z;
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode Write(CordsZipWriter zip, size_t bytes, const void *data)
{
  PetscFunctionBegin;
  CordsCheckUser(zip->at + bytes + END_BYTES < UINT32_MAX, PETSC_COMM_SELF,
                 "'%s' would have more than 4 GiB, which this writer of ZIP archives cannot do", zip->path);
  errno = 0;
  if (bytes > 0 && fwrite(data, 1, bytes, zip->file) != bytes) PetscCall(Failed(zip));
  zip->at += bytes;
  PetscFunctionReturn(PETSC_SUCCESS);
}

static uint32_t Checksum(size_t bytes, const unsigned char *data)
{
  uLong crc = crc32(0, NULL, 0);

  for (size_t done = 0; done < bytes; done += 1 << 30)
    crc = crc32(crc, data + done, (uInt)PetscMin((size_t)1 << 30, bytes - done));
  return (uint32_t)crc;
}

/* What local header and directory say in the same words: 26 bytes from the version on. */
static void PutFacts(unsigned char *p, const Entry *entry, size_t extra)
{
  Put16(p, VERSION_NEEDED);
  Put16(p + 8, DATE);
  Put32(p + 10, entry->crc);
  Put32(p + 14, entry->bytes);
  Put32(p + 18, entry->bytes);
  Put16(p + 22, (uint32_t)strlen(entry->name));
  Put16(p + 24, (uint32_t)extra);
}

PetscErrorCode CordsZipAdd(CordsZipWriter zip, const char *name, size_t bytes, const void *data)
{
  unsigned char local[LOCAL_BYTES] = {'P', 'K', 3, 4}, extra[ALIGNMENT + 4] = {0};
  Entry *entry;
  size_t padding;

  PetscFunctionBegin;
  if (zip->count == zip->capacity) {
    zip->capacity = 2 * zip->capacity + 16;
    PetscCall(PetscRealloc(zip->capacity * sizeof *zip->entries, &zip->entries));
  }
  entry = &zip->entries[zip->count++];
  *entry = (Entry){.start = (uint32_t)zip->at, .bytes = (uint32_t)bytes, .crc = Checksum(bytes, data)};
  PetscCall(PetscStrallocpy(name, &entry->name));
  padding = 4 + (ALIGNMENT - (zip->at + LOCAL_BYTES + strlen(name) + 4) % ALIGNMENT) % ALIGNMENT;
  Put16(extra, PADDING_ID);
  Put16(extra + 2, (uint32_t)padding - 4);
  PutFacts(local + 4, entry, padding);
  PetscCall(Write(zip, sizeof local, local));
  PetscCall(Write(zip, strlen(name), name));
  PetscCall(Write(zip, padding, extra));
  PetscCall(Write(zip, bytes, data));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode WriteDirectory(CordsZipWriter zip)
{
  unsigned char end[END_BYTES] = {'P', 'K', 5, 6};
  uint64_t start = zip->at;

  PetscFunctionBegin;
  PetscCheck(zip->count < UINT16_MAX, PETSC_COMM_SELF, PETSC_ERR_PLIB, "too many entries");
  for (size_t k = 0; k < zip->count; k++) {
    unsigned char central[CENTRAL_BYTES] = {'P', 'K', 1, 2, VERSION_NEEDED};
    PutFacts(central + 6, &zip->entries[k], 0);
    Put32(central + 42, zip->entries[k].start);
    PetscCall(Write(zip, sizeof central, central));
    PetscCall(Write(zip, strlen(zip->entries[k].name), zip->entries[k].name));
  }
  Put16(end + 8, (uint32_t)zip->count);
  Put16(end + 10, (uint32_t)zip->count);
  Put32(end + 12, (uint32_t)(zip->at - start));
  Put32(end + 16, (uint32_t)start);
  PetscCall(Write(zip, sizeof end, end));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsZipCommit(CordsZipWriter *zip)
{
  CordsZipWriter z = *zip;
  int failed;

  PetscFunctionBegin;
  PetscCall(WriteDirectory(z));
  errno = 0;
  if (fflush(z->file) || fsync(fileno(z->file))) PetscCall(Failed(z));
  failed = fclose(z->file);
  z->file = NULL;
  if (failed || rename(z->part, z->path)) PetscCall(Failed(z));
  CordsErrorSetUnfinished(NULL);
  for (size_t k = 0; k < z->count; k++) PetscCall(PetscFree(z->entries[k].name));
  PetscCall(PetscFree(z->entries));
  PetscCall(PetscFree(*zip));
  PetscFunctionReturn(PETSC_SUCCESS);
}
