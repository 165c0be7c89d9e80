#include "io/torch_private.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Formats that look like PyTorch's and are not this one. */
static PetscErrorCode CheckFirstBytes(const char *path)
{
  static const unsigned char before16[] = {0x80, 2, 0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 25};
  unsigned char first[sizeof before16] = {0};
  struct stat status;
  FILE *file = stat(path, &status) == 0 && S_ISREG(status.st_mode) ? fopen(path, "rb") : NULL;
  size_t got = file ? fread(first, 1, sizeof first, file) : 0;

  PetscFunctionBegin;
  if (file) fclose(file);
  CordsCheckUser(got < sizeof first || memcmp(first, before16, sizeof first) != 0, PETSC_COMM_WORLD,
                 "'%s' was written by torch before 1.6, or with _use_new_zipfile_serialization=False; load and save it "
                 "once with a newer torch: torch.save(torch.load('%s'), 'new.pth')",
                 path, path);
  CordsCheckUser(got < 2 || first[0] != 0x80, PETSC_COMM_WORLD,
                 "'%s' is a pickle alone; a file of torch.save (1.6 or later) is a ZIP archive", path);
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscInt CordsTorchArchiveFind(const CordsTorchArchive *a, const char *name)
{
  char full[2 * CORDS_TORCH_NAME_MAX + 8];

  snprintf(full, sizeof full, "%s/%s", a->prefix, name);
  return CordsZipFind(a->zip, full);
}

/* All entries are in one folder, the prefix, which is the one that has a data.pkl. */
static PetscErrorCode FindPrefix(CordsTorchArchive *a)
{
  const CordsZipEntry *entries;
  PetscInt count;
  const char *slash;

  PetscFunctionBegin;
  PetscCall(CordsZipEntries(a->zip, &count, &entries));
  slash = strchr(entries[0].name, '/');
  CordsTorchCheck(a, slash && (size_t)(slash - entries[0].name) < sizeof a->prefix,
                  "is a ZIP archive but not one of torch.save (its entries are in no folder)");
  snprintf(a->prefix, sizeof a->prefix, "%.*s", (int)(slash - entries[0].name), entries[0].name);
  for (PetscInt k = 0; k < count; k++) {
    size_t length = strlen(a->prefix);
    CordsTorchCheck(a, strncmp(entries[k].name, a->prefix, length) == 0 && entries[k].name[length] == '/',
                    "is a ZIP archive but not one of torch.save (its entries are in several folders)");
  }
  CordsTorchCheck(a, CordsTorchArchiveFind(a, "constants.pkl") < 0,
                  "is a TorchScript program; save the weights alone: torch.save(module.state_dict(), 'weights.pth')");
  CordsTorchCheck(a, CordsTorchArchiveFind(a, "data.pkl") >= 0,
                  "is a ZIP archive but not one of torch.save (it has no data.pkl)");
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscInt64 CordsTorchArchiveBytes(const CordsTorchArchive *a, PetscInt entry)
{
  const CordsZipEntry *entries;
  PetscInt count;

  CordsZipEntries(a->zip, &count, &entries);
  return entries[entry].bytes;
}

PetscErrorCode CordsTorchArchiveText(const CordsTorchArchive *a, const char *name, PetscInt64 most, char **text)
{
  PetscInt entry = CordsTorchArchiveFind(a, name);
  PetscInt64 bytes;

  PetscFunctionBegin;
  *text = NULL;
  if (entry < 0) PetscFunctionReturn(PETSC_SUCCESS);
  bytes = CordsTorchArchiveBytes(a, entry);
  CordsTorchCheck(a, bytes <= most, "entry '%s' has %" PetscInt64_FMT " bytes", name, bytes);
  PetscCall(PetscCalloc1((size_t)bytes + 1, text));
  PetscCall(CordsZipRead(a->zip, entry, *text));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode CheckVersion(CordsTorchArchive *a)
{
  char *version, *order;

  PetscFunctionBegin;
  PetscCall(CordsTorchArchiveText(a, "version", 32, &version));
  PetscCall(CordsTorchArchiveText(a, "byteorder", 32, &order));
  CordsTorchCheck(a, version && atoi(version) >= 2 && atoi(version) <= 10,
                  "has %s version of PyTorch's format; 2 to 10 can be read", version ? "another" : "no");
  CordsTorchCheck(a, !order || strncmp(order, "little", 6) == 0,
                  "holds big-endian numbers; load and save it once with torch on a little-endian machine");
  PetscCall(PetscFree(version));
  PetscCall(PetscFree(order));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsTorchArchiveOpen(const char *path, CordsTorchArchive *archive)
{
  PetscFunctionBegin;
  PetscCall(CheckFirstBytes(path));
  snprintf(archive->path, sizeof archive->path, "%s", path);
  PetscCall(CordsZipOpen(path, &archive->zip));
  PetscCall(FindPrefix(archive));
  PetscCall(CheckVersion(archive));
  PetscFunctionReturn(PETSC_SUCCESS);
}
