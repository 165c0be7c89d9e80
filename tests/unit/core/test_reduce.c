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

static const struct CMUnitTest tests[] = {cmocka_unit_test(TestF32), cmocka_unit_test(TestF64)};
SUPPORT_MAIN(tests)
