/* Files of every kind that is read from elsewhere, changed at random places (the same ones in every run): each is read
   or refused, and nothing else happens.  Meant for the sanitizers (preset `debug`), where nothing else is found out
   here; an argument is the number of changes of each kind of file. */
#include "data/dataset.h"
#include "data/decode.h"
#include "data/synsets.h"
#include "data/tar_index.h"
#include "io/torch_reader.h"
#include "io/zip_writer.h"

#include "support/bytes.h"
#include "support/cifar.h"
#include "support/idx.h"
#include "support/images.h"
#include "support/matlab.h"
#include "support/tar.h"

static int trials = 40;
static PetscBool unchanged; /* the file at hand must be read */

/* --- changes --- */

static uint32_t Random(uint32_t trial, uint32_t what, size_t below)
{
  return below ? (uint32_t)((SupportRandom(1000 + trial, what) + 1) / 2 * (double)below) : 0;
}

/* In memory of its own, so that a sanitizer sees what is read behind its end.  To be freed. */
static Bytes Changed(const Bytes *good, uint32_t trial)
{
  static const uint32_t words[] = {0, 0xffffffff, 0x7fffffff, 0x80000000};
  const size_t at = Random(trial, 0, good->length), run = 1 + Random(trial, 1, PetscMin(good->length - at, 40) - 1);
  const uint32_t kind = trial % 6;
  Bytes b = {good->length, malloc(good->length + run)};

  memcpy(b.at, good->at, good->length);
  if (kind == 0) b.at[at] ^= (uint8_t)(1U << Random(trial, 2, 8));
  if (kind == 1) b.at[at] = (uint8_t)words[trial / 6 % 4];
  for (size_t k = at; kind == 2 && k < PetscMin(at + 4, b.length); k++) b.at[k] = (uint8_t)(words[trial / 6 % 4] >> 24);
  if (kind == 3) b.length = at;
  if (kind == 4) { /* a run is left out */
    memmove(b.at + at, b.at + at + run, b.length - at - run);
    b.length -= run;
  }
  if (kind == 5) { /* a run is there twice */
    memmove(b.at + at + run, b.at + at, b.length - at);
    b.length += run;
  }
  b.at = realloc(b.at, b.length + (b.length == 0));
  return b;
}

/* The result of a call that may be refused, but for an unchanged file. */
static void Allow(PetscErrorCode ierr)
{
  assert_true(!unchanged || !ierr);
  if (ierr)
    SupportErrorsEnd(ierr);
  else
    SupportCall(PetscPopErrorHandler());
}
#define Allow(call) (SupportErrorsBegin(), Allow(call))

/* --- images --- */

/* All of it in colour, and a part of it, shrunk, in grey. */
static void ReadImage(const Bytes *b)
{
  for (PetscInt channels = 1; channels <= 3; channels += 2) {
    char problem[CORDS_DECODE_PROBLEM];
    CordsDecodeSize size;
    CordsImagePart part;
    CordsBox box;
    uint8_t *pixels;
    if (!CordsDecodeSizes(b->length, b->at, &size, problem)) {
      assert_false(unchanged);
      return;
    }
    box = (CordsBox){size.rows / 3, size.rows - size.rows / 3, size.columns / 2, size.columns - size.columns / 2};
    if (channels == 1) CordsDecodeRestrict(&box, 4, 4, PETSC_TRUE, &size, &part);
    if (CordsBoxPixels(&size.region) > 1 << 20) return; /* it takes its time and finds nothing new */
    pixels = malloc((size_t)(CordsBoxPixels(&size.region) * channels));
    if (!CordsDecode(b->length, b->at, &size, channels, pixels, problem)) assert_false(unchanged);
    free(pixels);
  }
}

static Bytes FromImage(SupportImage image)
{
  return (Bytes){image.length, image.bytes};
}

static Bytes JpegGrey(void)
{
  return FromImage(SupportJpeg(1, 21, 34, 1, 0));
}

static Bytes JpegProgressive(void)
{
  return FromImage(SupportJpeg(2, 34, 21, 3, TJFLAG_PROGRESSIVE));
}

static Bytes JpegInks(void)
{
  return FromImage(SupportJpeg(3, 17, 19, 4, 0));
}

static Bytes PngColour(void)
{
  return FromImage(SupportPng(4, 20, 13, PNG_COLOR_TYPE_RGB_ALPHA, 16, PNG_INTERLACE_ADAM7));
}

static Bytes PngPalette(void)
{
  return FromImage(SupportPng(5, 20, 13, PNG_COLOR_TYPE_PALETTE, 8, PNG_INTERLACE_NONE));
}

/* --- PyTorch's files --- */

#define KEY(letter) "X\1\0\0\0" letter
#define STORAGE                                                                                                        \
  "(X\7\0\0\0storagectorch\nFloatStorage\nX\1\0\0\0"                                                                   \
  "0"                                                                                                                  \
  "X\3\0\0\0cpuK\x0ctQ"
#define TENSOR(offset, sizes, strides)                                                                                 \
  "ctorch._utils\n_rebuild_tensor_v2\n(" STORAGE offset "(" sizes "t(" strides "t\x89"                                 \
  "ccollections\nOrderedDict\n)RtR"
static const char pickle[] = "\x80\x02}q\0(X\x0a\0\0\0state_dict}q\1(" KEY("a") TENSOR("K\0", "K\3K\4", "K\4K\1")
    KEY("b") TENSOR("K\1", "K\3K\3", "K\1K\4") KEY("c") "ctorch._utils\n_rebuild_parameter\n(" TENSOR(
        "K\2", "K\2K\2",
        "K\0M\3\0") "\x88"
                    "ccollections\nOrderedDict\n)RtRu" KEY("n") "J\3\0\0\0" KEY(
                        "l") "](\x8a\4\1\2\3\4G\x3f\xe0\0\0\0\0\0\0e" KEY("m") "h\1}(" KEY("v") "K\1ubu.";

static void WriteTorch(const char *path, const Bytes *data)
{
  static const float floats[12] = {1, 2, 3};
  CordsZipWriter zip;

  SupportCall(CordsZipCreate(path, &zip));
  SupportCall(CordsZipAdd(zip, "made/data.pkl", data->length, data->at));
  SupportCall(CordsZipAdd(zip, "made/data/0", sizeof floats, floats));
  SupportCall(CordsZipAdd(zip, "made/version", 2, "3\n"));
  SupportCall(CordsZipCommit(&zip));
}

static void ReadTorchFile(const char *path)
{
  const CordsTorchTensor *tensors;
  CordsTorchReader reader = NULL;
  PetscInt count;

  Allow(CordsTorchOpen(path, "", &reader));
  if (!reader) return;
  SupportCall(CordsTorchTensors(reader, &count, &tensors));
  for (PetscInt k = 0; k < count; k++) {
    float *values = malloc((size_t)tensors[k].count * sizeof *values + 1);
    Allow(CordsTorchRead(reader, k, values));
    free(values);
  }
  Allow(CordsTorchConfirm(reader));
  SupportCall(CordsTorchClose(&reader));
}

static Bytes Pickle(void)
{
  Bytes b = {sizeof pickle - 1, malloc(sizeof pickle - 1)};

  memcpy(b.at, pickle, b.length);
  return b;
}

/* In an archive that is sound. */
static void ReadPickle(const Bytes *b)
{
  const char *path = SupportPath("pickle.pth");

  WriteTorch(path, b);
  ReadTorchFile(path);
}

static Bytes Archive(void)
{
  const char *path = SupportPath("good.pth");
  Bytes b = Pickle();

  WriteTorch(path, &b);
  free(b.at);
  return BytesLoad(path);
}

static void ReadArchive(const Bytes *b)
{
  const char *path = SupportPath("archive.pth");

  BytesSave(path, b->length, b->at);
  ReadTorchFile(path);
}

/* --- datasets --- */

static PetscErrorCode Visit(void *user, const char *name, PetscInt64 offset, PetscInt64 length, char *problem)
{
  PetscInt64 *bytes = user;

  assert_true(offset >= 0 && length >= 0 && offset + length <= *bytes && strlen(name) < 1 << 20);
  return PETSC_SUCCESS;
}

static Bytes Tar(const char *format)
{
  static const char name[] =
      "a-folder-whose-name-is-almost-as-long-as-the-field-in-the-header-of-a-tar-file/and-a-name-"
      "of-some-length-\xc3\xa4.jpg";
  static const char bytes[600] = "image";
  SupportTar tar = SupportTarBegin(format, NULL);

  SupportTarOpen(&tar);
  SupportTarAdd(&tar, "n01440764.JPEG", sizeof bytes, bytes);
  SupportTarAdd(&tar, name, 5, "hello");
  SupportTarEnd(&tar);
  return (Bytes){tar.length, tar.bytes};
}

static Bytes TarGnu(void)
{
  return Tar("gnutar");
}

static Bytes TarPax(void)
{
  return Tar("pax");
}

static void ReadTar(const Bytes *b)
{
  const char *path = SupportPath("changed.tar");
  char problem[CORDS_DATASET_PROBLEM] = "";
  PetscInt64 bytes = (PetscInt64)b->length;

  BytesSave(path, b->length, b->at);
  SupportCall(CordsTarWalkFile(path, Visit, &bytes, problem));
  assert_false(unchanged && problem[0]);
}

static Bytes Synsets(void)
{
  static const SupportSynset list[] = {{1, "n02119789"}, {2, "n02100735"}, {3, "n02110185"}};
  Bytes b;

  b.at = SupportMatlabMake(3, list, 1, &b.length);
  return b;
}

static void ReadSynsets(const Bytes *b)
{
  const char *path = SupportPath("meta.mat");
  char problem[CORDS_DATASET_PROBLEM] = "";
  static CordsSynsets synsets;

  BytesSave(path, b->length, b->at);
  SupportCall(CordsSynsetsRead(path, &synsets, problem));
  assert_false(unchanged && problem[0]);
}

/* Every image of a dataset in this folder. */
static void ReadDataset(const char *name, const char *folder, CordsSplit split)
{
  CordsDataset dataset = NULL;
  const CordsDatasetFacts *facts;
  uint8_t *pixels;
  PetscInt label;

  Allow(CordsDatasetOpen(&support_context, name, folder, split, &dataset));
  if (!dataset) return;
  facts = CordsDatasetGetFacts(dataset);
  pixels = malloc((size_t)(facts->rows * facts->columns * facts->channels));
  for (CordsSample k = 0; k < facts->count; k++) Allow(CordsDatasetRead(dataset, k, pixels, &label));
  free(pixels);
  SupportCall(CordsDatasetDestroy(&dataset));
}

static Bytes Idx(void)
{
  SupportIdx idx;
  Bytes b;

  SupportIdxMake(&idx);
  SupportIdxWrite(&idx, SupportPath("idx"), "train", PETSC_TRUE);
  b = BytesLoad(SupportPath("idx/train-images-idx3-ubyte.gz"));
  return b;
}

static void ReadIdx(const Bytes *b)
{
  BytesSave(SupportPath("idx/train-images-idx3-ubyte.gz"), b->length, b->at);
  ReadDataset("mnist", SupportPath("idx"), CORDS_SPLIT_TRAIN);
}

static Bytes Cifar(void)
{
  static SupportCifar cifar;

  SupportCifarMake(&cifar, "cifar10", PETSC_TRUE);
  SupportCifarWrite(&cifar, SupportPath("cifar"), PETSC_TRUE);
  return BytesLoad(SupportPath("cifar/cifar-10-binary.tar.gz"));
}

static void ReadCifar(const Bytes *b)
{
  BytesSave(SupportPath("cifar/cifar-10-binary.tar.gz"), b->length, b->at);
  ReadDataset("cifar10", SupportPath("cifar"), CORDS_SPLIT_TEST);
}

/* --- all of them --- */

static const struct {
  const char *name;
  Bytes (*make)(void);
  void (*read)(const Bytes *bytes);
} kinds[] = {{"grey JPEG", JpegGrey, ReadImage},
             {"progressive JPEG", JpegProgressive, ReadImage},
             {"JPEG of four inks", JpegInks, ReadImage},
             {"PNG of 16 bits", PngColour, ReadImage},
             {"PNG with a palette", PngPalette, ReadImage},
             {"pickle of PyTorch", Pickle, ReadPickle},
             {"archive of PyTorch", Archive, ReadArchive},
             {"GNU tar", TarGnu, ReadTar},
             {"POSIX tar", TarPax, ReadTar},
             {"MATLAB file", Synsets, ReadSynsets},
             {"packed IDX file", Idx, ReadIdx},
             {"CIFAR archive", Cifar, ReadCifar}};

static void TestChanges(void **state)
{
  for (size_t k = 0; k < PETSC_STATIC_ARRAY_LENGTH(kinds); k++) {
    Bytes good = kinds[k].make();
    unchanged = PETSC_TRUE;
    kinds[k].read(&good);
    unchanged = PETSC_FALSE;
    for (int trial = 0; trial < trials; trial++) {
      Bytes changed = Changed(&good, (uint32_t)trial);
      kinds[k].read(&changed);
      free(changed.at);
    }
    print_message("%s: %d changes\n", kinds[k].name, trials);
    free(good.at);
  }
}

static int RunAll(void)
{
  static const struct CMUnitTest tests[] = {cmocka_unit_test(TestChanges)};

  return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(int argc, char **argv)
{
  if (argc > 1) trials = atoi(argv[1]);
  return SupportRun(argc, argv, RunAll);
}
