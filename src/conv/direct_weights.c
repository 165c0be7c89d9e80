/* dw[tap][c][o] += Σ_p x[source(p, tap)][c] · dy[p][o] as outer products: a tile of input channels × vectors of output
   channels stays in registers while pixels run by; a pixel outside the image points to zeros.

   Pixels go in chunks whose dy stays in the first-level cache and x in the second.  dy of a block of output channels is
   copied into a panel without gaps.  bf16 multiplies pairs: the same pixel of two consecutive items is a pair, so x and
   dy of two items are interleaved first.  Tiles of dw are shared among threads; every sum is done by one thread in one
   order. */
#include "conv/direct_weights.h"

#include "conv/outer_tile.h"
#include "conv/register_tile.h"
#include "conv/route.h"
#include "conv/vector_types.h"
#include "core/allocate.h"

#include <omp.h>
#include <stdlib.h>
#include <string.h>

enum {
  CHANNELS_MAX = CORDS_OUTER_CHANNELS_MAX,
  PIXELS_MAX = 128,   /* of a chunk; the widest panel, 32 KB, stays in the first-level cache from call to call */
  PART_CHANNELS = 126 /* of x at a time */
};

/* A call at work; the items of bf16 are pairs of items, interleaved. */
typedef struct {
  const CordsConvShape *shape;
  CordsType type;
  const CordsOuterFunction (*tiles)[CHANNELS_MAX];
  PetscInt lanes, vectors, parts;
  size_t unit_size;       /* and of a NUMBER */
  PetscInt items;         /* of x and dy */
  const char *x;          /* UNITs [item][in pixel][channel] */
  CordsBox box;           /* of early, empty where all is in x */
  const char *early, *dy; /* elements as given */
  char *dw;
  const void *zeros;
} Work;

/* What a thread has prepared. */
typedef struct {
  const void **rows; /* of one tap: [pixel] */
  char *panel;       /* of one block of output channels: [pixel][lanes of the block] */
} Scratch;

static PetscInt PartStart(const Work *w, PetscInt part)
{
  return (PetscInt)((PetscInt64)part * w->shape->in_channels / w->parts);
}

/* A row of inputs: all of its pixels, and those from column `start` to `end` in the early images. */
typedef struct {
  const char *pixels, *early;
  PetscInt start, end;
} Line;

static Line LineOf(const Work *w, PetscInt item, PetscInt row)
{
  const CordsConvShape *s = w->shape;
  const CordsBox *b = &w->box;
  const size_t pixel_bytes = (size_t)s->in_channels * w->unit_size;
  const PetscInt early_row = row - b->row_start;
  Line line = {.pixels = w->x + ((size_t)item * s->in_rows + row) * s->in_columns * pixel_bytes};

  if (early_row < 0 || early_row >= b->row_count) return line;
  line.early = w->early + ((size_t)item * b->row_count + early_row) * b->column_count * pixel_bytes;
  line.start = b->column_start;
  line.end = b->column_start + b->column_count;
  return line;
}

/* rows[p] for output positions first .. first + count − 1 (counted through all items) and one tap */
static void FillRows(const Work *w, PetscInt64 first, PetscInt count, PetscInt tap, const void *rows[])
{
  const CordsConvShape *s = w->shape;
  const PetscInt pixels = s->out_rows * s->out_columns;
  const size_t pixel_bytes = (size_t)s->in_channels * w->unit_size;
  PetscInt item = (PetscInt)(first / pixels), i = (PetscInt)(first % pixels) / s->out_columns;
  PetscInt j = (PetscInt)(first % pixels) % s->out_columns;

  for (PetscInt p = 0; p < count;) {
    const PetscInt row = i * s->stride + tap / s->kernel_columns - s->pad_top;
    const PetscInt end = PetscMin(s->out_columns, j + count - p);
    const PetscBool has_row = (PetscBool)(row >= 0 && row < s->in_rows);
    const Line line = has_row ? LineOf(w, item, row) : (Line){0};
    for (; j < end; j++, p++) {
      const PetscInt column = j * s->stride + tap % s->kernel_columns - s->pad_left;
      if (!has_row || column < 0 || column >= s->in_columns)
        rows[p] = w->zeros;
      else if (column >= line.start && column < line.end)
        rows[p] = line.early + (size_t)(column - line.start) * pixel_bytes;
      else
        rows[p] = line.pixels + (size_t)column * pixel_bytes;
    }
    if (j < s->out_columns) break;
    j = 0;
    if (++i == s->out_rows) i = 0, item++;
  }
}

static inline uint32_t Pair(uint16_t first, uint16_t second)
{
  return (uint32_t)first | (uint32_t)second << 16;
}

/* dy of a block of output channels without gaps; channels beyond the last are zero. */
static void FillPanel(const Work *w, PetscInt64 first, PetscInt count, PetscInt vector, PetscInt width, char *panel)
{
  const CordsConvShape *s = w->shape;
  const size_t pixels = (size_t)s->out_rows * s->out_columns, out = (size_t)s->out_channels;
  const PetscInt wide = width * w->lanes, channel = vector * w->lanes, full = PetscMin(wide, s->out_channels - channel);

  for (PetscInt p = 0; p < count; p++) {
    char *to = panel + (size_t)p * wide * w->unit_size;
    if (full < wide) memset(to, 0, (size_t)wide * w->unit_size);
    if (w->type != CORDS_BF16) {
      memcpy(to, w->dy + ((size_t)(first + p) * out + channel) * w->unit_size, (size_t)full * w->unit_size);
    } else {
      const size_t item = (size_t)(first + p) / pixels, pixel = (size_t)(first + p) % pixels;
      const uint16_t *even = (const uint16_t *)w->dy + (2 * item * pixels + pixel) * out + channel;
      for (PetscInt k = 0; k < full; k++) ((uint32_t *)to)[k] = Pair(even[k], even[pixels * out + k]);
    }
  }
}

/* Tiles begin .. end − 1 of dw, counted through [block of output channels][part of input channels][tap][tile]; the sums
   over `count` positions. */
static void RunTiles(const Work *w, PetscInt64 first, PetscInt count, PetscInt64 begin, PetscInt64 end,
                     Scratch *scratch)
{
  const CordsConvShape *s = w->shape;
  const PetscInt taps = s->kernel_rows * s->kernel_columns;
  PetscInt64 index = 0;

  for (PetscInt vector = 0, log_width; vector < w->vectors; vector += 1 << log_width) {
    const PetscInt width = 1 << (log_width = CordsRouteLogWidth(w->vectors - vector));
    const PetscInt lanes_last = PetscMin(w->lanes, s->out_channels - (vector + width - 1) * w->lanes);
    PetscBool panel_filled = PETSC_FALSE;
    for (PetscInt part = 0; part < w->parts; part++) {
      const PetscInt start = PartStart(w, part), channels = PartStart(w, part + 1) - start;
      const PetscInt tiles = (channels + CHANNELS_MAX - 1) / CHANNELS_MAX;
      for (PetscInt tap = 0; tap < taps; tap++, index += tiles) {
        if (index + tiles <= begin || index >= end) continue;
        if (!panel_filled) FillPanel(w, first, count, vector, width, scratch->panel), panel_filled = PETSC_TRUE;
        FillRows(w, first, count, tap, scratch->rows);
        for (PetscInt tile = (PetscInt)PetscMax(begin - index, 0); tile < PetscMin(tiles, end - index); tile++) {
          const PetscInt c = start + tile * channels / tiles, next = start + (tile + 1) * channels / tiles;
          const size_t at = ((size_t)tap * s->in_channels + c) * s->out_channels + (size_t)vector * w->lanes;
          w->tiles[log_width][next - c - 1](count, scratch->rows, c, scratch->panel, w->dw + at * w->unit_size,
                                            (size_t)s->out_channels, lanes_last);
        }
      }
    }
  }
}

static PetscInt64 TileCount(const Work *w)
{
  PetscInt64 tiles = 0, blocks = 0;

  for (PetscInt part = 0; part < w->parts; part++) {
    tiles += (PartStart(w, part + 1) - PartStart(w, part) + CHANNELS_MAX - 1) / CHANNELS_MAX;
  }
  for (PetscInt vector = 0; vector < w->vectors; vector += 1 << CordsRouteLogWidth(w->vectors - vector)) blocks++;
  return tiles * w->shape->kernel_rows * w->shape->kernel_columns * blocks;
}

/* All positions of the items of `w`. */
static PetscErrorCode RunItems(const Work *w, int threads)
{
  const size_t panel_bytes = (size_t)PIXELS_MAX * CORDS_OUTER_WIDTH_MAX * CORDS_VECTOR_BYTES;
  const PetscInt64 positions = (PetscInt64)w->items * w->shape->out_rows * w->shape->out_columns, tiles = TileCount(w);
  const PetscInt64 chunks = (positions + PIXELS_MAX - 1) / PIXELS_MAX;
  char *panels;
  const void **rows;

  PetscFunctionBegin;
  PetscCall(CordsAllocate((size_t)threads * panel_bytes, &panels));
  PetscCall(CordsAllocate((size_t)threads * PIXELS_MAX * sizeof *rows, &rows));
#pragma omp parallel num_threads(threads) if (threads > 1)
  {
    const PetscInt64 thread = omp_get_thread_num(), team = omp_get_num_threads();
    Scratch scratch = {rows + thread * PIXELS_MAX, panels + (size_t)thread * panel_bytes};
    for (PetscInt64 chunk = 0; chunk < chunks; chunk++) {
      const PetscInt64 first = chunk * positions / chunks, next = (chunk + 1) * positions / chunks;
      RunTiles(w, first, (PetscInt)(next - first), thread * tiles / team, (thread + 1) * tiles / team, &scratch);
    }
  }
  free(panels);
  free(rows);
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* x of items 2k and 2k + 1 interleaved for `pairs` pairs. */
static void Interleave(PetscInt pairs, size_t numbers, const uint16_t *x, uint32_t *interleaved, int threads)
{
#pragma omp parallel for schedule(static) num_threads(threads) if (threads > 1)
  for (size_t block = 0; block < (size_t)pairs * 16; block++) {
    const size_t pair = block / 16, from = block % 16 * numbers / 16, to = (block % 16 + 1) * numbers / 16;
    const uint16_t *even = x + 2 * pair * numbers, *odd = even + numbers;
    uint32_t *out = interleaved + pair * numbers;
    for (size_t k = from; k < to; k++) out[k] = Pair(even[k], odd[k]);
  }
}

/* Images in bf16 as they are given: whole but for a box, which is in images of its own. */
typedef struct {
  CordsBox whole, box;
  size_t pixel_bytes;
  const char *x, *early; /* early NULL: all is in x */
} Images;

/* `count` of them from `item` on in one piece: in x, or copied into `space`. */
static const uint16_t *Piece(const Images *images, PetscInt item, PetscInt count, void *space)
{
  const size_t pixels = (size_t)CordsBoxPixels(&images->whole), early_pixels = (size_t)CordsBoxPixels(&images->box);
  const char *x = images->x + (size_t)item * pixels * images->pixel_bytes;
  const CordsBox inside = CordsBoxIntersect(&images->whole, &images->box);

  if (!images->early) return (const uint16_t *)x;
  memcpy(space, x, (size_t)count * pixels * images->pixel_bytes);
  CordsBoxCopy(&inside, count, images->pixel_bytes, &images->box,
               images->early + (size_t)item * early_pixels * images->pixel_bytes, &images->whole, space);
  return space;
}

/* Pairs of items, a few at a time; a last single item gets a partner of zeros. */
static PetscErrorCode RunPairs(Work *w, PetscInt n, const Images *images, const uint16_t *dy, int threads)
{
  const CordsConvShape *s = w->shape;
  const size_t in = (size_t)s->in_rows * s->in_columns * s->in_channels;
  const size_t out = (size_t)s->out_rows * s->out_columns * s->out_channels;
  const PetscInt pairs = (PetscInt)PetscMax(1, ((size_t)2 << 20) / (in * sizeof(uint32_t)));
  const PetscInt most = PetscMin(pairs, (n + 1) / 2);
  uint32_t *interleaved;
  uint16_t *last = NULL;
  void *space = NULL;

  PetscFunctionBegin;
  PetscCall(CordsAllocate(in * sizeof *interleaved * most, &interleaved));
  if (images->early) PetscCall(CordsAllocate(2 * in * sizeof(uint16_t) * most, &space));
  w->x = (const char *)interleaved;
  for (PetscInt item = 0; item + 1 < n; item += 2 * most) {
    w->items = PetscMin(most, (n - item) / 2);
    w->dy = (const char *)(dy + (size_t)item * out);
    Interleave(w->items, in, Piece(images, item, 2 * w->items, space), interleaved, threads);
    PetscCall(RunItems(w, threads));
  }
  if (n % 2 == 1) {
    PetscCall(CordsAllocate(2 * (in + out) * sizeof *last, &last));
    memset(last, 0, 2 * (in + out) * sizeof *last);
    memcpy(last, Piece(images, n - 1, 1, space), in * sizeof *last);
    memcpy(last + 2 * in, dy + (size_t)(n - 1) * out, out * sizeof *last);
    w->items = 1;
    w->dy = (const char *)(last + 2 * in);
    Interleave(1, in, last, interleaved, threads);
    PetscCall(RunItems(w, threads));
  }
  free(last);
  free(space);
  free(interleaved);
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsDirectBackwardWeights(const CordsConvShape *shape, CordsType type, PetscInt n, const CordsBox *box,
                                          const void *early, const void *x, const void *dy, void *dw)
{
  const Images images = {.whole = {0, shape->in_rows, 0, shape->in_columns},
                         .box = *box,
                         .pixel_bytes = (size_t)shape->in_channels * CordsTypeSize(type),
                         .x = x,
                         .early = early};
  int threads = CordsTileThreads(CordsConvFlops(shape) * n);
  Work w = {.shape = shape,
            .type = type,
            .tiles = CordsOuterTiles(type),
            .lanes = CordsVectorLanes(type),
            .unit_size = CordsUnitSize(type),
            .items = n,
            .x = x,
            .dy = dy,
            .dw = dw};
  void *zeros;

  PetscFunctionBegin;
  w.vectors = (shape->out_channels + w.lanes - 1) / w.lanes;
  w.parts = (shape->in_channels + PART_CHANNELS - 1) / PART_CHANNELS;
  PetscCall(PetscCalloc(((size_t)shape->in_channels + CHANNELS_MAX) * w.unit_size, &zeros));
  w.zeros = zeros;
  if (early && type != CORDS_BF16) w.box = *box, w.early = early; /* pairs of bf16 are made of both images */
  if (type == CORDS_BF16)
    PetscCall(RunPairs(&w, n, &images, dy, threads));
  else
    PetscCall(RunItems(&w, threads));
  PetscCall(PetscFree(zeros));
  PetscFunctionReturn(PETSC_SUCCESS);
}
