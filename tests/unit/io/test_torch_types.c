/* Numbers of PyTorch's storages, against values known by heart. */
#include "io/torch_types.h"
#include "support/support.h"

#include <math.h>

static float Convert(const char *name, const char *bytes)
{
  for (PetscInt k = 0; k < cords_torch_type_count; k++) {
    if (strcmp(cords_torch_types[k].name, name) == 0)
      return cords_torch_types[k].to_float((const unsigned char *)bytes);
  }
  fail_msg("no type %s", name);
  return 0;
}

static void Floats(void **state)
{
  assert_true(Convert("float32", "\0\0\xc0\xbf") == -1.5F);
  assert_true(Convert("float64", "\0\0\0\0\0\0\xf8\xbf") == -1.5F);
  assert_true(isinf(Convert("float64", "\0\0\0\0\0\0\xf0\x7e"))); /* 1e301: no float32 */
  assert_true(Convert("bfloat16", "\xc0\xbf") == -1.5F);
  assert_true(Convert("float16", "\0\xbe") == -1.5F);
  assert_true(Convert("float16", "\xff\x7b") == 65504.0F);
  assert_true(Convert("float16", "\x01\0") == 0x1p-24F);          /* the smallest */
  assert_true(Convert("float16", "\xff\x03") == 1023 * 0x1p-24F); /* the largest below the normal ones */
  assert_true(Convert("float16", "\0\x04") == 0x1p-14F);
  assert_true(signbit(Convert("float16", "\0\x80")));
  assert_true(isinf(Convert("float16", "\0\xfc")) && isnan(Convert("float16", "\1\x7c")));
}

static void Integers(void **state)
{
  assert_true(Convert("int64", "\xff\xff\xff\xff\xff\xff\xff\xff") == -1);
  assert_true(Convert("int64", "\0\0\0\0\1\0\0\0") == 4294967296.0F);
  assert_true(Convert("int32", "\xfe\xff\xff\xff") == -2);
  assert_true(Convert("int16", "\xfe\xff") == -2);
  assert_true(Convert("int8", "\xfe") == -2);
  assert_true(Convert("uint8", "\xfe") == 254);
  assert_true(Convert("bool", "\1") == 1);
}

static void Sizes(void **state)
{
  static const char *const names[] = {"float32", "float64", "float16", "bfloat16", "int64",
                                      "int32",   "int16",   "int8",    "uint8",    "bool"};
  static const size_t sizes[] = {4, 8, 2, 2, 8, 4, 2, 1, 1, 1};

  assert_int_equal(cords_torch_type_count, 10);
  for (int k = 0; k < 10; k++) {
    assert_string_equal(cords_torch_types[k].name, names[k]);
    assert_int_equal(cords_torch_types[k].bytes, sizes[k]);
  }
}

static const struct CMUnitTest tests[] = {cmocka_unit_test(Floats), cmocka_unit_test(Integers),
                                          cmocka_unit_test(Sizes)};
SUPPORT_MAIN(tests)
