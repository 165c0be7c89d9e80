/* Opening and reading a dataset: names, facts, pixels, labels, list of files.  RANKS 1 2 4 */
#include "support/idx.h"
#include "support/support.h"

#include "data/dataset.h"

#include <unistd.h>

static void TestNames(void **state)
{
  const char *const *names, *const *abouts, *sentence;
  PetscInt count, channels, classes, found = 0;
  CordsDataset dataset;

  SupportCall(CordsDatasetList(&count, &names, &abouts));
  for (PetscInt i = 0; i < count; i++) {
    assert_true(strlen(abouts[i]) > 10);
    found += !strcmp(names[i], "mnist") || !strcmp(names[i], "fashion_mnist");
  }
  assert_int_equal(found, 2);
  SupportCall(CordsDatasetDescribe("fashion_mnist", &channels, &classes));
  assert_int_equal(channels, 1);
  assert_int_equal(classes, 10);
  sentence = SupportExpectUserError(CordsDatasetDescribe("fashion-mnist", &channels, &classes));
  assert_non_null(strstr(sentence, "did you mean 'fashion_mnist'"));
  sentence = SupportExpectUserError(CordsDatasetOpen(&support_context, "mnst", ".", CORDS_SPLIT_TEST, &dataset));
  assert_non_null(strstr(sentence, "did you mean 'mnist'"));
  assert_null(dataset);
}

static void CheckContent(CordsDataset dataset, const char *folder)
{
  const CordsDatasetFacts *facts = CordsDatasetGetFacts(dataset);
  const char *const *paths;
  uint8_t pixels[IDX_PIXELS];
  PetscInt label, count;

  assert_int_equal(facts->count, IDX_IMAGES);
  assert_int_equal(facts->rows, IDX_ROWS);
  assert_int_equal(facts->columns, IDX_COLUMNS);
  assert_int_equal(facts->channels, 1);
  assert_string_equal(facts->class_names[9], "Ankle boot");
  assert_float_equal(facts->mean[0], .2860f, 0);
  assert_float_equal(facts->deviation[0], .3530f, 0);
  for (int i = IDX_IMAGES - 1; i >= 0; i--) {
    SupportCall(CordsDatasetRead(dataset, i, pixels, &label));
    assert_int_equal(label, SupportIdxLabel(i));
    for (int k = 0; k < IDX_PIXELS; k++) assert_int_equal(pixels[k], SupportIdxPixel(i, k));
  }
  SupportExpectUserError(CordsDatasetRead(dataset, -1, pixels, &label));
  SupportExpectUserError(CordsDatasetRead(dataset, IDX_IMAGES, pixels, &label));
  SupportCall(CordsDatasetFiles(dataset, &count, &paths));
  assert_int_equal(count, 2);
  for (PetscInt i = 0; i < count; i++) {
    assert_int_equal(strncmp(paths[i], folder, strlen(folder)), 0);
    assert_int_equal(access(paths[i], R_OK), 0);
  }
}

static void Check(const char *folder, CordsSplit split)
{
  CordsDataset dataset;

  SupportCall(CordsDatasetOpen(&support_context, "fashion_mnist", folder, split, &dataset));
  CheckContent(dataset, folder);
  SupportCall(CordsDatasetDestroy(&dataset));
  assert_null(dataset);
}

static void TestPlain(void **state)
{
  SupportIdx idx;

  SupportIdxMake(&idx);
  SupportIdxWrite(&idx, SupportPath("plain"), "train", PETSC_FALSE);
  Check(SupportPath("plain"), CORDS_SPLIT_TRAIN);
}

static void TestGzip(void **state)
{
  SupportIdx idx;

  SupportIdxMake(&idx);
  SupportIdxWrite(&idx, SupportPath("gzip"), "t10k", PETSC_TRUE);
  Check(SupportPath("gzip"), CORDS_SPLIT_TEST);
}

/* The other spelling in use, and packed files without the ending. */
static void TestSpellings(void **state)
{
  const char *folder = SupportPath("spellings");
  char from[PETSC_MAX_PATH_LEN], to[PETSC_MAX_PATH_LEN];
  SupportIdx idx;

  SupportIdxMake(&idx);
  SupportIdxWrite(&idx, folder, "train", PETSC_TRUE);
  if (support_context.rank == 0) {
    snprintf(from, sizeof from, "%s/train-images-idx3-ubyte.gz", folder);
    snprintf(to, sizeof to, "%s/train-images.idx3-ubyte.gz", folder);
    assert_int_equal(rename(from, to), 0);
    snprintf(from, sizeof from, "%s/train-labels-idx1-ubyte.gz", folder);
    snprintf(to, sizeof to, "%s/train-labels.idx1-ubyte", folder);
    assert_int_equal(rename(from, to), 0);
  }
  MPI_Barrier(support_context.comm);
  Check(folder, CORDS_SPLIT_TRAIN);
}

static void TestNoDirectory(void **state)
{
  CordsDataset dataset;
  const char *sentence =
      SupportExpectUserError(CordsDatasetOpen(&support_context, "mnist", "", CORDS_SPLIT_TRAIN, &dataset));

  assert_non_null(strstr(sentence, "mnist"));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(TestNames),     cmocka_unit_test(TestPlain),       cmocka_unit_test(TestGzip),
    cmocka_unit_test(TestSpellings), cmocka_unit_test(TestNoDirectory),
};

SUPPORT_MAIN(tests)
