/* What an update of training would cost on a number of ranks, for every way to share images among them. */
#include "cli/command.h"
#include "core/config.h"
#include "core/log.h"
#include "core/registry.h"
#include "train/rollout.h"
#include "train/step_cost.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RANKS_MAX = 4096, GRIDS_MAX = 4096 };

static char stage_name[32] = "finetune", machine_path[PETSC_MAX_PATH_LEN], bench_path[PETSC_MAX_PATH_LEN], grid[32];
static PetscInt stage, ranks = 1, batch, shown = 20, classes = 1000, image_channels = 3; /* ImageNet's */
static CordsArchitecture architecture;
static CordsStageSettings settings;
static CordsMachine machine;

/* R8 unless another network is described. */
static PetscErrorCode ReadArchitecture(void)
{
  PetscBool preset, channels;

  PetscFunctionBegin;
  PetscCall(CordsOptionInt("-image_channels", "channels of the images", "", 1, 4096, &image_channels));
  PetscCall(CordsOptionInt("-classes", "classes of the images", "", 2, 1000000, &classes));
  PetscCall(PetscOptionsHasName(NULL, NULL, "-architecture_preset", &preset));
  PetscCall(PetscOptionsHasName(NULL, NULL, "-architecture_channels", &channels));
  if (!preset && !channels) PetscCall(PetscOptionsSetValue(NULL, "-architecture_preset", "R8"));
  PetscCall(CordsArchitectureFromOptions(image_channels, classes, &architecture));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* As CordsRolloutSettingsFromOptions, but for a machine that may multiply what this one cannot. */
static PetscErrorCode ReadRollout(CordsRolloutSettings *rollout)
{
  static const char *const precisions[] = {"f32", "bf16"};
  const char *const *names;
  PetscInt count, index, precision = 0;

  PetscFunctionBegin;
  PetscCall(CordsOptionChoice("-precision", "numbers that convolutions multiply", PETSC_STATIC_ARRAY_LENGTH(precisions),
                              precisions, &precision));
  rollout->type = precision == 1 ? CORDS_BF16 : CORDS_F32;
  PetscCall(CordsRolloutList(&count, &names, NULL));
  PetscCall(CordsOptionString("-rollout", "how steps in time are run: fused or reference; empty: the faster that can",
                              sizeof rollout->name, rollout->name));
  if (rollout->name[0]) PetscCall(CordsRegistryFind("rollout", count, names, rollout->name, &index));
  PetscCall(CordsOptionBytes("-memory_limit", "most memory of each rank; none: the node's over its ranks",
                             &rollout->memory_limit_bytes));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode ReadStage(void)
{
  const char *const *names;
  PetscInt count;

  PetscFunctionBegin;
  PetscCall(CordsStageList(&count, &names, NULL));
  PetscCall(CordsOptionString("-stage", "stage of training whose update is planned", sizeof stage_name, stage_name));
  PetscCall(CordsRegistryFind("training stage", count, names, stage_name, &stage));
  PetscCall(CordsStageSettingsFromOptions(stage, &settings));
  PetscCall(ReadRollout(&settings.rollout));
  batch = settings.batch;
  PetscCall(CordsOptionInt("-batch", "images of an update on all ranks together; standard: the stage's", "images", 1,
                           1000000, &batch));
  CordsCheckUser(settings.gradient == CORDS_GRADIENT_TIME, PETSC_COMM_WORLD,
                 "-gradient equilibrium: how often its solvers multiply depends on the images; cords plan counts "
                 "-gradient time only");
  CordsCheckUser(settings.loss_steps <= architecture.stimulus_steps, PETSC_COMM_WORLD,
                 "-%s_loss_steps is %" PetscInt_FMT ", but the stimulus lasts only %" PetscInt_FMT
                 " steps (-architecture_stimulus_steps)",
                 stage_name, settings.loss_steps, architecture.stimulus_steps);
  CordsCheckUser(settings.rollout.type != CORDS_BF16 || strcmp(settings.rollout.name, "reference") != 0,
                 PETSC_COMM_WORLD, "-rollout reference: cannot run in -precision bf16; leave one of them out");
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode Configure(CordsContext context, const char *argument)
{
  PetscFunctionBegin;
  CordsCheckUser(!argument[0], PETSC_COMM_WORLD, "plan takes no name ('%s'); options start with '-'", argument);
  PetscCall(ReadArchitecture());
  PetscCall(ReadStage());
  PetscCall(CordsOptionInt("-ranks", "ranks of the run that is planned", "ranks", 1, RANKS_MAX, &ranks));
  PetscCall(CordsOptionString("-grid",
                              "only this grid of ranks that share an image, ROWSxCOLUMNS; standard: all there are",
                              sizeof grid, grid));
  PetscCall(CordsOptionString("-machine", "YAML file that describes the machine", sizeof machine_path, machine_path));
  PetscCall(CordsOptionRequire("-machine", machine_path, "a YAML file that describes the machine"));
  PetscCall(CordsOptionString("-bench",
                              "file of cords bench gradient -output: rates of a rank instead of the machine's",
                              sizeof bench_path, bench_path));
  PetscCall(CordsOptionInt("-show", "lines of the table, the fastest first", "lines", 1, GRIDS_MAX, &shown));
  if (CordsConfigHelp()) PetscFunctionReturn(PETSC_SUCCESS);
  PetscCall(CordsMachineRead(machine_path, &machine));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode CheckRate(CordsType type)
{
  PetscFunctionBegin;
  CordsCheckUser(machine.rates[type] > 0, PETSC_COMM_WORLD,
                 "-machine %s: 'rate: %s_gflop_s' is missing, and -bench gives none for %s", machine_path,
                 CordsTypeNames[type], CordsTypeNames[type]);
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* Whether a grid is wanted. */
static PetscErrorCode ReadGrid(int *rows, int *columns)
{
  char rest;

  PetscFunctionBegin;
  *rows = *columns = 0;
  if (!grid[0]) PetscFunctionReturn(PETSC_SUCCESS);
  CordsCheckUser(sscanf(grid, "%dx%d%c", rows, columns, &rest) == 2 && *rows > 0 && *columns > 0 &&
                     *rows <= RANKS_MAX && *columns <= RANKS_MAX,
                 PETSC_COMM_WORLD, "-grid %s: it is ROWSxCOLUMNS, as 2x3", grid);
  CordsCheckUser(ranks % (*rows * *columns) == 0, PETSC_COMM_WORLD,
                 "-grid %s: %" PetscInt_FMT " ranks cannot be split into groups of %d", grid, ranks, *rows * *columns);
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* Those that fit before those that do not, then by time; of equal ones that with fewer columns, whose halos lie
   together in memory. */
static int Faster(const void *a, const void *b)
{
  const CordsStepCost *x = a, *y = b;

  if (x->fits != y->fits) return x->fits ? -1 : 1;
  if (x->time_s != y->time_s) return x->time_s < y->time_s ? -1 : 1;
  return (int)(x->ranks.grid_columns - y->ranks.grid_columns);
}

/* A group needs an image and each of its ranks a pixel of the image, or ranks would have nothing to do. */
static PetscBool Sensible(PetscInt rows, PetscInt columns)
{
  return (PetscBool)(ranks % (rows * columns) == 0 && ranks / (rows * columns) <= batch &&
                     rows <= architecture.image_rows && columns <= architecture.image_columns);
}

static PetscErrorCode Costs(const CordsStepTask *task, PetscInt *count, CordsStepCost *costs)
{
  int wanted_rows, wanted_columns;

  PetscFunctionBegin;
  *count = 0;
  PetscCall(ReadGrid(&wanted_rows, &wanted_columns));
  for (PetscInt rows = 1; rows <= ranks; rows++) {
    for (PetscInt columns = 1; rows * columns <= ranks; columns++) {
      if (grid[0] && (rows != wanted_rows || columns != wanted_columns)) continue;
      if (!Sensible(rows, columns) || *count == GRIDS_MAX) continue;
      PetscCall(CordsStepCostOf(task, &machine, ranks, rows, columns, &costs[(*count)++]));
    }
  }
  CordsCheckUser(*count > 0, PETSC_COMM_WORLD,
                 "-ranks %" PetscInt_FMT "%s%s: no way to share %" PetscInt_FMT " images of %" PetscInt_FMT
                 " x %" PetscInt_FMT " pixels among so many ranks; use fewer, or a larger -batch",
                 ranks, grid[0] ? " -grid " : "", grid, batch, architecture.image_rows, architecture.image_columns);
  qsort(costs, (size_t)*count, sizeof *costs, Faster);
  PetscFunctionReturn(PETSC_SUCCESS);
}

static const double mega = 1e6, giga = 1e9;

static PetscErrorCode PrintHeading(CordsContext context)
{
  const CordsPlanTask run = CordsStageRun(stage, &architecture, &settings, batch);

  PetscFunctionBegin;
  PetscCall(CordsLog(context,
                     "%s, %" PetscInt_FMT " x %" PetscInt_FMT " pixels, stage %s, %" PetscInt_FMT " images, %s",
                     architecture.preset, architecture.image_rows, architecture.image_columns, stage_name, batch,
                     CordsTypeNames[settings.rollout.type]));
  if (run.steps > 0)
    PetscCall(CordsLog(context, ", %" PetscInt_FMT " + %" PetscInt_FMT " steps", run.spontaneous, run.steps));
  PetscCall(CordsLog(context, "; ranks: %" PetscInt_FMT ", %" PetscInt_FMT " on a node; machine: %s (%s)\n", ranks,
                     PetscMin(ranks, machine.ranks_per_node), machine.name, machine_path));
  PetscCall(CordsLog(context, "%6s %7s %9s %10s %10s %11s %9s %10s %10s %9s %10s\n", "groups", "grid", "GFLOP",
                     "messages", "MB sent", "MB, all", "memory MB", "compute s", "messages s", "images/s",
                     "efficiency"));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode PrintCost(CordsContext context, const CordsStepCost *c)
{
  char cut[24];

  PetscFunctionBegin;
  snprintf(cut, sizeof cut, "%" PetscInt_FMT "x%" PetscInt_FMT, c->ranks.grid_rows, c->ranks.grid_columns);
  PetscCall(CordsLog(context,
                     "%6" PetscInt_FMT " %7s %9.1f %10" PetscInt64_FMT " %10.3f %11.3f %9.0f %10.4f %10.4f "
                     "%9.2f %10.2f%s\n",
                     c->groups, cut, c->operations / giga, c->most.messages, (double)c->most.bytes / mega,
                     (double)c->all.bytes / mega, c->memory_bytes / mega, c->compute_s, c->message_s, batch / c->time_s,
                     c->efficiency, c->fits ? "" : "  does not fit"));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode PrintBest(CordsContext context, const CordsStepCost *best, PetscInt left_out)
{
  const CordsRanks *r = &best->ranks;

  PetscFunctionBegin;
  if (left_out > 0) PetscCall(CordsLog(context, "%" PetscInt_FMT " slower ways are left out (-show)\n", left_out));
  if (!best->fits) {
    PetscCall(CordsLog(context, "best: none, nothing fits into the memory of the nodes; use fewer ranks on a node\n"));
    PetscFunctionReturn(PETSC_SUCCESS);
  }
  PetscCall(CordsLog(context,
                     "best: groups %" PetscInt_FMT ", grid %" PetscInt_FMT "x%" PetscInt_FMT
                     " (-domain_grid %" PetscInt_FMT "x%" PetscInt_FMT "): %.4g s for an update, %.4g images/s\n",
                     best->groups, r->grid_rows, r->grid_columns, r->grid_rows, r->grid_columns, best->time_s,
                     batch / best->time_s));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode Run(CordsContext context, int *exit_status)
{
  CordsStepTask task = {.stage = stage, .settings = &settings, .batch = batch};
  CordsStepCost *costs;
  PetscInt count;

  PetscFunctionBegin;
  if (bench_path[0]) PetscCall(CordsMachineReadBench(context, bench_path, &machine));
  PetscCall(CheckRate(CORDS_F32));
  PetscCall(CheckRate(settings.rollout.type));
  task.process_bytes = CordsResidentBytes();
  PetscCall(CordsModelCreate(&architecture, CordsStageForm(stage), &task.model));
  PetscCall(PetscMalloc1(GRIDS_MAX, &costs));
  PetscCall(Costs(&task, &count, costs));
  PetscCall(PrintHeading(context));
  for (PetscInt k = 0; k < PetscMin(count, shown); k++) PetscCall(PrintCost(context, &costs[k]));
  PetscCall(PrintBest(context, &costs[0], PetscMax(count - shown, 0)));
  PetscCall(PetscFree(costs));
  PetscCall(CordsModelDestroy(&task.model));
  PetscFunctionReturn(PETSC_SUCCESS);
}

const CordsCommandType cords_command_plan = {
    .name = "plan",
    .about = "what an update of training costs on ranks of a machine described in YAML: messages, memory, time",
    .usage = "-machine FILE.yaml -ranks P [-batch N] [-stage finetune] [-architecture_preset R8] [-bench bench.h5]",
    .configure = Configure,
    .run = Run};
