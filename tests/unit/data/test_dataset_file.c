/* Every rank gets the bytes of the file, or the same error.  RANKS 1 2 4 */
#include "support/idx.h"
#include "support/support.h"

#include "data/dataset_file.h"

#include <stdlib.h>
#include <unistd.h>

enum { LENGTH = 20000000 }; /* more than one broadcast */

static uint8_t Noise(size_t i)
{
  return (uint8_t)((i * 2654435761u) >> 13);
}

static void Write(const char *path, PetscBool gzip)
{
  uint8_t *bytes;

  if (support_context.rank == 0) {
    bytes = malloc(LENGTH);
    for (size_t i = 0; i < LENGTH; i++) bytes[i] = i < LENGTH / 50 ? Noise(i) : (uint8_t)(i >> 16);
    SupportIdxWriteFile(path, gzip, LENGTH, bytes);
    free(bytes);
  }
  MPI_Barrier(support_context.comm);
}

static void Check(const char *path, PetscBool gzip)
{
  CordsDatasetFile file;
  uint8_t *bytes = malloc(LENGTH + 5);
  PetscInt64 bytes_max;
  PetscBool exact;
  size_t got;

  SupportCall(CordsDatasetFileOpen(&support_context, path, &file));
  SupportCall(CordsDatasetFileLength(file, &bytes_max, &exact));
  assert_int_equal(exact, !gzip);
  if (exact)
    assert_int_equal(bytes_max, LENGTH);
  else
    assert_true(bytes_max >= LENGTH);
  SupportCall(CordsDatasetFileRead(file, 3, bytes, &got));
  assert_int_equal(got, 3);
  SupportCall(CordsDatasetFileRead(file, LENGTH, bytes + 3, &got));
  assert_int_equal(got, LENGTH - 3);
  for (size_t i = 0; i < LENGTH / 50; i++) assert_int_equal(bytes[i], Noise(i));
  for (size_t i = LENGTH / 50; i < LENGTH; i += 997) assert_int_equal(bytes[i], (uint8_t)(i >> 16));
  SupportCall(CordsDatasetFileRead(file, 1, bytes, &got));
  assert_int_equal(got, 0);
  SupportCall(CordsDatasetFileClose(&file));
  free(bytes);
}

static void TestPlain(void **state)
{
  const char *path = SupportPath("plain");

  Write(path, PETSC_FALSE);
  Check(path, PETSC_FALSE);
}

static void TestGzip(void **state)
{
  const char *path = SupportPath("packed");

  Write(path, PETSC_TRUE);
  Check(path, PETSC_TRUE);
}

/* Cut the packed file, at the end of its data and at its very end: the checksum is missing or half there. */
static void TestTruncatedGzip(void **state)
{
  const char *path = SupportPath("cut"), *sentence;
  CordsDatasetFile file;
  uint8_t *bytes = malloc(LENGTH + 1);
  struct stat status;
  size_t got;

  Write(path, PETSC_TRUE);
  for (int cut = 1; cut <= 8; cut += 7) {
    if (support_context.rank == 0) {
      assert_int_equal(stat(path, &status), 0);
      assert_int_equal(truncate(path, status.st_size - cut), 0);
    }
    MPI_Barrier(support_context.comm);
    SupportCall(CordsDatasetFileOpen(&support_context, path, &file));
    sentence = SupportExpectUserError(CordsDatasetFileRead(file, LENGTH + 1, bytes, &got));
    assert_non_null(strstr(sentence, path));
    assert_non_null(strstr(sentence, "truncated"));
    SupportCall(CordsDatasetFileClose(&file));
  }
  free(bytes);
}

static void TestFind(void **state)
{
  const char *const names[] = {"one", "two"};
  const char *sentence;
  char path[PETSC_MAX_PATH_LEN];
  CordsDatasetFile file;

  sentence = SupportExpectUserError(CordsDatasetFileFind(&support_context, SupportPath("nowhere"), 2, names, path));
  assert_non_null(strstr(sentence, "No such file or directory"));
  if (support_context.rank == 0) mkdir(SupportPath("folder"), 0777);
  MPI_Barrier(support_context.comm);
  sentence = SupportExpectUserError(CordsDatasetFileFind(&support_context, SupportPath("folder"), 2, names, path));
  assert_non_null(strstr(sentence, "one, two"));
  if (support_context.rank == 0) SupportIdxWriteFile(SupportPath("folder/two"), PETSC_FALSE, 1, (const uint8_t *)"x");
  MPI_Barrier(support_context.comm);
  SupportCall(CordsDatasetFileFind(&support_context, SupportPath("folder"), 2, names, path));
  assert_string_equal(path, SupportPath("folder/two"));
  sentence = SupportExpectUserError(CordsDatasetFileFind(&support_context, SupportPath("folder/two"), 2, names, path));
  assert_non_null(strstr(sentence, "not a directory"));
  sentence = SupportExpectUserError(CordsDatasetFileOpen(&support_context, SupportPath("folder"), &file));
  assert_non_null(strstr(sentence, "not a regular file"));
  if (support_context.rank == 0) assert_int_equal(mkfifo(SupportPath("pipe"), 0666), 0);
  MPI_Barrier(support_context.comm);
  sentence = SupportExpectUserError(CordsDatasetFileOpen(&support_context, SupportPath("pipe"), &file));
  assert_non_null(strstr(sentence, "not a regular file"));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(TestPlain),
    cmocka_unit_test(TestGzip),
    cmocka_unit_test(TestTruncatedGzip),
    cmocka_unit_test(TestFind),
};

SUPPORT_MAIN(tests)
