/* A user's mistake is one line on standard error and exit status 2, and leaves no unfinished file. */
#include "support/support.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

static PetscErrorCode Inner(void)
{
  PetscFunctionBegin;
  CordsCheckUser(1 + 1 == 2, PETSC_COMM_WORLD, "not this one");
  CordsCheckUser(1 + 1 == 3, PETSC_COMM_WORLD, "-count %d: must be at least %d", 3, 5);
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode Outer(void)
{
  PetscFunctionBegin;
  PetscCall(Inner());
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* What a call prints to standard error while the handler of cords is active. */
static PetscErrorCode Capture(PetscErrorCode (*call)(void), size_t length, char *text)
{
  const char *path = SupportPath("stderr");
  int saved = dup(STDERR_FILENO), file = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
  PetscErrorCode ierr;
  ssize_t count;

  assert_true(saved >= 0 && file >= 0);
  fflush(stderr);
  dup2(file, STDERR_FILENO);
  SupportCall(CordsErrorHandlerPush());
  ierr = call();
  SupportCall(PetscPopErrorHandler());
  fflush(stderr);
  dup2(saved, STDERR_FILENO);
  close(saved);
  count = pread(file, text, length - 1, 0);
  close(file);
  text[count > 0 ? count : 0] = '\0';
  return ierr;
}

/* Kept, not printed; then printed again as before. */
static PetscErrorCode Caught(void)
{
  const char *sentence;
  PetscErrorCode ierr;

  SupportCall(CordsErrorCatchBegin());
  ierr = Outer();
  SupportCall(CordsErrorCatchEnd(&sentence));
  assert_int_equal(ierr, CORDS_ERR_USER);
  assert_string_equal(sentence, "-count 3: must be at least 5");
  SupportCall(CordsErrorCatchBegin());
  SupportCall(CordsErrorCatchEnd(&sentence));
  assert_string_equal(sentence, "");
  return PETSC_SUCCESS;
}

static void TestCatch(void **state)
{
  char text[1024];

  assert_int_equal(Capture(Caught, sizeof text, text), PETSC_SUCCESS);
  assert_string_equal(text, "");
  assert_int_equal(Capture(Outer, sizeof text, text), CORDS_ERR_USER);
  assert_string_equal(text, "cords: -count 3: must be at least 5\n");
}

static void TestOneLine(void **state)
{
  char text[1024];

  assert_int_equal(Capture(Outer, sizeof text, text), CORDS_ERR_USER);
  assert_string_equal(text, "cords: -count 3: must be at least 5\n");
}

static void TestExit(void **state)
{
  const char *path = SupportPath("half.h5.part"), *other = SupportPath("done.h5");
  char text[1024];
  FILE *file = fopen(path, "w");

  fclose(file);
  file = fopen(other, "w");
  fclose(file);
  CordsErrorSetUnfinished(other);
  CordsErrorSetUnfinished(NULL);
  assert_int_equal(CordsErrorExit(PETSC_SUCCESS), CORDS_EXIT_SUCCESS);
  assert_int_equal(Capture(Outer, sizeof text, text), CORDS_ERR_USER);
  CordsErrorSetUnfinished(path);
  assert_int_equal(CordsErrorExit(PETSC_SUCCESS), CORDS_EXIT_SUCCESS);
  assert_int_equal(access(path, F_OK), 0); /* success removes nothing */
  assert_int_equal(CordsErrorExit(CORDS_ERR_USER), CORDS_EXIT_USER);
  assert_int_not_equal(access(path, F_OK), 0);
  assert_int_equal(access(other, F_OK), 0);
  CordsErrorSetUnfinished(NULL);
}

static const struct CMUnitTest tests[] = {cmocka_unit_test(TestCatch), cmocka_unit_test(TestOneLine),
                                          cmocka_unit_test(TestExit)};
SUPPORT_MAIN(tests)
