/* What is written is read back bit by bit; tests/commands/test_convert.py lets PyTorch read it. */
#include "io/torch_reader.h"
#include "io/torch_writer.h"
#include "io/zip_reader.h"
#include "support/support.h"

static float numbers[2][24];
static const CordsTensor tensors[2] = {{.name = "area_conv.0.parametrizations.weight.original1",
                                        .dimensions = 4,
                                        .sizes = {1, 2, 4, 3},
                                        .data = numbers[0]},
                                       {.name = "out_fc.bias", .dimensions = 1, .sizes = {24}, .data = numbers[1]}};

static void RoundTrip(void **state)
{
  const char *path = SupportPath("some name.pth"), *const extra[] = {"words", "two\nlines\n", NULL};
  const CordsTorchTensor *found;
  CordsTorchReader reader;
  PetscInt count;
  float back[24];
  char *text;

  for (uint64_t k = 0; k < 2; k++) SupportFillF32(k, 24, numbers[k]);
  numbers[1][0] = -0.0F;
  numbers[1][1] = 1e-45F;
  SupportCall(CordsTorchWrite(path, 2, tensors, extra));
  SupportCall(CordsTorchOpen(path, "", &reader));
  SupportCall(CordsTorchTensors(reader, &count, &found));
  assert_int_equal(count, 2);
  for (PetscInt k = 0; k < 2; k++) {
    assert_string_equal(found[k].name, tensors[k].name);
    assert_string_equal(found[k].type, "float32");
    assert_int_equal(found[k].dimensions, tensors[k].dimensions);
    for (PetscInt d = 0; d < found[k].dimensions; d++) assert_int_equal(found[k].sizes[d], tensors[k].sizes[d]);
    SupportCall(CordsTorchRead(reader, k, back));
    assert_memory_equal(back, numbers[k], sizeof back);
  }
  SupportCall(CordsTorchExtra(reader, "words", &text));
  assert_string_equal(text, "two\nlines\n");
  SupportCall(PetscFree(text));
  SupportCall(CordsTorchExtra(reader, "other words", &text));
  assert_null(text);
  SupportCall(CordsTorchClose(&reader));
}

/* The folder of the entries is the file's stem, or a harmless word where that could be none. */
static void Prefix(void **state)
{
  static const char *const names[][2] = {{"net.v2.pth", "net.v2/data.pkl"},
                                         {"with space.pth", "archive/data.pkl"},
                                         {".pth", "archive/data.pkl"},
                                         {"noending", "noending/data.pkl"}};

  for (int k = 0; k < 4; k++) {
    const char *path = SupportPath(names[k][0]);
    CordsZipReader zip;
    SupportCall(CordsTorchWrite(path, 2, tensors, NULL));
    SupportCall(CordsZipOpen(path, &zip));
    assert_true(CordsZipFind(zip, names[k][1]) >= 0);
    SupportCall(CordsZipClose(&zip));
  }
}

static const struct CMUnitTest tests[] = {cmocka_unit_test(RoundTrip), cmocka_unit_test(Prefix)};
SUPPORT_MAIN(tests)
