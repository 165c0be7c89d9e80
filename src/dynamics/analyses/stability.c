/* Is a fixed point stable, and how slowly does the network return to it?  Rightmost eigenpairs of the Jacobian at the
   points of a file of `cords analyse fixed_points`, area by area and of the whole system.

   Writes /spectrum, one row per eigenpair, and /stability, one row per point; see `tables` for the arrays. */
#include "core/config.h"
#include "core/log.h"
#include "dynamics/analysis.h"
#include "dynamics/dense.h"
#include "dynamics/points.h"

#include <math.h>

static struct {
  CordsAnalysisFiles files;
  CordsPointsSettings points;
  CordsSpectrumSettings solver;
  PetscBool whole, dense;
  PetscInt dense_max;
} options;

/* What is found at one point: spectra of the areas and, last, of the whole system if asked for. */
typedef struct {
  PetscInt point;
  PetscInt64 image;
  PetscInt area_count, spectrum_count;
  CordsSpectrum spectra[CORDS_AREAS_MAX + 1];
  double abscissa[CORDS_AREAS_MAX], time_constant_ms[CORDS_AREAS_MAX], abscissa_whole, margin, difference;
  PetscInt64 converged[CORDS_AREAS_MAX], verdict;
} Row;

enum { STABLE = 1, UNDECIDED = 0, UNSTABLE = -1 };

/* Rows per eigenpair, per point, and per eigenvalue of the dense spectra. */
enum { EIGENVALUE, RESIDUAL, AREA, POINT, PAIR_END };
enum { AT_POINT = PAIR_END, IMAGE, ABSCISSA, MARGIN, VERDICT, CONVERGED, TIME_CONSTANT, WHOLE_ABSCISSA, DIFFERENCE };
enum { DENSE_EIGENVALUE = DIFFERENCE + 1, DENSE_AREA, DENSE_POINT, TABLE_COUNT };

static const struct {
  CordsSchema schema;
  CordsFileType type;
} tables[TABLE_COUNT] = {
    [EIGENVALUE] = {{"spectrum/eigenvalue", "pair", "1/tau",
                     "eigenvalue of the Jacobian of the ODE, tau that of area 0; stable means real part < 0"},
                    CORDS_FILE_COMPLEX},
    [RESIDUAL] = {{"spectrum/residual_norm_rel", "pair", "1",
                   "|J x - lambda x| / (|x| max(|lambda|, 1)), recomputed outside the solver"},
                  CORDS_FILE_F64},
    [AREA] = {{"spectrum/area", "pair", "1",
               "area whose diagonal block this is an eigenvalue of, -1 for the whole system"},
              CORDS_FILE_I64},
    [POINT] = {{"spectrum/point", "pair", "1", "row of the point in the file of fixed points"}, CORDS_FILE_I64},
    [AT_POINT] = {{"stability/point", "point", "1", "row of the point in the file of fixed points"}, CORDS_FILE_I64},
    [IMAGE] = {{"stability/image", "point", "1", "index in the test split, -1 for the spontaneous state"},
               CORDS_FILE_I64},
    [ABSCISSA] = {{"stability/abscissa", "point,area", "1/tau", "largest real part of the area's eigenvalues"},
                  CORDS_FILE_F64},
    [MARGIN] = {{"stability/margin", "point", "1/tau",
                 "distance to the left of 0 of the rightmost eigenvalue of all areas; negative where it is right of 0"},
                CORDS_FILE_F64},
    [VERDICT] =
        {{"stability/verdict", "point", "1",
          "1 stable, -1 unstable, 0 undecided: pairs did not converge or the margin is within their uncertainty"},
         CORDS_FILE_I64},
    [CONVERGED] = {{"stability/converged_pairs", "point,area", "1", "eigenpairs with a residual within the tolerance"},
                   CORDS_FILE_I64},
    [TIME_CONSTANT] = {{"stability/slowest_time_constant_ms", "point,area", "ms",
                        "-tau/abscissa, the time constant of the slowest mode; negative where it grows"},
                       CORDS_FILE_F64},
    [WHOLE_ABSCISSA] = {{"stability/abscissa_whole", "point", "1/tau",
                         "largest real part of the eigenvalues of all areas in one system"},
                        CORDS_FILE_F64},
    [DIFFERENCE] = {{"stability/block_whole_difference", "point", "1/tau",
                     "largest distance between the whole system's rightmost eigenvalues and those of the areas"},
                    CORDS_FILE_F64},
    [DENSE_EIGENVALUE] = {{"spectrum_dense/eigenvalue", "eigenvalue", "1/tau",
                           "all eigenvalues of the diagonal block of an area"},
                          CORDS_FILE_COMPLEX},
    [DENSE_AREA] = {{"spectrum_dense/area", "eigenvalue", "1", "the area"}, CORDS_FILE_I64},
    [DENSE_POINT] = {{"spectrum_dense/point", "eigenvalue", "1", "row of the point in the file of fixed points"},
                     CORDS_FILE_I64}};

static PetscErrorCode Configure(CordsContext context)
{
  PetscFunctionBegin;
  options.whole = PETSC_TRUE;
  options.dense = PETSC_FALSE;
  options.dense_max = 4000;
  PetscCall(CordsAnalysisFilesConfigure(&options.files));
  PetscCall(CordsPointsConfigure("stability", &options.points));
  PetscCall(CordsSpectrumConfigure(&options.solver));
  PetscCall(CordsOptionBool("-stability_whole", "eigenpairs of all areas in one system too, compared with the areas'",
                            &options.whole));
  PetscCall(CordsOptionBool("-stability_dense", "all eigenvalues of the areas that are small enough", &options.dense));
  PetscCall(CordsOptionInt("-stability_dense_max", "largest area for -stability_dense", "neurons", 1, 20000,
                           &options.dense_max));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode DeclareTables(CordsResults results, PetscInt area_count)
{
  PetscInt64 areas[] = {area_count};
  CordsH5 file = CordsResultsFile(results);

  PetscFunctionBegin;
  for (int k = 0; k < TABLE_COUNT; k++) {
    if ((k == WHOLE_ABSCISSA || k == DIFFERENCE) && !options.whole) continue;
    if (k >= DENSE_EIGENVALUE && !options.dense) continue;
    PetscCall(CordsResultsDeclare(results, &tables[k].schema, tables[k].type,
                                  CordsSchemaAxisCount(&tables[k].schema) - 1, areas));
  }
  for (int k = 0; k < 2; k++) {
    const char *group = k == 0 ? "spectrum" : "stability";
    PetscCall(CordsH5WriteReal(file, group, "tolerance", (double)options.solver.tolerance));
    PetscCall(CordsH5WriteInt(file, group, "count", options.solver.count));
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* --- one point --- */

/* How far an eigenvalue can be from where it was found: for a normal matrix the residual; the factor is for those that
   are not. */
static double Uncertainty(const CordsSpectrum *spectrum, PetscInt k)
{
  CordsEigenvalue value = spectrum->eigenvalues[k];

  return PetscMax(options.solver.tolerance, 100 * spectrum->residuals[k]) * PetscMax(hypot(value.re, value.im), 1);
}

/* Unstable if one eigenvalue is certainly right of 0; stable if all were found and are certainly left of it. */
static PetscInt64 Verdict(const Row *row)
{
  PetscInt64 verdict = STABLE;

  for (PetscInt i = 0; i < row->area_count; i++) {
    const CordsSpectrum *spectrum = &row->spectra[i];
    if (spectrum->reason <= 0 || spectrum->converged < spectrum->count) verdict = PetscMin(verdict, UNDECIDED);
    for (PetscInt k = 0; k < spectrum->count; k++) {
      double uncertainty = Uncertainty(spectrum, k);
      PetscBool found = (PetscBool)(spectrum->residuals[k] <= options.solver.tolerance);
      if (found && spectrum->eigenvalues[k].re > uncertainty) verdict = UNSTABLE;
      if (spectrum->eigenvalues[k].re > -uncertainty) verdict = PetscMin(verdict, UNDECIDED);
    }
  }
  return verdict;
}

/* The eigenvalues of the whole system against those of all areas together. */
static PetscErrorCode CompareWhole(Row *row)
{
  const CordsSpectrum *whole = &row->spectra[row->area_count];
  CordsEigenvalue *all;
  PetscInt count = 0;

  PetscFunctionBegin;
  PetscCall(PetscMalloc1(row->area_count * options.solver.count, &all));
  for (PetscInt i = 0; i < row->area_count; i++) {
    for (PetscInt k = 0; k < row->spectra[i].count; k++) all[count++] = row->spectra[i].eigenvalues[k];
  }
  PetscCall(CordsEigenvaluesSort(count, all, NULL));
  row->difference = (double)CordsEigenvaluesDifference(whole->count, whole->eigenvalues, count, all);
  row->abscissa_whole = whole->count > 0 ? whole->eigenvalues[0].re : NAN;
  PetscCall(PetscFree(all));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* The problem is linearised at the point. */
static PetscErrorCode SolvePoint(CordsContext context, CordsProblem problem, double tau_ms, Row *row)
{
  PetscFunctionBegin;
  row->area_count = CordsProblemAreaCount(problem);
  row->spectrum_count = row->area_count + (options.whole ? 1 : 0);
  row->margin = INFINITY;
  for (PetscInt i = 0; i < row->spectrum_count; i++) {
    CordsSpectrum *spectrum = &row->spectra[i];
    PetscInt area = i < row->area_count ? i : CORDS_ALL_AREAS;
    PetscCall(CordsSpectrumSolve(problem, area, &options.solver, context->seed, (uint64_t)(row->image + 1), spectrum));
    if (area == CORDS_ALL_AREAS) continue;
    row->abscissa[i] = spectrum->count > 0 ? spectrum->eigenvalues[0].re : NAN;
    row->time_constant_ms[i] = -tau_ms / row->abscissa[i];
    row->converged[i] = spectrum->converged;
    row->margin = PetscMin(row->margin, -row->abscissa[i]);
  }
  row->verdict = Verdict(row);
  if (options.whole) PetscCall(CompareWhole(row));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode DestroyRow(Row *row)
{
  PetscFunctionBegin;
  for (PetscInt i = 0; i < row->spectrum_count; i++) PetscCall(CordsSpectrumDestroy(&row->spectra[i]));
  row->spectrum_count = 0;
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* --- to the file --- */

/* All pairs of a point, those of the whole system last.  spectra: 0 on a rank that had no point, or is not the first of
   those that had it. */
static PetscErrorCode AppendPairs(CordsResults results, PetscInt spectra, const Row *row)
{
  PetscInt count = 0, next = 0;
  CordsEigenvalue *values;
  double *residuals;
  PetscInt64 *areas, *points;

  PetscFunctionBegin;
  for (PetscInt i = 0; i < spectra; i++) count += row->spectra[i].count;
  PetscCall(PetscMalloc4(count, &values, count, &residuals, count, &areas, count, &points));
  for (PetscInt i = 0; i < spectra; i++) {
    for (PetscInt k = 0; k < row->spectra[i].count; k++, next++) {
      values[next] = row->spectra[i].eigenvalues[k];
      residuals[next] = (double)row->spectra[i].residuals[k];
      areas[next] = i < row->area_count ? i : -1;
      points[next] = row->point;
    }
  }
  PetscCall(CordsResultsAppend(results, tables[EIGENVALUE].schema.name, count, values));
  PetscCall(CordsResultsAppend(results, tables[RESIDUAL].schema.name, count, residuals));
  PetscCall(CordsResultsAppend(results, tables[AREA].schema.name, count, areas));
  PetscCall(CordsResultsAppend(results, tables[POINT].schema.name, count, points));
  PetscCall(PetscFree4(values, residuals, areas, points));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode AppendPoint(CordsResults results, PetscInt64 rows, const Row *row)
{
  PetscInt64 point = row->point;

  PetscFunctionBegin;
  PetscCall(CordsResultsAppend(results, tables[AT_POINT].schema.name, rows, &point));
  PetscCall(CordsResultsAppend(results, tables[IMAGE].schema.name, rows, &row->image));
  PetscCall(CordsResultsAppend(results, tables[ABSCISSA].schema.name, rows, row->abscissa));
  PetscCall(CordsResultsAppend(results, tables[MARGIN].schema.name, rows, &row->margin));
  PetscCall(CordsResultsAppend(results, tables[VERDICT].schema.name, rows, &row->verdict));
  PetscCall(CordsResultsAppend(results, tables[CONVERGED].schema.name, rows, row->converged));
  PetscCall(CordsResultsAppend(results, tables[TIME_CONSTANT].schema.name, rows, row->time_constant_ms));
  if (options.whole) {
    PetscCall(CordsResultsAppend(results, tables[WHOLE_ABSCISSA].schema.name, rows, &row->abscissa_whole));
    PetscCall(CordsResultsAppend(results, tables[DIFFERENCE].schema.name, rows, &row->difference));
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* All eigenvalues of the small areas at one point, by all ranks together; the problem is linearised there. */
static PetscErrorCode AppendDense(CordsContext context, CordsResults results, CordsProblem problem, PetscInt point)
{
  PetscFunctionBegin;
  for (PetscInt i = 0; i < CordsProblemAreaCount(problem); i++) {
    PetscInt n = CordsProblemSize(problem, i);
    CordsEigenvalue *values;
    CordsActive active;
    PetscInt64 *areas, *points, rows = context->rank == 0 ? n : 0;
    PetscBool converged;
    if (n > options.dense_max) continue;
    PetscCall(PetscMalloc3(n, &values, n, &areas, n, &points));
    for (PetscInt k = 0; k < n; k++) {
      areas[k] = i;
      points[k] = point;
    }
    PetscCall(CordsActiveCreate(problem, i, &active));
    PetscCall(CordsDenseSpectrum(context, active, values, &converged));
    if (!converged) {
      rows = 0;
      PetscCall(CordsLog(
          context, "stability: the dense QR algorithm failed at point %" PetscInt_FMT ", area %" PetscInt_FMT "\n",
          point, i));
    }
    PetscCall(CordsResultsAppend(results, tables[DENSE_EIGENVALUE].schema.name, rows, values));
    PetscCall(CordsResultsAppend(results, tables[DENSE_AREA].schema.name, rows, areas));
    PetscCall(CordsResultsAppend(results, tables[DENSE_POINT].schema.name, rows, points));
    PetscCall(CordsActiveDestroy(&active));
    PetscCall(PetscFree3(values, areas, points));
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* --- all points --- */

/* What is told at the end. */
typedef struct {
  PetscInt verdicts[3]; /* unstable, undecided, stable */
  PetscReal worst[3];   /* −margin, slowest time constant in ms, difference of block and whole */
} Summary;

static void AddToSummary(const Row *row, Summary *summary)
{
  summary->verdicts[row->verdict + 1]++;
  summary->worst[0] = PetscMax(summary->worst[0], (PetscReal)-row->margin);
  for (PetscInt i = 0; i < row->area_count; i++)
    summary->worst[1] = PetscMax(summary->worst[1], (PetscReal)row->time_constant_ms[i]);
  if (options.whole) summary->worst[2] = PetscMax(summary->worst[2], (PetscReal)row->difference);
}

static PetscErrorCode LogSummary(CordsContext context, Summary *summary)
{
  const PetscInt *verdicts = summary->verdicts;

  PetscFunctionBegin;
  PetscCallMPI(MPI_Allreduce(MPI_IN_PLACE, summary->verdicts, 3, MPIU_INT, MPI_SUM, context->comm));
  PetscCallMPI(MPI_Allreduce(MPI_IN_PLACE, summary->worst, 3, MPIU_REAL, MPIU_MAX, context->comm));
  PetscCall(CordsLog(
      context, "stability: %" PetscInt_FMT " stable, %" PetscInt_FMT " unstable, %" PetscInt_FMT " undecided points\n",
      verdicts[2], verdicts[0], verdicts[1]));
  if (verdicts[0] + verdicts[1] + verdicts[2] > 0) {
    PetscCall(CordsLog(context, "stability: smallest margin %.6g /tau, slowest time constant %.6g ms\n",
                       (double)-summary->worst[0], (double)summary->worst[1]));
    if (options.whole)
      PetscCall(CordsLog(context, "stability: areas and whole system differ by at most %.2g /tau\n",
                         (double)summary->worst[2]));
  }
  PetscCall(CordsLog(context, "stability: written to %s\n", options.files.output));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode SolveAll(CordsContext context, CordsModel model, CordsPoints points, CordsResults results,
                               Summary *summary)
{
  CordsProblem problem;
  CordsProgress progress;
  Row row = {0};

  PetscFunctionBegin;
  *summary = (Summary){.worst = {-PETSC_MAX_REAL, 0, 0}};
  PetscCall(CordsProblemCreateCut(context, model, &problem));
  PetscCall(CordsProgressStart(&progress, "stability", 0, points->count));
  for (PetscInt first = 0; first < points->count; first += context->group_size) {
    PetscInt end = PetscMin(first + context->group_size, points->count), mine = first + context->group_rank;
    PetscBool tells = (PetscBool)(mine < end && context->domain_rank == 0);
    PetscCall(CordsPointsRead(points, first, end, problem));
    if (mine < end) {
      row.point = points->rows[mine];
      row.image = points->images[mine];
      PetscCall(CordsPointsLinearise(points, mine, problem));
      PetscCall(SolvePoint(context, problem, model->architecture.areas[0].tau_ms, &row));
      if (tells) AddToSummary(&row, summary);
    }
    PetscCall(AppendPairs(results, tells ? row.spectrum_count : 0, &row));
    PetscCall(AppendPoint(results, tells ? 1 : 0, &row));
    PetscCall(DestroyRow(&row));
    for (PetscInt k = first; k < end && options.dense; k++) {
      PetscCall(CordsPointsLinearise(points, k, problem));
      PetscCall(AppendDense(context, results, problem, points->rows[k]));
    }
    PetscCall(CordsProgressUpdate(context, &progress, end, NULL));
  }
  PetscCall(CordsProblemDestroy(&problem));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode Run(CordsContext context)
{
  const char *inputs[] = {options.files.checkpoint, options.points.path};
  CordsModel model;
  CordsPoints points;
  CordsResults results;
  Summary summary;

  PetscFunctionBegin;
  if (options.dense) PetscCall(CordsContextCheckUncut(context, "-stability_dense"));
  PetscCall(CordsAnalysisLoadModel(context, options.files.checkpoint, &model));
  PetscCall(CordsPointsOpen(context, &options.points, options.files.checkpoint, model, &points));
  PetscCall(CordsResultsCreate(context, options.files.output, &results));
  PetscCall(CordsAnalysisWriteAreas(context, results, &model->architecture));
  PetscCall(DeclareTables(results, model->architecture.area_count));
  PetscCall(SolveAll(context, model, points, results, &summary));
  PetscCall(CordsPointsClose(&points));
  PetscCall(CordsResultsCommit(&results, "analyse stability", 2, inputs));
  PetscCall(LogSummary(context, &summary));
  PetscCall(CordsModelDestroy(&model));
  PetscFunctionReturn(PETSC_SUCCESS);
}

const CordsAnalysisType cords_analysis_stability = {
    "stability", "whether the fixed points are stable, and how slow their slowest modes are", Configure, Run};
