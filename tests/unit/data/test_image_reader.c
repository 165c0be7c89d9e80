/* Images of any size are fitted to the network's; those that cannot be decoded are left out.  RANKS 1 2 */
#include "support/folder_cases.h"
#include "support/support.h"

#include "data/image_reader.h"
#include "data/loader.h"
#include "data/training_image.h"

#include <math.h>

enum { SIDE = 28 };

/* Where the folder is, with images of train/a/: 0 and 1 good, 2 nonsense, 3 good, 4 cut off. */
static void MakeFolder(char folder[PETSC_MAX_PATH_LEN], SupportImage good[5])
{
  const int rows[] = {60, 90, 0, 200, 40}, columns[] = {90, 61, 0, 33, 40};
  char name[64];

  snprintf(folder, PETSC_MAX_PATH_LEN, "%s", SupportPath("images"));
  for (int i = 0; i < 5; i++) {
    good[i] = i == 2 ? (SupportImage){(uint8_t *)strdup("nonsense"), 8}
                     : SupportPng(i, rows[i], columns[i], PNG_COLOR_TYPE_RGB, 8, 0);
    if (i == 4) good[i].length /= 2;
    snprintf(name, sizeof name, "train/a/%d.png", i);
    if (support_context.rank > 0)
      SupportImageFree(&good[i]);
    else
      SupportFolderPut(folder, name, good[i]);
  }
  MPI_Barrier(support_context.comm);
}

static void Open(CordsDataset *dataset)
{
  char folder[PETSC_MAX_PATH_LEN];
  SupportImage images[5];

  if (support_context.rank == 0) mkdir(SupportPath("images"), 0777);
  MakeFolder(folder, images);
  SupportCall(CordsDatasetOpen(&support_context, "folder", folder, CORDS_SPLIT_TRAIN, dataset));
  assert_int_equal(CordsDatasetGetFacts(*dataset)->count, 5);
}

/* The picture is close to a plane, and a plane stays one: its value at the middle of each output pixel. */
static double Plane(int image, double row, double column, int channel)
{
  return (40 + (image * 13) % 60 + row + 2 * column / 3 + channel * 25 - 1. / 3) / 255;
}

static void CheckFit(CordsDataset dataset, int i, int rows, int columns, PetscInt shape_rows, PetscInt shape_columns)
{
  CordsImageShape shape = {shape_rows, shape_columns, 3};
  float *image = malloc((size_t)(shape_rows * shape_columns * 3) * sizeof *image);
  char problem[CORDS_DECODE_PROBLEM];
  CordsImageReader reader;
  PetscInt label;
  double step;

  SupportCall(CordsImageReaderCreate(dataset, shape, PETSC_FALSE, &reader));
  for (int again = 0; again < 2; again++) { /* the second time with what was kept */
    assert_true(CordsImageRead(reader, i, image, &label, problem));
    assert_string_equal(problem, "");
  }
  step = fmin(rows * 7. / 8 / (double)shape_rows, columns * 7. / 8 / (double)shape_columns); /* in pixels of the file */
  for (PetscInt k = 0; k < shape_rows * shape_columns * 3; k++) {
    double row = rows / 2. - .5 + ((double)(k / 3 / shape_columns) + .5 - (double)shape_rows / 2) * step;
    double column = columns / 2. - .5 + ((double)(k / 3 % shape_columns) + .5 - (double)shape_columns / 2) * step;
    double want = Plane(i, row, column, (int)(k % 3));
    if (fabs((double)image[k] - want) > 2.5 / 255)
      fail_msg("image %d at %d: %g, expected %g", i, (int)k, (double)image[k] * 255, want * 255);
  }
  SupportCall(CordsImageReaderDestroy(&reader));
  free(image);
}

static void TestFit(void **state)
{
  CordsDataset dataset;

  Open(&dataset);
  CheckFit(dataset, 0, 60, 90, SIDE, SIDE);
  CheckFit(dataset, 1, 90, 61, SIDE, SIDE);
  CheckFit(dataset, 0, 60, 90, 20, 41);
  CheckFit(dataset, 1, 90, 61, 48, 48);
  SupportCall(CordsDatasetDestroy(&dataset));
}

/* A long thin image takes no more memory than its middle. */
static void TestThin(void **state)
{
  char folder[PETSC_MAX_PATH_LEN], problem[CORDS_DECODE_PROBLEM];
  CordsImageShape shape = {SIDE, SIDE, 3};
  float image[SIDE * SIDE * 3];
  CordsImageReader reader;
  CordsDataset dataset;
  PetscInt label;

  snprintf(folder, sizeof folder, "%s", SupportPath("thin"));
  if (support_context.rank == 0) {
    mkdir(folder, 0777);
    SupportFolderPut(folder, "train/a/1.png", SupportPng(1, 1, 30000, PNG_COLOR_TYPE_GRAY, 8, 0));
    SupportFolderPut(folder, "train/a/2.png", SupportPng(1, 30000, 1, PNG_COLOR_TYPE_GRAY, 8, 0));
  }
  MPI_Barrier(support_context.comm);
  SupportCall(CordsDatasetOpen(&support_context, "folder", folder, CORDS_SPLIT_TRAIN, &dataset));
  SupportCall(CordsImageReaderCreate(dataset, shape, PETSC_FALSE, &reader));
  for (int i = 0; i < 2; i++) assert_true(CordsImageRead(reader, i, image, &label, problem));
  SupportCall(CordsImageReaderDestroy(&reader));
  SupportCall(CordsDatasetDestroy(&dataset));
}

/* A batch of everything: bad images give their places to the next good ones. */
static void TestLeftOut(void **state)
{
  static const CordsSample expected[] = {0, 1, 3, 3, 0};
  CordsLoaderSettings settings = {.rows = SIDE, .columns = SIDE, .batch = 5};
  float images[5 * SIDE * SIDE * 3], labels[5];
  CordsSample samples[5], *skipped;
  PetscInt count, start, share, total;
  CordsDataset dataset;
  CordsLoader loader;

  Open(&dataset);
  SupportCall(CordsLoaderCreate(&support_context, dataset, &settings, &loader));
  SupportCall(CordsLoaderShare(loader, 0, &start, &share, &total));
  SupportCall(CordsLoaderRead(loader, 0, 0, images, labels, samples));
  for (PetscInt i = 0; i < share; i++) assert_int_equal(samples[i], expected[start + i]);
  SupportCall(CordsDatasetSkipped(dataset, &count, &skipped));
  assert_int_equal(count, 2);
  assert_int_equal(skipped[0], 2);
  assert_int_equal(skipped[1], 4);
  SupportCall(PetscFree(skipped));
  SupportCall(CordsLoaderDestroy(&loader));
  SupportCall(CordsDatasetDestroy(&dataset));
}

static void TestOneImage(void **state)
{
  float image[SIDE * SIDE * 3];
  CordsDataset dataset;
  const char *sentence;
  PetscInt label;

  Open(&dataset);
  sentence = SupportExpectUserError(CordsLoaderImage(dataset, 2, SIDE, SIDE, image, &label));
  assert_non_null(strstr(sentence, "a/2.png, is neither JPEG nor PNG"));
  SupportCall(CordsLoaderImage(dataset, 3, SIDE, SIDE, image, &label));
  assert_int_equal(label, 0);
  SupportCall(CordsDatasetDestroy(&dataset));
}

/* By hand: the file, decoded as a whole or what its box needs, and the way from pixels to numbers. */
static void MakeTraining(CordsDataset dataset, CordsSample i, CordsRandomKey key, CordsImageShape shape, int scaled,
                         float *image, PetscInt *shrink)
{
  const CordsDatasetFacts *facts = CordsDatasetGetFacts(dataset);
  const CordsAugmentation *augmentation = CordsDatasetGetAugmentation(dataset);
  char problem[CORDS_DECODE_PROBLEM];
  CordsBytes file = {0};
  CordsDecodeSize size;
  CordsImagePart part;
  CordsBox box;
  PetscInt label;
  uint8_t *pixels;
  void *work;

  assert_true(CordsDatasetFetch(dataset, i, &file, &label, problem));
  assert_true(CordsDecodeSizes(file.length, file.bytes, &size, problem));
  box = CordsTrainingBox(augmentation, size.rows, size.columns, key);
  part = (CordsImagePart){box.row_start, box.row_count, box.column_start, box.column_count};
  if (scaled) CordsDecodeRestrict(&box, shape.rows, shape.columns, PETSC_TRUE, &size, &part);
  *shrink = size.shrink;
  pixels = malloc((size_t)CordsBoxPixels(&size.region) * 3);
  work = malloc(CordsTrainingImageWorkBytes(size.region.row_count, size.region.column_count, shape));
  assert_true(CordsDecode(file.length, file.bytes, &size, 3, pixels, problem));
  CordsTrainingImage(augmentation, facts->mean, facts->deviation, size.region.row_count, size.region.column_count,
                     pixels, &part, shape, key, image, work);
  CordsBytesFree(&file);
  free(pixels);
  free(work);
}

/* Training images of JPEG files: without scaling those of the whole image to the last bit, though only a part of it is
   decoded; with it, where the box is large enough, those of the smaller one. */
static void TestTraining(void **state)
{
  char folder[PETSC_MAX_PATH_LEN], problem[CORDS_DECODE_PROBLEM];
  const CordsImageShape shape = {SIDE, SIDE, 3};
  float want[SIDE * SIDE * 3], got[SIDE * SIDE * 3];
  int shrunk = 0;
  CordsDataset dataset;

  snprintf(folder, sizeof folder, "%s", SupportPath("training"));
  if (support_context.rank == 0) {
    mkdir(folder, 0777);
    SupportFolderPut(folder, "train/a/0.jpg", SupportJpeg(1, 91, 140, 3, 0));
    SupportFolderPut(folder, "train/a/1.jpg", SupportJpeg(2, 300, 201, 3, TJFLAG_PROGRESSIVE));
    SupportFolderPut(folder, "train/a/2.jpg", SupportJpeg(3, 131, 70, 1, 0));
    SupportFolderPut(folder, "train/a/3.png", SupportPng(4, 120, 90, PNG_COLOR_TYPE_RGB, 8, 0));
  }
  MPI_Barrier(support_context.comm);
  SupportCall(CordsDatasetOpen(&support_context, "folder", folder, CORDS_SPLIT_TRAIN, &dataset));
  for (int scaled = 0; scaled < 2; scaled++) {
    CordsImageReader reader;
    SupportCall(CordsImageReaderCreate(dataset, shape, (PetscBool)scaled, &reader));
    for (int i = 0; i < 4; i++) {
      for (uint32_t epoch = 0; epoch < 8; epoch++) {
        CordsRandomKey key = {.seed = 4, .purpose = CORDS_RANDOM_AUGMENT, .epoch = epoch, .sample = (uint64_t)i};
        PetscInt label, shrink;
        MakeTraining(dataset, i, key, shape, scaled, want, &shrink);
        assert_true(CordsImageReadTraining(reader, i, key, got, &label, problem));
        assert_memory_equal(got, want, sizeof want);
        shrunk += shrink > 1;
      }
    }
    SupportCall(CordsImageReaderDestroy(&reader));
  }
  assert_in_range(shrunk, 8, 24);
  SupportCall(CordsDatasetDestroy(&dataset));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(TestFit),     cmocka_unit_test(TestThin),     cmocka_unit_test(TestTraining),
    cmocka_unit_test(TestLeftOut), cmocka_unit_test(TestOneImage),
};

SUPPORT_MAIN(tests)
