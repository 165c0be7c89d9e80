/* Convolution by our own kernels in float32, float64 and bfloat16: tiles of output pixels × output channels whose sums
   stay in registers (direct_tile.inc), for one image as well as for many.

   Forward and backward to data are the same loops over a Route: which input pixel each tap of an output pixel reads.
   For a stride above 1 the route backwards has classes of pixels that share their taps, so that nothing is multiplied
   by zero.  Weights are kept as panels [channel block][part of the input channels][tap][input channel][WIDTH · LANES]
   that are read once from front to back; a part is small enough for the second-level cache.  Every sum is done by one
   thread in one order, whatever the number of threads. */
#include "conv/backend.h"
#include "conv/direct_route.h"
#include "conv/direct_types.h"
#include "conv/direct_weights.h"

#include <omp.h>
#include <string.h>

enum { TILE_PIXELS_MAX = 10, TILE_VECTORS_MAX = 24, CHUNK_TILES = 32, TAPS_MAX = 121 };
static const PetscInt tile_pixels[3] = {10, 10, 6}; /* by log2 of the width in vectors */

/* Work that is worth a thread. */
static const double operations_per_thread = 1e6;

typedef enum { FINISH_PLAIN, FINISH_STEP, FINISH_STEP_ADJOINT } FinishKind;

/* What is done with finished sums; contracts of CordsConvForwardFrom, CordsConvStep, CordsConvStepAdjoint. */
typedef struct {
  FinishKind kind;
  CordsConvLaw law;
  const void *start; /* or z */
  PetscInt period;
  void *y;           /* or du_before */
  const void *r, *g; /* r is `later` of the adjoint */
  void *r_next;      /* or λ */
  void *x_next;
  uint16_t *mask_out;
  const uint16_t *mask_in;
  size_t words; /* of a mask, per pixel */
} Finish;

typedef struct {
  CordsConvShape shape;
  CordsType type;
  CordsRoute forward, adjoint;
  PetscBool adjoint_packed;
  void *zeros; /* a pixel outside the image */
} Data;

/* Where a pixel of a tile lies among all output pixels, and among those of `start`. */
typedef struct {
  size_t at, start_at;
} TilePixel;

/* rows [pixel][tap], sums [pixel][vector]; see direct_tile.inc */
typedef void (*TileFunction)(const void *const *rows, PetscInt taps, PetscInt units, const void *weights,
                             const size_t *starts, void *sums);

/* What one number type brings. */
typedef struct {
  const TileFunction (*tiles)[TILE_PIXELS_MAX];
  void (*finish)(const Finish *f, PetscInt pixels, PetscInt width, const TilePixel *where, PetscInt channels,
                 PetscInt first, const void *sums);
} Operations;

/* ---- the three types ---- */

static inline unsigned PositiveF32(FloatVector v)
{
#if defined(__AVX512F__)
  return _mm512_cmp_ps_mask((__m512)v, _mm512_setzero_ps(), _CMP_GT_OQ);
#else
  unsigned bits = 0;
  for (int k = 0; k < 16; k++) bits |= (unsigned)(v[k] > 0) << k;
  return bits;
#endif
}

static inline unsigned PositiveF64(DoubleVector v)
{
  unsigned bits = 0;

  for (int k = 0; k < 8; k++) bits |= (unsigned)(v[k] > 0) << k;
  return bits;
}

static inline FloatVector PhiF32(FloatVector u, float slope)
{
  const IntVector above = u > 0;
  const FloatVector below = slope * u;

  return (FloatVector)(((IntVector)u & above) | ((IntVector)below & ~above));
}

static inline DoubleVector PhiF64(DoubleVector u, double slope)
{
  const LongVector above = u > 0;
  const DoubleVector below = slope * u;

  return (DoubleVector)(((LongVector)u & above) | ((LongVector)below & ~above));
}

static inline FloatVector SelectF32(unsigned bits, float set, float clear)
{
#if defined(__AVX512F__)
  return (FloatVector)_mm512_mask_blend_ps((__mmask16)bits, _mm512_set1_ps(clear), _mm512_set1_ps(set));
#else
  FloatVector v;
  for (int k = 0; k < 16; k++) v[k] = bits >> k & 1 ? set : clear;
  return v;
#endif
}

static inline DoubleVector SelectF64(unsigned bits, double set, double clear)
{
  DoubleVector v;

  for (int k = 0; k < 8; k++) v[k] = bits >> k & 1 ? set : clear;
  return v;
}

#define PositiveBF16 PositiveF32
#define PhiBF16 PhiF32
#define SelectBF16 SelectF32

/* float32 */
#define NAME(x) x##F32
#define ELEMENT float
#define NUMBER float
#define UNIT float
#define LANES 16
#define MULTIPLY_ADD MULTIPLY_ADD_F32
#define TO_NUMBER(x) (x)
#define TO_ELEMENT(x) (x)
#define LOAD(p) (*(const LooseFloats *)(p))
#define STORE(p, v) (*(LooseFloats *)(p) = (v))
#include "conv/direct_tile.inc"
#undef NAME
#undef ELEMENT
#undef NUMBER
#undef UNIT
#undef LANES
#undef MULTIPLY_ADD
#undef LOAD
#undef STORE

/* float64 */
#define NAME(x) x##F64
#define ELEMENT double
#define NUMBER double
#define UNIT double
#define LANES 8
#define MULTIPLY_ADD MULTIPLY_ADD_F64
#define LOAD(p) (*(const LooseDoubles *)(p))
#define STORE(p, v) (*(LooseDoubles *)(p) = (v))
#include "conv/direct_tile.inc"
#undef NAME
#undef ELEMENT
#undef NUMBER
#undef UNIT
#undef LANES
#undef MULTIPLY_ADD
#undef TO_NUMBER
#undef TO_ELEMENT
#undef LOAD
#undef STORE

/* bfloat16: a UNIT is a pair of neighbouring channels, the products of which are added to a float */
static inline FloatVector LoadBf16(const uint16_t *p)
{
  FloatVector v;

#if defined(__AVX512F__)
  v = (FloatVector)_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)p)), 16);
#else
  for (int k = 0; k < 16; k++) v[k] = CordsFromBf16(p[k]);
#endif
  return v;
}

static inline void StoreBf16(uint16_t *p, FloatVector v)
{
#if defined(__AVX512BF16__)
  _mm256_storeu_si256((__m256i *)p, (__m256i)_mm512_cvtneps_pbh((__m512)v));
#else
  for (int k = 0; k < 16; k++) p[k] = CordsToBf16(v[k]);
#endif
}

#define NAME(x) x##BF16
#define ELEMENT uint16_t
#define NUMBER float
#define UNIT uint32_t
#define LANES 16
#define MULTIPLY_ADD MULTIPLY_ADD_BF16
#define TO_NUMBER(x) CordsFromBf16(x)
#define TO_ELEMENT(x) CordsToBf16(x)
#define LOAD(p) LoadBf16(p)
#define STORE(p, v) StoreBf16(p, v)
#include "conv/direct_tile.inc"

static const Operations *OperationsOf(CordsType type)
{
  return type == CORDS_F64 ? &operationsF64 : type == CORDS_BF16 ? &operationsBF16 : &operationsF32;
}

/* ---- the loops ---- */

/* A channel block of a class for n items at work. */
typedef struct {
  const Operations *operations;
  const CordsRoute *route;
  const CordsRouteClass *class;
  const Finish *finish;
  const char *x;
  const void *zeros;
  PetscInt vector, log_width; /* of the block */
  PetscInt n, tiles;
} Work;

/* Addresses of the input pixels of a tile and the places of its output pixels. */
static PetscInt LocateTile(const Work *w, PetscInt tile, PetscInt part, const void *rows[], TilePixel where[])
{
  const CordsRouteClass *class = w->class;
  const PetscInt taps = class->tap_count;
  const size_t pixel_bytes = (size_t)w->route->in_channels * CordsTypeSize(w->route->type);
  const size_t skipped = (size_t)part * w->route->part_units * w->route->unit_size;
  PetscInt64 all = (PetscInt64)w->n * class->pixel_count, first = tile * all / w->tiles,
             end = (tile + 1) * all / w->tiles;
  PetscInt pixels = (PetscInt)(end - first), item = (PetscInt)(first / class->pixel_count);
  PetscInt k = (PetscInt)(first % class->pixel_count);

  for (PetscInt p = 0; p < pixels; p++) {
    const char *image = w->x + (size_t)item * w->route->in_pixels * pixel_bytes + skipped;
    const int32_t *sources = class->sources + (size_t)k * taps;
    for (PetscInt t = 0; t < taps; t++)
      rows[p * taps + t] = sources[t] < 0 ? (const char *)w->zeros : image + sources[t];
    where[p].at = (size_t)item * w->route->out_pixels + class->pixels[k];
    where[p].start_at = (size_t)(item % w->finish->period) * w->route->out_pixels + class->pixels[k];
    if (++k == class->pixel_count) k = 0, item++;
  }
  return pixels;
}

/* Tiles first .. end − 1 of a channel block.  Where the input channels come in parts, the sums of a few tiles wait for
   the next part, so that a part of the panel is read from memory once for all of them. */
static void RunTiles(const Work *w, PetscInt first, PetscInt end)
{
  const Operations *o = w->operations;
  const CordsRoute *route = w->route;
  const PetscInt width = 1 << w->log_width, together = route->part_count > 1 ? CHUNK_TILES : 1;
  FloatVector sums[CHUNK_TILES][TILE_VECTORS_MAX];
  const void *rows[TAPS_MAX * TILE_PIXELS_MAX];
  TilePixel where[TILE_PIXELS_MAX];
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
        if (part == 0) memset(sum, 0, sizeof sums[0]);
        o->tiles[w->log_width][pixels - 1](rows, w->class->tap_count, units, panel, starts, sum);
        if (part < route->part_count - 1) continue;
        o->finish(w->finish, pixels, width, where, route->out_channels, w->vector * route->lanes, sum);
      }
    }
  }
}

/* All channel blocks of a class; threads share blocks where panels are large and divide evenly, else tiles. */
static void RunClass(const Data *d, const CordsRoute *route, const CordsRouteClass *class, PetscInt n, const void *x,
                     const Finish *finish, int threads)
{
  const Operations *o = OperationsOf(d->type);
  const PetscInt vectors = route->vectors, blocks = (vectors + 3) / 4;
  const PetscBool by_blocks = (PetscBool)(vectors % (4 * threads) == 0);
  const PetscInt64 all = (PetscInt64)n * class->pixel_count;

  if (all == 0) return;
#pragma omp parallel num_threads(threads) if (threads > 1)
  {
    const PetscInt thread = omp_get_thread_num(), team = omp_get_num_threads();
    PetscInt begin = by_blocks ? thread * blocks / team * 4 : 0;
    PetscInt stop = by_blocks ? (thread + 1) * blocks / team * 4 : vectors;
    Work w = {.operations = o, .route = route, .class = class, .finish = finish, .x = x, .zeros = d->zeros, .n = n};
    for (w.vector = begin; w.vector < PetscMin(stop, vectors); w.vector += 1 << w.log_width) {
      w.log_width = CordsRouteLogWidth(vectors - w.vector);
      w.tiles = (PetscInt)((all + tile_pixels[w.log_width] - 1) / tile_pixels[w.log_width]);
      if (by_blocks)
        RunTiles(&w, 0, w.tiles);
      else
        RunTiles(&w, (PetscInt)((PetscInt64)thread * w.tiles / team),
                 (PetscInt)((PetscInt64)(thread + 1) * w.tiles / team));
    }
  }
}

static void Run(const Data *d, const CordsRoute *route, PetscInt n, const void *x, const Finish *finish)
{
  double operations = CordsConvFlops(&d->shape) * n;
  int threads = (int)PetscMax(1, PetscMin(omp_get_max_threads(), operations / operations_per_thread));

  for (PetscInt k = 0; k < route->class_count; k++) RunClass(d, route, &route->classes[k], n, x, finish, threads);
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

/* Weights backwards are made when they are wanted for the first time. */
static PetscErrorCode PackAdjoint(Data *d)
{
  PetscFunctionBegin;
  if (d->adjoint_packed) PetscFunctionReturn(PETSC_SUCCESS);
  PetscCall(CordsRoutePackAdjoint(&d->forward, &d->adjoint));
  d->adjoint_packed = PETSC_TRUE;
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode Forward(void *data, PetscInt n, const void *x, const void *start, PetscInt period, void *y)
{
  Data *d = data;
  Finish finish = {.kind = FINISH_PLAIN, .start = start, .period = PetscMax(period, 1), .y = y};

  PetscFunctionBegin;
  Run(d, &d->forward, n, x, &finish);
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode BackwardData(void *data, PetscInt n, const void *dy, void *dx, PetscBool accumulate)
{
  Data *d = data;
  Finish finish = {.kind = FINISH_PLAIN, .start = accumulate ? dx : NULL, .period = n, .y = dx};

  PetscFunctionBegin;
  PetscCall(PackAdjoint(d));
  Run(d, &d->adjoint, n, dy, &finish);
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode BackwardWeights(void *data, PetscInt n, const void *x, const void *dy, void *dw)
{
  Data *d = data;

  return CordsDirectBackwardWeights(&d->shape, d->type, n, x, dy, dw);
}

static PetscErrorCode Step(void *data, PetscInt n, const CordsConvLaw *law, const void *x, const void *z,
                           PetscInt period, const void *r, void *r_next, void *x_next, uint16_t *mask)
{
  Data *d = data;
  Finish finish = {.kind = FINISH_STEP,
                   .law = *law,
                   .start = z,
                   .period = period,
                   .r = r,
                   .r_next = r_next,
                   .x_next = x_next,
                   .mask_out = mask,
                   .words = (size_t)(d->shape.out_channels + 15) / 16};

  PetscFunctionBegin;
  Run(d, &d->forward, n, x, &finish);
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode StepAdjoint(void *data, PetscInt n, const CordsConvLaw *law, const void *du, const void *g,
                                  const void *later, const uint16_t *mask, void *lambda, void *du_before)
{
  Data *d = data;
  Finish finish = {.kind = FINISH_STEP_ADJOINT,
                   .law = *law,
                   .period = n,
                   .y = du_before,
                   .r = later,
                   .g = g,
                   .r_next = lambda,
                   .mask_in = mask,
                   .words = (size_t)(d->shape.in_channels + 15) / 16};

  PetscFunctionBegin;
  PetscCall(PackAdjoint(d));
  Run(d, &d->adjoint, n, du, &finish);
  PetscFunctionReturn(PETSC_SUCCESS);
}

const CordsConvBackendType cords_conv_backend_direct = {.name = "direct",
                                                        .about = "our own register tiles; f32, bf16 and f64",
                                                        .supports = Supports,
                                                        .create = Create,
                                                        .destroy = Destroy,
                                                        .pack = Pack,
                                                        .forward = Forward,
                                                        .backward_data = BackwardData,
                                                        .backward_weights = BackwardWeights,
                                                        .step = Step,
                                                        .step_adjoint = StepAdjoint};
