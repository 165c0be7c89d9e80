/* Arrays: zero, aligned, items one after the other; sizes that cannot be. */
#include "core/array.h"
#include "support/support.h"

static void TestArray(void **state)
{
  for (int type = CORDS_F32; type <= CORDS_F64; type++) {
    size_t size = type == CORDS_F64 ? 8 : 4;
    CordsArray a;
    assert_int_equal(CordsTypeSize((CordsType)type), size);
    SupportCall(CordsArrayCreate((CordsType)type, 3, 7, &a));
    assert_int_equal((uintptr_t)a.data % 64, 0);
    assert_int_equal((char *)CordsArrayItem(&a, 2) - (char *)a.data, 14 * (ptrdiff_t)size);
    for (size_t k = 0; k < 21 * size; k++) assert_int_equal(((char *)a.data)[k], 0);
    SupportCall(CordsArrayDestroy(&a));
    assert_null(a.data);
    SupportCall(CordsArrayDestroy(&a)); /* again does nothing */
    SupportCall(CordsArrayCreate((CordsType)type, 0, 7, &a));
    SupportCall(CordsArrayDestroy(&a));
  }
}

static PetscErrorCode Huge(CordsArray *a)
{
  return CordsArrayCreate(CORDS_F64, PETSC_MAX_INT, PETSC_MAX_INT, a);
}

static void TestHuge(void **state)
{
  CordsArray a = {0};
  PetscErrorCode ierr;

#ifdef __SANITIZE_ADDRESS__
  skip(); /* it stops the program instead of refusing the memory */
#endif
  SupportErrorsBegin();
  ierr = Huge(&a);
  SupportCall(PetscPopErrorHandler());
  assert_int_equal(ierr, PETSC_ERR_MEM);
}

static const struct CMUnitTest tests[] = {cmocka_unit_test(TestArray), cmocka_unit_test(TestHuge)};
SUPPORT_MAIN(tests)
