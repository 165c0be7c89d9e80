/* Named tensors: exact round trip; a file of another architecture is refused with a sentence.
   RANKS 1 2 */
#include "io/tensors.h"
#include "support/support.h"

#include <math.h>

static float kernel[2 * 3 * 3 * 3], bias[2];

static CordsTensor tensors[] = {
    {"area_conv.0.weight", "out,in,row,column", "1", "recurrent kernel", 4, {2, 3, 3, 3}, kernel},
    {"area_conv.0.bias", "channel", "1", "bias", 1, {2}, bias},
};

/* Write the first `count` tensors. */
static void WriteFile(const char *path, PetscInt count)
{
  CordsH5 file;

  SupportFillF32(1, 54, kernel);
  SupportFillF32(2, 2, bias);
  SupportCall(CordsH5Create(&support_context, path, &file));
  SupportCall(CordsTensorsWrite(file, "parameters", count, tensors));
  SupportCall(CordsH5Commit(&file));
}

/* The sentence of reading `count` tensors. */
static const char *Refused(const char *path, PetscInt count)
{
  const char *sentence;
  CordsH5 file;

  SupportCall(CordsH5Open(&support_context, path, &file));
  sentence = SupportExpectUserError(CordsTensorsRead(file, "parameters", count, tensors));
  SupportCall(CordsH5Close(&file));
  assert_non_null(strstr(sentence, path));
  return sentence;
}

static void RoundTrip(void **state)
{
  const char *path = SupportPath("tensors.h5");
  float expected[54];
  CordsH5 file;

  assert_int_equal(CordsTensorSize(&tensors[0]), 54);
  WriteFile(path, 2);
  memcpy(expected, kernel, sizeof kernel);
  memset(kernel, 0, sizeof kernel);
  memset(bias, 0, sizeof bias);
  SupportCall(CordsH5Open(&support_context, path, &file));
  SupportCall(CordsTensorsRead(file, "parameters", 2, tensors));
  SupportCall(CordsH5Close(&file));
  assert_memory_equal(kernel, expected, sizeof kernel);
  SupportFillF32(2, 2, expected);
  assert_memory_equal(bias, expected, sizeof bias);
}

static void Missing(void **state)
{
  const char *path = SupportPath("missing.h5");

  WriteFile(path, 1);
  assert_non_null(strstr(Refused(path, 2), "no tensor 'area_conv.0.bias'"));
}

static void Unknown(void **state)
{
  const char *path = SupportPath("unknown.h5");

  WriteFile(path, 2);
  assert_non_null(strstr(Refused(path, 1), "a tensor 'area_conv.0.bias'"));
}

static void OtherShape(void **state)
{
  const char *path = SupportPath("shape.h5"), *sentence;

  WriteFile(path, 2);
  tensors[0].sizes[3] = 5;
  sentence = Refused(path, 2);
  tensors[0].sizes[3] = 3;
  assert_non_null(strstr(sentence, "[2,3,3,3]"));
  assert_non_null(strstr(sentence, "[2,3,3,5]"));
}

static void NotFinite(void **state)
{
  const char *path = SupportPath("nan.h5");
  CordsH5 file;

  SupportFillF32(1, 54, kernel);
  kernel[53] = NAN;
  SupportCall(CordsH5Create(&support_context, path, &file));
  SupportCall(CordsTensorsWrite(file, "parameters", 2, tensors));
  SupportCall(CordsH5Commit(&file));
  assert_non_null(strstr(Refused(path, 2), "[1,2,2,2]"));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(RoundTrip),  cmocka_unit_test(Missing),   cmocka_unit_test(Unknown),
    cmocka_unit_test(OtherShape), cmocka_unit_test(NotFinite),
};

SUPPORT_MAIN(tests)
