/* Convolution in bfloat16 on the processor's matrix unit (matrix_unit.h), for whole registers of channels.

   Images are copied, a few rows or images at a time, into planes of slots (slots.h) in parts of 32 channels, so that
   16 slots of a part are one register for any tap.  Two registers of slots times two of output channels are four sums
   that stay while all taps of all parts go by: four products for four loads.  Weights are kept as the registers in the
   order in which they are read.  Every sum is done by one thread in one order, whatever the number of threads. */
#include "conv/backend.h"
#include "conv/matrix_unit.h"
#include "conv/matrix_weights.h"
#include "conv/register_tile.h"
#include "conv/scratch.h"
#include "conv/slots.h"
#include "core/allocate.h"

#include <omp.h>
#include <stdlib.h>
#include <string.h>
#if defined(__AMX_BF16__)
#include <immintrin.h>
#endif

enum { SIDE = CORDS_MATRIX_SIDE, DEPTH = CORDS_MATRIX_DEPTH, GROUP = 2 * SIDE /* output channels at a time */ };
enum { DIRECTIONS = 2, SUMS = SIDE * GROUP /* of a register of slots */ };

/* Slots of a thread that stay in the second-level cache beside the weights. */
static const size_t panel_bytes = (size_t)768 << 10;

typedef struct {
  CordsSlotRoute route;
  PetscInt parts, groups; /* of input and output channels */
  char *weights;          /* [class][group][half][part][tap] registers, NULL until packed */
  CordsBox early;         /* of the input image, what comes first (divide) */
} Direction;

typedef struct {
  Direction directions[DIRECTIONS]; /* forwards, backwards */
  PetscBool adjoint_packed;
} Data;

static PetscBool Supports(const CordsConvShape *s, CordsType type)
{
  if (type != CORDS_BF16 || !CordsMatrixUnitHas()) return PETSC_FALSE;
  if (s->kernel_rows * s->kernel_columns > CORDS_SLOT_TAPS_MAX) return PETSC_FALSE;
  return (PetscBool)(s->in_channels % DEPTH == 0 && s->out_channels % DEPTH == 0);
}

/* ---- weights ---- */

static size_t WeightBytes(const Direction *d)
{
  return (size_t)d->groups * 2 * d->parts * d->route.tap_count * CORDS_MATRIX_BYTES;
}

/* The register of a part and tap (counted in the class) of the first half of a group; that of the second is as far as
   HalfBytes says. */
static char *Register(const Direction *d, PetscInt class, PetscInt group, PetscInt part, PetscInt tap)
{
  size_t registers = 0;

  for (PetscInt k = 0; k < class; k++) registers += (size_t)d->groups * 2 * d->parts * d->route.classes[k].tap_count;
  registers += ((size_t)group * 2 * d->parts + part) * d->route.classes[class].tap_count + tap;
  return d->weights + registers * CORDS_MATRIX_BYTES;
}

static size_t HalfBytes(const Direction *d, const CordsSlotClass *class)
{
  return (size_t)d->parts * class->tap_count * CORDS_MATRIX_BYTES;
}

/* Place of (input channel, output channel) in a register, in numbers. */
static inline PetscInt InRegister(PetscInt in, PetscInt out)
{
  return (in / 2 * SIDE + out) * 2 + in % 2;
}

static PetscErrorCode PackForward(Direction *d, const float *weights)
{
  const CordsSlotRoute *route = &d->route;
  const PetscInt taps = route->tap_count;

  PetscFunctionBegin;
  if (!d->weights) PetscCall(CordsAllocate(WeightBytes(d), &d->weights));
#pragma omp parallel for schedule(static)
  for (PetscInt out = 0; out < route->out_channels; out++) {
    for (PetscInt in = 0; in < route->in_channels; in++) {
      uint16_t *first = (uint16_t *)(Register(d, 0, out / GROUP, in / DEPTH, 0) +
                                     (out % GROUP) / SIDE * HalfBytes(d, &route->classes[0])) +
                        InRegister(in % DEPTH, out % SIDE);
      for (PetscInt tap = 0; tap < taps; tap++)
        first[(size_t)tap * CORDS_MATRIX_BYTES / sizeof *first] =
            CordsToBf16(weights[((size_t)out * route->in_channels + in) * taps + tap]);
    }
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* 32 × 32 weights of a tap: what was an input channel becomes an output channel. */
static void TransposeRegisters(const char *from, size_t from_half, char *to, size_t to_half)
{
  for (PetscInt in = 0; in < DEPTH; in++) {
    for (PetscInt out = 0; out < GROUP; out++) {
      const uint16_t *a = (const uint16_t *)(from + out / SIDE * from_half) + InRegister(in, out % SIDE);
      uint16_t *b = (uint16_t *)(to + in / SIDE * to_half) + InRegister(out, in % SIDE);
      *b = *a;
    }
  }
}

static PetscErrorCode PackAdjoint(const Direction *forward, Direction *d)
{
  PetscFunctionBegin;
  if (!d->weights) PetscCall(CordsAllocate(WeightBytes(d), &d->weights));
#pragma omp parallel for schedule(static)
  for (PetscInt group = 0; group < d->groups; group++) {
    for (PetscInt k = 0; k < d->route.class_count; k++) {
      const CordsSlotClass *class = &d->route.classes[k];
      for (PetscInt part = 0; part < d->parts; part++) {
        for (PetscInt tap = 0; tap < class->tap_count; tap++)
          TransposeRegisters(Register(forward, 0, part, group, class->taps[tap].place),
                             HalfBytes(forward, &forward->route.classes[0]), Register(d, k, group, part, tap),
                             HalfBytes(d, class));
      }
    }
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* ---- images ---- */

/* Rows of the pixels of a task in one item; row 0 is the task's first. */
typedef struct {
  PetscInt item, row, rows;
} Piece;

/* What a run does at a time: some pixels of some classes from images of a box of the input. */
typedef struct {
  const Direction *direction;
  PetscInt n, class_first, class_end;
  CordsBox pixels; /* of each class, as far as it goes */
  CordsBox there;
  const char *x;
  const CordsFinish *finish;
  PetscInt width, capacity; /* slots of a row, and of a plane of a piece */
  PetscInt rows, items;     /* of a piece; pieces that a thread copies at a time */
} Task;

/* What a thread does of it. */
typedef struct {
  const Task *task;
  char *panel;               /* [piece][part][plane][slot][32] */
  PetscInt group, group_end; /* of output channels */
  PetscInt piece_count;
  Piece *pieces;
} Work;

static size_t PlaneBytes(const Task *t)
{
  return (size_t)t->capacity * CORDS_MATRIX_ROW_BYTES;
}

static size_t PartBytes(const Task *t)
{
  return (size_t)t->direction->route.plane_count * PlaneBytes(t);
}

static size_t PieceBytes(const Task *t)
{
  return (size_t)t->direction->parts * PartBytes(t);
}

static size_t ThreadBytes(const Task *t)
{
  return ((size_t)t->items * (PieceBytes(t) + sizeof(Piece)) + 63) / 64 * 64;
}

/* Pieces that make a panel of the right size: rows of one image, or some images. */
static Task MakeTask(const Direction *d, PetscInt class_first, PetscInt class_end, const CordsBox *pixels)
{
  const CordsSlotRoute *route = &d->route;
  Task t = {.direction = d, .class_first = class_first, .class_end = class_end, .pixels = *pixels};
  size_t slots;

  t.width = pixels->column_count + route->more_columns;
  slots = panel_bytes / ((size_t)d->parts * route->plane_count * CORDS_MATRIX_ROW_BYTES);
  t.rows = (PetscInt)PetscMin((PetscInt)slots / t.width - route->more_rows, pixels->row_count);
  t.rows = PetscMax(t.rows, 1);
  t.capacity = CordsSlotCapacity(route, t.rows, t.width, SIDE);
  t.items = (PetscInt)PetscMax(panel_bytes / PieceBytes(&t), 1);
  return t;
}

static Task WholeTask(const Direction *d)
{
  const CordsSlotRoute *route = &d->route;
  const CordsBox pixels = {0, route->rows, 0, route->width - route->more_columns};

  return MakeTask(d, 0, route->class_count, &pixels);
}

/* A row of slots of one part: zeros where there is no pixel. */
static inline void FillRow(const char *pixels, size_t pixel_bytes, PetscInt before, PetscInt count, PetscInt width,
                           char *to)
{
  memset(to, 0, (size_t)before * CORDS_MATRIX_ROW_BYTES);
  to += (size_t)before * CORDS_MATRIX_ROW_BYTES;
  for (PetscInt k = 0; k < count; k++)
    memcpy(to + (size_t)k * CORDS_MATRIX_ROW_BYTES, pixels + (size_t)k * pixel_bytes, CORDS_MATRIX_ROW_BYTES);
  memset(to + (size_t)count * CORDS_MATRIX_ROW_BYTES, 0, (size_t)(width - before - count) * CORDS_MATRIX_ROW_BYTES);
}

/* A plane of a piece, all parts. */
static void FillPlane(const Task *t, const Piece *piece, PetscInt plane, char *to)
{
  const CordsSlotRoute *route = &t->direction->route;
  const PetscInt parts = t->direction->parts;
  const size_t pixel_bytes = (size_t)parts * CORDS_MATRIX_ROW_BYTES;
  const char *image = t->x + (size_t)piece->item * CordsBoxPixels(&t->there) * pixel_bytes;

  for (PetscInt row = 0; row < piece->rows + route->more_rows; row++) {
    PetscInt before, count;
    const PetscInt source = CordsSlotRow(route, plane, &t->there, t->pixels.row_start + piece->row + row,
                                         t->pixels.column_start, t->width, &before, &count);
    for (PetscInt part = 0; part < parts; part++)
      FillRow(image + (size_t)source * pixel_bytes + (size_t)part * CORDS_MATRIX_ROW_BYTES,
              pixel_bytes * (size_t)route->step_in, before, count, t->width,
              to + part * PartBytes(t) + (size_t)(row * t->width) * CORDS_MATRIX_ROW_BYTES);
  }
}

static void FillPanel(const Work *w)
{
  const Task *t = w->task;

  for (PetscInt k = 0; k < w->piece_count; k++) {
    for (PetscInt plane = 0; plane < t->direction->route.plane_count; plane++)
      FillPlane(t, &w->pieces[k], plane, w->panel + (size_t)k * PieceBytes(t) + (size_t)plane * PlaneBytes(t));
  }
}

#if defined(__AMX_BF16__)
/* sums [register of slots][slot][32 channels] of two registers of slots and a group of output channels. */
static void Multiply(PetscInt parts, PetscInt taps, const size_t shifts[], size_t part_bytes, const char *slots0,
                     const char *slots1, const char *weights, size_t half_bytes, float *sums)
{
  enum { LINE = GROUP * sizeof(float) };

  CordsMatrixUnitSeesMemory();
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  for (PetscInt part = 0; part < parts; part++, slots0 += part_bytes, slots1 += part_bytes) {
    for (PetscInt tap = 0; tap < taps; tap++, weights += CORDS_MATRIX_BYTES) {
      _tile_loadd(4, slots0 + shifts[tap], CORDS_MATRIX_ROW_BYTES);
      _tile_loadd(6, weights, CORDS_MATRIX_ROW_BYTES);
      _tile_dpbf16ps(0, 4, 6);
      _tile_loadd(7, weights + half_bytes, CORDS_MATRIX_ROW_BYTES);
      _tile_dpbf16ps(1, 4, 7);
      _tile_loadd(5, slots1 + shifts[tap], CORDS_MATRIX_ROW_BYTES);
      _tile_dpbf16ps(2, 5, 6);
      _tile_dpbf16ps(3, 5, 7);
    }
  }
  _tile_stored(0, sums, LINE);
  _tile_stored(1, sums + SIDE, LINE);
  _tile_stored(2, sums + SUMS, LINE);
  _tile_stored(3, sums + SUMS + SIDE, LINE);
}
#else
static void Multiply(PetscInt parts, PetscInt taps, const size_t shifts[], size_t part_bytes, const char *slots0,
                     const char *slots1, const char *weights, size_t half_bytes, float *sums)
{
}
#endif

/* Sixteen slots of a piece. */
typedef struct {
  const Piece *piece;
  const char *slots; /* of the first part and plane */
  PetscInt first;    /* slot */
} Place;

/* Rows of a class in a piece. */
static PetscInt RowsOf(const Task *t, const CordsSlotClass *class, const Piece *piece)
{
  return PetscMin(piece->rows, class->rows - t->pixels.row_start - piece->row);
}

/* The finish of the sums of sixteen slots, row by row of the image: those of a row's pixels follow each other. */
static void FinishSlots(const Task *t, const CordsSlotClass *class, const Place *place, PetscInt group,
                        const float *sums)
{
  const CordsSlotRoute *route = &t->direction->route;
  const Piece *piece = place->piece;
  const PetscInt rows = RowsOf(t, class, piece);
  const PetscInt columns = PetscMin(t->pixels.column_count, class->columns - t->pixels.column_start);
  PetscInt row = place->first / t->width, column = place->first % t->width;
  CordsTilePixel where[SIDE];

  for (PetscInt slot = 0; slot < SIDE && row < rows; slot += t->width - column, column = 0, row++) {
    const PetscInt count = PetscMin(SIDE - slot, columns - column);
    const PetscInt out_row = (t->pixels.row_start + piece->row + row) * route->step_out + class->row;
    const PetscInt out_column = (t->pixels.column_start + column) * route->step_out + class->column;
    const size_t in_image = (size_t)out_row * route->out_columns + out_column;
    for (PetscInt k = 0; k < count; k++) {
      where[k].at = (size_t)piece->item * route->out_pixels + in_image + (size_t)k * route->step_out;
      where[k].start_at =
          (size_t)(piece->item % t->finish->period) * route->out_pixels + in_image + (size_t)k * route->step_out;
    }
    if (count > 0)
      CordsTileOperationsOf(CORDS_BF16)
          ->finish(t->finish, count, GROUP / SIDE, where, route->out_channels, group * GROUP, sums + slot * GROUP);
  }
}

/* The next sixteen slots of a class in the panel; NULL piece: none. */
static Place NextPlace(const Work *w, const CordsSlotClass *class, PetscInt *piece, PetscInt *first)
{
  const Task *t = w->task;

  for (; *piece < w->piece_count; ++*piece, *first = 0) {
    const Piece *p = &w->pieces[*piece];
    Place place = {p, w->panel + (size_t)*piece * PieceBytes(t) + (size_t)*first * CORDS_MATRIX_ROW_BYTES, *first};
    if (*first >= RowsOf(t, class, p) * t->width) continue;
    *first += SIDE;
    return place;
  }
  return (Place){NULL, NULL, 0};
}

static void RunGroup(const Work *w, PetscInt k, PetscInt group)
{
  const Task *t = w->task;
  const Direction *d = t->direction;
  const CordsSlotClass *class = &d->route.classes[k];
  size_t shifts[CORDS_SLOT_TAPS_MAX];
  PetscInt piece = 0, first = 0;
  _Alignas(64) float sums[2 * SUMS];

  for (PetscInt tap = 0; tap < class->tap_count; tap++)
    shifts[tap] = (size_t)CordsSlotShift(&class->taps[tap], t->capacity, t->width) * CORDS_MATRIX_ROW_BYTES;
  for (;;) {
    const Place place = NextPlace(w, class, &piece, &first), next = NextPlace(w, class, &piece, &first);
    if (!place.piece) return;
    Multiply(d->parts, class->tap_count, shifts, PartBytes(t), place.slots, next.piece ? next.slots : place.slots,
             Register(d, k, group, 0, 0), HalfBytes(d, class), sums);
    FinishSlots(t, class, &place, group, sums);
    if (next.piece) FinishSlots(t, class, &next, group, sums + SUMS);
  }
}

/* Pieces from row `row` of the task (counted through all items) on, as many as a panel holds; returns the row after. */
static PetscInt64 CutPieces(Work *w, PetscInt64 row, PetscInt64 end)
{
  const Task *t = w->task;
  const PetscInt rows = t->pixels.row_count;

  for (w->piece_count = 0; w->piece_count < t->items && row < end; w->piece_count++) {
    Piece *p = &w->pieces[w->piece_count];
    p->item = (PetscInt)(row / rows);
    p->row = (PetscInt)(row % rows);
    p->rows = (PetscInt)PetscMin(PetscMin(t->rows, rows - p->row), end - row);
    row += p->rows;
  }
  return row;
}

static void RunThread(Work *w, PetscInt64 row, PetscInt64 end)
{
  CordsMatrixUnitBegin();
  while (row < end) {
    row = CutPieces(w, row, end);
    FillPanel(w);
    for (PetscInt k = w->task->class_first; k < w->task->class_end; k++)
      for (PetscInt group = w->group; group < w->group_end; group++) RunGroup(w, k, group);
  }
  CordsMatrixUnitEnd();
}

/* Threads share groups of output channels where there are more weights than numbers of images, so that each reads its
   own weights only; else rows of images. */
static PetscBool SharedByGroups(const Task *t, int threads)
{
  const Direction *d = t->direction;
  const double images = (double)t->n * CordsBoxPixels(&t->there) * d->parts * CORDS_MATRIX_ROW_BYTES;

  return (PetscBool)(d->groups % threads == 0 && (double)WeightBytes(d) > images);
}

/* n images of which a box is there at x. */
static PetscErrorCode RunTask(Task *t, PetscInt n, const CordsBox *there, const void *x, const CordsFinish *finish)
{
  const Direction *d = t->direction;
  const PetscInt64 rows = (PetscInt64)n * t->pixels.row_count;
  const double products = (double)rows * t->pixels.column_count * d->route.tap_count * d->route.in_channels;
  const int threads = CordsTileThreads(2 * products * d->route.out_channels);
  PetscBool by_groups;
  char *memory;

  PetscFunctionBegin;
  t->n = n;
  t->there = *there;
  t->x = x;
  t->finish = finish;
  by_groups = SharedByGroups(t, threads);
  PetscCall(CordsScratchGet(ThreadBytes(t) * (size_t)threads, &memory));
#pragma omp parallel num_threads(threads) if (threads > 1)
  {
    const PetscInt64 thread = omp_get_thread_num(), team = omp_get_num_threads();
    const PetscInt64 row_share = by_groups ? 0 : thread, row_shares = by_groups ? 1 : team;
    char *mine = memory + (size_t)thread * ThreadBytes(t);
    Work w = {.task = t, .panel = mine, .group = 0, .group_end = d->groups};
    w.pieces = (Piece *)(mine + (size_t)t->items * PieceBytes(t));
    if (by_groups) {
      w.group = (PetscInt)(thread * d->groups / team);
      w.group_end = (PetscInt)((thread + 1) * d->groups / team);
    }
    RunThread(&w, row_share * rows / row_shares, (row_share + 1) * rows / row_shares);
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* The pixels of a class around those that are early: above, below, left and right of them. */
static void Around(const CordsSlotClass *class, const CordsBox *early, CordsBox around[4])
{
  const PetscInt row_end = early->row_start + early->row_count, column_end = early->column_start + early->column_count;

  around[0] = (CordsBox){0, early->row_start, 0, class->columns};
  around[1] = (CordsBox){row_end, class->rows - row_end, 0, class->columns};
  around[2] = (CordsBox){early->row_start, early->row_count, 0, early->column_start};
  around[3] = (CordsBox){early->row_start, early->row_count, column_end, class->columns - column_end};
}

/* Early: the pixels of each class that read early ones only; late: the others. */
static PetscErrorCode RunPart(const Direction *d, PetscBool early, PetscInt n, const void *x, const CordsFinish *finish)
{
  const CordsBox whole = CordsSlotWhole(&d->route);

  PetscFunctionBegin;
  for (PetscInt k = 0; k < d->route.class_count; k++) {
    const CordsBox inside = CordsSlotInside(&d->route, &d->route.classes[k], &d->early);
    CordsBox boxes[4] = {inside};
    if (!early) Around(&d->route.classes[k], &inside, boxes);
    for (int b = 0; b < (early ? 1 : 4); b++) {
      Task t;
      if (CordsBoxPixels(&boxes[b]) == 0) continue;
      t = MakeTask(d, k, k + 1, &boxes[b]);
      PetscCall(RunTask(&t, n, early ? &d->early : &whole, x, finish));
    }
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* ---- the backend ---- */

static PetscErrorCode DirectionCreate(const CordsConvShape *shape, PetscBool adjoint, Direction *d)
{
  PetscFunctionBegin;
  PetscCall(CordsSlotRouteCreate(shape, adjoint, &d->route));
  d->parts = d->route.in_channels / DEPTH;
  d->groups = d->route.out_channels / GROUP;
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode Create(const CordsConvShape *shape, CordsType type, void **data)
{
  Data *d;

  PetscFunctionBegin;
  PetscCall(PetscNew(&d));
  for (int k = 0; k < DIRECTIONS; k++) PetscCall(DirectionCreate(shape, (PetscBool)(k > 0), &d->directions[k]));
  CordsScratchHold();
  *data = d;
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode Destroy(void *data)
{
  Data *d = data;

  PetscFunctionBegin;
  for (int k = 0; k < DIRECTIONS; k++) {
    PetscCall(CordsSlotRouteDestroy(&d->directions[k].route));
    free(d->directions[k].weights);
  }
  CordsScratchRelease();
  PetscCall(PetscFree(d));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode Pack(void *data, const void *weights)
{
  Data *d = data;

  d->adjoint_packed = PETSC_FALSE;
  return PackForward(&d->directions[0], weights);
}

static void LaterBytes(void *data, CordsConvOperation operation, double *own, double *shared)
{
  Data *d = data;
  const Direction *back = &d->directions[1];
  const Task task = WholeTask(&d->directions[operation == CORDS_CONV_BACKWARD_DATA]);

  *own = operation != CORDS_CONV_BACKWARD_DATA || back->weights ? 0 : (double)WeightBytes(back);
  *shared = operation == CORDS_CONV_BACKWARD_WEIGHTS
                ? CordsMatrixWeightsBytes(&d->directions[0].route, PETSC_MAX_INT)
                : (double)PetscMax(ThreadBytes(&task), panel_bytes) * omp_get_max_threads();
}

static PetscErrorCode Divide(void *data, PetscBool adjoint, const CordsBox *early)
{
  Data *d = data;

  PetscFunctionBegin;
  d->directions[adjoint].early = *early;
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode Run(void *data, PetscBool adjoint, CordsConvPart part, PetscInt n, const void *x,
                          const CordsFinish *finish)
{
  Data *data_ = data;
  Direction *d = &data_->directions[adjoint];
  const CordsBox there = CordsSlotWhole(&d->route);
  Task whole = WholeTask(d);

  PetscFunctionBegin;
  if (adjoint && !data_->adjoint_packed) { /* made when it is wanted for the first time */
    PetscCall(PackAdjoint(&data_->directions[0], d));
    data_->adjoint_packed = PETSC_TRUE;
  }
  if (part != CORDS_PART_WHOLE) {
    PetscCall(RunPart(d, (PetscBool)(part == CORDS_PART_EARLY), n, x, finish));
    PetscFunctionReturn(PETSC_SUCCESS);
  }
  PetscCall(RunTask(&whole, n, &there, x, finish));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode BackwardWeights(void *data, PetscInt n, const void *x, const void *dy, void *dw)
{
  Data *d = data;

  return CordsMatrixBackwardWeights(&d->directions[0].route, n, x, dy, dw);
}

const CordsConvBackendType cords_conv_backend_amx = {.name = "amx",
                                                     .about = "the processor's matrix unit; bf16, channels by 32",
                                                     .lean = PETSC_TRUE,
                                                     .supports = Supports,
                                                     .create = Create,
                                                     .destroy = Destroy,
                                                     .pack = Pack,
                                                     .later_bytes = LaterBytes,
                                                     .run = Run,
                                                     .divide = Divide,
                                                     .backward_weights = BackwardWeights};
