/* dw[tap][c][o] += Σ_slot x[slot + shift(tap)][c] · dy[slot][o] as products of matrices, with the slots of slots.h as
   what is summed over; dy is zero where a slot has no pixel.

   dy is transposed and cut into registers of 16 output channels × 32 slots.  x is copied in pairs of slots, twice:
   pairs that begin with an even slot, and with an odd one, so that for every tap 16 pairs of 16 input channels are a
   register.  Two registers of dy times three of x, for three taps, are six sums; those of all taps of a block of
   channels wait beside each other while slots go by in chunks, and are added to dw at the end of a group of images.  A
   group is as many images as the second-level cache holds of a block.  Threads share blocks; every sum is done by
   one thread in one order. */
#include "conv/matrix_weights.h"

#include "conv/matrix_unit.h"
#include "conv/register_tile.h"
#include "conv/scratch.h"

#include <omp.h>
#include <string.h>

#if defined(__AMX_BF16__)
#include <immintrin.h>

enum { SIDE = CORDS_MATRIX_SIDE, DEPTH = CORDS_MATRIX_DEPTH, BLOCK = 2 * SIDE /* output channels; SIDE input ones */ };
enum { SUMS = SIDE * SIDE /* of a register */, TAPS = 3 /* at a time */ };
enum { CHUNK_STEPS = 32 /* of 32 slots, before the next taps: dy of them is still near */ };
enum { PARITIES = 2 /* pairs of slots from an even one on, from an odd one on */ };

/* Of a group, in a block of channels. */
static const size_t group_bytes = (size_t)400 << 10;

typedef struct {
  const CordsSlotRoute *route;
  PetscInt steps;                 /* of 32 slots, of an image */
  PetscInt pairs;                 /* of slots of x, of a plane */
  PetscInt images;                /* of a group */
  size_t x_bytes, dy_bytes;       /* of an image, 16 channels */
  size_t sums_bytes;              /* of a thread */
  PetscInt *x_places, *dy_places; /* of slots in an image, in numbers; −1: no pixel */
} Layout;

static Layout LayoutOf(const CordsSlotRoute *route, PetscInt n)
{
  const PetscInt shift = route->more_rows * route->width + route->more_columns;
  Layout l = {.route = route};

  l.steps = (route->rows * route->width + DEPTH - 1) / DEPTH;
  l.pairs = l.steps * SIDE + shift / 2 + 1;
  l.x_bytes = (size_t)PARITIES * route->plane_count * l.pairs * CORDS_MATRIX_ROW_BYTES;
  l.dy_bytes = (size_t)l.steps * CORDS_MATRIX_BYTES;
  l.images = (PetscInt)PetscMin(PetscMax(group_bytes / (l.x_bytes + 2 * l.dy_bytes), 1), n);
  l.sums_bytes = (size_t)route->tap_count * 2 * CORDS_MATRIX_BYTES;
  return l;
}

static size_t XBytes(const Layout *l)
{
  return (size_t)l->images * l->x_bytes * (l->route->in_channels / SIDE);
}

static size_t DyBytes(const Layout *l)
{
  return (size_t)l->images * l->dy_bytes * (l->route->out_channels / SIDE);
}

/* ---- copies ---- */

/* 16 × 16 numbers of 32 bits, rows and columns exchanged. */
static inline void Transpose(__m512i v[16])
{
  __m512i w[16];

  for (int k = 0; k < 16; k += 2) {
    w[k] = _mm512_unpacklo_epi32(v[k], v[k + 1]);
    w[k + 1] = _mm512_unpackhi_epi32(v[k], v[k + 1]);
  }
  for (int k = 0; k < 16; k += 4) {
    v[k] = _mm512_unpacklo_epi64(w[k], w[k + 2]);
    v[k + 1] = _mm512_unpackhi_epi64(w[k], w[k + 2]);
    v[k + 2] = _mm512_unpacklo_epi64(w[k + 1], w[k + 3]);
    v[k + 3] = _mm512_unpackhi_epi64(w[k + 1], w[k + 3]);
  }
  for (int k = 0; k < 4; k++) { /* lanes of 128 bits: row 4 i + k has columns 4 j + k */
    w[k] = _mm512_shuffle_i32x4(v[k], v[k + 4], 0x88);
    w[k + 4] = _mm512_shuffle_i32x4(v[k], v[k + 4], 0xdd);
    w[k + 8] = _mm512_shuffle_i32x4(v[k + 8], v[k + 12], 0x88);
    w[k + 12] = _mm512_shuffle_i32x4(v[k + 8], v[k + 12], 0xdd);
  }
  for (int k = 0; k < 4; k++) {
    v[k] = _mm512_shuffle_i32x4(w[k], w[k + 8], 0x88);
    v[k + 8] = _mm512_shuffle_i32x4(w[k], w[k + 8], 0xdd);
    v[k + 4] = _mm512_shuffle_i32x4(w[k + 4], w[k + 12], 0x88);
    v[k + 12] = _mm512_shuffle_i32x4(w[k + 4], w[k + 12], 0xdd);
  }
}

/* Places of the pixels of x in the slots of each plane, two for each pair and one more, and of dy. */
static void FindPlaces(const Layout *l)
{
  const CordsSlotRoute *route = l->route;
  const PetscInt slots = 2 * l->pairs + 1;
  const CordsBox whole = CordsSlotWhole(route);

  for (PetscInt plane = 0; plane < route->plane_count; plane++) {
    PetscInt *place = l->x_places + (size_t)plane * slots;
    for (PetscInt slot = 0, row = 0; slot < slots; row++) {
      PetscInt before, count;
      const PetscInt source = CordsSlotRow(route, plane, &whole, row, 0, route->width, &before, &count);
      for (PetscInt k = 0; k < route->width && slot < slots; k++, slot++) {
        const PetscInt inside = k - before;
        const PetscBool is = (PetscBool)(inside >= 0 && inside < count);
        place[slot] = is ? (source + inside * route->step_in) * route->in_channels : -1;
      }
    }
  }
  for (PetscInt slot = 0; slot < l->steps * DEPTH; slot++) {
    const PetscInt row = slot / route->width, column = slot % route->width;
    const PetscBool is = (PetscBool)(row < route->rows && column < route->out_columns);
    l->dy_places[slot] = is ? (row * route->out_columns + column) * route->out_channels : -1;
  }
}

/* 16 numbers at a place of an image from `channel` on, as the first of 16 pairs. */
static inline __m512i LoadPlace(const uint16_t *image, PetscInt place, PetscInt channel)
{
  static const uint16_t zeros[SIDE];
  const uint16_t *from = place < 0 ? zeros : image + place + channel;

  return _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)from));
}

static inline __m512i Pairs(__m512i first, __m512i second)
{
  return _mm512_or_si512(first, _mm512_slli_epi32(second, 16));
}

/* ---- products ---- */

/* A call at work on a group of images. */
typedef struct {
  const Layout *layout;
  PetscInt images;
  char *x;  /* [c / 16][image][parity][plane][pair][c mod 16][2] */
  char *dy; /* [o / 16][image][step][o mod 16][32 slots] */
  float *dw;
} Work;

/* A plane of an image, 64 channels at a time, which are whole lines of it. */
static void CopyX(const Work *w, PetscInt image, PetscInt plane, const uint16_t *from)
{
  enum { TOGETHER = 4 * SIDE };
  const Layout *l = w->layout;
  const PetscInt *places = l->x_places + (size_t)plane * (2 * l->pairs + 1), channels = l->route->in_channels;
  const size_t plane_numbers = (size_t)l->pairs * SIDE;
  const size_t next = (size_t)l->images * l->x_bytes / sizeof(uint32_t); /* 16 channels on */
  const size_t odd = (size_t)l->route->plane_count * plane_numbers;

  for (PetscInt c = 0; c < channels; c += TOGETHER) {
    uint32_t *to =
        (uint32_t *)(w->x + (size_t)(c / SIDE * l->images + image) * l->x_bytes) + (size_t)plane * plane_numbers;
    for (PetscInt pair = 0; pair < l->pairs; pair++, to += SIDE) {
      const PetscInt *place = &places[2 * pair];
      for (PetscInt k = 0; k < PetscMin(TOGETHER, channels - c); k += SIDE) {
        const __m512i first = LoadPlace(from, place[0], c + k), second = LoadPlace(from, place[1], c + k);
        const __m512i third = LoadPlace(from, place[2], c + k);
        _mm512_storeu_si512(to + (size_t)(k / SIDE) * next, Pairs(first, second));
        _mm512_storeu_si512(to + (size_t)(k / SIDE) * next + odd, Pairs(second, third));
      }
    }
  }
}

static void CopyDy(const Work *w, PetscInt image, const uint16_t *from)
{
  const Layout *l = w->layout;
  __m512i rows[SIDE];

  for (PetscInt step = 0; step < l->steps; step++) {
    const PetscInt *places = l->dy_places + (size_t)step * DEPTH;
    for (PetscInt o = 0; o < l->route->out_channels; o += SIDE) {
      char *to = w->dy + (size_t)(o / SIDE * l->images + image) * l->dy_bytes + (size_t)step * CORDS_MATRIX_BYTES;
      for (int k = 0; k < SIDE; k++)
        rows[k] = Pairs(LoadPlace(from, places[2 * k], o), LoadPlace(from, places[2 * k + 1], o));
      Transpose(rows);
      for (int k = 0; k < SIDE; k++) _mm512_storeu_si512(to + (size_t)k * CORDS_MATRIX_ROW_BYTES, rows[k]);
    }
  }
}

/* Steps of some images. */
typedef struct {
  PetscInt image, image_end, step, step_end;
} Chunk;

/* sums [tap][two of o][16 o][16 c] += what a chunk has for `taps` ≤ TAPS taps; x_at, dy_at: of image 0 and step 0. */
static inline __attribute__((always_inline)) void Multiply(const Layout *l, const Chunk *chunk, const int taps,
                                                           const char *const x_at[TAPS], const char *dy_at, float *sums)
{
  const size_t dy_half = (size_t)l->images * l->dy_bytes;

  CordsMatrixUnitSeesMemory();
  _tile_loadd(0, sums, CORDS_MATRIX_ROW_BYTES);
  _tile_loadd(1, sums + SUMS, CORDS_MATRIX_ROW_BYTES);
  if (taps > 1) _tile_loadd(2, sums + 2 * SUMS, CORDS_MATRIX_ROW_BYTES);
  if (taps > 1) _tile_loadd(3, sums + 3 * SUMS, CORDS_MATRIX_ROW_BYTES);
  if (taps > 2) _tile_loadd(4, sums + 4 * SUMS, CORDS_MATRIX_ROW_BYTES);
  if (taps > 2) _tile_loadd(5, sums + 5 * SUMS, CORDS_MATRIX_ROW_BYTES);
  for (PetscInt image = chunk->image; image < chunk->image_end; image++) {
    const size_t skipped = (size_t)image * l->x_bytes + (size_t)chunk->step * CORDS_MATRIX_BYTES;
    const char *x0 = x_at[0] + skipped, *x1 = x_at[1] + skipped, *x2 = x_at[2] + skipped;
    const char *dy = dy_at + (size_t)image * l->dy_bytes + (size_t)chunk->step * CORDS_MATRIX_BYTES;
    for (PetscInt step = chunk->step; step < chunk->step_end; step++) { /* dy is loaded as seldom as can be */
      _tile_loadd(7, x0, CORDS_MATRIX_ROW_BYTES);
      _tile_loadd(6, dy, CORDS_MATRIX_ROW_BYTES);
      _tile_dpbf16ps(0, 6, 7);
      _tile_loadd(6, dy + dy_half, CORDS_MATRIX_ROW_BYTES);
      _tile_dpbf16ps(1, 6, 7);
      if (taps > 1) {
        _tile_loadd(7, x1, CORDS_MATRIX_ROW_BYTES);
        _tile_dpbf16ps(3, 6, 7);
        _tile_loadd(6, dy, CORDS_MATRIX_ROW_BYTES);
        _tile_dpbf16ps(2, 6, 7);
      }
      if (taps > 2) {
        _tile_loadd(7, x2, CORDS_MATRIX_ROW_BYTES);
        _tile_dpbf16ps(4, 6, 7);
        _tile_loadd(6, dy + dy_half, CORDS_MATRIX_ROW_BYTES);
        _tile_dpbf16ps(5, 6, 7);
      }
      x0 += CORDS_MATRIX_BYTES;
      x1 += CORDS_MATRIX_BYTES;
      x2 += CORDS_MATRIX_BYTES;
      dy += CORDS_MATRIX_BYTES;
    }
  }
  _tile_stored(0, sums, CORDS_MATRIX_ROW_BYTES);
  _tile_stored(1, sums + SUMS, CORDS_MATRIX_ROW_BYTES);
  if (taps > 1) _tile_stored(2, sums + 2 * SUMS, CORDS_MATRIX_ROW_BYTES);
  if (taps > 1) _tile_stored(3, sums + 3 * SUMS, CORDS_MATRIX_ROW_BYTES);
  if (taps > 2) _tile_stored(4, sums + 4 * SUMS, CORDS_MATRIX_ROW_BYTES);
  if (taps > 2) _tile_stored(5, sums + 5 * SUMS, CORDS_MATRIX_ROW_BYTES);
}

/* All taps of a chunk. */
static void RunChunk(const Layout *l, const Chunk *chunk, const char *x, const char *dy, float *sums)
{
  const CordsSlotClass *class = &l->route->classes[0];

  for (PetscInt first = 0; first < class->tap_count; first += TAPS, sums += TAPS * 2 * SUMS) {
    const PetscInt taps = PetscMin(TAPS, class->tap_count - first);
    const char *x_at[TAPS];
    for (PetscInt k = 0; k < TAPS; k++) {
      const CordsSlotTap *tap = &class->taps[first + PetscMin(k, taps - 1)];
      const PetscInt shift = CordsSlotShift(tap, 0, l->route->width), parity = shift % PARITIES;
      const PetscInt pair = (parity * l->route->plane_count + tap->plane) * l->pairs + shift / 2;
      x_at[k] = x + (size_t)pair * CORDS_MATRIX_ROW_BYTES;
    }
    if (taps == 3)
      Multiply(l, chunk, 3, x_at, dy, sums);
    else if (taps == 2)
      Multiply(l, chunk, 2, x_at, dy, sums);
    else
      Multiply(l, chunk, 1, x_at, dy, sums);
  }
}

/* dw [c][o] += sums [o][c] of 16 × 16. */
static void AddTransposed(const float *sums, size_t out_channels, float *dw)
{
  __m512i rows[SIDE];

  for (int k = 0; k < SIDE; k++) rows[k] = _mm512_loadu_si512(sums + k * SIDE);
  Transpose(rows);
  for (int k = 0; k < SIDE; k++, dw += out_channels)
    _mm512_storeu_ps(dw, _mm512_add_ps(_mm512_loadu_ps(dw), _mm512_castsi512_ps(rows[k])));
}

/* Sixteen input channels from c on and 32 output channels from o on: chunk by chunk, all taps. */
static void RunBlock(const Work *w, PetscInt c, PetscInt o, float *sums)
{
  const Layout *l = w->layout;
  const CordsSlotRoute *route = l->route;
  const PetscInt images = PetscMax(CHUNK_STEPS / l->steps, 1);
  const char *x = w->x + (size_t)(c / SIDE * l->images) * l->x_bytes;
  const char *dy = w->dy + (size_t)(o / SIDE * l->images) * l->dy_bytes;
  Chunk chunk;

  memset(sums, 0, l->sums_bytes);
  for (chunk.image = 0; chunk.image < w->images; chunk.image = chunk.image_end) {
    chunk.image_end = PetscMin(chunk.image + images, w->images);
    for (chunk.step = 0; chunk.step < l->steps; chunk.step = chunk.step_end) {
      chunk.step_end = PetscMin(chunk.step + CHUNK_STEPS, l->steps);
      RunChunk(l, &chunk, x, dy, sums);
    }
  }
  for (PetscInt t = 0; t < route->tap_count; t++, sums += 2 * SUMS) {
    const PetscInt place = route->classes[0].taps[t].place;
    float *dw = w->dw + ((size_t)place * route->in_channels + c) * route->out_channels + o;
    AddTransposed(sums, (size_t)route->out_channels, dw);
    AddTransposed(sums + SUMS, (size_t)route->out_channels, dw + SIDE);
  }
}

/* All threads: copies of a group of images, then the blocks of dw. */
static void RunGroup(const Work *w, const uint16_t *x, const uint16_t *dy, float *sums)
{
  const CordsSlotRoute *route = w->layout->route;
  const size_t in = (size_t)route->in_rows * route->in_columns * route->in_channels;
  const size_t out = (size_t)route->out_pixels * route->out_channels;
  const PetscInt jobs = route->plane_count + 1, columns = route->out_channels / BLOCK;

#pragma omp for schedule(static)
  for (PetscInt k = 0; k < w->images * jobs; k++) {
    const PetscInt image = k / jobs, job = k % jobs;
    if (job == 0)
      CopyDy(w, image, dy + (size_t)image * out);
    else
      CopyX(w, image, job - 1, x + (size_t)image * in);
  }
#pragma omp for schedule(static)
  for (PetscInt block = 0; block < route->in_channels / SIDE * columns; block++)
    RunBlock(w, block / columns * SIDE, block % columns * BLOCK, sums);
}

static size_t PlacesBytes(const Layout *l)
{
  const size_t slots = (size_t)l->route->plane_count * (2 * l->pairs + 1) + (size_t)l->steps * DEPTH;

  return (slots * sizeof(PetscInt) + 63) / 64 * 64;
}

/* All work memory. */
static size_t Bytes(const Layout *l, int threads)
{
  return XBytes(l) + DyBytes(l) + PlacesBytes(l) + l->sums_bytes * (size_t)threads;
}

double CordsMatrixWeightsBytes(const CordsSlotRoute *route, PetscInt n)
{
  const Layout l = LayoutOf(route, n);

  return (double)Bytes(&l, omp_get_max_threads());
}

PetscErrorCode CordsMatrixBackwardWeights(const CordsSlotRoute *route, PetscInt n, const void *x, const void *dy,
                                          void *dw)
{
  const double products = (double)route->tap_count * route->out_pixels * route->in_channels * route->out_channels;
  const int threads = CordsTileThreads(2 * products * n);
  Layout l = LayoutOf(route, n);
  char *memory, *sums;

  PetscFunctionBegin;
  PetscCall(CordsScratchGet(Bytes(&l, threads), &memory));
  sums = memory + XBytes(&l) + DyBytes(&l);
  l.x_places = (PetscInt *)(sums + l.sums_bytes * (size_t)threads);
  l.dy_places = l.x_places + (size_t)route->plane_count * (2 * l.pairs + 1);
  FindPlaces(&l);
#pragma omp parallel num_threads(threads) if (threads > 1)
  {
    CordsMatrixUnitBegin();
    for (PetscInt first = 0; first < n; first += l.images) {
      const Work w = {&l, PetscMin(l.images, n - first), memory, memory + XBytes(&l), dw};
      RunGroup(&w, (const uint16_t *)x + (size_t)first * route->in_rows * route->in_columns * route->in_channels,
               (const uint16_t *)dy + (size_t)first * route->out_pixels * route->out_channels,
               (float *)(sums + l.sums_bytes * (size_t)omp_get_thread_num()));
    }
    CordsMatrixUnitEnd();
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}
#else
double CordsMatrixWeightsBytes(const CordsSlotRoute *route, PetscInt n)
{
  return 0;
}

PetscErrorCode CordsMatrixBackwardWeights(const CordsSlotRoute *route, PetscInt n, const void *x, const void *dy,
                                          void *dw)
{
  PetscFunctionBegin;
  PetscCheck(PETSC_FALSE, PETSC_COMM_SELF, PETSC_ERR_SUP, "this processor has no unit for products of matrices");
  PetscFunctionReturn(PETSC_SUCCESS);
}
#endif
