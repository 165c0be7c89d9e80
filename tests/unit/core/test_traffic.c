/* What is counted is the sum of what was told, by kind. */
#include "core/traffic.h"

#include "support/support.h"

static void TestCounts(void **state)
{
  const CordsTraffic before = CordsTrafficSoFar(CORDS_TRAFFIC_HALO), other = CordsTrafficSoFar(CORDS_TRAFFIC_SUM);
  CordsTraffic after;

  CordsTrafficCount(CORDS_TRAFFIC_HALO, 2, 100);
  CordsTrafficCount(CORDS_TRAFFIC_HALO, 1, (PetscInt64)1 << 40);
  after = CordsTrafficSoFar(CORDS_TRAFFIC_HALO);
  assert_int_equal(after.messages - before.messages, 3);
  assert_int_equal(after.bytes - before.bytes, 100 + ((PetscInt64)1 << 40));
  assert_int_equal(CordsTrafficSoFar(CORDS_TRAFFIC_SUM).bytes, other.bytes);
}

static const struct CMUnitTest tests[] = {cmocka_unit_test(TestCounts)};
SUPPORT_MAIN(tests)
