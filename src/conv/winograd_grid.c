#include "conv/winograd_grid.h"

/* Tiles along one dimension: of the first, where its inputs and its outputs begin. */
typedef struct {
  PetscInt tiles, input, output;
} Line;

/* in, out, pad: of the shape, not of the direction. */
static Line CutLine(const CordsWinogradSize *size, PetscInt stride, PetscBool adjoint, PetscInt in, PetscInt out,
                    PetscInt pad)
{
  const PetscInt end = adjoint ? in : out;
  Line l = {0};

  if (!adjoint) {
    l.input = -pad;
  } else if (stride == 1) {
    l.input = pad - 2;
  } else { /* the first pixel of a tile is one that only the middle tap reads: it and pad make an odd number */
    l.output = pad % 2 == 0 ? -1 : 0;
    l.input = (l.output + pad - 1) / 2; /* even, so nothing is rounded */
  }
  l.tiles = (end - l.output + size->output - 1) / size->output;
  return l;
}

/* size × size pixels from (row, column) on; −1 outside an image of rows × columns */
static void ListPixels(PetscInt row, PetscInt column, PetscInt size, PetscInt rows, PetscInt columns, int32_t *pixels)
{
  for (PetscInt k = 0; k < size * size; k++) {
    PetscInt i = row + k / size, j = column + k % size;
    pixels[k] = i < 0 || i >= rows || j < 0 || j >= columns ? -1 : (int32_t)(i * columns + j);
  }
}

PetscErrorCode CordsWinogradGridCreate(const CordsConvShape *s, CordsWinogradKind kind, PetscBool adjoint,
                                       CordsWinogradGrid *grid)
{
  const CordsWinogradSize *size = CordsWinogradSizeOf(kind, adjoint);
  const Line rows = CutLine(size, s->stride, adjoint, s->in_rows, s->out_rows, s->pad_top);
  const Line columns = CutLine(size, s->stride, adjoint, s->in_columns, s->out_columns, s->pad_left);
  const PetscInt in_rows = adjoint ? s->out_rows : s->in_rows, in_columns = adjoint ? s->out_columns : s->in_columns;
  const PetscInt out_rows = adjoint ? s->in_rows : s->out_rows, out_columns = adjoint ? s->in_columns : s->out_columns;
  const PetscInt step = adjoint ? size->output / s->stride : size->output * s->stride; /* of inputs */

  PetscFunctionBegin;
  *grid = (CordsWinogradGrid){.kind = kind,
                              .size = size,
                              .in_pixels = in_rows * in_columns,
                              .in_columns = in_columns,
                              .in_channels = adjoint ? s->out_channels : s->in_channels,
                              .out_pixels = out_rows * out_columns,
                              .out_channels = adjoint ? s->in_channels : s->out_channels,
                              .tiles = rows.tiles * columns.tiles};
  PetscCall(PetscMalloc1(grid->tiles * size->inputs, &grid->inputs));
  PetscCall(PetscMalloc1(grid->tiles * size->outputs, &grid->outputs));
  for (PetscInt tile = 0; tile < grid->tiles; tile++) {
    const PetscInt i = tile / columns.tiles, j = tile % columns.tiles;
    ListPixels(rows.input + i * step, columns.input + j * step, size->input, in_rows, in_columns,
               grid->inputs + tile * size->inputs);
    ListPixels(rows.output + i * size->output, columns.output + j * size->output, size->output, out_rows, out_columns,
               grid->outputs + tile * size->outputs);
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscBool ReadsInside(const int32_t *pixels, PetscInt count, PetscInt in_columns, const CordsBox *box)
{
  for (PetscInt k = 0; k < count; k++) {
    if (pixels[k] >= 0 && CordsBoxPlace(box, pixels[k], in_columns) < 0) return PETSC_FALSE;
  }
  return PETSC_TRUE;
}

/* Those that read inside the box first. */
static PetscErrorCode SortTiles(CordsWinogradGrid *grid, const CordsBox *early)
{
  const PetscInt input_count = grid->size->inputs, output_count = grid->size->outputs;
  int32_t *inputs, *outputs;
  PetscInt placed = 0;

  PetscFunctionBegin;
  PetscCall(PetscMalloc1(grid->tiles * input_count, &inputs));
  PetscCall(PetscMalloc1(grid->tiles * output_count, &outputs));
  for (int late = 0; late < 2; late++) {
    for (PetscInt tile = 0; tile < grid->tiles; tile++) {
      const int32_t *in = grid->inputs + tile * input_count;
      const int32_t *out = grid->outputs + tile * output_count;
      if (ReadsInside(in, input_count, grid->in_columns, early) == (PetscBool)late) continue;
      PetscCall(PetscArraycpy(inputs + placed * input_count, in, input_count));
      PetscCall(PetscArraycpy(outputs + placed++ * output_count, out, output_count));
    }
    if (!late) grid->early = placed;
  }
  PetscCall(PetscFree(grid->inputs));
  PetscCall(PetscFree(grid->outputs));
  grid->inputs = inputs;
  grid->outputs = outputs;
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsWinogradGridDivide(CordsWinogradGrid *grid, const CordsBox *early)
{
  PetscFunctionBegin;
  PetscCall(SortTiles(grid, early));
  grid->early_pixels = CordsBoxPixels(early);
  PetscCall(PetscFree(grid->early_inputs));
  PetscCall(PetscMalloc1(grid->early * grid->size->inputs, &grid->early_inputs));
  for (PetscInt k = 0; k < grid->early * grid->size->inputs; k++) {
    const int32_t pixel = grid->inputs[k];
    grid->early_inputs[k] = pixel < 0 ? -1 : (int32_t)CordsBoxPlace(early, pixel, grid->in_columns);
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsWinogradGridDestroy(CordsWinogradGrid *grid)
{
  PetscFunctionBegin;
  PetscCall(PetscFree(grid->inputs));
  PetscCall(PetscFree(grid->outputs));
  PetscCall(PetscFree(grid->early_inputs));
  PetscFunctionReturn(PETSC_SUCCESS);
}
