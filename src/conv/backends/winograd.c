/* 3 × 3 convolutions by Winograd's minimal algorithms (winograd_transform.h): with stride 1 in 16/36 of the
   multiplications, or 36/144 of them where tiles are large; with stride 2 in 25/36.

   Tiles of inputs are transformed, multiplied with the transformed weights place by place — 16 to 36 products of
   matrices [tile][in channel] × [in channel][out channel] by the register tiles — and transformed back, where the Euler
   step is finished while the sums are still in the cache.  A chunk of tiles at a time, so that the transformed numbers
   never reach memory.  Threads share tiles; where there are too few of them to fill register tiles, blocks of output
   channels, and each transforms all inputs.  They do not wait for each other, and every sum is done by one thread in
   one order, whatever their number.

   Rounding: a sum over many channels is added up in runs of a few.  With that the small tiles lose no more than the
   direct sum, the large ones two to three times as much as the small ones (test_rounding prints it). */
#include "conv/backend.h"
#include "conv/register_tile.h"
#include "conv/route.h"
#include "conv/scratch.h"
#include "conv/vector_types.h"
#include "conv/winograd_tiles.h"
#include "conv/winograd_weights.h"
#include "core/allocate.h"

#include <omp.h>
#include <stdlib.h>
#include <string.h>

enum { PANELS_MAX = CORDS_WINOGRAD_PANELS_MAX, LINE = 64 /* bytes of a cache line */ };
enum {
  CHUNK_MIN = 36,
  FULL_GROUPS = 2,                      /* of tiles that a thread should have */
  TILE_GROUP = CORDS_TILE_PIXELS_WIDEST /* tiles of the widest register tile */
};
/* Transformed numbers and products of a chunk; the rest of the second-level cache is for weights. */
static const size_t chunk_bytes = (size_t)320 << 10;
/* Transformed weights, 512 × 512 channels of float32: beyond it they take much memory, and reading them more time than
   multiplying. */
static const double weights_bytes_max = 16.0 * (1 << 20), large_weights_bytes_max = 36.0 * (1 << 20);

/* From input to output, or back. */
typedef struct {
  const CordsWinogradTransform *transform;
  CordsWinogradGrid grid;
  CordsRoute routes[PANELS_MAX]; /* a 1 × 1 convolution each, for its panel */
  char *panels;                  /* in one piece; NULL until packed */
} Direction;

typedef struct {
  CordsType type;
  Direction forward, adjoint;
  PetscBool adjoint_packed;
  void *zeros; /* a pixel outside the image */
} Data;

/* A call at work. */
typedef struct {
  const Direction *direction;
  CordsWinogradTiles tiles;
  PetscBool by_blocks; /* threads share blocks of output channels */
  PetscInt chunk;      /* tiles at a time */
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
static const CordsRoute *RouteOf(const Direction *d, PetscInt place)
{
  return &d->routes[d->grid.size->panel[place]];
}

/* The weights after those of a place for a block of output channels: of the next place, block or chunk. */
static const char *NextPanel(const Direction *d, PetscInt place, PetscInt vector, PetscInt width)
{
  const PetscInt places = d->grid.size->places;
  const CordsRoute *next = RouteOf(d, (place + 1) % places);
  const PetscInt after = place + 1 < places ? vector : (vector + width) % next->vectors;

  return CordsRoutePanel(next, after, 1 << CordsRouteLogWidth(next->vectors - after), 0);
}

/* A block of output channels of a place for `count` tiles.  The weights of a large network come from the cache that
   cores share; the next ones are prefetched meanwhile. */
static void MultiplyPlace(const Work *w, const Chunk *chunk, PetscInt place, PetscInt vector, PetscInt log_width,
                          PetscInt count)
{
  const CordsRoute *route = RouteOf(w->direction, place);
  const PetscInt width = 1 << log_width, most = cords_tile_pixels[log_width], groups = (count + most - 1) / most;
  const char *panel = CordsRoutePanel(route, vector, width, 0), *next = NextPanel(w->direction, place, vector, width);
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

/* A thread's share of the tiles, or of the output channels. */
static void RunThread(const Work *w)
{
  const PetscInt thread = omp_get_thread_num(), team = omp_get_num_threads();
  const PetscInt block_shares = w->by_blocks ? team : 1, tile_shares = w->by_blocks ? 1 : team;
  const CordsRoute *route = &w->direction->routes[0];
  const PetscInt begin = CordsRouteShareStart(route, thread % block_shares, block_shares);
  const PetscInt end = CordsRouteShareStart(route, thread % block_shares + 1, block_shares);
  const PetscInt64 first = thread % tile_shares * w->tiles.all / tile_shares;
  const PetscInt64 share = (thread % tile_shares + 1) * w->tiles.all / tile_shares - first;
  const PetscInt64 chunks = (share + w->chunk - 1) / w->chunk;
  const PetscInt places = w->direction->grid.size->places, in_channels = w->direction->grid.in_channels;
  const CordsWinogradTiles *tiles = &w->tiles;
  const Chunk chunk = {w->inputs + thread * w->input_bytes, w->products + thread * w->product_bytes};

  for (PetscInt64 c = 0; c < chunks; c++) {
    const PetscInt64 from = first + c * share / chunks;
    const PetscInt count = (PetscInt)(first + (c + 1) * share / chunks - from);
    for (PetscInt k = 0; k < count; k++)
      CordsWinogradTilesInput(tiles, from + k, 0, in_channels, chunk.inputs + (size_t)k * tiles->pixel_bytes,
                              w->input_place);
    for (PetscInt vector = begin, log_width; vector < end; vector += 1 << log_width) {
      log_width = CordsRouteLogWidth(route->vectors - vector);
      for (PetscInt place = 0; place < places; place++) MultiplyPlace(w, &chunk, place, vector, log_width, count);
      for (PetscInt k = 0; k < count; k++)
        CordsWinogradTilesFinish(tiles, from + k, vector, 1 << log_width,
                                 chunk.products + ((size_t)k << log_width) * CORDS_VECTOR_BYTES, w->product_place);
    }
  }
}

/* Chunks and their memory for `threads` threads. */
static PetscErrorCode Prepare(Work *w, int threads)
{
  const size_t product_bytes = CORDS_ROUTE_WIDTH_MAX * CORDS_VECTOR_BYTES;
  const size_t places = (size_t)w->direction->grid.size->places;
  const size_t tile_bytes = places * (w->tiles.pixel_bytes + product_bytes);
  const PetscInt64 share = w->by_blocks ? w->tiles.all : (w->tiles.all + threads - 1) / threads;

  PetscFunctionBegin;
  w->chunk = (PetscInt)PetscMax(chunk_bytes / tile_bytes, CHUNK_MIN) / TILE_GROUP * TILE_GROUP;
  w->chunk = (PetscInt)PetscMin(w->chunk, share);
  w->input_place = CordsWinogradPlaceBytes((size_t)w->chunk * w->tiles.pixel_bytes);
  w->product_place = CordsWinogradPlaceBytes((size_t)w->chunk * product_bytes);
  w->input_bytes = places * w->input_place;
  w->product_bytes = places * w->product_place;
  PetscCall(CordsScratchGet((size_t)threads * (w->input_bytes + w->product_bytes), &w->inputs));
  w->products = w->inputs + (size_t)threads * w->input_bytes;
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode RunDirection(const Data *d, const Direction *direction, CordsConvPart part, PetscInt n,
                                   const void *x, const CordsFinish *finish)
{
  const CordsWinogradGrid *g = &direction->grid;
  Work w = {.direction = direction,
            .tiles = CordsWinogradTilesOf(g, direction->transform, d->type, part, n, x, d->zeros, finish)};
  const int threads = CordsTileThreads(2.0 * g->size->places * (double)w.tiles.all * g->in_channels * g->out_channels);

  PetscFunctionBegin;
  if (w.tiles.all == 0) PetscFunctionReturn(PETSC_SUCCESS);
  w.run_units = PetscMin(g->size->run, direction->routes[0].units);
  w.by_blocks = (PetscBool)(threads > 1 && w.tiles.all < (PetscInt64)FULL_GROUPS * TILE_GROUP * threads &&
                            direction->routes[0].vectors % (CORDS_ROUTE_WIDTH_MAX * threads) == 0);
  PetscCall(Prepare(&w, threads));
#pragma omp parallel num_threads(threads) if (threads > 1)
  RunThread(&w);
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* ---- the backend ---- */

static double WeightsBytes(const CordsConvShape *s, CordsType type, const CordsWinogradSize *size)
{
  return (double)size->panels * s->in_channels * s->out_channels * (double)CordsTypeSize(type);
}

static PetscBool Fits(const CordsConvShape *s, CordsType type, CordsWinogradKind kind, double bytes_max)
{
  const CordsWinogradSize *size = CordsWinogradSizeOf(kind, PETSC_FALSE);
  const PetscInt lanes = CordsVectorLanes(type);

  return (PetscBool)(s->kernel_rows == 3 && s->kernel_columns == 3 && s->stride == size->stride &&
                     s->in_channels % lanes == 0 && s->out_channels % lanes == 0 &&
                     WeightsBytes(s, type, size) <= bytes_max);
}

static PetscBool Supports(const CordsConvShape *s, CordsType type)
{
  return (PetscBool)(Fits(s, type, CORDS_WINOGRAD_F2, weights_bytes_max) ||
                     Fits(s, type, CORDS_WINOGRAD_STRIDE2, weights_bytes_max));
}

/* Not bf16, whose rounding errors the large tiles would make visible. */
static PetscBool SupportsLarge(const CordsConvShape *s, CordsType type)
{
  return (PetscBool)(type != CORDS_BF16 && Fits(s, type, CORDS_WINOGRAD_F4, large_weights_bytes_max));
}

static PetscErrorCode DirectionCreate(const CordsConvShape *shape, CordsType type, CordsWinogradKind kind,
                                      PetscBool adjoint, Direction *d)
{
  PetscInt in = adjoint ? shape->out_channels : shape->in_channels;
  PetscInt out = adjoint ? shape->in_channels : shape->out_channels;
  CordsConvShape place = CordsConvShapeSame(1, 1, in, out, 1, 1);

  PetscFunctionBegin;
  d->transform = CordsWinogradTransformOf(type, kind, adjoint);
  PetscCall(CordsWinogradGridCreate(shape, kind, adjoint, &d->grid));
  for (int k = 0; k < d->grid.size->panels; k++) PetscCall(CordsRouteCreate(&place, type, PETSC_FALSE, &d->routes[k]));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* Memory for the panels, all zero. */
static PetscErrorCode AllocatePanels(Direction *d)
{
  const size_t bytes = CordsRoutePanelBytes(&d->routes[0]), panels = (size_t)d->grid.size->panels;

  PetscFunctionBegin;
  if (!d->panels) PetscCall(CordsAllocate(panels * bytes, &d->panels));
  memset(d->panels, 0, panels * bytes);
  for (size_t k = 0; k < panels; k++) d->routes[k].panels = d->panels + k * bytes, d->routes[k].borrowed = PETSC_TRUE;
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode DirectionDestroy(Direction *d)
{
  PetscFunctionBegin;
  free(d->panels);
  for (int k = 0; k < d->grid.size->panels; k++) PetscCall(CordsRouteDestroy(&d->routes[k]));
  PetscCall(CordsWinogradGridDestroy(&d->grid));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode CreateKind(const CordsConvShape *shape, CordsType type, CordsWinogradKind kind, void **data)
{
  Data *d;

  PetscFunctionBegin;
  PetscCall(PetscNew(&d));
  d->type = type;
  PetscCall(DirectionCreate(shape, type, kind, PETSC_FALSE, &d->forward));
  PetscCall(DirectionCreate(shape, type, kind, PETSC_TRUE, &d->adjoint));
  PetscCall(PetscCalloc((size_t)PetscMax(shape->in_channels, shape->out_channels) * CordsTypeSize(type), &d->zeros));
  CordsScratchHold();
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
  CordsScratchRelease();
  PetscCall(DirectionDestroy(&d->forward));
  PetscCall(DirectionDestroy(&d->adjoint));
  PetscCall(PetscFree(d->zeros));
  PetscCall(PetscFree(d));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode Pack(void *data, const void *weights)
{
  Data *d = data;
  CordsRoute *routes = d->forward.routes;
  const PetscInt lanes = routes[0].lanes, halves = d->type == CORDS_BF16 ? 2 : 1;
  const PetscInt channels = d->forward.grid.in_channels;
  const size_t panel_bytes = CordsRoutePanelBytes(&routes[0]);

  PetscFunctionBegin;
  d->adjoint_packed = PETSC_FALSE;
  PetscCall(AllocatePanels(&d->forward));
#pragma omp parallel for schedule(static)
  for (PetscInt vector = 0; vector < routes[0].vectors; vector++) {
    for (PetscInt c = 0; c < channels; c++) {
      d->forward.transform->weights(weights, channels, vector * lanes, c, c % halves,
                                    CordsRoutePanelRow(&routes[0], vector, 0, c), panel_bytes);
    }
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* The adjoint has the kernel turned by half a turn. */
static PetscErrorCode PackAdjoint(Data *d)
{
  const PetscInt *turned = d->adjoint.grid.size->turned;

  PetscFunctionBegin;
  PetscCall(AllocatePanels(&d->adjoint));
  for (PetscInt k = 0; k < d->adjoint.grid.size->panels; k++)
    PetscCall(CordsRoutePackAdjoint(&d->forward.routes[turned[k]], &d->adjoint.routes[k]));
  d->adjoint_packed = PETSC_TRUE;
  PetscFunctionReturn(PETSC_SUCCESS);
}

static void LaterBytes(void *data, CordsConvOperation operation, double *own, double *shared)
{
  Data *d = data;

  *own = *shared = 0;
  if (operation == CORDS_CONV_BACKWARD_DATA && !d->adjoint.panels)
    *own = d->adjoint.grid.size->panels * (double)CordsRoutePanelBytes(&d->adjoint.routes[0]);
  if (operation == CORDS_CONV_BACKWARD_WEIGHTS) *shared = CordsWinogradWeightsBytes(&d->forward.grid, d->type);
}

static PetscErrorCode Divide(void *data, PetscBool adjoint, const CordsBox *early)
{
  Data *d = data;

  return CordsWinogradGridDivide(adjoint ? &d->adjoint.grid : &d->forward.grid, early);
}

static PetscErrorCode Run(void *data, PetscBool adjoint, CordsConvPart part, PetscInt n, const void *x,
                          const CordsFinish *finish)
{
  Data *d = data;

  PetscFunctionBegin;
  if (adjoint && !d->adjoint_packed) PetscCall(PackAdjoint(d)); /* when it is wanted for the first time */
  PetscCall(RunDirection(d, adjoint ? &d->adjoint : &d->forward, part, n, x, finish));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode BackwardWeights(void *data, PetscInt n, const void *x, const void *dy, void *dw)
{
  Data *d = data;

  return CordsWinogradBackwardWeights(&d->forward.grid, d->type, n, x, dy, d->zeros, dw);
}

#define BACKEND(its_name, its_about, its_supports, its_create)                                                         \
  {                                                                                                                    \
    .name = its_name, .about = its_about, .supports = its_supports, .create = its_create, .destroy = Destroy,          \
    .pack = Pack, .later_bytes = LaterBytes, .run = Run, .divide = Divide, .backward_weights = BackwardWeights         \
  }

const CordsConvBackendType cords_conv_backend_winograd = BACKEND(
    "winograd", "4/9 of the multiplications, 25/36 with stride 2; 3 x 3, whole vectors of channels", Supports, Create);
const CordsConvBackendType cords_conv_backend_winograd4 =
    BACKEND("winograd4", "1/4 of the multiplications, larger rounding errors; 3 x 3, stride 1, f32 and f64",
            SupportsLarge, CreateLarge);
