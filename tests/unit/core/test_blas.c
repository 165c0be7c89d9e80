/* Which kernels OpenBLAS runs, and what to set where they are older than the processor. */
#include "core/blas.h"

#include "support/support.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static void Names(void **state)
{
  assert_string_equal(CordsBlasBetterKernels("Prescott", 64), "SkylakeX");
  assert_string_equal(CordsBlasBetterKernels("prescott", 32), "Haswell");
  assert_null(CordsBlasBetterKernels("Prescott", 16)); /* the right ones there */
  assert_null(CordsBlasBetterKernels("SkylakeX", 64));
  assert_null(CordsBlasBetterKernels("Haswell", 64)); /* somebody's choice */
  assert_null(CordsBlasBetterKernels(NULL, 64));
}

/* What OpenBLAS was asked for is what it says, and the advice follows from it. */
static void ThisProcess(void **state)
{
  const char *kernels = CordsBlasKernels(), *asked = getenv("OPENBLAS_CORETYPE");
  char advice[256] = "x";

  CordsBlasAdvice(sizeof advice, advice);
  if (!kernels) {
    assert_string_equal(advice, "");
    skip(); /* another BLAS */
  }
  print_message("OpenBLAS for %s; %s\n", kernels, advice);
  assert_true(kernels[0] != '\0');
  if (asked) assert_true(strcasecmp(kernels, asked) == 0);
  if (strcasecmp(kernels, "Prescott") != 0) assert_string_equal(advice, "");
  if (advice[0]) assert_non_null(strstr(advice, "OPENBLAS_CORETYPE="));
#if defined(__AVX2__)
  if (strcasecmp(kernels, "Prescott") == 0) assert_true(advice[0] != '\0');
#endif
}

static const struct CMUnitTest tests[] = {cmocka_unit_test(Names), cmocka_unit_test(ThisProcess)};
SUPPORT_MAIN(tests)
