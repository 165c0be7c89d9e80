/* Errors of cords: PETSc's style, three kinds kept apart.

   - The user made a mistake (file, option, value): CordsCheckUser / CordsUserError.  One line that names the
     thing, what was found and what would be right; exit status CORDS_EXIT_USER.
   - cords made a mistake: PetscCheck / PetscAssert.  PETSc's traceback; exit status CORDS_EXIT_INTERNAL.
   - A solver did not converge: not an error.  The result carries the reason and the reached residual. */
#ifndef CORDS_CORE_ERROR_H
#define CORDS_CORE_ERROR_H

#include <petscsys.h>

/* Debian 12 has PETSc 3.18; this spells its success as later versions do. */
#if PETSC_VERSION_LT(3, 19, 0)
#define PETSC_SUCCESS 0
#endif

enum {
  CORDS_EXIT_SUCCESS = 0,
  CORDS_EXIT_INTERNAL = 1, /* a bug in cords or a library; the traceback says where */
  CORDS_EXIT_USER = 2,     /* input, option or environment; one line says what and what would be right */
  CORDS_EXIT_STOPPED =
      75 /* stopped by a signal or a time limit after saving; the same command line continues (EX_TEMPFAIL) */
};

/* The code that travels up the call chain for a user's mistake. */
#define CORDS_ERR_USER PETSC_ERR_USER

/* Report a user's mistake and return.  comm: the ranks that all reach this line with the same message (then
   the first of them prints), or PETSC_COMM_SELF if only this rank knows. */
#define CordsUserError(comm, ...) SETERRQ(comm, CORDS_ERR_USER, __VA_ARGS__)

#define CordsCheckUser(condition, comm, ...)                                                                           \
  do {                                                                                                                 \
    if (PetscUnlikely(!(condition))) CordsUserError(comm, __VA_ARGS__);                                                \
  } while (0)

/* Install the handler that prints user errors as one line.  Not collective; call once after PetscInitialize. */
PetscErrorCode CordsErrorHandlerPush(void);

/* From here to CordsErrorCatchEnd a user's mistake is kept and not printed, for work that has an answer to it; other
   errors are reported as ever.  Not nested.  Not collective. */
PetscErrorCode CordsErrorCatchBegin(void);
/* sentence: of the first mistake since then, "" if there was none; valid until the next CordsErrorCatchBegin. */
PetscErrorCode CordsErrorCatchEnd(const char **sentence);

/* Name a file that must not outlive a failed run (an unfinished .part file).  Pass NULL to forget it again.
   At most one such file is open at a time.  Not collective. */
void CordsErrorSetUnfinished(const char *path);

/* End the program after an error: remove the unfinished file and, where only some ranks know of the error, abort
   the others.  Returns the exit status for main. */
int CordsErrorExit(PetscErrorCode ierr);

#endif
