/* Every line of bench/benchmarks.def on a tiny network: a dry run that lists cases with their amounts and times
   nothing, and a real run of the same cases with one repetition.  That the numbers measured are good is not a test. */
#include "bench/benchmark.h"

#include "support/idx.h"
#include "support/networks.h"

#include <stdlib.h>
#include <unistd.h>

static const CordsBenchData settings = {.context = &support_context, .repetitions = 1, .batch = 2};

static CordsBenchData Bench(PetscBool dry)
{
  CordsBenchData bench = settings;
  const char *folder = SupportPath(".");

  bench.architecture = NetworkArchitecture(NETWORK_STEM, "relu");
  bench.dry = dry;
  snprintf(bench.data, sizeof bench.data, "%s", SupportPath("images"));
  snprintf(bench.scratch, sizeof bench.scratch, "%s", folder);
  return bench;
}

static void Free(CordsBenchData *bench)
{
  SupportCall(PetscFree(bench->measurements));
}

static void CheckDry(const CordsMeasurement *m, const char *name)
{
  assert_string_equal(m->benchmark, name);
  assert_true(strlen(m->what) > 3);
  assert_true(m->amount > 0);
  assert_true(m->limit >= 0 && m->limit < CORDS_LIMIT_COUNT);
  assert_true(m->median_s == 0 && m->spread == 0 && m->ratio == 0 && m->backend[0] == '\0');
}

static void CheckReal(const CordsMeasurement *m, const CordsMeasurement *dry)
{
  assert_string_equal(m->what, dry->what);
  assert_true(m->amount == dry->amount);
  if (m->limit == CORDS_LIMIT_PEER) { /* only ratios */
    assert_true(m->median_s == 0 && m->ratio > 0);
    assert_true(strcmp(m->benchmark, "peer") != 0 || (m->memory_ratio > 0 && m->peak_bytes > 1e6));
    return;
  }
  assert_true(m->median_s > 0 && m->best_s > 0 && m->best_s <= m->median_s);
  assert_true(m->spread == 0); /* of one repetition */
  assert_true((m->backend[0] != '\0') == (m->limit >= CORDS_LIMIT_F32 && m->limit <= CORDS_LIMIT_BF16));
  assert_true(m->limit == CORDS_LIMIT_NONE || m->ratio > 0);
}

/* Without PyTorch there are no peers; the same is said in tests/commands/test_bench.py. */
static PetscBool CanRun(const char *name)
{
  if (strcmp(name, "images") == 0)
    return (PetscBool)(system("/usr/bin/python3 -c 'import torchvision, PIL' 2>/dev/null") == 0);
  return (PetscBool)(strcmp(name, "peer") != 0 || system("/usr/bin/python3 -c 'import torch, h5py' 2>/dev/null") == 0);
}

static void TestEveryLine(void **state)
{
  const char *const *names, *const *abouts;
  CordsBenchData limits = Bench(PETSC_FALSE);
  SupportIdx idx;
  PetscInt count;

  SupportIdxMake(&idx);
  SupportIdxWrite(&idx, SupportPath("images"), "train", PETSC_FALSE);
  SupportCall(CordsBenchmarkList(&count, &names, &abouts));
  assert_true(count >= 6);
  SupportCall(CordsBenchLimits(&limits));
  for (PetscInt k = 0; k < count; k++) {
    CordsBenchData dry = Bench(PETSC_TRUE), real = Bench(PETSC_FALSE);
    assert_true(strlen(abouts[k]) > 10 && !strchr(abouts[k], '\n'));
    memcpy(real.limits, limits.limits, sizeof real.limits);
    SupportCall(CordsBenchmarkRun(&dry, names[k]));
    assert_true(dry.count > 0);
    for (PetscInt j = 0; j < dry.count; j++) CheckDry(&dry.measurements[j], names[k]);
    if (!CanRun(names[k])) {
      print_message("%s: not run, Debian's python3-torch or python3-torchvision is not installed\n", names[k]);
      Free(&dry);
      continue;
    }
    SupportCall(CordsBenchmarkRun(&real, names[k]));
    assert_int_equal(real.count, dry.count);
    for (PetscInt j = 0; j < dry.count; j++) CheckReal(&real.measurements[j], &dry.measurements[j]);
    Free(&dry);
    Free(&real);
  }
}

static const struct CMUnitTest tests[] = {cmocka_unit_test(TestEveryLine)};
SUPPORT_MAIN(tests)
