/* What this machine can do at best on the threads of all ranks: multiply-adds in registers, BLAS' matrix products, a
   triad over memory, a file written and flushed. */
#include "bench/benchmark.h"
#include "bench/tile_peak.h"
#include "conv/vector_types.h"
#include "core/reduce.h"

#include <fcntl.h>
#include <omp.h>
#include <petscsys.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern void sgemm_(const char *, const char *, const PetscBLASInt *, const PetscBLASInt *, const PetscBLASInt *,
                   const float *, const float *, const PetscBLASInt *, const float *, const PetscBLASInt *,
                   const float *, float *, const PetscBLASInt *);
extern void dgemm_(const char *, const char *, const PetscBLASInt *, const PetscBLASInt *, const PetscBLASInt *,
                   const double *, const double *, const PetscBLASInt *, const double *, const PetscBLASInt *,
                   const double *, double *, const PetscBLASInt *);

enum {
  CHAINS = 24,
  TURNS = 2000000,
  TRIES = 5,
  PEAK_TRIES = 20,
  FILE_TRIES = 3,
  GEMM_SIZE = 1024,
  TRIAD_NUMBERS = 1 << 24,
  FILE_BYTES = 1 << 26
};

/* CHAINS independent sums, more than a processor has multiply-adds in flight.  They are in registers only if the loops
   over them are written out completely; each begins differently and the weights seem to change, so that the compiler
   does not do one of them for all, or the multiplication once. */
#define UNROLL_CHAINS _Pragma("GCC unroll 24")
#define DEFINE_PEAK(SUFFIX, VECTOR, UNIT, ONE)                                                                         \
  static void Peak##SUFFIX(void)                                                                                       \
  {                                                                                                                    \
    _Pragma("omp parallel")                                                                                            \
    {                                                                                                                  \
      _Alignas(64) UNIT weights[64 / sizeof(UNIT)];                                                                    \
      VECTOR sum[CHAINS], total = {0};                                                                                 \
      volatile UNIT one = ONE;                                                                                         \
      UNIT unit = one;                                                                                                 \
      for (size_t k = 0; k < 64 / sizeof(UNIT); k++) weights[k] = unit;                                                \
      UNROLL_CHAINS for (int k = 0; k < CHAINS; k++) sum[k] = (VECTOR){0} + (__typeof__(sum[0][0]))k;                  \
      for (int turn = 0; turn < TURNS; turn++) {                                                                       \
        UnsignedVector weight;                                                                                         \
        LOAD_UNITS(weight, weights);                                                                                   \
        UNROLL_CHAINS for (int k = 0; k < CHAINS; k++)                                                                 \
        {                                                                                                              \
          MULTIPLY_ADD_##SUFFIX(sum[k], unit, weight);                                                                 \
        }                                                                                                              \
        __asm__ volatile("" : "+m"(weights));                                                                          \
      }                                                                                                                \
      UNROLL_CHAINS for (int k = 0; k < CHAINS; k++) total += sum[k];                                                  \
      __asm__ volatile("" : : "m"(total));                                                                             \
    }                                                                                                                  \
  }

DEFINE_PEAK(F32, FloatVector, float, 1e-9f)
DEFINE_PEAK(F64, DoubleVector, double, 1e-9)
DEFINE_PEAK(BF16, FloatVector, uint32_t, 0x30003000u)

static double Best(CordsBench bench, int tries, void (*work)(void *), void *data)
{
  double best = 1e30;

  work(data);
  for (int k = 0; k < tries; k++) {
    double start = CordsBenchNow(bench);
    work(data);
    best = PetscMin(best, CordsBenchNow(bench) - start);
  }
  return best;
}

static void RunPeak(void *peak)
{
  ((void (*)(void))peak)();
}

static double PeakRate(CordsBench bench, void (*peak)(void), double numbers)
{
  return 2.0 * numbers * CHAINS * TURNS * omp_get_max_threads() / Best(bench, PEAK_TRIES, RunPeak, (void *)peak);
}

/* By vectors, or by the matrix unit if there is one. */
static double PeakRateBf16(CordsBench bench)
{
  const double operations = CordsBenchTileOperations() * omp_get_max_threads();
  const double by_vectors = PeakRate(bench, PeakBF16, 32);

  if (operations == 0) return by_vectors;
  return PetscMax(by_vectors, operations / Best(bench, PEAK_TRIES, RunPeak, (void *)CordsBenchTilePeak));
}

static void RunSgemm(void *data)
{
  const PetscBLASInt n = GEMM_SIZE;
  const float one = 1, zero = 0, *a = data;

  sgemm_("N", "N", &n, &n, &n, &one, a, &n, a + n * n, &n, &zero, (float *)data + 2 * n * n, &n);
}

static void RunDgemm(void *data)
{
  const PetscBLASInt n = GEMM_SIZE;
  const double one = 1, zero = 0, *a = data;

  dgemm_("N", "N", &n, &n, &n, &one, a, &n, a + n * n, &n, &zero, (double *)data + 2 * n * n, &n);
}

static void RunTriad(void *data)
{
  double *a = data, *b = a + TRIAD_NUMBERS / 2, *c = a + TRIAD_NUMBERS;

#pragma omp parallel for simd schedule(static)
  for (size_t k = 0; k < TRIAD_NUMBERS / 2; k++) a[k] = b[k] + 0.5 * c[k];
}

/* Seconds until the bytes of a new file are on the disk; 0 if it cannot be written. */
static double WriteFile(const char *path, const char *bytes)
{
  int file = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0600);
  double start = MPI_Wtime(), seconds = 0;

  if (file < 0) return 0;
  if (write(file, bytes, FILE_BYTES) == FILE_BYTES && fsync(file) == 0) seconds = MPI_Wtime() - start;
  close(file);
  unlink(path);
  return seconds;
}

/* The best rate of writing to a folder; 0 if it cannot be written to. */
static double FileRate(const char *folder)
{
  char path[PETSC_MAX_PATH_LEN + 32];
  char *bytes = malloc(FILE_BYTES);
  double rate = 0;

  if (!bytes) return 0;
  memset(bytes, 1, FILE_BYTES);
  snprintf(path, sizeof path, "%s/cords-bench.%d", folder, (int)getpid());
  for (int k = 0; k < FILE_TRIES; k++) {
    double seconds = WriteFile(path, bytes);
    if (seconds > 0) rate = PetscMax(rate, FILE_BYTES / seconds);
  }
  free(bytes);
  return rate;
}

PetscErrorCode CordsBenchLimits(CordsBench bench)
{
  double operations = 2.0 * GEMM_SIZE * GEMM_SIZE * GEMM_SIZE;
  CordsArray work;

  PetscFunctionBegin;
  memset(bench->limits, 0, sizeof bench->limits);
  memset(bench->gemm, 0, sizeof bench->gemm);
  PetscCall(CordsArrayCreate(CORDS_F64, 3, TRIAD_NUMBERS / 2, &work));
  for (size_t k = 0; k < (size_t)3 * TRIAD_NUMBERS / 2; k++) ((double *)work.data)[k] = 1.0 / (double)(k % 97 + 1);
  PetscCallMPI(MPI_Barrier(bench->context->comm));
  bench->limits[CORDS_LIMIT_F32] = PeakRate(bench, PeakF32, 16);
  bench->limits[CORDS_LIMIT_F64] = PeakRate(bench, PeakF64, 8);
  bench->limits[CORDS_LIMIT_BF16] = PeakRateBf16(bench);
  bench->gemm[CORDS_LIMIT_F64] = operations / Best(bench, TRIES, RunDgemm, work.data);
  bench->limits[CORDS_LIMIT_MEMORY] = 1.5 * TRIAD_NUMBERS * sizeof(double) / Best(bench, TRIES, RunTriad, work.data);
  for (size_t k = 0; k < (size_t)3 * GEMM_SIZE * GEMM_SIZE; k++) ((float *)work.data)[k] = 1.0f / (float)(k % 97 + 1);
  bench->gemm[CORDS_LIMIT_F32] = operations / Best(bench, TRIES, RunSgemm, work.data);
  bench->limits[CORDS_LIMIT_FILE] = bench->context->rank == 0 ? FileRate(bench->scratch) : 0; /* one rank writes */
  PetscCall(CordsArrayDestroy(&work));
  PetscCall(CordsReduceSumF64(bench->context, CORDS_LIMIT_COUNT, bench->limits));
  PetscCall(CordsReduceSumF64(bench->context, CORDS_LIMIT_COUNT, bench->gemm));
  PetscFunctionReturn(PETSC_SUCCESS);
}
