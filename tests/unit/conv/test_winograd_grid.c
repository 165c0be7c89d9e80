/* The cut of an image into tiles: every output in one tile, every tap of it at its place, both ways, odd sizes too. */
#include "conv/winograd_grid.h"

#include "conv/winograd_transform.h"
#include "support/support.h"

static void CheckGrid(const CordsConvShape *s, PetscBool adjoint)
{
  const PetscInt in_columns = adjoint ? s->out_columns : s->in_columns, in_rows = adjoint ? s->out_rows : s->in_rows;
  const PetscInt out_columns = adjoint ? s->in_columns : s->out_columns;
  PetscInt seen = 0;
  CordsWinogradGrid grid;

  SupportCall(CordsWinogradGridCreate(s, adjoint, &grid));
  for (PetscInt tile = 0; tile < grid.tiles; tile++) {
    const int32_t *inputs = grid.inputs + tile * CORDS_WINOGRAD_PLACES;
    for (PetscInt p = 0; p < CORDS_WINOGRAD_OUTPUTS; p++) {
      PetscInt pixel = grid.outputs[tile * CORDS_WINOGRAD_OUTPUTS + p];
      if (pixel < 0) continue;
      seen++;
      for (PetscInt tap = 0; tap < 9; tap++) {
        /* backwards the kernel is turned: tap (a, b) here is (2 − a, 2 − b) there */
        PetscInt a = tap / 3, b = tap % 3, row = pixel / out_columns, column = pixel % out_columns;
        PetscInt i = adjoint ? row + s->pad_top - (2 - a) : row + a - s->pad_top;
        PetscInt j = adjoint ? column + s->pad_left - (2 - b) : column + b - s->pad_left;
        PetscInt expected = i < 0 || i >= in_rows || j < 0 || j >= in_columns ? -1 : i * in_columns + j;
        assert_int_equal(inputs[(p / 2 + a) * 4 + p % 2 + b], expected);
      }
    }
  }
  assert_int_equal(seen, grid.out_pixels);
  SupportCall(CordsWinogradGridDestroy(&grid));
}

static void TestGrids(void **state)
{
  static const PetscInt sizes[][2] = {{4, 4}, {7, 5}, {1, 1}, {2, 9}};

  for (size_t k = 0; k < PETSC_STATIC_ARRAY_LENGTH(sizes); k++) {
    CordsConvShape shape = CordsConvShapeSame(sizes[k][0], sizes[k][1], 16, 16, 3, 1), tile = shape;
    CheckGrid(&shape, PETSC_FALSE);
    CheckGrid(&shape, PETSC_TRUE);
    /* a tile of a larger image: real rows where padding was */
    tile.in_rows += 1, tile.pad_top = 0;
    tile.in_columns += 2, tile.pad_left = tile.pad_right = 0;
    CheckGrid(&tile, PETSC_FALSE);
    CheckGrid(&tile, PETSC_TRUE);
  }
}

static const struct CMUnitTest tests[] = {cmocka_unit_test(TestGrids)};
SUPPORT_MAIN(tests)
