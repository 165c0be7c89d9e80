#include "train/update_calls.h"

#include "core/layout.h"
#include "model/area_type.h"
#include "train/blocks.h"
#include "train/trial.h"

#include <string.h>

enum { INVERSE_ITERATIONS = 3 /* powers of W in stage 2 */ };

/* A list that is being written. */
typedef struct {
  const CordsArchitecture *a;
  CordsType type, once; /* T, and M: of what is computed once per image */
  CordsCalls *calls;
} Writer;

static PetscBool Same(const CordsCall *a, const CordsCall *b)
{
  return (PetscBool)(a->kind == b->kind && a->connection == b->connection && a->operation == b->operation &&
                     a->type == b->type && a->items == b->items);
}

static PetscErrorCode Add(CordsCalls *calls, const CordsCall *call)
{
  PetscFunctionBegin;
  if (call->times == 0) PetscFunctionReturn(PETSC_SUCCESS);
  for (PetscInt k = 0; k < calls->count; k++) {
    if (!Same(&calls->list[k], call)) continue;
    calls->list[k].times += call->times;
    PetscFunctionReturn(PETSC_SUCCESS);
  }
  if (calls->count == calls->capacity) {
    calls->capacity = 2 * calls->capacity + 64;
    PetscCall(PetscRealloc((size_t)calls->capacity * sizeof *calls->list, &calls->list));
  }
  calls->list[calls->count++] = *call;
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* A convolution; nothing where there is none or no image. */
static PetscErrorCode Conv(const Writer *w, PetscInt connection, CordsConvOperation operation, CordsType type,
                           PetscInt items, PetscInt64 times)
{
  const CordsCall call = {CORDS_CALL_CONV, connection, operation, type, items, times};

  PetscFunctionBegin;
  if (connection >= 0 && items > 0) PetscCall(Add(w->calls, &call));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode Pool(const Writer *w, CordsConvOperation operation, PetscInt items)
{
  const CordsCall call = {CORDS_CALL_POOL, -1, operation, w->once, items, 1};

  PetscFunctionBegin;
  if (w->a->pool_kernel > 0 && items > 0) PetscCall(Add(w->calls, &call));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode Features(const Writer *w, PetscInt items, PetscInt64 times)
{
  const CordsCall call = {CORDS_CALL_FEATURES, -1, CORDS_CONV_FORWARD, w->once, items, times};

  PetscFunctionBegin;
  if (items > 0) PetscCall(Add(w->calls, &call));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* Gradient of a connection's weights, and of its input. */
static PetscErrorCode Back(const Writer *w, PetscInt connection, CordsType type, PetscInt items, PetscInt64 times)
{
  PetscFunctionBegin;
  PetscCall(Conv(w, connection, CORDS_CONV_BACKWARD_WEIGHTS, type, items, times));
  PetscCall(Conv(w, connection, CORDS_CONV_BACKWARD_DATA, type, items, times));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* --- stages 1 and 2 --- */

/* A batch normalisation, there or back. */
static PetscErrorCode Norm(const Writer *w, CordsCallKind kind, PetscInt channels)
{
  const CordsCall call = {kind, -1, CORDS_CONV_FORWARD, CORDS_F64, channels, 1};

  return Add(w->calls, &call);
}

/* One forward pass of the CNN: every connection once. */
static PetscErrorCode CnnForward(const Writer *w, PetscInt n)
{
  PetscFunctionBegin;
  for (PetscInt k = 0; k < w->a->connection_count; k++) PetscCall(Conv(w, k, CORDS_CONV_FORWARD, CORDS_F32, n, 1));
  PetscCall(Pool(w, CORDS_CONV_FORWARD, n));
  PetscCall(Features(w, n, 1));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* Back through everything; the gradient with respect to the image is not wanted. */
static PetscErrorCode CnnBackward(const Writer *w, PetscInt n)
{
  PetscFunctionBegin;
  for (PetscInt k = 0; k < w->a->connection_count; k++) {
    PetscCall(Conv(w, k, CORDS_CONV_BACKWARD_WEIGHTS, CORDS_F32, n, 1));
    if (k != w->a->stem) PetscCall(Conv(w, k, CORDS_CONV_BACKWARD_DATA, CORDS_F32, n, 1));
  }
  if (w->a->stem >= 0) PetscCall(Pool(w, CORDS_CONV_BACKWARD_DATA, n));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* After the stem, twice in each area, after each skip convolution. */
static PetscErrorCode Norms(const Writer *w, CordsCallKind kind)
{
  const CordsArchitecture *a = w->a;

  PetscFunctionBegin;
  if (a->stem >= 0) PetscCall(Norm(w, kind, a->stem_channels));
  for (PetscInt i = 0; i < a->area_count; i++) {
    for (int k = 0; k < 2; k++) PetscCall(Norm(w, kind, a->areas[i].channels));
    if (a->skip[i] >= 0) PetscCall(Norm(w, kind, a->areas[i - 1].channels));
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsCallsCnn(const CordsUpdateTask *task, CordsCalls *calls)
{
  const Writer w = {task->architecture, CORDS_F32, CORDS_F32, calls};

  PetscFunctionBegin;
  PetscCall(CnnForward(&w, task->images));
  PetscCall(CnnBackward(&w, task->images));
  PetscCall(Norms(&w, CORDS_CALL_STATISTICS)); /* of ranks without images, too */
  PetscCall(Norms(&w, CORDS_CALL_NORM_SUM));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsCallsInverse(const CordsUpdateTask *task, CordsCalls *calls)
{
  const Writer w = {task->architecture, CORDS_F32, CORDS_F32, calls};

  PetscFunctionBegin;
  PetscCall(CnnForward(&w, task->images)); /* the target */
  for (PetscInt i = 0; i < w.a->area_count; i++) {
    PetscCall(Conv(&w, w.a->recurrent[i], CORDS_CONV_FORWARD, CORDS_F32, task->images, INVERSE_ITERATIONS));
    PetscCall(Back(&w, w.a->recurrent[i], CORDS_F32, task->images, INVERSE_ITERATIONS));
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* --- stages 3 to 5 --- */

/* inp, S inp and V_0 inp. */
static PetscErrorCode InputForward(const Writer *w, PetscInt n)
{
  const PetscInt connections[] = {w->a->stem, w->a->input_skip, w->a->feedforward[0]};

  PetscFunctionBegin;
  for (size_t k = 0; k < PETSC_STATIC_ARRAY_LENGTH(connections); k++)
    PetscCall(Conv(w, connections[k], CORDS_CONV_FORWARD, w->once, n, 1));
  PetscCall(Pool(w, CORDS_CONV_FORWARD, n));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode InputBackward(const Writer *w, PetscInt n)
{
  PetscFunctionBegin;
  PetscCall(Back(w, w->a->feedforward[0], w->once, n, 1));
  PetscCall(Back(w, w->a->input_skip, w->once, n, 1));
  PetscCall(Conv(w, w->a->stem, CORDS_CONV_BACKWARD_WEIGHTS, w->once, n, 1));
  if (w->a->stem >= 0) PetscCall(Pool(w, CORDS_CONV_BACKWARD_DATA, n));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* What areas above the first get from below, `items` images × steps at a time. */
static PetscErrorCode DriveForward(const Writer *w, PetscInt area, PetscInt items, PetscInt64 times)
{
  PetscFunctionBegin;
  if (area == 0) PetscFunctionReturn(PETSC_SUCCESS); /* a constant */
  PetscCall(Conv(w, w->a->skip[area], CORDS_CONV_FORWARD, w->type, items, times));
  PetscCall(Conv(w, w->a->feedforward[area], CORDS_CONV_FORWARD, w->type, items, times));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* The input of the area is computed again, then everything goes back. */
static PetscErrorCode DriveBackward(const Writer *w, PetscInt area, PetscInt items, PetscInt64 times)
{
  PetscFunctionBegin;
  if (area == 0) PetscFunctionReturn(PETSC_SUCCESS);
  PetscCall(Conv(w, w->a->skip[area], CORDS_CONV_FORWARD, w->type, items, times));
  PetscCall(Back(w, w->a->feedforward[area], w->type, items, times));
  PetscCall(Back(w, w->a->skip[area], w->type, items, times));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* K steps of n images: one step at a time in each area, K at once between areas. */
static PetscErrorCode BlockForward(const Writer *w, PetscInt n, PetscInt steps)
{
  PetscFunctionBegin;
  for (PetscInt i = 0; i < w->a->area_count; i++) {
    PetscCall(DriveForward(w, i, steps * n, 1));
    PetscCall(Conv(w, w->a->recurrent[i], CORDS_CONV_FORWARD, w->type, n, steps));
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* Nothing flows into the start of the run, so the step from it has no adjoint. */
static PetscErrorCode BlockBackward(const Writer *w, PetscInt n, const CordsBlock *block)
{
  const PetscInt back = block->steps - (block->start == 0 ? 1 : 0);

  PetscFunctionBegin;
  for (PetscInt i = 0; i < w->a->area_count; i++) {
    PetscCall(Conv(w, w->a->recurrent[i], CORDS_CONV_BACKWARD_DATA, w->type, n, back));
    PetscCall(Conv(w, w->a->recurrent[i], CORDS_CONV_BACKWARD_WEIGHTS, w->type, block->steps * n, 1));
    PetscCall(DriveBackward(w, i, block->steps * n, 1));
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* rollouts/fused.c: n images through the phases; back again, too, if the run is recorded. */
static PetscErrorCode FusedRun(const Writer *w, const CordsPlan *plan, PetscInt n, PetscInt phase_count,
                               const PetscInt steps[], PetscBool recorded)
{
  PetscInt all = 0, count;
  CordsBlock *blocks;

  PetscFunctionBegin;
  for (PetscInt p = 0; p < phase_count; p++) all += steps[p];
  PetscCall(PetscMalloc1(all + 1, &blocks));
  count = CordsBlocksCut(plan, n, phase_count, steps, recorded, blocks);
  for (PetscInt b = 0; b < count; b++) {
    PetscCall(BlockForward(w, n, blocks[b].steps));
    PetscCall(Features(w, blocks[b].steps * n, 1));
    if (!recorded) continue;
    if (!blocks[b].kept && b < count - 1) PetscCall(BlockForward(w, n, blocks[b].steps)); /* computed again */
    PetscCall(BlockBackward(w, n, &blocks[b]));
  }
  PetscCall(PetscFree(blocks));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* rollouts/reference.c: everything one step at a time. */
static PetscErrorCode ReferenceRun(const Writer *w, PetscInt n, PetscInt steps, PetscBool recorded)
{
  PetscFunctionBegin;
  PetscCall(Features(w, n, steps));
  for (PetscInt i = 0; i < w->a->area_count; i++) {
    PetscCall(DriveForward(w, i, n, steps));
    PetscCall(Conv(w, w->a->recurrent[i], CORDS_CONV_FORWARD, w->type, n, steps));
    if (!recorded) continue;
    PetscCall(Back(w, w->a->recurrent[i], w->type, n, steps));
    PetscCall(DriveBackward(w, i, n, steps));
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* Which rollout CordsRolloutCreate takes: the fused one where φ of the architecture allows it and nobody asks for the
   other. */
static PetscErrorCode IsFused(const CordsUpdateTask *task, PetscBool *fused)
{
  const CordsAreaLaw law = {.phi = task->architecture->phi};
  const CordsAreaType *kind;
  CordsConvLaw unused;

  PetscFunctionBegin;
  PetscCall(CordsAreaTypeFind("rate", &kind));
  *fused = (PetscBool)(kind->fused(&law, &unused) && strcmp(task->settings->rollout.name, "reference") != 0);
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode Run(const Writer *w, const CordsUpdateTask *task, PetscInt n, PetscInt phase_count,
                          const PetscInt steps[], PetscBool recorded)
{
  PetscInt all = 0;
  PetscBool fused;

  PetscFunctionBegin;
  for (PetscInt p = 0; p < phase_count; p++) all += steps[p];
  PetscCall(IsFused(task, &fused));
  if (fused)
    PetscCall(FusedRun(w, &task->plan, n, phase_count, steps, recorded));
  else
    PetscCall(ReferenceRun(w, n, all, recorded));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* train/trial.c: the spontaneous phase of one image for all, then parts of the batch one after the other. */
static PetscErrorCode Trial(const CordsUpdateTask *task, PetscBool with_baseline, CordsCalls *calls)
{
  const CordsType type = task->settings->rollout.type;
  const Writer w = {task->architecture, type, CordsTypeMaster(type), calls};
  const CordsPlanTask run = CordsTrialTask(task->architecture, task->settings, with_baseline, task->images);
  const PetscInt stimulus = task->architecture->stimulus_steps, phases[] = {stimulus, run.steps - stimulus};

  PetscFunctionBegin;
  if (task->settings->gradient == CORDS_GRADIENT_EQUILIBRIUM || task->images == 0) PetscFunctionReturn(PETSC_SUCCESS);
  if (run.spontaneous > 0) PetscCall(Run(&w, task, 1, 1, &run.spontaneous, PETSC_FALSE));
  for (PetscInt first = 0; first < task->images; first += task->plan.images) {
    const PetscInt n = PetscMin(task->plan.images, task->images - first);
    PetscCall(InputForward(&w, n));
    PetscCall(Run(&w, task, n, 2, phases, PETSC_TRUE));
    PetscCall(Conv(&w, w.a->readout, CORDS_CONV_FORWARD, w.once, task->settings->loss_steps * n, 1));
    PetscCall(Back(&w, w.a->readout, w.once, task->settings->loss_steps * n, 1));
    PetscCall(InputBackward(&w, n));
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsCallsStimulus(const CordsUpdateTask *task, CordsCalls *calls)
{
  return Trial(task, PETSC_FALSE, calls);
}

PetscErrorCode CordsCallsTrial(const CordsUpdateTask *task, CordsCalls *calls)
{
  return Trial(task, PETSC_TRUE, calls);
}

/* --- what they cost --- */

/* The part of the pixels of a map that a rank computes. */
static double Share(PetscInt rows, PetscInt columns, PetscInt grid_rows, PetscInt grid_columns, PetscInt rank)
{
  const CordsLayout own = CordsLayoutCut(rows, columns, 1, grid_rows, grid_columns, rank);

  return (double)CordsLayoutLocalPixels(&own) / ((double)rows * columns);
}

double CordsCallsOperations(const CordsCalls *calls, const CordsArchitecture *a, PetscInt grid_rows,
                            PetscInt grid_columns, PetscInt domain_rank, CordsType type)
{
  double operations = 0;

  for (PetscInt k = 0; k < calls->count; k++) {
    const CordsCall *call = &calls->list[k];
    const CordsConvShape *s;
    double share = 1;
    if (call->kind != CORDS_CALL_CONV || call->type != type) continue;
    s = &a->connections[call->connection].shape;
    if (call->connection != a->readout && call->operation == CORDS_CONV_BACKWARD_DATA)
      share = Share(s->in_rows, s->in_columns, grid_rows, grid_columns, domain_rank);
    else if (call->connection != a->readout)
      share = Share(s->out_rows, s->out_columns, grid_rows, grid_columns, domain_rank);
    operations += share * CordsConvFlops(s) * call->items * (double)call->times;
  }
  return operations;
}
