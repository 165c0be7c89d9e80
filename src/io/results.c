#include "io/results.h"

#include "io/run_info.h"

#include <string.h>

enum { TABLES_MAX = 128 };

/* What is needed to send rows of a declared array. */
typedef struct {
  char *name;
  CordsFileType type;
  PetscInt64 row_items; /* numbers in one row */
} Table;

struct _p_CordsResults {
  CordsContext context;
  CordsH5 file; /* NULL after a failed commit */
  PetscInt table_count;
  Table tables[TABLES_MAX];
};

PetscErrorCode CordsResultsCreate(CordsContext context, const char *path, CordsResults *results)
{
  CordsH5 file;

  PetscFunctionBegin;
  PetscCall(CordsH5Create(context, path, &file));
  PetscCall(PetscNew(results));
  (*results)->context = context;
  (*results)->file = file;
  PetscFunctionReturn(PETSC_SUCCESS);
}

static Table *FindTable(CordsResults results, const char *name)
{
  for (PetscInt i = 0; i < results->table_count; i++)
    if (!strcmp(results->tables[i].name, name)) return &results->tables[i];
  return NULL;
}

PetscErrorCode CordsResultsDeclare(CordsResults results, const CordsSchema *schema, CordsFileType type,
                                   PetscInt dimensions, const PetscInt64 sizes[])
{
  PetscInt64 all[CORDS_H5_DIMENSIONS_MAX] = {0};
  Table table = {.type = type, .row_items = 1};

  PetscFunctionBegin;
  PetscCheck(dimensions >= 0 && dimensions < CORDS_H5_DIMENSIONS_MAX, PETSC_COMM_SELF, PETSC_ERR_ARG_OUTOFRANGE,
             "rows of %s have %" PetscInt_FMT " dimensions", schema->name, dimensions);
  PetscCheck(results->table_count < TABLES_MAX, PETSC_COMM_SELF, PETSC_ERR_PLIB, "more than %d arrays", TABLES_MAX);
  PetscCheck(!FindTable(results, schema->name), PETSC_COMM_SELF, PETSC_ERR_ARG_WRONGSTATE, "%s is declared twice",
             schema->name);
  for (PetscInt i = 0; i < dimensions; i++) {
    all[i + 1] = sizes[i];
    table.row_items *= sizes[i];
  }
  PetscCall(CordsH5CreateRows(results->file, schema, type, dimensions + 1, all));
  PetscCall(PetscStrallocpy(schema->name, &table.name));
  results->tables[results->table_count++] = table;
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* One row as an MPI type, so that counts are rows and stay far below what an int holds.  MPI_Type_free by the caller.
 */
static PetscErrorCode RowType(const Table *table, MPI_Datatype *type)
{
  MPI_Datatype item;

  PetscFunctionBegin;
  PetscCheck(table->row_items <= PETSC_MPI_INT_MAX, PETSC_COMM_SELF, PETSC_ERR_ARG_OUTOFRANGE,
             "%lld numbers in a row of %s", (long long)table->row_items, table->name);
  PetscCallMPI(MPI_Type_contiguous((int)CordsFileTypeSize(table->type), MPI_BYTE, &item));
  PetscCallMPI(MPI_Type_contiguous((int)table->row_items, item, type));
  PetscCallMPI(MPI_Type_commit(type));
  PetscCallMPI(MPI_Type_free(&item));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* Rows per rank and where they go, on rank 0; the total on every rank. */
static PetscErrorCode CountRows(CordsContext context, PetscMPIInt rows, PetscMPIInt counts[], PetscMPIInt places[],
                                PetscInt64 *total)
{
  PetscInt64 mine = rows;

  PetscFunctionBegin;
  PetscCallMPI(MPI_Gather(&rows, 1, MPI_INT, counts, 1, MPI_INT, 0, context->comm));
  PetscCallMPI(MPI_Allreduce(&mine, total, 1, MPIU_INT64, MPI_SUM, context->comm));
  PetscCheck(*total <= PETSC_MPI_INT_MAX, PETSC_COMM_SELF, PETSC_ERR_ARG_OUTOFRANGE, "%lld rows at once",
             (long long)*total);
  for (PetscMPIInt i = 0, place = 0; context->rank == 0 && i < context->size; i++) {
    places[i] = place;
    place += counts[i];
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsResultsAppend(CordsResults results, const char *name, PetscInt64 rows, const void *data)
{
  CordsContext context = results->context;
  Table *table = FindTable(results, name);
  PetscMPIInt *counts = NULL, *places = NULL, mine = (PetscMPIInt)rows;
  PetscInt64 total;
  MPI_Datatype type;
  char *all = NULL;

  PetscFunctionBegin;
  PetscCheck(table, PETSC_COMM_SELF, PETSC_ERR_ARG_WRONG, "array %s was not declared", name);
  PetscCheck(rows >= 0 && rows <= PETSC_MPI_INT_MAX, PETSC_COMM_SELF, PETSC_ERR_ARG_OUTOFRANGE, "%lld rows",
             (long long)rows);
  if (context->rank == 0) PetscCall(PetscMalloc2(context->size, &counts, context->size, &places));
  PetscCall(CountRows(context, mine, counts, places, &total));
  if (total > 0) {
    PetscCall(RowType(table, &type));
    if (context->rank == 0)
      PetscCall(PetscMalloc((size_t)(total * table->row_items) * CordsFileTypeSize(table->type), &all));
    PetscCallMPI(MPI_Gatherv(data, mine, type, all, counts, places, type, 0, context->comm));
    PetscCallMPI(MPI_Type_free(&type));
    PetscCall(CordsH5AppendRows(results->file, name, total, all));
    PetscCall(PetscFree(all));
  }
  PetscCall(PetscFree2(counts, places));
  PetscFunctionReturn(PETSC_SUCCESS);
}

CordsH5 CordsResultsFile(CordsResults results)
{
  return results->file;
}

PetscErrorCode CordsResultsCommit(CordsResults *results, const char *command, PetscInt input_count,
                                  const char *const inputs[])
{
  PetscFunctionBegin;
  PetscCall(CordsRunInfoWrite((*results)->context, (*results)->file, command, input_count, inputs));
  PetscCall(CordsH5Commit(&(*results)->file));
  PetscCall(CordsResultsDestroy(results));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsResultsDestroy(CordsResults *results)
{
  PetscFunctionBegin;
  if (!*results) PetscFunctionReturn(PETSC_SUCCESS);
  PetscCall(CordsH5Close(&(*results)->file));
  for (PetscInt i = 0; i < (*results)->table_count; i++) PetscCall(PetscFree((*results)->tables[i].name));
  PetscCall(PetscFree(*results));
  PetscFunctionReturn(PETSC_SUCCESS);
}
