/* 3 × 3 convolutions by Winograd's minimal algorithms (winograd_transform.h): with stride 1 in 16/36 of the
   multiplications, or 36/144 of them where tiles are large; with stride 2 in 25/36.

   Tiles of inputs are transformed, multiplied with the transformed weights place by place — 16 to 36 products of
   matrices [tile][in channel] × [in channel][out channel] by the register tiles — and transformed back, where the Euler
   step is finished while the sums are still in the cache.  A chunk of tiles at a time, so that the transformed numbers
   never reach memory.  Threads share chunks (pieces.h); where there are too few tiles to fill register tiles, blocks of
   output channels, and each transforms all inputs.  They do not wait for each other, and every sum is done by one
   thread in one order, whatever their number.

   Rounding: a sum over many channels is added up in runs of a few.  With that the small tiles lose no more than the
   direct sum, the large ones two to three times as much as the small ones (test_rounding prints it). */
#include "conv/backend.h"
#include "conv/pieces.h"
#include "conv/register_tile.h"
#include "conv/route.h"
#include "conv/scratch.h"
#include "conv/vector_types.h"
#include "conv/winograd_pair.h"

#include <omp.h>

enum { PANELS_MAX = CORDS_WINOGRAD_PANELS_MAX, LINE = 64 /* bytes of a cache line */ };
enum {
  CHUNK_MIN = 36,
  FULL_GROUPS = 2,                      /* of tiles that a thread should have */
  TILE_GROUP = CORDS_TILE_PIXELS_WIDEST /* tiles of the widest register tile */
};
/* Transformed numbers and products of a chunk; the rest of the second-level cache is for weights. */
static const size_t chunk_bytes = (size_t)320 << 10;
/* Transformed weights.  Beyond it they take more memory than a training step of the largest networks has to spare, and
   reading them more time than multiplying: winograd_lean is for those. */
static const double weights_bytes_max = 16.0 * (1 << 20);

typedef CordsRoute Routes[PANELS_MAX]; /* a 1 × 1 convolution each, for its panel, which it borrows from the pair */

typedef struct {
  CordsWinogradPair pair;
  Routes forward, adjoint;
} Data;

/* A call at work. */
typedef struct {
  const CordsRoute *routes;
  CordsWinogradTiles tiles;
  PetscBool by_blocks; /* threads share blocks of output channels */
  PetscInt64 chunks;   /* of tiles */
  CordsPieces pieces;  /* chunks, unless threads share blocks */
  PetscInt run_units;  /* of inputs, of which sums are added to the total at once */
  size_t input_place, product_place;
  char *inputs, *products; /* of the first thread */
  size_t input_bytes, product_bytes;
} Work;

/* Inputs [place][tile][channel] and products [place][tile][vector] of a chunk. */
typedef struct {
  char *inputs, *products;
} Chunk;

/* Weights of a place. */
static const CordsRoute *RouteOf(const Work *w, PetscInt place)
{
  return &w->routes[w->tiles.grid->size->panel[place]];
}

/* The weights after those of a place for a block of output channels: of the next place, block or chunk. */
static const char *NextPanel(const Work *w, PetscInt place, PetscInt vector, PetscInt width)
{
  const PetscInt places = w->tiles.grid->size->places;
  const CordsRoute *next = RouteOf(w, (place + 1) % places);
  const PetscInt after = place + 1 < places ? vector : (vector + width) % next->vectors;

  return CordsRoutePanel(next, after, 1 << CordsRouteLogWidth(next->vectors - after), 0);
}

/* A block of output channels of a place for `count` tiles.  The weights of a large network come from the cache that
   cores share; the next ones are prefetched meanwhile. */
static void MultiplyPlace(const Work *w, const Chunk *chunk, PetscInt place, PetscInt vector, PetscInt log_width,
                          PetscInt count)
{
  const CordsRoute *route = RouteOf(w, place);
  const PetscInt width = 1 << log_width, most = cords_tile_pixels[log_width], groups = (count + most - 1) / most;
  const char *panel = CordsRoutePanel(route, vector, width, 0), *next = NextPanel(w, place, vector, width);
  const char *inputs = chunk->inputs + place * w->input_place;
  char *products = chunk->products + place * w->product_place;

  for (PetscInt first = 0; first < route->units; first += w->run_units) {
    const PetscInt units = PetscMin(w->run_units, route->units - first);
    const size_t start = (size_t)first * width * route->lanes;
    for (PetscInt group = 0; group < groups; group++) {
      const PetscInt tile = group * count / groups, pixels = (group + 1) * count / groups - tile;
      const PetscBool wants = (PetscBool)(2 * group < width); /* two of a unit's `width` lines by each group */
      const size_t line = (size_t)first * width + (size_t)group * units * 2;
      const void *rows[CORDS_TILE_PIXELS_MAX];
      for (PetscInt p = 0; p < pixels; p++)
        rows[p] = inputs + (size_t)(tile + p) * w->tiles.pixel_bytes + (size_t)first * route->unit_size;
      w->tiles.operations->tiles[log_width][pixels - 1](rows, 1, units, panel, &start, (PetscBool)(first > 0),
                                                        products + (size_t)tile * width * CORDS_VECTOR_BYTES,
                                                        wants ? next + line * LINE : panel, wants ? 2 * LINE : 0);
    }
  }
}

/* The vectors of output channels begin .. end − 1 for chunk number `number`. */
static void RunChunk(const Work *w, const Chunk *chunk, PetscInt64 number, PetscInt begin, PetscInt end)
{
  const CordsWinogradTiles *tiles = &w->tiles;
  const PetscInt64 first = number * tiles->all / w->chunks;
  const PetscInt count = (PetscInt)((number + 1) * tiles->all / w->chunks - first);
  const PetscInt places = tiles->grid->size->places, vectors = w->routes[0].vectors;

  for (PetscInt k = 0; k < count; k++)
    CordsWinogradTilesInput(tiles, first + k, 0, tiles->grid->in_channels,
                            chunk->inputs + (size_t)k * tiles->pixel_bytes, w->input_place);
  for (PetscInt vector = begin, log_width; vector < end; vector += 1 << log_width) {
    log_width = CordsRouteLogWidth(vectors - vector);
    for (PetscInt place = 0; place < places; place++) MultiplyPlace(w, chunk, place, vector, log_width, count);
    for (PetscInt k = 0; k < count; k++)
      CordsWinogradTilesFinish(tiles, first + k, vector, 1 << log_width,
                               chunk->products + ((size_t)k << log_width) * CORDS_VECTOR_BYTES, w->product_place);
  }
}

/* A share of the output channels of all chunks, or of the chunks. */
static void RunThread(Work *w)
{
  const PetscInt thread = omp_get_thread_num(), team = omp_get_num_threads();
  const CordsRoute *route = &w->routes[0];
  const Chunk chunk = {w->inputs + thread * w->input_bytes, w->products + thread * w->product_bytes};

  if (w->by_blocks) {
    const PetscInt begin = CordsRouteShareStart(route, thread, team);
    const PetscInt end = CordsRouteShareStart(route, thread + 1, team);
    for (PetscInt64 k = 0; k < w->chunks; k++) RunChunk(w, &chunk, k, begin, end);
  } else {
    for (PetscInt64 k; (k = CordsPiecesTake(&w->pieces, thread)) >= 0;) RunChunk(w, &chunk, k, 0, route->vectors);
  }
}

/* Chunks and their memory for `threads` threads. */
static PetscErrorCode Prepare(Work *w, int threads)
{
  const size_t product_bytes = CORDS_ROUTE_WIDTH_MAX * CORDS_VECTOR_BYTES;
  const size_t places = (size_t)w->tiles.grid->size->places;
  const size_t tile_bytes = places * (w->tiles.pixel_bytes + product_bytes);
  const PetscInt shares = w->by_blocks ? 1 : threads;
  const PetscInt64 share = (w->tiles.all + shares - 1) / shares;
  PetscInt64 chunk = PetscMax(chunk_bytes / tile_bytes, CHUNK_MIN) / TILE_GROUP * TILE_GROUP; /* tiles, at most */

  PetscFunctionBegin;
  w->chunks = (share + chunk - 1) / chunk * shares;
  chunk = (w->tiles.all + w->chunks - 1) / w->chunks;
  CordsPiecesStart(&w->pieces, w->chunks, shares);
  w->input_place = CordsWinogradPlaceBytes((size_t)chunk * w->tiles.pixel_bytes);
  w->product_place = CordsWinogradPlaceBytes((size_t)chunk * product_bytes);
  w->input_bytes = places * w->input_place;
  w->product_bytes = places * w->product_place;
  PetscCall(CordsScratchGet((size_t)threads * (w->input_bytes + w->product_bytes), &w->inputs));
  w->products = w->inputs + (size_t)threads * w->input_bytes;
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* ---- the backend ---- */

static PetscBool Fits(const CordsConvShape *s, CordsType type, CordsWinogradKind kind)
{
  const double bytes = (double)CordsWinogradSizeOf(kind, PETSC_FALSE)->panels * s->in_channels * s->out_channels *
                       (double)CordsTypeSize(type);

  return (PetscBool)(CordsWinogradFits(s, type, kind) && bytes <= weights_bytes_max);
}

static PetscBool Supports(const CordsConvShape *s, CordsType type)
{
  return (PetscBool)(Fits(s, type, CORDS_WINOGRAD_F2) || Fits(s, type, CORDS_WINOGRAD_STRIDE2));
}

/* Not bf16, whose rounding errors the large tiles would make visible. */
static PetscBool SupportsLarge(const CordsConvShape *s, CordsType type)
{
  return (PetscBool)(type != CORDS_BF16 && Fits(s, type, CORDS_WINOGRAD_F4));
}

static PetscErrorCode RoutesCreate(CordsType type, CordsWinogradDirection *d, Routes routes)
{
  const CordsConvShape place = CordsConvShapeSame(1, 1, d->grid.in_channels, d->grid.out_channels, 1, 1);

  PetscFunctionBegin;
  for (int k = 0; k < d->grid.size->panels; k++) PetscCall(CordsRouteCreate(&place, type, PETSC_FALSE, &routes[k]));
  d->panel_bytes = (size_t)d->grid.size->panels * CordsRoutePanelBytes(&routes[0]);
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode RoutesDestroy(const CordsWinogradDirection *d, Routes routes)
{
  PetscFunctionBegin;
  for (int k = 0; k < d->grid.size->panels; k++) PetscCall(CordsRouteDestroy(&routes[k]));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode RoutesAllocate(CordsWinogradDirection *d, Routes routes)
{
  PetscFunctionBegin;
  PetscCall(CordsWinogradAllocatePanels(d));
  for (int k = 0; k < d->grid.size->panels; k++) {
    routes[k].panels = d->panels + (size_t)k * CordsRoutePanelBytes(&routes[k]);
    routes[k].borrowed = PETSC_TRUE;
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode CreateKind(const CordsConvShape *shape, CordsType type, CordsWinogradKind kind, void **data)
{
  Data *d;

  PetscFunctionBegin;
  PetscCall(PetscNew(&d));
  PetscCall(CordsWinogradPairCreate(shape, type, kind, &d->pair));
  PetscCall(RoutesCreate(type, &d->pair.forward, d->forward));
  PetscCall(RoutesCreate(type, &d->pair.adjoint, d->adjoint));
  *data = d;
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode Create(const CordsConvShape *shape, CordsType type, void **data)
{
  return CreateKind(shape, type, shape->stride == 1 ? CORDS_WINOGRAD_F2 : CORDS_WINOGRAD_STRIDE2, data);
}

static PetscErrorCode CreateLarge(const CordsConvShape *shape, CordsType type, void **data)
{
  return CreateKind(shape, type, CORDS_WINOGRAD_F4, data);
}

static PetscErrorCode Destroy(void *data)
{
  Data *d = data;

  PetscFunctionBegin;
  PetscCall(RoutesDestroy(&d->pair.forward, d->forward));
  PetscCall(RoutesDestroy(&d->pair.adjoint, d->adjoint));
  PetscCall(CordsWinogradPairDestroy(&d->pair));
  PetscCall(PetscFree(d));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* Channels come in whole vectors, so every number of the panels is written. */
static PetscErrorCode Pack(void *data, const void *weights)
{
  Data *d = data;
  CordsWinogradDirection *forward = &d->pair.forward;
  const CordsRoute *route = &d->forward[0];
  const PetscInt channels = forward->grid.in_channels, halves = d->pair.type == CORDS_BF16 ? 2 : 1;
  const size_t panel_bytes = CordsRoutePanelBytes(route);

  PetscFunctionBegin;
  d->pair.adjoint_packed = PETSC_FALSE;
  PetscCall(RoutesAllocate(forward, d->forward));
#pragma omp parallel for schedule(static)
  for (PetscInt vector = 0; vector < route->vectors; vector++) {
    for (PetscInt c = 0; c < channels; c++) {
      forward->transform->weights(weights, channels, vector * route->lanes, c, c % halves,
                                  CordsRoutePanelRow(route, vector, 0, c), panel_bytes);
    }
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* The adjoint has the kernel turned by half a turn. */
static PetscErrorCode PackAdjoint(Data *d)
{
  const CordsWinogradSize *size = d->pair.adjoint.grid.size;

  PetscFunctionBegin;
  PetscCall(RoutesAllocate(&d->pair.adjoint, d->adjoint));
  for (PetscInt k = 0; k < size->panels; k++)
    PetscCall(CordsRoutePackAdjoint(&d->forward[size->turned[k]], &d->adjoint[k]));
  d->pair.adjoint_packed = PETSC_TRUE;
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode Run(void *data, PetscBool adjoint, CordsConvPart part, PetscInt n, const void *x,
                          const CordsFinish *finish)
{
  Data *d = data;
  Work w = {.routes = adjoint ? d->adjoint : d->forward,
            .tiles = CordsWinogradPairTiles(&d->pair, adjoint, part, n, x, finish)};
  const CordsWinogradGrid *g = w.tiles.grid;
  const int threads = CordsTileThreads(2.0 * g->size->places * (double)w.tiles.all * g->in_channels * g->out_channels);

  PetscFunctionBegin;
  if (adjoint && !d->pair.adjoint_packed) PetscCall(PackAdjoint(d)); /* when it is wanted for the first time */
  if (w.tiles.all == 0) PetscFunctionReturn(PETSC_SUCCESS);
  w.run_units = PetscMin(g->size->run, w.routes[0].units);
  w.by_blocks = (PetscBool)(threads > 1 && w.tiles.all < (PetscInt64)FULL_GROUPS * TILE_GROUP * threads &&
                            w.routes[0].vectors % (CORDS_ROUTE_WIDTH_MAX * threads) == 0);
  PetscCall(Prepare(&w, threads));
#pragma omp parallel num_threads(threads) if (threads > 1)
  RunThread(&w);
  PetscFunctionReturn(PETSC_SUCCESS);
}

#define BACKEND(its_name, its_about, its_supports, its_create)                                                         \
  {                                                                                                                    \
    .name = its_name, .about = its_about, .supports = its_supports, .create = its_create, .destroy = Destroy,          \
    .pack = Pack, .later_bytes = CordsWinogradPairLaterBytes, .run = Run, .divide = CordsWinogradPairDivide,           \
    .backward_weights = CordsWinogradPairBackwardWeights, .divided_weights = CordsWinogradPairDividedWeights           \
  }

const CordsConvBackendType cords_conv_backend_winograd = BACKEND(
    "winograd", "4/9 of the multiplications, 25/36 with stride 2; 3 x 3, whole vectors of channels", Supports, Create);
const CordsConvBackendType cords_conv_backend_winograd4 =
    BACKEND("winograd4", "1/4 of the multiplications, larger rounding errors; 3 x 3, stride 1, f32 and f64",
            SupportsLarge, CreateLarge);
