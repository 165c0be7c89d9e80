/* HDF5 files: what is written comes back on every rank; what is wrong is one sentence; nothing is left half-written.
   RANKS 1 2 */
#include "io/h5.h"
#include "support/support.h"

#include <hdf5.h>
#include <math.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static PetscBool Exists(const char *path)
{
  return (PetscBool)!access(path, F_OK);
}

static void Barrier(void)
{
  SupportCall(MPI_Barrier(support_context.comm));
}

static void ExpectWords(const char *sentence, const char *first, const char *second)
{
  if (!strstr(sentence, first) || !strstr(sentence, second))
    print_error("'%s' should contain '%s' and '%s'\n", sentence, first, second);
  assert_non_null(strstr(sentence, first));
  assert_non_null(strstr(sentence, second));
}

enum { ROWS = 70, COLUMNS = 30000 }; /* more than one chunk */

static const CordsSchema real_schema = {"group/real", "row,column", "ms", "numbers"};

/* Writes one array of each type, rows in two pieces and attributes. */
static PetscErrorCode WriteFile(const char *path)
{
  static float real[ROWS][COLUMNS];
  CordsSchema whole = {"whole", "row", "1", "whole numbers"}, bytes = {"bytes", "row", "1", "small numbers"};
  CordsSchema roots = {"deep/er/complex", "row", "1/tau", "eigenvalues"}, scalar = {"scalar", "", "1", "a number"};
  CordsSchema rows = {"rows", "row,two", "1", "a table"};
  double pairs[3][2] = {{1, -1}, {2, -2}, {3, -3}}, one = 0.5;
  PetscInt64 integers[3] = {-1, 0, (PetscInt64)1 << 40};
  unsigned char small[3] = {0, 7, 255};
  CordsH5 file;

  PetscFunctionBegin;
  SupportFillF32(1, (PetscInt64)ROWS * COLUMNS, &real[0][0]);
  PetscCall(CordsH5Create(&support_context, path, &file));
  PetscCall(CordsH5WriteArray(file, &real_schema, CORDS_FILE_F32, 2, (PetscInt64[]){ROWS, COLUMNS}, real));
  PetscCall(CordsH5WriteArray(file, &whole, CORDS_FILE_I64, 1, (PetscInt64[]){3}, integers));
  PetscCall(CordsH5WriteArray(file, &bytes, CORDS_FILE_U8, 1, (PetscInt64[]){3}, small));
  PetscCall(CordsH5WriteArray(file, &roots, CORDS_FILE_COMPLEX, 1, (PetscInt64[]){3}, pairs));
  PetscCall(CordsH5WriteArray(file, &scalar, CORDS_FILE_F64, 0, NULL, &one));
  PetscCall(CordsH5CreateRows(file, &rows, CORDS_FILE_F64, 2, (PetscInt64[]){0, 2}));
  PetscCall(CordsH5AppendRows(file, "rows", 1, pairs));
  PetscCall(CordsH5AppendRows(file, "rows", 2, pairs + 1));
  PetscCall(CordsH5WriteText(file, "training/state", "text", "Größe\nτ"));
  PetscCall(CordsH5WriteText(file, "/", "empty", "something"));
  PetscCall(CordsH5WriteText(file, "/", "empty", ""));
  PetscCall(CordsH5WriteInt(file, "training", "step", -5));
  PetscCall(CordsH5WriteReal(file, "training", "rate", 1e-3));
  PetscCall(CordsH5Commit(&file));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static void RoundTrip(void **state)
{
  static float real[ROWS][COLUMNS], expected[ROWS][COLUMNS];
  const char *path = SupportPath("round.h5"), *part = SupportPath("round.h5.part");
  double pairs[3][2], one, as_real[3];
  PetscInt64 integers[3], sizes[CORDS_H5_DIMENSIONS_MAX], step;
  unsigned char small[3];
  PetscInt dimensions, count;
  PetscBool found;
  char *text, **names;
  CordsH5 file;

  SupportCall(WriteFile(path));
  Barrier();
  assert_true(Exists(path));
  assert_false(Exists(part));
  SupportCall(CordsH5Open(&support_context, path, &file));
  assert_string_equal(CordsH5Path(file), path);
  SupportFillF32(1, (PetscInt64)ROWS * COLUMNS, &expected[0][0]);
  SupportCall(CordsH5ReadArray(file, "group/real", CORDS_FILE_F32, 2, (PetscInt64[]){ROWS, COLUMNS}, real));
  assert_memory_equal(real, expected, sizeof real);
  SupportCall(CordsH5ReadRows(file, "group/real", CORDS_FILE_F32, 40, 2, real));
  assert_memory_equal(real, expected[40], sizeof real[0] * 2);
  SupportCall(CordsH5ReadArray(file, "whole", CORDS_FILE_I64, 1, (PetscInt64[]){3}, integers));
  assert_true(integers[0] == -1 && integers[2] == (PetscInt64)1 << 40);
  SupportCall(CordsH5ReadArray(file, "bytes", CORDS_FILE_U8, 1, (PetscInt64[]){3}, small));
  assert_true(small[1] == 7 && small[2] == 255);
  SupportCall(CordsH5ReadArray(file, "bytes", CORDS_FILE_F64, 1, (PetscInt64[]){3}, as_real));
  assert_true(as_real[2] == 255);
  SupportCall(CordsH5ReadArray(file, "deep/er/complex", CORDS_FILE_COMPLEX, 1, (PetscInt64[]){3}, pairs));
  assert_true(pairs[2][0] == 3 && pairs[2][1] == -3);
  SupportCall(CordsH5ReadArray(file, "scalar", CORDS_FILE_F64, 0, NULL, &one));
  assert_true(one == 0.5);
  SupportCall(CordsH5ReadArray(file, "rows", CORDS_FILE_F64, 2, (PetscInt64[]){3, 2}, pairs));
  assert_true(pairs[0][0] == 1 && pairs[1][1] == -2 && pairs[2][0] == 3);
  SupportCall(CordsH5ReadRows(file, "rows", CORDS_FILE_F64, 3, 0, NULL));
  SupportCall(CordsH5GetShape(file, "group/real", &found, &dimensions, sizes));
  assert_true(found && dimensions == 2 && sizes[0] == ROWS && sizes[1] == COLUMNS);
  SupportCall(CordsH5GetShape(file, "group/none/real", &found, &dimensions, sizes));
  assert_false(found);
  SupportCall(CordsH5ReadText(file, "group/real", "unit", &text));
  assert_string_equal(text, "ms");
  SupportCall(PetscFree(text));
  SupportCall(CordsH5ReadText(file, "training/state", "text", &text));
  assert_string_equal(text, "Größe\nτ");
  SupportCall(PetscFree(text));
  SupportCall(CordsH5ReadText(file, "/", "empty", &text));
  assert_string_equal(text, "");
  SupportCall(PetscFree(text));
  SupportCall(CordsH5ReadText(file, "training", "text", &text));
  assert_null(text);
  SupportCall(CordsH5ReadInt(file, "training", "step", NULL, &step));
  SupportCall(CordsH5ReadReal(file, "training", "rate", NULL, &one));
  assert_true(step == -5 && one == 1e-3);
  SupportCall(CordsH5ReadReal(file, "training", "none", &found, &one));
  assert_false(found);
  SupportCall(CordsH5List(file, "", &count, &names));
  assert_int_equal(count, 4);
  assert_string_equal(names[0], "bytes");
  assert_string_equal(names[3], "whole");
  SupportCall(CordsH5FreeNames(count, &names));
  SupportCall(CordsH5ListGroups(file, "/", &count, &names));
  assert_int_equal(count, 3);
  assert_string_equal(names[2], "training");
  SupportCall(CordsH5FreeNames(count, &names));
  SupportCall(CordsH5List(file, "none", &count, &names));
  assert_int_equal(count, 0);
  SupportCall(CordsH5FreeNames(count, &names));
  SupportCall(CordsH5Close(&file));
}

static void WrongContents(void **state)
{
  const char *path = SupportPath("wrong.h5");
  CordsSchema bad = {"bad", "row,column,pair", "1", "with a NaN"};
  double data[2][3][2] = {{{0}}}, read[12];
  PetscInt64 sizes[CORDS_H5_DIMENSIONS_MAX], integer, whole[3];
  PetscInt dimensions;
  CordsH5 file;

  data[1][2][0] = NAN;
  SupportCall(CordsH5Create(&support_context, path, &file));
  SupportCall(CordsH5WriteArray(file, &bad, CORDS_FILE_F64, 3, (PetscInt64[]){2, 3, 2}, data));
  bad = (CordsSchema){"infinite", "row,column", "1", "with an infinity"};
  data[0][1][1] = -INFINITY;
  SupportCall(CordsH5WriteArray(file, &bad, CORDS_FILE_COMPLEX, 2, (PetscInt64[]){1, 2}, data));
  bad = (CordsSchema){"large", "row", "1", "too large"};
  data[0][0][0] = 1e300;
  SupportCall(CordsH5WriteArray(file, &bad, CORDS_FILE_F64, 1, (PetscInt64[]){3}, data));
  SupportCall(CordsH5WriteText(file, "/", "word", "five"));
  SupportCall(CordsH5Commit(&file));
  SupportCall(CordsH5Open(&support_context, path, &file));
#define READ(...) SupportExpectUserError(CordsH5ReadArray(file, __VA_ARGS__))
  ExpectWords(READ("bad", CORDS_FILE_F64, 3, (PetscInt64[]){2, 3, 2}, read), path, "[1,2,0]");
  ExpectWords(SupportExpectUserError(CordsH5ReadRows(file, "bad", CORDS_FILE_F32, 1, 1, read)), "'bad'", "[1,2,0]");
  ExpectWords(READ("infinite", CORDS_FILE_COMPLEX, 2, (PetscInt64[]){1, 2}, read), "'infinite'", "[0,1]");
  ExpectWords(READ("bad", CORDS_FILE_F64, 2, (PetscInt64[]){2, 6}, read), "[2,3,2]", "[2,6]");
  ExpectWords(READ("none", CORDS_FILE_F64, 1, (PetscInt64[]){2}, read), path, "'none'");
  ExpectWords(READ("large", CORDS_FILE_F32, 1, (PetscInt64[]){3}, read), path, "fit");
  ExpectWords(READ("large", CORDS_FILE_COMPLEX, 1, (PetscInt64[]){3}, read), "'large'", "complex");
  ExpectWords(READ("large", CORDS_FILE_I64, 1, (PetscInt64[]){3}, whole), "'large'", "whole");
#undef READ
  ExpectWords(SupportExpectUserError(CordsH5ReadRows(file, "bad", CORDS_FILE_F64, 1, 2, read)), "2 rows", "1 to 2");
  ExpectWords(SupportExpectUserError(CordsH5GetShape(file, "none", NULL, &dimensions, sizes)), path, "'none'");
  ExpectWords(SupportExpectUserError(CordsH5ReadInt(file, "/", "word", NULL, &integer)), "'word'", "whole number");
  ExpectWords(SupportExpectUserError(CordsH5ReadInt(file, "/", "none", NULL, &integer)), "'none'", path);
  SupportCall(CordsH5Close(&file));
}

/* Write bytes to a file, from rank 0. */
static void PutBytes(const char *path, size_t length, const unsigned char *bytes)
{
  if (support_context.rank == 0) {
    FILE *out = fopen(path, "wb");

    assert_non_null(out);
    assert_int_equal(fwrite(bytes, 1, length, out), length);
    assert_int_equal(fclose(out), 0);
  }
  Barrier();
}

static size_t GetBytes(const char *path, size_t most, unsigned char *bytes)
{
  FILE *in = fopen(path, "rb");
  size_t length;

  assert_non_null(in);
  length = fread(bytes, 1, most, in);
  fclose(in);
  return length;
}

static void WrongFiles(void **state)
{
  static unsigned char bytes[10 << 20];
  const char *path = SupportPath("file.h5"), *folder = SupportPath("folder.h5");
  size_t length;
  CordsH5 file = NULL;

#define OPEN(name) SupportExpectUserError(CordsH5Open(&support_context, name, &file))
  ExpectWords(OPEN(SupportPath("missing.h5")), "missing.h5", "No such file");
  ExpectWords(OPEN(""), "empty", "name");
  for (size_t i = 0; i < 5000; i++) bytes[i] = (unsigned char)(i * 2654435761u >> 13);
  PutBytes(path, 5000, bytes);
  ExpectWords(OPEN(path), path, "not an HDF5 file");
  PutBytes(path, 0, bytes);
  ExpectWords(OPEN(path), path, "empty");
  if (support_context.rank == 0) mkdir(folder, 0777);
  Barrier();
  ExpectWords(OPEN(folder), folder, "folder");
  ExpectWords(SupportExpectUserError(CordsH5Create(&support_context, folder, &file)), folder, "folder");
  ExpectWords(SupportExpectUserError(CordsH5Create(&support_context, SupportPath("no/x.h5"), &file)), "no/x.h5",
              "No such file");
  SupportCall(WriteFile(path));
  Barrier();
  length = GetBytes(path, sizeof bytes, bytes);
  Barrier();
  PutBytes(path, length - length / 3, bytes);
  ExpectWords(OPEN(path), path, "truncated");
#undef OPEN
}

/* Read everything that WriteFile wrote; the first error. */
static PetscErrorCode ReadAll(const char *path)
{
  static float real[ROWS][COLUMNS];
  double pairs[3][2];
  PetscInt64 whole[3];
  char *text, **names;
  PetscInt count;
  CordsH5 file;
  PetscErrorCode ierr;

  ierr = CordsH5Open(&support_context, path, &file);
  if (ierr) return ierr;
  ierr = CordsH5ReadArray(file, "group/real", CORDS_FILE_F32, 2, (PetscInt64[]){ROWS, COLUMNS}, real);
  if (!ierr) ierr = CordsH5ReadArray(file, "whole", CORDS_FILE_I64, 1, (PetscInt64[]){3}, whole);
  if (!ierr) ierr = CordsH5ReadArray(file, "deep/er/complex", CORDS_FILE_COMPLEX, 1, (PetscInt64[]){3}, pairs);
  if (!ierr) ierr = CordsH5ReadArray(file, "rows", CORDS_FILE_F64, 2, (PetscInt64[]){3, 2}, pairs);
  if (!ierr) ierr = CordsH5ReadText(file, "training/state", "text", &text);
  if (!ierr) ierr = PetscFree(text);
  if (!ierr) ierr = CordsH5List(file, "", &count, &names);
  if (!ierr) ierr = CordsH5FreeNames(count, &names);
  SupportCall(CordsH5Close(&file));
  return ierr;
}

/* A flipped bit is found, in the numbers (checksums) as in what describes them, or was in no used place. */
static void DamagedFiles(void **state)
{
  static unsigned char bytes[10 << 20];
  const char *path = SupportPath("damaged.h5");
  size_t length;
  int found = 0;
  enum { TRIALS = 40 };

  SupportCall(WriteFile(path));
  Barrier();
  length = GetBytes(path, sizeof bytes, bytes);
  Barrier();
  for (uint32_t i = 0; i < TRIALS; i++) {
    /* every other flip among the last 16 KiB and the first 4 KiB, where the descriptions are */
    size_t near_end = length - 1 - (size_t)(fabs(SupportRandom(2, i)) * 16000);
    size_t near_start = (size_t)(fabs(SupportRandom(3, i)) * 4000);
    size_t at = i % 4 == 0 ? near_end : i % 4 == 2 ? near_start : (size_t)(fabs(SupportRandom(4, i)) * (double)length);
    PetscErrorCode ierr;

    bytes[at] ^= 16;
    PutBytes(path, length, bytes);
    bytes[at] ^= 16;
    SupportErrorsBegin();
    ierr = ReadAll(path);
    if (ierr) {
      SupportErrorsEnd(ierr);
      found++;
    } else {
      PetscPopErrorHandler();
    }
    Barrier();
  }
  print_message("%d of %d damaged files refused\n", found, TRIALS);
  assert_true(found > TRIALS / 2);
}

/* A file as other programs write it: older format, compressed, a text of variable length. */
static void WriteForeign(const char *path)
{
  const char *text = "variable";
  static double data[50][20];
  hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT), layout = H5Pcreate(H5P_DATASET_CREATE);
  hid_t space = H5Screate_simple(2, (hsize_t[]){50, 20}, NULL), scalar = H5Screate(H5S_SCALAR);
  hid_t type = H5Tcopy(H5T_C_S1), group = H5Gcreate2(file, "x", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT), array, note;

  H5Pset_chunk(layout, 2, (hsize_t[]){5, 20});
  H5Pset_deflate(layout, 4);
  H5Tset_size(type, H5T_VARIABLE);
  array = H5Dcreate2(file, "chunk", H5T_IEEE_F64LE, space, H5P_DEFAULT, layout, H5P_DEFAULT);
  assert_true(H5Dwrite(array, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) >= 0);
  note = H5Acreate2(group, "y", type, scalar, H5P_DEFAULT, H5P_DEFAULT);
  assert_true(H5Awrite(note, type, &text) >= 0);
  H5Aclose(note);
  H5Dclose(array);
  H5Gclose(group);
  H5Tclose(type);
  H5Sclose(space);
  H5Sclose(scalar);
  H5Pclose(layout);
  assert_true(H5Fclose(file) >= 0);
}

static PetscErrorCode ReadForeign(const char *path)
{
  double data[50][20];
  char *text = NULL;
  CordsH5 file;
  PetscErrorCode ierr = CordsH5Open(&support_context, path, &file);

  if (ierr) return ierr;
  ierr = CordsH5ReadArray(file, "chunk", CORDS_FILE_F64, 2, (PetscInt64[]){50, 20}, data);
  if (!ierr) ierr = CordsH5ReadText(file, "x", "y", &text);
  if (!ierr && text) ierr = PetscFree(text);
  SupportCall(CordsH5Close(&file));
  return ierr;
}

/* Damage without checksums: a sentence or wrong numbers, never a crash. */
static void DamagedForeignFiles(void **state)
{
  static unsigned char bytes[1 << 20];
  const char *path = SupportPath("foreign.h5");
  size_t length;
  enum { TRIALS = 60, FLIPS = 10 };

  if (support_context.rank == 0) WriteForeign(path);
  Barrier();
  SupportCall(ReadForeign(path));
  length = GetBytes(path, sizeof bytes, bytes);
  Barrier();
  for (uint32_t i = 0; i < TRIALS; i++) {
    size_t at[FLIPS];
    PetscErrorCode ierr;

    for (uint32_t k = 0; k < FLIPS; k++) {
      at[k] = (size_t)(fabs(SupportRandom(5, FLIPS * i + k)) * (double)length);
      bytes[at[k]] ^= (unsigned char)(1 << k % 8);
    }
    PutBytes(path, length, bytes);
    for (uint32_t k = 0; k < FLIPS; k++) bytes[at[k]] ^= (unsigned char)(1 << k % 8);
    SupportErrorsBegin();
    ierr = ReadForeign(path);
    if (ierr)
      SupportErrorsEnd(ierr);
    else
      PetscPopErrorHandler();
    Barrier();
  }
}

/* The disk runs full at each write in turn: the sentence, no .part, and the old file untouched.  The first test, as
   the writes are counted from the start of the process. */
static void FullDisk(void **state)
{
  const char *path = SupportPath("full.h5"), *part = SupportPath("full.h5.part");
  unsigned char old[3] = {1, 2, 3}, now[8];
  int before = 0;
  char number[16];
  enum { WRITES = 14 }; /* in WriteFile: arrays, rows, attributes, the flush */

  PutBytes(path, 3, old);
  for (int write = 1; write <= WRITES; write++) {
    const char *sentence;

    snprintf(number, sizeof number, "%d", before + write);
    setenv("CORDS_TEST_FAIL_WRITE", number, 1);
    sentence = SupportExpectUserError(WriteFile(path));
    ExpectWords(sentence, path, "No space left on device");
    assert_false(Exists(part));
    assert_int_equal(GetBytes(path, sizeof now, now), 3);
    before += write; /* that many writes were counted */
    Barrier();
  }
  unsetenv("CORDS_TEST_FAIL_WRITE");
  SupportCall(WriteFile(path));
}

/* A file that is dropped leaves nothing. */
static void Dropped(void **state)
{
  const char *path = SupportPath("dropped.h5"), *part = SupportPath("dropped.h5.part");
  CordsH5 file;

  SupportCall(CordsH5Create(&support_context, path, &file));
  SupportCall(CordsH5WriteInt(file, "a/b/c", "i", 1));
  Barrier();
  assert_true(Exists(part));
  Barrier();
  SupportCall(CordsH5Close(&file));
  Barrier();
  assert_false(Exists(part));
  assert_false(Exists(path));
}

static void WriteNumbered(const char *path, const char *previous, int number)
{
  CordsH5 file;

  SupportCall(CordsH5Create(&support_context, path, &file));
  SupportCall(CordsH5WriteInt(file, "/", "number", number));
  if (previous) SupportCall(CordsH5KeepPrevious(file, previous));
  SupportCall(CordsH5Commit(&file));
  Barrier();
}

static void ExpectNumbered(const char *path, int number)
{
  PetscInt64 found;
  CordsH5 file;

  SupportCall(CordsH5Open(&support_context, path, &file));
  SupportCall(CordsH5ReadInt(file, "/", "number", NULL, &found));
  SupportCall(CordsH5Close(&file));
  assert_int_equal(found, number);
}

/* The file before is kept; also where a process was killed between the steps of keeping it. */
static void Previous(void **state)
{
  const char *path = SupportPath("kept.h5"), *previous = SupportPath("kept_prev.h5");
  const char *second = SupportPath("kept_prev.h5.part");

  WriteNumbered(path, previous, 1); /* there is none yet */
  assert_false(Exists(previous));
  Barrier();
  for (int number = 2; number < 5; number++) {
    WriteNumbered(path, previous, number);
    ExpectNumbered(path, number);
    ExpectNumbered(previous, number - 1);
    assert_false(Exists(second));
    Barrier();
  }
  for (int both = 0; both < 2; both++) { /* killed before and after the second name was renamed */
    if (support_context.rank == 0) {
      assert_int_equal(link(path, second), 0);
      if (both) assert_int_equal(unlink(previous) || link(path, previous), 0);
    }
    Barrier();
    WriteNumbered(path, previous, 5 + both);
    ExpectNumbered(path, 5 + both);
    ExpectNumbered(previous, 4 + both);
    assert_false(Exists(second));
    Barrier();
  }
  WriteNumbered(path, NULL, 7); /* not wanted: what is there stays */
  ExpectNumbered(previous, 5);
  if (support_context.rank == 0) unlink(path); /* only the previous one is left */
  Barrier();
  WriteNumbered(path, previous, 8);
  ExpectNumbered(path, 8);
  ExpectNumbered(previous, 5);
}

/* Small rows until there is an error. */
static PetscErrorCode WriteUntilFull(const char *path)
{
  static const double data[100];
  CordsSchema rows = {"rows", "row", "1", "a table"};
  CordsH5 file;

  PetscFunctionBegin;
  PetscCall(CordsH5Create(&support_context, path, &file));
  PetscCall(CordsH5CreateRows(file, &rows, CORDS_FILE_F64, 1, (PetscInt64[]){0}));
  for (int i = 0; i < 10000; i++) PetscCall(CordsH5AppendRows(file, "rows", 100, data));
  PetscCall(CordsH5Commit(&file));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* Make a small file system, if this process may (root); all ranks get the answer. */
static int Mount(const char *folder, int kilobytes)
{
  char command[PETSC_MAX_PATH_LEN + 64];
  int mounted = 0;

  snprintf(command, sizeof command, "mkdir '%s' && mount -t tmpfs -o size=%dk none '%s' 2>/dev/null", folder, kilobytes,
           folder);
  if (support_context.rank == 0) mounted = !system(command);
  SupportCall(MPI_Bcast(&mounted, 1, MPI_INT, 0, support_context.comm));
  return mounted;
}

static void Unmount(const char *folder)
{
  char command[PETSC_MAX_PATH_LEN + 64];

  snprintf(command, sizeof command, "umount '%s'", folder);
  if (support_context.rank == 0) assert_int_equal(system(command), 0);
}

/* The disk was full: the sentence, and nothing there. */
static void ExpectFull(const char *path, PetscErrorCode (*write)(const char *))
{
  char part[PETSC_MAX_PATH_LEN];

  snprintf(part, sizeof part, "%s.part", path);
  ExpectWords(SupportExpectUserError(write(path)), path, "No space left on device");
  Barrier(); /* rank 0 has removed it now, and does not make the next before the others have looked */
  assert_false(Exists(part));
  assert_false(Exists(path));
  assert_int_equal(H5Fget_obj_count((hid_t)H5F_OBJ_ALL, H5F_OBJ_FILE), 0); /* or HDF5 may crash at exit */
  Barrier();
}

static void FullFileSystem(void **state)
{
  const char *folder = SupportPath("small"), *path = SupportPath("small/x.h5");

  if (!Mount(folder, 200)) skip();
  ExpectFull(path, WriteFile);
  ExpectFull(path, WriteUntilFull);
  Unmount(folder);
}

/* Numbers, which are written at once, between attributes, which are written by the flush, not all in one piece. */
static PetscErrorCode WriteByTurns(const char *path)
{
  static char words[40000];
  static const double numbers[300];
  char name[32];
  CordsSchema schema = {name, "row", "1", "nothing"};
  CordsH5 file;

  PetscFunctionBegin;
  memset(words, 'x', sizeof words - 1);
  PetscCall(CordsH5Create(&support_context, path, &file));
  for (int k = 0; k < 5; k++) {
    snprintf(name, sizeof name, "array%d", k);
    PetscCall(CordsH5WriteArray(file, &schema, CORDS_FILE_F64, 1, (PetscInt64[]){300}, numbers));
    PetscCall(CordsH5WriteText(file, name, "words", words));
  }
  PetscCall(CordsH5Commit(&file));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* Wherever in the last flush the disk runs full: HDF5 would crash at the end of the process if the file stayed open. */
static void FullInTheFlush(void **state)
{
  enum { PAGE = 4096, PAGES = 64, FEWEST = 2, MOST = 48 }; /* pages that are left; the file takes more */
  const char *folder = SupportPath("pages"), *path = SupportPath("pages/x.h5"), *filler = SupportPath("pages/filler");

  if (!Mount(folder, PAGES * PAGE / 1024)) skip();
  for (int left = FEWEST; left <= MOST; left++) {
    if (support_context.rank == 0) {
      int file = open(filler, O_CREAT | O_TRUNC | O_WRONLY, 0600);

      assert_true(file >= 0 && !posix_fallocate(file, 0, (PAGES - left) * PAGE));
      close(file);
    }
    Barrier();
    ExpectFull(path, WriteByTurns);
  }
  Unmount(folder);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(FullDisk),       cmocka_unit_test(RoundTrip),      cmocka_unit_test(WrongContents),
    cmocka_unit_test(WrongFiles),     cmocka_unit_test(DamagedFiles),   cmocka_unit_test(Dropped),
    cmocka_unit_test(FullFileSystem), cmocka_unit_test(FullInTheFlush), cmocka_unit_test(DamagedForeignFiles),
    cmocka_unit_test(Previous),
};

SUPPORT_MAIN(tests)
