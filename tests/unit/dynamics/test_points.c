/* Reading a file of fixed points: which points are chosen, what is refused. */
#include "dynamics/points.h"
#include "dynamics/fixed_point.h"
#include "io/results.h"
#include "support/tiny.h"

#include <math.h>

enum { ROWS = 4, PIXELS = TINY_IMAGE_ROWS * TINY_IMAGE_COLUMNS };

static CordsModel model;
static CordsProblem problem;
static double *states;
static float inputs[ROWS][PIXELS];

/* The arrays that points.c reads; row 2 did not converge. */
static void WritePoints(const char *path, PetscInt64 neurons)
{
  static const CordsSchema state_schema = {"fixed_points/state", "point,neuron", "1", "states"},
                           input_schema = {"fixed_points/input", "point,row,column,channel", "1", "images"},
                           reason_schema = {"fixed_points/converged_reason", "point", "1", "reasons"},
                           residual_schema = {"fixed_points/residual_norm_rel", "point", "1", "residuals"},
                           image_schema = {"fixed_points/image", "point", "1", "images"};
  static const PetscInt64 reasons[ROWS] = {2, 2, -5, 2}, images[ROWS] = {-1, 10, 11, 12};
  static const double residuals[ROWS] = {1e-14, 1e-14, 1e-3, 1e-14};
  const PetscInt64 state_sizes[] = {ROWS, neurons}, input_sizes[] = {ROWS, TINY_IMAGE_ROWS, TINY_IMAGE_COLUMNS, 1};
  CordsH5 file;

  SupportCall(CordsH5Create(&support_context, path, &file));
  SupportCall(CordsH5WriteArray(file, &state_schema, CORDS_FILE_F64, 2, state_sizes, states));
  SupportCall(CordsH5WriteArray(file, &input_schema, CORDS_FILE_F32, 4, input_sizes, inputs));
  SupportCall(CordsH5WriteArray(file, &reason_schema, CORDS_FILE_I64, 1, state_sizes, reasons));
  SupportCall(CordsH5WriteArray(file, &residual_schema, CORDS_FILE_F64, 1, state_sizes, residuals));
  SupportCall(CordsH5WriteArray(file, &image_schema, CORDS_FILE_I64, 1, state_sizes, images));
  SupportCall(CordsH5WriteReal(file, "fixed_points", "tolerance", 1e-10));
  SupportCall(CordsH5Commit(&file));
}

static int MakeFile(void **state)
{
  CordsFixedPointSettings settings;
  CordsFixedPoint point;
  PetscInt n;

  model = TinyModel("relu", 1);
  SupportCall(CordsProblemCreate(model, &problem));
  SupportCall(CordsFixedPointConfigure(&settings));
  n = CordsProblemSize(problem, CORDS_ALL_AREAS);
  states = calloc((size_t)(ROWS * n), sizeof *states);
  for (int k = 0; k < ROWS; k++) {
    if (k > 0) TinyImage((uint64_t)k, inputs[k]);
    SupportCall(CordsProblemSetImage(problem, k > 0 ? inputs[k] : NULL));
    SupportCall(CordsFixedPointSolve(problem, &settings, states + k * n, &point));
  }
  WritePoints(SupportPath("points.h5"), n);
  WritePoints(SupportPath("narrow.h5"), n - 1);
  states[3 * n]++; /* not a fixed point any more */
  WritePoints(SupportPath("moved.h5"), n);
  return 0;
}

static int Free(void **state)
{
  free(states);
  SupportCall(CordsProblemDestroy(&problem));
  SupportCall(CordsModelDestroy(&model));
  return 0;
}

static CordsPointsSettings *Settings(const char *file, PetscInt count_max, PetscInt list_count, const PetscInt list[])
{
  static CordsPointsSettings settings;

  memset(&settings, 0, sizeof settings);
  snprintf(settings.path, sizeof settings.path, "%s", SupportPath(file));
  snprintf(settings.list_option, sizeof settings.list_option, "-stability_points");
  settings.count_max = count_max;
  settings.list_count = list_count;
  for (PetscInt k = 0; k < list_count; k++) settings.list[k] = list[k];
  return &settings;
}

static void CheckChoice(const CordsPointsSettings *settings, PetscInt count, const PetscInt rows[])
{
  static const PetscInt images[ROWS] = {-1, 10, 11, 12};
  CordsPoints points;

  SupportCall(CordsPointsOpen(&support_context, settings, "model.h5", model, &points));
  assert_int_equal(points->count, count);
  for (PetscInt k = 0; k < count; k++) {
    assert_int_equal(points->rows[k], rows[k]);
    assert_int_equal(points->images[k], images[rows[k]]);
  }
  SupportCall(CordsPointsClose(&points));
}

static void Choice(void **state)
{
  CheckChoice(Settings("points.h5", 9, 0, NULL), 3, (PetscInt[]){0, 1, 3});
  CheckChoice(Settings("points.h5", 2, 0, NULL), 2, (PetscInt[]){0, 1});
  CheckChoice(Settings("points.h5", 1, 2, (PetscInt[]){3, 0}), 2, (PetscInt[]){3, 0});
}

/* What is linearised is the state in the file, with its image. */
static void Linearise(void **state)
{
  PetscInt n = CordsProblemSize(problem, CORDS_ALL_AREAS);
  double *v = malloc((size_t)n * sizeof *v), *y = malloc((size_t)n * sizeof *y),
         *expected = malloc((size_t)n * sizeof *y);
  CordsPoints points;

  SupportFillF64(1, n, v);
  SupportCall(CordsPointsOpen(&support_context, Settings("points.h5", 9, 0, NULL), "model.h5", model, &points));
  for (PetscInt k = 0; k < points->count; k++) {
    PetscInt row = points->rows[k];
    if (row == 3) continue; /* `states` has moved there */
    SupportCall(CordsPointsRead(points, k, k + 1, problem));
    SupportCall(CordsPointsLinearise(points, k, problem));
    SupportCall(CordsProblemTangent(problem, CORDS_ALL_AREAS, v, y));
    SupportCall(CordsProblemSetImage(problem, row > 0 ? inputs[row] : NULL));
    SupportCall(CordsProblemLinearise(problem, CORDS_ALL_AREAS, states + row * n));
    SupportCall(CordsProblemTangent(problem, CORDS_ALL_AREAS, v, expected));
    SupportCompareF64("J v", n, y, expected, 1e-14);
  }
  SupportCall(CordsPointsClose(&points));
  free(v), free(y), free(expected);
}

static void Expect(const CordsPointsSettings *settings, const char *part)
{
  CordsPoints points;
  const char *sentence =
      SupportExpectUserError(CordsPointsOpen(&support_context, settings, "model.h5", model, &points));

  if (!strstr(sentence, part)) print_error("expected '%s' in: %s\n", part, sentence);
  assert_non_null(strstr(sentence, part));
}

static void Refusals(void **state)
{
  CordsPoints points;

  Expect(Settings("points.h5", 9, 1, (PetscInt[]){4}), "has the points 0 to 3");
  Expect(Settings("points.h5", 9, 1, (PetscInt[]){2}), "did not converge");
  Expect(Settings("narrow.h5", 9, 0, NULL), "neurons");
  Expect(Settings("missing.h5", 9, 0, NULL), "missing.h5");
  SupportCall(CordsPointsOpen(&support_context, Settings("moved.h5", 9, 0, NULL), "model.h5", model, &points));
  SupportCall(CordsPointsRead(points, 0, 1, problem));
  assert_non_null(strstr(SupportExpectUserError(CordsPointsRead(points, 2, 3, problem)), "is no fixed point"));
  SupportCall(CordsPointsClose(&points));
}

static const struct CMUnitTest tests[] = {cmocka_unit_test(Choice), cmocka_unit_test(Linearise),
                                          cmocka_unit_test(Refusals)};

static int RunAll(void)
{
  return cmocka_run_group_tests(tests, MakeFile, Free);
}

int main(int argc, char **argv)
{
  return SupportRun(argc, argv, RunAll);
}
