#include "train/plan.h"

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
enum { RECORDED_WORK = 3 };

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
                             "most memory of each rank, such as 2GB; less of it means more recomputation",
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

/* Bytes of one image's activity in the largest area. */
static double LargestBytes(CordsSystem system)
{
  return (double)CordsSystemLargestArea(system) * (double)CordsTypeSize(CordsSystemType(system));
}

/* The most equal parts of `total` of which none is above `most`. */
static PetscInt EvenPart(PetscInt total, double most)
{
  PetscInt limit = (PetscInt)PetscMax(1, PetscMin((double)total, most));
  PetscInt parts = (total + limit - 1) / limit;

  return parts > 0 ? (total + parts - 1) / parts : 1;
}

CordsPlan CordsPlanFast(CordsSystem system, const CordsPlanTask *task)
{
  double image = LargestBytes(system);
  CordsPlan plan;

  plan.images = EvenPart(task->batch, (task->record ? recorded_step_bytes : step_bytes) / image);
  plan.block = EvenPart(PetscMax(task->steps, 1), block_bytes / (image * plan.images));
  plan.kept = task->record ? task->steps : 0;
  return plan;
}

static double Bytes(CordsSystem system, const CordsPlanTask *task, const CordsPlan *plan)
{
  return CordsFusedArraysBytes(system, plan, PetscMax(task->steps, task->spontaneous), task->record);
}

/* Time with recomputation over time without, in forward steps of one image. */
static double Recomputation(const CordsPlanTask *task, const CordsPlan *plan)
{
  double batch = task->batch, again = batch * (task->steps - plan->kept);
  double work = task->spontaneous + batch * task->steps * (task->record ? RECORDED_WORK : 1);

  return task->record && work > 0 ? 1 + again / work : 1;
}

/* The most kept steps that fit, or −1 if none do. */
static PetscInt MostKept(CordsSystem system, const CordsPlanTask *task, CordsPlan plan, double room)
{
  PetscInt low = -1, high = plan.kept;

  while (low < high) {
    plan.kept = low + (high - low + 1) / 2;
    if (Bytes(system, task, &plan) <= room)
      low = plan.kept;
    else
      high = plan.kept - 1;
  }
  return low;
}

/* The fastest plan that fits into `room`; smaller parts of a batch before smaller blocks, and fewer kept steps only
   where neither helps.  *smallest: bytes of the most modest plan. */
static PetscBool Fit(CordsSystem system, const CordsPlanTask *task, double room, CordsPlan *best, double *smallest)
{
  CordsPlan fast = CordsPlanFast(system, task);
  PetscBool found = PETSC_FALSE;

  *smallest = INFINITY;
  for (PetscInt images = fast.images;; images = (images + 1) / 2) {
    for (PetscInt block = fast.block; block > 0; block--) {
      CordsPlan plan = {.images = images, .block = block, .kept = fast.kept}, none = {images, block, 0};
      *smallest = PetscMin(*smallest, Bytes(system, task, &none));
      plan.kept = MostKept(system, task, plan, room);
      if (plan.kept >= 0 && (!found || Recomputation(task, &plan) < Recomputation(task, best))) {
        *best = plan;
        found = PETSC_TRUE;
      }
    }
    if (images == 1) break;
  }
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
  double other, smallest;
  PetscBool found;

  PetscFunctionBegin;
  other = OtherBytes(extra_bytes);
  cost->plan = CordsPlanFast(system, task);
  if (limit_bytes > 0) {
    found = Fit(system, task, limit_bytes - other, &cost->plan, &smallest);
    PetscCall(CheckLimit(found, limit_bytes, other, smallest));
  }
  cost->rollout_bytes = Bytes(system, task, &cost->plan);
  cost->other_bytes = other;
  cost->limit_bytes = limit_bytes;
  cost->recomputation = Recomputation(task, &cost->plan);
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* " of N MB allowed", or nothing. */
static void LimitText(double limit_bytes, size_t length, char *text)
{
  text[0] = '\0';
  if (limit_bytes > 0) snprintf(text, length, " of %.0f MB allowed", limit_bytes / 1e6);
}

PetscErrorCode CordsPlanDescribe(const CordsPlanTask *task, const CordsPlanCost *cost, char **text)
{
  const CordsPlan *plan = &cost->plan;
  char limit[48];
  enum { LENGTH = 256 };

  PetscFunctionBegin;
  LimitText(cost->limit_bytes, sizeof limit, limit);
  PetscCall(PetscMalloc1(LENGTH, text));
  snprintf(*text, LENGTH,
           "memory: %" PetscInt_FMT " of %" PetscInt_FMT " images at a time, blocks of %" PetscInt_FMT
           " steps, states of %" PetscInt_FMT " of %" PetscInt_FMT " steps kept: %.0f MB%s (%.0f MB for states), "
           "%.2f times the time without recomputation",
           plan->images, task->batch, plan->block, plan->kept, task->steps,
           (cost->rollout_bytes + cost->other_bytes) / 1e6, limit, cost->rollout_bytes / 1e6, cost->recomputation);
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsPlanParts(PetscInt batch, double one_bytes, double more_bytes, double enough_bytes,
                              double limit_bytes, double extra_bytes, CordsPartsCost *cost)
{
  double room = enough_bytes;

  PetscFunctionBegin;
  *cost = (CordsPartsCost){.batch = batch, .other_bytes = OtherBytes(extra_bytes), .limit_bytes = limit_bytes};
  if (limit_bytes > 0) {
    room = PetscMin(room, limit_bytes - cost->other_bytes);
    PetscCall(CheckLimit((PetscBool)(one_bytes <= limit_bytes - cost->other_bytes), limit_bytes, cost->other_bytes,
                         one_bytes));
  }
  cost->images = EvenPart(batch, 1 + floor(PetscMax(room - one_bytes, 0) / more_bytes));
  cost->part_bytes = one_bytes + (cost->images - 1) * more_bytes;
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsPlanDescribeParts(const CordsPartsCost *cost, char **text)
{
  char limit[48];
  enum { LENGTH = 256 };

  PetscFunctionBegin;
  LimitText(cost->limit_bytes, sizeof limit, limit);
  PetscCall(PetscMalloc1(LENGTH, text));
  snprintf(*text, LENGTH,
           "memory: %" PetscInt_FMT " of %" PetscInt_FMT
           " images at a time, whatever the number of steps: %.0f MB%s (%.0f MB for states and solvers)",
           cost->images, cost->batch, (cost->part_bytes + cost->other_bytes) / 1e6, limit, cost->part_bytes / 1e6);
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

double CordsPlanLearningBytes(CordsSystem system, PetscInt batch, PetscInt most)
{
  CordsModel model = CordsSystemModel(system);
  const CordsArchitecture *a = &model->architecture;
  double image = (double)a->image_rows * a->image_columns * a->image_channels;

  return CordsWeightsLaterBytes(CordsSystemWeights(system), most) +
         sizeof(float) * (3.0 * model->learnable_values + batch * image) + library_bytes;
}
