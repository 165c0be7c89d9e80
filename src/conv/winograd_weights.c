/* dU[panel] = Σ_tiles (Bᵀ x B)[place] ⊗ (A dy Aᵀ)[place] over the places of the panel: sums of outer products, and
   dw += Gᵀ dU G at the end.

   dw is cut into blocks of input × output channels, and a thread does everything for a block alone: chunk by chunk it
   transforms the tiles, of the block's channels only, and multiplies.  All that a block needs besides x and dy stays
   near its core (with 1 MB of second-level cache other sizes of block were no faster); the price is that every block
   transforms its tiles again, a quarter to two fifths of the time.
   bf16 multiplies pairs: tiles 2k and 2k + 1 of a chunk make a pair, a missing last one is zero.  Every sum is done by
   one thread in one order. */
#include "conv/winograd_weights.h"

#include "conv/outer_tile.h"
#include "conv/register_tile.h"
#include "conv/route.h"
#include "conv/scratch.h"
#include "conv/vector_types.h"
#include "conv/winograd_transform.h"

#include <omp.h>
#include <string.h>

enum {
  BLOCK_CHANNELS = 128, /* input channels of the largest block */
  CHUNK_PLACES = 1024,  /* of its tiles; with a block of 128 × 64 channels 1.3 MB, of F4 1.9 MB */
  TILES_AHEAD = 2,      /* what they read is fetched while others are transformed */
  RING = 4              /* more than TILES_AHEAD */
};

typedef struct {
  const CordsWinogradGrid *grid;
  const CordsWinogradTransform *transform;
  const CordsOuterVectorFunction *outer;
  size_t element_size, unit_size; /* the latter of a NUMBER too */
  PetscInt lanes, together;       /* tiles in a unit */
  PetscInt chunk;                 /* tiles, in whole units */
  PetscInt in_vectors, out_vectors;
  PetscInt block_vectors, block_log_width; /* input and output vectors of a block, at most */
  size_t input_vector, input_place, gradient_place, du_panel, thread_bytes;
  PetscInt64 all; /* tiles of all items; they are numbered through */
  const char *early, *x, *dy;
  const void *zeros;
  void *dw;
} Work;

/* Vectors of channels of a block, and what its thread computes with. */
typedef struct {
  PetscInt in, in_count, out, log_width;
  char *inputs;    /* UNITs [place][vector of in channels][group of tiles][lanes] */
  char *gradients; /* UNITs [place][group of tiles][out channel] */
  char *du;        /* NUMBERs [panel][in channel][out channel] */
} Block;

static PetscInt LogWidth(const Work *w, PetscInt vector)
{
  return PetscMin(w->block_log_width, CordsRouteLogWidth(w->out_vectors - vector));
}

static PetscInt InBlocks(const Work *w)
{
  return (w->in_vectors + w->block_vectors - 1) / w->block_vectors;
}

static PetscInt BlockCount(const Work *w)
{
  PetscInt out_blocks = 0;

  for (PetscInt v = 0; v < w->out_vectors; v += 1 << LogWidth(w, v)) out_blocks++;
  return InBlocks(w) * out_blocks;
}

/* The largest blocks of which every thread gets one; wide ones suit the registers. */
static void CutBlocks(Work *w, PetscInt threads)
{
  w->block_vectors = PetscMin(w->in_vectors, BLOCK_CHANNELS / w->lanes);
  w->block_log_width = CordsRouteLogWidth(w->out_vectors);
  while (BlockCount(w) < threads && w->block_vectors > 1) w->block_vectors = (w->block_vectors + 1) / 2;
  while (BlockCount(w) < threads && w->block_log_width > 0) w->block_log_width--;
}

/* Blocks with the same output channels follow one another. */
static void PlaceBlock(const Work *w, PetscInt k, Block *b)
{
  const PetscInt in_blocks = InBlocks(w);

  b->out = 0;
  for (PetscInt skipped = k / in_blocks; skipped > 0; skipped--) b->out += 1 << LogWidth(w, b->out);
  b->log_width = LogWidth(w, b->out);
  b->in = k % in_blocks * w->block_vectors;
  b->in_count = PetscMin(w->block_vectors, w->in_vectors - b->in);
}

/* Addresses of what a tile reads of x and dy. */
typedef struct {
  const void *x[CORDS_WINOGRAD_INPUTS_MAX], *dy[CORDS_WINOGRAD_OUTPUTS_MAX];
} Pixels;

static void LocateInputs(const Work *w, PetscInt64 item, PetscInt64 at, const void *x[])
{
  const CordsWinogradGrid *g = w->grid;
  const PetscInt inputs = g->size->inputs;
  const size_t bytes = (size_t)g->in_channels * w->element_size;
  const PetscBool early = (PetscBool)(w->early && at < g->early);
  const char *image =
      early ? w->early + (size_t)item * g->early_pixels * bytes : w->x + (size_t)item * g->in_pixels * bytes;

  CordsWinogradAddresses((early ? g->early_inputs : g->inputs) + at * inputs, inputs, image, bytes, w->zeros, x);
}

/* Of tile `tile` of all items; a tile beyond the last is zero. */
static void Locate(const Work *w, PetscInt64 tile, Pixels *pixels)
{
  const CordsWinogradGrid *g = w->grid;
  const PetscInt64 item = tile / g->tiles, at = tile % g->tiles;
  const size_t bytes = (size_t)g->out_channels * w->element_size;
  const PetscInt inputs = g->size->inputs, outputs = g->size->outputs;

  if (tile < w->all) {
    LocateInputs(w, item, at, pixels->x);
    CordsWinogradAddresses(g->outputs + at * outputs, outputs, w->dy + (size_t)item * g->out_pixels * bytes, bytes,
                           w->zeros, pixels->dy);
    return;
  }
  for (PetscInt p = 0; p < inputs; p++) pixels->x[p] = w->zeros;
  for (PetscInt p = 0; p < outputs; p++) pixels->dy[p] = w->zeros;
}

/* Vectors of channels from vector `first` on.  Inlined always: gcc 12 takes a function that only prefetches for one
   that does nothing, and leaves calls of it out. */
static inline __attribute__((always_inline)) void
PrefetchVectors(const Work *w, PetscInt count, const void *const pixels[], PetscInt first, PetscInt vectors)
{
  const size_t line = 64, bytes = (size_t)w->lanes * w->element_size;

  for (PetscInt p = 0; p < count; p++) {
    const char *from = (const char *)pixels[p] + (size_t)first * bytes, *end = from + (size_t)vectors * bytes;
    for (; from < end; from += line) __builtin_prefetch(from);
  }
}

/* The processor sees no pattern in the short runs that tiles read. */
static inline __attribute__((always_inline)) void Prefetch(const Work *w, const Block *b, const Pixels *pixels)
{
  PrefetchVectors(w, w->grid->size->inputs, pixels->x, b->in, b->in_count);
  PrefetchVectors(w, w->grid->size->outputs, pixels->dy, b->out, 1 << b->log_width);
}

/* A tile as number k of the chunk. */
static void TransformTile(const Work *w, const Block *b, const Pixels *pixels, PetscInt k)
{
  const PetscInt group = k / w->together, half = k % w->together, width = w->lanes << b->log_width;

  w->transform->input_units(pixels->x, b->in * w->lanes, b->in_count * w->lanes, half,
                            b->inputs + (size_t)group * CORDS_VECTOR_BYTES, w->input_vector, w->input_place);
  w->transform->gradient_units(pixels->dy, b->out * w->lanes, width, half,
                               b->gradients + (size_t)group * width * w->unit_size, CORDS_VECTOR_BYTES,
                               w->gradient_place);
}

/* Adds the products of a chunk's groups to dU. */
static void Multiply(const Work *w, const Block *b, PetscInt groups)
{
  const size_t vector_du = (size_t)w->lanes * CORDS_VECTOR_BYTES << b->log_width;

  for (PetscInt place = 0; place < w->grid->size->places; place++) {
    const char *inputs = b->inputs + place * w->input_place, *gradients = b->gradients + place * w->gradient_place;
    char *du = b->du + (size_t)w->grid->size->panel[place] * w->du_panel;
    for (PetscInt vector = 0; vector < b->in_count; vector++, inputs += w->input_vector, du += vector_du)
      w->outer[b->log_width](groups, inputs, gradients, du);
  }
}

/* dw += Gᵀ dU G for the block's channels. */
static void AddToWeights(const Work *w, const Block *b)
{
  const size_t in = (size_t)w->grid->in_channels, out = (size_t)w->grid->out_channels;
  const PetscInt width = w->lanes << b->log_width;

  for (PetscInt c = 0; c < b->in_count * w->lanes; c++) {
    const size_t at = ((size_t)(b->in * w->lanes + c)) * out + (size_t)b->out * w->lanes;
    w->transform->weights_gradient(b->du + (size_t)c * width * w->unit_size, w->du_panel, width,
                                   (char *)w->dw + at * w->unit_size, in * out);
  }
}

static void RunBlock(const Work *w, Block *b)
{
  Pixels ring[RING]; /* of tiles on their way from being fetched to being transformed */

  memset(b->du, 0, (size_t)w->grid->size->panels * w->du_panel);
  for (PetscInt64 tile = 0; tile < TILES_AHEAD; tile++) Locate(w, tile, &ring[tile % RING]);
  for (PetscInt64 first = 0; first < w->all; first += w->chunk) {
    const PetscInt count = (PetscInt)PetscMin(w->chunk, w->all - first);
    const PetscInt groups = (count + w->together - 1) / w->together;
    for (PetscInt k = 0; k < groups * w->together; k++) {
      const PetscInt64 tile = first + k, ahead = tile + TILES_AHEAD;
      Locate(w, ahead, &ring[ahead % RING]);
      Prefetch(w, b, &ring[ahead % RING]);
      TransformTile(w, b, &ring[tile % RING], k);
    }
    Multiply(w, b, groups);
  }
  AddToWeights(w, b);
}

static Work Start(const CordsWinogradGrid *grid, CordsType type, PetscInt threads)
{
  Work w = {.grid = grid,
            .transform = CordsWinogradTransformOf(type, grid->kind, PETSC_FALSE),
            .outer = CordsOuterVectors(type),
            .element_size = CordsTypeSize(type),
            .unit_size = CordsUnitSize(type),
            .lanes = CordsVectorLanes(type),
            .together = type == CORDS_BF16 ? 2 : 1};
  const size_t places = (size_t)grid->size->places;
  size_t groups, block_in, block_out;

  w.chunk = CHUNK_PLACES / grid->size->places / w.together * w.together;
  groups = (size_t)(w.chunk / w.together);
  w.in_vectors = grid->in_channels / w.lanes;
  w.out_vectors = grid->out_channels / w.lanes;
  CutBlocks(&w, threads);
  block_in = (size_t)w.block_vectors, block_out = (size_t)1 << w.block_log_width;
  w.input_vector = groups * CORDS_VECTOR_BYTES;
  w.input_place = CordsWinogradPlaceBytes(block_in * w.input_vector);
  w.gradient_place = CordsWinogradPlaceBytes(block_out * groups * CORDS_VECTOR_BYTES);
  w.du_panel = CordsWinogradPlaceBytes(block_in * (size_t)w.lanes * block_out * CORDS_VECTOR_BYTES);
  w.thread_bytes = places * (w.input_place + w.gradient_place) + (size_t)grid->size->panels * w.du_panel;
  return w;
}

double CordsWinogradWeightsBytes(const CordsWinogradGrid *grid, CordsType type)
{
  const PetscInt threads = omp_get_max_threads();

  return (double)threads * (double)Start(grid, type, threads).thread_bytes;
}

PetscErrorCode CordsWinogradBackwardWeights(const CordsWinogradGrid *grid, CordsType type, PetscInt n,
                                            const void *early, const void *x, const void *dy, const void *zeros,
                                            void *dw)
{
  const PetscInt64 all = (PetscInt64)n * grid->tiles;
  const double pairs = (double)grid->in_channels * (double)grid->out_channels;
  const int threads = CordsTileThreads(2.0 * grid->size->places * (double)all * pairs);
  Work w = Start(grid, type, threads);
  const PetscInt blocks = BlockCount(&w);
  char *memory;

  PetscFunctionBegin;
  w.all = all, w.early = early, w.x = x, w.dy = dy, w.zeros = zeros, w.dw = dw;
  PetscCall(CordsScratchGet((size_t)threads * w.thread_bytes, &memory));
#pragma omp parallel num_threads(threads) if (threads > 1)
  {
    Block b = {.inputs = memory + (size_t)omp_get_thread_num() * w.thread_bytes};
    b.gradients = b.inputs + (size_t)grid->size->places * w.input_place;
    b.du = b.gradients + (size_t)grid->size->places * w.gradient_place;
#pragma omp for schedule(dynamic)
    for (PetscInt k = 0; k < blocks; k++) {
      PlaceBlock(&w, k, &b);
      RunBlock(&w, &b);
    }
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}
