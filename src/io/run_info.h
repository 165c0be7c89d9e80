/* The /run group that every output file carries: how to make this file again.
   Attributes: command, options (as used, one line), version, commit, compiler, build_type, libraries, ranks, threads,
   host, date (ISO 8601, UTC), seed; datasets /run/inputs/N are attributes input_N = "sha256:... path". */
#ifndef CORDS_IO_RUN_INFO_H
#define CORDS_IO_RUN_INFO_H

#include "io/h5.h"

/* Write /run.  inputs: paths of the files that were read; their SHA-256 goes with them.  Collective. */
PetscErrorCode CordsRunInfoWrite(CordsContext context, CordsH5 file, const char *command, PetscInt input_count,
                                 const char *const inputs[]);

/* Version of cords and of every library it runs with, one per line; PetscFree by the caller. */
PetscErrorCode CordsRunInfoLibraries(char **text);

/* SHA-256 of bytes in memory as 64 hexadecimal digits.  Not collective. */
PetscErrorCode CordsRunInfoDigestBytes(size_t bytes, const void *data, char digest[65]);

#endif
