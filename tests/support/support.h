/* What every C test starts with: MPI and SLEPc once per program, temporary folders, comparisons with a message. */
#ifndef CORDS_TESTS_SUPPORT_H
#define CORDS_TESTS_SUPPORT_H

#include "core/config.h"
#include "core/context.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

extern CordsContextData support_context; /* world, seed 1; valid inside tests */

/* Fail the test (with PETSc's traceback above) if a call returned an error. */
#define SupportCall(...) assert_int_equal((__VA_ARGS__), PETSC_SUCCESS)

/* Expect a user error: returns its sentence; fails the test if there was none. */
#define SupportExpectUserError(call) (SupportErrorsBegin(), SupportErrorsEnd(call))
void SupportErrorsBegin(void);
const char *SupportErrorsEnd(PetscErrorCode ierr);

/* Path of a file in this test's temporary folder (removed at exit; the same on all ranks).  Static buffer ring of 8. */
const char *SupportPath(const char *name);

/* max |a − b| / max |b| of two arrays; fails the test above the tolerance, naming `what`. */
void SupportCompareF32(const char *what, PetscInt64 n, const float *a, const float *b, double tolerance);
void SupportCompareF64(const char *what, PetscInt64 n, const double *a, const double *b, double tolerance);

/* Pseudo-random numbers in ±1, a function of (stream, position). */
double SupportRandom(uint64_t stream, uint32_t position);
void SupportFillF32(uint64_t stream, PetscInt64 n, float *a);
void SupportFillF64(uint64_t stream, PetscInt64 n, double *a);

/* Use in main: starts MPI/SLEPc, runs the tests, finishes; prints a rank's failures. */
int SupportRun(int argc, char **argv, int (*run)(void));

#define SUPPORT_MAIN(tests)                                                                                            \
  static int RunAll(void)                                                                                              \
  {                                                                                                                    \
    return cmocka_run_group_tests(tests, NULL, NULL);                                                                  \
  }                                                                                                                    \
  int main(int argc, char **argv)                                                                                      \
  {                                                                                                                    \
    return SupportRun(argc, argv, RunAll);                                                                             \
  }

#endif
