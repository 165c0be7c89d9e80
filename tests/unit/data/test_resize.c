/* Resizing gives PyTorch's numbers. */
#include "support/support.h"

#include "data/resize.h"

#include <stdlib.h>

static void Resize(PetscInt rows_in, PetscInt columns_in, PetscInt rows_out, PetscInt columns_out, PetscInt channels,
                   const float *input, float *output)
{
  CordsResize resize;
  float *work;

  resize = CordsResizeCreate(rows_in, columns_in, rows_out, columns_out);
  assert_non_null(resize);
  work = malloc(CordsResizeWorkSize(resize, channels) * sizeof *work);
  CordsResizeApply(resize, channels, input, output, work);
  free(work);
  CordsResizeDestroy(&resize);
}

/* 2 → 4: centres of the output at −1/4, 1/4, 3/4, 5/4 of the input's pixel numbers, the ends held:
   0, 1/4, 3/4, 1 of the way from the first to the second pixel. */
static void TestEnlarge(void **state)
{
  const float input[2] = {1, 5}, expected[4] = {1, 2, 4, 5};
  float output[4];

  Resize(1, 2, 1, 4, 1, input, output);
  SupportCompareF32("enlarged row", 4, output, expected, 1e-6);
  Resize(2, 1, 4, 1, 1, input, output);
  SupportCompareF32("enlarged column", 4, output, expected, 1e-6);
}

/* 4 → 2: scale 2, centres at 1 and 3 (pixel j has its centre at j + 1/2), triangle of half width 2.
   Output 0: distances 1/2, 1/2, 3/2 of pixels 0, 1, 2: weights 3/4, 3/4, 1/4 of 7/4 = 3/7, 3/7, 1/7. */
static void TestShrink(void **state)
{
  const float input[4] = {7, 0, 14, 21}, expected[2] = {(3 * 7 + 14) / 7.f, (0 + 3 * 14 + 3 * 21) / 7.f};
  float output[2];

  Resize(1, 4, 1, 2, 1, input, output);
  SupportCompareF32("shrunk row", 2, output, expected, 1e-6);
}

/* Both sides at once, one up and one down, two channels that must not touch: 2 × 4 → 4 × 2 of a product of the two
   cases above. */
static void TestSeparable(void **state)
{
  const float down[2] = {1, 5}, along[4] = {7, 0, 14, 21}, down_out[4] = {1, 2, 4, 5}, along_out[2] = {5, 15};
  float input[2 * 4 * 2], expected[4 * 2 * 2], output[4 * 2 * 2];

  for (int i = 0; i < 8; i++) {
    input[2 * i] = down[i / 4] * along[i % 4];
    input[2 * i + 1] = -1;
    expected[2 * i] = down_out[i / 2] * along_out[i % 2];
    expected[2 * i + 1] = -1;
  }
  Resize(2, 4, 4, 2, 2, input, output);
  SupportCompareF32("rows up, columns down", 16, output, expected, 1e-6);
}

/* A constant stays, and the same size is an exact copy. */
static void TestConstant(void **state)
{
  const PetscInt sizes[][4] = {{28, 28, 224, 224}, {28, 28, 9, 13}, {5, 7, 5, 8}, {1, 1, 3, 4}, {30, 30, 1, 1}};
  float input[900], *output = malloc(224 * 224 * sizeof *output);

  for (int s = 0; s < 5; s++) {
    for (int i = 0; i < 900; i++) input[i] = .75f;
    Resize(sizes[s][0], sizes[s][1], sizes[s][2], sizes[s][3], 1, input, output);
    for (PetscInt i = 0; i < sizes[s][2] * sizes[s][3]; i++) assert_float_equal(output[i], .75f, 1e-6f);
  }
  SupportFillF32(1, 900, input);
  Resize(30, 10, 30, 10, 3, input, output);
  assert_memory_equal(input, output, sizeof input);
  free(output);
}

/* Bilinear interpolation of a plane is the plane, away from the ends (which are held when enlarging). */
static void TestPlane(void **state)
{
  float input[28 * 28], *output = malloc(224 * 224 * sizeof *output);

  for (int i = 0; i < 28 * 28; i++) input[i] = (float)(2 * (i / 28) + i % 28);
  Resize(28, 28, 224, 224, 1, input, output);
  for (int row = 4; row < 220; row++)
    for (int column = 4; column < 220; column++)
      assert_float_equal(output[row * 224 + column], 2 * ((row + .5f) / 8 - .5f) + (column + .5f) / 8 - .5f, 1e-4f);
  free(output);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(TestEnlarge),  cmocka_unit_test(TestShrink), cmocka_unit_test(TestSeparable),
    cmocka_unit_test(TestConstant), cmocka_unit_test(TestPlane),
};

SUPPORT_MAIN(tests)
