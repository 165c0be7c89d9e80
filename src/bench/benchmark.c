#include "bench/benchmark.h"

#include "core/config.h"
#include "core/log.h"
#include "core/registry.h"

#include <math.h>
#include <mpi.h>
#include <stdlib.h>
#include <string.h>

#define CORDS_BENCHMARK(name) extern const CordsBenchmarkType cords_benchmark_##name;
#include "bench/benchmarks.def"
#undef CORDS_BENCHMARK

#define CORDS_BENCHMARK(name) &cords_benchmark_##name,
static const CordsBenchmarkType *const types[] = {
#include "bench/benchmarks.def"
};
#undef CORDS_BENCHMARK

enum { TYPE_COUNT = PETSC_STATIC_ARRAY_LENGTH(types), REPETITIONS_MAX = 1000 };

const char *const CordsLimitNames[] = {"none", "f32", "f64", "bf16", "memory", "file", "peer"};

PetscErrorCode CordsBenchmarkList(PetscInt *count, const char *const **names, const char *const **abouts)
{
  PetscFunctionBegin;
  CORDS_REGISTRY_LIST(types, count, names, abouts);
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscBool IsChosen(const CordsBenchmarkType *type, const char *name)
{
  return name[0] ? (PetscBool)(strcmp(name, type->name) == 0) : type->by_default;
}

PetscErrorCode CordsBenchmarkConfigure(const char *name)
{
  PetscFunctionBegin;
  for (PetscInt i = 0; i < TYPE_COUNT; i++) {
    if (types[i]->configure && (IsChosen(types[i], name) || CordsConfigHelp())) PetscCall(types[i]->configure());
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsBenchmarkRun(CordsBench bench, const char *name)
{
  PetscFunctionBegin;
  for (PetscInt i = 0; i < TYPE_COUNT; i++) {
    if (IsChosen(types[i], name)) PetscCall(types[i]->run(bench));
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

static int Smaller(const void *a, const void *b)
{
  double x = *(const double *)a, y = *(const double *)b;

  return (x > y) - (x < y);
}

void CordsBenchStatistics(PetscInt count, double seconds[], double *median, double *spread)
{
  qsort(seconds, (size_t)count, sizeof *seconds, Smaller);
  *median = count % 2 ? seconds[count / 2] : 0.5 * (seconds[count / 2 - 1] + seconds[count / 2]);
  *spread = *median > 0 ? (seconds[count - 1] - seconds[0]) / *median : 0;
}

double CordsBenchStepOperations(const CordsArchitecture *a)
{
  double operations = 0;

  for (PetscInt i = 0; i < a->area_count; i++) {
    operations += CordsConvFlops(&a->connections[a->recurrent[i]].shape);
    if (i > 0) operations += CordsConvFlops(&a->connections[a->feedforward[i]].shape);
    if (a->skip[i] >= 0) operations += CordsConvFlops(&a->connections[a->skip[i]].shape);
  }
  return operations;
}

static PetscBool IsArithmetic(CordsLimit limit)
{
  return (PetscBool)(limit == CORDS_LIMIT_F32 || limit == CORDS_LIMIT_F64 || limit == CORDS_LIMIT_BF16);
}

/* What is told of a case that was only listed. */
static PetscErrorCode PrintDry(CordsBench bench, const CordsMeasurement *m)
{
  PetscBool bytes = (PetscBool)(m->limit == CORDS_LIMIT_MEMORY || m->limit == CORDS_LIMIT_FILE);
  const char *unit = m->limit == CORDS_LIMIT_NONE ? "units" : bytes ? "GB" : "GFLOP";

  PetscFunctionBegin;
  PetscCall(CordsLog(bench->context, "%-10s %-56s %10.3f %-5s limit: %s\n", m->benchmark, m->what,
                     m->limit == CORDS_LIMIT_NONE ? m->amount : m->amount * 1e-9, unit, CordsLimitNames[m->limit]));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode PrintPeer(CordsBench bench, const CordsMeasurement *m)
{
  PetscFunctionBegin;
  PetscCall(CordsLog(bench->context, "%-10s %-56s %6.2f x the peer, spread %.0f %%; memory 1/%.1f of the peer's\n",
                     m->benchmark, m->what, m->ratio, 100 * m->spread, m->memory_ratio));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode PrintRate(CordsBench bench, const CordsMeasurement *m)
{
  const char *unit = IsArithmetic(m->limit) ? "GFLOP" : "GB";
  char gemm[32] = "";

  PetscFunctionBegin;
  if (m->gemm_ratio > 0) snprintf(gemm, sizeof gemm, "%5.2f x gemm", m->gemm_ratio);
  if (m->limit == CORDS_LIMIT_NONE)
    PetscCall(CordsLog(bench->context, "%-10s %-56s %10.1f units/s, spread %.0f %%\n", m->benchmark, m->what,
                       m->amount / m->median_s, 100 * m->spread));
  else
    PetscCall(CordsLog(bench->context, "%-10s %-56s %8.1f %s/s  %5.2f of the limit  %-12s spread %.0f %%\n",
                       m->benchmark, m->what, m->amount * 1e-9 / m->median_s, unit, m->ratio, gemm, 100 * m->spread));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsBenchKeep(CordsBench bench, const CordsMeasurement *m)
{
  PetscFunctionBegin;
  if (bench->count == bench->capacity) {
    bench->capacity = 2 * bench->capacity + 64;
    PetscCall(PetscRealloc((size_t)bench->capacity * sizeof *bench->measurements, &bench->measurements));
  }
  bench->measurements[bench->count++] = *m;
  if (bench->dry)
    PetscCall(PrintDry(bench, m));
  else if (m->limit == CORDS_LIMIT_PEER)
    PetscCall(PrintPeer(bench, m));
  else
    PetscCall(PrintRate(bench, m));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsBenchMeasure(CordsBench bench, const char *benchmark, const char *what, CordsLimit limit,
                                 double amount, CordsBenchWork work, void *data)
{
  CordsMeasurement m = {.limit = limit, .amount = amount};
  double seconds[REPETITIONS_MAX];
  PetscInt count = PetscMin(bench->repetitions, REPETITIONS_MAX);

  PetscFunctionBegin;
  snprintf(m.benchmark, sizeof m.benchmark, "%s", benchmark);
  snprintf(m.what, sizeof m.what, "%s", what);
  if (!bench->dry) {
    PetscCall(work(data)); /* warm-up */
    for (PetscInt k = 0; k < count; k++) {
      double start = MPI_Wtime();
      PetscCall(work(data));
      seconds[k] = MPI_Wtime() - start;
    }
    CordsBenchStatistics(count, seconds, &m.median_s, &m.spread);
    m.best_s = seconds[0];
    if (bench->limits[limit] > 0) m.ratio = amount / m.median_s / bench->limits[limit];
    if (bench->gemm[limit] > 0) m.gemm_ratio = amount / m.median_s / bench->gemm[limit];
  }
  PetscCall(CordsBenchKeep(bench, &m));
  PetscFunctionReturn(PETSC_SUCCESS);
}
