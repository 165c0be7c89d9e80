/* dU[place] = Σ_tiles (Bᵀ x B)[place] ⊗ (A dy Aᵀ)[place]: 16 sums of outer products, and dw += Gᵀ dU G at the end.

   CORDS_OUTER_PIXELS tiles at a time, a chunk, are transformed by all threads together; then they share the tiles of
   dU.  bf16 multiplies pairs: tiles 2k and 2k + 1 of a chunk make a pair, a missing last one is zero.  Every sum is
   done by one thread in one order. */
#include "conv/winograd_weights.h"

#include "conv/outer_tile.h"
#include "conv/register_tile.h"
#include "conv/route.h"
#include "conv/scratch.h"
#include "conv/vector_types.h"
#include "conv/winograd_transform.h"

#include <omp.h>
#include <string.h>

typedef struct {
  const CordsWinogradGrid *grid;
  const CordsWinogradTransform *transform;
  const CordsOuterFunction (*outer)[CORDS_OUTER_CHANNELS_MAX];
  size_t element_size, unit_size; /* the latter of a NUMBER too */
  PetscInt lanes, together;       /* tiles in a unit */
  const char *x, *dy;
  const void *zeros;
  PetscInt chunk; /* tiles */
  char *inputs;   /* UNITs [place][group of tiles][in channel] */
  char *panels;   /* UNITs [place][block of out channels][group of tiles][lanes of the block] */
  size_t input_place, panel_place, du_bytes;
  char *du; /* NUMBERs [place][in][out] */
} Work;

/* Tile `tile` of all items as number k of the chunk; groups: in the chunk.  A tile beyond the last is zero. */
static void TransformTile(const Work *w, PetscInt64 tile, PetscInt64 all, PetscInt k, PetscInt groups)
{
  const CordsWinogradGrid *g = w->grid;
  const PetscInt64 item = tile / g->tiles, at = tile % g->tiles;
  const size_t in_bytes = (size_t)g->in_channels * w->element_size;
  const size_t out_bytes = (size_t)g->out_channels * w->element_size;
  const PetscInt group = k / w->together, half = k % w->together;
  const void *pixels[CORDS_WINOGRAD_PLACES], *outputs[CORDS_WINOGRAD_OUTPUTS];

  for (int p = 0; p < CORDS_WINOGRAD_PLACES; p++) pixels[p] = w->zeros;
  for (int p = 0; p < CORDS_WINOGRAD_OUTPUTS; p++) outputs[p] = w->zeros;
  if (tile < all) {
    CordsWinogradAddresses(g->inputs + at * CORDS_WINOGRAD_PLACES, CORDS_WINOGRAD_PLACES,
                           w->x + (size_t)item * g->in_pixels * in_bytes, in_bytes, w->zeros, pixels);
    CordsWinogradAddresses(g->outputs + at * CORDS_WINOGRAD_OUTPUTS, CORDS_WINOGRAD_OUTPUTS,
                           w->dy + (size_t)item * g->out_pixels * out_bytes, out_bytes, w->zeros, outputs);
  }
  w->transform->input_units(pixels, g->in_channels, half, w->inputs + (size_t)group * g->in_channels * w->unit_size,
                            w->input_place);
  for (PetscInt first = 0, channels; first < g->out_channels; first += channels) {
    channels = w->lanes << CordsRouteLogWidth((g->out_channels - first) / w->lanes);
    w->transform->gradient_units(outputs, first, channels, half,
                                 w->panels + ((size_t)first * groups + (size_t)group * channels) * w->unit_size,
                                 w->panel_place);
  }
}

/* Products of the chunk for input channels c .. next − 1 and all output channels of a place. */
static void MultiplyChannels(const Work *w, PetscInt place, PetscInt groups, const void *const *rows, PetscInt c,
                             PetscInt next)
{
  const CordsWinogradGrid *g = w->grid;
  const char *panels = w->panels + place * w->panel_place;
  char *du = w->du + ((size_t)place * g->in_channels + c) * g->out_channels * w->unit_size;

  for (PetscInt first = 0, log_width; first < g->out_channels; first += w->lanes << log_width) {
    log_width = CordsRouteLogWidth((g->out_channels - first) / w->lanes);
    w->outer[log_width][next - c - 1](groups, rows, c, panels + (size_t)first * groups * w->unit_size,
                                      du + (size_t)first * w->unit_size, (size_t)g->out_channels, w->lanes);
  }
}

/* Share `thread` of `team` of the products of a chunk. */
static void Multiply(const Work *w, PetscInt groups, PetscInt thread, PetscInt team)
{
  const PetscInt channels = w->grid->in_channels;
  const PetscInt parts = (channels + CORDS_OUTER_CHANNELS_MAX - 1) / CORDS_OUTER_CHANNELS_MAX;
  const PetscInt count = CORDS_WINOGRAD_PLACES * parts;
  const void *rows[CORDS_OUTER_PIXELS];
  PetscInt filled = -1;

  for (PetscInt k = thread * count / team; k < (thread + 1) * count / team; k++) {
    const PetscInt place = k / parts, part = k % parts;
    if (filled != place) {
      for (PetscInt t = 0; t < groups; t++)
        rows[t] = w->inputs + place * w->input_place + (size_t)t * channels * w->unit_size;
      filled = place;
    }
    MultiplyChannels(w, place, groups, rows, part * channels / parts, (part + 1) * channels / parts);
  }
}

static void RunThread(const Work *w, PetscInt64 all)
{
  const PetscInt thread = omp_get_thread_num(), team = omp_get_num_threads();

  for (PetscInt64 first = 0; first < all; first += w->chunk) {
    const PetscInt count = (PetscInt)PetscMin(w->chunk, all - first);
    const PetscInt groups = (count + w->together - 1) / w->together;
    const PetscInt begin = thread * groups / team * w->together, end = (thread + 1) * groups / team * w->together;
    for (PetscInt k = begin; k < end; k++) TransformTile(w, first + k, all, k, groups);
#pragma omp barrier
    Multiply(w, groups, thread, team);
#pragma omp barrier
  }
}

/* Chunk, sizes and places of a call for `all` tiles; returns the bytes of its memory. */
static size_t Measure(Work *w, PetscInt64 all)
{
  const CordsWinogradGrid *g = w->grid;
  size_t groups;

  w->chunk = (PetscInt)PetscMin(CORDS_OUTER_PIXELS, (all + 1) / 2 * 2);
  groups = (size_t)(w->chunk / w->together);
  w->input_place = CordsWinogradPlaceBytes(groups * g->in_channels * w->unit_size);
  w->panel_place = CordsWinogradPlaceBytes(groups * g->out_channels * w->unit_size);
  w->du_bytes = (size_t)CORDS_WINOGRAD_PLACES * g->in_channels * g->out_channels * w->unit_size;
  return CORDS_WINOGRAD_PLACES * (w->input_place + w->panel_place) + w->du_bytes;
}

static PetscErrorCode Prepare(Work *w, PetscInt64 all)
{
  const size_t bytes = Measure(w, all);

  PetscFunctionBegin;
  PetscCall(CordsScratchGet(bytes, &w->inputs));
  w->panels = w->inputs + CORDS_WINOGRAD_PLACES * w->input_place;
  w->du = w->panels + CORDS_WINOGRAD_PLACES * w->panel_place;
  memset(w->du, 0, w->du_bytes);
  PetscFunctionReturn(PETSC_SUCCESS);
}

static Work Start(const CordsWinogradGrid *grid, CordsType type)
{
  return (Work){.grid = grid,
                .transform = CordsWinogradTransformOf(type),
                .outer = CordsOuterTiles(type),
                .element_size = CordsTypeSize(type),
                .unit_size = CordsUnitSize(type),
                .lanes = CordsVectorLanes(type),
                .together = type == CORDS_BF16 ? 2 : 1};
}

double CordsWinogradWeightsBytes(const CordsWinogradGrid *grid, CordsType type)
{
  Work w = Start(grid, type);

  return (double)Measure(&w, CORDS_OUTER_PIXELS);
}

PetscErrorCode CordsWinogradBackwardWeights(const CordsWinogradGrid *grid, CordsType type, PetscInt n, const void *x,
                                            const void *dy, const void *zeros, void *dw)
{
  const PetscInt64 all = (PetscInt64)n * grid->tiles;
  const size_t numbers = (size_t)grid->in_channels * grid->out_channels;
  const double operations = 2.0 * CORDS_WINOGRAD_PLACES * (double)all * (double)numbers;
  const int threads = CordsTileThreads(operations);
  Work w = Start(grid, type);

  PetscFunctionBegin;
  w.x = x, w.dy = dy, w.zeros = zeros;
  PetscCall(Prepare(&w, all));
#pragma omp parallel num_threads(threads) if (threads > 1)
  {
    const size_t vectors = numbers / w.lanes, thread = omp_get_thread_num(), team = omp_get_num_threads();
    RunThread(&w, all);
    w.transform->weights_gradient(w.du, numbers, thread * vectors / team * w.lanes,
                                  (thread + 1) * vectors / team * w.lanes, dw);
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}
