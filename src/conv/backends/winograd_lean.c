/* 3 × 3 convolutions by Winograd's large tiles (F4 of winograd_transform.h), with weights that are transformed while
   they are read: for small images, and where memory is short.

   Where an image has a few tiles only, weights pass through the processor once for every few multiplications, and 36
   panels for nine taps would come from the cache that cores share more slowly than they are multiplied.  So nine taps
   are kept, and the panels of a row are made in registers for four tiles at a time (winograd_lean.inc): more operations
   on weights, a quarter of the bytes.  The loops, from the outermost: a chunk of tiles, a vector of output channels, a
   run of input channels, whose weights stay in the first-level cache, groups of four tiles, rows of places.

   Threads share chunks (pieces.h); where tiles are few, output channels, and each transforms all inputs.  They do not
   wait for each other, and every sum is done by one thread in one order, whatever their number. */
#include "conv/backend.h"
#include "conv/pieces.h"
#include "conv/scratch.h"
#include "conv/vector_types.h"
#include "conv/winograd_pair.h"

#include <math.h>
#include <omp.h>

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
  void (*pack_forward)(const void *weights, PetscInt in, PetscInt out, void *panels);
  void (*pack_back)(const void *forward, PetscInt in, PetscInt out, void *panels);
} Operations;

#define TEMPLATE "conv/winograd_lean.inc"
#include "conv/vector_types.inc"

static const Operations *OperationsOf(CordsType type)
{
  return type == CORDS_F64 ? &operationsF64 : type == CORDS_BF16 ? &operationsBF16 : &operationsF32;
}

/* A call at work. */
typedef struct {
  const Operations *operations;
  CordsWinogradTiles tiles;
  const char *panels;   /* [vector of out channels][in channel][tap][lane] */
  PetscInt vectors;     /* of output channels */
  PetscBool by_vectors; /* threads share output channels */
  PetscInt64 chunks;    /* of tiles */
  CordsPieces pieces;   /* chunks, unless threads share output channels */
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
  return PetscMin(RUN, w->tiles.grid->in_channels - run * RUN);
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
  const size_t taps_bytes = TAPS * CORDS_VECTOR_BYTES;
  const char *weights = w->panels + (size_t)(vector * w->tiles.grid->in_channels) * taps_bytes;

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
static PetscInt ShareStart(const Work *w, PetscInt share, PetscInt shares)
{
  const PetscInt words = (PetscInt)CordsMaskWordsPerPixel(w->tiles.grid->out_channels);
  const PetscInt together = (w->vectors + words - 1) / words;

  return PetscMin(share * words / shares * together, w->vectors);
}

/* The vectors of output channels begin .. end − 1 for chunk number `number`. */
static void RunChunk(const Work *w, Chunk *chunk, PetscInt64 number, PetscInt begin, PetscInt end)
{
  chunk->first = number * CHUNK_TILES;
  chunk->count = (PetscInt)PetscMin(CHUNK_TILES, w->tiles.all - chunk->first);
  chunk->groups = (chunk->count + GROUP - 1) / GROUP;
  TransformInputs(w, chunk);
  for (PetscInt vector = begin; vector < end; vector++) {
    Multiply(w, chunk, vector);
    for (PetscInt k = 0; k < chunk->count; k++)
      CordsWinogradTilesFinish(&w->tiles, chunk->first + k, vector, 1,
                               GroupSums(chunk, k / GROUP) + (size_t)(k % GROUP) * CORDS_VECTOR_BYTES,
                               (size_t)GroupTiles(chunk, k / GROUP) * CORDS_VECTOR_BYTES);
  }
}

/* A share of the output channels of all chunks, or of the chunks. */
static void RunThread(Work *w)
{
  const PetscInt thread = omp_get_thread_num(), team = omp_get_num_threads();
  Chunk chunk = {.inputs = w->inputs + (size_t)thread * w->thread_bytes};

  chunk.sums = chunk.inputs + CHUNK_GROUPS * w->group_bytes;
  if (w->by_vectors) {
    const PetscInt begin = ShareStart(w, thread, team), end = ShareStart(w, thread + 1, team);
    for (PetscInt64 k = 0; k < w->chunks; k++) RunChunk(w, &chunk, k, begin, end);
  } else {
    for (PetscInt64 k; (k = CordsPiecesTake(&w->pieces, thread)) >= 0;) RunChunk(w, &chunk, k, 0, w->vectors);
  }
}

/* ---- the backend ---- */

static PetscBool Supports(const CordsConvShape *s, CordsType type)
{
  return (PetscBool)(type != CORDS_BF16 && CordsWinogradFits(s, type, CORDS_WINOGRAD_F4));
}

static PetscErrorCode Create(const CordsConvShape *shape, CordsType type, void **data)
{
  CordsWinogradPair *pair;

  PetscFunctionBegin;
  PetscCall(PetscNew(&pair));
  PetscCall(CordsWinogradPairCreate(shape, type, CORDS_WINOGRAD_F4, pair));
  pair->forward.panel_bytes = pair->adjoint.panel_bytes =
      (size_t)(TAPS * shape->in_channels) * (size_t)shape->out_channels * CordsTypeSize(type);
  *data = pair;
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode Destroy(void *data)
{
  PetscFunctionBegin;
  PetscCall(CordsWinogradPairDestroy(data));
  PetscCall(PetscFree(data));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode Pack(void *data, const void *weights)
{
  CordsWinogradPair *pair = data;
  CordsWinogradDirection *forward = &pair->forward;

  PetscFunctionBegin;
  pair->adjoint_packed = PETSC_FALSE;
  PetscCall(CordsWinogradAllocatePanels(forward));
  OperationsOf(pair->type)
      ->pack_forward(weights, forward->grid.in_channels, forward->grid.out_channels, forward->panels);
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode PackAdjoint(CordsWinogradPair *pair)
{
  const CordsWinogradDirection *forward = &pair->forward;

  PetscFunctionBegin;
  PetscCall(CordsWinogradAllocatePanels(&pair->adjoint));
  OperationsOf(pair->type)
      ->pack_back(forward->panels, forward->grid.in_channels, forward->grid.out_channels, pair->adjoint.panels);
  pair->adjoint_packed = PETSC_TRUE;
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode Run(void *data, PetscBool adjoint, CordsConvPart part, PetscInt n, const void *x,
                          const CordsFinish *finish)
{
  CordsWinogradPair *pair = data;
  Work w = {.operations = OperationsOf(pair->type),
            .tiles = CordsWinogradPairTiles(pair, adjoint, part, n, x, finish),
            .element_size = CordsTypeSize(pair->type)};
  const CordsWinogradGrid *g = w.tiles.grid;
  const int threads = CordsTileThreads(2.0 * PLACES * (double)w.tiles.all * g->in_channels * g->out_channels);

  PetscFunctionBegin;
  if (adjoint && !pair->adjoint_packed) PetscCall(PackAdjoint(pair)); /* when it is wanted for the first time */
  if (w.tiles.all == 0) PetscFunctionReturn(PETSC_SUCCESS);
  w.panels = adjoint ? pair->adjoint.panels : pair->forward.panels;
  w.vectors = g->out_channels / w.tiles.lanes;
  w.by_vectors = (PetscBool)(w.tiles.all < (PetscInt64)CHUNK_TILES * threads && w.vectors >= threads);
  w.chunks = (w.tiles.all + CHUNK_TILES - 1) / CHUNK_TILES;
  CordsPiecesStart(&w.pieces, w.chunks, threads);
  w.runs = (g->in_channels + RUN - 1) / RUN;
  w.run_bytes = CordsWinogradPlaceBytes(PLACES * GROUP * RUN * w.element_size);
  w.group_bytes = (size_t)w.runs * w.run_bytes;
  w.thread_bytes = CHUNK_GROUPS * (w.group_bytes + PLACES * GROUP * CORDS_VECTOR_BYTES);
  PetscCall(CordsScratchGet((size_t)threads * w.thread_bytes, &w.inputs));
#pragma omp parallel num_threads(threads) if (threads > 1)
  RunThread(&w);
  PetscFunctionReturn(PETSC_SUCCESS);
}

const CordsConvBackendType cords_conv_backend_winograd_lean = {
    .name = "winograd_lean",
    .about = "1/4 of the multiplications, weights transformed as they are read; 3 x 3, stride 1, f32 and f64",
    .lean = PETSC_TRUE,
    .supports = Supports,
    .create = Create,
    .destroy = Destroy,
    .pack = Pack,
    .later_bytes = CordsWinogradPairLaterBytes,
    .run = Run,
    .divide = CordsWinogradPairDivide,
    .backward_weights = CordsWinogradPairBackwardWeights,
    .divided_weights = CordsWinogradPairDividedWeights};
