/* ZIP archives as PyTorch wants them: aligned data; complete or not there. */
#include "io/zip_reader.h"
#include "io/zip_writer.h"
#include "support/bytes.h"

#include <unistd.h>

/* Names of all lengths: the data of each begins at a multiple of 64 bytes. */
static void Alignment(void **state)
{
  const char *path = SupportPath("aligned.zip");
  char name[80] = "", data[200];
  const CordsZipEntry *entries;
  CordsZipWriter writer;
  CordsZipReader reader;
  PetscInt count;

  memset(data, 'x', sizeof data);
  SupportCall(CordsZipCreate(path, &writer));
  for (size_t k = 0; k < 70; k++) {
    name[k] = 'n';
    SupportCall(CordsZipAdd(writer, name, 2 * k + 1, data));
  }
  assert_int_not_equal(access(path, F_OK), 0); /* not before it is complete */
  SupportCall(CordsZipCommit(&writer));
  SupportCall(CordsZipOpen(path, &reader));
  SupportCall(CordsZipConfirm(reader));
  SupportCall(CordsZipEntries(reader, &count, &entries));
  assert_int_equal(count, 70);
  for (PetscInt k = 0; k < count; k++) {
    assert_int_equal(entries[k].start % 64, 0);
    assert_int_equal(entries[k].bytes, 2 * k + 1);
  }
  SupportCall(CordsZipClose(&reader));
}

/* The same contents are the same bytes, whenever they are written. */
static void Same(void **state)
{
  Bytes files[2];

  for (int k = 0; k < 2; k++) {
    const char *path = SupportPath(k ? "one.zip" : "other.zip");
    CordsZipWriter zip;
    SupportCall(CordsZipCreate(path, &zip));
    SupportCall(CordsZipAdd(zip, "a/b", 5, "12345"));
    SupportCall(CordsZipCommit(&zip));
    files[k] = BytesLoad(path);
  }
  assert_int_equal(files[0].length, files[1].length);
  assert_memory_equal(files[0].at, files[1].at, files[0].length);
  free(files[0].at);
  free(files[1].at);
}

static PetscErrorCode WriteTo(const char *path)
{
  static char data[1 << 20];
  CordsZipWriter zip;

  PetscFunctionBegin;
  PetscCall(CordsZipCreate(path, &zip));
  PetscCall(CordsZipAdd(zip, "a/b", sizeof data, data));
  PetscCall(CordsZipCommit(&zip));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static void NotWritable(void **state)
{
  const char *full = SupportPath("full.zip");
  char part[PETSC_MAX_PATH_LEN];

  assert_non_null(strstr(SupportExpectUserError(WriteTo("/nowhere/at/all.zip")), "/nowhere/at/all.zip"));
  snprintf(part, sizeof part, "%s.part", full);
  assert_int_equal(symlink("/dev/full", part), 0);
  assert_non_null(strstr(SupportExpectUserError(WriteTo(full)), "No space left"));
  assert_int_not_equal(access(part, F_OK), 0);
  assert_int_not_equal(access(full, F_OK), 0);
}

static const struct CMUnitTest tests[] = {cmocka_unit_test(Alignment), cmocka_unit_test(Same),
                                          cmocka_unit_test(NotWritable)};
SUPPORT_MAIN(tests)
