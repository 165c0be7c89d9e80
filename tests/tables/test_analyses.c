/* Every line of dynamics/analyses.def on a tiny network: runs, writes its tables, the same on one rank as on several.
   RANKS 1 2 4 */
#include "dynamics/analysis.h"
#include "support/idx.h"
#include "support/lapack.h"
#include "support/tiny.h"

#include <math.h>
#include <unistd.h>

enum { POINTS = 5 }; /* the spontaneous state and images 1 to 4 */

/* What a case sets beside -checkpoint and -output, and the arrays to compare. */
typedef struct {
  const char *name;
  const char *options; /* "%s" is the folder of the test */
  const char *arrays[24];
} Case;

static const Case cases[] = {
    {"fixed_points",
     "-dataset mnist -data %s/data -samples 1:5",
     {"fixed_points/state", "fixed_points/input", "fixed_points/image", "fixed_points/label", "fixed_points/predicted",
      "fixed_points/converged_reason", "fixed_points/newton_iterations", "fixed_points/active_fraction",
      "fixed_points/mean", "areas/neurons", "areas/channels", "areas/rows", "areas/columns", "areas/tau_ms"}},
    {"stability",
     "-fixed_points %s/fixed_points.h5 -stability_count 6 -stability_dense",
     {"spectrum/area", "spectrum/point", "stability/point", "stability/image", "stability/abscissa",
      "stability/abscissa_whole", "stability/margin", "stability/verdict", "stability/converged_pairs",
      "stability/slowest_time_constant_ms", "spectrum_dense/area", "spectrum_dense/point", "areas/tau_ms"}}};

static const char *Folder(void)
{
  static char folder[PETSC_MAX_PATH_LEN];

  snprintf(folder, sizeof folder, "%s", SupportPath(""));
  folder[strlen(folder) - 1] = '\0';
  return folder;
}

static int MakeInputs(void **state)
{
  CordsModel model = TinyModel("relu", 1), unstable = TinyModel("relu", 12);
  SupportIdx idx;
  CordsH5 file;

  SupportIdxMake(&idx);
  SupportIdxWrite(&idx, SupportPath("data"), "t10k", PETSC_FALSE);
  SupportCall(CordsH5Create(&support_context, SupportPath("model.h5"), &file));
  SupportCall(CordsModelWrite(model, file, "parameters"));
  SupportCall(CordsH5Commit(&file));
  SupportCall(CordsH5Create(&support_context, SupportPath("unstable.h5"), &file));
  SupportCall(CordsModelWrite(unstable, file, "parameters"));
  SupportCall(CordsH5Commit(&file));
  SupportCall(CordsModelDestroy(&model));
  SupportCall(CordsModelDestroy(&unstable));
  return 0;
}

/* Run an analysis as `cords analyse NAME -checkpoint … -output … OPTIONS` would. */
static PetscErrorCode RunAnalysis(CordsContext context, const char *name, const char *checkpoint, const char *output,
                                  const char *options)
{
  const CordsAnalysisType *type;
  char text[2048], with_folder[1024];
  PetscOptions database;

  PetscFunctionBegin;
  snprintf(with_folder, sizeof with_folder, options, Folder());
  snprintf(text, sizeof text, "-checkpoint %s/%s -output %s/%s %s", Folder(), checkpoint, Folder(), output,
           with_folder);
  PetscCall(PetscOptionsCreate(&database));
  PetscCall(PetscOptionsInsertString(database, text));
  PetscCall(PetscOptionsPush(database));
  PetscCall(CordsAnalysisFind(name, &type));
  PetscCall(type->configure(context));
  PetscCall(CordsConfigCheck());
  PetscCall(type->run(context));
  PetscCall(PetscOptionsPop());
  PetscCall(PetscOptionsDestroy(&database));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* A whole array as float64; count: of all numbers. */
static double *Read(CordsH5 file, const char *name, PetscInt64 *count)
{
  PetscInt64 sizes[CORDS_H5_DIMENSIONS_MAX];
  PetscInt dimensions;
  double *values;

  SupportCall(CordsH5GetShape(file, name, NULL, &dimensions, sizes));
  *count = 1;
  for (PetscInt k = 0; k < dimensions; k++) *count *= sizes[k];
  values = malloc((size_t)(*count + 1) * sizeof *values);
  SupportCall(CordsH5ReadArray(file, name, CORDS_FILE_F64, dimensions, sizes, values));
  return values;
}

static void CompareFiles(const char *path_a, const char *path_b, const char *const *names)
{
  CordsH5 a, b;

  SupportCall(CordsH5Open(&support_context, path_a, &a));
  SupportCall(CordsH5Open(&support_context, path_b, &b));
  for (; *names; names++) {
    PetscInt64 count_a, count_b;
    double *values_a = Read(a, *names, &count_a), *values_b = Read(b, *names, &count_b);
    assert_int_equal(count_a, count_b);
    assert_true(count_a > 0);
    SupportCompareF64(*names, count_a, values_a, values_b, 1e-9);
    free(values_a);
    free(values_b);
  }
  SupportCall(CordsH5Close(&a));
  SupportCall(CordsH5Close(&b));
}

static void EveryAnalysis(void **state)
{
  CordsContextData alone = {.comm = PETSC_COMM_SELF,
                            .domain_comm = PETSC_COMM_SELF,
                            .size = 1,
                            .group_size = 1,
                            .grid_rows = 1,
                            .grid_columns = 1,
                            .seed = 1};
  const char *const *names;
  PetscInt count;

  SupportCall(CordsAnalysisList(&count, &names, NULL));
  assert_int_equal(count, PETSC_STATIC_ARRAY_LENGTH(cases));
  for (PetscInt k = 0; k < count; k++) {
    char file[64], file_alone[64];
    assert_string_equal(names[k], cases[k].name);
    snprintf(file, sizeof file, "%s.h5", names[k]);
    snprintf(file_alone, sizeof file_alone, "%s_alone.h5", names[k]);
    SupportCall(RunAnalysis(&support_context, names[k], "model.h5", file, cases[k].options));
    if (support_context.rank == 0) SupportCall(RunAnalysis(&alone, names[k], "model.h5", file_alone, cases[k].options));
    MPI_Barrier(support_context.comm);
    CompareFiles(SupportPath(file), SupportPath(file_alone), cases[k].arrays);
  }
}

/* Runs after EveryAnalysis, on its files. */
static void FixedPointsAreFixed(void **state)
{
  CordsH5 file;
  PetscInt64 count;
  double *values, tolerance;

  SupportCall(CordsH5Open(&support_context, SupportPath("fixed_points.h5"), &file));
  SupportCall(CordsH5ReadReal(file, "fixed_points", "tolerance", NULL, &tolerance));
  assert_true(tolerance == 1e-10);
  values = Read(file, "fixed_points/residual_norm_rel", &count);
  assert_int_equal(count, POINTS);
  for (PetscInt k = 0; k < POINTS; k++) assert_true(values[k] <= 1e-12);
  free(values);
  values = Read(file, "fixed_points/image", &count);
  for (PetscInt k = 0; k < POINTS; k++) assert_true(values[k] == (k == 0 ? -1 : k));
  free(values);
  values = Read(file, "fixed_points/label", &count);
  for (PetscInt k = 0; k < POINTS; k++) assert_true(values[k] == (k == 0 ? -1 : SupportIdxLabel(k)));
  free(values);
  SupportCall(CordsH5Close(&file));
}

static CordsEigenvalue *ReadEigenvalues(CordsH5 file, const char *group, PetscInt64 *count)
{
  PetscInt64 sizes[CORDS_H5_DIMENSIONS_MAX];
  PetscInt dimensions;
  CordsEigenvalue *values;
  char name[64];

  snprintf(name, sizeof name, "%s/eigenvalue", group);
  SupportCall(CordsH5GetShape(file, name, NULL, &dimensions, sizes));
  *count = sizes[0];
  values = malloc((size_t)(*count + 1) * sizeof *values);
  SupportCall(CordsH5ReadArray(file, name, CORDS_FILE_COMPLEX, 1, sizes, values));
  return values;
}

/* The eigenvalues of one (point, area) among rows; returns how many. */
static PetscInt Select(PetscInt64 rows, const CordsEigenvalue *values, const double *areas, const double *points,
                       double area, double point, CordsEigenvalue *selected)
{
  PetscInt count = 0;

  for (PetscInt64 k = 0; k < rows; k++) {
    if (areas[k] == area && points[k] == point) selected[count++] = values[k];
  }
  return count;
}

/* Iterative against dense eigenvalues, residuals, block against whole. */
static void SpectraAgree(void **state)
{
  PetscInt64 rows, dense_rows, count;
  CordsH5 file;
  CordsEigenvalue *values, *dense, *some, *all;
  double *areas, *points, *dense_areas, *dense_points, *residuals, *difference;

  SupportCall(CordsH5Open(&support_context, SupportPath("stability.h5"), &file));
  values = ReadEigenvalues(file, "spectrum", &rows);
  dense = ReadEigenvalues(file, "spectrum_dense", &dense_rows);
  areas = Read(file, "spectrum/area", &count);
  points = Read(file, "spectrum/point", &count);
  dense_areas = Read(file, "spectrum_dense/area", &count);
  dense_points = Read(file, "spectrum_dense/point", &count);
  residuals = Read(file, "spectrum/residual_norm_rel", &count);
  assert_int_equal(rows, POINTS * 4 * 6); /* three areas and the whole, six pairs */
  for (PetscInt64 k = 0; k < rows; k++) assert_true(residuals[k] <= 1e-10);
  some = malloc((size_t)rows * sizeof *some);
  all = malloc((size_t)dense_rows * sizeof *all);
  for (int point = 0; point < POINTS; point++) {
    for (int area = 0; area < 3; area++) {
      PetscInt n = Select(rows, values, areas, points, area, point, some);
      PetscInt n_all = Select(dense_rows, dense, dense_areas, dense_points, area, point, all);
      assert_int_equal(n, 6);
      LapackCompareRightmost("iterative against dense", n, some, n_all, all, 1e-9);
    }
  }
  difference = Read(file, "stability/block_whole_difference", &count);
  for (PetscInt64 k = 0; k < count; k++) assert_true(difference[k] <= 1e-8);
  SupportCall(CordsH5Close(&file));
  free(values), free(dense), free(some), free(all), free(areas), free(points);
  free(dense_areas), free(dense_points), free(residuals), free(difference);
}

/* Points that do not converge are results; the spectrum of such a point is refused. */
static void NonConvergence(void **state)
{
  static const char options[] = "-dataset mnist -data %s/data -samples 0:2 -fixed_points_snes_max_it 1";
  PetscInt64 count;
  double *reasons, *residuals, bad = 0;
  const char *sentence;
  CordsH5 file;

  SupportCall(RunAnalysis(&support_context, "fixed_points", "unstable.h5", "bad.h5", options));
  SupportCall(CordsH5Open(&support_context, SupportPath("bad.h5"), &file));
  reasons = Read(file, "fixed_points/converged_reason", &count); /* finite, or this fails */
  residuals = Read(file, "fixed_points/residual_norm_rel", &count);
  assert_int_equal(count, 3);
  for (PetscInt64 k = 0; k < count; k++) bad += reasons[k] < 0 && residuals[k] > 1e-10;
  assert_true(bad == 3);
  SupportCall(CordsH5Close(&file));
  free(reasons);
  free(residuals);
  SupportCall(RunAnalysis(&support_context, "stability", "unstable.h5", "bad_stability.h5", "-fixed_points %s/bad.h5"));
  sentence = SupportExpectUserError(RunAnalysis(&support_context, "stability", "unstable.h5", "bad_stability.h5",
                                                "-fixed_points %s/bad.h5 -stability_points 1"));
  assert_non_null(strstr(sentence, "did not converge"));
  PetscOptionsPop();
}

static void UserErrors(void **state)
{
  static const struct {
    const char *name, *checkpoint, *options, *sentence;
  } errors[] = {
      {"fixed_point", "model.h5", "", "did you mean 'fixed_points'"},
      {"fixed_points", "model.h5", "-dataset mnist -data %s/data -samples 3:3", "holds no image"},
      {"fixed_points", "model.h5", "-dataset mnist -data %s/data -samples three", "must be A:B"},
      {"fixed_points", "model.h5", "-dataset mnist -data %s/data -samples 0:8", "has 7 images"},
      {"fixed_points", "model.h5", "-dataset mnist -data %s/data -fixed_points_snes_max_itt 3", "did you mean"},
      {"fixed_points", "model.h5", "-data %s/data", "-dataset is missing"},
      {"stability", "model.h5", "-fixed_points %s/model.h5", "holds no fixed points"},
      {"stability", "model.h5", "-fixed_points %s/fixed_points.h5 -stability_points 5", "has the points 0 to 4"},
      {"stability", "unstable.h5", "-fixed_points %s/fixed_points.h5", "another checkpoint"}};

  for (size_t k = 0; k < PETSC_STATIC_ARRAY_LENGTH(errors); k++) {
    const char *sentence = SupportExpectUserError(
        RunAnalysis(&support_context, errors[k].name, errors[k].checkpoint, "never.h5", errors[k].options));
    if (!strstr(sentence, errors[k].sentence)) print_error("expected '%s' in: %s\n", errors[k].sentence, sentence);
    assert_non_null(strstr(sentence, errors[k].sentence));
    PetscOptionsPop();
    assert_int_not_equal(access(SupportPath("never.h5"), F_OK), 0);
  }
}

static const struct CMUnitTest tests[] = {cmocka_unit_test(EveryAnalysis), cmocka_unit_test(FixedPointsAreFixed),
                                          cmocka_unit_test(SpectraAgree), cmocka_unit_test(NonConvergence),
                                          cmocka_unit_test(UserErrors)};

static int RunAll(void)
{
  return cmocka_run_group_tests(tests, MakeInputs, NULL);
}

int main(int argc, char **argv)
{
  return SupportRun(argc, argv, RunAll);
}
