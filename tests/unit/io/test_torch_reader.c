/* Tensors as views of storages, and dictionaries of training states; files made entry by entry. */
#include "io/torch_reader.h"
#include "io/zip_writer.h"
#include "support/bytes.h"

#define ORDERED "ccollections\nOrderedDict\n)R"
#define REBUILD "ctorch._utils\n_rebuild_tensor_v2\n"
/* storage 0 of 12 float32, 1 of 2 float16 */
#define STORAGE(type, key, count) "(X\7\0\0\0storagectorch\n" type "\nX\1\0\0\0" key "X\3\0\0\0cpuK" count "tQ"
#define FLOATS STORAGE("FloatStorage", "0", "\x0c")
#define HALVES STORAGE("HalfStorage", "1", "\2")
#define END "\x89" ORDERED "tR"
/* a tensor of two dimensions */
#define TENSOR(storage, offset, sizes, strides) REBUILD "(" storage offset "(" sizes "t(" strides "t" END
#define WHOLE TENSOR(FLOATS, "K\0", "K\3K\4", "K\4K\1")
#define KEY(letter) "X\1\0\0\0" letter
#define DICT(contents) "\x80\x02}(" contents "u."

typedef struct {
  const char *name, *data;
  size_t bytes;
} Added;

static float floats[12];
static const char halves[] = {0x00, 0x3c, 0x00, (char)0xc0}; /* 1, −2 */

static const char *MakeWith(size_t length, const char *pickle, const Added *added)
{
  const char *path = SupportPath("made.pth");
  CordsZipWriter zip;

  for (int k = 0; k < 12; k++) floats[k] = (float)k;
  SupportCall(CordsZipCreate(path, &zip));
  SupportCall(CordsZipAdd(zip, "made/data.pkl", length, pickle));
  SupportCall(CordsZipAdd(zip, "made/data/0", sizeof floats, floats));
  SupportCall(CordsZipAdd(zip, "made/data/1", sizeof halves, halves));
  if (added) SupportCall(CordsZipAdd(zip, added->name, added->bytes, added->data));
  if (!added || strcmp(added->name, "made/version") != 0) SupportCall(CordsZipAdd(zip, "made/version", 2, "3\n"));
  SupportCall(CordsZipCommit(&zip));
  return path;
}

#define Make(pickle) MakeWith(sizeof(pickle) - 1, pickle, NULL)

static CordsTorchReader Open(const char *path, PetscInt expected, const CordsTorchTensor **tensors)
{
  CordsTorchReader reader;
  PetscInt count;

  SupportCall(CordsTorchOpen(path, "", &reader));
  SupportCall(CordsTorchTensors(reader, &count, tensors));
  assert_int_equal(count, expected);
  return reader;
}

/* Two views of one storage: the second transposed and without the first column; a scalar; halves; a parameter. */
static void Views(void **state)
{
  static const float transposed[9] = {1, 5, 9, 2, 6, 10, 3, 7, 11};
  const CordsTorchTensor *t;
  CordsTorchReader r = Open(Make(DICT(KEY("a") WHOLE KEY("b") TENSOR(FLOATS, "K\1", "K\3K\3", "K\1K\4") KEY("c")
                                          TENSOR(FLOATS, "K\x0b", "", "") KEY("d") TENSOR(HALVES, "K\0", "K\2", "K\1")
                                              KEY("e") "ctorch._utils\n_rebuild_parameter\n(" WHOLE "\x88" ORDERED
                                                       "tR" KEY("f") TENSOR(FLOATS, "K\2", "K\3K\2", "K\0K\0") KEY("g")
                                                           TENSOR(FLOATS, "K\0", "K\0K\5", "K\5K\1"))),
                            7, &t);
  float values[12];

  SupportCall(CordsTorchRead(r, 1, values));
  assert_memory_equal(values, transposed, sizeof transposed);
  assert_int_equal(t[2].dimensions, 0);
  assert_int_equal(t[2].count, 1);
  SupportCall(CordsTorchRead(r, 2, values));
  assert_true(values[0] == 11);
  SupportCall(CordsTorchRead(r, 3, values));
  assert_true(values[0] == 1 && values[1] == -2);
  assert_string_equal(t[3].type, "float16");
  SupportCall(CordsTorchRead(r, 4, values));
  assert_memory_equal(values, floats, sizeof floats);
  SupportCall(CordsTorchRead(r, 5, values));
  for (int k = 0; k < 6; k++) assert_true(values[k] == 2);
  assert_int_equal(t[6].count, 0);
  SupportCall(CordsTorchRead(r, 6, values));
  SupportCall(CordsTorchConfirm(r));
  SupportCall(CordsTorchClose(&r));
}

/* A training state: the usual key is found, another one by name, and what is beside it is told. */
static void TrainingState(void **state)
{
  static const char pickle[] = "\x80\x02}(X\5\0\0\0model}" KEY("a") WHOLE "sX\3\0\0\0"
                                                                          "ema}(" KEY("a") WHOLE KEY("b") WHOLE
      "uX\5\0\0\0epochK\7X\4\0\0\0lossG\x3f\xe0\0\0\0\0\0\0u.";
  const char *path = MakeWith(sizeof pickle - 1, pickle, NULL), *key, *const * others;
  const CordsTorchTensor *t;
  CordsTorchReader r = Open(path, 1, &t);
  PetscInt count;

  SupportCall(CordsTorchPlace(r, &key, &count, &others));
  assert_string_equal(key, "model");
  assert_int_equal(count, 3);
  assert_string_equal(others[0], "ema: dictionary of 2 tensors");
  assert_string_equal(others[1], "epoch: 7");
  assert_string_equal(others[2], "loss: 0.5");
  SupportCall(CordsTorchClose(&r));
  SupportCall(CordsTorchOpen(path, "ema", &r));
  SupportCall(CordsTorchTensors(r, &count, &t));
  assert_int_equal(count, 2);
  SupportCall(CordsTorchClose(&r));
  assert_non_null(strstr(SupportExpectUserError(CordsTorchOpen(path, "epoch", &r)), "under 'epoch'"));
}

static void RefusedFile(const char *path, const char *expected)
{
  CordsTorchReader r;
  const char *sentence = SupportExpectUserError(CordsTorchOpen(path, "", &r));

  if (!strstr(sentence, expected)) fail_msg("'%s' is not in '%s'", expected, sentence);
}

static void BadTensors(void **state)
{
  RefusedFile(Make(DICT(KEY("a") TENSOR(FLOATS, "K\1", "K\3K\4", "K\4K\1"))), "beyond the end");
  RefusedFile(Make(DICT(KEY("a") TENSOR(FLOATS, "K\x0d", "K\1", "K\1"))), "outside its storage");
  RefusedFile(Make(DICT(KEY("a") TENSOR(FLOATS, "J\xff\xff\xff\xff", "K\1", "K\1"))), "outside its storage");
  RefusedFile(Make(DICT(KEY("a") TENSOR(FLOATS, "K\x0b", "K\2", "J\xff\xff\xff\xff"))), "negative");
  RefusedFile(Make(DICT(KEY("a") TENSOR(FLOATS, "K\0", "J\xff\xff\xff\xff", "K\1"))), "negative");
  RefusedFile(Make(DICT(KEY("a") TENSOR(FLOATS, "K\0", "K\2", "\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x07"))),
              "beyond the end");
  RefusedFile(Make(DICT(KEY("a") TENSOR(FLOATS, "K\0", "J\0\0\0\x40J\0\0\0\x40", "K\0K\0"))), "more elements");
  RefusedFile(Make(DICT(KEY("a") TENSOR(FLOATS, "K\0", "K\1", "K\1K\1"))), "1 sizes and 2 strides");
  RefusedFile(Make(DICT(KEY("a") TENSOR(FLOATS, "K\0", "K\1K\1K\1K\1K\1K\1K\1K\1K\1", "K\1"))), "more than 8");
  RefusedFile(Make(DICT(KEY("a") TENSOR(STORAGE("FloatStorage", "0", "\x0d"), "K\0", "K\1", "K\1"))), "should have 13");
  RefusedFile(Make(DICT(KEY("a") TENSOR(STORAGE("DoubleStorage", "0", "\x0c"), "K\0", "K\1", "K\1"))), "float64");
  RefusedFile(Make(DICT(KEY("a") TENSOR(STORAGE("FloatStorage", "7", "\x0c"), "K\0", "K\1", "K\1"))), "'data/7'");
  RefusedFile(Make(DICT(KEY("a") TENSOR("N", "K\0", "K\1", "K\1"))), "no storage");
  RefusedFile(Make(DICT(KEY("a") "ctorch._utils\n_rebuild_parameter\nK\1\x85R")), "no tensor");
  RefusedFile(Make(DICT(KEY("a") REBUILD ")R")), "lacks storage");
  RefusedFile(Make(DICT(KEY("a") WHOLE KEY("a") WHOLE)), "two tensors of the name 'a'");
  RefusedFile(Make(DICT(KEY("/") WHOLE)), "letters that names");
  RefusedFile(Make(DICT("K\1" WHOLE)), "whose name is no text");
}

static void BadFiles(void **state)
{
  static const char before16[] = "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.more";
  const char *path = SupportPath("old.pth");
  static const Added big = {"made/byteorder", "big", 3}, newer = {"made/version", "11\n", 3},
                     script = {"made/constants.pkl", "", 0}, elsewhere = {"other/data", "", 0};
  static const char good[] = DICT(KEY("a") WHOLE);

  BytesSave(path, sizeof before16, before16);
  RefusedFile(path, "before 1.6");
  BytesSave(path, 8, "\x80\x02}q\0.ab");
  RefusedFile(path, "a pickle alone");
  RefusedFile(MakeWith(sizeof good - 1, good, &big), "big-endian");
  RefusedFile(MakeWith(sizeof good - 1, good, &newer), "another version");
  RefusedFile(MakeWith(sizeof good - 1, good, &script), "TorchScript");
  RefusedFile(MakeWith(sizeof good - 1, good, &elsewhere), "several folders");
  RefusedFile(Make("\x80\x02]."), "no dictionary");
  RefusedFile(Make("\x80\x02}."), "no dictionary of tensors");
  RefusedFile(Make(DICT(KEY("a") "}" KEY("x") WHOLE "s" KEY("b") "}" KEY("x") WHOLE "s")), "choose one by -state_dict");
  RefusedFile(Make("\x80\x02"
                   "cposix\nsystem\nX\2\0\0\0ls\x85R."),
              "'posix.system'");
}

/* Infinity is found when the numbers are read. */
static void NotFinite(void **state)
{
  static const Added infinite = {"made/data/2", "\0\x7c", 2};
  static const char pickle[] = DICT(KEY("a") TENSOR(STORAGE("HalfStorage", "2", "\1"), "K\0", "K\1", "K\1"));
  const CordsTorchTensor *t;
  CordsTorchReader r = Open(MakeWith(sizeof pickle - 1, pickle, &infinite), 1, &t);
  float value;

  assert_non_null(strstr(SupportExpectUserError(CordsTorchRead(r, 0, &value)), "not finite"));
  SupportCall(CordsTorchClose(&r));
}

static PetscErrorCode ReadAll(const char *path)
{
  const CordsTorchTensor *t;
  CordsTorchReader r;
  PetscInt count;
  float *values;

  PetscFunctionBegin;
  PetscCall(CordsTorchOpen(path, "", &r));
  PetscCall(CordsTorchTensors(r, &count, &t));
  for (PetscInt k = 0; k < count; k++) {
    PetscCall(PetscMalloc1((size_t)t[k].count, &values));
    PetscCall(CordsTorchRead(r, k, values));
    PetscCall(PetscFree(values));
  }
  PetscCall(CordsTorchClose(&r));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* Random changes of a good pickle with the right checksum: read or refused, never anything else.  Most is found by the
   sanitizers of the debug build. */
static void RandomChanges(void **state)
{
  static const char good[] = DICT(KEY("a") WHOLE KEY("b") TENSOR(HALVES, "K\0", "K\2", "K\1")
                                      KEY("c") "ctorch._utils\n_rebuild_parameter\n(" WHOLE "\x88" ORDERED "tR");
  char bad[sizeof good];
  int read = 0, refused = 0;

  SupportCall(PetscPushErrorHandler(PetscIgnoreErrorHandler, NULL));
  for (uint32_t k = 0; k < 1500; k++) {
    const char *path;
    PetscErrorCode ierr;
    memcpy(bad, good, sizeof good);
    for (uint32_t j = 0; j <= k % 3; j++) {
      size_t at = (size_t)((SupportRandom(k, 2 * j) + 1) / 2 * (sizeof good - 1));
      bad[at] = (char)((SupportRandom(k, 2 * j + 1) + 1) * 128);
    }
    path = MakeWith(sizeof good - 1, bad, NULL);
    ierr = ReadAll(path);
    if (ierr && ierr != CORDS_ERR_USER) fail_msg("change %u: error %d", k, (int)ierr);
    *(ierr ? &refused : &read) += 1;
  }
  SupportCall(PetscPopErrorHandler());
  if (read < 5 || refused < 500) fail_msg("%d read, %d refused", read, refused);
}

static const struct CMUnitTest tests[] = {cmocka_unit_test(Views),      cmocka_unit_test(TrainingState),
                                          cmocka_unit_test(BadTensors), cmocka_unit_test(BadFiles),
                                          cmocka_unit_test(NotFinite),  cmocka_unit_test(RandomChanges)};
SUPPORT_MAIN(tests)
