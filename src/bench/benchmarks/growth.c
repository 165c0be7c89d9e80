/* How cost grows: time and memory of a trial and of a training step when one thing at a time becomes larger: the image,
   the number of steps, the batch, the depth, the width.  Beside the operation count, so that a ratio above one says how
   much more than linear the time grows. */
#include "bench/network.h"
#include "bench/peak_memory.h"
#include "core/config.h"
#include "core/log.h"

#include <stdio.h>
#include <string.h>

enum { BATCH = 2, REPETITIONS_MAX = 3 };

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
  PetscErrorCode (*create)(CordsBench bench, CordsBenchNetwork *network);
  CordsBenchWork run;
  double (*operations)(const CordsArchitecture *architecture, PetscInt batch);
} Work;

static PetscErrorCode CreateTrial(CordsBench bench, CordsBenchNetwork *network)
{
  return CordsBenchTrialCreate(network);
}

static PetscErrorCode CreateStep(CordsBench bench, CordsBenchNetwork *network)
{
  CordsRolloutSettings settings = {.type = CORDS_F32};

  return CordsBenchStepCreate(bench->context, &settings, network);
}

static const Work works[] = {{"trial", CreateTrial, CordsBenchTrial, CordsBenchTrialOperations},
                             {"training step", CreateStep, CordsBenchStep, CordsBenchStepOperationsOf}};

/* The first run, alone, tells the memory; the next ones the time. */
static PetscErrorCode Time(CordsBench bench, const Case *c, const Work *work, CordsMeasurement *m)
{
  PetscInt count = PetscMin(bench->repetitions, REPETITIONS_MAX);
  double seconds[REPETITIONS_MAX];
  CordsBenchNetwork network;

  PetscFunctionBegin;
  CordsBenchMemoryReset();
  PetscCall(CordsBenchNetworkCreate(bench->context, &c->architecture, CORDS_F32, c->batch, &network));
  PetscCall(work->create(bench, &network));
  PetscCall(work->run(&network));
  m->peak_bytes = CordsBenchMemoryPeak();
  m->planned_bytes = network.planned_bytes;
  for (PetscInt k = 0; k < count; k++) {
    double start = MPI_Wtime();
    PetscCall(work->run(&network));
    seconds[k] = MPI_Wtime() - start;
  }
  PetscCall(CordsBenchNetworkDestroy(&network));
  CordsBenchStatistics(count, seconds, &m->median_s, &m->spread);
  m->best_s = seconds[0];
  m->ratio = m->amount / m->median_s / bench->limits[m->limit];
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* Beside the smallest of its row. */
static PetscErrorCode Compare(CordsBench bench, const CordsMeasurement *first, const CordsMeasurement *m)
{
  double operations = m->amount / first->amount, time = m->median_s / first->median_s;

  PetscFunctionBegin;
  PetscCall(CordsLog(bench->context,
                     "%-10s   operations x %.2f, time x %.2f: %.2f of linear; peak memory %.0f MB, planned %.0f MB\n",
                     "", operations, time, time / operations, m->peak_bytes * 1e-6, m->planned_bytes * 1e-6));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode MeasureAxis(CordsBench bench, const Case *middle, const Axis *axis, const Work *work)
{
  CordsMeasurement first = {.amount = 0};
  double before = -1; /* value of the case before */

  PetscFunctionBegin;
  for (int index = 0; index < axis->count; index++) {
    CordsMeasurement m = {.benchmark = "growth", .limit = CORDS_LIMIT_F32};
    Case c = *middle;
    PetscInt value;
    PetscCall(axis->make(index, &c, &value));
    if ((double)value == before) break; /* a network that has no more of it */
    before = (double)value;
    snprintf(m.what, sizeof m.what, "%s, %s %d", work->name, axis->name, (int)value);
    m.value = (double)value;
    m.amount = work->operations(&c.architecture, c.batch);
    if (!bench->dry) PetscCall(Time(bench, &c, work, &m));
    PetscCall(CordsBenchKeep(bench, &m));
    if (index == 0) first = m;
    if (!bench->dry) PetscCall(Compare(bench, &first, &m));
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode Run(CordsBench bench)
{
  Case middle = {bench->architecture, BATCH};

  PetscFunctionBegin;
  middle.architecture.spontaneous_steps = PetscMin(middle.architecture.spontaneous_steps, growth_steps);
  middle.architecture.stimulus_steps = PetscMin(middle.architecture.stimulus_steps, growth_steps);
  middle.architecture.return_steps = PetscMin(middle.architecture.return_steps, growth_steps);
  for (size_t w = 0; w < PETSC_STATIC_ARRAY_LENGTH(works); w++) {
    for (size_t k = 0; k < PETSC_STATIC_ARRAY_LENGTH(axes); k++) {
      PetscCall(MeasureAxis(bench, &middle, &axes[k], &works[w]));
    }
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

const CordsBenchmarkType cords_benchmark_growth = {
    .name = "growth", .about = "time and memory beside the operation count", .run = Run, .configure = Configure};
