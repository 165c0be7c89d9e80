/* Measured rates beside the machine's limit.

   A benchmark lists cases; each case is timed a number of times after a warm-up, and its rate is compared with what the
   same threads reach at best: multiply-adds per second of this number type for arithmetic, bytes per second for memory
   and files.  Limits are measured in the same run.  On several ranks a batch is split over them, what has no batch is
   done by every rank at the same time, and rates and limits are those of all ranks together.  With -dry nothing is
   timed. */
#ifndef CORDS_BENCH_BENCHMARK_H
#define CORDS_BENCH_BENCHMARK_H

#include "bench/used_backends.h"
#include "core/array.h"
#include "core/context.h"
#include "model/architecture.h"

/* What a rate is compared with. */
typedef enum {
  CORDS_LIMIT_NONE,
  CORDS_LIMIT_F32, /* operations/s of multiply-adds in registers */
  CORDS_LIMIT_F64,
  CORDS_LIMIT_BF16,
  CORDS_LIMIT_MEMORY, /* bytes/s of a triad */
  CORDS_LIMIT_FILE,   /* bytes/s written and flushed */
  CORDS_LIMIT_PEER,   /* another program that does the same work; no limit of the machine */
  CORDS_LIMIT_COUNT
} CordsLimit;
extern const char *const CordsLimitNames[];

typedef struct {
  char benchmark[24], what[72];
  char backend[CORDS_BENCH_BACKENDS_LENGTH]; /* of the convolutions; empty where there are none, and in a dry run */
  CordsLimit limit;
  double amount;           /* operations, bytes or images of one repetition, of all ranks */
  PetscBool of_images;     /* amount is images beside a peer, too */
  double median_s, best_s; /* 0 where nothing was timed */
  double spread;           /* (slowest − fastest) / median */
  double ratio;            /* rate at the median over the limit */
  double gemm_ratio;       /* over BLAS' matrix product of the type; 0 if there is none */
  double value;            /* what the case varies: side of the image, steps, ...; 0: nothing */
  double peak_bytes;       /* largest resident set of the process in a case alone; 0: not measured */
  double planned_bytes;    /* what the plan of the rollout said; 0: there is none */
  double memory_ratio;     /* the peer's peak_bytes over ours; 0: there is none */
} CordsMeasurement;

typedef struct {
  CordsContext context;
  CordsArchitecture architecture;
  PetscInt repetitions, batch, steps; /* of the networks that run in time */
  PetscBool dry;
  PetscBool one_type; /* measure this one only, */
  CordsType type;
  PetscBool processor_time; /* of all threads, over their number, instead of the wall clock's */
  char data[PETSC_MAX_PATH_LEN], scratch[PETSC_MAX_PATH_LEN]; /* images; a folder to write to */
  double limits[CORDS_LIMIT_COUNT], gemm[CORDS_LIMIT_COUNT];  /* measured at the start */
  PetscInt count, capacity;
  CordsMeasurement *measurements;
  const char *heading; /* the last that was printed (table.h) */
} CordsBenchData, *CordsBench;

/* One repetition. */
typedef PetscErrorCode (*CordsBenchWork)(void *data);

/* Seconds of the clock that is used. */
double CordsBenchNow(CordsBench bench);

/* Seconds per call on the slowest rank; all begin together.  Collective. */
PetscErrorCode CordsBenchOnce(CordsBench bench, PetscInt calls, CordsBenchWork work, void *data, double *seconds);

/* Time `work`; one repetition is one call, or as many as take some hundredths of a second, by expected_s of one (the
   same on all ranks).  m: limit and amount on entry, times and ratios on exit.  Collective. */
PetscErrorCode CordsBenchTime(CordsBench bench, PetscInt repetitions, double expected_s, CordsMeasurement *m,
                              CordsBenchWork work, void *data);

/* Keep a result (copied). */
PetscErrorCode CordsBenchAdd(CordsBench bench, const CordsMeasurement *measurement);

/* Warm up, time and keep, and print as a row; m as for CordsBenchTime, with its names.  In a dry run nothing is timed
   and work may be NULL.  Collective. */
PetscErrorCode CordsBenchMeasure(CordsBench bench, CordsMeasurement *m, CordsBenchWork work, void *data);
PetscErrorCode CordsBenchMeasureAndPrint(CordsBench bench, CordsMeasurement *m, CordsBenchWork work, void *data);

/* Whether the processor multiplies in this type; says that it is left out if not. */
PetscErrorCode CordsBenchCan(CordsBench bench, const char *benchmark, CordsType type, PetscBool *can);

/* Errors (user): a batch that leaves a rank without an image. */
PetscErrorCode CordsBenchShare(CordsBench bench, PetscInt images);

/* Median and spread of `count` times; sorts them. */
void CordsBenchStatistics(PetscInt count, double seconds[], double *median, double *spread);

/* Limits of this machine on the threads of all ranks, which measure at the same time.  Takes about a second.
 * Collective.
 */
PetscErrorCode CordsBenchLimits(CordsBench bench);

/* Operations of one Euler step of all areas for one image: forward, and all three convolutions of a recorded step. */
double CordsBenchStepOperations(const CordsArchitecture *architecture);

/* What the author of a benchmark fills in.  Add a line to benchmarks.def. */
typedef struct {
  const char *name;
  const char *about;
  PetscBool by_default; /* part of `cords bench` without a name */
  PetscErrorCode (*run)(CordsBench bench);
  PetscErrorCode (*configure)(void); /* declare and read options of its own; may be NULL */
} CordsBenchmarkType;

PetscErrorCode CordsBenchmarkList(PetscInt *count, const char *const **names, const char *const **abouts);
/* Options of those that CordsBenchmarkRun will run; for -help of all. */
PetscErrorCode CordsBenchmarkConfigure(const char *name);
/* Run one by name, or all default ones for "". */
PetscErrorCode CordsBenchmarkRun(CordsBench bench, const char *name);

#endif
