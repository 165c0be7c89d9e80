#include "conv/winograd_tiles.h"

#include "conv/route.h"
#include "conv/vector_types.h"

CordsWinogradTiles CordsWinogradTilesOf(const CordsWinogradGrid *grid, const CordsWinogradTransform *transform,
                                        CordsType type, CordsConvPart part, PetscInt n, const void *x,
                                        const void *zeros, const CordsFinish *finish)
{
  const PetscBool early = (PetscBool)(part == CORDS_PART_EARLY);
  const PetscInt start = part == CORDS_PART_LATE ? grid->early : 0, count = (early ? grid->early : grid->tiles) - start;

  return (CordsWinogradTiles){.grid = grid,
                              .transform = transform,
                              .operations = CordsTileOperationsOf(type),
                              .lanes = CordsVectorLanes(type),
                              .finish = finish,
                              .x = x,
                              .zeros = zeros,
                              .inputs = early ? grid->early_inputs : grid->inputs,
                              .in_pixels = early ? grid->early_pixels : grid->in_pixels,
                              .pixel_bytes = (size_t)grid->in_channels * CordsTypeSize(type),
                              .start = start,
                              .count = count,
                              .all = (PetscInt64)n * count};
}

void CordsWinogradTilesInput(const CordsWinogradTiles *t, PetscInt64 tile, PetscInt first, PetscInt channels, void *to,
                             size_t place_bytes)
{
  const PetscInt inputs = t->grid->size->inputs, at = t->start + (PetscInt)(tile % t->count);
  const size_t skipped = (size_t)first * (t->pixel_bytes / (size_t)t->grid->in_channels);
  const char *image = t->x + (size_t)(tile / t->count) * (size_t)t->in_pixels * t->pixel_bytes + skipped;
  const void *pixels[CORDS_WINOGRAD_INPUTS_MAX];

  CordsWinogradAddresses(t->inputs + at * inputs, inputs, image, t->pixel_bytes, t->zeros, pixels);
  t->transform->input(pixels, channels, to, place_bytes);
}

void CordsWinogradTilesFinish(const CordsWinogradTiles *t, PetscInt64 tile, PetscInt vector, PetscInt width,
                              const void *products, size_t place_bytes)
{
  const CordsWinogradGrid *g = t->grid;
  const PetscInt item = (PetscInt)(tile / t->count), outputs = g->size->outputs;
  const PetscInt channel = vector * t->lanes;
  const int32_t *pixels = g->outputs + (t->start + (PetscInt)(tile % t->count)) * outputs;
  const size_t at = (size_t)item * g->out_pixels, start_at = (size_t)(item % t->finish->period) * g->out_pixels;
  _Alignas(64) char sums[CORDS_WINOGRAD_OUTPUTS_MAX * CORDS_ROUTE_WIDTH_MAX * CORDS_VECTOR_BYTES];
  CordsTilePixel where[CORDS_WINOGRAD_OUTPUTS_MAX];
  PetscInt inside = 0;

  t->transform->output(products, place_bytes, width, sums);
  for (PetscInt p = 0; p < outputs; p++) {
    where[p] = (CordsTilePixel){at + pixels[p], start_at + pixels[p]};
    inside += pixels[p] >= 0;
  }
  if (inside == outputs) {
    t->operations->finish(t->finish, outputs, width, where, g->out_channels, channel, sums);
    return;
  }
  for (PetscInt p = 0; p < outputs; p++) {
    if (pixels[p] >= 0)
      t->operations->finish(t->finish, 1, width, &where[p], g->out_channels, channel,
                            sums + (size_t)(p * width) * CORDS_VECTOR_BYTES);
  }
}
