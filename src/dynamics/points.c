#include "dynamics/points.h"

#include "core/config.h"
#include "dynamics/fixed_point.h"

#include <stdio.h>

PetscErrorCode CordsPointsConfigure(const char *analysis, CordsPointsSettings *settings)
{
  char name[96];

  PetscFunctionBegin;
  settings->path[0] = '\0';
  settings->list_count = CORDS_POINTS_MAX;
  settings->count_max = 9; /* the spontaneous state and eight images */
  PetscCall(CordsOptionString("-fixed_points", "file of `cords analyse fixed_points`", sizeof settings->path,
                              settings->path));
  PetscCall(CordsOptionRequire("-fixed_points", settings->path, "the file that `cords analyse fixed_points` wrote"));
  snprintf(settings->list_option, sizeof settings->list_option, "-%s_points", analysis);
  PetscCall(CordsOptionIntArray(settings->list_option, "rows of that file; default: the first that converged", "", 0,
                                PETSC_MAX_INT, &settings->list_count, settings->list));
  snprintf(name, sizeof name, "%s_max", settings->list_option);
  PetscCall(CordsOptionInt(name, "how many points at most, if none are named", "points", 1, PETSC_MAX_INT,
                           &settings->count_max));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* The file must be of this architecture. */
static PetscErrorCode CheckShapes(CordsPoints p, const CordsArchitecture *a, PetscInt *rows)
{
  PetscInt64 sizes[CORDS_H5_DIMENSIONS_MAX];
  PetscInt dimensions;
  PetscBool exists;

  PetscFunctionBegin;
  PetscCall(CordsH5GetShape(p->file, "fixed_points/state", &exists, &dimensions, sizes));
  CordsCheckUser(exists, p->context->comm,
                 "%s: holds no fixed points; make such a file with cords analyse fixed_points", CordsH5Path(p->file));
  CordsCheckUser(dimensions == 2 && sizes[1] == p->neurons, p->context->comm,
                 "%s: holds states of %" PetscInt64_FMT " neurons, the network of %s has %" PetscInt_FMT,
                 CordsH5Path(p->file), dimensions == 2 ? sizes[1] : 0, p->checkpoint, p->neurons);
  *rows = (PetscInt)sizes[0];
  PetscCall(CordsH5GetShape(p->file, "fixed_points/input", NULL, &dimensions, sizes));
  CordsCheckUser(dimensions == 4 && sizes[0] == *rows && sizes[1] == a->image_rows && sizes[2] == a->image_columns &&
                     sizes[3] == a->image_channels,
                 p->context->comm, "%s: its images have not the size that the network of %s sees", CordsH5Path(p->file),
                 p->checkpoint);
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* Take row `row` over into the list of chosen points, or say why not. */
static PetscErrorCode Choose(CordsPoints p, const CordsPointsSettings *settings, PetscInt row, PetscInt rows,
                             const PetscInt64 reasons[], const double residuals[], const PetscInt64 images[])
{
  PetscBool asked = (PetscBool)(settings->list_count > 0), converged;

  PetscFunctionBegin;
  CordsCheckUser(row < rows, p->context->comm, "%s %" PetscInt_FMT ": %s has the points 0 to %" PetscInt_FMT,
                 settings->list_option, row, CordsH5Path(p->file), rows - 1);
  converged = CordsFixedPointConverged((PetscInt)reasons[row], residuals[row], p->tolerance);
  CordsCheckUser(converged || !asked, p->context->comm,
                 "%s %" PetscInt_FMT ": this point of %s did not converge (reason %" PetscInt64_FMT
                 ", residual %.2g), so that its spectrum means nothing",
                 settings->list_option, row, CordsH5Path(p->file), reasons[row], residuals[row]);
  if (!converged || (!asked && p->count == settings->count_max)) PetscFunctionReturn(PETSC_SUCCESS);
  p->rows[p->count] = row;
  p->images[p->count++] = images[row];
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode ChoosePoints(CordsPoints p, const CordsPointsSettings *settings, PetscInt rows)
{
  PetscInt candidates = settings->list_count > 0 ? settings->list_count : rows;
  PetscInt64 *reasons, *images, sizes[] = {rows};
  double *residuals, tolerance;

  PetscFunctionBegin;
  PetscCall(PetscMalloc3(rows, &reasons, rows, &images, rows, &residuals));
  PetscCall(CordsH5ReadReal(p->file, "fixed_points", "tolerance", NULL, &tolerance));
  PetscCall(CordsH5ReadArray(p->file, "fixed_points/converged_reason", CORDS_FILE_I64, 1, sizes, reasons));
  PetscCall(CordsH5ReadArray(p->file, "fixed_points/residual_norm_rel", CORDS_FILE_F64, 1, sizes, residuals));
  PetscCall(CordsH5ReadArray(p->file, "fixed_points/image", CORDS_FILE_I64, 1, sizes, images));
  p->tolerance = tolerance;
  PetscCall(PetscMalloc2(candidates, &p->rows, candidates, &p->images));
  for (PetscInt k = 0; k < candidates; k++) {
    PetscInt row = settings->list_count > 0 ? settings->list[k] : k;
    PetscCall(Choose(p, settings, row, rows, reasons, residuals, images));
  }
  PetscCall(PetscFree3(reasons, images, residuals));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsPointsOpen(CordsContext context, const CordsPointsSettings *settings, const char *checkpoint,
                               CordsModel model, CordsPoints *points)
{
  const CordsArchitecture *a = &model->architecture;
  CordsPoints p;
  PetscInt rows = 0;

  PetscFunctionBegin;
  PetscCall(PetscNew(&p));
  p->context = context;
  p->checkpoint = checkpoint;
  p->neurons = CordsArchitectureNeurons(a);
  p->pixels = a->image_rows * a->image_columns * a->image_channels;
  PetscCall(CordsH5Open(context, settings->path, &p->file));
  PetscCall(CheckShapes(p, a, &rows));
  PetscCall(ChoosePoints(p, settings, rows));
  PetscCall(PetscMalloc1((size_t)context->group_size * (size_t)p->pixels, &p->inputs));
  *points = p;
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsPointsClose(CordsPoints *points)
{
  PetscFunctionBegin;
  if (!*points) PetscFunctionReturn(PETSC_SUCCESS);
  PetscCall(CordsH5Close(&(*points)->file));
  PetscCall(PetscFree2((*points)->rows, (*points)->images));
  PetscCall(PetscFree((*points)->states));
  PetscCall(PetscFree((*points)->inputs));
  PetscCall(PetscFree(*points));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static double *State(CordsPoints p, PetscInt point)
{
  return p->states + (size_t)(point - p->first) * (size_t)p->own;
}

/* This rank's part of the state of a chosen point. */
static PetscErrorCode ReadState(CordsPoints p, PetscInt point, CordsProblem problem)
{
  double *whole;

  PetscFunctionBegin;
  if (!p->states) {
    p->own = CordsProblemSize(problem, CORDS_ALL_AREAS);
    PetscCall(PetscMalloc1((size_t)p->context->group_size * (size_t)p->own + 1, &p->states));
  }
  PetscCall(PetscMalloc1(p->neurons, &whole));
  PetscCall(CordsH5ReadRows(p->file, "fixed_points/state", CORDS_FILE_F64, p->rows[point], 1, whole));
  CordsWholeStateTake(CordsProblemSystem(problem), whole, State(p, point));
  PetscCall(PetscFree(whole));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode ShowImage(CordsPoints p, PetscInt point, CordsProblem problem)
{
  const float *input = p->inputs + (size_t)(point - p->first) * (size_t)p->pixels;

  PetscFunctionBegin;
  PetscCall(CordsProblemSetImage(problem, p->images[point] >= 0 ? input : NULL));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsPointsRead(CordsPoints points, PetscInt first, PetscInt end, CordsProblem problem)
{
  PetscReal residual;

  PetscFunctionBegin;
  points->first = first;
  for (PetscInt k = first; k < end; k++) {
    float *input = points->inputs + (size_t)(k - first) * (size_t)points->pixels;
    PetscCall(ReadState(points, k, problem));
    PetscCall(CordsH5ReadRows(points->file, "fixed_points/input", CORDS_FILE_F32, points->rows[k], 1, input));
    PetscCall(ShowImage(points, k, problem));
    PetscCall(CordsProblemResidualNorm(problem, CORDS_ALL_AREAS, State(points, k), &residual));
    CordsCheckUser(
        residual <= 2 * points->tolerance, points->context->comm,
        "%s: point %" PetscInt_FMT " is no fixed point of the network in %s (relative residual %.2g, must be "
        "%.2g); was the file made with another checkpoint?",
        CordsH5Path(points->file), points->rows[k], points->checkpoint, (double)residual, (double)points->tolerance);
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsPointsLinearise(CordsPoints points, PetscInt point, CordsProblem problem)
{
  PetscFunctionBegin;
  PetscCall(ShowImage(points, point, problem));
  PetscCall(CordsProblemLinearise(problem, CORDS_ALL_AREAS, State(points, point)));
  PetscFunctionReturn(PETSC_SUCCESS);
}
