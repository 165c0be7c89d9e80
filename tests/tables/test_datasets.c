/* Every line of datasets.def against files that are damaged, swapped or not there: one sentence that names the file,
   on every rank, and no hang.  RANKS 1 2 4

   A dataset of another format brings its own writer and cases: add them to `formats`. */
#include "support/cifar_cases.h"
#include "support/dataset_cases.h"
#include "support/folder_cases.h"
#include "support/idx.h"
#include "support/imagenet_cases.h"
#include "support/packed_cases.h"
#include "support/support.h"

#include "data/dataset.h"

#include <stdlib.h>
#include <unistd.h>

/* One way to spoil the files, and words that the sentence must have; words NULL: nothing is wrong. */
typedef struct {
  const char *what;
  void (*spoil)(SupportIdx *);
  const char *words, *words_gzip; /* for packed files, if other than for plain ones */
} Case;

static void Nothing(SupportIdx *idx)
{
}

static void SwapFiles(SupportIdx *idx)
{
  uint8_t kept[sizeof idx->images];
  size_t length = idx->image_length;

  memcpy(kept, idx->images, length);
  memcpy(idx->images, idx->labels, idx->label_length);
  idx->image_length = idx->label_length;
  idx->label_length = PetscMin(length, sizeof idx->labels);
  memcpy(idx->labels, kept, idx->label_length);
}

static void ImagesAsLabels(SupportIdx *idx)
{
  idx->label_length = sizeof idx->labels;
  memcpy(idx->labels, idx->images, idx->label_length);
}

static void FlipImageMagic(SupportIdx *idx)
{
  idx->images[2] ^= 0x10;
}

static void FlipLabelMagic(SupportIdx *idx)
{
  idx->labels[0] ^= 0x80;
}

static void EmptyImages(SupportIdx *idx)
{
  idx->image_length = 0;
}

static void EmptyLabels(SupportIdx *idx)
{
  idx->label_length = 0;
}

static void CutImageMagic(SupportIdx *idx)
{
  idx->image_length = 3;
}

static void CutImageHeader(SupportIdx *idx)
{
  idx->image_length = 15;
}

static void CutLabelHeader(SupportIdx *idx)
{
  idx->label_length = 7;
}

static void CutImages(SupportIdx *idx)
{
  idx->image_length--;
}

static void CutAllImages(SupportIdx *idx)
{
  idx->image_length = 16;
}

static void CutLabels(SupportIdx *idx)
{
  idx->label_length--;
}

static void LengthenImages(SupportIdx *idx)
{
  idx->image_length++;
}

static void LengthenLabels(SupportIdx *idx)
{
  idx->label_length++;
}

static void NoImages(SupportIdx *idx)
{
  SupportIdxPut(idx->images + 4, 0);
  SupportIdxPut(idx->labels + 4, 0);
  idx->image_length = 16;
  idx->label_length = 8;
}

static void MoreImages(SupportIdx *idx)
{
  SupportIdxPut(idx->images + 4, IDX_IMAGES + 1);
}

static void ManyImages(SupportIdx *idx)
{
  SupportIdxPut(idx->images + 4, 100000000); /* 2 GB, allowed, but not in this file */
}

static void HugeImages(SupportIdx *idx)
{
  SupportIdxPut(idx->images + 4, 0xffffffff);
}

static void OverflowingImages(SupportIdx *idx)
{
  SupportIdxPut(idx->images + 4, 0x10000007); /* times 16 · 16 is 7 · 256 in 32 bits */
  SupportIdxPut(idx->images + 8, 16);
  SupportIdxPut(idx->images + 12, 16);
}

static void NoRows(SupportIdx *idx)
{
  SupportIdxPut(idx->images + 8, 0);
}

static void NoColumns(SupportIdx *idx)
{
  SupportIdxPut(idx->images + 12, 0);
}

static void HugeRows(SupportIdx *idx)
{
  SupportIdxPut(idx->images + 8, 0x80000005);
}

static void HugeColumns(SupportIdx *idx)
{
  SupportIdxPut(idx->images + 12, 4097);
}

static void FewerLabels(SupportIdx *idx)
{
  SupportIdxPut(idx->labels + 4, IDX_IMAGES - 1);
  idx->label_length--;
}

static void MoreLabels(SupportIdx *idx)
{
  SupportIdxPut(idx->labels + 4, IDX_IMAGES + 1);
  idx->label_length++;
}

static void WrongLabel(SupportIdx *idx)
{
  idx->labels[8 + 4] = 10;
}

static void NegativeLabel(SupportIdx *idx)
{
  idx->labels[8 + IDX_IMAGES - 1] = 255;
}

static const Case idx_cases[] = {
    {"untouched", Nothing, NULL, NULL},
    {"swapped", SwapFiles, "images were expected (magic 0x00000803); are the files swapped?", NULL},
    {"images for labels", ImagesAsLabels, "labels were expected (magic 0x00000801); are the files swapped?", NULL},
    {"flipped image magic", FlipImageMagic, "it starts with 0x00001803, expected 0x00000803", NULL},
    {"flipped label magic", FlipLabelMagic, "it starts with 0x80000801, expected 0x00000801", NULL},
    {"empty images", EmptyImages, "images-idx3-ubyte: is empty", "images-idx3-ubyte.gz: is empty"},
    {"empty labels", EmptyLabels, "labels-idx1-ubyte: is empty", "labels-idx1-ubyte.gz: is empty"},
    {"cut image magic", CutImageMagic, "ends inside its header, after 3 bytes of 16", NULL},
    {"cut image header", CutImageHeader, "ends inside its header, after 15 bytes of 16", NULL},
    {"cut label header", CutLabelHeader, "ends inside its header, after 7 bytes of 8", NULL},
    {"cut images", CutImages, "holds 139 bytes after its header, which promises 140; is it truncated?",
     "ends 139 bytes after its header, which promises 140"},
    {"no image left", CutAllImages, "holds 0 bytes after its header", "ends 0 bytes after its header"},
    {"cut labels", CutLabels, "holds 6 bytes after its header, which promises 7; is it truncated?",
     "ends 6 bytes after its header, which promises 7"},
    {"longer images", LengthenImages, "holds 141 bytes after its header, which promises 140",
     "goes on after the 140 bytes"},
    {"longer labels", LengthenLabels, "holds 8 bytes after its header, which promises 7", "goes on after the 7 bytes"},
    {"no images", NoImages, "holds no images", NULL},
    {"one image more", MoreImages, "promises 160", NULL},
    {"many images", ManyImages, "promises 2000000000", NULL},
    {"huge images", HugeImages, "says that it holds 85899345900 bytes of pixels", NULL},
    {"overflow", OverflowingImages, "says that it holds 68719478528 bytes of pixels", NULL},
    {"no rows", NoRows, "0 rows and 4 columns, 1 to 4096 are allowed", NULL},
    {"no columns", NoColumns, "5 rows and 0 columns, 1 to 4096 are allowed", NULL},
    {"huge rows", HugeRows, "2147483653 rows", NULL},
    {"huge columns", HugeColumns, "4097 columns", NULL},
    {"fewer labels", FewerLabels, "holds 6 labels, but", NULL},
    {"more labels", MoreLabels, "holds 8 labels, but", NULL},
    {"wrong label", WrongLabel, "image 4 has label 10, the labels of", NULL},
    {"negative label", NegativeLabel, "image 6 has label 255, the labels of", NULL},
};

static PetscErrorCode Open(const char *name, const char *folder, CordsDataset *dataset)
{
  return CordsDatasetOpen(&support_context, name, folder, CORDS_SPLIT_TRAIN, dataset);
}

static void CheckCase(const char *name, const Case *one, PetscBool gzip)
{
  const char *folder = SupportPath(gzip ? "gzip" : "plain"); /* the same names: the files are overwritten */
  const char *words = gzip && one->words_gzip ? one->words_gzip : one->words;
  CordsDataset dataset;
  SupportIdx idx;

  SupportIdxMake(&idx);
  one->spoil(&idx);
  MPI_Barrier(support_context.comm);
  SupportIdxWrite(&idx, folder, "train", gzip);
  if (words) {
    ExpectError(one->what, name, folder, words);
    return;
  }
  SupportCall(Open(name, folder, &dataset));
  assert_int_equal(CordsDatasetGetFacts(dataset)->count, IDX_IMAGES);
  SupportCall(CordsDatasetDestroy(&dataset));
}

static void CheckIdx(const char *name)
{
  for (size_t c = 0; c < sizeof idx_cases / sizeof *idx_cases; c++) {
    CheckCase(name, &idx_cases[c], PETSC_FALSE);
    CheckCase(name, &idx_cases[c], PETSC_TRUE);
  }
}

/* Which cases belong to which line of the table. */
static const struct {
  const char *dataset;
  void (*check)(const char *dataset);
} formats[] = {
    {"mnist", CheckIdx},     {"fashion_mnist", CheckIdx}, {"cifar10", CheckCifar},         {"cifar100", CheckCifar},
    {"folder", CheckFolder}, {"imagenet", CheckImagenet}, {"webdataset", CheckWebdataset}, {"packed", CheckPacked},
};

static void TestEveryLine(void **state)
{
  const char *const *names;
  PetscInt count;

  SupportCall(CordsDatasetList(&count, &names, NULL));
  for (PetscInt i = 0; i < count; i++) {
    PetscBool found = PETSC_FALSE;
    for (size_t f = 0; f < sizeof formats / sizeof *formats; f++) {
      if (strcmp(formats[f].dataset, names[i]) != 0) continue;
      found = PETSC_TRUE;
      formats[f].check(names[i]);
    }
    if (!found) fail_msg("dataset %s has no damaged files here: add its format", names[i]);
  }
}

/* Facts that need no file make sense. */
static void TestFacts(void **state)
{
  const char *const *names;
  PetscInt count, channels, classes;

  SupportCall(CordsDatasetList(&count, &names, NULL));
  for (PetscInt i = 0; i < count; i++) {
    SupportCall(CordsDatasetDescribe(names[i], &channels, &classes));
    assert_true(channels == 1 || channels == 3 || channels == 0); /* 0: the files tell */
    assert_true(classes >= 2 || classes == 0);
  }
}

static void TestMissing(void **state)
{
  const char *const *names;
  PetscInt count;

  if (support_context.rank == 0) mkdir(SupportPath("bare"), 0777);
  MPI_Barrier(support_context.comm);
  SupportCall(CordsDatasetList(&count, &names, NULL));
  for (PetscInt i = 0; i < count; i++) {
    ExpectError("no directory", names[i], SupportPath("nowhere"), "No such file or directory");
    ExpectError("no files", names[i], SupportPath("bare"), "has none of the files");
  }
}

/* A packed file with one bit flipped or its end cut off, anywhere: an error, or (a bit that says nothing, like the
   time in the header) the very same content. */
static void SpoilPacked(const char *path, const uint8_t *bytes, size_t length, size_t byte, int bit)
{
  FILE *stream;

  MPI_Barrier(support_context.comm);
  if (support_context.rank == 0) {
    stream = fopen(path, "wb");
    assert_non_null(stream);
    if (bit < 0)
      assert_int_equal(fwrite(bytes, 1, byte, stream), byte);
    else {
      uint8_t *copy = malloc(length);
      memcpy(copy, bytes, length);
      copy[byte] ^= (uint8_t)(1 << bit);
      assert_int_equal(fwrite(copy, 1, length, stream), length);
      free(copy);
    }
    assert_int_equal(fclose(stream), 0);
  }
  MPI_Barrier(support_context.comm);
}

static size_t ReadAll(const char *path, uint8_t *bytes, size_t length_max)
{
  FILE *stream = fopen(path, "rb");
  size_t length;

  assert_non_null(stream);
  length = fread(bytes, 1, length_max, stream);
  assert_int_equal(fclose(stream), 0);
  return length;
}

static void CheckUnchanged(CordsDataset dataset)
{
  uint8_t pixels[IDX_PIXELS];
  PetscInt label;

  for (int i = 0; i < IDX_IMAGES; i++) {
    SupportCall(CordsDatasetRead(dataset, i, pixels, &label));
    assert_int_equal(label, SupportIdxLabel(i));
    for (int k = 0; k < IDX_PIXELS; k++) assert_int_equal(pixels[k], SupportIdxPixel(i, k));
  }
}

static void TestSpoiltGzip(void **state)
{
  const char *folder = SupportPath("spoilt"), *path = SupportPath("spoilt/train-images-idx3-ubyte.gz");
  uint8_t bytes[1000];
  size_t length;
  CordsDataset dataset;
  SupportIdx idx;

  SupportIdxMake(&idx);
  SupportIdxWrite(&idx, folder, "train", PETSC_TRUE);
  length = ReadAll(path, bytes, sizeof bytes);
  assert_in_range(length, 50, 999);
  for (size_t byte = 0; byte < length; byte++) {
    SpoilPacked(path, bytes, length, byte, -1);
    ExpectError("cut", "mnist", folder, path);
    SpoilPacked(path, bytes, length, byte, (int)(byte % 8));
    SupportErrorsBegin();
    if (Open("mnist", folder, &dataset)) {
      SupportErrorsEnd(CORDS_ERR_USER);
      continue;
    }
    assert_in_range(byte, 3, 9); /* flags, time, system */
    CheckUnchanged(dataset);
    SupportCall(CordsDatasetDestroy(&dataset));
    SupportErrorsEnd(CORDS_ERR_USER);
  }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(TestFacts),
    cmocka_unit_test(TestEveryLine),
    cmocka_unit_test(TestMissing),
    cmocka_unit_test(TestSpoiltGzip),
};

SUPPORT_MAIN(tests)
