/* Result files: rows of all ranks in rank order, complete or not there.
   RANKS 1 2 4 */
#include "io/results.h"
#include "support/support.h"

#include <stdlib.h>
#include <unistd.h>

enum { WIDTH = 3, ROUNDS = 4 };

static const CordsSchema state_schema = {"fixed_points/state", "point,neuron", "1", "activity of every neuron"};
static const CordsSchema image_schema = {"fixed_points/image", "point", "1", "index in the dataset"};

/* Rows of a rank in a round: none on some. */
static PetscInt64 RowsOf(PetscInt64 rank, PetscInt64 round)
{
  return (rank + round) % 3;
}

static double Value(PetscInt64 rank, PetscInt64 round, PetscInt64 row, PetscInt64 column)
{
  return (double)(1000 * round + 100 * rank + 10 * row + column);
}

static PetscErrorCode WriteFile(const char *path)
{
  CordsResults results;
  PetscInt64 image[2];
  double data[2][WIDTH];

  PetscFunctionBegin;
  PetscCall(CordsResultsCreate(&support_context, path, &results));
  PetscCall(CordsResultsDeclare(results, &state_schema, CORDS_FILE_F64, 1, (PetscInt64[]){WIDTH}));
  PetscCall(CordsResultsDeclare(results, &image_schema, CORDS_FILE_I64, 0, NULL));
  for (PetscInt64 round = 0; round < ROUNDS; round++) {
    PetscInt64 rows = RowsOf(support_context.rank, round);

    for (PetscInt64 row = 0; row < rows; row++) {
      image[row] = (PetscInt64)Value(support_context.rank, round, row, 0);
      for (PetscInt64 i = 0; i < WIDTH; i++) data[row][i] = Value(support_context.rank, round, row, i);
    }
    PetscCall(CordsResultsAppend(results, "fixed_points/state", rows, data));
    PetscCall(CordsResultsAppend(results, "fixed_points/image", rows, image));
  }
  PetscCall(CordsH5WriteInt(CordsResultsFile(results), "fixed_points", "asked", 5));
  PetscCall(CordsResultsCommit(&results, "analyse fixed_points", 0, NULL));
  PetscCheck(!results, PETSC_COMM_SELF, PETSC_ERR_PLIB, "not destroyed");
  PetscFunctionReturn(PETSC_SUCCESS);
}

static void RankOrder(void **state)
{
  const char *path = SupportPath("results.h5");
  PetscInt64 sizes[CORDS_H5_DIMENSIONS_MAX], at = 0, image;
  PetscInt dimensions;
  double row[WIDTH];
  char *text;
  CordsH5 file;

  SupportCall(WriteFile(path));
  SupportCall(CordsH5Open(&support_context, path, &file));
  for (PetscInt64 round = 0; round < ROUNDS; round++)
    for (PetscInt64 rank = 0; rank < support_context.size; rank++)
      for (PetscInt64 i = 0; i < RowsOf(rank, round); i++, at++) {
        SupportCall(CordsH5ReadRows(file, "fixed_points/state", CORDS_FILE_F64, at, 1, row));
        SupportCall(CordsH5ReadRows(file, "fixed_points/image", CORDS_FILE_I64, at, 1, &image));
        for (PetscInt64 k = 0; k < WIDTH; k++) assert_true(row[k] == Value(rank, round, i, k));
        assert_int_equal(image, row[0]);
      }
  SupportCall(CordsH5GetShape(file, "fixed_points/state", NULL, &dimensions, sizes));
  assert_true(dimensions == 2 && sizes[0] == at && sizes[1] == WIDTH);
  SupportCall(CordsH5ReadText(file, "fixed_points/state", "axes", &text));
  assert_string_equal(text, "point,neuron");
  SupportCall(PetscFree(text));
  SupportCall(CordsH5ReadText(file, "run", "command", &text));
  assert_string_equal(text, "analyse fixed_points");
  SupportCall(PetscFree(text));
  SupportCall(CordsH5Close(&file));
}

/* Many rows of several chunks and no row at all. */
static void ManyRows(void **state)
{
  const char *path = SupportPath("many.h5");
  CordsSchema none = {"none", "point", "1", "no rows"};
  PetscInt64 n = 5000, sizes[CORDS_H5_DIMENSIONS_MAX], *rows;
  PetscInt dimensions;
  CordsResults results;
  CordsH5 file;

  rows = malloc((size_t)(n * support_context.size) * sizeof *rows);
  for (PetscInt64 i = 0; i < n; i++) rows[i] = n * support_context.rank + i;
  SupportCall(CordsResultsCreate(&support_context, path, &results));
  SupportCall(CordsResultsDeclare(results, &image_schema, CORDS_FILE_I64, 0, NULL));
  SupportCall(CordsResultsDeclare(results, &none, CORDS_FILE_I64, 0, NULL));
  SupportCall(CordsResultsAppend(results, image_schema.name, n, rows));
  SupportCall(CordsResultsAppend(results, "none", 0, NULL));
  SupportCall(CordsResultsCommit(&results, "test", 0, NULL));
  n *= support_context.size;
  SupportCall(CordsH5Open(&support_context, path, &file));
  SupportCall(CordsH5ReadArray(file, image_schema.name, CORDS_FILE_I64, 1, &n, rows));
  for (PetscInt64 i = 0; i < n; i++) assert_int_equal(rows[i], i);
  SupportCall(CordsH5GetShape(file, "none", NULL, &dimensions, sizes));
  assert_true(dimensions == 1 && sizes[0] == 0);
  SupportCall(CordsH5Close(&file));
  free(rows);
}

static void NotCommitted(void **state)
{
  const char *path = SupportPath("dropped.h5"), *part = SupportPath("dropped.h5.part");
  CordsResults results;

  SupportCall(CordsResultsCreate(&support_context, path, &results));
  SupportCall(CordsResultsDeclare(results, &image_schema, CORDS_FILE_I64, 0, NULL));
  SupportCall(MPI_Barrier(support_context.comm));
  assert_int_equal(access(part, F_OK), 0);
  SupportCall(MPI_Barrier(support_context.comm));
  SupportCall(CordsResultsDestroy(&results));
  SupportCall(MPI_Barrier(support_context.comm));
  assert_true(access(part, F_OK) && access(path, F_OK));
  assert_non_null(strstr(SupportExpectUserError(CordsResultsCreate(&support_context, SupportPath("no/x.h5"), &results)),
                         "no/x.h5"));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(RankOrder),
    cmocka_unit_test(ManyRows),
    cmocka_unit_test(NotCommitted),
};

SUPPORT_MAIN(tests)
