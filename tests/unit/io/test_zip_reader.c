/* ZIP archives: what is read, and each kind of damage that must be refused before anything is believed. */
#include "io/zip_reader.h"
#include "io/zip_writer.h"
#include "support/bytes.h"

static const char first_text[] = "the first entry", second_text[] = "and the second, which is longer";

static const char *Make(const char *name)
{
  const char *path = SupportPath(name);
  CordsZipWriter zip;

  SupportCall(CordsZipCreate(path, &zip));
  SupportCall(CordsZipAdd(zip, "a/first", sizeof first_text, first_text));
  SupportCall(CordsZipAdd(zip, "a/data/second", sizeof second_text, second_text));
  SupportCall(CordsZipAdd(zip, "a/empty", 0, ""));
  SupportCall(CordsZipCommit(&zip));
  return path;
}

static void Read(void **state)
{
  CordsZipReader zip;
  const CordsZipEntry *entries;
  PetscInt count;
  char text[64] = "";

  SupportCall(CordsZipOpen(Make("good.zip"), &zip));
  SupportCall(CordsZipEntries(zip, &count, &entries));
  assert_int_equal(count, 3);
  assert_string_equal(entries[1].name, "a/data/second");
  assert_int_equal(entries[1].bytes, sizeof second_text);
  assert_int_equal(CordsZipFind(zip, "a/data/second"), 1);
  assert_int_equal(CordsZipFind(zip, "a/data/secon"), -1);
  SupportCall(CordsZipRead(zip, 1, text));
  assert_string_equal(text, second_text);
  SupportCall(CordsZipConfirm(zip));
  assert_true(entries[0].confirmed && entries[2].confirmed);
  SupportCall(CordsZipClose(&zip));
}

static PetscErrorCode OpenAndRead(const char *path)
{
  CordsZipReader zip;

  PetscFunctionBegin;
  PetscCall(CordsZipOpen(path, &zip));
  PetscCall(CordsZipConfirm(zip));
  PetscCall(CordsZipClose(&zip));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static void Refused(const char *path, const char *expected)
{
  const char *sentence = SupportExpectUserError(OpenAndRead(path));

  if (!strstr(sentence, expected)) fail_msg("'%s' is not in '%s'", expected, sentence);
}

/* Change bytes at `offset` behind the n-th occurrence of a signature. */
static void Damaged(const char *mark, int n, size_t offset, size_t count, const char *bytes, const char *expected)
{
  const char *path = Make("damaged.zip");
  Bytes file = BytesLoad(path);

  memcpy(file.at + BytesFind(file, 4, mark, n) + offset, bytes, count);
  BytesSave(path, file.length, file.at);
  free(file.at);
  Refused(path, expected);
}

#define CENTRAL "PK\1\2"
#define LOCAL "PK\3\4"
#define END "PK\5\6"

static void Damage(void **state)
{
  Damaged(CENTRAL, 0, 16, 1, "\x99", "checksum of entry 'a/first'");
  Damaged(CENTRAL, 0, 10, 1, "\x08", "compressed (method 8)");
  Damaged(CENTRAL, 1, 8, 1, "\x01", "encrypted");
  Damaged(CENTRAL, 0, 24, 1, "\x20", "two different sizes");
  Damaged(CENTRAL, 1, 42, 4, "\0\0\0\0", "overlaps"); /* two entries at one place */
  Damaged(CENTRAL, 2, 42, 4, "\xf0\xff\xff\x7f", "outside the file");
  Damaged(CENTRAL, 0, 20, 8, "\xff\0\0\0\xff\0\0\0", "overlaps another");     /* reaches into the next */
  Damaged(CENTRAL, 0, 20, 8, "\xfe\xff\xff\xff\xfe\xff\xff\xff", "overlaps"); /* 4 GiB of data */
  Damaged(CENTRAL, 0, 46, 7, "../else", "name that PyTorch would not write");
  Damaged(CENTRAL, 0, 46, 7, "a//irst", "name that PyTorch would not write");
  Damaged(CENTRAL, 0, 46, 7, "a/empty", "another name");
  Damaged(CENTRAL, 1, 0, 2, "XX", "cut off or overwritten");
  Damaged(LOCAL, 1, 30, 1, "b", "another name");
  Damaged(LOCAL, 1, 0, 2, "XX", "not where the directory says");
  Damaged(LOCAL, 2, 28, 2, "\xff\xff", "overlaps"); /* a long extra field */
  Damaged(END, 0, 10, 2, "\xff\xff", "several");
  Damaged(END, 0, 8, 4, "\xff\xff\xff\xff", "65535 entries");
  Damaged(END, 0, 8, 4, "\2\0\2\0", "belong to no entry");
  Damaged(END, 0, 16, 4, "\1\0\0\0", "not where the file says");
  Damaged(END, 0, 12, 4, "\xff\xff\xff\x7f", "not where the file says");
  Damaged(END, 0, 20, 2, "\7\0", "no ZIP directory at its end");
}

/* Two entries of one name: the second gets the first one's, in both places. */
static void SameName(void **state)
{
  const char *path = Make("same.zip");
  Bytes file = BytesLoad(path);

  memcpy(file.at + BytesFind(file, 4, CENTRAL, 2) + 46, "a/first", 7);
  memcpy(file.at + BytesFind(file, 4, LOCAL, 2) + 30, "a/first", 7);
  BytesSave(path, file.length, file.at);
  free(file.at);
  Refused(path, "two entries of the name 'a/first'");
}

static void CutOff(void **state)
{
  const char *path = Make("cut.zip");
  Bytes file = BytesLoad(path);

  for (size_t length = 0; length < file.length; length += 7) {
    BytesSave(path, length, file.at);
    Refused(path, "is damaged or no PyTorch file");
  }
  free(file.at);
  Refused(SupportPath("not there.zip"), "cannot open");
  Refused("/", "is not a file");
}

/* The same archive with its numbers in ZIP64 fields: of the last entry's size, and of the end. */
static void Zip64(void **state)
{
  const char *path = Make("zip64.zip");
  Bytes file = BytesLoad(path);
  unsigned char *out = calloc(file.length + 256, 1), *p;
  size_t last = BytesFind(file, 4, CENTRAL, 2), end = BytesFind(file, 4, END, 0);
  size_t start = BytesFind(file, 4, CENTRAL, 0), directory;

  memcpy(out, file.at, end);
  memcpy(out + last + 20, "\xff\xff\xff\xff\xff\xff\xff\xff", 8);
  out[last + 30] = 20; /* extra field: id 1, 16 bytes, both sizes 0 */
  p = out + end;
  memcpy(p, "\1\0\x10\0", 4);
  p += 20;
  directory = (size_t)(p - out) - start;
  memcpy(p, "PK\6\6", 4);
  p[4] = 44;
  p[24] = p[32] = 3;
  p[40] = (unsigned char)directory;
  p[48] = (unsigned char)start, p[49] = (unsigned char)(start >> 8);
  memcpy(p + 56, "PK\6\7", 4);
  memcpy(p + 56 + 8, &(uint64_t){(uint64_t)(p - out)}, 8);
  p[56 + 16] = 1;
  memcpy(p + 76, file.at + end, 22);
  memcpy(p + 76 + 8, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 12);
  BytesSave(path, (size_t)(p - out) + 98, out);
  SupportCall(OpenAndRead(path));
  p[49] = 0xff; /* the directory begins elsewhere */
  BytesSave(path, (size_t)(p - out) + 98, out);
  Refused(path, "not where the file says");
  free(file.at);
  free(out);
}

static const struct CMUnitTest tests[] = {cmocka_unit_test(Read), cmocka_unit_test(Damage), cmocka_unit_test(SameName),
                                          cmocka_unit_test(CutOff), cmocka_unit_test(Zip64)};
SUPPORT_MAIN(tests)
