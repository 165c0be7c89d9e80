/* Convolution by our own kernels in float32, float64 and bfloat16: tiles of output pixels × output channels whose sums
   stay in registers (direct_tile.h), for one image as well as for many.

   Forward and backward to data are the same loops over a Route: which input pixel each tap of an output pixel reads.
   For a stride above 1 the route backwards has classes of pixels that share their taps, so that nothing is multiplied
   by zero.  Weights are kept as panels [channel block][part of the input channels][tap][input channel][WIDTH · LANES]
   that are read once from front to back; a part is small enough for the second-level cache.  Every sum is done by one
   thread in one order, whatever the number of threads. */
#include "conv/backend.h"
#include "conv/backends/direct_types.h"
#include "conv/backends/direct_weights.h"

#include <omp.h>
#include <string.h>

enum { TILE_PIXELS_MAX = 10, TILE_VECTORS_MAX = 24, CHUNK_TILES = 32, TAPS_MAX = 121 };
static const PetscInt tile_pixels[3] = {10, 10, 6}; /* by log2 of the width in vectors */

/* A part of a panel that stays in the second-level cache beside the images; work that is worth a thread. */
static const size_t part_bytes = (size_t)640 << 10;
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

/* Output pixels that have the same taps. */
typedef struct {
  PetscInt pixel_count, tap_count;
  PetscInt *pixels; /* places in the output image */
  PetscInt *taps;   /* places in the kernel */
  int32_t *sources; /* [pixel][tap]: bytes from the start of the input image, −1 outside */
} RouteClass;

/* One direction of a convolution. */
typedef struct {
  PetscInt in_pixels, in_channels, out_pixels, out_channels, tap_count;
  PetscInt class_count;
  RouteClass *classes;
  PetscInt units, part_units, part_count; /* UNITs of all input channels, of a part */
  void *panels;                           /* NULL until needed */
} Route;

typedef struct {
  CordsConvShape shape;
  CordsType type;
  Route forward, adjoint;
  PetscBool adjoint_packed;
  void *zeros; /* a pixel outside the image */
} Data;

/* Where a pixel of a tile lies among all output pixels, and among those of `start`. */
typedef struct {
  size_t at, start_at;
} TilePixel;

/* rows [pixel][tap], sums [pixel][vector]; see direct_tile.h */
typedef void (*TileFunction)(const void *const *rows, PetscInt taps, PetscInt units, const void *weights,
                             const size_t *starts, void *sums);

/* What one number type brings. */
typedef struct {
  size_t element_size, number_size, unit_size;
  PetscInt lanes;
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
#include "conv/backends/direct_tile.h"
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
#include "conv/backends/direct_tile.h"
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
#include "conv/backends/direct_tile.h"

static const Operations *OperationsOf(CordsType type)
{
  return type == CORDS_F64 ? &operationsF64 : type == CORDS_BF16 ? &operationsBF16 : &operationsF32;
}

/* Image numbers of a UNIT. */
static PetscInt UnitElements(const Operations *o)
{
  return (PetscInt)(o->unit_size / o->element_size);
}

/* ---- routes ---- */

/* Forward: the input pixel of tap (a, b) at output pixel (i, j).  Backward: the output pixel that has input pixel (i,
   j) at its tap.  −1: outside, or between two strides. */
static PetscInt Source(const CordsConvShape *s, PetscBool adjoint, PetscInt i, PetscInt j, PetscInt a, PetscInt b)
{
  PetscInt row = adjoint ? i + s->pad_top - a : i * s->stride + a - s->pad_top;
  PetscInt column = adjoint ? j + s->pad_left - b : j * s->stride + b - s->pad_left;
  PetscInt rows = adjoint ? s->out_rows : s->in_rows, columns = adjoint ? s->out_columns : s->in_columns;

  if (adjoint && (row % s->stride != 0 || column % s->stride != 0)) return -1;
  if (adjoint) row /= s->stride, column /= s->stride;
  return row < 0 || row >= rows || column < 0 || column >= columns ? -1 : row * columns + column;
}

/* Whether a tap falls between two strides for all pixels of the class (row, column) mod stride. */
static PetscBool TapInClass(const CordsConvShape *s, PetscInt row_class, PetscInt column_class, PetscInt a, PetscInt b)
{
  return (PetscBool)((row_class + s->pad_top - a) % s->stride == 0 &&
                     (column_class + s->pad_left - b) % s->stride == 0);
}

static PetscErrorCode ClassCreate(const CordsConvShape *s, size_t pixel_bytes, PetscBool adjoint, PetscInt row_class,
                                  PetscInt column_class, RouteClass *c)
{
  PetscInt rows = adjoint ? s->in_rows : s->out_rows, columns = adjoint ? s->in_columns : s->out_columns;
  PetscInt step = adjoint ? s->stride : 1, taps = s->kernel_rows * s->kernel_columns;

  PetscFunctionBegin;
  PetscCall(PetscMalloc1(taps, &c->taps));
  for (PetscInt tap = 0; tap < taps; tap++) {
    PetscInt a = tap / s->kernel_columns, b = tap % s->kernel_columns;
    if (!adjoint || TapInClass(s, row_class, column_class, a, b)) c->taps[c->tap_count++] = tap;
  }
  PetscCall(PetscMalloc1(rows * columns, &c->pixels));
  PetscCall(PetscMalloc1((size_t)rows * columns * PetscMax(c->tap_count, 1), &c->sources));
  for (PetscInt i = row_class; i < rows; i += step) {
    for (PetscInt j = column_class; j < columns; j += step) {
      for (PetscInt t = 0; t < c->tap_count; t++) {
        PetscInt a = c->taps[t] / s->kernel_columns, b = c->taps[t] % s->kernel_columns;
        PetscInt source = Source(s, adjoint, i, j, a, b);
        c->sources[c->pixel_count * c->tap_count + t] = source < 0 ? -1 : (int32_t)((size_t)source * pixel_bytes);
      }
      c->pixels[c->pixel_count++] = i * columns + j;
    }
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode RouteCreate(const CordsConvShape *s, const Operations *o, PetscBool adjoint, Route *route)
{
  PetscInt step = adjoint ? s->stride : 1, in = s->in_rows * s->in_columns, out = s->out_rows * s->out_columns;
  PetscInt unit = UnitElements(o), wide = TILE_VECTORS_MAX / 6 * o->lanes;

  PetscFunctionBegin;
  route->tap_count = s->kernel_rows * s->kernel_columns;
  route->in_pixels = adjoint ? out : in;
  route->out_pixels = adjoint ? in : out;
  route->in_channels = adjoint ? s->out_channels : s->in_channels;
  route->out_channels = adjoint ? s->in_channels : s->out_channels;
  route->units = (route->in_channels + unit - 1) / unit;
  route->part_count =
      (PetscInt)(((size_t)route->units * route->tap_count * wide * o->unit_size + part_bytes - 1) / part_bytes);
  route->part_units = (route->units + route->part_count - 1) / route->part_count;
  route->class_count = step * step;
  PetscCall(PetscCalloc1(route->class_count, &route->classes));
  for (PetscInt k = 0; k < route->class_count; k++) {
    PetscCall(
        ClassCreate(s, (size_t)route->in_channels * o->element_size, adjoint, k / step, k % step, &route->classes[k]));
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode RouteDestroy(Route *route)
{
  PetscFunctionBegin;
  for (PetscInt k = 0; k < route->class_count; k++) {
    PetscCall(PetscFree(route->classes[k].pixels));
    PetscCall(PetscFree(route->classes[k].taps));
    PetscCall(PetscFree(route->classes[k].sources));
  }
  PetscCall(PetscFree(route->classes));
  free(route->panels);
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* ---- panels ---- */

/* log2 of the width of the channel block that starts at a vector */
static PetscInt BlockWidth(PetscInt vectors_left)
{
  return vectors_left >= 4 ? 2 : vectors_left >= 2 ? 1 : 0;
}

static PetscInt Vectors(const Route *route, const Operations *o)
{
  return (route->out_channels + o->lanes - 1) / o->lanes;
}

static size_t PanelBytes(const Route *route, const Operations *o)
{
  return (size_t)route->tap_count * route->units * Vectors(route, o) * o->lanes * o->unit_size;
}

/* UNITs before part `part` of the block that starts at `vector`, and those of one tap in that part. */
static size_t PanelStart(const Route *route, const Operations *o, PetscInt vector, PetscInt width, PetscInt part)
{
  size_t before = (size_t)vector * o->lanes * route->units + (size_t)part * route->part_units * width * o->lanes;

  return before * route->tap_count;
}

static PetscInt PartUnits(const Route *route, PetscInt part)
{
  return PetscMin(route->part_units, route->units - part * route->part_units);
}

/* Put the weight of (out channel o, in channel c) of the route at its place; width in vectors. */
static inline void PutWeight(CordsType type, void *unit, PetscInt lane, PetscInt half, double value)
{
  if (type == CORDS_F64)
    ((double *)unit)[lane] = value;
  else if (type == CORDS_F32)
    ((float *)unit)[lane] = (float)value;
  else
    ((uint16_t *)unit)[2 * lane + half] = CordsToBf16((float)value);
}

static inline double GetWeight(CordsType type, const void *weights, size_t k)
{
  return type == CORDS_F64 ? ((const double *)weights)[k] : (double)((const float *)weights)[k];
}

static inline double GetPanel(CordsType type, const void *unit, PetscInt lane, PetscInt half)
{
  if (type == CORDS_F64) return ((const double *)unit)[lane];
  if (type == CORDS_F32) return (double)((const float *)unit)[lane];
  return (double)CordsFromBf16(((const uint16_t *)unit)[2 * lane + half]);
}

/* Address of the row of lanes that holds (vector, tap, in channel) in the panels. */
static void *PanelRow(const Route *route, const Operations *o, PetscInt vector, PetscInt tap, PetscInt channel)
{
  PetscInt first = vector - vector % 4, width, unit = channel / UnitElements(o), part = unit / route->part_units;
  size_t at;

  while (first + (1 << BlockWidth(Vectors(route, o) - first)) <= vector)
    first += 1 << BlockWidth(Vectors(route, o) - first);
  width = 1 << BlockWidth(Vectors(route, o) - first);
  at = PanelStart(route, o, first, width, part) +
       (((size_t)tap * PartUnits(route, part) + unit - part * route->part_units) * width + vector - first) * o->lanes;
  return (char *)route->panels + at * o->unit_size;
}

static PetscErrorCode AllocatePanels(Route *route, const Operations *o)
{
  size_t bytes = PanelBytes(route, o);

  PetscFunctionBegin;
  if (!route->panels && posix_memalign(&route->panels, 64, bytes)) route->panels = NULL;
  PetscCheck(route->panels, PETSC_COMM_SELF, PETSC_ERR_MEM, "no memory for %zu bytes", bytes);
  memset(route->panels, 0, bytes);
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode Pack(void *data, const void *weights)
{
  Data *d = data;
  Route *route = &d->forward;
  const Operations *o = OperationsOf(d->type);
  PetscInt unit = UnitElements(o), taps = route->tap_count;

  PetscFunctionBegin;
  d->adjoint_packed = PETSC_FALSE;
  PetscCall(AllocatePanels(route, o));
#pragma omp parallel for schedule(static)
  for (PetscInt vector = 0; vector < Vectors(route, o); vector++) {
    PetscInt lanes = PetscMin(o->lanes, route->out_channels - vector * o->lanes);
    for (PetscInt c = 0; c < route->in_channels; c++) {
      for (PetscInt tap = 0; tap < taps; tap++) {
        void *row = PanelRow(route, o, vector, tap, c);
        for (PetscInt lane = 0; lane < lanes; lane++) {
          size_t from = ((size_t)(vector * o->lanes + lane) * route->in_channels + c) * taps + tap;
          PutWeight(d->type, row, lane, c % unit, GetWeight(d->type, weights, from));
        }
      }
    }
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* The panels backwards from those forwards, when they are wanted for the first time. */
static PetscErrorCode PackAdjoint(Data *d)
{
  const Route *forward = &d->forward;
  Route *route = &d->adjoint;
  const Operations *o = OperationsOf(d->type);
  PetscInt unit = UnitElements(o);

  PetscFunctionBegin;
  if (d->adjoint_packed) PetscFunctionReturn(PETSC_SUCCESS);
  PetscCall(AllocatePanels(route, o));
#pragma omp parallel for schedule(static)
  for (PetscInt vector = 0; vector < Vectors(forward, o); vector++) {
    PetscInt lanes = PetscMin(o->lanes, forward->out_channels - vector * o->lanes);
    for (PetscInt tap = 0; tap < forward->tap_count; tap++) {
      for (PetscInt c = 0; c < forward->in_channels; c++) {
        const void *from = PanelRow(forward, o, vector, tap, c);
        for (PetscInt lane = 0; lane < lanes; lane++) {
          PetscInt out = vector * o->lanes + lane;
          PutWeight(d->type, PanelRow(route, o, c / o->lanes, tap, out), c % o->lanes, out % unit,
                    GetPanel(d->type, from, lane, c % unit));
        }
      }
    }
  }
  d->adjoint_packed = PETSC_TRUE;
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* ---- the loops ---- */

/* A channel block of a class for n items at work. */
typedef struct {
  const Operations *operations;
  const Route *route;
  const RouteClass *class;
  const Finish *finish;
  const char *x;
  const void *zeros;
  PetscInt vector, log_width; /* of the block */
  PetscInt n, tiles;
} Work;

/* Addresses of the input pixels of a tile and the places of its output pixels. */
static PetscInt LocateTile(const Work *w, PetscInt tile, PetscInt part, const void *rows[], TilePixel where[])
{
  const RouteClass *class = w->class;
  const PetscInt taps = class->tap_count;
  const size_t pixel_bytes = (size_t)w->route->in_channels * w->operations->element_size;
  const size_t skipped = (size_t)part * w->route->part_units * w->operations->unit_size;
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
  const Route *route = w->route;
  const PetscInt width = 1 << w->log_width, together = route->part_count > 1 ? CHUNK_TILES : 1;
  FloatVector sums[CHUNK_TILES][TILE_VECTORS_MAX];
  const void *rows[TAPS_MAX * TILE_PIXELS_MAX];
  TilePixel where[TILE_PIXELS_MAX];
  size_t starts[TAPS_MAX];

  for (PetscInt chunk = first; chunk < end; chunk += together) {
    for (PetscInt part = 0; part < route->part_count; part++) {
      const PetscInt units = PartUnits(route, part);
      const char *panel = (const char *)route->panels + PanelStart(route, o, w->vector, width, part) * o->unit_size;
      for (PetscInt t = 0; t < w->class->tap_count; t++) {
        starts[t] = (size_t)w->class->taps[t] * units * width * o->lanes;
      }
      for (PetscInt tile = chunk; tile < PetscMin(chunk + together, end); tile++) {
        PetscInt pixels = LocateTile(w, tile, part, rows, where);
        void *sum = sums[tile - chunk];
        if (part == 0) memset(sum, 0, sizeof sums[0]);
        o->tiles[w->log_width][pixels - 1](rows, w->class->tap_count, units, panel, starts, sum);
        if (part < route->part_count - 1) continue;
        o->finish(w->finish, pixels, width, where, route->out_channels, w->vector * o->lanes, sum);
      }
    }
  }
}

/* All channel blocks of a class; threads share blocks where panels are large and divide evenly, else tiles. */
static void RunClass(const Data *d, const Route *route, const RouteClass *class, PetscInt n, const void *x,
                     const Finish *finish, int threads)
{
  const Operations *o = OperationsOf(d->type);
  const PetscInt vectors = Vectors(route, o), blocks = (vectors + 3) / 4;
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
      w.log_width = BlockWidth(vectors - w.vector);
      w.tiles = (PetscInt)((all + tile_pixels[w.log_width] - 1) / tile_pixels[w.log_width]);
      if (by_blocks)
        RunTiles(&w, 0, w.tiles);
      else
        RunTiles(&w, (PetscInt)((PetscInt64)thread * w.tiles / team),
                 (PetscInt)((PetscInt64)(thread + 1) * w.tiles / team));
    }
  }
}

static void Run(const Data *d, const Route *route, PetscInt n, const void *x, const Finish *finish)
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
  const Operations *o = OperationsOf(type);
  size_t zeros = (size_t)PetscMax(shape->in_channels, shape->out_channels) * o->element_size + 64;
  Data *d;

  PetscFunctionBegin;
  PetscCall(PetscNew(&d));
  d->shape = *shape;
  d->type = type;
  PetscCall(RouteCreate(shape, o, PETSC_FALSE, &d->forward));
  PetscCall(RouteCreate(shape, o, PETSC_TRUE, &d->adjoint));
  PetscCall(PetscCalloc(zeros, &d->zeros));
  *data = d;
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode Destroy(void *data)
{
  Data *d = data;

  PetscFunctionBegin;
  PetscCall(RouteDestroy(&d->forward));
  PetscCall(RouteDestroy(&d->adjoint));
  PetscCall(PetscFree(d->zeros));
  PetscCall(PetscFree(d));
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
