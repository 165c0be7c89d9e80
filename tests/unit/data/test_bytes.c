/* A buffer grows, is used again, and says when there is no memory. */
#include "support/support.h"

#include "data/bytes.h"

static void TestResize(void **state)
{
  CordsBytes buffer = {0};
  uint8_t *first;

  assert_true(CordsBytesResize(&buffer, 1000));
  first = buffer.bytes;
  memset(first, 7, 1000);
  assert_true(CordsBytesResize(&buffer, 10));
  assert_ptr_equal(buffer.bytes, first);
  assert_int_equal(buffer.length, 10);
  assert_true(CordsBytesResize(&buffer, 1001));
  assert_true(buffer.capacity >= 2000);
  memset(buffer.bytes, 7, 1001);
  assert_false(CordsBytesResize(&buffer, (size_t)1 << 62));
  assert_int_equal(buffer.length, 1001);
  CordsBytesFree(&buffer);
  assert_null(buffer.bytes);
  assert_true(CordsBytesResize(&buffer, 0));
  CordsBytesFree(&buffer);
}

static const struct CMUnitTest tests[] = {cmocka_unit_test(TestResize)};

SUPPORT_MAIN(tests)
