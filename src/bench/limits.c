/* What this machine can do at best on the threads of this process: multiply-adds in registers, BLAS' matrix products, a
   triad over memory, a file written and flushed. */
#include "bench/benchmark.h"
#include "conv/direct_types.h"

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

enum { CHAINS = 24, TURNS = 2000000, TRIES = 5, GEMM_SIZE = 1024, TRIAD_NUMBERS = 1 << 24, FILE_BYTES = 1 << 26 };

/* CHAINS independent sums, more than a processor has multiply-adds in flight. */
#define DEFINE_PEAK(SUFFIX, VECTOR, UNIT, ONE)                                                                         \
  static void Peak##SUFFIX(void)                                                                                       \
  {                                                                                                                    \
    _Pragma("omp parallel")                                                                                            \
    {                                                                                                                  \
      _Alignas(64) UNIT weights[64 / sizeof(UNIT)];                                                                    \
      VECTOR sum[CHAINS];                                                                                              \
      volatile UNIT one = ONE;                                                                                         \
      UNIT unit = one;                                                                                                 \
      for (size_t k = 0; k < 64 / sizeof(UNIT); k++) weights[k] = unit;                                                \
      UNROLL for (int k = 0; k < CHAINS; k++) sum[k] = (VECTOR){0};                                                    \
      for (int turn = 0; turn < TURNS; turn++) UNROLL for (int k = 0; k < CHAINS; k++)                                 \
        {                                                                                                              \
          MULTIPLY_ADD_##SUFFIX(sum[k], unit, weights);                                                                \
        }                                                                                                              \
      UNROLL for (int k = 0; k < CHAINS; k++) __asm__ volatile("" : : "m"(sum[k]));                                    \
    }                                                                                                                  \
  }

DEFINE_PEAK(F32, FloatVector, float, 1e-9f)
DEFINE_PEAK(F64, DoubleVector, double, 1e-9)
DEFINE_PEAK(BF16, FloatVector, uint32_t, 0x30003000u)

static double Best(void (*work)(void *), void *data)
{
  double best = 1e30;

  work(data);
  for (int k = 0; k < TRIES; k++) {
    double start = MPI_Wtime();
    work(data);
    best = PetscMin(best, MPI_Wtime() - start);
  }
  return best;
}

static void RunPeak(void *peak)
{
  ((void (*)(void))peak)();
}

static double PeakRate(void (*peak)(void), double numbers)
{
  return 2.0 * numbers * CHAINS * TURNS * omp_get_max_threads() / Best(RunPeak, (void *)peak);
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

/* A rate of writing: bytes of one file over the time until they are on the disk; 0 if the folder cannot be written. */
static double FileRate(const char *folder)
{
  char path[PETSC_MAX_PATH_LEN + 32];
  char *bytes = malloc(FILE_BYTES);
  double start, seconds = 0;
  int file;

  snprintf(path, sizeof path, "%s/cords-bench.%d", folder, (int)getpid());
  file = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0600);
  if (file >= 0 && bytes) {
    memset(bytes, 1, FILE_BYTES);
    start = MPI_Wtime();
    if (write(file, bytes, FILE_BYTES) == FILE_BYTES && fsync(file) == 0) seconds = MPI_Wtime() - start;
  }
  if (file >= 0) close(file), unlink(path);
  free(bytes);
  return seconds > 0 ? FILE_BYTES / seconds : 0;
}

PetscErrorCode CordsBenchLimits(CordsBench bench)
{
  double operations = 2.0 * GEMM_SIZE * GEMM_SIZE * GEMM_SIZE;
  CordsArray work;

  PetscFunctionBegin;
  PetscCall(CordsArrayCreate(CORDS_F64, 3, TRIAD_NUMBERS / 2, &work));
  for (size_t k = 0; k < (size_t)3 * TRIAD_NUMBERS / 2; k++) ((double *)work.data)[k] = 1.0 / (double)(k % 97 + 1);
  bench->limits[CORDS_LIMIT_F32] = PeakRate(PeakF32, 16);
  bench->limits[CORDS_LIMIT_F64] = PeakRate(PeakF64, 8);
  bench->limits[CORDS_LIMIT_BF16] = PeakRate(PeakBF16, 32);
  bench->gemm[CORDS_LIMIT_F64] = operations / Best(RunDgemm, work.data);
  bench->limits[CORDS_LIMIT_MEMORY] = 1.5 * TRIAD_NUMBERS * sizeof(double) / Best(RunTriad, work.data);
  for (size_t k = 0; k < (size_t)3 * GEMM_SIZE * GEMM_SIZE; k++) ((float *)work.data)[k] = 1.0f / (float)(k % 97 + 1);
  bench->gemm[CORDS_LIMIT_F32] = operations / Best(RunSgemm, work.data);
  bench->limits[CORDS_LIMIT_FILE] = FileRate(bench->scratch);
  PetscCall(CordsArrayDestroy(&work));
  PetscFunctionReturn(PETSC_SUCCESS);
}
