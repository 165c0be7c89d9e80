#include "io/zip_reader.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

enum {
  LOCAL_BYTES = 30,         /* fixed part of a local header */
  CENTRAL_BYTES = 46,       /* of an entry of the directory */
  END_BYTES = 22,           /* of the end of the directory */
  LOCATOR64_BYTES = 20,     /* where the ZIP64 end is */
  END64_BYTES = 56,         /* of the ZIP64 end */
  COMMENT_MAX = 65535,      /* longest comment behind the end */
  DIRECTORY_MAX = 16 << 20, /* bytes; PyTorch writes about 100 for a tensor */
  ENTRIES_MAX = 100000,     /* far more tensors than any network has */
  NAME_MAX_BYTES = 512,     /* longest name */
  BLOCK_BYTES = 1 << 20     /* read at a time */
};

static const uint32_t local_mark = 0x04034b50, central_mark = 0x02014b50, end_mark = 0x06054b50,
                      end64_mark = 0x06064b50, locator64_mark = 0x07064b50;

struct _p_CordsZipReader {
  char path[PETSC_MAX_PATH_LEN];
  int descriptor;
  PetscInt64 bytes; /* of the file */
  PetscInt count;
  CordsZipEntry *entries;
  PetscInt *by_name; /* indices of entries in the order of their names */
  char *names;       /* one after the other, each ended by 0 */
};

/* Where the directory is, as the end of the file says. */
typedef struct {
  PetscInt64 start, bytes, count;
  PetscInt64 end; /* where the directory must end */
} Directory;

static uint32_t U16(const unsigned char *p)
{
  return (uint32_t)p[0] | (uint32_t)p[1] << 8;
}

static uint32_t U32(const unsigned char *p)
{
  return U16(p) | U16(p + 2) << 16;
}

static uint64_t U64(const unsigned char *p)
{
  return (uint64_t)U32(p) | (uint64_t)U32(p + 4) << 32;
}

/* Numbers of a file are unsigned; what is larger than any file becomes −1, which no check lets pass. */
static PetscInt64 Signed(uint64_t value)
{
  return value > (uint64_t)INT64_MAX ? -1 : (PetscInt64)value;
}

#define CheckZip(zip, condition, ...)                                                                                  \
  do {                                                                                                                 \
    if (PetscUnlikely(!(condition))) {                                                                                 \
      char sentence_[512];                                                                                             \
      snprintf(sentence_, sizeof sentence_, __VA_ARGS__);                                                              \
      CordsUserError(PETSC_COMM_WORLD, "'%s' is damaged or no PyTorch file: %s", (zip)->path, sentence_);              \
    }                                                                                                                  \
  } while (0)

/* length bytes at `start`; they are known to be inside the file. */
static PetscErrorCode ReadAt(CordsZipReader zip, PetscInt64 start, size_t length, void *data)
{
  size_t done = 0;

  PetscFunctionBegin;
  while (done < length) {
    ssize_t got = pread(zip->descriptor, (char *)data + done, length - done, (off_t)(start + (PetscInt64)done));
    if (got < 0 && errno == EINTR) continue;
    CordsCheckUser(got >= 0, PETSC_COMM_WORLD, "cannot read '%s': %s", zip->path, strerror(errno));
    CordsCheckUser(got > 0, PETSC_COMM_WORLD, "'%s' became shorter while it was read", zip->path);
    done += (size_t)got;
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* The ZIP64 end, which replaces the numbers that did not fit. */
static PetscErrorCode ReadEnd64(CordsZipReader zip, PetscInt64 end, Directory *directory, PetscBool *found)
{
  unsigned char locator[LOCATOR64_BYTES], end64[END64_BYTES];
  PetscInt64 at;

  PetscFunctionBegin;
  *found = PETSC_FALSE;
  if (end < LOCATOR64_BYTES + END64_BYTES) PetscFunctionReturn(PETSC_SUCCESS);
  PetscCall(ReadAt(zip, end - LOCATOR64_BYTES, sizeof locator, locator));
  if (U32(locator) != locator64_mark) PetscFunctionReturn(PETSC_SUCCESS);
  at = Signed(U64(locator + 8));
  CheckZip(zip, U32(locator + 4) == 0 && U32(locator + 16) <= 1, "it is one part of a ZIP archive of several");
  CheckZip(zip, at >= 0 && at <= end - LOCATOR64_BYTES - END64_BYTES, "its ZIP64 directory lies outside the file");
  PetscCall(ReadAt(zip, at, sizeof end64, end64));
  CheckZip(zip, U32(end64) == end64_mark, "its ZIP64 directory is not where the file says");
  CheckZip(zip, U32(end64 + 16) == 0 && U32(end64 + 20) == 0 && U64(end64 + 24) == U64(end64 + 32),
           "it is one part of a ZIP archive of several");
  *directory = (Directory){
      .start = Signed(U64(end64 + 48)), .bytes = Signed(U64(end64 + 40)), .count = Signed(U64(end64 + 32)), .end = at};
  *found = PETSC_TRUE;
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* The end of the directory is the last thing in the file but for a comment, whose length it gives. */
static PetscErrorCode FindEnd(CordsZipReader zip, const unsigned char *tail, PetscInt64 length, PetscInt64 *place)
{
  PetscFunctionBegin;
  for (PetscInt64 at = length - END_BYTES; at >= 0; at--) {
    if (U32(tail + at) == end_mark && at + END_BYTES + (PetscInt64)U16(tail + at + 20) == length) {
      *place = at;
      PetscFunctionReturn(PETSC_SUCCESS);
    }
  }
  CheckZip(zip, PETSC_FALSE, "it has no ZIP directory at its end; was it copied completely?");
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode ReadEnd(CordsZipReader zip, Directory *directory)
{
  PetscInt64 length = PetscMin(zip->bytes, (PetscInt64)(END_BYTES + COMMENT_MAX)), place = 0;
  unsigned char *tail;
  const unsigned char *end;
  PetscBool found;

  PetscFunctionBegin;
  PetscCall(PetscMalloc1((size_t)length, &tail));
  PetscCall(ReadAt(zip, zip->bytes - length, (size_t)length, tail));
  PetscCall(FindEnd(zip, tail, length, &place));
  end = tail + place;
  place += zip->bytes - length;
  PetscCall(ReadEnd64(zip, place, directory, &found));
  if (!found) {
    CheckZip(zip, U16(end + 4) == 0 && U16(end + 6) == 0 && U16(end + 8) == U16(end + 10),
             "it is one part of a ZIP archive of several");
    *directory = (Directory){
        .start = (PetscInt64)U32(end + 16), .bytes = (PetscInt64)U32(end + 12), .count = U16(end + 10), .end = place};
  }
  PetscCall(PetscFree(tail));
  CheckZip(zip,
           directory->bytes >= 0 && directory->start >= 0 && directory->bytes <= directory->end &&
               directory->start == directory->end - directory->bytes,
           "its ZIP directory is not where the file says");
  CheckZip(zip, directory->count > 0 && directory->count <= directory->bytes / CENTRAL_BYTES,
           "its ZIP directory says that it has %" PetscInt64_FMT " entries", directory->count);
  CheckZip(zip, directory->count <= ENTRIES_MAX && directory->bytes <= DIRECTORY_MAX,
           "%" PetscInt64_FMT " entries in a directory of %" PetscInt64_FMT " bytes are more than a network needs",
           directory->count, directory->bytes);
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* A name of printable ASCII that stays below its folder. */
static PetscBool NameIsHarmless(const unsigned char *name, size_t length)
{
  size_t part = 0; /* where the part between two slashes begins */

  if (length == 0 || length > NAME_MAX_BYTES || name[0] == '/' || name[length - 1] == '/') return PETSC_FALSE;
  for (size_t k = 0; k <= length; k++) {
    if (k == length || name[k] == '/') {
      if (k == part || (k == part + 1 && name[part] == '.')) return PETSC_FALSE;
      if (k == part + 2 && name[part] == '.' && name[part + 1] == '.') return PETSC_FALSE;
      part = k + 1;
    } else if (name[k] < 0x20 || name[k] > 0x7e || name[k] == '\\' || name[k] == ':') {
      return PETSC_FALSE;
    }
  }
  return PETSC_TRUE;
}

/* Sizes and place of an entry that did not fit into 32 bits stand in its ZIP64 extra field, in this order. */
static PetscErrorCode ReadExtra64(CordsZipReader zip, const unsigned char *extra, size_t length, PetscInt64 *bytes,
                                  PetscInt64 *compressed, PetscInt64 *header)
{
  PetscInt64 *const numbers[3] = {bytes, compressed, header};

  PetscFunctionBegin;
  if (*bytes != UINT32_MAX && *compressed != UINT32_MAX && *header != UINT32_MAX) PetscFunctionReturn(PETSC_SUCCESS);
  while (length >= 4) {
    size_t field = U16(extra + 2), at = 0;
    CheckZip(zip, field <= length - 4, "an extra field of its ZIP directory is cut off");
    for (int k = 0; k < 3 && U16(extra) == 1; k++) {
      if (*numbers[k] != UINT32_MAX) continue;
      CheckZip(zip, at + 8 <= field, "a ZIP64 field of its directory is cut off");
      *numbers[k] = Signed(U64(extra + 4 + at));
      at += 8;
    }
    extra += 4 + field;
    length -= 4 + field;
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* One entry of the directory at `at`, of which `left` bytes are left; *used of them are its own. */
static PetscErrorCode ReadCentral(CordsZipReader zip, const unsigned char *at, PetscInt64 left, char *name,
                                  CordsZipEntry *entry, PetscInt64 *used)
{
  PetscInt64 name_bytes, extra_bytes, compressed;

  PetscFunctionBegin;
  CheckZip(zip, left >= CENTRAL_BYTES && U32(at) == central_mark, "its ZIP directory is cut off or overwritten");
  name_bytes = U16(at + 28);
  extra_bytes = U16(at + 30);
  *used = CENTRAL_BYTES + name_bytes + extra_bytes + (PetscInt64)U16(at + 32);
  CheckZip(zip, *used <= left, "its ZIP directory is cut off");
  CheckZip(
      zip, NameIsHarmless(at + CENTRAL_BYTES, (size_t)name_bytes),
      "an entry of the archive has a name that PyTorch would not write (empty, a path to elsewhere, or not ASCII)");
  memcpy(name, at + CENTRAL_BYTES, (size_t)name_bytes);
  name[name_bytes] = '\0';
  CheckZip(zip, !(U16(at + 8) & 0x2041), "entry '%s' is encrypted", name);
  CheckZip(zip, U16(at + 10) == 0, "entry '%s' is compressed (method %u); PyTorch stores entries as they are", name,
           (unsigned)U16(at + 10));
  compressed = (PetscInt64)U32(at + 20);
  *entry =
      (CordsZipEntry){.name = name, .bytes = (PetscInt64)U32(at + 24), .crc = U32(at + 16), .header = U32(at + 42)};
  PetscCall(ReadExtra64(zip, at + CENTRAL_BYTES + name_bytes, (size_t)extra_bytes, &entry->bytes, &compressed,
                        &entry->header));
  CheckZip(zip, entry->bytes == compressed, "entry '%s' is stored with two different sizes", name);
  PetscFunctionReturn(PETSC_SUCCESS);
}

static int ByPlace(const void *a, const void *b)
{
  PetscInt64 first = ((const CordsZipEntry *)a)->header, second = ((const CordsZipEntry *)b)->header;

  return (first > second) - (first < second);
}

static int ByName(const void *a, const void *b, void *entries)
{
  return strcmp(((CordsZipEntry *)entries)[*(const PetscInt *)a].name,
                ((CordsZipEntry *)entries)[*(const PetscInt *)b].name);
}

/* The local header repeats the name and says where the data starts, which must end before `limit`. */
static PetscErrorCode ReadLocal(CordsZipReader zip, CordsZipEntry *entry, PetscInt64 limit)
{
  unsigned char local[LOCAL_BYTES];
  char name[NAME_MAX_BYTES + 1] = "";
  size_t length = strlen(entry->name);

  PetscFunctionBegin;
  CheckZip(zip, entry->header >= 0 && entry->header <= limit - LOCAL_BYTES - (PetscInt64)length,
           "entry '%s' overlaps another one or lies outside the file", entry->name);
  PetscCall(ReadAt(zip, entry->header, sizeof local, local));
  CheckZip(zip, U32(local) == local_mark && U16(local + 26) == length && U16(local + 8) == 0,
           "entry '%s' is not where the directory says", entry->name);
  PetscCall(ReadAt(zip, entry->header + LOCAL_BYTES, length, name));
  CheckZip(zip, strcmp(name, entry->name) == 0, "entry '%s' has another name before its data", entry->name);
  entry->start = entry->header + LOCAL_BYTES + (PetscInt64)length + (PetscInt64)U16(local + 28);
  CheckZip(zip, entry->bytes >= 0 && entry->start <= limit && entry->bytes <= limit - entry->start,
           "entry '%s' of %" PetscInt64_FMT " bytes overlaps another one or lies outside the file", entry->name,
           entry->bytes);
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode CheckEntries(CordsZipReader zip, const Directory *directory)
{
  PetscFunctionBegin;
  qsort(zip->entries, (size_t)zip->count, sizeof *zip->entries, ByPlace);
  for (PetscInt k = 0; k < zip->count; k++) {
    PetscInt64 limit = k + 1 < zip->count ? zip->entries[k + 1].header : directory->start;
    PetscCall(ReadLocal(zip, &zip->entries[k], limit));
    zip->by_name[k] = k;
  }
  qsort_r(zip->by_name, (size_t)zip->count, sizeof *zip->by_name, ByName, zip->entries);
  for (PetscInt k = 1; k < zip->count; k++) {
    const char *name = zip->entries[zip->by_name[k]].name;
    CheckZip(zip, strcmp(name, zip->entries[zip->by_name[k - 1]].name) != 0, "it has two entries of the name '%s'",
             name);
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode ReadDirectory(CordsZipReader zip, const Directory *directory)
{
  unsigned char *all;
  PetscInt64 at = 0, used;
  char *name;

  PetscFunctionBegin;
  zip->count = (PetscInt)directory->count;
  PetscCall(PetscCalloc1((size_t)zip->count, &zip->entries));
  PetscCall(PetscMalloc1((size_t)zip->count, &zip->by_name));
  PetscCall(PetscMalloc1((size_t)directory->bytes, &all));
  PetscCall(PetscMalloc1((size_t)directory->bytes, &zip->names)); /* names are part of it */
  PetscCall(ReadAt(zip, directory->start, (size_t)directory->bytes, all));
  name = zip->names;
  for (PetscInt k = 0; k < zip->count; k++, at += used) {
    PetscCall(ReadCentral(zip, all + at, directory->bytes - at, name, &zip->entries[k], &used));
    name += strlen(name) + 1;
  }
  CheckZip(zip, at == directory->bytes, "its ZIP directory has %" PetscInt64_FMT " bytes that belong to no entry",
           directory->bytes - at);
  PetscCall(PetscFree(all));
  PetscCall(CheckEntries(zip, directory));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode Load(CordsZipReader zip)
{
  struct stat status;
  Directory directory;

  PetscFunctionBegin;
  zip->descriptor = open(zip->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  CordsCheckUser(zip->descriptor >= 0, PETSC_COMM_WORLD, "cannot open '%s': %s", zip->path, strerror(errno));
  CordsCheckUser(!fstat(zip->descriptor, &status) && S_ISREG(status.st_mode), PETSC_COMM_WORLD, "'%s' is not a file",
                 zip->path);
  zip->bytes = (PetscInt64)status.st_size;
  CheckZip(zip, zip->bytes >= END_BYTES, "it has only %" PetscInt64_FMT " bytes", zip->bytes);
  PetscCall(ReadEnd(zip, &directory));
  PetscCall(ReadDirectory(zip, &directory));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsZipClose(CordsZipReader *zip)
{
  PetscFunctionBegin;
  if (!*zip) PetscFunctionReturn(PETSC_SUCCESS);
  if ((*zip)->descriptor >= 0) close((*zip)->descriptor);
  PetscCall(PetscFree((*zip)->entries));
  PetscCall(PetscFree((*zip)->by_name));
  PetscCall(PetscFree((*zip)->names));
  PetscCall(PetscFree(*zip));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsZipOpen(const char *path, CordsZipReader *zip)
{
  CordsZipReader z;
  PetscErrorCode ierr;

  PetscFunctionBegin;
  CordsCheckUser(strlen(path) < PETSC_MAX_PATH_LEN, PETSC_COMM_WORLD, "the path of a file is too long");
  PetscCall(PetscNew(&z));
  snprintf(z->path, sizeof z->path, "%s", path);
  ierr = Load(z);
  if (ierr) PetscCall(CordsZipClose(&z));
  PetscCall(ierr);
  *zip = z;
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsZipEntries(CordsZipReader zip, PetscInt *count, const CordsZipEntry **entries)
{
  PetscFunctionBegin;
  *count = zip->count;
  *entries = zip->entries;
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscInt CordsZipFind(CordsZipReader zip, const char *name)
{
  PetscInt low = 0, high = zip->count;

  while (low < high) {
    PetscInt middle = low + (high - low) / 2;
    int order = strcmp(name, zip->entries[zip->by_name[middle]].name);
    if (order == 0) return zip->by_name[middle];
    if (order < 0)
      high = middle;
    else
      low = middle + 1;
  }
  return -1;
}

/* The data of an entry in blocks; data NULL: only its CRC is wanted. */
static PetscErrorCode ReadBlocks(CordsZipReader zip, CordsZipEntry *entry, unsigned char *data)
{
  static unsigned char spare[BLOCK_BYTES];
  uLong crc = crc32(0, NULL, 0);

  PetscFunctionBegin;
  for (PetscInt64 done = 0; done < entry->bytes;) {
    size_t length = (size_t)PetscMin((PetscInt64)BLOCK_BYTES, entry->bytes - done);
    unsigned char *block = data ? data + done : spare;
    PetscCall(ReadAt(zip, entry->start + done, length, block));
    crc = crc32(crc, block, (uInt)length);
    done += (PetscInt64)length;
  }
  CheckZip(zip, crc == entry->crc, "the checksum of entry '%s' is wrong", entry->name);
  entry->confirmed = PETSC_TRUE;
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsZipRead(CordsZipReader zip, PetscInt entry, void *data)
{
  PetscFunctionBegin;
  PetscCall(ReadBlocks(zip, &zip->entries[entry], data));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsZipConfirm(CordsZipReader zip)
{
  PetscFunctionBegin;
  for (PetscInt k = 0; k < zip->count; k++) {
    if (!zip->entries[k].confirmed) PetscCall(ReadBlocks(zip, &zip->entries[k], NULL));
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}
