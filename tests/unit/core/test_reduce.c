/* Sums over ranks: bit for bit the sum in the order of the ranks, the same on every rank. */
/* RANKS 1 2 4 */
#include "support/support.h"

#include "core/reduce.h"

enum { COUNT_MAX = 10001 }; /* both ways of summing: of small arrays and in parts */

static const PetscInt counts[] = {0, 1, 3, 4, 1000, COUNT_MAX - 1};

static void TestF32(void **state)
{
  for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++) {
    float values[COUNT_MAX], expected[COUNT_MAX], term[COUNT_MAX];
    SupportFillF32(0, COUNT_MAX, expected);
    for (PetscMPIInt rank = 1; rank < support_context.size; rank++) {
      SupportFillF32((uint64_t)rank, COUNT_MAX, term);
      for (PetscInt k = 0; k < counts[c]; k++) expected[k] += term[k];
    }
    SupportFillF32((uint64_t)support_context.rank, COUNT_MAX, values);
    SupportFillF32((uint64_t)support_context.rank, COUNT_MAX, term);
    SupportCall(CordsReduceSumF32(&support_context, counts[c], values));
    assert_memory_equal(values, expected, (size_t)counts[c] * sizeof(float));
    assert_memory_equal(values + counts[c], term + counts[c], (size_t)(COUNT_MAX - counts[c]) * sizeof(float));
  }
}

static void TestF64(void **state)
{
  for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++) {
    double values[COUNT_MAX], expected[COUNT_MAX], term[COUNT_MAX];
    SupportFillF64(0, COUNT_MAX, expected);
    for (PetscMPIInt rank = 1; rank < support_context.size; rank++) {
      SupportFillF64((uint64_t)rank, COUNT_MAX, term);
      for (PetscInt k = 0; k < counts[c]; k++) expected[k] += term[k];
    }
    SupportFillF64((uint64_t)support_context.rank, COUNT_MAX, values);
    SupportCall(CordsReduceSumF64(&support_context, counts[c], values));
    assert_memory_equal(values, expected, (size_t)counts[c] * sizeof(double));
  }
}

/* Rank by rank later and later, so that pieces arrive in other orders than they begin. */
static void TestPieces(void **state)
{
  const PetscInt count = PETSC_STATIC_ARRAY_LENGTH(counts);
  static float values[2][PETSC_STATIC_ARRAY_LENGTH(counts)][COUNT_MAX];
  CordsReduction reduction;

  SupportCall(CordsReductionCreate(&support_context, count, &reduction));
  for (int round = 0; round < 3; round++) {
    for (PetscInt c = 0; c < count; c++) {
      for (int k = 0; k < 2; k++)
        SupportFillF32((uint64_t)(100 * round + 10 * c + support_context.rank), COUNT_MAX, values[k][c]);
      SupportCall(CordsReduceSumF32(&support_context, counts[c], values[0][c]));
    }
    SupportCall(PetscSleep(0.02 * (support_context.rank * (round - 1) + support_context.size)));
    for (PetscInt c = 0; c < count; c++) SupportCall(CordsReductionBegin(reduction, counts[c], values[1][c]));
    SupportCall(CordsReductionEnd(reduction));
    assert_memory_equal(values[0], values[1], sizeof values[0]);
  }
  SupportCall(CordsReductionDestroy(&reduction));
}

static const struct CMUnitTest tests[] = {cmocka_unit_test(TestF32), cmocka_unit_test(TestF64),
                                          cmocka_unit_test(TestPieces)};
SUPPORT_MAIN(tests)
