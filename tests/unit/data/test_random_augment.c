/* Which operations are drawn; the operations themselves are tested in tests/tables/test_operations.c. */
#include "support/support.h"

#include "data/random_augment.h"

#include <math.h>
#include <stdlib.h>

/* enough pixels for Equalize to do something */
enum { ROWS = 30, COLUMNS = 20, SIZE = ROWS * COLUMNS * 3 };

static const CordsImageShape shape = {ROWS, COLUMNS, 3};

static CordsRandomKey Key(uint64_t sample)
{
  return (CordsRandomKey){.seed = 7, .purpose = CORDS_RANDOM_AUGMENT, .epoch = 3, .sample = sample};
}

static void Fill(uint8_t *image)
{
  for (int i = 0; i < SIZE; i++) image[i] = (uint8_t)(20 + (i * 71) % 200);
}

static void TestMagnitudes(void **state)
{
  const CordsOperationType operation = {.weakest = 255, .strongest = 0};

  assert_true(CordsOperationMagnitude(&operation, 0, 31) == 255);
  assert_true(CordsOperationMagnitude(&operation, 9, 31) == 178.5);
  assert_true(CordsOperationMagnitude(&operation, 30, 31) == 0);
}

/* Each image is some operation with some sign: all of them appear, equally often, signed ones with both signs. */
static void TestAllAppear(void **state)
{
  const CordsRandomAugment once = {.count = 1, .level = 9, .levels = 31};
  const PetscInt operations = CordsOperationCount();
  const int images = 400 * (int)operations;
  int *seen = calloc(2 * (size_t)operations, sizeof *seen);
  uint8_t image[SIZE], expected[SIZE], work[SIZE + 64];

  assert_true(CordsRandomAugmentWorkBytes(shape) <= sizeof work);
  for (int i = 0; i < images; i++) {
    PetscBool known = PETSC_FALSE;

    Fill(image);
    CordsRandomAugmentApply(&once, shape, Key((uint64_t)i), image, work);
    for (PetscInt k = 0; k < 2 * operations && !known; k++) {
      const CordsOperationType *operation = CordsOperationGet(k / 2);
      double magnitude = CordsOperationMagnitude(operation, 9, 31);

      if (k % 2 && !operation->is_signed) continue;
      Fill(expected);
      operation->apply(shape, k % 2 ? -magnitude : magnitude, expected, work);
      known = (PetscBool)(memcmp(image, expected, SIZE) == 0);
      seen[k] += known;
    }
    assert_true(known);
  }
  for (PetscInt k = 0; k < operations; k++) {
    PetscBool is_signed = CordsOperationGet(k)->is_signed;
    /* 400 ± 5 standard deviations, or 200 of each sign */
    assert_in_range(seen[2 * k], is_signed ? 130 : 300, is_signed ? 270 : 500);
    assert_in_range(seen[2 * k + 1], is_signed ? 130 : 0, is_signed ? 270 : 0);
  }
  free(seen);
}

/* Two operations one after the other, of which the first is the one of a count of one. */
static void TestTwo(void **state)
{
  const CordsRandomAugment none = {.level = 9, .levels = 31}, once = {.count = 1, .level = 9, .levels = 31},
                           twice = {.count = 2, .level = 9, .levels = 31};
  uint8_t original[SIZE], first[SIZE], both[SIZE], again[SIZE], work[SIZE + 64];
  int different = 0;

  for (uint64_t i = 0; i < 50; i++) {
    Fill(original);
    Fill(first);
    Fill(both);
    Fill(again);
    CordsRandomAugmentApply(&none, shape, Key(i), first, work);
    assert_memory_equal(first, original, SIZE);
    CordsRandomAugmentApply(&once, shape, Key(i), first, work);
    CordsRandomAugmentApply(&twice, shape, Key(i), both, work);
    CordsRandomAugmentApply(&twice, shape, Key(i), again, work);
    assert_memory_equal(both, again, SIZE);
    different += memcmp(first, both, SIZE) != 0;
  }
  assert_true(different > 35); /* not where the second is Identity */
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(TestMagnitudes),
    cmocka_unit_test(TestAllAppear),
    cmocka_unit_test(TestTwo),
};

SUPPORT_MAIN(tests)
