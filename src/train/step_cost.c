#include "train/step_cost.h"

#include "core/layout.h"
#include "train/state_sizes.h"

#include <math.h>
#include <string.h>

/* --- memory of the first rank --- */

static double MapNumbers(const CordsRanks *r, PetscInt rows, PetscInt columns, PetscInt channels)
{
  const CordsLayout own = CordsLayoutCut(rows, columns, channels, r->grid_rows, r->grid_columns, 0);

  return (double)CordsLayoutLocalSize(&own);
}

/* Copies of the weights that kernels make in each direction, in weights: one for single images and one for many, and
   for 3 × 3 as many numbers as Winograd's take (36 for 9 for many images, 16 for single ones up to 256 channels and 9
   above it; with stride 2 16 for both). */
static double Copies(const CordsConvShape *s)
{
  const double winograd = 16.0 / 9, winograd4 = 36.0 / 9, channels = (double)s->in_channels * s->out_channels;

  if (s->kernel_rows != 3 || s->stride > 2) return 1;
  return s->stride > 1 ? winograd : winograd4 + (channels <= 256.0 * 256 ? winograd : 1);
}

/* Parameters, their gradient and two moments, and copies. */
static double WeightBytes(const CordsStepTask *task)
{
  const CordsArchitecture *a = &task->model->architecture;
  double copies = 0;

  for (PetscInt k = 0; k < a->connection_count; k++) {
    const CordsConvShape *s = &a->connections[k].shape;
    copies += 2 * Copies(s) * s->out_channels * s->in_channels * s->kernel_rows * s->kernel_columns;
  }
  return sizeof(float) * (4.0 * task->model->value_count + copies);
}

/* Images of the batch, whole on each rank of a group, and what depends on those that are done at a time. */
static double ImageBytes(const CordsStepTask *task, const CordsRanks *r, PetscInt batch, PetscInt at_a_time)
{
  const CordsArchitecture *a = &task->model->architecture;
  const CordsAreaShape *first = &a->areas[0];
  const double image = (double)a->image_rows * a->image_columns * a->image_channels;

  return sizeof(float) *
         (batch * image + at_a_time * (MapNumbers(r, a->image_rows, a->image_columns, a->image_channels) +
                                       2 * MapNumbers(r, a->stem_rows, a->stem_columns, a->stem_channels) +
                                       6 * MapNumbers(r, first->rows, first->columns, first->channels)));
}

/* Maps of the CNN for a whole batch: in each area those of cnn.c's list, and two for work. */
static double CnnBytes(const CordsStepTask *task, const CordsRanks *r, PetscInt batch)
{
  const CordsArchitecture *a = &task->model->architecture;
  const double maps_per_area = 7;
  double numbers = 0, largest = MapNumbers(r, a->stem_rows, a->stem_columns, a->stem_channels);

  for (PetscInt i = 0; i < a->area_count; i++) {
    const double map = MapNumbers(r, a->areas[i].rows, a->areas[i].columns, a->areas[i].channels);
    numbers += maps_per_area * map;
    largest = PetscMax(largest, map);
  }
  return sizeof(float) * batch * (numbers + 2 * largest);
}

/* reference.c: every state and u of every step. */
static double ReferenceBytes(const CordsStateSizes *sizes, const CordsPlanTask *run, const CordsPlan *plan)
{
  const double steps = PetscMax(run->steps, run->spontaneous);
  double neurons = 0;

  for (PetscInt i = 0; i < sizes->area_count; i++) neurons += sizes->neurons[i];
  return (2 * steps + 3) * plan->images * neurons * (double)CordsTypeSize(sizes->type);
}

/* What a rank may take, and the plan that follows from it. */
static void MakePlan(const CordsStepTask *task, double room_bytes, PetscInt batch, CordsStepCost *cost)
{
  const CordsArchitecture *a = &task->model->architecture;
  const CordsStageSettings *s = task->settings;
  const CordsRanks *r = &cost->ranks;
  const CordsStateSizes sizes = CordsStateSizesOf(a, s->rollout.type, r->grid_rows, r->grid_columns, 0);
  const CordsPlanTask run = CordsStageRun(task->stage, a, s, batch);
  double other = task->process_bytes + WeightBytes(task), states = 0, smallest = 0;

  cost->fits = PETSC_TRUE;
  memset(&cost->plan, 0, sizeof cost->plan);
  if (run.steps == 0) {
    states = CnnBytes(task, r, batch);
    other += ImageBytes(task, r, batch, 0);
  } else {
    CordsPlanStates(&sizes, &run, INFINITY, &cost->plan, &states, &smallest);
    other += ImageBytes(task, r, batch, cost->plan.images);
    cost->fits = CordsPlanStates(&sizes, &run, room_bytes - other, &cost->plan, &states, &smallest);
    if (strcmp(s->rollout.name, "reference") == 0) states = ReferenceBytes(&sizes, &run, &cost->plan);
  }
  cost->memory_bytes = other + states;
  if (cost->memory_bytes > room_bytes) cost->fits = PETSC_FALSE;
}

/* --- time of one rank --- */

/* Seconds for the operations of a rank; how many they are. */
static double ComputeTime(const CordsStepTask *task, const CordsMachine *machine, const CordsRanks *r,
                          const CordsCalls *calls, PetscInt rank, double *operations)
{
  const PetscInt domain = r->grid_rows * r->grid_columns;
  double seconds = 0;

  *operations = 0;
  for (int type = 0; type < CORDS_TYPE_COUNT; type++) {
    const double part = CordsCallsOperations(calls, &task->model->architecture, r->grid_rows, r->grid_columns,
                                             rank % domain, (CordsType)type);
    *operations += part;
    if (part > 0) seconds += part / machine->rates[type];
  }
  return seconds;
}

static double LinkTime(const CordsLink *link, PetscInt64 messages, double bytes)
{
  return (double)messages * link->latency_s + bytes / link->bandwidth;
}

/* Messages one after the other; the ranks of a node share its network. */
static double MessageTime(const CordsMachine *machine, PetscInt size, const CordsForecast forecast[])
{
  const double sharing = (double)PetscMin(size, machine->ranks_per_node);
  double seconds = 0;

  for (int k = 0; k < CORDS_TRAFFIC_KINDS; k++) {
    const CordsTraffic *all = &forecast[k].all, *far = &forecast[k].far;
    seconds += LinkTime(&machine->network, far->messages, sharing * (double)far->bytes);
    seconds += LinkTime(&machine->node, all->messages - far->messages, (double)(all->bytes - far->bytes));
  }
  return seconds;
}

/* --- all ranks --- */

static void AddRank(const CordsForecast forecast[], double compute_s, double message_s, double operations,
                    CordsStepCost *cost)
{
  CordsTraffic own = {0, 0};

  for (int k = 0; k < CORDS_TRAFFIC_KINDS; k++) {
    own.messages += forecast[k].all.messages;
    own.bytes += forecast[k].all.bytes;
  }
  cost->all.messages += own.messages;
  cost->all.bytes += own.bytes;
  if (own.bytes > cost->most.bytes) cost->most = own;
  cost->operations = PetscMax(cost->operations, operations);
  if (compute_s + message_s <= cost->time_s) return;
  cost->compute_s = compute_s;
  cost->message_s = message_s;
  cost->time_s = compute_s + message_s;
}

static PetscErrorCode GroupCalls(const CordsStepTask *task, const CordsStepCost *cost, PetscInt images,
                                 CordsCalls *calls)
{
  const CordsUpdateTask update = {
      .architecture = &task->model->architecture, .settings = task->settings, .plan = cost->plan, .images = images};

  PetscFunctionBegin;
  *calls = (CordsCalls){0};
  PetscCall(CordsStageCalls(task->stage, &update, calls));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* Every rank; groups with the same number of images make the same calls. */
static PetscErrorCode AddRanks(const CordsStepTask *task, const CordsMachine *machine, CordsStepCost *cost)
{
  const CordsRanks *r = &cost->ranks;
  CordsForecast forecast[CORDS_TRAFFIC_KINDS];
  CordsCalls calls = {0};
  PetscInt listed = -1;

  PetscFunctionBegin;
  for (PetscInt rank = 0; rank < r->size; rank++) {
    const PetscInt images = CordsGroupImages(r, rank, task->batch);
    double operations, compute_s;
    if (images != listed) {
      PetscCall(PetscFree(calls.list));
      PetscCall(GroupCalls(task, cost, images, &calls));
      listed = images;
    }
    PetscCall(CordsTrafficForecast(&calls, task->model, r, rank, NULL, forecast));
    compute_s = ComputeTime(task, machine, r, &calls, rank, &operations);
    AddRank(forecast, compute_s, MessageTime(machine, r->size, forecast), operations, cost);
  }
  PetscCall(PetscFree(calls.list));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsStepAlone(const CordsStepTask *task, const CordsMachine *machine, double *seconds)
{
  CordsStepCost cost = {.ranks = {1, 1, 1, machine->ranks_per_node}, .groups = 1};

  PetscFunctionBegin;
  MakePlan(task, INFINITY, task->batch, &cost);
  PetscCall(AddRanks(task, machine, &cost));
  *seconds = cost.time_s;
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsStepCostOf(const CordsStepTask *task, const CordsMachine *machine, PetscInt size,
                               PetscInt grid_rows, PetscInt grid_columns, CordsStepCost *cost)
{
  const double limit = task->settings->rollout.memory_limit_bytes;
  const double share = machine->memory_bytes / (double)PetscMin(size, machine->ranks_per_node);
  double alone;

  PetscFunctionBegin;
  *cost = (CordsStepCost){.ranks = {size, grid_rows, grid_columns, machine->ranks_per_node},
                          .groups = size / (grid_rows * grid_columns)};
  MakePlan(task, limit > 0 ? PetscMin(limit, share) : share, CordsGroupImages(&cost->ranks, 0, task->batch), cost);
  PetscCall(AddRanks(task, machine, cost));
  PetscCall(CordsStepAlone(task, machine, &alone));
  cost->efficiency = alone / ((double)size * cost->time_s);
  PetscFunctionReturn(PETSC_SUCCESS);
}
