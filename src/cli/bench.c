#include "bench/benchmark.h"
#include "cli/command.h"
#include "conv/choice.h"
#include "core/blas.h"
#include "core/config.h"
#include "core/log.h"
#include "core/registry.h"
#include "io/results.h"

#include <omp.h>
#include <stdio.h>
#include <string.h>

static char benchmark[64], output[PETSC_MAX_PATH_LEN];
static CordsBenchData bench = {.repetitions = 5, .batch = 8, .scratch = "."};

/* Of texts in the file. */
enum { NAME_LENGTH = 104, BACKEND_LENGTH = 48 };

static PetscErrorCode Configure(CordsContext context, const char *argument)
{
  enum { CHANNELS = 3, CLASSES = 1000 }; /* ImageNet's */
  static const char *const clocks[] = {"wall", "processor"};
  static const char *const types[] = {"all", "f32", "bf16", "f64"};
  static const CordsType type_of[] = {CORDS_F32, CORDS_F32, CORDS_BF16, CORDS_F64};
  const char *const *names;
  PetscInt count, index, clock = 0, type = 0;
  PetscBool preset, channels;

  PetscFunctionBegin;
  PetscCall(CordsBenchmarkList(&count, &names, NULL));
  if (argument[0]) PetscCall(CordsRegistryFind("benchmark", count, names, argument, &index));
  snprintf(benchmark, sizeof benchmark, "%s", argument);
  bench.context = context;
  PetscCall(PetscOptionsHasName(NULL, NULL, "-architecture_preset", &preset));
  PetscCall(PetscOptionsHasName(NULL, NULL, "-architecture_channels", &channels));
  if (!preset && !channels) PetscCall(PetscOptionsSetValue(NULL, "-architecture_preset", "R8"));
  PetscCall(CordsArchitectureFromOptions(CHANNELS, CLASSES, &bench.architecture));
  PetscCall(CordsConvChoiceFromOptions(PETSC_FALSE));
  PetscCall(CordsOptionInt("-repetitions", "times that each case is measured", "", 1, 1000, &bench.repetitions));
  PetscCall(CordsOptionInt("-batch", "images at a time where that is free", "images", 1, 100000, &bench.batch));
  PetscCall(CordsOptionChoice("-clock",
                              "what times are of: the wall's clock, or the processor's divided by the threads, which "
                              "other work on the machine disturbs less; files always have the wall's",
                              PETSC_STATIC_ARRAY_LENGTH(clocks), clocks, &clock));
  bench.processor_time = (PetscBool)(clock == 1);
  PetscCall(CordsOptionChoice("-type", "number type to measure", PETSC_STATIC_ARRAY_LENGTH(types), types, &type));
  bench.one_type = (PetscBool)(type > 0);
  bench.type = type_of[type];
  PetscCall(CordsOptionBool("-dry", "print what would be measured, with its operations or bytes", &bench.dry));
  PetscCall(CordsOptionString("-data", "directory of fashion_mnist, for the loader", sizeof bench.data, bench.data));
  PetscCall(CordsOptionString("-scratch", "folder where files are written whose rate is measured", sizeof bench.scratch,
                              bench.scratch));
  PetscCall(CordsOptionString("-output", "result file to write (HDF5); empty: none", sizeof output, output));
  PetscCall(CordsBenchmarkConfigure(benchmark));
  CordsCheckUser(!(bench.dry && output[0]), PETSC_COMM_WORLD,
                 "-output: a dry run has nothing to write; leave out -dry");
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* The library of matrix products and, if it says so, whose kernels it runs. */
static void BlasName(size_t length, char *text)
{
  const char *kernels = CordsBlasKernels();

  snprintf(text, length, "BLAS");
  if (kernels) snprintf(text, length, "BLAS (OpenBLAS for %s)", kernels);
}

static PetscErrorCode PrintLimits(CordsContext context)
{
  const double *limits = bench.limits, *gemm = bench.gemm;
  char blas[64], advice[256];

  PetscFunctionBegin;
  BlasName(sizeof blas, blas);
  CordsBlasAdvice(sizeof advice, advice);
  PetscCall(CordsLog(context, "limits of %d rank%s with %d thread%s, what shares refer to:\n", (int)context->size,
                     context->size > 1 ? "s" : "", omp_get_max_threads(), omp_get_max_threads() > 1 ? "s" : ""));
  PetscCall(CordsLog(context, "  multiply-adds in registers: f32 %.0f, bf16 %.0f, f64 %.0f GFLOP/s\n",
                     limits[CORDS_LIMIT_F32] * 1e-9, limits[CORDS_LIMIT_BF16] * 1e-9, limits[CORDS_LIMIT_F64] * 1e-9));
  PetscCall(CordsLog(context, "  matrix product of %s: f32 %.0f, f64 %.0f GFLOP/s\n", blas,
                     gemm[CORDS_LIMIT_F32] * 1e-9, gemm[CORDS_LIMIT_F64] * 1e-9));
  if (advice[0]) PetscCall(CordsLog(context, "    %s\n", advice));
  PetscCall(CordsLog(context, "  memory %.1f GB/s, file written and flushed %.2f GB/s\n\n",
                     limits[CORDS_LIMIT_MEMORY] * 1e-9, limits[CORDS_LIMIT_FILE] * 1e-9));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static const CordsSchema
    name_schema = {"bench/benchmark", "case,character", "1", "what was measured, as text: benchmark and case"},
    backend_schema = {"bench/backend", "case,character", "1",
                      "what did its convolutions, as text: backends of `cords info backends`"},
    number_schemas[] = {{"bench/amount", "case", "1", "operations or bytes of one repetition, of all ranks"},
                        {"bench/median", "case", "s", "median time of one repetition; 0 where only a ratio is told"},
                        {"bench/spread", "case", "1", "slowest minus fastest time over the median"},
                        {"bench/ratio", "case", "1", "rate over the limit; 0 where there is none"},
                        {"bench/gemm_ratio", "case", "1", "rate over that of BLAS; 0 where there is none"},
                        {"bench/value", "case", "1", "what the case varies, in the unit that its name says"},
                        {"bench/peak_memory", "case", "B", "largest resident set during the case; 0 if not measured"},
                        {"bench/planned_memory", "case", "B", "memory that the plan said; 0 where there is none"},
                        {"bench/memory_ratio", "case", "1", "memory of the peer over ours; 0 where there is none"}},
    limit_schema = {"bench/limit", "case", "1",
                    "what the ratio refers to: 0 none, 1 f32, 2 f64, 3 bf16, 4 memory, 5 file, 6 peer"};

static PetscErrorCode AppendCase(CordsResults results, const CordsMeasurement *m)
{
  const double numbers[] = {m->amount, m->median_s,   m->spread,        m->ratio,       m->gemm_ratio,
                            m->value,  m->peak_bytes, m->planned_bytes, m->memory_ratio};
  char text[NAME_LENGTH] = "", backend[BACKEND_LENGTH] = "";
  PetscInt64 limit = m->limit;
  PetscInt64 rows = bench.context->rank == 0 ? 1 : 0;

  PetscFunctionBegin;
  snprintf(text, sizeof text, "%s %s", m->benchmark, m->what);
  snprintf(backend, sizeof backend, "%s", m->backend);
  PetscCall(CordsResultsAppend(results, name_schema.name, rows, text));
  PetscCall(CordsResultsAppend(results, backend_schema.name, rows, backend));
  PetscCall(CordsResultsAppend(results, limit_schema.name, rows, &limit));
  for (size_t k = 0; k < PETSC_STATIC_ARRAY_LENGTH(number_schemas); k++) {
    PetscCall(CordsResultsAppend(results, number_schemas[k].name, rows, &numbers[k]));
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode Write(CordsContext context)
{
  PetscInt64 name_length = NAME_LENGTH, backend_length = BACKEND_LENGTH;
  CordsResults results;
  char blas[64];

  PetscFunctionBegin;
  PetscCall(CordsResultsCreate(context, output, &results));
  BlasName(sizeof blas, blas);
  PetscCall(CordsH5WriteText(CordsResultsFile(results), "bench", "blas", blas));
  PetscCall(CordsResultsDeclare(results, &name_schema, CORDS_FILE_U8, 1, &name_length));
  PetscCall(CordsResultsDeclare(results, &backend_schema, CORDS_FILE_U8, 1, &backend_length));
  PetscCall(CordsResultsDeclare(results, &limit_schema, CORDS_FILE_I64, 0, NULL));
  for (size_t k = 0; k < PETSC_STATIC_ARRAY_LENGTH(number_schemas); k++) {
    PetscCall(CordsResultsDeclare(results, &number_schemas[k], CORDS_FILE_F64, 0, NULL));
  }
  for (PetscInt k = 0; k < bench.count; k++) PetscCall(AppendCase(results, &bench.measurements[k]));
  PetscCall(CordsResultsCommit(&results, "bench", 0, NULL));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* So that a file that cannot be written is found out before the work, not after it. */
static PetscErrorCode TryOutput(CordsContext context)
{
  CordsResults results;

  PetscFunctionBegin;
  PetscCall(CordsResultsCreate(context, output, &results));
  PetscCall(CordsResultsDestroy(&results));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode Run(CordsContext context, int *exit_status)
{
  PetscFunctionBegin;
  if (output[0]) PetscCall(TryOutput(context));
  if (!bench.dry) {
    PetscCall(CordsBenchLimits(&bench));
    PetscCall(PrintLimits(context));
  }
  PetscCall(CordsBenchmarkRun(&bench, benchmark));
  if (output[0]) PetscCall(Write(context));
  PetscCall(PetscFree(bench.measurements));
  PetscFunctionReturn(PETSC_SUCCESS);
}

const CordsCommandType cords_command_bench = {.name = "bench",
                                              .about = "rates of this machine's parts of the work beside its limits",
                                              .usage = "[NAME] [-architecture_preset R8] [-dry] [-output F]",
                                              .configure = Configure,
                                              .run = Run};
