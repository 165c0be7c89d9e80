/* The /run group says how a file was made.
   RANKS 1 2 */
#include "io/run_info.h"
#include "core/version.h"
#include "support/support.h"

#include <stdio.h>

/* A file with three letters; its digest is the first example of the standard (FIPS 180-4). */
static const char abc[] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

static void PutLetters(const char *path)
{
  if (support_context.rank == 0) {
    FILE *out = fopen(path, "w");

    assert_non_null(out);
    fputs("abc", out);
    assert_int_equal(fclose(out), 0);
  }
  SupportCall(MPI_Barrier(support_context.comm));
}

static void DigestOfBytes(void **state)
{
  char digest[65];

  SupportCall(CordsRunInfoDigestBytes(3, "abc", digest));
  assert_string_equal(digest, abc);
}

static void Libraries(void **state)
{
  static const char *const names[] = {"cords ", "Open MPI", "PETSc 3.", "SLEPc 3.", "HDF5 1.", "oneDNN ", "zlib 1."};
  char *text;

  SupportCall(CordsRunInfoLibraries(&text));
  if (support_context.rank == 0) print_message("%s\n", text);
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    if (!strstr(text, names[i])) print_error("%s is not in the list\n", names[i]);
    assert_non_null(strstr(text, names[i]));
  }
  SupportCall(PetscFree(text));
}

/* The attribute of /run contains the text. */
static void Expect(CordsH5 file, const char *attribute, const char *expected)
{
  char *text;

  SupportCall(CordsH5ReadText(file, "run", attribute, &text));
  if (!text || !strstr(text, expected)) print_error("%s: '%s'\n", attribute, text ? text : "(none)");
  assert_non_null(text);
  assert_non_null(strstr(text, expected));
  assert_true(!strcmp(attribute, "libraries") || !strchr(text, '\n'));
  SupportCall(PetscFree(text));
}

static void Group(void **state)
{
  const char *path = SupportPath("run.h5"), *input = SupportPath("input");
  char text[PETSC_MAX_PATH_LEN + 80];
  PetscInt64 value;
  CordsH5 file;

  PutLetters(input);
  SupportCall(PetscOptionsSetValue(NULL, "-images_of_test", "7"));
  SupportCall(PetscOptionsSetValue(NULL, "-other_of_test", "8"));
  SupportCall(CordsH5Create(&support_context, path, &file));
  SupportCall(CordsRunInfoWrite(&support_context, file, "analyse stability", 1, &input));
  SupportCall(CordsH5Commit(&file));
  SupportCall(CordsH5Open(&support_context, path, &file));
  Expect(file, "command", "analyse stability");
  Expect(file, "options", "-images_of_test 7");
  Expect(file, "options", "-other_of_test 8");
  Expect(file, "version", cords_version);
  Expect(file, "commit", cords_commit);
  Expect(file, "compiler", cords_compiler);
  Expect(file, "build_type", cords_build_type);
  Expect(file, "libraries", "PETSc 3.");
  Expect(file, "date", "T");
  Expect(file, "host", "");
  snprintf(text, sizeof text, "sha256:%s %s", abc, input);
  Expect(file, "input_0", text);
  SupportCall(CordsH5ReadInt(file, "run", "ranks", NULL, &value));
  assert_int_equal(value, support_context.size);
  SupportCall(CordsH5ReadInt(file, "run", "threads", NULL, &value));
  assert_true(value >= 1);
  SupportCall(CordsH5ReadInt(file, "run", "seed", NULL, &value));
  assert_int_equal(value, 1);
  SupportCall(CordsH5Close(&file));
}

static void BadInputs(void **state)
{
  const char *const inputs[] = {SupportPath("none"), SupportPath("")}, *const words[] = {"No such file", "directory"};
  CordsH5 file;

  SupportCall(CordsH5Create(&support_context, SupportPath("missing.h5"), &file));
  for (int i = 0; i < 2; i++) {
    const char *sentence = SupportExpectUserError(CordsRunInfoWrite(&support_context, file, "train", 1, &inputs[i]));
    assert_non_null(strstr(sentence, inputs[i]));
    assert_non_null(strstr(sentence, words[i]));
  }
  SupportCall(CordsH5Close(&file));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(DigestOfBytes),
    cmocka_unit_test(Libraries),
    cmocka_unit_test(Group),
    cmocka_unit_test(BadInputs),
};

SUPPORT_MAIN(tests)
