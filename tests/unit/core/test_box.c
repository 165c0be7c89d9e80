/* Boxes meet where intervals do, and copying between arrays of different boxes keeps every pixel in its place. */
#include "core/box.h"

#include "support/support.h"

static void TestIntersect(void **state)
{
  const CordsBox a = {0, 4, 2, 5}, b = {3, 6, 0, 3}, beside = {4, 2, 2, 5}, none = {0};
  const CordsBox both = CordsBoxIntersect(&a, &b), touching = CordsBoxIntersect(&a, &beside);

  assert_memory_equal(&both, (&(CordsBox){3, 1, 2, 1}), sizeof both);
  assert_memory_equal(&touching, &none, sizeof none);
  assert_int_equal(CordsBoxPixels(&a), 20);
}

static void TestCopy(void **state)
{
  const CordsBox from_box = {1, 3, 1, 4}, to_box = {0, 3, 2, 5}, box = CordsBoxIntersect(&from_box, &to_box);
  int from[2][3][4], to[2][3][5];

  for (int k = 0; k < 24; k++) ((int *)from)[k] = k;
  for (int k = 0; k < 30; k++) ((int *)to)[k] = -1;
  CordsBoxCopy(&box, 2, sizeof(int), &from_box, from, &to_box, to);
  for (int item = 0; item < 2; item++) {
    for (int row = 0; row < 3; row++) {
      for (int column = 2; column < 7; column++) {
        const int inside = row >= 1 && row < 3 && column >= 2 && column < 5;
        assert_int_equal(to[item][row][column - 2], inside ? from[item][row - 1][column - 1] : -1);
      }
    }
  }
}

static void TestCopyAround(void **state)
{
  const CordsBox box = {2, 4, 1, 5}, holes[] = {{3, 2, 2, 3}, {2, 4, 1, 5}, {2, 1, 3, 3}, {0, 0, 0, 0}};
  int from[2][4][5], to[2][4][5];

  for (int k = 0; k < 40; k++) ((int *)from)[k] = k;
  for (size_t h = 0; h < PETSC_STATIC_ARRAY_LENGTH(holes); h++) {
    for (int k = 0; k < 40; k++) ((int *)to)[k] = -1;
    CordsBoxCopyAround(&box, &holes[h], 2, sizeof(int), &box, from, &box, to);
    for (int k = 0; k < 40; k++) {
      const PetscBool in_hole = (PetscBool)(CordsBoxPlace(&holes[h], (k % 20 / 5 + 2) * 9 + k % 5 + 1, 9) >= 0);
      assert_int_equal(((int *)to)[k], in_hole ? -1 : k);
    }
  }
}

static const struct CMUnitTest tests[] = {cmocka_unit_test(TestIntersect), cmocka_unit_test(TestCopy),
                                          cmocka_unit_test(TestCopyAround)};
SUPPORT_MAIN(tests)
