#include "conv/cut_pool.h"

#include "conv/cut_shape.h"
#include "conv/halo.h"
#include "conv/pool.h"

struct _p_CordsCutPool {
  CordsCutShape cut;
  CordsType type;
  CordsHalo inputs, outputs; /* windows of the two maps; NULL where nothing is cut */
};

PetscErrorCode CordsCutPoolCreate(CordsContext context, const CordsConvShape *whole, CordsType type, CordsCutPool *pool)
{
  CordsCutPool p;

  PetscFunctionBegin;
  PetscCall(PetscNew(&p));
  p->type = type;
  p->cut = CordsCutShapeOf(whole, context->grid_rows, context->grid_columns, context->domain_rank);
  if (CordsContextIsCut(context)) {
    PetscCall(
        CordsHaloCreate(context, whole->in_rows, whole->in_columns, whole->in_channels, &p->cut.in_window, &p->inputs));
    PetscCall(CordsHaloCreate(context, whole->out_rows, whole->out_columns, whole->out_channels, &p->cut.out_window,
                              &p->outputs));
  }
  *pool = p;
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsCutPoolDestroy(CordsCutPool *pool)
{
  PetscFunctionBegin;
  if (!*pool) PetscFunctionReturn(PETSC_SUCCESS);
  PetscCall(CordsHaloDestroy(&(*pool)->inputs));
  PetscCall(CordsHaloDestroy(&(*pool)->outputs));
  PetscCall(PetscFree(*pool));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* The window of a tile, to be destroyed; pooling is done once per image, so it keeps none. */
static PetscErrorCode Gather(CordsHalo halo, CordsType type, const CordsBox *box, PetscInt channels, PetscInt n,
                             const void *tile, CordsArray *window)
{
  PetscFunctionBegin;
  PetscCall(CordsArrayCreate(type, n, CordsBoxPixels(box) * channels, window));
  PetscCall(CordsHaloBegin(halo, type, n, tile, NULL, window->data));
  PetscCall(CordsHaloEnd(halo));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsCutPoolForward(CordsCutPool p, PetscInt n, const void *x, void *y)
{
  CordsArray window;

  PetscFunctionBegin;
  if (n == 0) PetscFunctionReturn(PETSC_SUCCESS); /* ranks without images */
  if (!p->inputs) {
    PetscCall(CordsPoolForward(&p->cut.forward, p->type, n, x, y));
    PetscFunctionReturn(PETSC_SUCCESS);
  }
  PetscCall(Gather(p->inputs, p->type, &p->cut.in_window, p->cut.local.in_channels, n, x, &window));
  if (CordsCutHasForward(&p->cut)) PetscCall(CordsPoolForward(&p->cut.forward, p->type, n, window.data, y));
  PetscCall(CordsArrayDestroy(&window));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsCutPoolAdjoint(CordsCutPool p, PetscInt n, const void *dy, void *dx)
{
  CordsArray window;

  PetscFunctionBegin;
  if (n == 0) PetscFunctionReturn(PETSC_SUCCESS);
  if (!p->outputs) {
    PetscCall(CordsPoolAdjoint(&p->cut.adjoint, p->type, n, dy, dx));
    PetscFunctionReturn(PETSC_SUCCESS);
  }
  PetscCall(Gather(p->outputs, p->type, &p->cut.out_window, p->cut.local.out_channels, n, dy, &window));
  if (CordsCutHasAdjoint(&p->cut)) PetscCall(CordsPoolAdjoint(&p->cut.adjoint, p->type, n, window.data, dx));
  PetscCall(CordsArrayDestroy(&window));
  PetscFunctionReturn(PETSC_SUCCESS);
}
