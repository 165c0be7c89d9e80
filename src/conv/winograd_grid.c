#include "conv/winograd_grid.h"

#include "conv/winograd_transform.h"

/* size × size pixels from (row, column) on; −1 outside an image of rows × columns */
static void ListPixels(PetscInt row, PetscInt column, PetscInt size, PetscInt rows, PetscInt columns, int32_t *pixels)
{
  for (PetscInt k = 0; k < size * size; k++) {
    PetscInt i = row + k / size, j = column + k % size;
    pixels[k] = i < 0 || i >= rows || j < 0 || j >= columns ? -1 : (int32_t)(i * columns + j);
  }
}

PetscErrorCode CordsWinogradGridCreate(const CordsConvShape *s, PetscBool adjoint, CordsWinogradGrid *grid)
{
  PetscInt in_rows = adjoint ? s->out_rows : s->in_rows, in_columns = adjoint ? s->out_columns : s->in_columns;
  PetscInt out_rows = adjoint ? s->in_rows : s->out_rows, out_columns = adjoint ? s->in_columns : s->out_columns;
  PetscInt pad_top = adjoint ? 2 - s->pad_top : s->pad_top, pad_left = adjoint ? 2 - s->pad_left : s->pad_left;
  PetscInt rows = (out_rows + 1) / 2, columns = (out_columns + 1) / 2;

  PetscFunctionBegin;
  *grid = (CordsWinogradGrid){0};
  grid->in_pixels = in_rows * in_columns;
  grid->in_columns = in_columns;
  grid->out_pixels = out_rows * out_columns;
  grid->in_channels = adjoint ? s->out_channels : s->in_channels;
  grid->out_channels = adjoint ? s->in_channels : s->out_channels;
  grid->tiles = rows * columns;
  PetscCall(PetscMalloc1(grid->tiles * CORDS_WINOGRAD_PLACES, &grid->inputs));
  PetscCall(PetscMalloc1(grid->tiles * CORDS_WINOGRAD_OUTPUTS, &grid->outputs));
  for (PetscInt tile = 0; tile < grid->tiles; tile++) {
    PetscInt row = tile / columns * 2, column = tile % columns * 2;
    ListPixels(row - pad_top, column - pad_left, 4, in_rows, in_columns, grid->inputs + tile * CORDS_WINOGRAD_PLACES);
    ListPixels(row, column, 2, out_rows, out_columns, grid->outputs + tile * CORDS_WINOGRAD_OUTPUTS);
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscBool ReadsInside(const int32_t *pixels, PetscInt in_columns, const CordsBox *box)
{
  for (PetscInt k = 0; k < CORDS_WINOGRAD_PLACES; k++) {
    if (pixels[k] >= 0 && CordsBoxPlace(box, pixels[k], in_columns) < 0) return PETSC_FALSE;
  }
  return PETSC_TRUE;
}

/* Those that read inside the box first. */
static PetscErrorCode SortTiles(CordsWinogradGrid *grid, const CordsBox *early)
{
  int32_t *inputs, *outputs;
  PetscInt placed = 0;

  PetscFunctionBegin;
  PetscCall(PetscMalloc1(grid->tiles * CORDS_WINOGRAD_PLACES, &inputs));
  PetscCall(PetscMalloc1(grid->tiles * CORDS_WINOGRAD_OUTPUTS, &outputs));
  for (int late = 0; late < 2; late++) {
    for (PetscInt tile = 0; tile < grid->tiles; tile++) {
      const int32_t *in = grid->inputs + tile * CORDS_WINOGRAD_PLACES;
      const int32_t *out = grid->outputs + tile * CORDS_WINOGRAD_OUTPUTS;
      if (ReadsInside(in, grid->in_columns, early) == (PetscBool)late) continue;
      PetscCall(PetscArraycpy(inputs + placed * CORDS_WINOGRAD_PLACES, in, CORDS_WINOGRAD_PLACES));
      PetscCall(PetscArraycpy(outputs + placed++ * CORDS_WINOGRAD_OUTPUTS, out, CORDS_WINOGRAD_OUTPUTS));
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
  PetscCall(PetscMalloc1(grid->early * CORDS_WINOGRAD_PLACES, &grid->early_inputs));
  for (PetscInt k = 0; k < grid->early * CORDS_WINOGRAD_PLACES; k++) {
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
