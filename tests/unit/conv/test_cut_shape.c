/* Parts of a convolution: every tap of every own output that lies in the map is in the window, borders are not
   negative, and the parts of all ranks cover both maps once. */
#include "conv/cut_shape.h"

#include "support/support.h"

typedef struct {
  PetscInt rows, columns, kernel, stride;
} Case;

static const Case cases[] = {{56, 56, 3, 1}, {57, 43, 3, 1}, {57, 43, 3, 2},   {7, 7, 3, 1},
                             {7, 7, 1, 2},   {8, 9, 1, 2},   {112, 112, 3, 2}, {224, 224, 7, 2},
                             {13, 5, 5, 1},  {3, 3, 3, 2},   {2, 1, 3, 1},     {9, 9, 1, 1}};
static const PetscInt grids[][2] = {{1, 1}, {2, 1}, {1, 3}, {3, 2}, {4, 4}, {8, 1}};

/* Taps of a line that own outputs read in the map, through the window. */
static void CheckLine(PetscInt own_start, PetscInt own_count, PetscInt window_start, PetscInt window_count,
                      PetscInt before, PetscInt after, PetscInt length, PetscInt kernel, PetscInt stride, PetscInt pad)
{
  for (PetscInt o = 0; o < own_count; o++) {
    for (PetscInt tap = 0; tap < kernel; tap++) {
      const PetscInt in_map = (own_start + o) * stride - pad + tap, in_window = o * stride - before + tap;
      const int inside = in_map >= 0 && in_map < length;
      assert_int_equal(in_window >= 0 && in_window < window_count, inside);
      if (inside) assert_int_equal(in_window + window_start, in_map);
      assert_true(in_window < window_count + after);
    }
  }
}

/* Own inputs that outputs of the window read, through the adjoint's shape: all, at the same taps. */
static void CheckAdjointLine(PetscInt own_start, PetscInt own_count, PetscInt window_start, PetscInt window_count,
                             PetscInt before, PetscInt out, PetscInt kernel, PetscInt stride, PetscInt pad)
{
  for (PetscInt o = 0; o < out; o++) {
    for (PetscInt tap = 0; tap < kernel; tap++) {
      const PetscInt in_map = o * stride - pad + tap;
      if (in_map < own_start || in_map >= own_start + own_count) continue;
      assert_true(o >= window_start && o < window_start + window_count);
      assert_int_equal((o - window_start) * stride - before + tap, in_map - own_start);
    }
  }
}

static void CheckPart(const Case *c, const CordsConvShape *whole, const CordsCutShape *cut)
{
  const CordsConvShape *f = &cut->forward, *a = &cut->adjoint;
  const PetscInt pad = (c->kernel - 1) / 2;

  assert_true(f->pad_top >= 0 && f->pad_left >= 0 && f->pad_bottom >= 0 && f->pad_right >= 0);
  assert_int_equal(CordsCutHasForward(cut), CordsBoxPixels(&cut->out) > 0);
  assert_int_equal(CordsCutHasAdjoint(cut), CordsBoxPixels(&cut->in) > 0);
  if (CordsCutHasForward(cut)) {
    CheckLine(cut->out.row_start, cut->out.row_count, cut->in_window.row_start, cut->in_window.row_count, f->pad_top,
              f->pad_bottom, c->rows, c->kernel, c->stride, pad);
    CheckLine(cut->out.column_start, cut->out.column_count, cut->in_window.column_start, cut->in_window.column_count,
              f->pad_left, f->pad_right, c->columns, c->kernel, c->stride, pad);
  }
  if (CordsCutHasAdjoint(cut)) {
    assert_true(a->pad_top >= 0 && a->pad_left >= 0 && a->pad_bottom >= 0 && a->pad_right >= 0);
    assert_true(cut->out_window.row_start + cut->out_window.row_count <= whole->out_rows);
    CheckAdjointLine(cut->in.row_start, cut->in.row_count, cut->out_window.row_start, cut->out_window.row_count,
                     a->pad_top, whole->out_rows, c->kernel, c->stride, pad);
    CheckAdjointLine(cut->in.column_start, cut->in.column_count, cut->out_window.column_start,
                     cut->out_window.column_count, a->pad_left, whole->out_columns, c->kernel, c->stride, pad);
  }
}

static void TestParts(void **state)
{
  for (size_t k = 0; k < PETSC_STATIC_ARRAY_LENGTH(cases); k++) {
    const Case *c = &cases[k];
    const CordsConvShape whole = CordsConvShapeSame(c->rows, c->columns, 2, 3, c->kernel, c->stride);
    for (size_t g = 0; g < PETSC_STATIC_ARRAY_LENGTH(grids); g++) {
      PetscInt in = 0, out = 0;
      for (PetscInt rank = 0; rank < grids[g][0] * grids[g][1]; rank++) {
        const CordsCutShape cut = CordsCutShapeOf(&whole, grids[g][0], grids[g][1], rank);
        CheckPart(c, &whole, &cut);
        in += CordsBoxPixels(&cut.in);
        out += CordsBoxPixels(&cut.out);
      }
      assert_int_equal(in, c->rows * c->columns);
      assert_int_equal(out, whole.out_rows * whole.out_columns);
    }
  }
}

static const struct CMUnitTest tests[] = {cmocka_unit_test(TestParts)};
SUPPORT_MAIN(tests)
