/* 3 × 3 convolutions by Winograd's large tiles (F4 of winograd_transform.h), with weights that are transformed while
   they are read: for small images, and where memory is short.

   Where an image has a few tiles only, weights pass through the processor once for every few multiplications, and 36
   panels for nine taps would come from the cache that cores share more slowly than they are multiplied.  So nine taps
   are kept, and the panels of a row are made in registers for four tiles at a time (winograd_lean.inc): more operations
   on weights, a quarter of the bytes.  The loops, from the outermost: a chunk of tiles, a vector of output channels, a
   run of input channels, whose weights stay in the first-level cache, groups of four tiles, rows of places.

   Threads share tiles; where there are few of them, output channels, and each transforms all inputs.  They do not wait
   for each other, and every sum is done by one thread in one order, whatever their number. */
#include "conv/backend.h"
#include "conv/scratch.h"
#include "conv/vector_types.h"
#include "conv/winograd_tiles.h"
#include "conv/winograd_weights.h"
#include "core/allocate.h"

#include <math.h>
#include <omp.h>
#include <stdlib.h>

enum {
  SIDE = 6, /* places of a tile */
  PLACES = SIDE * SIDE,
  TAPS = CORDS_WINOGRAD_TAPS,
  GROUP = 4, /* tiles whose sums for a row of places stay in registers */
  RUN = 64   /* input channels whose sums are added to the total at once */
};
enum { CHUNK_GROUPS = 4, CHUNK_TILES = CHUNK_GROUPS * GROUP };

typedef void (*RowFunction)(const void *weights, const void *inputs, PetscInt channels, PetscBool add, void *sums,
                            const char *prefetch, size_t prefetch_bytes);

/* What one number type brings. */
typedef struct {
  const RowFunction (*rows)[SIDE]; /* [tiles − 1][row] */
  void (*pack_forward)(const void *weights, PetscInt in, PetscInt vectors, void *panels);
  void (*pack_back)(const void *forward, PetscInt in, PetscInt vectors, void *panels);
} Operations;

#define TEMPLATE "conv/winograd_lean.inc"
#include "conv/vector_types.inc"

static const Operations *OperationsOf(CordsType type)
{
  return type == CORDS_F64 ? &operationsF64 : type == CORDS_BF16 ? &operationsBF16 : &operationsF32;
}

/* From input to output, or back. */
typedef struct {
  const CordsWinogradTransform *transform;
  CordsWinogradGrid grid;
  PetscInt vectors; /* of output channels */
  char *panels;     /* [vector][in channel][tap][lane] in one piece; NULL until packed */
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
  const Operations *operations;
  CordsWinogradTiles tiles;
  PetscBool by_vectors; /* threads share output channels */
  size_t element_size;
  PetscInt runs;
  size_t group_bytes, run_bytes; /* of inputs; a group of all its runs */
  char *inputs;                  /* of the first thread, [group][run][place][tile][RUN] */
  size_t thread_bytes;
} Work;

/* Some tiles, and what a thread has of them. */
typedef struct {
  PetscInt64 first;
  PetscInt count, groups;
  char *inputs;
  char *sums; /* vectors [group][place][tile] */
} Chunk;

static PetscInt RunChannels(const Work *w, PetscInt run)
{
  return PetscMin(RUN, w->direction->grid.in_channels - run * RUN);
}

static PetscInt GroupTiles(const Chunk *chunk, PetscInt group)
{
  return PetscMin(GROUP, chunk->count - group * GROUP);
}

static char *GroupSums(const Chunk *chunk, PetscInt group)
{
  return chunk->sums + (size_t)(group * PLACES * GROUP) * CORDS_VECTOR_BYTES;
}

static void TransformInputs(const Work *w, const Chunk *chunk)
{
  for (PetscInt k = 0; k < chunk->count; k++) {
    const PetscInt group = k / GROUP;
    const size_t tile_bytes = RUN * w->element_size, place_bytes = (size_t)GroupTiles(chunk, group) * tile_bytes;
    char *to = chunk->inputs + (size_t)group * w->group_bytes + (size_t)(k % GROUP) * tile_bytes;
    for (PetscInt run = 0; run < w->runs; run++, to += w->run_bytes)
      CordsWinogradTilesInput(&w->tiles, chunk->first + k, run * RUN, RunChannels(w, run), to, place_bytes);
  }
}

/* All sums for a vector of output channels.  The weights of the next run are prefetched meanwhile, by the first group.
 */
static void Multiply(const Work *w, const Chunk *chunk, PetscInt vector)
{
  const size_t in_channels = (size_t)w->direction->grid.in_channels, taps_bytes = TAPS * CORDS_VECTOR_BYTES;
  const char *weights = w->direction->panels + (size_t)vector * in_channels * taps_bytes;

  for (PetscInt run = 0; run < w->runs; run++) {
    const PetscInt channels = RunChannels(w, run);
    const char *next = weights + (size_t)channels * taps_bytes;
    for (PetscInt group = 0; group < chunk->groups; group++) {
      const PetscInt tiles = GroupTiles(chunk, group);
      const char *inputs = chunk->inputs + (size_t)group * w->group_bytes + (size_t)run * w->run_bytes;
      for (PetscInt row = 0; row < SIDE; row++) {
        const size_t place = (size_t)(row * SIDE * tiles);
        const PetscBool wants = (PetscBool)(group == 0);
        w->operations->rows[tiles - 1][row](weights, inputs + place * RUN * w->element_size, channels,
                                            (PetscBool)(run > 0), GroupSums(chunk, group) + place * CORDS_VECTOR_BYTES,
                                            wants ? next + (size_t)(row * channels * 2) * CORDS_VECTOR_BYTES : weights,
                                            wants ? 2 * CORDS_VECTOR_BYTES : 0);
      }
    }
    weights = next;
  }
}

/* First vector of share number `share` of `shares` of the output channels.  A word of a mask, which may be of two
   vectors, is one thread's. */
static PetscInt ShareStart(const Direction *d, PetscInt share, PetscInt shares)
{
  const PetscInt words = (PetscInt)CordsMaskWordsPerPixel(d->grid.out_channels);
  const PetscInt together = (d->vectors + words - 1) / words;

  return PetscMin(share * words / shares * together, d->vectors);
}

/* A thread's share of the tiles, or of the output channels. */
static void RunThread(const Work *w)
{
  const PetscInt thread = omp_get_thread_num(), team = omp_get_num_threads();
  const PetscInt vector_shares = w->by_vectors ? team : 1, tile_shares = w->by_vectors ? 1 : team;
  const PetscInt begin = ShareStart(w->direction, thread % vector_shares, vector_shares);
  const PetscInt end = ShareStart(w->direction, thread % vector_shares + 1, vector_shares);
  const PetscInt64 last = (thread % tile_shares + 1) * w->tiles.all / tile_shares;
  Chunk chunk = {.inputs = w->inputs + (size_t)thread * w->thread_bytes};

  chunk.sums = chunk.inputs + CHUNK_GROUPS * w->group_bytes;
  for (chunk.first = thread % tile_shares * w->tiles.all / tile_shares; chunk.first < last;
       chunk.first += CHUNK_TILES) {
    chunk.count = (PetscInt)PetscMin(CHUNK_TILES, last - chunk.first);
    chunk.groups = (chunk.count + GROUP - 1) / GROUP;
    TransformInputs(w, &chunk);
    for (PetscInt vector = begin; vector < end; vector++) {
      Multiply(w, &chunk, vector);
      for (PetscInt k = 0; k < chunk.count; k++)
        CordsWinogradTilesFinish(&w->tiles, chunk.first + k, vector, 1,
                                 GroupSums(&chunk, k / GROUP) + (size_t)(k % GROUP) * CORDS_VECTOR_BYTES,
                                 (size_t)GroupTiles(&chunk, k / GROUP) * CORDS_VECTOR_BYTES);
    }
  }
}

static PetscErrorCode RunDirection(const Data *d, const Direction *direction, CordsConvPart part, PetscInt n,
                                   const void *x, const CordsFinish *finish)
{
  const CordsWinogradGrid *g = &direction->grid;
  Work w = {.direction = direction,
            .operations = OperationsOf(d->type),
            .tiles = CordsWinogradTilesOf(g, direction->transform, d->type, part, n, x, d->zeros, finish),
            .element_size = CordsTypeSize(d->type),
            .runs = (g->in_channels + RUN - 1) / RUN};
  const double operations = 2.0 * PLACES * (double)w.tiles.all * g->in_channels * g->out_channels;
  const int threads = CordsTileThreads(operations);

  PetscFunctionBegin;
  if (w.tiles.all == 0) PetscFunctionReturn(PETSC_SUCCESS);
  w.by_vectors = (PetscBool)(w.tiles.all < (PetscInt64)CHUNK_TILES * threads && direction->vectors >= threads);
  w.run_bytes = CordsWinogradPlaceBytes(PLACES * GROUP * RUN * w.element_size);
  w.group_bytes = (size_t)w.runs * w.run_bytes;
  w.thread_bytes = CHUNK_GROUPS * (w.group_bytes + PLACES * GROUP * CORDS_VECTOR_BYTES);
  PetscCall(CordsScratchGet((size_t)threads * w.thread_bytes, &w.inputs));
#pragma omp parallel num_threads(threads) if (threads > 1)
  RunThread(&w);
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* ---- the backend ---- */

static PetscBool Supports(const CordsConvShape *s, CordsType type)
{
  const PetscInt lanes = CordsVectorLanes(type);

  return (PetscBool)(type != CORDS_BF16 && s->kernel_rows == 3 && s->kernel_columns == 3 && s->stride == 1 &&
                     s->in_channels % lanes == 0 && s->out_channels % lanes == 0);
}

static PetscErrorCode DirectionCreate(const CordsConvShape *shape, CordsType type, PetscBool adjoint, Direction *d)
{
  PetscFunctionBegin;
  d->transform = CordsWinogradTransformOf(type, CORDS_WINOGRAD_F4, adjoint);
  PetscCall(CordsWinogradGridCreate(shape, CORDS_WINOGRAD_F4, adjoint, &d->grid));
  d->vectors = d->grid.out_channels / CordsVectorLanes(type);
  PetscFunctionReturn(PETSC_SUCCESS);
}

static double PanelBytes(const Data *d)
{
  return (double)TAPS * d->forward.grid.in_channels * d->forward.grid.out_channels * (double)CordsTypeSize(d->type);
}

static PetscErrorCode DirectionDestroy(Direction *d)
{
  PetscFunctionBegin;
  free(d->panels);
  PetscCall(CordsWinogradGridDestroy(&d->grid));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode Create(const CordsConvShape *shape, CordsType type, void **data)
{
  Data *d;

  PetscFunctionBegin;
  PetscCall(PetscNew(&d));
  d->type = type;
  PetscCall(DirectionCreate(shape, type, PETSC_FALSE, &d->forward));
  PetscCall(DirectionCreate(shape, type, PETSC_TRUE, &d->adjoint));
  PetscCall(PetscCalloc((size_t)PetscMax(shape->in_channels, shape->out_channels) * CordsTypeSize(type), &d->zeros));
  CordsScratchHold();
  *data = d;
  PetscFunctionReturn(PETSC_SUCCESS);
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

  PetscFunctionBegin;
  d->adjoint_packed = PETSC_FALSE;
  if (!d->forward.panels) PetscCall(CordsAllocate((size_t)PanelBytes(d), &d->forward.panels));
  OperationsOf(d->type)->pack_forward(weights, d->forward.grid.in_channels, d->forward.vectors, d->forward.panels);
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode PackAdjoint(Data *d)
{
  PetscFunctionBegin;
  if (!d->adjoint.panels) PetscCall(CordsAllocate((size_t)PanelBytes(d), &d->adjoint.panels));
  OperationsOf(d->type)->pack_back(d->forward.panels, d->forward.grid.in_channels, d->forward.vectors,
                                   d->adjoint.panels);
  d->adjoint_packed = PETSC_TRUE;
  PetscFunctionReturn(PETSC_SUCCESS);
}

static void LaterBytes(void *data, CordsConvOperation operation, double *own, double *shared)
{
  Data *d = data;

  *own = operation == CORDS_CONV_BACKWARD_DATA && !d->adjoint.panels ? PanelBytes(d) : 0;
  *shared = operation == CORDS_CONV_BACKWARD_WEIGHTS ? CordsWinogradWeightsBytes(&d->forward.grid, d->type) : 0;
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

const CordsConvBackendType cords_conv_backend_winograd_lean = {
    .name = "winograd_lean",
    .about = "1/4 of the multiplications, weights transformed as they are read; 3 x 3, stride 1, f32 and f64",
    .lean = PETSC_TRUE,
    .supports = Supports,
    .create = Create,
    .destroy = Destroy,
    .pack = Pack,
    .later_bytes = LaterBytes,
    .run = Run,
    .divide = Divide,
    .backward_weights = BackwardWeights};
