/* -precision: what it gives, where the machine lacks bf16, and that strict means strict. */
#include "conv/precision.h"

#include "support/support.h"

#include <stdlib.h>

static PetscErrorCode Read(const char *options, CordsType *type)
{
  SupportCall(PetscOptionsClear(NULL));
  SupportCall(PetscOptionsInsertString(NULL, options));
  return CordsPrecisionFromOptions(type);
}

static void TestWords(void **state)
{
  CordsType type;

  SupportCall(Read("", &type));
  assert_int_equal(type, CORDS_F32);
  SupportCall(Read("-precision bf16", &type));
  assert_int_equal(type, CordsPrecisionHas(CORDS_BF16) ? CORDS_BF16 : CORDS_F32);
  assert_non_null(strstr(SupportExpectUserError(Read("-precision bf61", &type)), "bf16"));
}

static void TestMissing(void **state)
{
  CordsType type;

  setenv("CORDS_TEST_NO_BF16", "1", 1);
  assert_false(CordsPrecisionHas(CORDS_BF16));
  SupportCall(Read("-precision bf16", &type));
  assert_int_equal(type, CORDS_F32);
  assert_non_null(strstr(SupportExpectUserError(Read("-precision bf16 -precision_strict", &type)), "-precision bf16"));
  SupportCall(Read("-precision f32 -precision_strict", &type));
  unsetenv("CORDS_TEST_NO_BF16");
}

static const struct CMUnitTest tests[] = {cmocka_unit_test(TestWords), cmocka_unit_test(TestMissing)};
SUPPORT_MAIN(tests)
