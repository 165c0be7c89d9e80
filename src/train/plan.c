#include "train/plan.h"

#include "conv/choice.h"
#include "conv/precision.h"
#include "core/config.h"
#include "core/registry.h"
#include "train/rollout.h"
#include "train/fused_arrays.h"

#include <malloc.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* One step of the largest area for all images at a time, and one block of it: what keeps an area's two states near the
   cores, and a block's states in the cache that cores share.  A run that keeps no states has room for more images,
   which gives the weights of small areas more to be multiplied with. */
static const double recorded_step_bytes = 1.0e6, step_bytes = 2.0e6, block_bytes = 16.0e6;

/* What kernels and libraries take for themselves while they work. */
static const double library_bytes = 18e6;

/* Work of a recorded step there and back over that of one forward: data and weight gradients cost one forward each. */
enum { RECORDED_WORK = CORDS_CONV_OPERATION_COUNT };

PetscErrorCode CordsRolloutSettingsFromOptions(CordsRolloutSettings *settings)
{
  const char *const *names;
  PetscInt count, index = -1;

  PetscFunctionBegin;
  memset(settings, 0, sizeof *settings);
  PetscCall(CordsPrecisionFromOptions(&settings->type));
  PetscCall(CordsRolloutList(&count, &names, NULL));
  PetscCall(CordsOptionString("-rollout",
                              "how steps in time are run: fused or reference; empty: the faster one that can",
                              sizeof settings->name, settings->name));
  if (settings->name[0]) PetscCall(CordsRegistryFind("rollout", count, names, settings->name, &index));
  PetscCall(CordsOptionBytes("-memory_limit",
                             "most memory of each rank, such as 2GB; less of it means more recomputation and kernels "
                             "that need less",
                             &settings->memory_limit_bytes));
  PetscFunctionReturn(PETSC_SUCCESS);
}

double CordsResidentBytes(void)
{
  long pages = 0, resident = 0;
  FILE *file = fopen("/proc/self/statm", "r");

  if (!file) return 0;
  if (fscanf(file, "%ld %ld", &pages, &resident) != 2) resident = 0;
  fclose(file);
  return (double)resident * (double)sysconf(_SC_PAGESIZE);
}

double CordsResidentPeakBytes(void)
{
  struct rusage usage;

  return getrusage(RUSAGE_SELF, &usage) == 0 ? 1024.0 * (double)usage.ru_maxrss : 0;
}

/* The most equal parts of `total` of which none is above `most`. */
static PetscInt EvenPart(PetscInt total, double most)
{
  PetscInt limit = (PetscInt)PetscMax(1, PetscMin((double)total, most));
  PetscInt parts = (total + limit - 1) / limit;

  return parts > 0 ? (total + parts - 1) / parts : 1;
}

/* Full speed: nothing is computed twice, blocks that stay in the cache. */
static CordsPlan Fast(const CordsStateSizes *sizes, const CordsPlanTask *task)
{
  double image = (double)sizes->largest * (double)CordsTypeSize(sizes->type); /* in the largest area */
  CordsPlan plan;

  plan.images = EvenPart(task->batch, (task->record ? recorded_step_bytes : step_bytes) / image);
  plan.block = EvenPart(PetscMax(task->steps, 1), block_bytes / (image * plan.images));
  plan.kept = task->record ? task->steps : 0;
  return plan;
}

CordsPlan CordsPlanFast(CordsSystem system, const CordsPlanTask *task)
{
  const CordsStateSizes sizes = CordsStateSizesOfSystem(system);

  return Fast(&sizes, task);
}

static double Bytes(const CordsStateSizes *sizes, const CordsPlanTask *task, const CordsPlan *plan)
{
  return CordsFusedArraysBytes(sizes, plan, PetscMax(task->steps, task->spontaneous), task->record);
}

/* Time with recomputation over time without, in forward steps of one image. */
static double Recomputation(const CordsPlanTask *task, const CordsPlan *plan)
{
  double batch = task->batch, again = batch * (task->steps - plan->kept);
  double work = task->spontaneous + batch * task->steps * (task->record ? RECORDED_WORK : 1);

  return task->record && work > 0 ? 1 + again / work : 1;
}

/* Operations, and those that the fastest kernels would do in the same time: the kernels at hand are taken to need the
   same time for each operation, which those that take little memory nearly do. */
typedef struct {
  double chosen, fastest;
} Work;

/* One operation of a convolution for so many items in all, few or many at a time. */
static void AddWork(const CordsArchitecture *a, PetscInt connection, CordsType type, CordsConvOperation operation,
                    CordsConvImages images, double items, Work *work)
{
  const CordsConvShape *shape;

  if (connection < 0) return;
  shape = &a->connections[connection].shape;
  work->chosen += items * CordsConvFlops(shape);
  work->fastest += items * CordsConvFlops(shape) / CordsConvChoiceSlowdown(shape, type, operation, images);
}

/* Steps of so many items in all (images × steps): the recurrent convolution of one step at a time, for few images or
   many, everything else of a block of steps.  What is computed once for all steps does not count. */
static void AddSteps(CordsSystem system, CordsConvImages images, double items, PetscBool record, Work *work)
{
  const CordsArchitecture *a = &CordsSystemModel(system)->architecture;
  CordsType type = CordsSystemType(system);

  for (int k = 0; k < (record ? RECORDED_WORK : 1); k++) {
    CordsConvOperation operation = (CordsConvOperation)k;
    CordsConvImages together = operation == CORDS_CONV_BACKWARD_WEIGHTS ? CORDS_CONV_MANY_IMAGES : images;
    for (PetscInt i = 0; i < a->area_count; i++) {
      AddWork(a, a->recurrent[i], type, operation, together, items, work);
      if (i == 0) continue; /* the drive of the first area is the same at all steps */
      AddWork(a, a->feedforward[i], type, operation, CORDS_CONV_MANY_IMAGES, items, work);
      AddWork(a, a->skip[i], type, operation, CORDS_CONV_MANY_IMAGES, items, work);
    }
  }
}

/* Time with the kernels at hand over time with the fastest. */
static double Kernels(CordsSystem system, const CordsPlanTask *task, PetscInt images)
{
  Work work = {0, 0};

  AddSteps(system, CORDS_CONV_FEW_IMAGES, task->spontaneous, PETSC_FALSE, &work);
  AddSteps(system, CordsConvImagesOf(images), (double)task->batch * task->steps, task->record, &work);
  return work.fastest > 0 ? work.chosen / work.fastest : 1;
}

/* The most kept steps that fit, or −1 if none do. */
static PetscInt MostKept(const CordsStateSizes *sizes, const CordsPlanTask *task, CordsPlan plan, double room)
{
  PetscInt low = -1, high = plan.kept;

  while (low < high) {
    plan.kept = low + (high - low + 1) / 2;
    if (Bytes(sizes, task, &plan) <= room)
      low = plan.kept;
    else
      high = plan.kept - 1;
  }
  return low;
}

/* The fastest plan that fits into `room`; smaller parts of a batch before smaller blocks, and fewer kept steps only
   where neither helps.  *smallest: bytes of the most modest plan. */
static PetscBool Fit(const CordsStateSizes *sizes, const CordsPlanTask *task, double room, CordsPlan *best,
                     double *smallest)
{
  CordsPlan fast = Fast(sizes, task);
  PetscBool found = PETSC_FALSE;

  *smallest = INFINITY;
  for (PetscInt images = fast.images;; images = (images + 1) / 2) {
    for (PetscInt block = fast.block; block > 0; block--) {
      CordsPlan plan = {.images = images, .block = block, .kept = fast.kept}, none = {images, block, 0};
      *smallest = PetscMin(*smallest, Bytes(sizes, task, &none));
      plan.kept = MostKept(sizes, task, plan, room);
      if (plan.kept >= 0 && (!found || Recomputation(task, &plan) < Recomputation(task, best))) {
        *best = plan;
        found = PETSC_TRUE;
      }
    }
    if (images == 1) break;
  }
  return found;
}

PetscBool CordsPlanStates(const CordsStateSizes *sizes, const CordsPlanTask *task, double room, CordsPlan *plan,
                          double *states_bytes, double *smallest)
{
  PetscBool found = PETSC_TRUE;

  *plan = Fast(sizes, task);
  *smallest = 0;
  if (room < INFINITY) found = Fit(sizes, task, room, plan, smallest);
  *states_bytes = Bytes(sizes, task, plan);
  return found;
}

/* What this process has now, and will have beside the states. */
static double OtherBytes(double extra_bytes)
{
  malloc_trim(0); /* what was freed does not count */
  return CordsResidentBytes() + extra_bytes;
}

/* smallest: bytes of the most modest plan. */
static PetscErrorCode CheckLimit(PetscBool fits, double limit, double other, double smallest)
{
  PetscFunctionBegin;
  CordsCheckUser(fits, PETSC_COMM_WORLD,
                 "-memory_limit %.0fMB: too small for this network and batch; it needs at least %.0fMB (%.0fMB for "
                 "program, images and parameters)",
                 floor(limit / 1e6), ceil((other + smallest) / 1e6), ceil(other / 1e6));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsPlanMake(CordsSystem system, const CordsPlanTask *task, double limit_bytes, double extra_bytes,
                             CordsPlanCost *cost)
{
  const CordsStateSizes sizes = CordsStateSizesOfSystem(system);
  double other = OtherBytes(extra_bytes), states, smallest;
  CordsPlan plan;
  PetscBool found =
      CordsPlanStates(&sizes, task, limit_bytes > 0 ? limit_bytes - other : INFINITY, &plan, &states, &smallest);

  PetscFunctionBegin;
  PetscCall(CheckLimit(found, limit_bytes, other, smallest));
  *cost = (CordsPlanCost){.plan = plan,
                          .batch = task->batch,
                          .steps = task->steps,
                          .states_bytes = states,
                          .other_bytes = other,
                          .limit_bytes = limit_bytes,
                          .recomputation = Recomputation(task, &plan),
                          .kernels = Kernels(system, task, plan.images)};
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsPlanParts(CordsSystem system, PetscInt batch, double one_bytes, double more_bytes,
                              double enough_bytes, double limit_bytes, double extra_bytes, CordsPlanCost *cost)
{
  /* how many products an equilibrium takes is not known: every convolution counts once in each direction */
  const CordsPlanTask task = {.batch = batch, .steps = 1, .record = PETSC_TRUE};
  double other = OtherBytes(extra_bytes), room = enough_bytes;
  PetscInt images;

  PetscFunctionBegin;
  if (limit_bytes > 0) {
    room = PetscMin(room, limit_bytes - other);
    PetscCall(CheckLimit((PetscBool)(one_bytes <= limit_bytes - other), limit_bytes, other, one_bytes));
  }
  images = EvenPart(batch, 1 + floor(PetscMax(room - one_bytes, 0) / more_bytes));
  *cost = (CordsPlanCost){.plan = {.images = images},
                          .batch = batch,
                          .states_bytes = one_bytes + (images - 1) * more_bytes,
                          .other_bytes = other,
                          .limit_bytes = limit_bytes,
                          .recomputation = 1,
                          .kernels = Kernels(system, &task, images)};
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* How much slower and why, or nothing. */
static void SlownessText(const CordsPlanCost *cost, size_t length, char *text)
{
  const double clear = 1.005; /* as printed */
  const PetscBool again = (PetscBool)(cost->recomputation >= clear), lean = (PetscBool)(cost->kernels >= clear);
  char reasons[2][96] = {"", ""};

  text[0] = '\0';
  if (again) snprintf(reasons[0], sizeof reasons[0], "%.2f for states computed again", cost->recomputation);
  if (lean) snprintf(reasons[1], sizeof reasons[1], "%.2f for kernels that take little of it", cost->kernels);
  if (again || lean) {
    snprintf(text, length, ", slower by %.2f for lack of memory (%s%s%s)", cost->recomputation * cost->kernels,
             reasons[0], again && lean ? ", " : "", reasons[1]);
  }
}

PetscErrorCode CordsPlanDescribe(const CordsPlanCost *cost, char **text)
{
  const CordsPlan *plan = &cost->plan;
  char how[128] = "whatever the number of steps", limit[48] = "", slowness[256];
  enum { LENGTH = 640 };

  PetscFunctionBegin;
  if (plan->block > 0) {
    snprintf(how, sizeof how,
             "blocks of %" PetscInt_FMT " steps, states of %" PetscInt_FMT " of %" PetscInt_FMT " steps kept",
             plan->block, plan->kept, cost->steps);
  }
  if (cost->limit_bytes > 0) snprintf(limit, sizeof limit, " of %.0f MB allowed", cost->limit_bytes / 1e6);
  SlownessText(cost, sizeof slowness, slowness);
  PetscCall(PetscMalloc1(LENGTH, text));
  snprintf(*text, LENGTH,
           "memory: %" PetscInt_FMT " of %" PetscInt_FMT " images at a time, %s: %.0f MB%s (%.0f MB for states%s)%s",
           plan->images, cost->batch, how, (cost->states_bytes + cost->other_bytes) / 1e6, limit,
           cost->states_bytes / 1e6, plan->block > 0 ? "" : " and solvers", slowness);
  PetscFunctionReturn(PETSC_SUCCESS);
}

double CordsPlanInputBytes(CordsSystem system, PetscInt images)
{
  const CordsArchitecture *a = &CordsSystemModel(system)->architecture;
  double image = (double)a->image_rows * a->image_columns * a->image_channels;
  double stem = (double)a->stem_rows * a->stem_columns * a->stem_channels;
  double size = (double)CordsTypeSize(CordsTypeMaster(CordsSystemType(system)));

  return size * images * (image + 2 * stem + 6.0 * CordsSystemNeurons(system, 0));
}

double CordsPlanLearningBytes(CordsSystem system, const CordsLoading *loading, PetscInt batch, PetscInt most)
{
  CordsModel model = CordsSystemModel(system);
  const CordsArchitecture *a = &model->architecture;
  double image = (double)a->image_rows * a->image_columns * a->image_channels;

  return CordsWeightsLaterBytes(CordsSystemWeights(system), most) +
         sizeof(float) * (3.0 * model->learnable_values + batch * image) +
         CordsLoadingBytes(loading, batch + 1, image) + library_bytes; /* + 1: a neighbour for mixing */
}
