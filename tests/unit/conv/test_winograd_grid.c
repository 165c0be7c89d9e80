/* The cut of an image into tiles: every output in one tile, every tap of it at its place, both ways, odd sizes too. */
#include "conv/winograd_grid.h"

#include "conv/winograd_transform.h"
#include "support/support.h"

/* Along one dimension: whether output `out` reads at a tap at all, of an endless image, and which pixel. */
static PetscBool Reads(const CordsConvShape *s, PetscBool adjoint, PetscInt pad, PetscInt out, PetscInt tap,
                       PetscInt *pixel)
{
  const PetscInt times = adjoint ? out + pad - tap : out * s->stride + tap - pad;

  *pixel = adjoint ? times / s->stride : times;
  return (PetscBool)(!adjoint || times % s->stride == 0);
}

/* Where in a tile's inputs output number `out` of a tile finds it. */
static PetscInt InTile(PetscInt stride, PetscBool adjoint, PetscInt out, PetscInt tap)
{
  if (!adjoint) return stride * out + tap;
  return stride == 1 ? out + 2 - tap : (out + 1 - tap) / 2;
}

/* Every output is in one tile, and what it reads is in this tile at the place that the output's place says. */
static void CheckGrid(const CordsConvShape *s, CordsWinogradKind kind, PetscBool adjoint)
{
  const CordsWinogradSize *size = CordsWinogradSizeOf(kind, adjoint);
  const PetscInt in_columns = adjoint ? s->out_columns : s->in_columns, in_rows = adjoint ? s->out_rows : s->in_rows;
  const PetscInt out_columns = adjoint ? s->in_columns : s->out_columns;
  PetscInt seen = 0;
  CordsWinogradGrid grid;

  SupportCall(CordsWinogradGridCreate(s, kind, adjoint, &grid));
  for (PetscInt tile = 0; tile < grid.tiles; tile++) {
    const int32_t *inputs = grid.inputs + tile * size->inputs;
    for (PetscInt p = 0; p < size->outputs; p++) {
      const PetscInt pixel = grid.outputs[tile * size->outputs + p];
      if (pixel < 0) continue;
      seen++;
      for (PetscInt tap = 0; tap < 9; tap++) {
        PetscInt i, j, expected, at;
        if (!Reads(s, adjoint, s->pad_top, pixel / out_columns, tap / 3, &i)) continue;
        if (!Reads(s, adjoint, s->pad_left, pixel % out_columns, tap % 3, &j)) continue;
        expected = i < 0 || i >= in_rows || j < 0 || j >= in_columns ? -1 : i * in_columns + j;
        at = InTile(s->stride, adjoint, p / size->output, tap / 3) * size->input +
             InTile(s->stride, adjoint, p % size->output, tap % 3);
        assert_int_equal(inputs[at], expected);
      }
    }
  }
  assert_int_equal(seen, grid.out_pixels);
  SupportCall(CordsWinogradGridDestroy(&grid));
}

static void TestGrids(void **state)
{
  static const PetscInt sizes[][2] = {{4, 4}, {7, 5}, {1, 1}, {2, 9}, {12, 11}};

  static const CordsWinogradKind kinds[] = {CORDS_WINOGRAD_F2, CORDS_WINOGRAD_F4, CORDS_WINOGRAD_STRIDE2};
  const size_t kind_count = PETSC_STATIC_ARRAY_LENGTH(kinds);

  for (size_t k = 0; k < kind_count * PETSC_STATIC_ARRAY_LENGTH(sizes); k++) {
    const CordsWinogradKind kind = kinds[k % kind_count];
    const PetscInt *size = sizes[k / kind_count], stride = CordsWinogradSizeOf(kind, PETSC_FALSE)->stride;
    CordsConvShape shape = CordsConvShapeSame(size[0], size[1], 16, 16, 3, stride), tile = shape;
    CheckGrid(&shape, kind, PETSC_FALSE);
    CheckGrid(&shape, kind, PETSC_TRUE);
    /* a tile of a larger image: real rows where padding was */
    tile.in_rows += 1, tile.pad_top = 0;
    tile.in_columns += 2, tile.pad_left = tile.pad_right = 0;
    CheckGrid(&tile, kind, PETSC_FALSE);
    CheckGrid(&tile, kind, PETSC_TRUE);
    /* back from a tile: outputs that begin before its inputs do */
    tile.pad_left = 2;
    CheckGrid(&tile, kind, PETSC_TRUE);
  }
}

static const struct CMUnitTest tests[] = {cmocka_unit_test(TestGrids)};
SUPPORT_MAIN(tests)
