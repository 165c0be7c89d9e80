/* Options: ranges, lists, suggestions, YAML files, and who wins. */
#include "support/support.h"

#include <stdio.h>

static void Give(const char *options)
{
  SupportCall(PetscOptionsClear(NULL));
  SupportCall(PetscOptionsInsertString(NULL, options));
}

static const char *WriteYaml(const char *text)
{
  const char *path = SupportPath("options.yaml");
  FILE *file = fopen(path, "w");

  fputs(text, file);
  fclose(file);
  return path;
}

/* The options of a file, with `options` on the command line. */
static PetscErrorCode Begin(const char *yaml, const char *options)
{
  char line[PETSC_MAX_PATH_LEN + 512];

  snprintf(line, sizeof line, "-config %s %s", WriteYaml(yaml), options);
  Give(line);
  return CordsConfigBegin();
}

static void TestNumbers(void **state)
{
  PetscInt count = 7;
  PetscReal step = 0.5;

  Give("");
  SupportCall(CordsOptionInt("-count", "how many", "", 1, 10, &count));
  SupportCall(CordsOptionReal("-step", "how far", "ms", 0, 1, &step));
  assert_int_equal(count, 7);
  assert_true(step == 0.5);
  Give("-count 10 -step 1e-3");
  SupportCall(CordsOptionInt("-count", "how many", "", 1, 10, &count));
  SupportCall(CordsOptionReal("-step", "how far", "ms", 0, 1, &step));
  assert_int_equal(count, 10);
  assert_true(step == 1e-3);
}

static void TestBadNumbers(void **state)
{
  static const char *const bad[] = {"-count 11",  "-count 0",   "-count 2.5",  "-count three", "-count 3x",
                                    "-count nan", "-count inf", "-count 1e30", "-count"};
  PetscInt count = 7;
  PetscReal step = 0.5;

  for (size_t k = 0; k < sizeof bad / sizeof bad[0]; k++) {
    Give(bad[k]);
    assert_non_null(strstr(SupportExpectUserError(CordsOptionInt("-count", "how many", "", 1, 10, &count)), "-count"));
  }
  Give("-step 1.5");
  assert_non_null(strstr(SupportExpectUserError(CordsOptionReal("-step", "how far", "ms", 0, 1, &step)),
                         "-step 1.5: must be between 0"));
  Give("-step fast");
  assert_non_null(strstr(SupportExpectUserError(CordsOptionReal("-step", "", "ms", 0, 1, &step)), "not a number"));
}

static void TestBytes(void **state)
{
  static const char *const bad[] = {"-memory nan", "-memory -1GB", "-memory 2XB", "-memory GB",
                                    "-memory 0",   "-memory 2gb",  "-memory"};
  double bytes = 0;

  Give("");
  SupportCall(CordsOptionBytes("-memory", "how much", &bytes));
  assert_true(bytes == 0);
  Give("-memory 1.5GB");
  SupportCall(CordsOptionBytes("-memory", "how much", &bytes));
  assert_true(bytes == 1.5e9);
  Give("-memory 2MiB");
  SupportCall(CordsOptionBytes("-memory", "how much", &bytes));
  assert_true(bytes == 2097152);
  for (size_t k = 0; k < sizeof bad / sizeof bad[0]; k++) {
    Give(bad[k]);
    assert_non_null(strstr(SupportExpectUserError(CordsOptionBytes("-memory", "how much", &bytes)), "with its unit"));
  }
}

static void TestTime(void **state)
{
  static const struct {
    const char *text;
    double seconds;
  } good[] = {{"-limit 3h59m", 14340},       {"-limit 90s", 90},       {"-limit 2h", 7200},   {"-limit 1:30:00", 5400},
              {"-limit 2-00:00:01", 172801}, {"-limit 1d12h", 129600}, {"-limit 1.5h", 5400}, {"-limit 0:00:30", 30},
              {"-limit 100:00:00", 360000}};
  static const char *const bad[] = {
      "-limit 90",      "-limit 0s",      "-limit soon", "-limit -2h",       "-limit 2h-3m",    "-limit 1:30",
      "-limit 1:60:00", "-limit 1:00:61", "-limit 3m2h", "-limit h",         "-limit 1:30:00s", "-limit nan",
      "-limit 1e3s",    "-limit",         "-limit 2h2h", "-limit 99999999d", "-limit 1:-3:00",  "-limit 0:00:00"};
  double seconds = 0;

  Give("");
  SupportCall(CordsOptionTime("-limit", "how long", &seconds));
  assert_true(seconds == 0);
  for (size_t k = 0; k < sizeof good / sizeof good[0]; k++) {
    Give(good[k].text);
    SupportCall(CordsOptionTime("-limit", "how long", &seconds));
    assert_true(seconds == good[k].seconds);
  }
  for (size_t k = 0; k < sizeof bad / sizeof bad[0]; k++) {
    Give(bad[k]);
    assert_non_null(strstr(SupportExpectUserError(CordsOptionTime("-limit", "how long", &seconds)), "with its units"));
  }
}

static void TestBool(void **state)
{
  static const char *const yes[] = {"-flag", "-flag true", "-flag yes", "-flag on", "-flag 1", "-flag True"};
  static const char *const no[] = {"-flag false", "-flag no", "-flag off", "-flag 0", "-flag FALSE"};
  PetscBool flag;

  for (size_t k = 0; k < sizeof yes / sizeof yes[0]; k++) {
    Give(yes[k]);
    flag = PETSC_FALSE;
    SupportCall(CordsOptionBool("-flag", "whether", &flag));
    assert_true(flag);
  }
  for (size_t k = 0; k < sizeof no / sizeof no[0]; k++) {
    Give(no[k]);
    flag = PETSC_TRUE;
    SupportCall(CordsOptionBool("-flag", "whether", &flag));
    assert_false(flag);
  }
  Give("-flag maybe");
  assert_non_null(strstr(SupportExpectUserError(CordsOptionBool("-flag", "whether", &flag)), "true or false"));
}

static void TestStringAndChoice(void **state)
{
  static const char *const names[] = {"sgd", "adamw"};
  char text[8] = "a";
  PetscInt choice = 1;

  Give("-name 1234567");
  SupportCall(CordsOptionString("-name", "the name", sizeof text, text));
  assert_string_equal(text, "1234567");
  Give("-name 12345678");
  assert_non_null(strstr(SupportExpectUserError(CordsOptionString("-name", "", sizeof text, text)), "7 characters"));
  Give("-name -other 3");
  assert_non_null(strstr(SupportExpectUserError(CordsOptionString("-name", "the name", 8, text)), "has no value"));
  Give("-kind sgd");
  SupportCall(CordsOptionChoice("-kind", "optimiser", 2, names, &choice));
  assert_int_equal(choice, 0);
  Give("-kind adam");
  assert_non_null(strstr(SupportExpectUserError(CordsOptionChoice("-kind", "", 2, names, &choice)), "'adamw'"));
  assert_non_null(strstr(SupportExpectUserError(CordsOptionRequire("-out", "", "the folder")), "-out is missing"));
  SupportCall(CordsOptionRequire("-out", "here", "the folder"));
}

static void TestLists(void **state)
{
  PetscInt count = 4, values[4] = {9, 9, 9, 9};
  PetscReal reals[2];

  Give("");
  SupportCall(CordsOptionIntArray("-list", "numbers", "", 0, 100, &count, values));
  assert_int_equal(count, 0);
  assert_int_equal(values[0], 9);
  Give("-list 1,2,30");
  count = 4;
  SupportCall(CordsOptionIntArray("-list", "numbers", "", 0, 100, &count, values));
  assert_int_equal(count, 3);
  assert_int_equal(values[2], 30);
  assert_int_equal(values[3], 9);
  for (int k = 0; k < 5; k++) {
    static const char *const bad[] = {"-list 1,2,3,4,5", "-list 1,,2", "-list 1,101", "-list 1,2.5", "-list"};
    Give(bad[k]);
    count = 4;
    assert_non_null(
        strstr(SupportExpectUserError(CordsOptionIntArray("-list", "", "", 0, 100, &count, values)), "-list"));
  }
  Give("-reals 0.5,2");
  count = 2;
  SupportCall(CordsOptionRealArray("-reals", "numbers", "", 0, 10, &count, reals));
  assert_true(count == 2 && reals[0] == 0.5 && reals[1] == 2);
}

static void TestUnknown(void **state)
{
  PetscInt count = 3;
  const char *sentence;

  Give("-fixed_points_count 3");
  SupportCall(CordsOptionInt("-fixed_points_count", "how many", "", 1, 10, &count));
  SupportCall(CordsConfigCheck());
  Give("-fixed_point_count 3");
  SupportCall(CordsOptionInt("-fixed_points_count", "how many", "", 1, 10, &count));
  sentence = SupportExpectUserError(CordsConfigCheck());
  assert_non_null(strstr(sentence, "option -fixed_point_count"));
  assert_non_null(strstr(sentence, "did you mean -fixed_points_count"));
  Give("-qqqqqqqqqqqqqqqqqqqq");
  assert_null(strstr(SupportExpectUserError(CordsConfigCheck()), "did you mean"));
  SupportCall(CordsConfigKnow("-spectrum_eps_tol"));
  Give("-spectrum_eps_tal 1");
  assert_non_null(strstr(SupportExpectUserError(CordsConfigCheck()), "-spectrum_eps_tol"));
  Give("-fixed_points_count 3"); /* read late by the program */
  SupportCall(CordsConfigLater("-fixed_points_"));
  SupportCall(CordsConfigCheck());
  Give("-fixed_points_cuont 3");
  SupportCall(CordsConfigLater("-fixed_points_"));
  assert_non_null(strstr(SupportExpectUserError(CordsConfigCheck()), "did you mean -fixed_points_count"));
  Give("-snes_view"); /* read late by the library */
  SupportCall(CordsConfigCheck());
}

static void TestYaml(void **state)
{
  static const char yaml[] = "spectrum: {count: 20}\narea:\n  tau: [10, 20]\n  name: deep\nflag: true\n";
  PetscInt count = 0, taus = 4;
  PetscReal tau[4];
  char name[16] = "";
  PetscBool flag = PETSC_FALSE;

  SupportCall(Begin(yaml, ""));
  SupportCall(CordsOptionInt("-spectrum_count", "", "", 1, 100, &count));
  SupportCall(CordsOptionRealArray("-area_tau", "", "ms", 0, 100, &taus, tau));
  SupportCall(CordsOptionString("-area_name", "", sizeof name, name));
  SupportCall(CordsOptionBool("-flag", "", &flag));
  assert_int_equal(count, 20);
  assert_true(taus == 2 && tau[1] == 20);
  assert_string_equal(name, "deep");
  assert_true(flag);
  SupportCall(CordsConfigCheck());
}

static void TestCommandLineWins(void **state)
{
  PetscInt count = 0;
  PetscBool flag = PETSC_FALSE;
  char name[32] = "";

  Give("-spectrum_count 5 -flag -other");
  SupportCall(PetscOptionsSetValue(NULL, "-config", WriteYaml("spectrum: {count: 20}\nname: file\n")));
  SupportCall(PetscOptionsSetValue(NULL, "-name", "two words")); /* a folder with a space in its name */
  SupportCall(CordsConfigBegin());
  SupportCall(CordsOptionInt("-spectrum_count", "", "", 1, 100, &count));
  assert_int_equal(count, 5);
  SupportCall(CordsOptionString("-name", "", sizeof name, name));
  assert_string_equal(name, "two words");
  SupportCall(CordsOptionBool("-flag", "", &flag));
  assert_true(flag);
  assert_non_null(strstr(SupportExpectUserError(CordsConfigCheck()), "-other"));
}

static void TestBadYaml(void **state)
{
  PetscInt count = 1;

  assert_non_null(strstr(SupportExpectUserError(Begin("a:\n\tb: 1\n", "")), "line 2 is indented with a tab"));
  assert_non_null(strstr(SupportExpectUserError(Begin("a: [1, 2\nb: }\n", "")), "not a readable YAML file"));
  Give("-config /nowhere/at/all.yaml");
  assert_non_null(strstr(SupportExpectUserError(CordsConfigBegin()), "/nowhere/at/all.yaml: No such file"));
  SupportCall(Begin("spectrum:\n  count: many\n", ""));
  assert_non_null(strstr(SupportExpectUserError(CordsOptionInt("-spectrum_count", "", "", 1, 9, &count)), "many"));
  SupportCall(Begin("spektrum:\n  count: 3\n", ""));
  SupportCall(CordsOptionInt("-spectrum_count", "", "", 1, 9, &count));
  assert_non_null(strstr(SupportExpectUserError(CordsConfigCheck()), "-spectrum_count"));
}

static void TestYamlReferences(void **state)
{
  static const char *const endless[] = {"a: &a {b: *a}\n", "a: &a\n  b: *a\n", "a: &a\n- *a\n", "a: &a {b:\n*a}\n",
                                        "a: &a [1, 1]\nb: &b [*a, *a]\n"};
  PetscInt count = 1, other = 1;

  SupportCall(Begin("spectrum: &both  # of both\n  count: 3\n\nother: *both\nname: R&D\n", ""));
  SupportCall(CordsOptionInt("-spectrum_count", "", "", 1, 9, &count));
  SupportCall(CordsOptionInt("-other_count", "", "", 1, 9, &other));
  assert_int_equal(count, 3);
  assert_int_equal(other, 3);
  for (size_t k = 0; k < PETSC_STATIC_ARRAY_LENGTH(endless); k++)
    assert_non_null(strstr(SupportExpectUserError(Begin(endless[k], "")), "inside an anchored value"));
}

static void TestUsed(void **state)
{
  char *text;

  Give("-seed 5 -name deep");
  SupportCall(CordsConfigUsed(&text));
  assert_non_null(strstr(text, "-seed 5"));
  assert_non_null(strstr(text, "-name deep"));
  SupportCall(PetscFree(text));
}

static const struct CMUnitTest tests[] = {cmocka_unit_test(TestNumbers),
                                          cmocka_unit_test(TestBadNumbers),
                                          cmocka_unit_test(TestBytes),
                                          cmocka_unit_test(TestTime),
                                          cmocka_unit_test(TestBool),
                                          cmocka_unit_test(TestLists),
                                          cmocka_unit_test(TestStringAndChoice),
                                          cmocka_unit_test(TestUnknown),
                                          cmocka_unit_test(TestYaml),
                                          cmocka_unit_test(TestCommandLineWins),
                                          cmocka_unit_test(TestBadYaml),
                                          cmocka_unit_test(TestYamlReferences),
                                          cmocka_unit_test(TestUsed)};
SUPPORT_MAIN(tests)
