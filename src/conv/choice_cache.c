#include "conv/choice_private.h"

#include "io/h5.h"
#include "io/run_info.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TEXT_MAX = 1 << 21, IDENTITY_MAX = 4096 };

static const CordsSchema choices_schema = {"kernels/choices", "character", "1",
                                           "which backend does a convolution, one line of text for each choice"};

/* ---- who measured ---- */

static void ProcessorName(size_t length, char *name)
{
  char line[512];
  FILE *file = fopen("/proc/cpuinfo", "r");

  snprintf(name, length, "unknown processor");
  while (file && fgets(line, sizeof line, file)) {
    const char *value = strchr(line, ':');

    if (strncmp(line, "model name", strlen("model name")) || !value) continue;
    snprintf(name, length, "%s", value + 1 + strspn(value + 1, " \t"));
    name[strcspn(name, "\n")] = '\0';
    break;
  }
  if (file) fclose(file);
}

/* Processor, cords and libraries, and the kernels to choose from in one line: times of another of them say nothing. */
static PetscErrorCode Identity(char identity[IDENTITY_MAX])
{
  char *libraries, processor[256];
  const char *const *names;
  PetscInt count;
  size_t length;

  PetscFunctionBegin;
  ProcessorName(sizeof processor, processor);
  PetscCall(CordsRunInfoLibraries(&libraries));
  snprintf(identity, IDENTITY_MAX, "%s; %s", processor, libraries);
  PetscCall(CordsConvBackendList(&count, &names, NULL));
  for (PetscInt k = 0; k < count; k++) {
    length = strlen(identity);
    snprintf(identity + length, IDENTITY_MAX - length, k == 0 ? "; %s" : " %s", names[k]);
  }
  for (char *c = identity; *c; c++)
    if (*c == '\n') *c = ' ';
  PetscCall(PetscFree(libraries));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* ---- where ---- */

void CordsConvCacheDefaultPath(char path[PETSC_MAX_PATH_LEN])
{
  const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");

  path[0] = '\0';
  if (cache && cache[0])
    snprintf(path, PETSC_MAX_PATH_LEN, "%s/cords/kernels.h5", cache);
  else if (home && home[0])
    snprintf(path, PETSC_MAX_PATH_LEN, "%s/.cache/cords/kernels.h5", home);
}

/* ---- files, without errors ---- */

/* One rank alone. */
static CordsContextData Alone(void)
{
  return *CordsContextSelf();
}

static char caught[2048];

static PetscErrorCode Catch(MPI_Comm comm, int line, const char *function, const char *file, PetscErrorCode ierr,
                            PetscErrorType type, const char *message, void *context)
{
  if (type == PETSC_ERROR_INITIAL) snprintf(caught, sizeof caught, "%s", message ? message : "unknown error");
  return ierr;
}

/* *text: the choices of an open file; NULL if it holds none. */
static PetscErrorCode ReadLines(CordsH5 file, char **text)
{
  PetscInt64 sizes[CORDS_H5_DIMENSIONS_MAX];
  PetscInt dimensions;

  PetscFunctionBegin;
  PetscCall(CordsH5GetShape(file, choices_schema.name, NULL, &dimensions, sizes));
  CordsCheckUser(dimensions == 1 && sizes[0] <= TEXT_MAX, PETSC_COMM_SELF, "%s: '%s' has another shape",
                 CordsH5Path(file), choices_schema.name);
  PetscCall(PetscCalloc1(sizes[0] + 1, text));
  PetscCall(CordsH5ReadArray(file, choices_schema.name, CORDS_FILE_U8, 1, sizes, *text));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* What the file is, if it can be read at all. */
static PetscErrorCode ReadFile(const CordsContextData *context, const char *path, const char *identity, char **text,
                               CordsConvCacheState *state)
{
  CordsH5 file;
  char *measured_by, **groups;
  PetscInt group_count;
  PetscBool here = PETSC_FALSE;
  PetscErrorCode ierr;

  PetscFunctionBegin;
  PetscCall(CordsH5Open(context, path, &file));
  ierr = CordsH5ReadText(file, "kernels", "measured_by", &measured_by);
  if (!ierr && !measured_by) {
    *state = CORDS_CONV_CACHE_FOREIGN;
    ierr = CordsH5ListGroups(file, "", &group_count, &groups);
    if (!ierr && group_count == 0) *state = CORDS_CONV_CACHE_DAMAGED;
    if (!ierr) PetscCall(CordsH5FreeNames(group_count, &groups));
  } else if (!ierr) {
    PetscCall(PetscStrcmp(measured_by, identity, &here));
    *state = here ? CORDS_CONV_CACHE_GOOD : CORDS_CONV_CACHE_OTHER;
    if (here) ierr = ReadLines(file, text);
    PetscCall(PetscFree(measured_by));
  }
  PetscCall(CordsH5Close(&file));
  PetscCall(ierr);
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsConvCacheRead(const char *path, CordsConvChoiceTable *table, CordsConvCacheState *state,
                                  char note[CORDS_CONV_CACHE_NOTE_LENGTH])
{
  CordsContextData context = Alone();
  char identity[IDENTITY_MAX], *text = NULL;
  CordsConvChoiceTable *found;
  struct stat status;
  PetscInt refused;
  PetscErrorCode ierr;

  PetscFunctionBegin;
  note[0] = '\0';
  *state = CORDS_CONV_CACHE_ABSENT;
  if (stat(path, &status)) PetscFunctionReturn(PETSC_SUCCESS);
  if (!S_ISREG(status.st_mode)) { /* a folder or a device */
    *state = CORDS_CONV_CACHE_FOREIGN;
    PetscFunctionReturn(PETSC_SUCCESS);
  }
  PetscCall(Identity(identity));
  PetscCall(PetscPushErrorHandler(Catch, NULL));
  ierr = ReadFile(&context, path, identity, &text, state);
  PetscCall(PetscPopErrorHandler());
  PetscCall(PetscNew(&found));
  if (ierr || (*state == CORDS_CONV_CACHE_GOOD &&
               (strlen(text) > TEXT_MAX || !CordsConvChoiceTableParse(text, found, &refused) || refused)))
    *state = CORDS_CONV_CACHE_DAMAGED;
  if (*state == CORDS_CONV_CACHE_GOOD)
    for (PetscInt k = 0; k < found->count; k++) CordsConvChoicePut(table, &found->choices[k]);
  PetscCall(PetscFree(found));
  PetscCall(PetscFree(text));
  if (*state == CORDS_CONV_CACHE_DAMAGED)
    snprintf(note, CORDS_CONV_CACHE_NOTE_LENGTH, "'%s' is damaged or no file of kernel choices", path);
  if (*state == CORDS_CONV_CACHE_OTHER)
    snprintf(note, CORDS_CONV_CACHE_NOTE_LENGTH,
             "'%s' was measured on another processor, by another version or with other libraries", path);
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* ---- writing ---- */

/* Make the folders of the file; errors show when it is written. */
static void MakeFolders(const char *path)
{
  char folder[PETSC_MAX_PATH_LEN];

  snprintf(folder, sizeof folder, "%s", path);
  for (char *c = folder + 1; (c = strchr(c, '/')); c++) {
    *c = '\0';
    mkdir(folder, 0777);
    *c = '/';
  }
}

static PetscErrorCode WriteContents(CordsH5 *file, const char *identity, const char *text)
{
  PetscInt64 length = (PetscInt64)strlen(text);

  PetscFunctionBegin;
  PetscCall(CordsH5WriteText(*file, "kernels", "measured_by", identity));
  PetscCall(CordsH5WriteArray(*file, &choices_schema, CORDS_FILE_U8, 1, &length, text));
  PetscCall(CordsH5Commit(file));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode WriteFile(const CordsContextData *context, const char *path, const CordsConvChoiceTable *table)
{
  char identity[IDENTITY_MAX], *text;
  CordsH5 file = NULL;
  PetscErrorCode ierr;

  PetscFunctionBegin;
  PetscCall(Identity(identity));
  PetscCall(CordsConvChoiceTableText(table, &text));
  ierr = CordsH5Create(context, path, &file);
  if (!ierr) {
    ierr = WriteContents(&file, identity, text);
    PetscCall(CordsH5Close(&file));
  }
  PetscCall(PetscFree(text));
  PetscCall(ierr);
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsConvCacheAdd(const char *path, PetscBool make_folders, const CordsConvChoiceTable *table,
                                 char note[CORDS_CONV_CACHE_NOTE_LENGTH])
{
  CordsContextData context = Alone();
  char own[PETSC_MAX_PATH_LEN + 320], host[256] = "", ignored[CORDS_CONV_CACHE_NOTE_LENGTH];
  CordsConvChoiceTable *all;
  CordsConvCacheState state;
  PetscErrorCode ierr;

  PetscFunctionBegin;
  note[0] = '\0';
  PetscCall(PetscNew(&all));
  PetscCall(CordsConvCacheRead(path, all, &state, ignored));
  for (PetscInt k = 0; k < table->count; k++) CordsConvChoicePut(all, &table->choices[k]);
  if (make_folders) MakeFolders(path);
  /* a name that no other process has; then the file takes its place in one step */
  gethostname(host, sizeof host - 1);
  snprintf(own, sizeof own, "%s.%s.%ld", path, host, (long)getpid());
  PetscCall(PetscPushErrorHandler(Catch, NULL));
  ierr = WriteFile(&context, own, all);
  PetscCall(PetscPopErrorHandler());
  PetscCall(PetscFree(all));
  if (!ierr && state == CORDS_CONV_CACHE_DAMAGED) {
    char kept[PETSC_MAX_PATH_LEN + 16];
    snprintf(kept, sizeof kept, "%s.damaged", path);
    rename(path, kept);
  }
  if (!ierr && rename(own, path)) {
    ierr = CORDS_ERR_USER;
    snprintf(caught, sizeof caught, "cannot give '%s' its name: %s", path, strerror(errno));
    unlink(own);
  }
  if (ierr) snprintf(note, CORDS_CONV_CACHE_NOTE_LENGTH, "%s", caught);
  PetscFunctionReturn(PETSC_SUCCESS);
}
