/* Result files: tables that an analysis declares and appends rows to, complete or not there at all.

   Every array is [row][...]; rows come from all ranks and are stored in the order of the ranks. */
#ifndef CORDS_IO_RESULTS_H
#define CORDS_IO_RESULTS_H

#include "io/h5.h"

typedef struct _p_CordsResults *CordsResults;

/* Start a result file.  Collective.  Errors (user): path not writable. */
PetscErrorCode CordsResultsCreate(CordsContext context, const char *path, CordsResults *results);

/* Declare an array; its first axis counts rows.  sizes: the other axes of one row (dimensions of them, 0 for a number
   per row).  schema->axes names the row axis too.  Collective. */
PetscErrorCode CordsResultsDeclare(CordsResults results, const CordsSchema *schema, CordsFileType type,
                                   PetscInt dimensions, const PetscInt64 sizes[]);

/* Append this rank's rows (may be 0) of a declared array, in rank order.  Collective. */
PetscErrorCode CordsResultsAppend(CordsResults results, const char *name, PetscInt64 rows, const void *data);

/* The file underneath, for attributes. */
CordsH5 CordsResultsFile(CordsResults results);

/* Write /run and give the file its name.  Collective. */
PetscErrorCode CordsResultsCommit(CordsResults *results, const char *command, PetscInt input_count,
                                  const char *const inputs[]);

/* Drop the file unless committed. */
PetscErrorCode CordsResultsDestroy(CordsResults *results);

#endif
