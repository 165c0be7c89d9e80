#include "core/config.h"

#include "core/registry.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { KNOWN_MAX = 512, TEXT_MAX = 192, SOLVER_MAX = 16, LINES_MAX = 100000 /* of a YAML file */ };

/* One declared option, for -help and for suggestions. */
typedef struct {
  char name[64], standard[TEXT_MAX], unit[16];
  char about[TEXT_MAX];
} KnownOption;

static KnownOption known[KNOWN_MAX];
static PetscInt known_count;
static PetscBool help_asked, solvers_asked; /* -help; -help solvers */

/* Lines of -help about options that PETSc reads. */
static char solvers[SOLVER_MAX][TEXT_MAX * 2];
static PetscInt solver_count;

/* PETSc reads these late or elsewhere, so PetscOptionsLeftGet may list them although they are right. */
static const char *const read_late[] = {
    "snes_view",    "snes_monitor", "snes_converged_reason", "ksp_view", "ksp_monitor",  "ksp_converged_reason",
    "eps_view",     "eps_monitor",  "eps_converged_reason",  "log_view", "options_view", "options_left",
    "malloc_debug", "malloc_view",  "on_error_abort",        "nox"};

static PetscErrorCode Know(const char *name, const char *about, const char *unit, const char *standard)
{
  KnownOption *option;

  PetscFunctionBegin;
  for (PetscInt i = 0; i < known_count; i++) {
    if (strcmp(known[i].name, name) == 0) PetscFunctionReturn(PETSC_SUCCESS);
  }
  PetscCheck(known_count < KNOWN_MAX, PETSC_COMM_SELF, PETSC_ERR_PLIB, "more than %d options", KNOWN_MAX);
  option = &known[known_count++];
  snprintf(option->name, sizeof option->name, "%s", name);
  snprintf(option->standard, sizeof option->standard, "%s", standard);
  snprintf(option->unit, sizeof option->unit, "%s", unit);
  snprintf(option->about, sizeof option->about, "%s", about);
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsConfigKnow(const char *name)
{
  PetscFunctionBegin;
  PetscCall(Know(name, "", "", ""));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsConfigLater(const char *start)
{
  PetscBool found;

  PetscFunctionBegin;
  for (PetscInt i = 0; i < known_count; i++) {
    /* PETSc takes note of who asks */
    if (strncmp(known[i].name, start, strlen(start)) == 0)
      PetscCall(PetscOptionsHasName(NULL, NULL, known[i].name, &found));
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsConfigSolver(const char *start, const char *about, const char *example, const char *page)
{
  char pattern[64], line[TEXT_MAX * 2];

  PetscFunctionBegin;
  snprintf(pattern, sizeof pattern, "%s...", start);
  snprintf(line, sizeof line, "  %-30s %s, as in %s%s; manual page %s", pattern, about, start, example, page);
  for (PetscInt i = 0; i < solver_count; i++) {
    if (strcmp(solvers[i], line) == 0) PetscFunctionReturn(PETSC_SUCCESS);
  }
  PetscCheck(solver_count < SOLVER_MAX, PETSC_COMM_SELF, PETSC_ERR_PLIB, "more than %d solvers", SOLVER_MAX);
  snprintf(solvers[solver_count++], sizeof solvers[0], "%s", line);
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* PETSc's objects print all their options when they are made, on each process; one is enough. */
static PetscErrorCode ReadHelp(void)
{
  char what[TEXT_MAX];
  PetscMPIInt rank;

  PetscFunctionBegin;
  PetscCall(PetscOptionsGetString(NULL, NULL, "-cords_help", what, sizeof what, &help_asked));
  if (!help_asked || !what[0]) PetscFunctionReturn(PETSC_SUCCESS);
  CordsCheckUser(strcmp(what, "solvers") == 0, PETSC_COMM_WORLD,
                 "-help %s: there is -help alone, and -help solvers for the options of PETSc's and SLEPc's solvers",
                 what);
  solvers_asked = PETSC_TRUE;
  PetscCallMPI(MPI_Comm_rank(PETSC_COMM_WORLD, &rank));
  if (rank == 0) PetscCall(PetscOptionsSetValue(NULL, "-help", NULL));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* YAML's anchors (&name) and what refers to them (*name).  PETSc would follow a reference inside an anchored value into
   itself without end, and one to values that refer to others for very long. */
typedef struct {
  PetscBool open;        /* the value of the last anchor goes on */
  PetscInt column;       /* of the line that it stands in */
  PetscBool braces_open; /* a value in braces goes on in the next line */
  PetscInt depth;
} Anchors;

/* Where the next value that begins with & or * stands in the rest of a line; NULL: nowhere. */
static const char *NextReference(const char *line, const char *from)
{
  for (const char *c = from; *c && *c != '#'; c++) {
    const PetscBool begins = (PetscBool)(c == line || strchr(" :,[{-", c[-1]) != NULL);
    if ((*c == '&' || *c == '*') && begins && c[1] && !isspace((unsigned char)c[1])) return c;
  }
  return NULL;
}

/* Whether a line has a reference inside an anchored value, or where that cannot be told. */
static PetscBool RefersInside(Anchors *a, const char *line)
{
  const PetscInt column = (PetscInt)strspn(line, " ");
  const PetscBool empty = (PetscBool)(strchr("#\r\n", line[column]) != NULL);
  PetscBool inside = PETSC_FALSE;

  if (empty) return PETSC_FALSE;
  if (column < a->column || (column == a->column && line[column] != '-')) a->open = PETSC_FALSE;
  a->braces_open = (PetscBool)(a->depth > 0);
  for (const char *c = NextReference(line, line); c; c = NextReference(line, c + 1)) {
    if (a->open || a->braces_open) inside = PETSC_TRUE;
    if (*c == '&') a->open = PETSC_TRUE, a->column = column;
  }
  for (const char *c = line; *c && *c != '#'; c++) a->depth += (strchr("{[", *c) != NULL) - (strchr("}]", *c) != NULL);
  return inside;
}

/* PETSc's YAML reader reports a malformed file with a traceback; look for what people get wrong first. */
static PetscErrorCode CheckYamlReadable(const char *option, const char *path)
{
  const char *problem = NULL;
  char line[4096];
  Anchors anchors = {0};
  PetscInt number = 0;
  FILE *file = fopen(path, "r");

  PetscFunctionBegin;
  CordsCheckUser(file, PETSC_COMM_WORLD, "%s %s: %s", option, path, strerror(errno));
  while (!problem && fgets(line, sizeof line, file)) {
    number++;
    if (line[strspn(line, " ")] == '\t') problem = "is indented with a tab; YAML wants spaces";
    if (RefersInside(&anchors, line))
      problem = "has a YAML anchor or a reference (& or *) inside an anchored value or braces; write the value itself";
    if (number == LINES_MAX) problem = "is one too many; this is no file of options";
  }
  fclose(file);
  CordsCheckUser(!problem, PETSC_COMM_WORLD, "%s %s: line %" PetscInt_FMT " %s", option, path, number, problem);
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* What is wrong with a YAML file, in one line, without PETSc's traceback. */
static PetscErrorCode QuietHandler(MPI_Comm comm, int line, const char *function, const char *file, PetscErrorCode ierr,
                                   PetscErrorType type, const char *message, void *context)
{
  if (type == PETSC_ERROR_INITIAL && message) snprintf((char *)context, TEXT_MAX, "%s", message);
  return ierr;
}

/* Add the options of a file to those of the command line; where both name an option, the command line wins.  Values
   are put back one by one: as one line of text, a value with a space in it would not survive. */
static PetscErrorCode InsertUnderCommandLine(const char *path)
{
  char **names, **values, **kept_names, **kept_values;
  PetscInt count, left_count;

  PetscFunctionBegin;
  PetscCall(PetscOptionsLeftGet(NULL, &left_count, &names, &values));
  count = left_count;
  PetscCall(PetscCalloc2(count, &kept_names, count, &kept_values));
  for (PetscInt k = 0; k < count; k++) {
    size_t length = strlen(names[k]) + 2;
    PetscCall(PetscMalloc1(length, &kept_names[k]));
    snprintf(kept_names[k], length, "-%s", names[k]);
    PetscCall(PetscStrallocpy(values[k], &kept_values[k]));
  }
  PetscCall(PetscOptionsLeftRestore(NULL, &left_count, &names, &values));
  PetscCall(PetscOptionsInsertFileYAML(PETSC_COMM_WORLD, NULL, path, PETSC_TRUE));
  for (PetscInt k = 0; k < count; k++) {
    PetscCall(PetscOptionsSetValue(NULL, kept_names[k], kept_values[k]));
    PetscCall(PetscFree(kept_names[k]));
    PetscCall(PetscFree(kept_values[k]));
  }
  PetscCall(PetscFree2(kept_names, kept_values));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsConfigReadYaml(const char *option, const char *path, PetscOptions *options)
{
  char message[TEXT_MAX] = "";
  PetscErrorCode ierr;

  PetscFunctionBegin;
  PetscCall(CheckYamlReadable(option, path));
  PetscCall(PetscOptionsCreate(options));
  PetscCall(PetscPushErrorHandler(QuietHandler, message));
  ierr = PetscOptionsInsertFileYAML(PETSC_COMM_WORLD, *options, path, PETSC_TRUE);
  PetscCall(PetscPopErrorHandler());
  for (char *c = message; *c; c++) {
    if (*c == '\n') *c = ' ';
  }
  CordsCheckUser(!ierr, PETSC_COMM_WORLD, "%s %s: not a readable YAML file: %s", option, path, message);
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsConfigBegin(void)
{
  char path[PETSC_MAX_PATH_LEN] = "";
  PetscOptions from_file;

  PetscFunctionBegin;
  PetscCall(ReadHelp());
  PetscCall(CordsOptionString("-config", "YAML file with options; nested keys are joined by '_'", sizeof path, path));
  if (!path[0] || help_asked) PetscFunctionReturn(PETSC_SUCCESS);
  PetscCall(CordsConfigReadYaml("-config", path, &from_file));
  PetscCall(PetscOptionsDestroy(&from_file));
  PetscCall(InsertUnderCommandLine(path));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscBool CordsConfigHelp(void)
{
  return help_asked;
}

static void PrintOptions(void)
{
  for (PetscInt i = 0; i < known_count; i++) {
    char usage[TEXT_MAX * 2];
    if (!known[i].about[0]) continue;
    snprintf(usage, sizeof usage, "%s <%s%s%s>", known[i].name, known[i].standard, known[i].unit[0] ? " " : "",
             known[i].unit);
    printf("  %-46s %s\n", usage, known[i].about);
  }
}

PetscErrorCode CordsConfigPrintHelp(const char *command, const char *heading)
{
  PetscMPIInt rank;

  PetscFunctionBegin;
  CordsCheckUser(!solvers_asked || solver_count, PETSC_COMM_WORLD,
                 "-help solvers: cords %s has no solver of PETSc or SLEPc with options; -help lists its own", command);
  PetscCallMPI(MPI_Comm_rank(PETSC_COMM_WORLD, &rank));
  if (solvers_asked || rank > 0) PetscFunctionReturn(PETSC_SUCCESS);
  printf("%s\n\n", heading);
  PrintOptions();
  if (solver_count) printf("\nRead by PETSc and SLEPc; cords %s -help solvers lists all:\n", command);
  for (PetscInt i = 0; i < solver_count; i++) printf("%s\n", solvers[i]);
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscBool IsReadLate(const char *name)
{
  size_t length = strlen(name);

  for (size_t i = 0; i < PETSC_STATIC_ARRAY_LENGTH(read_late); i++) {
    size_t length_late = strlen(read_late[i]);
    if (length >= length_late && strcmp(name + length - length_late, read_late[i]) == 0) return PETSC_TRUE;
  }
  return PETSC_FALSE;
}

PetscErrorCode CordsConfigCheck(void)
{
  PetscInt left_count;
  char **left, **values, unknown[TEXT_MAX] = "";
  const char *names[KNOWN_MAX], *closest;

  PetscFunctionBegin;
  for (PetscInt i = 0; i < known_count; i++) names[i] = known[i].name;
  PetscCall(PetscOptionsLeftGet(NULL, &left_count, &left, &values));
  for (PetscInt i = 0; i < left_count && !unknown[0]; i++) {
    if (!IsReadLate(left[i])) snprintf(unknown, sizeof unknown, "-%s", left[i]);
  }
  PetscCall(PetscOptionsLeftRestore(NULL, &left_count, &left, &values));
  if (!unknown[0]) PetscFunctionReturn(PETSC_SUCCESS);
  closest = CordsRegistryClosest(known_count, names, unknown);
  CordsCheckUser(!closest, PETSC_COMM_WORLD, "option %s is unknown here; did you mean %s? (-help lists all)", unknown,
                 closest);
  CordsUserError(PETSC_COMM_WORLD, "option %s is unknown here; -help lists all", unknown);
}

PetscErrorCode CordsConfigUsed(char **text)
{
  PetscFunctionBegin;
  PetscCall(PetscOptionsGetAll(NULL, text));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* The text given for an option: found is false if it is absent; an option without a value gives "". */
static PetscErrorCode Given(const char *name, size_t length, char *text, PetscBool *found)
{
  PetscFunctionBegin;
  text[0] = '\0';
  PetscCall(PetscOptionsGetString(NULL, NULL, name, text, length, found));
  if (help_asked) *found = PETSC_FALSE;
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode ParseReal(const char *name, const char *text, const char *kind, PetscReal minimum,
                                PetscReal maximum, PetscReal *value)
{
  char *end, range[64]; /* PETSc would print 0 as "0." */

  PetscFunctionBegin;
  *value = strtod(text, &end);
  CordsCheckUser(end != text && *end == '\0' && *value == *value, PETSC_COMM_WORLD, "%s %s: not %s", name,
                 text[0] ? text : "(no value)", kind);
  snprintf(range, sizeof range, "%.10g and %.10g", (double)minimum, (double)maximum);
  CordsCheckUser(*value >= minimum && *value <= maximum, PETSC_COMM_WORLD, "%s %s: must be between %s", name, text,
                 range);
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode ParseInt(const char *name, const char *text, PetscInt minimum, PetscInt maximum, PetscInt *value)
{
  PetscReal real;

  PetscFunctionBegin;
  PetscCall(ParseReal(name, text, "a whole number", (PetscReal)minimum, (PetscReal)maximum, &real));
  CordsCheckUser(real == (PetscReal)(PetscInt)real, PETSC_COMM_WORLD, "%s %s: not a whole number", name, text);
  *value = (PetscInt)real;
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsOptionInt(const char *name, const char *about, const char *unit, PetscInt minimum, PetscInt maximum,
                              PetscInt *value)
{
  char text[TEXT_MAX];
  PetscBool found;

  PetscFunctionBegin;
  snprintf(text, sizeof text, "%" PetscInt_FMT, *value);
  PetscCall(Know(name, about, unit, text));
  PetscCall(Given(name, sizeof text, text, &found));
  if (found) PetscCall(ParseInt(name, text, minimum, maximum, value));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsOptionReal(const char *name, const char *about, const char *unit, PetscReal minimum,
                               PetscReal maximum, PetscReal *value)
{
  char text[TEXT_MAX];
  PetscBool found;

  PetscFunctionBegin;
  snprintf(text, sizeof text, "%g", (double)*value);
  PetscCall(Know(name, about, unit, text));
  PetscCall(Given(name, sizeof text, text, &found));
  if (found) PetscCall(ParseReal(name, text, "a number", minimum, maximum, value));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* Bytes in `text`; false if it is not a positive number with one of the units. */
static PetscBool ParseBytes(const char *text, double *bytes)
{
  static const struct {
    const char *name;
    double bytes;
  } units[] = {{"", 1},      {"B", 1},        {"kB", 1e3},        {"MB", 1e6},           {"GB", 1e9},
               {"TB", 1e12}, {"KiB", 1024.0}, {"MiB", 1048576.0}, {"GiB", 1073741824.0}, {"TiB", 1099511627776.0}};
  char *unit;
  double number = strtod(text, &unit);

  if (unit == text || !(number > 0 && number < 1e18)) return PETSC_FALSE;
  while (*unit == ' ') unit++;
  for (size_t i = 0; i < PETSC_STATIC_ARRAY_LENGTH(units); i++) {
    if (strcmp(unit, units[i].name) != 0) continue;
    *bytes = number * units[i].bytes;
    return PETSC_TRUE;
  }
  return PETSC_FALSE;
}

PetscErrorCode CordsOptionBytes(const char *name, const char *about, double *value)
{
  char text[TEXT_MAX];
  PetscBool found;

  PetscFunctionBegin;
  snprintf(text, sizeof text, "%s", *value > 0 ? "" : "none");
  if (*value > 0) snprintf(text, sizeof text, "%g", *value);
  PetscCall(Know(name, about, "", text));
  PetscCall(Given(name, sizeof text, text, &found));
  if (!found) PetscFunctionReturn(PETSC_SUCCESS);
  CordsCheckUser(ParseBytes(text, value), PETSC_COMM_WORLD,
                 "%s %s: must be a size of memory with its unit (B, kB, MB, GB, TB, KiB, MiB, GiB, TiB), such as 2GB",
                 name, text);
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* Seconds in hours:minutes:seconds, with days- in front or without; false if it is something else. */
static PetscBool ParseClock(const char *text, double *seconds)
{
  int days = 0, hours, minutes, rest, used = 0;

  if (!isdigit((unsigned char)text[0]) || strspn(text, "0123456789:-") < strlen(text)) return PETSC_FALSE;
  if (sscanf(text, "%7d-%7d:%2d:%2d%n", &days, &hours, &minutes, &rest, &used) < 4) {
    days = 0;
    if (sscanf(text, "%7d:%2d:%2d%n", &hours, &minutes, &rest, &used) < 3) return PETSC_FALSE;
  }
  if (text[used] || hours < 0 || minutes < 0 || minutes > 59 || rest < 0 || rest > 59) return PETSC_FALSE;
  *seconds = 86400.0 * days + 3600.0 * hours + 60.0 * minutes + rest;
  return PETSC_TRUE;
}

/* Seconds in numbers with units, the largest first; false if it is something else. */
static PetscBool ParseTimes(const char *text, double *seconds)
{
  static const char units[] = "dhms";
  static const double unit_seconds[] = {86400, 3600, 60, 1};
  const char *unit = units;

  *seconds = 0;
  if (strspn(text, "0123456789.dhms") < strlen(text)) return PETSC_FALSE;
  while (*text) {
    char *end;
    double number = strtod(text, &end);
    if (end == text || !*end || !(unit = strchr(unit, *end))) return PETSC_FALSE;
    *seconds += number * unit_seconds[unit++ - units];
    text = end + 1;
  }
  return PETSC_TRUE;
}

PetscErrorCode CordsOptionTime(const char *name, const char *about, double *value)
{
  char text[TEXT_MAX];
  PetscBool found, good;

  PetscFunctionBegin;
  snprintf(text, sizeof text, "none");
  if (*value > 0) snprintf(text, sizeof text, "%gs", *value);
  PetscCall(Know(name, about, "", text));
  PetscCall(Given(name, sizeof text, text, &found));
  if (!found) PetscFunctionReturn(PETSC_SUCCESS);
  good = (PetscBool)(ParseClock(text, value) || ParseTimes(text, value));
  CordsCheckUser(good && *value > 0 && *value < 1e9, PETSC_COMM_WORLD,
                 "%s %s: must be a time with its units (d, h, m, s) or hours:minutes:seconds, such as 3h59m, 90s or "
                 "1:30:00",
                 name, text);
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsOptionBool(const char *name, const char *about, PetscBool *value)
{
  static const char *const yes[] = {"", "1", "true", "yes", "on"}, *const no[] = {"0", "false", "no", "off"};
  char text[TEXT_MAX];
  PetscBool found;

  PetscFunctionBegin;
  PetscCall(Know(name, about, "", *value ? "true" : "false"));
  PetscCall(Given(name, sizeof text, text, &found));
  if (!found) PetscFunctionReturn(PETSC_SUCCESS);
  for (size_t i = 0; i < PETSC_STATIC_ARRAY_LENGTH(yes); i++) {
    if (strcasecmp(text, yes[i]) == 0) *value = PETSC_TRUE, found = PETSC_FALSE;
  }
  for (size_t i = 0; i < PETSC_STATIC_ARRAY_LENGTH(no); i++) {
    if (strcasecmp(text, no[i]) == 0) *value = PETSC_FALSE, found = PETSC_FALSE;
  }
  CordsCheckUser(!found, PETSC_COMM_WORLD, "%s %s: must be true or false", name, text);
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsOptionString(const char *name, const char *about, size_t length, char *value)
{
  char text[PETSC_MAX_PATH_LEN];
  PetscBool found;

  PetscFunctionBegin;
  PetscCall(Know(name, about, "", value));
  PetscCall(Given(name, sizeof text, text, &found));
  if (!found) PetscFunctionReturn(PETSC_SUCCESS);
  CordsCheckUser(text[0], PETSC_COMM_WORLD, "%s: has no value; it is: %s", name, about);
  CordsCheckUser(strlen(text) < length, PETSC_COMM_WORLD, "%s: longer than %zu characters", name, length - 1);
  PetscCall(PetscStrncpy(value, text, length));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsOptionChoice(const char *name, const char *about, PetscInt count, const char *const names[],
                                 PetscInt *value)
{
  char text[TEXT_MAX];
  PetscBool found;

  PetscFunctionBegin;
  snprintf(text, sizeof text, "%s: ", about);
  for (PetscInt i = 0; i < count; i++)
    snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s", i ? ", " : "", names[i]);
  PetscCall(Know(name, about[0] ? text : "", "", names[*value]));
  PetscCall(Given(name, sizeof text, text, &found));
  if (found) PetscCall(CordsRegistryFind(name, count, names, text, value));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsOptionRealArray(const char *name, const char *about, const char *unit, PetscReal minimum,
                                    PetscReal maximum, PetscInt *count, PetscReal values[])
{
  char text[PETSC_MAX_PATH_LEN], *item, *rest = text;
  PetscInt capacity = *count;
  PetscBool found;

  PetscFunctionBegin;
  *count = 0;
  PetscCall(Know(name, about, unit, "list"));
  PetscCall(Given(name, sizeof text, text, &found));
  if (!found) PetscFunctionReturn(PETSC_SUCCESS);
  while ((item = strsep(&rest, ","))) {
    CordsCheckUser(*count < capacity, PETSC_COMM_WORLD, "%s: more than %" PetscInt_FMT " values", name, capacity);
    PetscCall(ParseReal(name, item, "a list of numbers like 1,2,3", minimum, maximum, &values[(*count)++]));
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsOptionIntArray(const char *name, const char *about, const char *unit, PetscInt minimum,
                                   PetscInt maximum, PetscInt *count, PetscInt values[])
{
  PetscReal *reals;
  PetscInt capacity = *count;

  PetscFunctionBegin;
  PetscCall(PetscMalloc1(capacity, &reals));
  PetscCall(CordsOptionRealArray(name, about, unit, (PetscReal)minimum, (PetscReal)maximum, count, reals));
  for (PetscInt i = 0; i < *count; i++) {
    values[i] = (PetscInt)reals[i];
    CordsCheckUser((PetscReal)values[i] == reals[i], PETSC_COMM_WORLD, "%s: %g is not a whole number", name,
                   (double)reals[i]);
  }
  PetscCall(PetscFree(reals));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* An option that was given, that nobody has asked for yet, and that is at most two letters away from `name`. */
static PetscErrorCode FindSimilar(const char *name, size_t length, char *similar)
{
  PetscInt left_count;
  char **left, **values, given[TEXT_MAX];

  PetscFunctionBegin;
  similar[0] = '\0';
  PetscCall(PetscOptionsLeftGet(NULL, &left_count, &left, &values));
  for (PetscInt i = 0; i < left_count && !similar[0]; i++) {
    snprintf(given, sizeof given, "-%s", left[i]);
    if (CordsRegistryDistance(given, name) <= 2) snprintf(similar, length, "%s", given);
  }
  PetscCall(PetscOptionsLeftRestore(NULL, &left_count, &left, &values));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsOptionRequire(const char *name, const char *value, const char *about)
{
  char similar[TEXT_MAX];

  PetscFunctionBegin;
  if (value[0] || help_asked) PetscFunctionReturn(PETSC_SUCCESS);
  PetscCall(FindSimilar(name, sizeof similar, similar));
  CordsCheckUser(!similar[0], PETSC_COMM_WORLD, "option %s is unknown here; did you mean %s, which is missing?",
                 similar, name);
  CordsUserError(PETSC_COMM_WORLD, "option %s is missing; it is: %s", name, about);
  PetscFunctionReturn(PETSC_SUCCESS);
}
