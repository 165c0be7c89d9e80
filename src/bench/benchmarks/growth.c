/* How cost grows: time and memory of a trial and of a training step when one thing at a time becomes larger: the image,
   the number of steps, the batch, the depth, the width.  Beside the operation count, so that a ratio above one says how
   much more than linear the time grows. */
#include "bench/network.h"
#include "bench/peak_memory.h"
#include "bench/table.h"
#include "core/config.h"
#include "core/log.h"
#include "model/weights.h"

#include <stdio.h>
#include <string.h>

enum { BATCH = 2, AXIS_MAX = 4, REPETITIONS_MAX = 7, REPETITIONS_OF_LONG_RUNS = 3 };
static const double LONG_RUN_S = 1;

/* What a case consists of. */
typedef struct {
  CordsArchitecture architecture;
  PetscInt batch;
} Case;

/* Something that becomes larger.  make: change the case, which is the middle one on entry; value: what the user reads.
 */
typedef struct {
  const char *name;
  int count;
  PetscErrorCode (*make)(int index, Case *c, PetscInt *value);
} Axis;

static PetscInt growth_steps = 10;

static PetscErrorCode Configure(void)
{
  PetscFunctionBegin;
  PetscCall(CordsOptionInt("-growth_steps", "most steps of each phase of the middle case", "steps", 2, 100000,
                           &growth_steps));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* Sizes of maps and connections follow from what was changed. */
static PetscErrorCode Derive(CordsArchitecture *a)
{
  char *text;

  PetscFunctionBegin;
  snprintf(a->preset, sizeof a->preset, "custom");
  PetscCall(CordsArchitectureToText(a, &text));
  PetscCall(CordsArchitectureFromText("bench growth", text, a));
  PetscCall(PetscFree(text));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode MakeSide(int index, Case *c, PetscInt *value)
{
  CordsArchitecture *a = &c->architecture;

  PetscFunctionBegin;
  a->image_rows = a->image_rows * (1 << index) / 2; /* 1/2, 1, 2 */
  a->image_columns = a->image_columns * (1 << index) / 2;
  *value = a->image_rows;
  PetscCall(Derive(a));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode MakeSteps(int index, Case *c, PetscInt *value)
{
  CordsArchitecture *a = &c->architecture;

  PetscFunctionBegin;
  a->spontaneous_steps = PetscMax(1, a->spontaneous_steps * (1 << index) / 2); /* 1/2, 1, 2, 4 */
  a->stimulus_steps = PetscMax(1, a->stimulus_steps * (1 << index) / 2);
  a->return_steps = PetscMax(1, a->return_steps * (1 << index) / 2);
  *value = a->stimulus_steps;
  PetscCall(Derive(a));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode MakeBatch(int index, Case *c, PetscInt *value)
{
  PetscFunctionBegin;
  *value = c->batch = (PetscInt)1 << index;
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* The first areas alone, as many as can be read out: the last two must have equal shapes.  Of R8: 2, 4, 6, 8. */
static PetscErrorCode MakeDepth(int index, Case *c, PetscInt *value)
{
  CordsArchitecture *a = &c->architecture;
  PetscInt depth = 1;

  PetscFunctionBegin;
  while (index >= 0 && depth < a->area_count) {
    const CordsAreaShape *last = &a->areas[depth++];
    if (last->channels == last[-1].channels && last->stride == 1) index--;
  }
  *value = a->area_count = depth;
  PetscCall(Derive(a));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode MakeWidth(int index, Case *c, PetscInt *value)
{
  CordsArchitecture *a = &c->architecture;

  PetscFunctionBegin;
  a->stem_channels = a->stem_channels * (1 << index) / 2; /* 1/2, 1, 2 */
  for (PetscInt i = 0; i < a->area_count; i++) a->areas[i].channels = a->areas[i].channels * (1 << index) / 2;
  *value = a->areas[0].channels;
  PetscCall(Derive(a));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static const Axis axes[] = {{"side", 3, MakeSide},
                            {"steps", 4, MakeSteps},
                            {"batch", 4, MakeBatch},
                            {"areas", 4, MakeDepth},
                            {"channels", 3, MakeWidth}};

typedef struct {
  const char *name;
  PetscErrorCode (*create)(CordsBenchNetwork *network);
  CordsBenchWork run;
  double (*operations)(const CordsArchitecture *architecture, PetscInt batch);
  PetscInt directions; /* of its convolutions */
} Work;

static const Work works[] = {
    {"trial", CordsBenchTrialCreate, CordsBenchTrial, CordsBenchTrialOperations, 1},
    {"training step", CordsBenchStepCreate, CordsBenchStep, CordsBenchStepOperationsOf, CORDS_CONV_OPERATION_COUNT}};

/* The cases of an axis, at most AXIS_MAX. */
static PetscErrorCode ListCases(const Case *middle, const Axis *axis, int *count, Case cases[], PetscInt values[])
{
  PetscFunctionBegin;
  for (*count = 0; *count < axis->count; (*count)++) {
    cases[*count] = *middle;
    PetscCall(axis->make(*count, &cases[*count], &values[*count]));
    if (*count && values[*count] == values[*count - 1]) break; /* a network that has no more of it */
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* Choose the kernels of all cases before the first is measured: trials need memory, and say that they were made. */
static PetscErrorCode Prepare(CordsBench bench, const Case *middle)
{
  PetscInt values[AXIS_MAX];
  Case *cases;
  int count;

  PetscFunctionBegin;
  PetscCall(PetscMalloc1(AXIS_MAX, &cases));
  for (size_t k = 0; k < PETSC_STATIC_ARRAY_LENGTH(axes); k++) {
    PetscCall(ListCases(middle, &axes[k], &count, cases, values));
    for (int c = 0; c < count; c++) PetscCall(CordsWeightsPrepare(bench->context, &cases[c].architecture, CORDS_F32));
  }
  PetscCall(PetscFree(cases));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* Long runs are repeated less, so that the whole takes minutes. */
static PetscInt Repetitions(CordsBench bench, double first_s)
{
  return PetscMin(bench->repetitions, first_s > LONG_RUN_S ? REPETITIONS_OF_LONG_RUNS : REPETITIONS_MAX);
}

/* The first run, alone, tells the memory; the next ones the time. */
static PetscErrorCode Time(CordsBench bench, const Case *c, const Work *work, CordsMeasurement *m)
{
  CordsBenchNetwork network;
  double first_s;

  PetscFunctionBegin;
  CordsBenchMemoryReset();
  PetscCall(CordsBenchNetworkCreate(bench->context, &c->architecture, CORDS_F32, c->batch, &network));
  PetscCall(work->create(&network));
  PetscCall(CordsBenchOnce(bench, 1, work->run, &network, &first_s));
  m->peak_bytes = CordsBenchMemoryPeak();
  m->planned_bytes = network.planned_bytes;
  CordsBenchNetworkBackends(&network, work->directions, sizeof m->backend, m->backend);
  PetscCall(CordsBenchTime(bench, Repetitions(bench, first_s), first_s, m, work->run, &network));
  PetscCall(CordsBenchNetworkDestroy(&network));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* Beside the first, the smallest, of its axis. */
static PetscErrorCode PrintRow(CordsBench bench, const CordsMeasurement *first, const CordsMeasurement *m)
{
  static const char heading[] = "                                  operations      time  of linear  of limit  spread"
                                "   memory      peak   planned  by";
  double operations = m->amount / first->amount, time = m->median_s / first->median_s;

  PetscFunctionBegin;
  PetscCall(CordsBenchHeading(bench, heading));
  PetscCall(CordsLog(bench->context,
                     "growth %-28s x %7.2f  x %6.2f       %4.2f      %4.2f  %4.0f %%  x %5.2f  %5.0f MB  %5.0f MB  "
                     "%s\n",
                     m->what, operations, time, time / operations, m->ratio, 100 * m->spread,
                     m->peak_bytes / first->peak_bytes, m->peak_bytes * 1e-6, m->planned_bytes * 1e-6, m->backend));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode MeasureAxis(CordsBench bench, const Case *middle, const Axis *axis, const Work *work)
{
  CordsMeasurement first = {.amount = 0};
  PetscInt values[AXIS_MAX];
  Case *cases;
  int count;

  PetscFunctionBegin;
  PetscCall(PetscMalloc1(AXIS_MAX, &cases));
  PetscCall(ListCases(middle, axis, &count, cases, values));
  for (int k = 0; k < count; k++) {
    CordsMeasurement m = {.benchmark = "growth", .limit = CORDS_LIMIT_F32, .value = (double)values[k]};
    snprintf(m.what, sizeof m.what, "%s, %s %d", work->name, axis->name, (int)values[k]);
    m.amount = work->operations(&cases[k].architecture, cases[k].batch);
    if (!bench->dry) PetscCall(Time(bench, &cases[k], work, &m));
    PetscCall(CordsBenchAdd(bench, &m));
    if (k == 0) first = m;
    if (bench->dry)
      PetscCall(CordsBenchPrint(bench, &m));
    else
      PetscCall(PrintRow(bench, &first, &m));
  }
  PetscCall(PetscFree(cases));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* What is changed, and what everything else is. */
static PetscErrorCode PrintMiddle(CordsBench bench, const Case *middle)
{
  const CordsArchitecture *a = &middle->architecture;

  PetscFunctionBegin;
  PetscCall(CordsLog(bench->context,
                     "growth: %s in f32, images of %d x %d, batch %d, %d + %d steps, in training + %d;\n"
                     "        one of these at a time is changed, and a row stands beside the first of its kind\n",
                     bench->architecture.preset, (int)a->image_rows, (int)a->image_columns, (int)middle->batch,
                     (int)a->spontaneous_steps, (int)a->stimulus_steps, (int)a->return_steps));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode Run(CordsBench bench)
{
  Case middle = {bench->architecture, BATCH};

  PetscFunctionBegin;
  CordsCheckUser(bench->context->size == 1, PETSC_COMM_WORLD,
                 "bench growth: it measures one process; run it on one rank, threads by OMP_NUM_THREADS");
  middle.architecture.spontaneous_steps = PetscMin(middle.architecture.spontaneous_steps, growth_steps);
  middle.architecture.stimulus_steps = PetscMin(middle.architecture.stimulus_steps, growth_steps);
  middle.architecture.return_steps = PetscMin(middle.architecture.return_steps, growth_steps);
  if (!bench->dry) {
    PetscCall(Prepare(bench, &middle));
    PetscCall(PrintMiddle(bench, &middle));
  }
  for (size_t w = 0; w < PETSC_STATIC_ARRAY_LENGTH(works); w++) {
    for (size_t k = 0; k < PETSC_STATIC_ARRAY_LENGTH(axes); k++) {
      PetscCall(MeasureAxis(bench, &middle, &axes[k], &works[w]));
    }
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

const CordsBenchmarkType cords_benchmark_growth = {
    .name = "growth", .about = "time and memory beside the operation count", .run = Run, .configure = Configure};
