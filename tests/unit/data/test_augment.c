/* Each change of an image against numbers worked out by hand and against torchvision's; the random parts against what
   must hold for all of them. */
#include "support/pictures.h"

#include "data/augment.h"

#include <math.h>
#include <stdlib.h>

static const CordsAugmentation everything = {.flip = PETSC_TRUE,
                                             .affine = PETSC_TRUE,
                                             .angle_deg = 5,
                                             .translate = .05,
                                             .scale_min = .95,
                                             .scale_max = 1.05,
                                             .shear_deg = 5,
                                             .brightness = .1,
                                             .contrast = .1,
                                             .elastic_alpha = 20,
                                             .elastic_sigma_pixels = 5};

static CordsRandomKey Key(uint64_t sample)
{
  return (CordsRandomKey){.seed = 7, .purpose = CORDS_RANDOM_AUGMENT, .epoch = 3, .sample = sample};
}

static void FillImage(uint64_t stream, PetscInt n, float *image)
{
  SupportFillF32(stream, n, image);
  for (PetscInt i = 0; i < n; i++) image[i] = (image[i] + 1) / 2;
}

static void TestFlip(void **state)
{
  float image[] = {1, 10, 2, 20, 3, 30, 4, 40, 5, 50, 6, 60};
  const float expected[] = {3, 30, 2, 20, 1, 10, 6, 60, 5, 50, 4, 40};
  uint8_t bytes[12], even[] = {1, 2, 3, 4};
  const uint8_t even_flipped[] = {4, 3, 2, 1};

  for (int i = 0; i < 12; i++) bytes[i] = (uint8_t)image[i];
  CordsAugmentFlip((CordsImageShape){2, 3, 2}, image);
  SupportCompareF32("flipped", 12, image, expected, 0);
  CordsAugmentFlipPixels((CordsImageShape){2, 3, 2}, bytes);
  for (int i = 0; i < 12; i++) assert_int_equal(bytes[i], expected[i]);
  CordsAugmentFlipPixels((CordsImageShape){1, 4, 1}, even);
  assert_memory_equal(even, even_flipped, 4);
}

static void Affine(CordsImageShape shape, double angle, double shift_x, double shift_y, double scale, double shear,
                   const float *input, float *output)
{
  double m[6];

  CordsAugmentAffineMatrix(angle, shift_x, shift_y, scale, shear, m);
  CordsAugmentAffine(shape, m, input, output);
}

static void TestAffineByHand(void **state)
{
  const CordsImageShape square = {3, 3, 1};
  const float input[9] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
  /* a quarter turn clockwise: the left column becomes the top row, bottom first */
  const float turned[9] = {7, 4, 1, 8, 5, 2, 9, 6, 3};
  /* one pixel to the right and one up, nothing comes in */
  const float shifted[9] = {0, 4, 5, 0, 7, 8, 0, 0, 0};
  /* half the size: the pixels two steps from the centre are outside, so the centre stands alone */
  const float shrunk[9] = {0, 0, 0, 0, 5, 0, 0, 0, 0};
  /* shear of 45 degrees: the row above the centre (y = −1) moves by −y tan 45 = +1 to the right, the one below left */
  const float sheared[9] = {0, 1, 2, 4, 5, 6, 8, 9, 0};
  float output[9];

  Affine(square, 0, 0, 0, 1, 0, input, output);
  SupportCompareF32("identity", 9, output, input, 0);
  Affine(square, 90, 0, 0, 1, 0, input, output);
  SupportCompareF32("turned", 9, output, turned, 0);
  Affine(square, 0, 1, -1, 1, 0, input, output);
  SupportCompareF32("shifted", 9, output, shifted, 0);
  Affine(square, 0, 0, 0, .5, 0, input, output);
  SupportCompareF32("shrunk", 9, output, shrunk, 0);
  Affine(square, 0, 0, 0, 1, 45, input, output);
  SupportCompareF32("sheared", 9, output, sheared, 0);
}

/* The matrix is the inverse of the map in its documentation: shear, rotate, scale, shift. */
static void TestAffineInverse(void **state)
{
  const double angle = 4 * PETSC_PI / 180, shear = -3 * PETSC_PI / 180, scale = 1.04, x = 7, y = -5;
  double sheared = x - tan(shear) * y, m[6];
  double to_x = scale * (cos(angle) * sheared - sin(angle) * y) + 2;
  double to_y = scale * (sin(angle) * sheared + cos(angle) * y) - 1;

  CordsAugmentAffineMatrix(4, 2, -1, scale, -3, m);
  assert_true(fabs(m[0] * to_x + m[1] * to_y + m[2] - x) < 1e-12);
  assert_true(fabs(m[3] * to_x + m[4] * to_y + m[5] - y) < 1e-12);
}

static void TestJitter(void **state)
{
  float grey[4] = {0, .2f, .6f, .8f}, colour[3] = {.5f, .25f, 1};
  const float brighter[4] = {0, .3f, .9f, 1};
  /* mean of {0, .3, .9, 1} is .55: half the distance from it, then double the first distance, cut to 0..1 */
  const float flatter[4] = {.275f, .425f, .725f, .775f}, steeper[4] = {0, .3f, .9f, 1};
  /* luma .2989 · .5 + .587 · .25 + .114 = .4102: half way to it */
  const float paler[3] = {.4551f, .3301f, .7051f};

  CordsAugmentBrightness((CordsImageShape){2, 2, 1}, 1.5, grey);
  SupportCompareF32("brightness", 4, grey, brighter, 1e-6);
  CordsAugmentContrast((CordsImageShape){2, 2, 1}, .5, grey);
  SupportCompareF32("contrast down", 4, grey, flatter, 1e-6);
  CordsAugmentContrast((CordsImageShape){2, 2, 1}, 2, grey);
  SupportCompareF32("contrast up", 4, grey, steeper, 1e-6);
  CordsAugmentContrast((CordsImageShape){1, 1, 3}, .5, colour);
  SupportCompareF32("contrast of colours", 3, colour, paler, 1e-4);
}

static void TestWarp(void **state)
{
  const CordsImageShape shape = {2, 2, 1};
  const float input[4] = {4, 8, 12, 16}, none[4] = {0};
  const float quarter[4] = {.25f, .25f, .25f, .25f}, half[4] = {.5f, .5f, .5f, .5f};
  /* a quarter of a pixel to the right: 3/4 of the pixel, 1/4 of the next, which is 0 outside: 3/4 · 8 = 6 and
     3/4 · 16 = 12, times the 3/4 that are inside */
  const float expected_x[4] = {5, 4.5f, 13, 9};
  /* half a pixel down as well: (5 + 13) / 2; (6 + 12) / 2 · 3/4; 13 / 2 · 1/2; 12 / 2 · 3/8 */
  const float expected[4] = {9, 6.75f, 3.25f, 2.25f};
  float output[4];

  CordsAugmentWarp(shape, none, none, input, output);
  SupportCompareF32("no displacement", 4, output, input, 0);
  CordsAugmentWarp(shape, quarter, none, input, output);
  SupportCompareF32("displacement along x", 4, output, expected_x, 1e-6);
  CordsAugmentWarp(shape, quarter, half, input, output);
  SupportCompareF32("displacement", 4, output, expected, 1e-6);
}

/* A constant stays a constant (so the reflection works on fields smaller than the kernel), and a point becomes the
   Gaussian: ratio exp(−1/(2 σ²)) one pixel away, exp(−1/σ²) on the diagonal. */
static void TestSmooth(void **state)
{
  float field[41 * 35], work[41 * 35];
  const float *centre = field + 20 * 35 + 17;

  for (int i = 0; i < 6; i++) field[i] = 2;
  CordsAugmentSmooth(2, 3, 5, field, work);
  for (int i = 0; i < 6; i++) assert_float_equal(field[i], 2, 1e-5f);
  memset(field, 0, sizeof field);
  field[20 * 35 + 17] = 1;
  CordsAugmentSmooth(41, 35, 2, field, work);
  assert_float_equal(centre[0], 1 / (2 * PETSC_PI * 4), 1e-5f);
  assert_float_equal(centre[1] / centre[0], exp(-.125), 1e-5f);
  assert_float_equal(centre[-35] / centre[0], exp(-.125), 1e-5f);
  assert_float_equal(centre[36] / centre[0], exp(-.25), 1e-5f);
  assert_float_equal(centre[8] / centre[0], exp(-8), 1e-5f);
  assert_true(centre[9] == 0); /* cut at 4 sigma */
}

/* Near the border the missing part comes from inside, the outermost pixel once: at column 0 of 3 pixels 1 0 0 with
   sigma 1/2 (kernel 2 wide, weights e^0, e^-2, e^-8) the point gives e^0, at column 1 it is also seen as its mirror. */
static void TestSmoothBorder(void **state)
{
  const double e2 = exp(-2), e8 = exp(-8), sum = 1 + 2 * e2 + 2 * e8;
  float field[3] = {1, 0, 0}, work[3];
  /* reflected: …, 0 (at −2), 0 (at −1), 1, 0, 0, 0 (at 3), 1 (at 4) */
  const float expected[3] = {(float)(1 / sum), (float)(e2 / sum), (float)(2 * e8 / sum)};

  CordsAugmentSmooth(1, 3, .5, field, work);
  SupportCompareF32("reflected", 3, field, expected, 1e-6);
}

/* The same key gives the same image, another key another one; values stay in 0..1; parts that are off do nothing. */
static void TestImage(void **state)
{
  const CordsImageShape shape = {28, 20, 1};
  const CordsAugmentation nothing = {0};
  float original[560], first[560], second[560], *work = malloc(CordsAugmentWorkSize(shape) * sizeof *work);

  FillImage(1, 560, original);
  memcpy(first, original, sizeof first);
  memcpy(second, original, sizeof second);
  CordsAugmentImage(&everything, shape, Key(5), first, work);
  CordsAugmentImage(&everything, shape, Key(5), second, work);
  assert_memory_equal(first, second, sizeof first);
  memcpy(second, original, sizeof second);
  CordsAugmentImage(&everything, shape, Key(6), second, work);
  assert_memory_not_equal(first, second, sizeof first);
  for (int i = 0; i < 560; i++) assert_true(first[i] >= 0 && first[i] <= 1 + 1e-6f);
  memcpy(second, original, sizeof second);
  CordsAugmentImage(&nothing, shape, Key(5), second, work);
  assert_memory_equal(second, original, sizeof second);
  free(work);
}

/* Only flips: half of many images, within five standard deviations. */
static void TestFlipRate(void **state)
{
  const CordsAugmentation flip = {.flip = PETSC_TRUE};
  int flipped = 0;

  for (uint64_t i = 0; i < 10000; i++) {
    float image[2] = {0, 1};
    CordsAugmentImage(&flip, (CordsImageShape){1, 2, 1}, Key(i), image, NULL);
    flipped += image[0] == 1;
  }
  assert_in_range(flipped, 4750, 5250);
}

/* Ranges of the random parameters, seen from outside: a constant image under jitter, a point under the affine map. */
static void TestRanges(void **state)
{
  const CordsAugmentation jitter = {.brightness = .1, .contrast = .1};
  CordsAugmentation shift = everything;
  const CordsImageShape shape = {41, 41, 1};
  float image[41 * 41], work[4 * 41 * 41], lowest = 1, highest = 0;
  int away = 0;

  for (uint64_t i = 0; i < 2000; i++) {
    float grey[4] = {.5f, .5f, .5f, .5f}; /* contrast cannot change it */
    CordsAugmentImage(&jitter, (CordsImageShape){2, 2, 1}, Key(i), grey, work);
    lowest = fminf(lowest, grey[0]);
    highest = fmaxf(highest, grey[3]);
  }
  assert_true(lowest >= .45f && lowest < .451f && highest <= .55f && highest > .549f);

  shift.flip = PETSC_FALSE;
  shift.brightness = shift.contrast = shift.elastic_alpha = 0;
  for (uint64_t i = 0; i < 300; i++) { /* ±5 % of 41 is 2.05: the centre moves by at most two pixels each way */
    int row, column, seen = 0;
    memset(image, 0, sizeof image);
    image[20 * 41 + 20] = 1;
    CordsAugmentImage(&shift, shape, Key(i), image, work);
    for (int k = 0; k < 41 * 41; k++) {
      if (image[k] == 0) continue;
      row = k / 41 - 20;
      column = k % 41 - 20;
      seen++;
      assert_true(abs(row) <= 3 && abs(column) <= 3);
      away += abs(row) == 2 || abs(column) == 2;
    }
    assert_in_range(seen, 0, 4);
  }
  assert_true(away > 30);
}

static void TestMixByHand(void **state)
{
  const CordsImageShape shape = {2, 3, 1};
  const CordsMix cut = {.cut = PETSC_TRUE, .row_start = 1, .row_end = 2, .column_start = 0, .column_end = 2};
  const CordsMix up = {.share = .75};
  const float neighbour[6] = {10, 20, 30, 40, 50, 60}, pasted[6] = {1, 2, 3, 40, 50, 6};
  const float mixed[6] = {3.25f, 6.5f, 9.75f, 40, 50, 19.5f};
  float image[6] = {1, 2, 3, 4, 5, 6};

  CordsAugmentMix(shape, &cut, neighbour, image);
  SupportCompareF32("CutMix", 6, image, pasted, 0);
  CordsAugmentMix(shape, &up, neighbour, image);
  SupportCompareF32("MixUp", 6, image, mixed, 1e-6);
}

/* Both kinds appear equally often; the share is uniform for MixUp and the true area for CutMix. */
static void TestMixDraw(void **state)
{
  const CordsImageShape shape = {28, 20, 1};
  const CordsRandomKey key = {.seed = 7, .purpose = CORDS_RANDOM_MIX, .epoch = 3};
  int cuts = 0, ups_below_half = 0;

  for (uint64_t batch = 0; batch < 4000; batch++) {
    CordsRandomKey batch_key = key;
    CordsMix mix;
    batch_key.sample = batch;
    mix = CordsAugmentMixDraw(shape, batch_key);
    assert_true(mix.share >= 0 && mix.share <= 1);
    cuts += mix.cut;
    ups_below_half += !mix.cut && mix.share < .5;
    if (!mix.cut) continue;
    assert_true(0 <= mix.row_start && mix.row_start <= mix.row_end && mix.row_end <= 28);
    assert_true(0 <= mix.column_start && mix.column_start <= mix.column_end && mix.column_end <= 20);
    assert_true(fabs((1 - mix.share) * 560 -
                     (mix.row_end - mix.row_start) * (double)(mix.column_end - mix.column_start)) < 1e-9);
  }
  assert_in_range(cuts, 1840, 2160);
  assert_in_range(ups_below_half, 880, 1120);
}

static void ElasticByNoise(CordsH5 file, const SupportPicture *picture, const float *input, float *output)
{
  CordsImageShape shape = picture->shape, noise_shape;
  size_t pixels = CordsImagePixels(shape);
  double alpha = SupportPicturesReal(file, picture, "alpha"), sigma = SupportPicturesReal(file, picture, "sigma");
  float *noise, *work = malloc(pixels * sizeof *work);
  char object[64];

  snprintf(object, sizeof object, "noise%s", strchr(picture->object, '/'));
  noise = SupportPicturesArray(file, object, CORDS_FILE_F32, &noise_shape);
  for (size_t i = 0; i < 2 * pixels; i++) noise[i] *= (float)alpha / 2;
  CordsAugmentSmooth(shape.rows, shape.columns, sigma, noise, work);
  CordsAugmentSmooth(shape.rows, shape.columns, sigma, noise + pixels, work);
  CordsAugmentWarp(shape, noise, noise + pixels, input, output);
  free(noise);
  free(work);
}

/* One operation on floats with torchvision's parameters. */
static void CheckFloats(CordsH5 file, const SupportPicture *picture)
{
  CordsImageShape shape = picture->shape;
  size_t size = CordsImageSize(shape);
  float *input = malloc(size * sizeof *input), *output = malloc(size * sizeof *output);
  char *what;

  SupportCall(CordsH5ReadText(file, picture->object, "what", &what));
  for (size_t i = 0; i < size; i++) output[i] = input[i] = picture->input[i] / 255.f;
  if (strcmp(what, "affine") == 0)
    Affine(shape, SupportPicturesReal(file, picture, "angle"), SupportPicturesInt(file, picture, "x"),
           SupportPicturesInt(file, picture, "y"), SupportPicturesReal(file, picture, "scale"),
           SupportPicturesReal(file, picture, "shear"), input, output);
  else if (strcmp(what, "brightness") == 0)
    CordsAugmentBrightness(shape, SupportPicturesReal(file, picture, "factor"), output);
  else if (strcmp(what, "contrast") == 0)
    CordsAugmentContrast(shape, SupportPicturesReal(file, picture, "factor"), output);
  else
    ElasticByNoise(file, picture, input, output);
  SupportCompareF32(picture->object, (PetscInt64)size, output, picture->expected, 1e-5);
  SupportCall(PetscFree(what));
  free(input);
  free(output);
}

static void TestAgainstTorchvision(void **state)
{
  SupportPicturesEach("floats", CORDS_FILE_F32, CheckFloats);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(TestFlip),
    cmocka_unit_test(TestAffineByHand),
    cmocka_unit_test(TestAffineInverse),
    cmocka_unit_test(TestJitter),
    cmocka_unit_test(TestWarp),
    cmocka_unit_test(TestSmooth),
    cmocka_unit_test(TestSmoothBorder),
    cmocka_unit_test(TestImage),
    cmocka_unit_test(TestFlipRate),
    cmocka_unit_test(TestRanges),
    cmocka_unit_test(TestMixByHand),
    cmocka_unit_test(TestMixDraw),
    cmocka_unit_test(TestAgainstTorchvision),
};

SUPPORT_MAIN(tests)
