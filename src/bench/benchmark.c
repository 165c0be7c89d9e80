#include "bench/benchmark.h"

#include "bench/table.h"
#include "conv/precision.h"
#include "core/config.h"
#include "core/log.h"
#include "core/registry.h"

#include <math.h>
#include <mpi.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CORDS_BENCHMARK(name) extern const CordsBenchmarkType cords_benchmark_##name;
#include "bench/benchmarks.def"
#undef CORDS_BENCHMARK

#define CORDS_BENCHMARK(name) &cords_benchmark_##name,
static const CordsBenchmarkType *const types[] = {
#include "bench/benchmarks.def"
};
#undef CORDS_BENCHMARK

enum { TYPE_COUNT = PETSC_STATIC_ARRAY_LENGTH(types), REPETITIONS_MAX = 1000, CALLS_MAX = 1000 };

/* Short work is called again and again in one repetition, so that the system's interruptions spread. */
static const double REPETITION_S = 0.02;

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

PetscErrorCode CordsBenchCan(CordsBench bench, const char *benchmark, CordsType type, PetscBool *can)
{
  const PetscBool wanted = (PetscBool)(!bench->one_type || bench->type == type);

  PetscFunctionBegin;
  *can = (PetscBool)(wanted && CordsPrecisionHas(type));
  if (wanted && !*can)
    PetscCall(CordsLog(bench->context, "%-10s %s left out: this processor does not multiply such numbers\n", benchmark,
                       CordsTypeNames[type]));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsBenchShare(CordsBench bench, PetscInt images)
{
  PetscFunctionBegin;
  CordsCheckUser(images >= bench->context->group_size, PETSC_COMM_WORLD,
                 "bench: a batch of %d images cannot be dealt to %d ranks; start it on fewer", (int)images,
                 (int)bench->context->group_size);
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsBenchAdd(CordsBench bench, const CordsMeasurement *m)
{
  PetscFunctionBegin;
  if (bench->count == bench->capacity) {
    bench->capacity = 2 * bench->capacity + 64;
    PetscCall(PetscRealloc((size_t)bench->capacity * sizeof *bench->measurements, &bench->measurements));
  }
  bench->measurements[bench->count++] = *m;
  PetscFunctionReturn(PETSC_SUCCESS);
}

double CordsBenchNow(CordsBench bench)
{
  struct timespec time;

  if (!bench->processor_time) return MPI_Wtime();
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return ((double)time.tv_sec + 1e-9 * (double)time.tv_nsec) / omp_get_max_threads();
}

PetscErrorCode CordsBenchOnce(CordsBench bench, PetscInt calls, CordsBenchWork work, void *data, double *seconds)
{
  MPI_Comm comm = bench->context->comm;
  double start, here;

  PetscFunctionBegin;
  PetscCallMPI(MPI_Barrier(comm));
  start = CordsBenchNow(bench);
  for (PetscInt k = 0; k < calls; k++) PetscCall(work(data));
  here = (CordsBenchNow(bench) - start) / (double)calls;
  PetscCallMPI(MPI_Allreduce(&here, seconds, 1, MPI_DOUBLE, MPI_MAX, comm));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsBenchTime(CordsBench bench, PetscInt repetitions, double expected_s, CordsMeasurement *m,
                              CordsBenchWork work, void *data)
{
  double seconds[REPETITIONS_MAX];
  PetscInt count = PetscMin(repetitions, REPETITIONS_MAX);
  PetscInt calls = (PetscInt)PetscMax(1, PetscMin(CALLS_MAX, REPETITION_S / PetscMax(expected_s, 1e-9)));

  PetscFunctionBegin;
  for (PetscInt k = 0; k < count; k++) PetscCall(CordsBenchOnce(bench, calls, work, data, &seconds[k]));
  CordsBenchStatistics(count, seconds, &m->median_s, &m->spread);
  m->best_s = seconds[0];
  if (bench->limits[m->limit] > 0) m->ratio = m->amount / m->median_s / bench->limits[m->limit];
  if (bench->gemm[m->limit] > 0) m->gemm_ratio = m->amount / m->median_s / bench->gemm[m->limit];
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsBenchMeasure(CordsBench bench, CordsMeasurement *m, CordsBenchWork work, void *data)
{
  double warm_up_s;

  PetscFunctionBegin;
  if (!bench->dry) {
    PetscCall(CordsBenchOnce(bench, 1, work, data, &warm_up_s));
    PetscCall(CordsBenchTime(bench, bench->repetitions, warm_up_s, m, work, data));
  }
  PetscCall(CordsBenchAdd(bench, m));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsBenchMeasureAndPrint(CordsBench bench, CordsMeasurement *m, CordsBenchWork work, void *data)
{
  PetscFunctionBegin;
  PetscCall(CordsBenchMeasure(bench, m, work, data));
  PetscCall(CordsBenchPrint(bench, m));
  PetscFunctionReturn(PETSC_SUCCESS);
}
