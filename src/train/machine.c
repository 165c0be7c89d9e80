#include "train/machine.h"

#include "core/config.h"
#include "core/registry.h"
#include "io/h5.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double micro = 1e-6, giga = 1e9;

/* One number of a description: its name in PETSc's spelling of nested YAML and in the user's. */
typedef struct {
  const char *option, *name, *unit;
  double minimum, maximum, factor; /* of the number as it stands there, and to what we keep */
  size_t place;                    /* in CordsMachine: a double */
  PetscBool needed;
} Number;

#define PLACE(member) offsetof(CordsMachine, member)
static const Number numbers[] = {
    {"-memory_per_node_gb", "memory_per_node_gb", "GB", 1e-3, 1e6, giga, PLACE(memory_bytes), PETSC_TRUE},
    {"-network_latency_us", "network: latency_us", "us", 0, 1e6, micro, PLACE(network.latency_s), PETSC_TRUE},
    {"-network_bandwidth_gb_s", "network: bandwidth_gb_s", "GB/s", 1e-6, 1e6, giga, PLACE(network.bandwidth),
     PETSC_TRUE},
    {"-node_latency_us", "node: latency_us", "us", 0, 1e6, micro, PLACE(node.latency_s), PETSC_TRUE},
    {"-node_bandwidth_gb_s", "node: bandwidth_gb_s", "GB/s", 1e-6, 1e6, giga, PLACE(node.bandwidth), PETSC_TRUE},
    {"-rate_f32_gflop_s", "rate: f32_gflop_s", "GFLOP/s", 1e-6, 1e9, giga, PLACE(rates[CORDS_F32]), PETSC_FALSE},
    {"-rate_bf16_gflop_s", "rate: bf16_gflop_s", "GFLOP/s", 1e-6, 1e9, giga, PLACE(rates[CORDS_BF16]), PETSC_FALSE},
};
enum { NUMBER_COUNT = PETSC_STATIC_ARRAY_LENGTH(numbers), RANKS_PER_NODE_MAX = 4096, TEXT_MAX = 128 };

/* A number, or `standard` where there is none and none is needed. */
static PetscErrorCode ReadNumber(PetscOptions options, const char *path, const Number *n, double *value)
{
  char text[TEXT_MAX] = "", *end;
  PetscBool found;

  PetscFunctionBegin;
  PetscCall(PetscOptionsGetString(options, NULL, n->option, text, sizeof text, &found));
  CordsCheckUser(found || !n->needed, PETSC_COMM_WORLD, "-machine %s: '%s' is missing; it is a number in %s", path,
                 n->name, n->unit);
  if (!found) PetscFunctionReturn(PETSC_SUCCESS);
  *value = strtod(text, &end);
  CordsCheckUser(end != text && !*end && *value >= n->minimum && *value <= n->maximum, PETSC_COMM_WORLD,
                 "-machine %s: '%s' is '%s'; it must be a number between %g and %g in %s", path, n->name, text,
                 n->minimum, n->maximum, n->unit);
  *value *= n->factor;
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode ReadRanks(PetscOptions options, const char *path, PetscInt *ranks)
{
  const Number n = {"-ranks_per_node", "ranks_per_node", "ranks", 1, RANKS_PER_NODE_MAX, 1, 0, PETSC_TRUE};
  double value = 0;

  PetscFunctionBegin;
  PetscCall(ReadNumber(options, path, &n, &value));
  *ranks = (PetscInt)value;
  CordsCheckUser((double)*ranks == value, PETSC_COMM_WORLD, "-machine %s: 'ranks_per_node' is %g, not a whole number",
                 path, value);
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* What stands in the file and was not read. */
static PetscErrorCode CheckUnknown(PetscOptions options, const char *path)
{
  const char *names[NUMBER_COUNT + 2] = {"name", "ranks_per_node"}, *closest;
  char **left, **values, unknown[TEXT_MAX] = "";
  PetscInt count;

  PetscFunctionBegin;
  PetscCall(PetscOptionsLeftGet(options, &count, &left, &values));
  if (count > 0) snprintf(unknown, sizeof unknown, "%s", left[0]);
  PetscCall(PetscOptionsLeftRestore(options, &count, &left, &values));
  if (!unknown[0]) PetscFunctionReturn(PETSC_SUCCESS);
  for (int k = 0; k < NUMBER_COUNT; k++) names[k + 2] = numbers[k].option + 1;
  closest = CordsRegistryClosest(PETSC_STATIC_ARRAY_LENGTH(names), names, unknown);
  for (int k = 0; closest && k < NUMBER_COUNT; k++)
    if (closest == numbers[k].option + 1) closest = numbers[k].name;
  CordsUserError(PETSC_COMM_WORLD, "-machine %s: '%s' is unknown%s%s%s", path, unknown,
                 closest ? "; did you mean '" : "", closest ? closest : "", closest ? "'?" : "");
}

PetscErrorCode CordsMachineRead(const char *path, CordsMachine *machine)
{
  PetscOptions options;
  PetscBool found;

  PetscFunctionBegin;
  memset(machine, 0, sizeof *machine);
  snprintf(machine->name, sizeof machine->name, "the machine");
  PetscCall(CordsConfigReadYaml("-machine", path, &options));
  PetscCall(PetscOptionsGetString(options, NULL, "-name", machine->name, sizeof machine->name, &found));
  PetscCall(ReadRanks(options, path, &machine->ranks_per_node));
  for (int k = 0; k < NUMBER_COUNT; k++)
    PetscCall(ReadNumber(options, path, &numbers[k], (double *)((char *)machine + numbers[k].place)));
  PetscCall(CheckUnknown(options, path));
  PetscCall(PetscOptionsDestroy(&options));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* --- rates of cords bench --- */

enum { CASE_LENGTH_MAX = 1024, CASES_MAX = 100000 };

/* Operations per second of the case whose name begins with `start`; 0 if there is none. */
static double RateOf(const char *start, PetscInt64 cases, PetscInt64 length, const char *names, const double *amounts,
                     const double *medians)
{
  for (PetscInt64 k = 0; k < cases; k++) {
    if (strncmp(names + k * length, start, strlen(start)) == 0 && medians[k] > 0) return amounts[k] / medians[k];
  }
  return 0;
}

static PetscErrorCode ReadRates(CordsH5 file, const char *path, PetscInt64 cases, PetscInt64 length, double ranks,
                                CordsMachine *machine)
{
  const PetscInt64 text_sizes[] = {cases, length};
  double *amounts, *medians;
  PetscBool any = PETSC_FALSE;
  char *names;

  PetscFunctionBegin;
  PetscCall(PetscMalloc3(cases * length, &names, cases, &amounts, cases, &medians));
  PetscCall(CordsH5ReadArray(file, "bench/benchmark", CORDS_FILE_U8, 2, text_sizes, names));
  PetscCall(CordsH5ReadArray(file, "bench/amount", CORDS_FILE_F64, 1, &cases, amounts));
  PetscCall(CordsH5ReadArray(file, "bench/median", CORDS_FILE_F64, 1, &cases, medians));
  for (int k = 0; k < CORDS_TYPE_COUNT; k++) {
    char start[32];
    double rate;
    snprintf(start, sizeof start, "gradient %s ", CordsTypeNames[k]);
    rate = RateOf(start, cases, length, names, amounts, medians) / ranks;
    if (!(rate > 0)) continue;
    machine->rates[k] = rate;
    any = PETSC_TRUE;
  }
  PetscCall(PetscFree3(names, amounts, medians));
  CordsCheckUser(any, PETSC_COMM_WORLD, "-bench %s: has no training step; make it by cords bench gradient -output %s",
                 path, path);
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsMachineReadBench(CordsContext context, const char *path, CordsMachine *machine)
{
  PetscInt64 sizes[CORDS_H5_DIMENSIONS_MAX], ranks = 1;
  PetscBool exists, found;
  PetscInt dimensions;
  CordsH5 file;

  PetscFunctionBegin;
  PetscCall(CordsH5Open(context, path, &file));
  PetscCall(CordsH5GetShape(file, "bench/benchmark", &exists, &dimensions, sizes));
  CordsCheckUser(exists && dimensions == 2 && sizes[0] > 0 && sizes[0] <= CASES_MAX && sizes[1] > 0 &&
                     sizes[1] <= CASE_LENGTH_MAX,
                 PETSC_COMM_WORLD, "-bench %s: not a file of cords bench", path);
  PetscCall(CordsH5ReadInt(file, "run", "ranks", &found, &ranks));
  PetscCall(ReadRates(file, path, sizes[0], sizes[1], (double)PetscMax(found ? ranks : 1, 1), machine));
  PetscCall(CordsH5Close(&file));
  PetscFunctionReturn(PETSC_SUCCESS);
}
