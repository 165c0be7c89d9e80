/* Convolution by our own kernels in float32, float64 and bfloat16: tiles of output pixels × output channels whose sums
   stay in registers (register_tile.h), for one image as well as for many.

   Forward and backward to data are the same loops over a Route: which input pixel each tap of an output pixel reads.
   For a stride above 1 the route backwards has classes of pixels that share their taps, so that nothing is multiplied
   by zero.  Weights are kept as panels [channel block][part of the input channels][tap][input channel][WIDTH · LANES]
   that are read once from front to back; a part is small enough for the second-level cache.  Every sum is done by one
   thread in one order, whatever the number of threads. */
#include "conv/backend.h"
#include "conv/direct_weights.h"
#include "conv/register_tile.h"
#include "conv/route.h"
#include "conv/vector_types.h"

#include <omp.h>

enum { CHUNK_TILES = 32, TAPS_MAX = 121 };

typedef struct {
  CordsConvShape shape;
  CordsType type;
  CordsRoute forward, adjoint;
  PetscBool adjoint_packed;
  CordsBox early; /* of divide, forwards */
  void *zeros;    /* a pixel outside the image */
} Data;

/* ---- the loops ---- */

/* A channel block of a class, or of a part of its pixels, for n items at work. */
typedef struct {
  const CordsTileOperations *operations;
  const CordsRoute *route;
  const CordsRouteClass *class;
  const int32_t *sources; /* of the class */
  PetscInt in_pixels;     /* of an image of x */
  const CordsFinish *finish;
  const char *x;
  const void *zeros;
  PetscInt vector, log_width; /* of the block */
  PetscInt n, pixel_start, pixel_count, tiles;
} Work;

/* Addresses of the input pixels of a tile and the places of its output pixels. */
static PetscInt LocateTile(const Work *w, PetscInt tile, PetscInt part, const void *rows[], CordsTilePixel where[])
{
  const CordsRouteClass *class = w->class;
  const PetscInt taps = class->tap_count;
  const size_t pixel_bytes = (size_t)w->route->in_channels * CordsTypeSize(w->route->type);
  const size_t skipped = (size_t)part * w->route->part_units * w->route->unit_size;
  PetscInt64 all = (PetscInt64)w->n * w->pixel_count, first = tile * all / w->tiles, end = (tile + 1) * all / w->tiles;
  PetscInt pixels = (PetscInt)(end - first), item = (PetscInt)(first / w->pixel_count);
  PetscInt k = w->pixel_start + (PetscInt)(first % w->pixel_count);

  for (PetscInt p = 0; p < pixels; p++) {
    const char *image = w->x + (size_t)item * w->in_pixels * pixel_bytes + skipped;
    const int32_t *sources = w->sources + (size_t)k * taps;
    for (PetscInt t = 0; t < taps; t++)
      rows[p * taps + t] = sources[t] < 0 ? (const char *)w->zeros : image + sources[t];
    where[p].at = (size_t)item * w->route->out_pixels + class->pixels[k];
    where[p].start_at = (size_t)(item % w->finish->period) * w->route->out_pixels + class->pixels[k];
    if (++k == w->pixel_start + w->pixel_count) k = w->pixel_start, item++;
  }
  return pixels;
}

/* Tiles first .. end − 1 of a channel block.  Where the input channels come in parts, the sums of a few tiles wait for
   the next part, so that a part of the panel is read from memory once for all of them. */
static void RunTiles(const Work *w, PetscInt first, PetscInt end)
{
  const CordsTileOperations *o = w->operations;
  const CordsRoute *route = w->route;
  const PetscInt width = 1 << w->log_width, together = route->part_count > 1 ? CHUNK_TILES : 1;
  FloatVector sums[CHUNK_TILES][CORDS_TILE_VECTORS_MAX];
  const void *rows[TAPS_MAX * CORDS_TILE_PIXELS_MAX];
  CordsTilePixel where[CORDS_TILE_PIXELS_MAX];
  size_t starts[TAPS_MAX];

  for (PetscInt chunk = first; chunk < end; chunk += together) {
    for (PetscInt part = 0; part < route->part_count; part++) {
      const PetscInt units = CordsRoutePartUnits(route, part);
      const void *panel = CordsRoutePanel(route, w->vector, width, part);
      for (PetscInt t = 0; t < w->class->tap_count; t++) {
        starts[t] = (size_t)w->class->taps[t] * units * width * route->lanes;
      }
      for (PetscInt tile = chunk; tile < PetscMin(chunk + together, end); tile++) {
        PetscInt pixels = LocateTile(w, tile, part, rows, where);
        void *sum = sums[tile - chunk];
        o->tiles[w->log_width][pixels - 1](rows, w->class->tap_count, units, panel, starts, (PetscBool)(part > 0), sum,
                                           sum, 0);
        if (part < route->part_count - 1) continue;
        o->finish(w->finish, pixels, width, where, route->out_channels, w->vector * route->lanes, sum);
      }
    }
  }
}

/* All channel blocks of a part of a class; threads share blocks where these divide evenly, so that each reads its own
   panels only, else tiles. */
static void RunClass(const Data *d, const CordsRoute *route, const CordsRouteClass *class, PetscInt n, const void *x,
                     const CordsFinish *finish, CordsConvPart part, int threads)
{
  const CordsTileOperations *o = CordsTileOperationsOf(d->type);
  const PetscBool by_blocks = (PetscBool)(route->vectors % (CORDS_ROUTE_WIDTH_MAX * threads) == 0);
  const PetscInt start = part == CORDS_PART_LATE ? class->early_count : 0;
  const PetscInt end_pixel = part == CORDS_PART_EARLY ? class->early_count : class->pixel_count;
  const PetscInt64 all = (PetscInt64)n * (end_pixel - start);

  if (all == 0) return;
#pragma omp parallel num_threads(threads) if (threads > 1)
  {
    const PetscInt thread = omp_get_thread_num(), team = omp_get_num_threads();
    const PetscInt block_shares = by_blocks ? team : 1, tile_shares = by_blocks ? 1 : team;
    const PetscInt end = CordsRouteShareStart(route, thread % block_shares + 1, block_shares);
    const PetscInt64 share = thread % tile_shares;
    Work w = {.operations = o, .route = route, .class = class, .finish = finish, .x = x, .zeros = d->zeros, .n = n};
    w.sources = part == CORDS_PART_EARLY ? class->early_sources : class->sources;
    w.in_pixels = part == CORDS_PART_EARLY ? route->early_pixels : route->in_pixels;
    w.pixel_start = start;
    w.pixel_count = end_pixel - start;
    w.vector = CordsRouteShareStart(route, thread % block_shares, block_shares);
    for (; w.vector < end; w.vector += 1 << w.log_width) {
      w.log_width = CordsRouteLogWidth(route->vectors - w.vector);
      w.tiles = (PetscInt)((all + cords_tile_pixels[w.log_width] - 1) / cords_tile_pixels[w.log_width]);
      RunTiles(&w, (PetscInt)(share * w.tiles / tile_shares), (PetscInt)((share + 1) * w.tiles / tile_shares));
    }
  }
}

/* ---- the backend ---- */

static PetscBool Supports(const CordsConvShape *shape, CordsType type)
{
  PetscBool pairs = (PetscBool)(shape->in_channels % 2 == 0 && shape->out_channels % 2 == 0);

  if (shape->kernel_rows * shape->kernel_columns > TAPS_MAX) return PETSC_FALSE;
  return (PetscBool)(type != CORDS_BF16 || pairs);
}

static PetscErrorCode Create(const CordsConvShape *shape, CordsType type, void **data)
{
  size_t zeros = (size_t)PetscMax(shape->in_channels, shape->out_channels) * CordsTypeSize(type) + 64;
  Data *d;

  PetscFunctionBegin;
  PetscCall(PetscNew(&d));
  d->shape = *shape;
  d->type = type;
  PetscCall(CordsRouteCreate(shape, type, PETSC_FALSE, &d->forward));
  PetscCall(CordsRouteCreate(shape, type, PETSC_TRUE, &d->adjoint));
  PetscCall(PetscCalloc(zeros, &d->zeros));
  *data = d;
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode Destroy(void *data)
{
  Data *d = data;

  PetscFunctionBegin;
  PetscCall(CordsRouteDestroy(&d->forward));
  PetscCall(CordsRouteDestroy(&d->adjoint));
  PetscCall(PetscFree(d->zeros));
  PetscCall(PetscFree(d));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode Pack(void *data, const void *weights)
{
  Data *d = data;

  d->adjoint_packed = PETSC_FALSE;
  return CordsRoutePack(&d->forward, weights);
}

static void LaterBytes(void *data, CordsConvOperation operation, double *own, double *shared)
{
  Data *d = data;

  *own = operation != CORDS_CONV_BACKWARD_DATA || d->adjoint.panels ? 0 : (double)CordsRoutePanelBytes(&d->adjoint);
  *shared = 0;
}

static PetscErrorCode Divide(void *data, PetscBool adjoint, const CordsBox *early)
{
  Data *d = data;

  PetscFunctionBegin;
  if (!adjoint) d->early = *early;
  PetscCall(adjoint ? CordsRouteDivide(&d->adjoint, d->shape.out_columns, early)
                    : CordsRouteDivide(&d->forward, d->shape.in_columns, early));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode Run(void *data, PetscBool adjoint, CordsConvPart part, PetscInt n, const void *x,
                          const CordsFinish *finish)
{
  Data *d = data;
  const CordsRoute *route = adjoint ? &d->adjoint : &d->forward;
  const int threads = CordsTileThreads(CordsConvFlops(&d->shape) * n);

  PetscFunctionBegin;
  if (adjoint && !d->adjoint_packed) { /* made when it is wanted for the first time */
    PetscCall(CordsRoutePackAdjoint(&d->forward, &d->adjoint));
    d->adjoint_packed = PETSC_TRUE;
  }
  for (PetscInt k = 0; k < route->class_count; k++) RunClass(d, route, &route->classes[k], n, x, finish, part, threads);
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode DividedWeights(void *data, PetscInt n, const void *early, const void *x, const void *dy, void *dw)
{
  Data *d = data;

  return CordsDirectBackwardWeights(&d->shape, d->type, n, &d->early, early, x, dy, dw);
}

static PetscErrorCode BackwardWeights(void *data, PetscInt n, const void *x, const void *dy, void *dw)
{
  return DividedWeights(data, n, NULL, x, dy, dw);
}

const CordsConvBackendType cords_conv_backend_direct = {.name = "direct",
                                                        .about = "our own register tiles; f32, bf16 and f64",
                                                        .lean = PETSC_TRUE,
                                                        .supports = Supports,
                                                        .create = Create,
                                                        .destroy = Destroy,
                                                        .pack = Pack,
                                                        .later_bytes = LaterBytes,
                                                        .run = Run,
                                                        .divide = Divide,
                                                        .backward_weights = BackwardWeights,
                                                        .divided_weights = DividedWeights};
