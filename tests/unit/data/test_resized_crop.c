/* Boxes, resized, against PIL; random boxes against what must hold for all of them. */
#include "support/pictures.h"

#include "data/resized_crop.h"

static size_t bytes, different;

static void CheckCrop(CordsH5 file, const SupportPicture *picture)
{
  CordsImageShape in = picture->input_shape, out = picture->shape;
  CordsBox box = {.row_start = SupportPicturesInt(file, picture, "row"),
                  .column_start = SupportPicturesInt(file, picture, "column"),
                  .row_count = SupportPicturesInt(file, picture, "rows"),
                  .column_count = SupportPicturesInt(file, picture, "columns")};
  uint8_t *found = malloc(CordsImageSize(out));
  void *work = malloc(CordsResizedCropWorkBytes(in.rows, in.columns, in.channels, out.rows, out.columns));

  CordsResizedCrop(picture->input, in.rows, in.columns, in.channels, box, out.rows, out.columns, found, work);
  different += SupportPicturesCompare(picture, 1, found);
  bytes += CordsImageSize(out);
  free(found);
  free(work);
}

static void CheckCentre(CordsH5 file, const SupportPicture *picture)
{
  CordsImageShape in = picture->input_shape, out = picture->shape;
  PetscInt shorter = SupportPicturesInt(file, picture, "shorter"), rows, columns;
  const CordsImagePart whole = {.row_count = in.rows, .column_count = in.columns};
  uint8_t *found = malloc(CordsImageSize(out));
  void *work = malloc(CordsResizedCropWorkBytes(in.rows, in.columns, in.channels, out.rows, out.columns));

  CordsCoverSides(in.rows, in.columns, shorter, shorter, &rows, &columns);
  CordsResizedCentre(picture->input, in.rows, in.columns, in.channels, &whole, rows, columns, out.rows, out.columns,
                     found, work);
  SupportPicturesCompare(picture, 1, found);
  free(found);
  free(work);
}

/* PIL rounds to bytes between rows and columns, so some bytes differ by 1; if many did, something would be shifted. */
static void TestCrops(void **state)
{
  SupportPicturesEach("crops", CORDS_FILE_U8, CheckCrop);
  print_message("%zu of %zu bytes differ by 1\n", different, bytes);
  assert_true(4 * different <= bytes);
}

static void TestCentres(void **state)
{
  SupportPicturesEach("centres", CORDS_FILE_U8, CheckCentre);
}

/* Rows of pixels, and columns of them.
   2 → 4: centres of the output at −1/4, 1/4, 3/4, 5/4 of the input's pixel numbers, the ends held: 0, 1/4, 3/4, 1 of
   the way from the first to the second pixel. 4 → 2: centres at 1 and 3 (pixel j has its centre at j + 1/2), triangle
   of half width 2.  Output 0: distances 1/2, 1/2, 3/2 of pixels 0, 1, 2: weights 3/4, 3/4, 1/4 of 7/4 = 3/7, 3/7, 1/7.
 */
static void TestByHand(void **state)
{
  const uint8_t two[2] = {10, 50}, enlarged[4] = {10, 20, 40, 50};
  const uint8_t four[4] = {49, 0, 98, 147}, shrunk[2] = {(3 * 49 + 98) / 7, (3 * 98 + 3 * 147) / 7};
  uint8_t output[4], work[4096];

  CordsResizedCrop(two, 1, 2, 1, (CordsBox){0, 1, 0, 2}, 1, 4, output, work);
  assert_memory_equal(output, enlarged, 4);
  CordsResizedCrop(two, 2, 1, 1, (CordsBox){0, 2, 0, 1}, 4, 1, output, work);
  assert_memory_equal(output, enlarged, 4);
  CordsResizedCrop(four, 1, 4, 1, (CordsBox){0, 1, 0, 4}, 1, 2, output, work);
  assert_memory_equal(output, shrunk, 2);
  CordsResizedCrop(four, 4, 1, 1, (CordsBox){0, 4, 0, 1}, 2, 1, output, work);
  assert_memory_equal(output, shrunk, 2);
}

/* An image of 60 × 90 for a network of 20 × 41: of its sides at least 24 and 48 (8/7, rounded), so columns are short.
 */
static void TestCoverSides(void **state)
{
  PetscInt rows, columns;

  CordsCoverSides(60, 90, 24, 48, &rows, &columns);
  assert_int_equal(rows, 32);
  assert_int_equal(columns, 48);
  CordsCoverSides(375, 500, 256, 256, &rows, &columns);
  assert_int_equal(rows, 256);
  assert_int_equal(columns, 341);
}

/* The whole image at its own size is the image. */
static void TestSameSize(void **state)
{
  const PetscInt channels[] = {1, 3};
  uint8_t image[7 * 5 * 3], output[7 * 5 * 3], work[4096];

  assert_true(CordsResizedCropWorkBytes(7, 5, 3, 7, 5) <= sizeof work);
  for (int i = 0; i < 105; i++) image[i] = (uint8_t)(i * 37);
  for (int k = 0; k < 2; k++) {
    CordsResizedCrop(image, 7, 5, channels[k], (CordsBox){0, 7, 0, 5}, 7, 5, output, work);
    assert_memory_equal(output, image, 35 * (size_t)channels[k]);
  }
}

/* What is outside of the box is not seen, and nothing behind the output is written. */
static void TestOutside(void **state)
{
  uint8_t image[9 * 8 * 3], output[6 * 7 * 3 + 1], *work = malloc(CordsResizedCropWorkBytes(9, 8, 3, 6, 7));

  memset(image, 255, sizeof image);
  for (int row = 2; row < 7; row++) memset(image + (row * 8 + 1) * 3, 100, 4 * 3);
  memset(output, 7, sizeof output);
  CordsResizedCrop(image, 9, 8, 3, (CordsBox){2, 5, 1, 4}, 6, 7, output, work);
  for (int i = 0; i < 6 * 7 * 3; i++) assert_int_equal(output[i], 100);
  assert_int_equal(output[6 * 7 * 3], 7);
  free(work);
}

static const CordsCropRange usual = {.area_min = .08, .area_max = 1, .ratio_min = 3. / 4, .ratio_max = 4. / 3};

static CordsRandomKey Key(uint64_t sample)
{
  return (CordsRandomKey){.seed = 7, .purpose = CORDS_RANDOM_AUGMENT, .epoch = 3, .sample = sample};
}

/* Inside the image; areas and ratios in their ranges up to rounding; small and large ones appear, at all places. */
static void TestDraw(void **state)
{
  int small = 0, at_left = 0;
  double area_sum = 0;

  for (uint64_t i = 0; i < 4000; i++) {
    CordsBox box = CordsCropDraw(&usual, 375, 500, Key(i));
    double ratio = (double)box.column_count / box.row_count,
           area = (double)box.column_count * box.row_count / (375. * 500.);

    assert_true(box.row_start >= 0 && box.row_count >= 1 && box.row_start + box.row_count <= 375);
    assert_true(box.column_start >= 0 && box.column_count >= 1 && box.column_start + box.column_count <= 500);
    assert_true(ratio > .74 && ratio < 1.35 && area > .079 && area <= 1);
    area_sum += area;
    small += area < .2;
    at_left += box.column_start < (500 - box.column_count) / 2;
  }
  /* torchvision's get_params, 4000 times: 701 small ones, mean area 0.429 (large boxes of most ratios do not fit) */
  assert_in_range(small, 580, 800);
  assert_in_range(at_left, 1800, 2150);
  assert_true(fabs(area_sum / 4000 - .43) < .02);
}

/* The same key, the same box; the purpose of the key does not matter, its epoch does. */
static void TestDrawKey(void **state)
{
  CordsRandomKey other = Key(5);
  CordsBox a = CordsCropDraw(&usual, 375, 500, Key(5)), b;

  other.purpose = CORDS_RANDOM_MIX;
  b = CordsCropDraw(&usual, 375, 500, other);
  assert_memory_equal(&a, &b, sizeof a);
  other.epoch++;
  b = CordsCropDraw(&usual, 375, 500, other);
  assert_memory_not_equal(&a, &b, sizeof a);
}

/* No box of 90 % of the area and a ratio near one fits: the largest central one, 100 · 4/3 wide or high. */
static void TestDrawFallback(void **state)
{
  const CordsCropRange large = {.area_min = .9, .area_max = 1, .ratio_min = 3. / 4, .ratio_max = 4. / 3};
  const CordsBox wide = {0, 100, 133, 133}, high = {133, 133, 0, 100}, point = {0, 1, 0, 1};
  CordsBox box = CordsCropDraw(&large, 100, 400, Key(1));

  assert_memory_equal(&box, &wide, sizeof box);
  box = CordsCropDraw(&large, 400, 100, Key(1));
  assert_memory_equal(&box, &high, sizeof box);
  box = CordsCropDraw(&usual, 1, 1, Key(1));
  assert_memory_equal(&box, &point, sizeof box);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(TestCrops),      cmocka_unit_test(TestCentres),  cmocka_unit_test(TestByHand),
    cmocka_unit_test(TestCoverSides), cmocka_unit_test(TestSameSize), cmocka_unit_test(TestOutside),
    cmocka_unit_test(TestDraw),       cmocka_unit_test(TestDrawKey),  cmocka_unit_test(TestDrawFallback),
};

SUPPORT_MAIN(tests)
