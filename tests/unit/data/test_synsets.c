/* The development kit's numbers, from text and from MATLAB 5 files; the index of a class is the rank of its id. */
#include "support/images.h"
#include "support/matlab.h"

#include "data/synsets.h"

static CordsSynsets synsets;

static void Read(const char *path, const char *words)
{
  char problem[CORDS_DATASET_PROBLEM] = "";

  SupportCall(CordsSynsetsRead(path, &synsets, problem));
  if (words ? !strstr(problem, words) || !strstr(problem, path) : problem[0] != '\0')
    fail_msg("'%s', expected '%s'", problem, words ? words : "");
}

static void Check(void)
{
  assert_int_equal(synsets.count, 3);
  assert_string_equal(synsets.sorted[0], "n01440764");
  assert_string_equal(synsets.sorted[2], "n03000000");
  assert_int_equal(synsets.index[1], 2);
  assert_int_equal(synsets.index[2], 0);
  assert_int_equal(synsets.index[3], 1);
  assert_int_equal(synsets.index[4], -1);
  assert_int_equal(synsets.index[0], -1);
}

static void WriteText(const char *path, const char *text)
{
  SupportWriteFile(path, strlen(text), text);
}

static void TestText(void **state)
{
  const char *path = SupportPath("synsets.txt");

  WriteText(path, "2 n01440764 tench\r\n1\tn03000000\n\n 3 n02000000 with words");
  Read(path, NULL);
  Check();
  WriteText(path, "n01440764\n");
  Read(path, "line 1 is not a number");
  WriteText(path, "1 n01440764\n1 n01440765\n");
  Read(path, "number 1 twice");
  WriteText(path, "1 n01440764\n2 n01440764\n");
  Read(path, "n01440764 twice");
  WriteText(path, "1 tench\n");
  Read(path, "WordNet id 'tench'");
  WriteText(path, "0 n01440764\n");
  Read(path, "number 0");
  WriteText(path, "");
  Read(path, "names no class");
  Read(SupportPath("nothing.txt"), "No such file");
}

static const SupportSynset listed[] = {{1, "n03000000"}, {2, "n01440764"}, {3, "n02000000"}, {1001, "n00001740"}};

static void TestMatlab(void **state)
{
  const char *path = SupportPath("meta.mat");

  for (int packed = 0; packed <= 1; packed++) {
    size_t length;
    uint8_t *bytes = SupportMatlabMake(4, listed, packed, &length);
    SupportWriteFile(path, length, bytes);
    Read(path, NULL);
    Check();
    for (size_t cut = 0; cut < length; cut += 3) {
      char problem[CORDS_DATASET_PROBLEM] = "";
      SupportWriteFile(path, cut, bytes);
      SupportCall(CordsSynsetsRead(path, &synsets, problem));
      if (cut + 100 < length) assert_true(problem[0]);
    }
    for (size_t at = 0; at < length; at++) { /* no crash */
      char problem[CORDS_DATASET_PROBLEM] = "";
      bytes[at] ^= 0xff;
      SupportWriteFile(path, length, bytes);
      SupportCall(CordsSynsetsRead(path, &synsets, problem));
      bytes[at] ^= 0xff;
    }
    free(bytes);
  }
  WriteText(path, "MATLAB");
  Read(path, "is not a little-endian MATLAB 5 file");
}

static void TestWnid(void **state)
{
  assert_true(CordsIsWnid("n01440764"));
  assert_false(CordsIsWnid("n0144076"));
  assert_false(CordsIsWnid("n014407645"));
  assert_false(CordsIsWnid("m01440764"));
  assert_false(CordsIsWnid(""));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(TestText),
    cmocka_unit_test(TestMatlab),
    cmocka_unit_test(TestWnid),
};

SUPPORT_MAIN(tests)
