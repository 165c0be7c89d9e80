#include "train/traffic_watch.h"

#include <stdio.h>
#include <string.h>

void CordsTrafficWatchBegin(CordsTrafficWatch *watch)
{
  for (int k = 0; k < CORDS_TRAFFIC_KINDS; k++) watch->before[k] = CordsTrafficSoFar((CordsTrafficKind)k);
}

static void Add(CordsTraffic *sum, CordsTraffic term)
{
  sum->messages += term.messages;
  sum->bytes += term.bytes;
}

PetscErrorCode CordsTrafficWatchEnd(CordsTrafficWatch *watch, CordsContext context, CordsStage stage, PetscInt index,
                                    PetscInt total, const CordsUpdateEnd *end)
{
  const CordsRanks ranks = {context->size, context->grid_rows, context->grid_columns, 0};
  const CordsUpdateTask task = {.architecture = &CordsStageModel(stage)->architecture,
                                .settings = CordsStageGetSettings(stage),
                                .plan = CordsStagePlan(stage),
                                .images = CordsGroupImages(&ranks, context->rank, total)};
  CordsForecast forecast[CORDS_TRAFFIC_KINDS];
  CordsCalls calls = {0};

  PetscFunctionBegin;
  watch->has_solvers = (PetscBool)(task.settings->gradient == CORDS_GRADIENT_EQUILIBRIUM && CordsContextIsCut(context));
  watch->updates++;
  if (context->size == 1) PetscFunctionReturn(PETSC_SUCCESS);
  PetscCall(CordsStageCalls(index, &task, &calls));
  PetscCall(CordsTrafficForecast(&calls, CordsStageModel(stage), &ranks, context->rank, end, forecast));
  PetscCall(PetscFree(calls.list));
  for (int k = 0; k < CORDS_TRAFFIC_KINDS; k++) {
    const CordsTraffic now = CordsTrafficSoFar((CordsTrafficKind)k), *before = &watch->before[k];
    Add(&watch->counted[k], (CordsTraffic){now.messages - before->messages, now.bytes - before->bytes});
    Add(&watch->predicted[k], forecast[k].all);
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

static const double mega = 1e6;

/* Of all kinds together, and then of each: "12.5 messages, 0.375 MB (halo 2.0, 0.250 MB; ...)". */
static void KindsText(const CordsTraffic counted[], double updates, size_t length, char *text)
{
  CordsTraffic all = {0, 0};
  size_t used;

  for (int k = 0; k < CORDS_TRAFFIC_KINDS; k++) Add(&all, counted[k]);
  used = (size_t)snprintf(text, length, "%.1f messages, %.6f MB (", (double)all.messages / updates,
                          (double)all.bytes / updates / mega);
  for (int k = 0; k < CORDS_TRAFFIC_KINDS && used < length; k++)
    used += (size_t)snprintf(text + used, length - used, "%s%s %.1f, %.6f MB", k ? "; " : "", CordsTrafficNames[k],
                             (double)counted[k].messages / updates, (double)counted[k].bytes / updates / mega);
  if (used < length) snprintf(text + used, length - used, ")");
}

/* Everything about all ranks, on the first one. */
static PetscErrorCode Gather(const CordsTrafficWatch *watch, CordsContext context, CordsTrafficWatch **all)
{
  PetscFunctionBegin;
  PetscCall(PetscMalloc1(context->size, all));
  PetscCallMPI(MPI_Gather(watch, sizeof *watch, MPI_BYTE, *all, sizeof *watch, MPI_BYTE, 0, context->comm));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscInt64 Bytes(const CordsTrafficWatch *watch)
{
  PetscInt64 bytes = 0;

  for (int k = 0; k < CORDS_TRAFFIC_KINDS; k++) bytes += watch->counted[k].bytes;
  return bytes;
}

/* "predicted: the same", or the first rank of which that is not true, or why nothing is. */
static void VerdictText(CordsContext context, const CordsTrafficWatch *all, size_t length, char *text)
{
  char kinds[256];

  snprintf(text, length, "predicted: the same");
  if (all[0].has_solvers) {
    snprintf(text, length, "not predicted: the solvers of -gradient equilibrium exchange as often as they need");
    return;
  }
  for (PetscMPIInt rank = 0; rank < context->size; rank++) {
    if (!memcmp(all[rank].counted, all[rank].predicted, sizeof all[rank].counted)) continue;
    KindsText(all[rank].predicted, (double)all[rank].updates, sizeof kinds, kinds);
    snprintf(text, length, "predicted for rank %d, which sent something else: %s", (int)rank, kinds);
    return;
  }
}

PetscErrorCode CordsTrafficWatchDescribe(const CordsTrafficWatch *watch, CordsContext context, size_t length,
                                         char *text)
{
  const double updates = (double)watch->updates;
  CordsTraffic sum = {0, 0};
  CordsTrafficWatch *all;
  PetscMPIInt most = 0;
  char kinds[256], verdict[384];

  PetscFunctionBegin;
  text[0] = '\0';
  if (context->size == 1 || watch->updates == 0) PetscFunctionReturn(PETSC_SUCCESS);
  PetscCall(Gather(watch, context, &all));
  for (PetscMPIInt rank = 0; rank < context->size && context->rank == 0; rank++) {
    for (int k = 0; k < CORDS_TRAFFIC_KINDS; k++) Add(&sum, all[rank].counted[k]);
    if (Bytes(&all[rank]) > Bytes(&all[most])) most = rank;
  }
  if (context->rank == 0) {
    KindsText(all[most].counted, updates, sizeof kinds, kinds);
    VerdictText(context, all, sizeof verdict, verdict);
    snprintf(text, length, "rank %d sends most, %s; all ranks %.1f messages, %.6f MB; %s", (int)most, kinds,
             (double)sum.messages / updates, (double)sum.bytes / updates / mega, verdict);
  }
  PetscCall(PetscFree(all));
  PetscFunctionReturn(PETSC_SUCCESS);
}
