#include "conv/cut_conv.h"

#include "conv/choice.h"
#include "conv/cut_shape.h"
#include "conv/halo.h"

/* One direction: what works on a map's window.  What reads own pixels only is computed from the tile while the others
   travel; of own pixels only those that stand beside a halo are copied into the window. */
typedef struct {
  CordsHalo halo;
  CordsArray window; /* T, grown to the images of a call */
  CordsConv conv;    /* NULL: this rank has nothing to do */
  const void *tile;  /* of the call at work */
  CordsBox unread;   /* own pixels that nothing reads in the window */
} Direction;

struct _p_CordsCutConv {
  CordsCutShape cut;
  CordsType type;
  Direction forward, adjoint;
};

PetscErrorCode CordsCutConvPrepare(CordsContext context, PetscInt count, const CordsConvShape whole[],
                                   const CordsType types[])
{
  const PetscInt ranks = context->grid_rows * context->grid_columns;
  CordsConvShape *shapes;
  CordsType *shape_types;
  PetscInt found = 0;

  PetscFunctionBegin;
  if (ranks == 1) {
    PetscCall(CordsConvChoicePrepare(context, count, whole, types));
    PetscFunctionReturn(PETSC_SUCCESS);
  }
  PetscCall(PetscMalloc2((size_t)count * ranks * 2, &shapes, (size_t)count * ranks * 2, &shape_types));
  for (PetscInt k = 0; k < count * ranks; k++) {
    const CordsCutShape cut = CordsCutShapeOf(&whole[k / ranks], context->grid_rows, context->grid_columns, k % ranks);
    if (CordsCutHasForward(&cut)) shape_types[found] = types[k / ranks], shapes[found++] = cut.forward;
    if (CordsCutHasAdjoint(&cut)) shape_types[found] = types[k / ranks], shapes[found++] = cut.adjoint;
  }
  PetscCall(CordsConvChoicePrepare(context, found, shapes, shape_types));
  PetscCall(PetscFree2(shapes, shape_types));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode Arrive(void *halo)
{
  return CordsHaloEnd(halo);
}

/* The part of a line [start, start + count) that is not near a halo, which a window [first, end) may have beyond it. */
static void Shrink(PetscInt reach, PetscInt first, PetscInt end, PetscInt *start, PetscInt *count)
{
  const PetscInt before = *start > first ? reach : 0, after = *start + *count < end ? reach : 0;

  *start += before;
  *count = PetscMax(*count - before - after, 0);
}

/* What is read from the tile alone. */
static CordsBox Unread(const CordsConvShape *part, const CordsBox *own, const CordsBox *window)
{
  CordsBox box = CordsBoxIntersect(own, window);
  const PetscInt reach = CordsConvReach(part);

  Shrink(reach, window->row_start, window->row_start + window->row_count, &box.row_start, &box.row_count);
  Shrink(reach, window->column_start, window->column_start + window->column_count, &box.column_start,
         &box.column_count);
  return CordsBoxPixels(&box) > 0 ? box : (CordsBox){0};
}

/* own: this rank's tile of the map of rows × columns × channels that the direction reads. */
static PetscErrorCode DirectionCreate(CordsContext context, const CordsConvShape *part, CordsType type,
                                      PetscBool has_work, PetscInt rows, PetscInt columns, PetscInt channels,
                                      const CordsBox *own, const CordsBox *window, PetscBool adjoint, Direction *d)
{
  CordsConvArrival arrival = {.box = *own, .early = &d->tile, .wait = Arrive};

  PetscFunctionBegin;
  PetscCall(CordsHaloCreate(context, rows, columns, channels, window, &d->halo));
  if (!has_work) PetscFunctionReturn(PETSC_SUCCESS);
  d->unread = Unread(part, own, window);
  arrival.box.row_start -= window->row_start;
  arrival.box.column_start -= window->column_start;
  arrival.context = d->halo;
  PetscCall(CordsConvCreate(part, type, NULL, &d->conv));
  PetscCall(CordsConvSetArrival(d->conv, adjoint, &arrival));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsCutConvCreate(CordsContext context, const CordsConvShape *whole, CordsType type, CordsCutConv *conv)
{
  CordsCutConv c;

  PetscFunctionBegin;
  PetscCall(PetscNew(&c));
  c->type = type;
  c->cut = CordsCutShapeOf(whole, context->grid_rows, context->grid_columns, context->domain_rank);
  PetscCall(DirectionCreate(context, &c->cut.forward, type, CordsCutHasForward(&c->cut), whole->in_rows,
                            whole->in_columns, whole->in_channels, &c->cut.in, &c->cut.in_window, PETSC_FALSE,
                            &c->forward));
  PetscCall(DirectionCreate(context, &c->cut.adjoint, type, CordsCutHasAdjoint(&c->cut), whole->out_rows,
                            whole->out_columns, whole->out_channels, &c->cut.out, &c->cut.out_window, PETSC_TRUE,
                            &c->adjoint));
  *conv = c;
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode DirectionDestroy(Direction *d)
{
  PetscFunctionBegin;
  PetscCall(CordsHaloDestroy(&d->halo));
  PetscCall(CordsArrayDestroy(&d->window));
  PetscCall(CordsConvDestroy(&d->conv));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsCutConvDestroy(CordsCutConv *conv)
{
  PetscFunctionBegin;
  if (!*conv) PetscFunctionReturn(PETSC_SUCCESS);
  PetscCall(DirectionDestroy(&(*conv)->forward));
  PetscCall(DirectionDestroy(&(*conv)->adjoint));
  PetscCall(PetscFree(*conv));
  PetscFunctionReturn(PETSC_SUCCESS);
}

const CordsConvShape *CordsCutConvGetShape(CordsCutConv conv)
{
  return &conv->cut.local;
}

CordsConv CordsCutConvPart(CordsCutConv conv, CordsConvOperation operation)
{
  return operation == CORDS_CONV_BACKWARD_DATA ? conv->adjoint.conv : conv->forward.conv;
}

PetscErrorCode CordsCutConvSetWeights(CordsCutConv conv, const void *weights)
{
  PetscFunctionBegin;
  if (conv->forward.conv) PetscCall(CordsConvSetWeights(conv->forward.conv, weights));
  if (conv->adjoint.conv) PetscCall(CordsConvSetWeights(conv->adjoint.conv, weights));
  PetscFunctionReturn(PETSC_SUCCESS);
}

void CordsCutConvLaterBytes(CordsCutConv conv, PetscInt most, double *own, double *shared)
{
  const CordsConv parts[2] = {conv->forward.conv, conv->adjoint.conv};

  *own = *shared = 0;
  for (int k = 0; k < 2; k++) {
    double its_own = 0, its_shared = 0;
    if (parts[k]) CordsConvLaterBytes(parts[k], most, &its_own, &its_shared);
    *own += its_own;
    *shared = PetscMax(*shared, its_shared);
  }
}

/* The window of a tile for n images begins to be gathered; the convolution that reads it waits for what is missing. */
static PetscErrorCode Gather(Direction *d, CordsType type, CordsConvOperation operation, PetscInt pixels,
                             PetscInt channels, PetscInt n, const void *tile)
{
  const PetscBool early = (PetscBool)(d->conv && CordsConvReadsEarly(d->conv, operation, n));

  PetscFunctionBegin;
  if (d->window.items < n) {
    PetscCall(CordsArrayDestroy(&d->window));
    PetscCall(CordsArrayCreate(type, n, pixels * channels, &d->window));
  }
  d->tile = tile;
  PetscCall(CordsHaloBegin(d->halo, type, n, tile, early ? &d->unread : NULL, d->window.data));
  if (!d->conv) PetscCall(CordsHaloEnd(d->halo));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode GatherInputs(CordsCutConv c, CordsConvOperation operation, PetscInt n, const void *x)
{
  return Gather(&c->forward, c->type, operation, CordsBoxPixels(&c->cut.in_window), c->cut.local.in_channels, n, x);
}

static PetscErrorCode GatherOutputs(CordsCutConv c, PetscInt n, const void *dy)
{
  return Gather(&c->adjoint, c->type, CORDS_CONV_BACKWARD_DATA, CordsBoxPixels(&c->cut.out_window),
                c->cut.local.out_channels, n, dy);
}

PetscErrorCode CordsCutConvForwardFrom(CordsCutConv c, PetscInt n, const void *x, const void *start, PetscInt period,
                                       void *y)
{
  PetscFunctionBegin;
  PetscCall(GatherInputs(c, CORDS_CONV_FORWARD, n, x));
  if (c->forward.conv) PetscCall(CordsConvForwardFrom(c->forward.conv, n, c->forward.window.data, start, period, y));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsCutConvBackwardData(CordsCutConv c, PetscInt n, const void *dy, void *dx, PetscBool accumulate)
{
  PetscFunctionBegin;
  PetscCall(GatherOutputs(c, n, dy));
  if (c->adjoint.conv) PetscCall(CordsConvBackwardData(c->adjoint.conv, n, c->adjoint.window.data, dx, accumulate));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsCutConvBackwardWeights(CordsCutConv c, PetscInt n, const void *x, const void *dy, void *dw)
{
  PetscFunctionBegin;
  PetscCall(GatherInputs(c, CORDS_CONV_BACKWARD_WEIGHTS, n, x));
  if (c->forward.conv) PetscCall(CordsConvBackwardWeights(c->forward.conv, n, c->forward.window.data, dy, dw));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsCutConvStep(CordsCutConv c, PetscInt n, const CordsConvLaw *law, const void *x, const void *z,
                                PetscInt period, const void *r, void *r_next, void *x_next, uint16_t *mask)
{
  PetscFunctionBegin;
  PetscCall(GatherInputs(c, CORDS_CONV_FORWARD, n, x));
  if (c->forward.conv)
    PetscCall(CordsConvStep(c->forward.conv, n, law, c->forward.window.data, z, period, r, r_next, x_next, mask));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsCutConvStepAdjoint(CordsCutConv c, PetscInt n, const CordsConvLaw *law, const void *du,
                                       const void *g, const void *later, const uint16_t *mask, void *lambda,
                                       void *du_before)
{
  PetscFunctionBegin;
  PetscCall(GatherOutputs(c, n, du));
  if (c->adjoint.conv)
    PetscCall(CordsConvStepAdjoint(c->adjoint.conv, n, law, c->adjoint.window.data, g, later, mask, lambda, du_before));
  PetscFunctionReturn(PETSC_SUCCESS);
}
