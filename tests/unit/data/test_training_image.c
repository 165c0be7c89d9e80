/* The way from bytes to the network's numbers: each part where it should be. */
#include "support/support.h"

#include "data/training_image.h"

#include <math.h>
#include <stdlib.h>

enum { ROWS = 41, COLUMNS = 50, SIDE = 16 };

static const float mean[3] = {.5f, .4f, .3f}, deviation[3] = {.25f, .5f, .125f};
static const CordsImageShape shape = {SIDE, SIDE, 3};

static CordsRandomKey Key(uint64_t sample)
{
  return (CordsRandomKey){.seed = 7, .purpose = CORDS_RANDOM_AUGMENT, .epoch = 3, .sample = sample};
}

static void Make(const CordsAugmentation *augmentation, uint64_t sample, const uint8_t *pixels, float *image)
{
  void *work = malloc(CordsTrainingImageWorkBytes(ROWS, COLUMNS, shape));
  CordsBox box = CordsTrainingBox(augmentation, ROWS, COLUMNS, Key(sample));
  const CordsImagePart part = {box.row_start, box.row_count, box.column_start, box.column_count};

  CordsTrainingImage(augmentation, mean, deviation, ROWS, COLUMNS, pixels, &part, shape, Key(sample), image, work);
  free(work);
}

static void TestNormalise(void **state)
{
  const PetscInt sides[] = {1, 4, 5, 13}; /* shorter and longer than a vector */

  for (int s = 0; s < 4; s++) {
    for (PetscInt channels = 1; channels <= 3; channels += 2) {
      const CordsImageShape any = {sides[s], sides[s], channels};
      uint8_t pixels[13 * 13 * 3];
      float found[13 * 13 * 3], expected[13 * 13 * 3];

      for (size_t i = 0; i < CordsImageSize(any); i++) {
        pixels[i] = (uint8_t)(i * 91);
        expected[i] = (pixels[i] / 255.f - mean[i % (size_t)channels]) / deviation[i % (size_t)channels];
      }
      CordsNormalisePixels(any, mean, deviation, pixels, found);
      SupportCompareF32("normalised", (PetscInt64)CordsImageSize(any), found, expected, 1e-6);
    }
  }
}

/* Crop, flip and operations drawn by hand with the same key give the same image. */
static void TestParts(void **state)
{
  const CordsAugmentation all = {.crop = {.08, 1, .75, 4. / 3}, .operations = {2, 9, 31}, .flip = PETSC_TRUE};
  const CordsAugmentation later = {.operations = {2, 9, 31}, .flip = PETSC_TRUE};
  uint8_t pixels[ROWS * COLUMNS * 3], resized[SIDE * SIDE * 3];
  float found[SIDE * SIDE * 3], expected[SIDE * SIDE * 3];
  uint8_t *work = malloc(CordsTrainingImageWorkBytes(ROWS, COLUMNS, shape));

  for (int i = 0; i < ROWS * COLUMNS * 3; i++) pixels[i] = (uint8_t)(i * i / 64);
  for (uint64_t sample = 0; sample < 20; sample++) {
    CordsBox box = CordsCropDraw(&all.crop, ROWS, COLUMNS, Key(sample));

    Make(&all, sample, pixels, found);
    CordsResizedCrop(pixels, ROWS, COLUMNS, 3, box, SIDE, SIDE, resized, work);
    CordsAugmentPixels(&later, shape, Key(sample), resized, work);
    CordsNormalisePixels(shape, mean, deviation, resized, expected);
    assert_memory_equal(found, expected, sizeof found);
  }
  free(work);
}

/* A bright left half stays left or goes right, half of the time each; the flip happens once, not on bytes and floats.
 */
static void TestFlipOnce(void **state)
{
  const CordsAugmentation crop = {.crop = {1, 1, COLUMNS / (double)ROWS, COLUMNS / (double)ROWS}, .flip = PETSC_TRUE};
  CordsAugmentation jitter = crop;
  uint8_t pixels[ROWS * COLUMNS * 3];
  float plain[SIDE * SIDE * 3], changed[SIDE * SIDE * 3];
  int right = 0;

  jitter.brightness = 1e-9;
  for (int i = 0; i < ROWS * COLUMNS * 3; i++) pixels[i] = i / 3 % COLUMNS < COLUMNS / 2 ? 200 : 10;
  for (uint64_t sample = 0; sample < 400; sample++) {
    Make(&crop, sample, pixels, plain);
    Make(&jitter, sample, pixels, changed);
    SupportCompareF32("with and without float operations", SIDE * SIDE * 3, changed, plain, 1e-5);
    right += plain[0] < plain[3 * (SIDE - 1)];
  }
  assert_in_range(right, 150, 250);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(TestNormalise),
    cmocka_unit_test(TestParts),
    cmocka_unit_test(TestFlipOnce),
};

SUPPORT_MAIN(tests)
