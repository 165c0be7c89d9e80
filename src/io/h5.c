#include "io/h5_private.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- what went wrong ---- */

/* What HDF5 knows of a failure. */
typedef struct {
  int number;     /* errno of the system call, 0 if there was none */
  char text[256]; /* the innermost description */
} Cause;

static herr_t ReadCause(unsigned level, const H5E_error2_t *error, void *context)
{
  Cause *cause = context;
  const char *number = error->desc ? strstr(error->desc, "errno = ") : NULL;

  if (number) cause->number = atoi(number + strlen("errno = "));
  if (level == 0) snprintf(cause->text, sizeof cause->text, "%s", error->desc ? error->desc : "unknown");
  return 0;
}

static Cause FindCause(void)
{
  Cause cause = {.text = "unknown reason"};

  H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, ReadCause, &cause);
  if (cause.number) snprintf(cause.text, sizeof cause.text, "%s", strerror(cause.number));
  for (char *c = cause.text; *c; c++)
    if (*c == '\n') *c = ' ';
  return cause;
}

PetscErrorCode CordsH5Settle(CordsH5 file, const CordsH5Message message)
{
  CordsH5Message common = "";

  PetscFunctionBegin;
  if (file->context->rank == 0) snprintf(common, sizeof common, "%s", message);
  PetscCallMPI(MPI_Bcast(common, sizeof common, MPI_CHAR, 0, file->context->comm));
  CordsCheckUser(!common[0], file->context->comm, "%s", common);
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsH5Broadcast(CordsH5 file, PetscInt64 bytes, void *data)
{
  const PetscInt64 most = (PetscInt64)1 << 30; /* MPI counts are ints */
  char *start = data;

  PetscFunctionBegin;
  for (PetscInt64 done = 0; done < bytes; done += most)
    PetscCallMPI(MPI_Bcast(start + done, (int)PetscMin(most, bytes - done), MPI_BYTE, 0, file->context->comm));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* ---- giving up ---- */

/* CORDS_TEST_FAIL_WRITE=N makes the N-th write of this process fail as on a full disk (arrays, attributes and the
   final flush count), so that tests can walk through every place where the disk may run full. */
PetscBool CordsH5TestFailure(void)
{
  static long writes;
  const char *wanted = getenv("CORDS_TEST_FAIL_WRITE");

  writes++;
  if (!wanted || strtol(wanted, NULL, 10) != writes) return PETSC_FALSE;
  H5Epush2(H5E_DEFAULT, __FILE__, __func__, __LINE__, H5E_ERR_CLS, H5E_IO, H5E_WRITEERROR, "errno = %d", ENOSPC);
  return PETSC_TRUE;
}

/* HDF5 frees a file that it could not close but keeps its id, and crashes on it at exit.  So a file that is given up
   gets a descriptor on anonymous memory in place of the one on the full disk: the few blocks that are still to be
   written go there, and closing works.  The memory is sparse.  A flush that failed half-way leaves the list of what is
   to be flushed in use; one more complains of that, does its work and tidies up, which closing would not survive. */
static void RedirectToMemoryHere(CordsH5 file)
{
  void *handle = NULL;
  int memory;

  if (H5Fget_vfd_handle(file->id, H5P_DEFAULT, &handle) < 0 || !handle) return;
  memory = memfd_create("unfinished", MFD_CLOEXEC);
  if (memory < 0) return;
  dup2(memory, *(int *)handle);
  close(memory);
  H5Fflush(file->id, H5F_SCOPE_GLOBAL);
}

static void GiveUpHere(CordsH5 file)
{
  if (file->id < 0) return;
  RedirectToMemoryHere(file);
  H5Fclose(file->id);
  file->id = H5I_INVALID_HID;
  unlink(file->part);
  CordsErrorSetUnfinished(NULL);
}

void CordsH5WriteFailedHere(CordsH5 file, const char *what, CordsH5Message message)
{
  Cause cause = FindCause();

  if (message[0]) return;
  snprintf(message, CORDS_H5_MESSAGE_LENGTH, "cannot write %s to '%s': %s; the unfinished file was removed", what,
           file->path, cause.text);
  GiveUpHere(file);
}

void CordsH5ReadFailedHere(CordsH5 file, const char *what, CordsH5Message message)
{
  Cause cause = FindCause();

  if (message[0]) return;
  snprintf(message, CORDS_H5_MESSAGE_LENGTH, "cannot read %s of '%s': the file is damaged (%s)", what, file->path,
           cause.text);
}

herr_t CordsH5CloseIdHere(hid_t id)
{
  return id < 0 ? 0 : H5Idec_ref(id);
}

/* ---- making, opening ---- */

/* Silence HDF5's own traceback; ours is one sentence. */
static hid_t FileAccess(PetscBool writing)
{
  hid_t access;

  H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
  access = H5Pcreate(H5P_FILE_ACCESS);
  /* Newer format: all metadata carry checksums, so that damage is an error and not a wild pointer inside HDF5. */
  H5Pset_libver_bounds(access, H5F_LIBVER_V110, H5F_LIBVER_LATEST);
  /* No locks: a file under its final name never changes, and PATH.part belongs to the run that writes it.  Locks fail
     on read-only mounts and on some parallel file systems.  HDF5_USE_FILE_LOCKING, if set, still has the last word. */
  H5Pset_file_locking(access, 0, 1);
  /* Closing the file closes everything in it, also after an error. */
  H5Pset_fclose_degree(access, H5F_CLOSE_STRONG);
  /* Numbers go to the disk when they are written, not when an array is closed: HDF5 crashes later if that fails. */
  if (writing) H5Pset_cache(access, 0, 0, 0, 0);
  return access;
}

static PetscErrorCode New(CordsContext context, const char *path, CordsH5 *file)
{
  PetscFunctionBegin;
  CordsCheckUser(path[0], context->comm, "the name of a file is empty");
  CordsCheckUser(strlen(path) + sizeof ".part" <= PETSC_MAX_PATH_LEN, context->comm,
                 "the file name '%.60s…' is longer than %d characters", path, PETSC_MAX_PATH_LEN);
  PetscCall(PetscNew(file));
  (*file)->context = context;
  (*file)->id = H5I_INVALID_HID;
  snprintf((*file)->path, sizeof(*file)->path, "%s", path);
  snprintf((*file)->part, sizeof(*file)->part, "%s.part", path);
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* Settle; free the handle if there was an error, so that a failed Create or Open leaves nothing. */
static PetscErrorCode SettleNew(CordsH5 *file, const CordsH5Message message)
{
  struct _p_CordsH5 copy = **file;
  PetscErrorCode ierr;

  PetscFunctionBegin;
  ierr = CordsH5Settle(&copy, message);
  if (ierr) PetscCall(PetscFree(*file));
  PetscCall(ierr);
  PetscFunctionReturn(PETSC_SUCCESS);
}

static void CreateHere(CordsH5 file, CordsH5Message message)
{
  struct stat status;
  hid_t access;
  int descriptor;

  /* PATH is checked now, not after hours of work in Commit. */
  if (!stat(file->path, &status) && !S_ISREG(status.st_mode)) {
    snprintf(message, CORDS_H5_MESSAGE_LENGTH, "cannot write '%s': it is a %s; give the name of a file", file->path,
             S_ISDIR(status.st_mode) ? "folder" : "device");
    return;
  }
  descriptor = open(file->part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (descriptor < 0) {
    snprintf(message, CORDS_H5_MESSAGE_LENGTH,
             "cannot write '%s': %s; give a name in a folder that exists and "
             "may be written",
             file->path, strerror(errno));
    return;
  }
  close(descriptor);
  CordsErrorSetUnfinished(file->part);
  access = FileAccess(PETSC_TRUE);
  file->id = H5Fcreate(file->part, H5F_ACC_TRUNC, H5P_DEFAULT, access);
  if (file->id < 0) {
    snprintf(message, CORDS_H5_MESSAGE_LENGTH, "cannot write '%s': %s", file->path, FindCause().text);
    unlink(file->part);
    CordsErrorSetUnfinished(NULL);
  }
  CordsH5CloseIdHere(access);
}

PetscErrorCode CordsH5Create(CordsContext context, const char *path, CordsH5 *file)
{
  CordsH5Message message = "";

  PetscFunctionBegin;
  PetscCall(New(context, path, file));
  (*file)->writing = PETSC_TRUE;
  if (context->rank == 0) CreateHere(*file, message);
  PetscCall(SettleNew(file, message));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static void OpenFailedHere(CordsH5 file, PetscInt64 bytes, CordsH5Message message)
{
  Cause cause = FindCause();
  const char *stored = strstr(cause.text, "stored_eof = ");

  if (strstr(cause.text, "truncated file") && stored)
    snprintf(message, CORDS_H5_MESSAGE_LENGTH, "'%s' is truncated: it has %lld bytes where %lld were written",
             file->path, (long long)bytes, atoll(stored + strlen("stored_eof = ")));
  else
    snprintf(message, CORDS_H5_MESSAGE_LENGTH, "cannot open '%s': the file is damaged or still being written (%s)",
             file->path, cause.text);
}

/* True if the path is a file that can be opened and is not empty; otherwise says what it is. */
static PetscBool ReadableHere(CordsH5 file, PetscInt64 *bytes, CordsH5Message message)
{
  struct stat status;
  int descriptor = -1;

  if (stat(file->path, &status) || (S_ISREG(status.st_mode) && (descriptor = open(file->path, O_RDONLY)) < 0))
    snprintf(message, CORDS_H5_MESSAGE_LENGTH, "cannot open '%s': %s", file->path, strerror(errno));
  else if (!S_ISREG(status.st_mode))
    snprintf(message, CORDS_H5_MESSAGE_LENGTH, "cannot open '%s': it is not a file but a %s", file->path,
             S_ISDIR(status.st_mode) ? "folder" : "device");
  else if (!status.st_size)
    snprintf(message, CORDS_H5_MESSAGE_LENGTH, "'%s' is empty, not an HDF5 file", file->path);
  *bytes = message[0] ? 0 : (PetscInt64)status.st_size;
  if (descriptor >= 0) close(descriptor);
  return (PetscBool)!message[0];
}

static void OpenHere(CordsH5 file, CordsH5Message message)
{
  PetscInt64 bytes;
  hid_t access;

  if (!ReadableHere(file, &bytes, message)) return;
  access = FileAccess(PETSC_FALSE);
  if (H5Fis_hdf5(file->path) <= 0) {
    snprintf(message, CORDS_H5_MESSAGE_LENGTH, "'%s' is not an HDF5 file", file->path);
  } else if (!CordsH5ProbeHere(file->path, access)) {
    snprintf(message, CORDS_H5_MESSAGE_LENGTH, "cannot open '%s': the file is damaged (HDF5 fails on it)", file->path);
  } else {
    file->id = H5Fopen(file->path, H5F_ACC_RDONLY, access);
    if (file->id < 0) OpenFailedHere(file, bytes, message);
  }
  CordsH5CloseIdHere(access);
}

PetscErrorCode CordsH5Open(CordsContext context, const char *path, CordsH5 *file)
{
  CordsH5Message message = "";

  PetscFunctionBegin;
  PetscCall(New(context, path, file));
  if (context->rank == 0) OpenHere(*file, message);
  PetscCall(SettleNew(file, message));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* ---- finishing ---- */

/* Close HDF5's file.  After the flush nothing is left to write but a flag in the first block; the copy of the
   descriptor gets every error that the system noticed late. */
static void FlushAndCloseHere(CordsH5 file, CordsH5Message message)
{
  void *handle = NULL;
  int copy;

  if (CordsH5TestFailure() || H5Fflush(file->id, H5F_SCOPE_GLOBAL) < 0 ||
      H5Fget_vfd_handle(file->id, H5P_DEFAULT, &handle) < 0) {
    CordsH5WriteFailedHere(file, "the last blocks", message);
    return;
  }
  copy = fcntl(*(int *)handle, F_DUPFD_CLOEXEC, 0);
  if (H5Fclose(file->id) < 0)
    CordsH5WriteFailedHere(file, "the last block", message);
  else if (copy < 0 || fsync(copy))
    snprintf(message, CORDS_H5_MESSAGE_LENGTH, "cannot write '%s': %s; the unfinished file was removed", file->path,
             strerror(errno));
  file->id = H5I_INVALID_HID;
  if (copy >= 0) close(copy);
}

/* The new name is on the disk when the folder is. */
static void SyncFolderHere(const char *path)
{
  char copy[PETSC_MAX_PATH_LEN];
  int descriptor;

  snprintf(copy, sizeof copy, "%s", path);
  descriptor = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return;
  fsync(descriptor); /* some file systems cannot; the file itself is safe */
  close(descriptor);
}

/* CORDS_TEST_KILL_COMMIT=N ends the process at the N-th place between the steps of finishing files, so that tests can
   walk through all of them. */
static void TestKillHere(void)
{
  static long places;
  const char *wanted = getenv("CORDS_TEST_KILL_COMMIT");

  places++;
  if (wanted && strtol(wanted, NULL, 10) == places) raise(SIGKILL);
}

/* What has the name now gets that of the previous file, too.  With a link, renamed, both names are complete files at
   any moment; on file systems without links the newer name is missing for a moment, and the older one is there. */
static void KeepPreviousHere(CordsH5 file, CordsH5Message message)
{
  char second[PETSC_MAX_PATH_LEN + sizeof ".part"];

  if (!file->previous[0] || access(file->path, F_OK)) return;
  snprintf(second, sizeof second, "%s.part", file->previous);
  unlink(second);
  if (rename(link(file->path, second) ? file->path : second, file->previous))
    snprintf(message, CORDS_H5_MESSAGE_LENGTH, "cannot keep '%s' as '%s': %s", file->path, file->previous,
             strerror(errno));
  unlink(second); /* renaming a name to another name of the same file leaves both */
}

static void CommitHere(CordsH5 file, CordsH5Message message)
{
  TestKillHere();
  FlushAndCloseHere(file, message);
  TestKillHere();
  if (!message[0]) KeepPreviousHere(file, message);
  TestKillHere();
  if (!message[0] && rename(file->part, file->path))
    snprintf(message, CORDS_H5_MESSAGE_LENGTH, "cannot give '%s' its name: %s", file->path, strerror(errno));
  if (message[0])
    unlink(file->part);
  else
    SyncFolderHere(file->path);
  TestKillHere();
  CordsErrorSetUnfinished(NULL);
}

PetscErrorCode CordsH5KeepPrevious(CordsH5 file, const char *previous)
{
  PetscFunctionBegin;
  PetscCheck(file->writing, PETSC_COMM_SELF, PETSC_ERR_ARG_WRONGSTATE, "'%s' was opened for reading", file->path);
  PetscCall(PetscStrncpy(file->previous, previous, sizeof file->previous));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsH5Commit(CordsH5 *file)
{
  CordsH5Message message = "";

  PetscFunctionBegin;
  PetscCheck((*file)->writing, PETSC_COMM_SELF, PETSC_ERR_ARG_WRONGSTATE, "'%s' was opened for reading", (*file)->path);
  if ((*file)->context->rank == 0) CommitHere(*file, message);
  PetscCall(SettleNew(file, message));
  PetscCall(PetscFree(*file));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsH5Close(CordsH5 *file)
{
  PetscFunctionBegin;
  if (!*file) PetscFunctionReturn(PETSC_SUCCESS);
  if ((*file)->writing)
    GiveUpHere(*file);
  else if ((*file)->id >= 0)
    H5Fclose((*file)->id);
  PetscCall(PetscFree(*file));
  PetscFunctionReturn(PETSC_SUCCESS);
}

const char *CordsH5Path(CordsH5 file)
{
  return file->path;
}

PetscErrorCode CordsH5LibraryVersion(size_t length, char *text)
{
  unsigned major = 0, minor = 0, release = 0;

  PetscFunctionBegin;
  H5get_libversion(&major, &minor, &release);
  snprintf(text, length, "%u.%u.%u", major, minor, release);
  PetscFunctionReturn(PETSC_SUCCESS);
}
