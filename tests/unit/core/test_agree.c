/* RANKS 1 2 4
   Ranks agree: on what one of them says, on what the first says; and it is counted. */
#include "core/agree.h"

#include "support/support.h"

static CordsTraffic Sent(CordsTraffic before)
{
  const CordsTraffic now = CordsTrafficSoFar(CORDS_TRAFFIC_CONTROL);

  return (CordsTraffic){now.messages - before.messages, now.bytes - before.bytes};
}

static void TestAny(void **state)
{
  const CordsTraffic before = CordsTrafficSoFar(CORDS_TRAFFIC_CONTROL),
                     said = CordsAgreeAnyTraffic(support_context.size);
  const PetscBool last = (PetscBool)(support_context.rank == support_context.size - 1);
  PetscBool anywhere = PETSC_FALSE;

  SupportCall(CordsAgreeAny(&support_context, last, &anywhere));
  assert_true(anywhere);
  assert_int_equal(Sent(before).messages, said.messages);
  assert_int_equal(Sent(before).bytes, said.bytes);
  assert_int_equal(said.messages, support_context.size - 1);
  SupportCall(CordsAgreeAny(&support_context, PETSC_FALSE, &anywhere));
  assert_false(anywhere);
}

static void TestFirst(void **state)
{
  const CordsTraffic before = CordsTrafficSoFar(CORDS_TRAFFIC_CONTROL);
  const PetscInt64 others = support_context.rank == 0 ? support_context.size - 1 : 0;
  PetscInt64 value = 7 + support_context.rank;

  SupportCall(CordsAgreeFirst(&support_context, sizeof value, &value));
  assert_int_equal(value, 7);
  assert_int_equal(Sent(before).messages, others);
  assert_int_equal(Sent(before).bytes, 8 * others);
}

static const struct CMUnitTest tests[] = {cmocka_unit_test(TestAny), cmocka_unit_test(TestFirst)};
SUPPORT_MAIN(tests)
