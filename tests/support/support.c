#include "support/support.h"

#include "core/random.h"

#include <fcntl.h>
#include <math.h>
#include <slepcsys.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FILES_MAX = 4096 };

CordsContextData support_context;

static char folder[512], message[2048];

static PetscErrorCode KeepMessage(MPI_Comm comm, int line, const char *function, const char *file, PetscErrorCode ierr,
                                  PetscErrorType type, const char *text, void *context)
{
  if (type == PETSC_ERROR_INITIAL) snprintf(message, sizeof message, "%s", text ? text : "");
  return ierr;
}

void SupportErrorsBegin(void)
{
  message[0] = '\0';
  PetscPushErrorHandler(KeepMessage, NULL);
}

const char *SupportErrorsEnd(PetscErrorCode ierr)
{
  PetscPopErrorHandler();
  if (ierr != CORDS_ERR_USER) print_error("expected a user error, got code %d: %s\n", (int)ierr, message);
  assert_int_equal(ierr, CORDS_ERR_USER);
  assert_null(strchr(message, '\n')); /* one sentence, one line */
  return message;
}

const char *SupportPath(const char *name)
{
  static char ring[8][PETSC_MAX_PATH_LEN];
  static int next;
  char *path = ring[next++ % 8];

  snprintf(path, PETSC_MAX_PATH_LEN, "%s/%s", folder, name);
  return path;
}

void SupportCompareF64(const char *what, PetscInt64 n, const double *a, const double *b, double tolerance)
{
  double largest = 0, difference = 0;

  for (PetscInt64 i = 0; i < n; i++) {
    largest = fmax(largest, fabs(b[i]));
    difference = fmax(difference, fabs(a[i] - b[i]));
    if (a[i] != a[i]) difference = INFINITY;
  }
  if (difference > tolerance * fmax(largest, 1e-300)) {
    print_error("%s: largest difference %g of %g, tolerance %g\n", what, difference, largest, tolerance);
    fail();
  }
}

void SupportCompareF32(const char *what, PetscInt64 n, const float *a, const float *b, double tolerance)
{
  double *da = malloc((size_t)n * sizeof *da), *db = malloc((size_t)n * sizeof *db);

  for (PetscInt64 i = 0; i < n; i++) {
    da[i] = (double)a[i];
    db[i] = (double)b[i];
  }
  SupportCompareF64(what, n, da, db, tolerance);
  free(da);
  free(db);
}

double SupportRandom(uint64_t stream, uint32_t position)
{
  CordsRandomKey key = {.seed = 1, .purpose = CORDS_RANDOM_TEST, .sample = stream};
  return 2 * CordsRandomUniform(key, position) - 1;
}

void SupportFillF32(uint64_t stream, PetscInt64 n, float *a)
{
  for (PetscInt64 i = 0; i < n; i++) a[i] = (float)SupportRandom(stream, (uint32_t)i);
}

void SupportFillF64(uint64_t stream, PetscInt64 n, double *a)
{
  for (PetscInt64 i = 0; i < n; i++) a[i] = SupportRandom(stream, (uint32_t)i);
}

/* Tests mount small file systems in the folder, and one that failed has left its there; other ranks of a killed one
   may write for another moment. */
static const char remove_script[] = "sed -n \"s|^[^ ]* \\($0/[^ ]*\\) .*|\\1|p\" /proc/mounts | xargs -r umount -l "
                                    "2>/dev/null; rm -rf \"$0\" || { sleep 3; rm -rf \"$0\"; }";

/* The folder is removed even if this process is killed: another one, which nobody waits for, sees the end of a pipe
   that only this one could write to. */
static int RemoveAtEnd(void)
{
  char byte;
  int ends[2];
  pid_t child;

  if (pipe2(ends, O_CLOEXEC) || (child = fork()) < 0) return 1;
  if (child > 0) {
    close(ends[0]);
    return waitpid(child, NULL, 0) != child;
  }
  if (fork()) _exit(0);
  setsid();
  dup2(ends[0], STDIN_FILENO);
  for (int file = STDIN_FILENO + 1; file < sysconf(_SC_OPEN_MAX) && file < FILES_MAX; file++) close(file);
  while (read(STDIN_FILENO, &byte, 1) > 0) continue;
  execlp("sh", "sh", "-c", remove_script, folder, NULL);
  _exit(1);
}

int SupportRun(int argc, char **argv, int (*run)(void))
{
  const char *parent = getenv("TMPDIR");
  char command[PETSC_MAX_PATH_LEN + 16];
  int failed, failed_any;

  if (SlepcInitialize(&argc, &argv, NULL, NULL)) return 1;
  if (CordsContextInitialize(PETSC_COMM_WORLD, &support_context)) return 1;
  snprintf(folder, sizeof folder, "%s/cords-test-XXXXXX", parent ? parent : P_tmpdir);
  if (support_context.rank == 0 && !mkdtemp(folder)) return 1;
  if (support_context.rank == 0 && RemoveAtEnd()) return 1;
  if (MPI_Bcast(folder, sizeof folder, MPI_CHAR, 0, PETSC_COMM_WORLD)) return 1;
  failed = run();
  if (MPI_Allreduce(&failed, &failed_any, 1, MPI_INT, MPI_MAX, PETSC_COMM_WORLD)) return 1;
  snprintf(command, sizeof command, "rm -rf '%s'", folder);
  if (support_context.rank == 0 && system(command)) failed_any = 1;
  SlepcFinalize();
  return failed_any;
}
