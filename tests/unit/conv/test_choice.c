/* Choices of backends: by trial and by order, the same on all ranks, kept in a file that may be damaged, carried by
   checkpoints as text.
   RANKS 1 2 */
#include "conv/choice.h"

#include "conv/choice_private.h"
#include "io/h5.h"
#include "support/support.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static const CordsSchema choices_schema = {"kernels/choices", "character", "1", "lines"};

static void BeginWith(PetscBool memory_is_short, const char *options)
{
  char given[2 * PETSC_MAX_PATH_LEN];

  snprintf(given, sizeof given, "%s", options);
  CordsConvChoiceClear();
  SupportCall(PetscOptionsClear(NULL));
  SupportCall(PetscOptionsInsertString(NULL, given));
  SupportCall(CordsConvChoiceFromOptions(memory_is_short));
}

static void Begin(const char *options)
{
  BeginWith(PETSC_FALSE, options);
}

static void BeginWithFile(const char *path)
{
  char options[2 * PETSC_MAX_PATH_LEN];

  snprintf(options, sizeof options, "-kernel_cache %s", path);
  Begin(options);
}

static PetscErrorCode PrepareTwo(void)
{
  const CordsConvShape shapes[] = {CordsConvShapeSame(14, 14, 16, 16, 3, 1), CordsConvShapeSame(14, 14, 16, 32, 5, 2)};
  const CordsType types[] = {CORDS_F32, CORDS_F32};

  return CordsConvChoicePrepare(&support_context, 2, shapes, types);
}

static PetscInt Lines(const char *text)
{
  PetscInt lines = 0;

  for (; *text; text++) lines += *text == '\n';
  return lines;
}

static void Wait(void)
{
  MPI_Barrier(PETSC_COMM_WORLD);
}

static void TestOrder(void **state)
{
  const CordsConvShape shape = CordsConvShapeSame(14, 14, 16, 16, 3, 1);
  const char *const *names;
  PetscBool supports;
  PetscInt count, first = -1;
  char *text;

  Begin("-kernel_choice order");
  assert_int_equal(CordsConvChoiceFind(&shape, CORDS_F32, CORDS_CONV_FORWARD, CORDS_CONV_MANY_IMAGES), -1);
  SupportCall(PrepareTwo());
  SupportCall(CordsConvBackendList(&count, &names, NULL));
  for (PetscInt k = 0; k < count && first < 0; k++) {
    SupportCall(CordsConvBackendSupports(names[k], &shape, CORDS_F32, &supports, NULL));
    if (supports) first = k;
  }
  for (int k = 0; k < CORDS_CONV_OPERATION_COUNT; k++)
    assert_int_equal(CordsConvChoiceFind(&shape, CORDS_F32, (CordsConvOperation)k, CORDS_CONV_FEW_IMAGES), first);
  SupportCall(CordsConvChoiceGetText(&text));
  assert_int_equal(Lines(text), 12);
  assert_non_null(strstr(text, " ahead 0.00\n"));
  SupportCall(PetscFree(text));
}

static double Slowdown(const CordsConvShape *shape, int k)
{
  return CordsConvChoiceSlowdown(shape, CORDS_F32, (CordsConvOperation)(k / CORDS_CONV_IMAGES_COUNT),
                                 (CordsConvImages)(k % CORDS_CONV_IMAGES_COUNT));
}

/* The name of the backend of every operation, which must be the same one. */
static const char *TheBackend(const CordsConvShape *shape)
{
  const char *const *names;
  PetscInt count, found = -1;

  SupportCall(CordsConvBackendList(&count, &names, NULL));
  for (int k = 0; k < CORDS_CONV_OPERATION_COUNT * CORDS_CONV_IMAGES_COUNT; k++) {
    PetscInt index = CordsConvChoiceFind(shape, CORDS_F32, (CordsConvOperation)(k / CORDS_CONV_IMAGES_COUNT),
                                         (CordsConvImages)(k % CORDS_CONV_IMAGES_COUNT));
    assert_true(index >= 0 && (found < 0 || index == found));
    found = index;
  }
  return names[found];
}

/* Where memory is short: the first that is lean, whatever is faster; trials say how much, and leave no trace in the
   file. Two shapes: Winograd's kernels do one of them. */
static void TestLean(void **state)
{
  const CordsConvShape shapes[] = {CordsConvShapeSame(14, 14, 16, 16, 3, 1), CordsConvShapeSame(14, 14, 16, 32, 5, 2)};
  const char *path = SupportPath("lean.h5");
  char options[2 * PETSC_MAX_PATH_LEN];

  snprintf(options, sizeof options, "-kernel_cache %s", path);
  BeginWith(PETSC_TRUE, options);
  assert_true(Slowdown(&shapes[0], 0) == 1); /* nothing known yet */
  SupportCall(PrepareTwo());
  assert_string_equal(TheBackend(&shapes[0]), "winograd_lean");
  assert_string_equal(TheBackend(&shapes[1]), "direct");
  for (int k = 0; k < CORDS_CONV_OPERATION_COUNT * CORDS_CONV_IMAGES_COUNT; k++) {
    assert_true(Slowdown(&shapes[0], k) >= 1 && Slowdown(&shapes[0], k) < 10);
    assert_true(Slowdown(&shapes[1], k) == 1);
  }
  Wait();
  assert_int_not_equal(access(path, F_OK), 0);
  /* asked for without need: the same kernels, and no trials */
  Begin("-kernel_choice lean");
  SupportCall(PrepareTwo());
  assert_string_equal(TheBackend(&shapes[0]), "winograd_lean");
  for (int k = 0; k < CORDS_CONV_OPERATION_COUNT * CORDS_CONV_IMAGES_COUNT; k++)
    assert_true(Slowdown(&shapes[0], k) == 1);
}

/* What a choice says of its time is what a run that is continued knows. */
static void TestSlowdown(void **state)
{
  const CordsConvShape shape = CordsConvShapeSame(6, 6, 4, 4, 3, 1);
  const char *lines =
      "f32 forward few threads 1 in 6x6x4 out 6x6x4 kernel 3x3 stride 1 padding 1,1,1,1 backend direct "
      "ahead 0.50\n"
      "f32 forward many threads 1 in 6x6x4 out 6x6x4 kernel 3x3 stride 1 padding 1,1,1,1 backend direct "
      "ahead 0.97\n"
      "f32 backward_data few threads 1 in 6x6x4 out 6x6x4 kernel 3x3 stride 1 padding 1,1,1,1 backend "
      "direct ahead 0.00\n"
      "f32 backward_data many threads 1 in 6x6x4 out 6x6x4 kernel 3x3 stride 1 padding 1,1,1,1 backend "
      "direct ahead 1.50\n";
  const double expected[] = {2, 1, 1, 1};

  Begin("-kernel_choice order");
  SupportCall(CordsConvChoiceSetText(&support_context, "a test", lines));
  for (int k = 0; k < 4; k++) assert_true(Slowdown(&shape, k) == expected[k]);
}

static void TestSameOnAllRanksAndAgain(void **state)
{
  const char *path = SupportPath("kernels.h5");
  char *text, *again, *first;
  int length;

  BeginWithFile(path);
  SupportCall(PrepareTwo());
  SupportCall(CordsConvChoiceGetText(&text));
  assert_int_equal(Lines(text), 12);
  length = (int)strlen(text);
  MPI_Bcast(&length, 1, MPI_INT, 0, PETSC_COMM_WORLD);
  assert_int_equal(length, strlen(text));
  first = strdup(text);
  MPI_Bcast(first, length, MPI_CHAR, 0, PETSC_COMM_WORLD);
  assert_string_equal(first, text);
  /* another run reads the file: even the measured ratios are the same */
  assert_int_equal(access(path, R_OK), 0);
  BeginWithFile(path);
  SupportCall(PrepareTwo());
  SupportCall(CordsConvChoiceGetText(&again));
  assert_string_equal(again, text);
  SupportCall(PetscFree(text));
  SupportCall(PetscFree(again));
  free(first);
  Wait();
}

/* A convolution made afterwards uses what was chosen; each operation and number of images its own. */
static void TestUsed(void **state)
{
  const CordsConvShape shape = CordsConvShapeSame(6, 6, 4, 4, 3, 1);
  const char *lines = "f32 forward many threads 1 in 6x6x4 out 6x6x4 kernel 3x3 stride 1 padding 1,1,1,1 backend gemm "
                      "ahead 1.50\n"
                      "f32 backward_weights many threads 1 in 6x6x4 out 6x6x4 kernel 3x3 stride 1 padding 1,1,1,1 "
                      "backend reference ahead 1.20\n";
  float x[3 * 6 * 6 * 4], y[3 * 6 * 6 * 4], two[2 * 6 * 6 * 4], w[4 * 4 * 9];
  CordsConv conv;

  Begin("-kernel_choice order");
  SupportCall(CordsConvChoiceSetText(&support_context, "a test", lines));
  SupportCall(CordsConvCreate(&shape, CORDS_F32, NULL, &conv));
  assert_string_equal(CordsConvBackend(conv, CORDS_CONV_FORWARD), "gemm");
  assert_string_equal(CordsConvBackend(conv, CORDS_CONV_BACKWARD_WEIGHTS), "reference");
  assert_string_not_equal(CordsConvBackend(conv, CORDS_CONV_BACKWARD_DATA), "gemm");
  /* two images go another way than three, with the same weights */
  SupportFillF32(1, 3 * 6 * 6 * 4, x);
  SupportFillF32(2, 4 * 4 * 9, w);
  SupportCall(CordsConvSetWeights(conv, w));
  SupportCall(CordsConvForward(conv, 3, x, y, PETSC_FALSE));
  SupportCall(CordsConvForward(conv, 2, x + 6 * 6 * 4, two, PETSC_FALSE));
  SupportCompareF32("two images of three", 2 * 6 * 6 * 4, two, y + 6 * 6 * 4, 1e-6);
  SupportCall(CordsConvDestroy(&conv));
}

static void TestText(void **state)
{
  static const char *const bad[] = {
      "f32 forward many\n",
      "no newline",
      "f33 forward many threads 1 in 6x6x4 out 6x6x4 kernel 3x3 stride 1 padding 1,1,1,1 backend gemm ahead 1.50\n",
      "f32 sideways many threads 1 in 6x6x4 out 6x6x4 kernel 3x3 stride 1 padding 1,1,1,1 backend gemm ahead 1.50\n",
      "f32 forward many threads 1 in -6x6x4 out 6x6x4 kernel 3x3 stride 1 padding 1,1,1,1 backend gemm ahead 1.50\n",
      "f32 forward many threads 0 in 6x6x4 out 6x6x4 kernel 3x3 stride 1 padding 1,1,1,1 backend gemm ahead 1.50\n",
      "f32 forward many threads 1 in 6x6x4 out 6x6x4 kernel 3x3 stride 0 padding 1,1,1,1 backend gemm ahead 1.50\n",
      "f32 forward many threads 1 in 6x6x4 out 6x6x4 kernel 3x3 stride 1 padding 1,1,1,1 backend gemm ahead nan\n",
      "f32 forward many threads 1 in 6x6x4 out 6x6x4 kernel 3x3 stride 1 padding 1,1,1,1 backend gemm ahead 1.5 x\n",
      "f32 forward many threads 1 in 6x6x400000000 out 6x6x4 kernel 3x3 stride 1 padding 1,1,1,1 backend gemm ahead "
      "1.50\n"};
  const char *gone = "f32 forward many threads 1 in 6x6x4 out 6x6x4 kernel 3x3 stride 1 padding 1,1,1,1 backend "
                     "abacus ahead 1.50\n";
  const CordsConvShape shape = CordsConvShapeSame(6, 6, 4, 4, 3, 1);

  Begin("-kernel_choice order");
  for (size_t k = 0; k < PETSC_STATIC_ARRAY_LENGTH(bad); k++) {
    const char *sentence = SupportExpectUserError(CordsConvChoiceSetText(&support_context, "some.h5", bad[k]));
    assert_non_null(strstr(sentence, "some.h5"));
  }
  /* a kernel that this program does not have: said, and chosen anew */
  SupportCall(CordsConvChoiceSetText(&support_context, "some.h5", gone));
  assert_int_equal(CordsConvChoiceFind(&shape, CORDS_F32, CORDS_CONV_FORWARD, CORDS_CONV_MANY_IMAGES), -1);
}

/* Replace a file by bytes. */
static void WriteBytes(const char *path, size_t length, const char *bytes)
{
  if (support_context.rank == 0) {
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, length, file), length);
    fclose(file);
  }
  Wait();
}

/* A file in the form of ours; text NULL: real numbers instead of text. */
static void WriteLike(const char *path, const char *measured_by, const char *text)
{
  const double numbers[2] = {1.5, 2e9};
  PetscInt64 size = text ? (PetscInt64)strlen(text) : 2;
  CordsH5 file;

  SupportCall(CordsH5Create(&support_context, path, &file));
  SupportCall(CordsH5WriteText(file, "kernels", "measured_by", measured_by));
  SupportCall(CordsH5WriteArray(file, &choices_schema, text ? CORDS_FILE_U8 : CORDS_FILE_F64, 1, &size,
                                text ? (const void *)text : numbers));
  SupportCall(CordsH5Commit(&file));
}

static char *MeasuredBy(const char *path)
{
  CordsH5 file;
  char *text;

  SupportCall(CordsH5Open(&support_context, path, &file));
  SupportCall(CordsH5ReadText(file, "kernels", "measured_by", &text));
  SupportCall(CordsH5Close(&file));
  assert_non_null(text);
  return text;
}

static CordsConvCacheState StateOf(const char *path)
{
  CordsConvChoiceTable *table;
  char note[CORDS_CONV_CACHE_NOTE_LENGTH];
  CordsConvCacheState found;

  SupportCall(PetscNew(&table));
  SupportCall(CordsConvCacheRead(path, table, &found, note));
  assert_int_equal(found == CORDS_CONV_CACHE_GOOD || found == CORDS_CONV_CACHE_ABSENT ||
                       found == CORDS_CONV_CACHE_FOREIGN,
                   !note[0]);
  if (found != CORDS_CONV_CACHE_GOOD) assert_int_equal(table->count, 0);
  SupportCall(PetscFree(table));
  Wait();
  return found;
}

/* Whatever stands in the file: choices are made and the file is good afterwards. */
static void ExpectRebuilt(const char *path, CordsConvCacheState expected)
{
  assert_int_equal(StateOf(path), expected);
  BeginWithFile(path);
  SupportCall(PrepareTwo());
  Wait();
  assert_int_equal(StateOf(path), CORDS_CONV_CACHE_GOOD);
}

static void TestDamagedFiles(void **state)
{
  const char *path = SupportPath("damaged.h5");
  char bytes[3000], *good, *by;
  struct stat status;
  FILE *file;

  for (size_t k = 0; k < sizeof bytes; k++) bytes[k] = (char)(127 * SupportRandom(9, (uint32_t)k));
  WriteBytes(path, sizeof bytes, bytes);
  ExpectRebuilt(path, CORDS_CONV_CACHE_DAMAGED);
  WriteBytes(path, 0, bytes);
  ExpectRebuilt(path, CORDS_CONV_CACHE_DAMAGED);
  /* our own file, truncated */
  assert_int_equal(stat(path, &status), 0);
  good = malloc((size_t)status.st_size);
  file = fopen(path, "rb");
  assert_int_equal(fread(good, 1, (size_t)status.st_size, file), status.st_size);
  fclose(file);
  Wait();
  for (int part = 1; part < 4; part++) {
    WriteBytes(path, (size_t)status.st_size * part / 4, good);
    ExpectRebuilt(path, CORDS_CONV_CACHE_DAMAGED);
  }
  free(good);
  /* of the right form with wrong contents */
  by = MeasuredBy(path);
  WriteLike(path, by, NULL);
  ExpectRebuilt(path, CORDS_CONV_CACHE_DAMAGED);
  WriteLike(path, by,
            "f32 forward many threads 1 in 6x6x4 out 6x6x4 kernel 3x3 stride -1 padding 1,1,1,1 backend gemm "
            "ahead 1.50\n");
  ExpectRebuilt(path, CORDS_CONV_CACHE_DAMAGED);
  WriteLike(path, by,
            "f32 forward many threads 1 in 6x6x4 out 6x6x4 kernel 3x3 stride 1 padding 1,1,1,1 backend abacus "
            "ahead 1.50\n");
  ExpectRebuilt(path, CORDS_CONV_CACHE_DAMAGED);
  WriteLike(path, "another processor", "");
  ExpectRebuilt(path, CORDS_CONV_CACHE_OTHER);
  SupportCall(PetscFree(by));
}

/* Choices of other processes stay in the file; files that are not ours are left alone. */
static void TestSharedFile(void **state)
{
  const CordsConvShape other = CordsConvShapeSame(7, 7, 8, 8, 3, 1);
  const CordsType type = CORDS_F32;
  const char *path = SupportPath("shared.h5");
  CordsConvChoiceTable *table;
  CordsConvCacheState found;
  char note[CORDS_CONV_CACHE_NOTE_LENGTH];
  CordsH5 file;

  BeginWithFile(path);
  SupportCall(PrepareTwo());
  CordsConvChoiceClear();
  SupportCall(CordsConvChoicePrepare(&support_context, 1, &other, &type));
  Wait();
  SupportCall(PetscNew(&table));
  SupportCall(CordsConvCacheRead(path, table, &found, note));
  assert_int_equal(table->count, 18);
  SupportCall(PetscFree(table));
  Wait();
  SupportCall(CordsH5Create(&support_context, path, &file));
  SupportCall(CordsH5WriteText(file, "parameters", "form", "recurrent"));
  SupportCall(CordsH5Commit(&file));
  assert_int_equal(StateOf(path), CORDS_CONV_CACHE_FOREIGN);
  BeginWithFile(path);
  assert_non_null(strstr(SupportExpectUserError(PrepareTwo()), "shared.h5"));
  BeginWithFile(SupportPath("no-such-folder/kernels.h5"));
  assert_non_null(strstr(SupportExpectUserError(PrepareTwo()), "-kernel_cache"));
}

/* Without a place for the file the run goes on. */
static void TestNoPlace(void **state)
{
  const CordsConvShape shape = CordsConvShapeSame(14, 14, 16, 16, 3, 1);
  const char *blocked = SupportPath("blocked");
  char before[PETSC_MAX_PATH_LEN] = "", path[PETSC_MAX_PATH_LEN];

  if (getenv("XDG_CACHE_HOME")) snprintf(before, sizeof before, "%s", getenv("XDG_CACHE_HOME"));
  WriteBytes(blocked, 1, "x"); /* a file where a folder should be */
  setenv("XDG_CACHE_HOME", blocked, 1);
  CordsConvCacheDefaultPath(path);
  assert_non_null(strstr(path, "blocked/cords/kernels.h5"));
  Begin("");
  SupportCall(PrepareTwo());
  assert_true(CordsConvChoiceFind(&shape, CORDS_F32, CORDS_CONV_FORWARD, CORDS_CONV_MANY_IMAGES) >= 0);
  /* folders that are missing are made */
  setenv("XDG_CACHE_HOME", SupportPath("made/here"), 1);
  Begin("");
  SupportCall(PrepareTwo());
  Wait();
  CordsConvCacheDefaultPath(path);
  assert_int_equal(access(path, R_OK), 0);
  unsetenv("XDG_CACHE_HOME");
  if (before[0]) setenv("XDG_CACHE_HOME", before, 1);
}

static void TestDescription(void **state)
{
  char *text;

  BeginWithFile(SupportPath("described.h5"));
  SupportCall(CordsConvChoiceDescribe(&text));
  assert_non_null(strstr(text, "nothing measured yet"));
  SupportCall(PetscFree(text));
  Wait();
  SupportCall(PrepareTwo());
  Wait();
  SupportCall(CordsConvChoiceDescribe(&text));
  assert_non_null(strstr(text, "described.h5, measured on this machine"));
  assert_non_null(strstr(text, "14 x 14 x 16"));
  assert_non_null(strstr(text, "backward_weights"));
  assert_int_equal(Lines(text), 2 + 1 + 12);
  SupportCall(PetscFree(text));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(TestOrder),        cmocka_unit_test(TestLean),
    cmocka_unit_test(TestSlowdown),     cmocka_unit_test(TestSameOnAllRanksAndAgain),
    cmocka_unit_test(TestUsed),         cmocka_unit_test(TestText),
    cmocka_unit_test(TestDamagedFiles), cmocka_unit_test(TestSharedFile),
    cmocka_unit_test(TestNoPlace),      cmocka_unit_test(TestDescription)};
SUPPORT_MAIN(tests)
