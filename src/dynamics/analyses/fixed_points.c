/* Where does the activity settle?  Fixed points for images of a dataset's test split, and the spontaneous state, the
   one without an image.

   Writes /fixed_points, one row per point, the spontaneous state first; see `tables` for the arrays. */
#include "core/config.h"
#include "core/log.h"
#include "data/loader.h"
#include "data/selection.h"
#include "dynamics/analysis.h"
#include "dynamics/fixed_point.h"

static struct {
  CordsAnalysisFiles files;
  CordsSelection images;
  CordsFixedPointSettings solver;
} options;

/* One row of the tables. */
typedef struct {
  double *state; /* [neuron] of this rank */
  double *whole; /* [neuron] of all ranks of the domain group, on its first */
  float *input;  /* [row][column][channel], normalised; zero for the spontaneous state */
  PetscInt64 image, label, predicted;
  CordsFixedPoint point;
  double active_fraction[CORDS_AREAS_MAX], mean[CORDS_AREAS_MAX];
} Row;

enum { STATE, INPUT, IMAGE, LABEL, PREDICTED, RESIDUAL, REASON, NEWTON, LINEAR, ACTIVE, MEAN, TABLE_COUNT };

static const struct {
  CordsSchema schema;
  CordsFileType type;
} tables[TABLE_COUNT] = {
    [STATE] = {{"fixed_points/state", "point,neuron", "1", "rates r at the fixed point, the areas one after the other"},
               CORDS_FILE_F64},
    [INPUT] = {{"fixed_points/input", "point,row,column,channel", "1",
                "the image as the network sees it, resized and normalised; zero for the spontaneous state"},
               CORDS_FILE_F32},
    [IMAGE] = {{"fixed_points/image", "point", "1", "index in the test split, -1 for the spontaneous state"},
               CORDS_FILE_I64},
    [LABEL] = {{"fixed_points/label", "point", "1", "class of the image, -1 for the spontaneous state"},
               CORDS_FILE_I64},
    [PREDICTED] = {{"fixed_points/predicted", "point", "1", "class that is read out at the fixed point"},
                   CORDS_FILE_I64},
    [RESIDUAL] = {{"fixed_points/residual_norm_rel", "point", "1",
                   "|F| / max(|r|, |phi(u)|) over all neurons, recomputed outside the solver"},
                  CORDS_FILE_F64},
    [REASON] =
        {{"fixed_points/converged_reason", "point", "1",
          "SNESConvergedReason, the worst of the areas; converged if > 0 and the residual is within the tolerance"},
         CORDS_FILE_I64},
    [NEWTON] = {{"fixed_points/newton_iterations", "point", "1", "Newton steps, all areas and attempts"},
                CORDS_FILE_I64},
    [LINEAR] = {{"fixed_points/linear_iterations", "point", "1", "GMRES iterations, all areas and attempts"},
                CORDS_FILE_I64},
    [ACTIVE] = {{"fixed_points/active_fraction", "point,area", "1",
                 "part of the neurons where the slope of phi is not zero (relu: those with u > 0)"},
                CORDS_FILE_F64},
    [MEAN] = {{"fixed_points/mean", "point,area", "1", "mean rate of the area"}, CORDS_FILE_F64}};

static PetscErrorCode Configure(CordsContext context)
{
  PetscFunctionBegin;
  PetscCall(CordsAnalysisFilesConfigure(&options.files));
  PetscCall(CordsSelectionConfigure(&options.images, "0:64"));
  PetscCall(CordsFixedPointConfigure(&options.solver));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode DeclareTables(CordsResults results, CordsModel model)
{
  const CordsArchitecture *a = &model->architecture;
  PetscInt64 neurons[] = {CordsArchitectureNeurons(a)}, areas[] = {a->area_count};
  PetscInt64 image[] = {a->image_rows, a->image_columns, a->image_channels};
  CordsH5 file = CordsResultsFile(results);

  PetscFunctionBegin;
  for (int k = 0; k < TABLE_COUNT; k++) {
    const PetscInt64 *sizes = k == STATE ? neurons : k == INPUT ? image : areas;
    PetscCall(CordsResultsDeclare(results, &tables[k].schema, tables[k].type,
                                  CordsSchemaAxisCount(&tables[k].schema) - 1, sizes));
  }
  PetscCall(CordsH5WriteReal(file, "fixed_points", "tolerance", (double)options.solver.tolerance));
  PetscCall(CordsH5WriteText(file, "fixed_points", "method", CordsFixedPointMethodNames[options.solver.method]));
  PetscCall(CordsH5WriteText(file, "fixed_points", "dataset", options.images.dataset));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* The class with the largest logit. */
static PetscErrorCode ReadOut(CordsProblem problem, const CordsArchitecture *a, const double *state,
                              PetscInt64 *predicted)
{
  CordsSystem system = CordsProblemSystem(problem);
  const double *last = state + CordsProblemOffset(problem, a->area_count - 1);
  const double *before = state + CordsProblemOffset(problem, a->area_count - 2);
  double *features, *logits;

  PetscFunctionBegin;
  PetscCall(PetscMalloc2(a->areas[a->area_count - 1].channels, &features, a->classes, &logits));
  PetscCall(CordsSystemFeatures(system, 1, last, before, features));
  PetscCall(CordsSystemLogits(system, 1, features, logits));
  *predicted = 0;
  for (PetscInt k = 1; k < a->classes; k++) {
    if (logits[k] > logits[*predicted]) *predicted = k;
  }
  PetscCall(PetscFree2(features, logits));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* Sparsity and mean of each area. */
static PetscErrorCode Describe(CordsProblem problem, Row *row)
{
  const PetscInt areas = CordsProblemAreaCount(problem);

  PetscFunctionBegin;
  PetscCall(CordsProblemLinearise(problem, CORDS_ALL_AREAS, row->state));
  for (PetscInt i = 0; i < areas; i++) {
    const double *slope = CordsProblemSlope(problem, i), *r = row->state + CordsProblemOffset(problem, i);
    PetscInt n = CordsProblemSize(problem, i);
    row->active_fraction[i] = row->mean[i] = 0;
    for (PetscInt k = 0; k < n; k++) {
      row->active_fraction[i] += slope[k] != 0;
      row->mean[i] += r[k];
    }
  }
  PetscCall(CordsProblemSum(problem, areas, row->active_fraction));
  PetscCall(CordsProblemSum(problem, areas, row->mean));
  for (PetscInt i = 0; i < areas; i++) {
    row->active_fraction[i] /= (double)CordsProblemWholeSize(problem, i);
    row->mean[i] /= (double)CordsProblemWholeSize(problem, i);
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* Point 0 is the spontaneous state, point k image first + k − 1. */
static PetscErrorCode SolvePoint(CordsProblem problem, CordsDataset dataset, const CordsArchitecture *a, PetscInt point,
                                 Row *row)
{
  PetscInt label = -1;

  PetscFunctionBegin;
  row->image = -1;
  PetscCall(PetscArrayzero(row->input, a->image_rows * a->image_columns * a->image_channels));
  if (point > 0) {
    row->image = options.images.first + point - 1;
    PetscCall(CordsLoaderImage(dataset, row->image, a->image_rows, a->image_columns, row->input, &label));
  }
  row->label = label;
  PetscCall(CordsProblemSetImage(problem, point > 0 ? row->input : NULL));
  PetscCall(CordsFixedPointSolve(problem, &options.solver, row->state, &row->point));
  PetscCall(ReadOut(problem, a, row->state, &row->predicted));
  PetscCall(Describe(problem, row));
  PetscCall(CordsWholeStateGather(CordsProblemSystem(problem), row->state, row->whole));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* rows: 1, or 0 on a rank that had no point in this round, or is not the first of those that had it. */
static PetscErrorCode AppendRow(CordsResults results, PetscInt64 rows, const Row *row)
{
  PetscInt64 reason = row->point.reason, newton = row->point.newton_iterations, linear = row->point.linear_iterations;
  double residual = (double)row->point.residual_norm_rel;
  const void *values[TABLE_COUNT] = {[STATE] = row->whole,
                                     [INPUT] = row->input,
                                     [IMAGE] = &row->image,
                                     [LABEL] = &row->label,
                                     [PREDICTED] = &row->predicted,
                                     [RESIDUAL] = &residual,
                                     [REASON] = &reason,
                                     [NEWTON] = &newton,
                                     [LINEAR] = &linear,
                                     [ACTIVE] = row->active_fraction,
                                     [MEAN] = row->mean};

  PetscFunctionBegin;
  for (int k = 0; k < TABLE_COUNT; k++) PetscCall(CordsResultsAppend(results, tables[k].schema.name, rows, values[k]));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* Solve all points and append them.  converged: how many did; worst: the largest residual of those. */
static PetscErrorCode SolveAll(CordsContext context, CordsModel model, CordsDataset dataset, CordsResults results,
                               PetscInt points, PetscInt *converged, PetscReal *worst)
{
  const CordsArchitecture *a = &model->architecture;
  CordsProblem problem;
  CordsProgress progress;
  Row row = {0};

  PetscFunctionBegin;
  PetscCall(CordsProblemCreateCut(context, model, &problem));
  PetscCall(PetscMalloc3(CordsProblemSize(problem, CORDS_ALL_AREAS), &row.state,
                         context->domain_rank == 0 ? CordsArchitectureNeurons(a) : 0, &row.whole,
                         a->image_rows * a->image_columns * a->image_channels, &row.input));
  PetscCall(CordsProgressStart(&progress, "fixed points", 0, points));
  *converged = 0;
  *worst = 0;
  for (PetscInt round = 0; round < CordsAnalysisRoundCount(context, points); round++) {
    PetscInt point = round * context->group_size + context->group_rank;
    PetscBool tells = (PetscBool)(point < points && context->domain_rank == 0);
    if (point < points) PetscCall(SolvePoint(problem, dataset, a, point, &row));
    PetscCall(AppendRow(results, tells ? 1 : 0, &row));
    if (tells && CordsFixedPointConverged(row.point.reason, row.point.residual_norm_rel, row.point.tolerance)) {
      ++*converged;
      *worst = PetscMax(*worst, row.point.residual_norm_rel);
    }
    PetscCall(CordsProgressUpdate(context, &progress, PetscMin((round + 1) * context->group_size, points), NULL));
  }
  PetscCall(PetscFree3(row.state, row.whole, row.input));
  PetscCall(CordsProblemDestroy(&problem));
  PetscCallMPI(MPI_Allreduce(MPI_IN_PLACE, converged, 1, MPIU_INT, MPI_SUM, context->comm));
  PetscCallMPI(MPI_Allreduce(MPI_IN_PLACE, worst, 1, MPIU_REAL, MPIU_MAX, context->comm));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode Run(CordsContext context)
{
  PetscInt points = (PetscInt)(1 + options.images.end - options.images.first), converged;
  CordsModel model;
  CordsDataset dataset;
  CordsResults results;
  PetscReal worst;

  PetscFunctionBegin;
  PetscCall(CordsAnalysisLoadModel(context, options.files.checkpoint, &model));
  PetscCall(CordsSelectionOpen(context, &options.images, options.files.checkpoint, model->architecture.image_channels,
                               model->architecture.classes, &dataset));
  PetscCall(CordsResultsCreate(context, options.files.output, &results));
  PetscCall(CordsAnalysisWriteAreas(context, results, &model->architecture));
  PetscCall(DeclareTables(results, model));
  PetscCall(SolveAll(context, model, dataset, results, points, &converged, &worst));
  PetscCall(CordsDatasetCommitResults(dataset, "analyse fixed_points", options.files.checkpoint, &results));
  PetscCall(CordsLog(context, "fixed points: %" PetscInt_FMT " of %" PetscInt_FMT " converged\n", converged, points));
  if (converged > 0)
    PetscCall(CordsLog(context, "fixed points: largest relative residual of these %.2g, %.2g asked\n", (double)worst,
                       (double)options.solver.tolerance));
  PetscCall(CordsLog(context, "fixed points: written to %s\n", options.files.output));
  PetscCall(CordsDatasetDestroy(&dataset));
  PetscCall(CordsModelDestroy(&model));
  PetscFunctionReturn(PETSC_SUCCESS);
}

const CordsAnalysisType cords_analysis_fixed_points = {
    "fixed_points", "where the activity settles, for images and without one", Configure, Run};
