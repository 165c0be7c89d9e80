/* Memory of any size: aligned, writable to its end, refused with a sentence where there is none. */
#include "core/allocate.h"
#include "support/support.h"

#include <stdlib.h>

static void TestSizes(void **state)
{
  static const size_t sizes[] = {0, 1, 1000, (4 << 20) - 1, 4 << 20, (5 << 20) + 17};

  for (size_t k = 0; k < PETSC_STATIC_ARRAY_LENGTH(sizes); k++) {
    unsigned char *bytes;
    SupportCall(CordsAllocate(sizes[k], &bytes));
    assert_int_equal((uintptr_t)bytes % 64, 0);
    memset(bytes, 3, sizes[k]);
    if (sizes[k] > 0) assert_int_equal(bytes[sizes[k] - 1], 3);
    free(bytes);
  }
}

static void TestTooMuch(void **state)
{
  void *bytes = NULL;

  PetscPushErrorHandler(PetscIgnoreErrorHandler, NULL);
  assert_int_not_equal(CordsAllocate(SIZE_MAX / 4, &bytes), PETSC_SUCCESS);
  PetscPopErrorHandler();
  assert_null(bytes);
}

static const struct CMUnitTest tests[] = {cmocka_unit_test(TestSizes), cmocka_unit_test(TestTooMuch)};
SUPPORT_MAIN(tests)
