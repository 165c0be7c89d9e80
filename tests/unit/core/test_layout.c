/* Cutting maps over ranks: every pixel has one owner, parts differ by at most one row or column. */
#include "support/support.h"

#include "core/layout.h"

static void CheckCut(PetscInt rows, PetscInt columns, PetscInt grid_rows, PetscInt grid_columns)
{
  enum { SIDE = 16 };
  int owners[SIDE][SIDE] = {{0}};
  PetscInt smallest = SIDE, largest = 0, numbers = 0;

  for (PetscInt rank = 0; rank < grid_rows * grid_columns; rank++) {
    CordsLayout part = CordsLayoutCut(rows, columns, 3, grid_rows, grid_columns, rank);
    assert_int_equal(part.rows, rows);
    assert_int_equal(part.columns, columns);
    assert_int_equal(part.channels, 3);
    smallest = PetscMin(smallest, part.row_count);
    largest = PetscMax(largest, part.row_count);
    numbers += CordsLayoutLocalSize(&part);
    for (PetscInt i = part.row_start; i < part.row_start + part.row_count; i++) {
      for (PetscInt j = part.column_start; j < part.column_start + part.column_count; j++) owners[i][j]++;
    }
  }
  assert_int_equal(numbers, rows * columns * 3);
  assert_true(largest - smallest <= 1);
  for (PetscInt i = 0; i < rows; i++) {
    for (PetscInt j = 0; j < columns; j++) assert_int_equal(owners[i][j], 1);
  }
}

static void TestCuts(void **state)
{
  CheckCut(7, 5, 1, 1);
  CheckCut(7, 5, 2, 1);
  CheckCut(7, 5, 3, 2);
  CheckCut(2, 3, 4, 2); /* ranks that own nothing */
  CheckCut(16, 16, 4, 4);
}

/* Ranks are numbered along the rows of the grid, parts are in order. */
static void TestOrder(void **state)
{
  CordsLayout part = CordsLayoutCut(5, 4, 1, 2, 2, 1);

  assert_int_equal(part.row_start, 0);
  assert_int_equal(part.row_count, 3);
  assert_int_equal(part.column_start, 2);
  part = CordsLayoutCut(5, 4, 1, 2, 2, 2);
  assert_int_equal(part.row_start, 3);
  assert_int_equal(part.row_count, 2);
  assert_int_equal(part.column_start, 0);
}

static void TestWhole(void **state)
{
  CordsLayout part = CordsLayoutOf(&support_context, 6, 7, 2);

  assert_int_equal(CordsLayoutLocalSize(&part), 84);
}

static const struct CMUnitTest tests[] = {cmocka_unit_test(TestCuts), cmocka_unit_test(TestOrder),
                                          cmocka_unit_test(TestWhole)};
SUPPORT_MAIN(tests)
