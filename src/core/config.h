/* Options, in three phases: configure - check - run.

   1. configure: every part declares and reads its options with the functions below, next to its own code.  They are
      a thin layer over PETSc's options database that remembers name, default, unit and meaning for -help and
      for suggestions, and checks the range.
   2. check: CordsConfigCheck stops the job if an option was given that nobody has asked for.
   3. run: no new option may be read.

   Options come from the command line and from -config FILE (nested YAML; {stability: {count: 20}} is
   -stability_count 20); the command line wins.  This file owns the phases and no value. */
#ifndef CORDS_CORE_CONFIG_H
#define CORDS_CORE_CONFIG_H

#include "core/error.h"

/* Read -config and note whether -help was asked.  Collective.  Errors: unreadable or malformed YAML. */
PetscErrorCode CordsConfigBegin(void);

/* A YAML file as options of their own: {network: {latency_us: 2}} is -network_latency_us 2.  option: which names the
   file, for sentences.  PetscOptionsDestroy by the caller.  Collective.  Errors (user): not readable, no YAML, anchors.
 */
PetscErrorCode CordsConfigReadYaml(const char *option, const char *path, PetscOptions *options);

/* True if -help was given: then nothing but declaring options may happen.  With `-help solvers` PETSc prints all
   options of each of its objects that configure makes. */
PetscBool CordsConfigHelp(void);

/* Print the heading, the options declared so far, one line each, and the prefixes of solvers; nothing after `-help
   solvers`, which has printed.  command: as typed, such as "analyse stability".  Rank 0 prints.  Errors (user): `-help
   solvers` where there are none. */
PetscErrorCode CordsConfigPrintHelp(const char *command, const char *heading);

/* Stop if an option was given that no part declared, naming the closest declared one.  Collective. */
PetscErrorCode CordsConfigCheck(void);

/* Declared options that begin with `start` will be read in run, when more is known: CordsConfigCheck does not miss
 * them. */
PetscErrorCode CordsConfigLater(const char *start);

/* Names that a library object reads itself (SNES, KSP, EPS): "-fixed_points_snes_rtol".  Used for suggestions. */
PetscErrorCode CordsConfigKnow(const char *name);

/* Tell on the -help page that PETSc reads options that begin with `start`, such as "-fixed_points_ksp_": what for, one
   example and the manual page that lists them.  Copied. */
PetscErrorCode CordsConfigSolver(const char *start, const char *about, const char *example, const char *page);

/* The options as used, as YAML-like lines "-name value"; PetscFree by the caller. */
PetscErrorCode CordsConfigUsed(char **text);

/* Each declares -name for -help and reads it; `value` holds the default on entry and the value on return.
   `unit` is "" for a pure number.  Errors (user, collective): not a number, or outside [minimum, maximum]. */
PetscErrorCode CordsOptionInt(const char *name, const char *about, const char *unit, PetscInt minimum, PetscInt maximum,
                              PetscInt *value);
PetscErrorCode CordsOptionReal(const char *name, const char *about, const char *unit, PetscReal minimum,
                               PetscReal maximum, PetscReal *value);
/* A size of memory with its unit: 2GB, 600MB, 1.5GiB (B, kB, MB, GB, TB, KiB, MiB, GiB, TiB); value in bytes, 0: none.
 */
PetscErrorCode CordsOptionBytes(const char *name, const char *about, double *value);
/* A time with its units, 3h59m, 90s, 1.5h, 2d12h, or as a clock, 1:30:00, 2-00:00:00; value in seconds, 0: none. */
PetscErrorCode CordsOptionTime(const char *name, const char *about, double *value);
PetscErrorCode CordsOptionBool(const char *name, const char *about, PetscBool *value);
PetscErrorCode CordsOptionString(const char *name, const char *about, size_t length, char *value);
/* value: index into names[0..count) */
PetscErrorCode CordsOptionChoice(const char *name, const char *about, PetscInt count, const char *const names[],
                                 PetscInt *value);
/* count: capacity of values on entry, number given on return (0 if the option is absent; values unchanged then) */
PetscErrorCode CordsOptionIntArray(const char *name, const char *about, const char *unit, PetscInt minimum,
                                   PetscInt maximum, PetscInt *count, PetscInt values[]);
PetscErrorCode CordsOptionRealArray(const char *name, const char *about, const char *unit, PetscReal minimum,
                                    PetscReal maximum, PetscInt *count, PetscReal values[]);

/* Error if a required string option is empty, with a sentence that says what it is.  Collective. */
PetscErrorCode CordsOptionRequire(const char *name, const char *value, const char *about);

#endif
