/* Packing goes on where it was interrupted, notices other images, and its digest finds any damage.  RANKS 1 2 */
#include "support/idx.h"
#include "support/packed_cases.h"

#include "data/pack_file.h"

#include <fcntl.h>

static char images[PETSC_MAX_PATH_LEN], path[PETSC_MAX_PATH_LEN], part[PETSC_MAX_PATH_LEN + 8];

static PetscErrorCode Pack(void)
{
  CordsDataset dataset;
  PetscErrorCode ierr;

  SupportCall(CordsDatasetOpen(&support_context, "folder", images, CORDS_SPLIT_TRAIN, &dataset));
  ierr = CordsPack(&support_context, dataset, CORDS_SPLIT_TRAIN, path);
  SupportCall(CordsDatasetDestroy(&dataset));
  return ierr;
}

static void Begin(const char *name)
{
  char text[64];

  snprintf(text, sizeof text, "%s-images", name);
  snprintf(images, sizeof images, "%s", SupportPath(text));
  snprintf(text, sizeof text, "%s.h5", name);
  snprintf(path, sizeof path, "%s", SupportPath(text));
  snprintf(part, sizeof part, "%s.part", path);
  SupportFolderMake(images, "train");
}

static void Digest(char digest[65])
{
  PetscInt64 count, bytes;

  SupportCall(CordsPackCheck(&support_context, path, &count, &bytes, digest));
  assert_int_equal(count, 5);
}

/* Write at a place of a file, on rank 0. */
static void Put(const char *file, PetscInt64 offset, size_t length, const void *bytes)
{
  MPI_Barrier(support_context.comm);
  if (support_context.rank == 0) {
    int descriptor = open(file, O_WRONLY);
    assert_int_equal(CordsPackWriteAt(descriptor, offset, length, bytes), 0);
    close(descriptor);
  }
  MPI_Barrier(support_context.comm);
}

static CordsPackPlaces Places(const char *file, PetscInt64 *bytes)
{
  char digest[CORDS_PACK_DIGEST];
  CordsPackPlaces places;
  CordsPackIndex index;
  PetscInt64 written;

  SupportCall(CordsPackIndexRead(&support_context, file, &index, &places, &written, digest));
  *bytes = index.offsets[index.count];
  SupportCall(CordsPackIndexFree(&index));
  return places;
}

/* As if the run had been killed after `written` images: what comes after them is noise. */
static void TestContinue(void **state)
{
  char whole[65] = "", again[65] = "", zeros[65] = "";
  PetscInt64 bytes;

  Begin("continue");
  SupportCall(Pack());
  Digest(whole);
  for (PetscInt64 written = 0; written <= 5; written++) {
    CordsPackPlaces places;
    if (support_context.rank == 0) assert_int_equal(rename(path, part), 0);
    MPI_Barrier(support_context.comm);
    places = Places(part, &bytes);
    Put(part, places.written, sizeof written, &written);
    Put(part, places.digest, 64, zeros);
    if (written < 5) Put(part, places.data + bytes - 9, 9, "any bytes");
    SupportCall(Pack());
    Digest(again);
    if (support_context.rank == 0) assert_string_equal(again, whole);
    assert_int_not_equal(access(part, F_OK), 0);
    MPI_Barrier(support_context.comm); /* before the next round moves the file */
  }
}

static void TestOtherImages(void **state)
{
  char whole[65];
  const char *sentence;

  Begin("other");
  SupportCall(Pack());
  Digest(whole);
  if (support_context.rank == 0) {
    assert_int_equal(rename(path, part), 0);
    SupportFolderPut(images, "train/ant/c.jpg", SupportJpeg(1, 8, 8, 3, 0));
  }
  MPI_Barrier(support_context.comm);
  sentence = SupportExpectUserError(Pack());
  assert_non_null(strstr(sentence, "was begun with other images"));
  assert_int_equal(access(part, F_OK), 0);
  MPI_Barrier(support_context.comm);
}

/* Any bit of the images, and a file that is not complete. */
static void TestDamage(void **state)
{
  PetscInt64 bytes, count, four = 4;
  CordsPackPlaces places;
  const char *sentence;
  char digest[65];

  Begin("damage");
  SupportCall(Pack());
  places = Places(path, &bytes);
  Put(path, places.data + bytes / 2, 4, "\x01\x02\x03\x04");
  sentence = SupportExpectUserError(CordsPackCheck(&support_context, path, &count, &bytes, digest));
  assert_non_null(strstr(sentence, "is damaged: its images have the digest"));
  Put(path, places.written, sizeof four, &four);
  sentence = SupportExpectUserError(CordsPackCheck(&support_context, path, &count, &bytes, digest));
  assert_non_null(strstr(sentence, "is not complete: 4 of 5 images"));
}

/* A dataset of one size is packed as pixels. */
static void TestPixels(void **state)
{
  char folder[PETSC_MAX_PATH_LEN], file[PETSC_MAX_PATH_LEN];
  uint8_t pixels[IDX_PIXELS];
  CordsDataset dataset;
  PetscInt label;
  SupportIdx idx;

  snprintf(folder, sizeof folder, "%s", SupportPath("idx"));
  SupportIdxMake(&idx);
  SupportIdxWrite(&idx, folder, "t10k", PETSC_TRUE);
  snprintf(file, sizeof file, "%s/test.h5", folder);
  SupportCall(CordsDatasetOpen(&support_context, "mnist", folder, CORDS_SPLIT_TEST, &dataset));
  SupportCall(CordsPack(&support_context, dataset, CORDS_SPLIT_TEST, file));
  SupportCall(CordsDatasetDestroy(&dataset));
  SupportCall(CordsDatasetOpen(&support_context, "packed", folder, CORDS_SPLIT_TEST, &dataset));
  assert_int_equal(CordsDatasetGetFacts(dataset)->rows, IDX_ROWS);
  assert_int_equal(CordsDatasetGetFacts(dataset)->channels, 1);
  assert_int_equal(CordsDatasetGetFacts(dataset)->classes, 10);
  for (int i = 0; i < IDX_IMAGES; i++) {
    SupportCall(CordsDatasetRead(dataset, i, pixels, &label));
    assert_int_equal(label, SupportIdxLabel(i));
    for (int k = 0; k < IDX_PIXELS; k++) assert_int_equal(pixels[k], SupportIdxPixel(i, k));
  }
  SupportCall(CordsDatasetDestroy(&dataset));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(TestContinue),
    cmocka_unit_test(TestOtherImages),
    cmocka_unit_test(TestDamage),
    cmocka_unit_test(TestPixels),
};

SUPPORT_MAIN(tests)
