/* Places of files in tar files and in tar files within: what is read there is what was put in. */
#include "support/images.h"
#include "support/tar.h"

#include "data/tar_index.h"

#include <fcntl.h>
#include <unistd.h>

enum { FILES = 40 };

typedef struct {
  const char *path;
  int descriptor, found;
  PetscBool inner; /* each member is a tar file itself */
} Visited;

/* Bytes of file k; lengths around the blocks of tar files. */
static size_t Content(int k, uint8_t bytes[2000])
{
  size_t length = k % 4 == 0 ? 0 : k % 4 == 1 ? 511 + (size_t)(k % 3) : (size_t)(37 * (k % 50));

  for (size_t i = 0; i < length; i++) bytes[i] = (uint8_t)(k + 7 * i);
  return length;
}

static void Name(int k, char name[300])
{
  /* short, too long for the field of the header, and with letters of another alphabet */
  snprintf(
      name, 300, "folder/%s%d.jpg",
      k % 5 == 1
          ? "a-folder-whose-name-is-almost-as-long-as-the-field-in-the-header-of-a-tar-file/and-a-name-of-some-length-"
      : k % 5 == 2 ? "\xc3\xa4ll-"
                   : "",
      k);
}

static SupportTar MakeTar(const char *format, int first)
{
  SupportTar tar = SupportTarBegin(format, NULL);
  uint8_t bytes[2000];
  char name[300];

  SupportTarOpen(&tar);
  SupportTarAddFolder(&tar, "folder");
  for (int k = first; k < first + FILES; k++) {
    size_t length = Content(k, bytes);
    Name(k, name);
    SupportTarAdd(&tar, name, length, bytes);
  }
  SupportTarEnd(&tar);
  return tar;
}

static PetscErrorCode Visit(void *user, const char *name, PetscInt64 offset, PetscInt64 length, char *problem)
{
  Visited *visited = user;
  uint8_t want[2000], bytes[2000];
  char wanted[300];

  if (visited->inner) {
    Visited within = {visited->path, visited->descriptor, visited->found * FILES, PETSC_FALSE};
    SupportCall(CordsTarWalk(visited->descriptor, name, offset, length, Visit, &within, problem));
    assert_int_equal(within.found, ++visited->found * FILES);
    return PETSC_SUCCESS;
  }
  Name(visited->found, wanted);
  assert_string_equal(name, wanted);
  assert_int_equal(length, Content(visited->found, want));
  assert_int_equal(pread(visited->descriptor, bytes, (size_t)length, (off_t)offset), length);
  assert_memory_equal(bytes, want, (size_t)length);
  visited->found++;
  return PETSC_SUCCESS;
}

static void Walk(const char *path, PetscBool inner, int expected)
{
  char problem[CORDS_DATASET_PROBLEM] = "";
  Visited visited = {path, open(path, O_RDONLY), 0, inner};

  SupportCall(CordsTarWalkFile(path, Visit, &visited, problem));
  assert_string_equal(problem, "");
  assert_int_equal(visited.found, expected);
  close(visited.descriptor);
}

static void TestFormats(void **state)
{
  static const char *const formats[] = {"ustar", "gnutar", "pax"};

  for (int f = 0; f < 3; f++) {
    const char *path = SupportPath(formats[f]);
    SupportTar tar = MakeTar(formats[f], 0);
    SupportWriteFile(path, tar.length, tar.bytes);
    SupportTarFree(&tar);
    Walk(path, PETSC_FALSE, FILES);
  }
}

static void TestTarOfTars(void **state)
{
  const char *path = SupportPath("outer.tar");
  SupportTar outer = SupportTarBegin("gnutar", NULL);

  SupportTarOpen(&outer);
  for (int k = 0; k < 3; k++) {
    SupportTar inner = MakeTar("ustar", k * FILES);
    SupportTarAdd(&outer, k == 0 ? "a.tar" : k == 1 ? "b.tar" : "c.tar", inner.length, inner.bytes);
    SupportTarFree(&inner);
  }
  SupportTarEnd(&outer);
  SupportWriteFile(path, outer.length, outer.bytes);
  SupportTarFree(&outer);
  Walk(path, PETSC_TRUE, 3);
}

static PetscErrorCode Pass(void *user, const char *name, PetscInt64 offset, PetscInt64 length, char *problem)
{
  PetscInt64 *end = user;

  *end = offset + length;
  return PETSC_SUCCESS;
}

static void ExpectProblem(const char *what, const char *path, const char *words)
{
  char problem[CORDS_DATASET_PROBLEM] = "";
  PetscInt64 end = 0;

  SupportCall(CordsTarWalkFile(path, Pass, &end, problem));
  if (!strstr(problem, words) || !strstr(problem, path)) fail_msg("%s: '%s' has not '%s'", what, problem, words);
}

/* Cut anywhere: a problem, or (between two members) only members that are wholly there. */
static void TestTruncated(void **state)
{
  const char *path = SupportPath("cut.tar");
  SupportTar tar = MakeTar("gnutar", 1);

  for (size_t length = 0; length < tar.length; length += 97) {
    char problem[CORDS_DATASET_PROBLEM] = "";
    PetscInt64 end = 0;
    SupportWriteFile(path, length, tar.bytes);
    SupportCall(CordsTarWalkFile(path, Pass, &end, problem));
    assert_true(end <= (PetscInt64)length);
    if (length % 512 && length < 5000) assert_true(problem[0]);
  }
  SupportTarFree(&tar);
}

static void TestNoTar(void **state)
{
  const char *path = SupportPath("none.tar");
  SupportTar tar = SupportTarBegin("ustar", "gzip");

  SupportTarOpen(&tar);
  SupportTarAdd(&tar, "x", 5, "hello");
  SupportTarEnd(&tar);
  SupportWriteFile(path, tar.length, tar.bytes);
  SupportTarFree(&tar);
  ExpectProblem("packed", path, "uncompressed tar file");
  SupportWriteFile(path, 11, "hello there");
  ExpectProblem("text", path, "uncompressed tar file");
  ExpectProblem("missing", SupportPath("nowhere.tar"), "No such file");
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(TestFormats),
    cmocka_unit_test(TestTarOfTars),
    cmocka_unit_test(TestTruncated),
    cmocka_unit_test(TestNoTar),
};

SUPPORT_MAIN(tests)
