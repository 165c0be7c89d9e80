#include "train/traffic_model.h"

#include "conv/cut_shape.h"
#include "core/agree.h"
#include "core/reduce.h"
#include "model/batch_norm.h"
#include "train/gradient_sum.h"

#include <string.h>

/* What a rank sends in one exchange of a halo: messages, and pixels of one image in them. */
typedef struct {
  PetscBool known;
  PetscInt64 messages, pixels, far_messages, far_pixels;
} Halo;

/* A forecast that is being made. */
typedef struct {
  const CordsArchitecture *a;
  const CordsRanks *ranks;
  PetscInt rank, domain, first, own;        /* ranks of a group, the first of this rank's, its number in it */
  Halo halos[CORDS_CONNECTIONS_MAX + 1][2]; /* of inputs and of outputs of each connection, and of the pooling */
  CordsForecast *forecast;
} Model;

static PetscInt Groups(const CordsRanks *ranks)
{
  return ranks->size / (ranks->grid_rows * ranks->grid_columns);
}

PetscInt CordsGroupImages(const CordsRanks *ranks, PetscInt rank, PetscInt total)
{
  const PetscInt group = rank / (ranks->grid_rows * ranks->grid_columns);

  return CordsLayoutCut(total, 1, 1, Groups(ranks), 1, group).row_count;
}

static PetscInt NodeOf(const CordsRanks *ranks, PetscInt rank)
{
  return ranks->ranks_per_node > 0 ? rank / ranks->ranks_per_node : 0;
}

static void AddSent(CordsForecast *forecast, PetscBool far, PetscInt64 messages, PetscInt64 bytes)
{
  forecast->all.messages += messages;
  forecast->all.bytes += bytes;
  if (!far) return;
  forecast->far.messages += messages;
  forecast->far.bytes += bytes;
}

/* --- halos --- */

/* Own tile and the window of another rank, of inputs or of outputs. */
static PetscInt64 Shared(const CordsCutShape *own, const CordsCutShape *other, PetscBool outputs)
{
  const CordsBox box =
      outputs ? CordsBoxIntersect(&own->out, &other->out_window) : CordsBoxIntersect(&own->in, &other->in_window);

  return CordsBoxPixels(&box);
}

/* Whether a window has rows of the own tile; most rows of a large grid have none. */
static PetscBool RowsMeet(const CordsCutShape *own, const CordsCutShape *other, PetscBool outputs)
{
  const CordsBox *tile = outputs ? &own->out : &own->in, *window = outputs ? &other->out_window : &other->in_window;

  return (PetscBool)(tile->row_start < window->row_start + window->row_count &&
                     window->row_start < tile->row_start + tile->row_count);
}

/* One message to every rank whose window meets the own tile. */
static Halo HaloOf(const Model *m, const CordsConvShape *whole, PetscBool outputs)
{
  const CordsRanks *r = m->ranks;
  const CordsCutShape own = CordsCutShapeOf(whole, r->grid_rows, r->grid_columns, m->own);
  Halo halo = {.known = PETSC_TRUE};

  for (PetscInt k = 0; k < m->domain; k++) {
    const CordsCutShape other = CordsCutShapeOf(whole, r->grid_rows, r->grid_columns, k);
    const PetscInt64 pixels = k == m->own ? 0 : Shared(&own, &other, outputs);
    if (k % r->grid_columns == 0 && !RowsMeet(&own, &other, outputs)) { /* the first column is never empty */
      k += r->grid_columns - 1;
      continue;
    }
    if (pixels == 0) continue;
    halo.messages++;
    halo.pixels += pixels;
    if (NodeOf(r, m->first + k) == NodeOf(r, m->rank)) continue;
    halo.far_messages++;
    halo.far_pixels += pixels;
  }
  return halo;
}

static void AddHalo(Model *m, const CordsCall *call)
{
  const PetscBool pool = (PetscBool)(call->kind == CORDS_CALL_POOL);
  const PetscBool outputs = (PetscBool)(call->operation == CORDS_CONV_BACKWARD_DATA);
  const CordsConvShape pooling = CordsArchitecturePool(m->a);
  const CordsConvShape *whole = pool ? &pooling : &m->a->connections[call->connection].shape;
  Halo *halo = &m->halos[pool ? CORDS_CONNECTIONS_MAX : call->connection][outputs];
  CordsForecast *sent = &m->forecast[CORDS_TRAFFIC_HALO];
  PetscInt64 bytes;

  if (m->domain == 1 || (!pool && call->connection == m->a->readout)) return;
  if (!halo->known) *halo = HaloOf(m, whole, outputs);
  bytes = (PetscInt64)call->items * (outputs ? whole->out_channels : whole->in_channels) *
          (PetscInt64)CordsTypeSize(call->type);
  AddSent(sent, PETSC_TRUE, call->times * halo->far_messages, call->times * halo->far_pixels * bytes);
  AddSent(sent, PETSC_FALSE, call->times * (halo->messages - halo->far_messages),
          call->times * (halo->pixels - halo->far_pixels) * bytes);
}

/* --- sums --- */

/* Of `others` ranks that get the same, the `far` of them. */
static void AddToAll(CordsForecast *forecast, CordsTraffic sent, PetscInt others, PetscInt far)
{
  const double share = others > 0 ? (double)far / others : 0;
  const CordsTraffic away = {(PetscInt64)((double)sent.messages * share), (PetscInt64)((double)sent.bytes * share)};

  AddSent(forecast, PETSC_TRUE, away.messages, away.bytes);
  AddSent(forecast, PETSC_FALSE, sent.messages - away.messages, sent.bytes - away.bytes);
}

/* Ranks of [first, first + count) on other nodes than this one. */
static PetscInt Far(const Model *m, PetscInt first, PetscInt count)
{
  const PetscInt width = m->ranks->ranks_per_node, node = NodeOf(m->ranks, m->rank);
  PetscInt begin, end;

  if (width == 0) return 0;
  begin = PetscMax(first, node * width);
  end = PetscMin(first + count, (node + 1) * width);
  return count - (end - begin);
}

/* A sum of core/reduce over all ranks or over the group, `times` times. */
static void AddSum(Model *m, PetscBool all, PetscInt count, size_t number_bytes, PetscInt64 times)
{
  const PetscInt size = all ? m->ranks->size : m->domain, rank = all ? m->rank : m->own, first = all ? 0 : m->first;
  CordsTraffic sent;

  sent.bytes = times * CordsReduceBytes((PetscMPIInt)size, (PetscMPIInt)rank, count, number_bytes, &sent.messages);
  sent.messages *= times;
  AddToAll(&m->forecast[CORDS_TRAFFIC_SUM], sent, size - 1, Far(m, first, size));
}

static PetscErrorCode AddGradient(Model *m, CordsModel model)
{
  CordsGradientPiece *pieces;
  PetscInt count;

  PetscFunctionBegin;
  for (PetscInt i = 0; i < model->architecture.area_count; i++) {
    PetscCall(CordsGradientPieces(model, i, &count, &pieces));
    for (PetscInt k = 0; k < count; k++) AddSum(m, PETSC_TRUE, pieces[k].count, sizeof(float), 1);
    PetscCall(PetscFree(pieces));
  }
  AddSum(m, PETSC_TRUE, CORDS_METRICS_COUNT, sizeof(double), 1);
  PetscFunctionReturn(PETSC_SUCCESS);
}

static void AddStatistics(Model *m, const CordsCall *call)
{
  CordsTraffic sent = CordsBatchNormTraffic(m->ranks->size, call->items);

  sent.messages *= call->times;
  sent.bytes *= call->times;
  AddToAll(&m->forecast[CORDS_TRAFFIC_SUM], sent, m->ranks->size - 1, Far(m, 0, m->ranks->size));
}

/* --- agreements --- */

static void AddFirst(Model *m, size_t bytes)
{
  const CordsTraffic sent = CordsAgreeFirstTraffic(m->ranks->size, m->rank, (PetscInt)bytes);

  AddToAll(&m->forecast[CORDS_TRAFFIC_CONTROL], sent, m->ranks->size - 1, Far(m, 0, m->ranks->size));
}

/* To stop or not, by signal or by time; to save or not; whether the row could be written, and how long the file is. */
static void AddEnd(Model *m, const CordsUpdateEnd *end)
{
  AddToAll(&m->forecast[CORDS_TRAFFIC_CONTROL], CordsAgreeAnyTraffic(m->ranks->size), m->ranks->size - 1,
           Far(m, 0, m->ranks->size));
  AddFirst(m, sizeof(int));
  if (end && end->time_limit) AddFirst(m, sizeof(int));
  if (end && end->log_row) AddFirst(m, sizeof(int));
  if (end && end->log_row) AddFirst(m, sizeof(PetscInt64));
}

PetscErrorCode CordsTrafficForecast(const CordsCalls *calls, CordsModel model, const CordsRanks *ranks, PetscInt rank,
                                    const CordsUpdateEnd *end, CordsForecast forecast[CORDS_TRAFFIC_KINDS])
{
  const CordsArchitecture *a = &model->architecture;
  const PetscInt domain = ranks->grid_rows * ranks->grid_columns;
  Model m = {.a = a, .ranks = ranks, .rank = rank, .domain = domain, .own = rank % domain, .forecast = forecast};

  PetscFunctionBegin;
  m.first = rank - m.own;
  memset(forecast, 0, CORDS_TRAFFIC_KINDS * sizeof *forecast);
  for (PetscInt k = 0; k < calls->count; k++) {
    const CordsCall *call = &calls->list[k];
    if (call->kind == CORDS_CALL_CONV || call->kind == CORDS_CALL_POOL) AddHalo(&m, call);
    if (call->kind == CORDS_CALL_FEATURES)
      AddSum(&m, PETSC_FALSE, call->items * a->areas[a->area_count - 1].channels, CordsTypeSize(call->type),
             call->times);
    if (call->kind == CORDS_CALL_STATISTICS) AddStatistics(&m, call);
    if (call->kind == CORDS_CALL_NORM_SUM) AddSum(&m, PETSC_TRUE, 2 * call->items, sizeof(double), call->times);
  }
  PetscCall(AddGradient(&m, model));
  AddEnd(&m, end);
  PetscFunctionReturn(PETSC_SUCCESS);
}
