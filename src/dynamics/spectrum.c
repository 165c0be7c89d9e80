#include "dynamics/spectrum.h"

#include "core/config.h"
#include "core/random.h"

#include <math.h>
#include <stdlib.h>

static const char prefix[] = "stability_";

/* Names that EPS reads itself, as far as people want them. */
static const char *const solver_options[] = {"-stability_eps_type",     "-stability_eps_ncv", "-stability_eps_mpd",
                                             "-stability_eps_max_it",   "-stability_eps_tol", "-stability_eps_monitor",
                                             "-stability_eps_two_sided"};

/* EPS is asked for this part of the user's tolerance: what is recomputed outside stays below, and the eigenvalues of
   the non-normal whole system, whose errors are larger than their residuals, still agree with those of the areas. */
static const PetscReal reserve = 1e-5;

static PetscErrorCode CreateEps(MPI_Comm comm, EPS *eps)
{
  PetscFunctionBegin;
  PetscCall(EPSCreate(comm, eps));
  PetscCall(EPSSetOptionsPrefix(*eps, prefix));
  PetscCall(EPSSetProblemType(*eps, EPS_NHEP));
  PetscCall(EPSSetType(*eps, EPSKRYLOVSCHUR));
  PetscCall(EPSSetWhichEigenpairs(*eps, EPS_LARGEST_REAL));
  PetscCall(EPSSetConvergenceTest(*eps, EPS_CONV_ABS)); /* the leak makes 1 the scale of J */
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsSpectrumConfigure(CordsSpectrumSettings *settings)
{
  EPS eps;

  PetscFunctionBegin;
  *settings = (CordsSpectrumSettings){.count = 20, .tolerance = 1e-8};
  PetscCall(CordsOptionInt("-stability_count", "rightmost eigenpairs of each area and of the whole system", "", 1,
                           10000, &settings->count));
  PetscCall(CordsOptionReal("-stability_tolerance", "relative residual of an eigenpair asked for", "", 1e-12, 1,
                            &settings->tolerance));
  for (size_t i = 0; i < PETSC_STATIC_ARRAY_LENGTH(solver_options); i++) PetscCall(CordsConfigKnow(solver_options[i]));
  PetscCall(CordsConfigSolver("-stability_eps_", "the eigenvalue solver", "ncv 200", "EPSSetFromOptions"));
  PetscCall(CreateEps(PETSC_COMM_SELF, &eps)); /* reads the options of EPS, so that they are known before the work */
  PetscCall(EPSSetFromOptions(eps));
  PetscCall(EPSDestroy(&eps));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* --- sets of eigenvalues --- */

typedef struct {
  CordsEigenvalue value;
  PetscReal other;
} SortItem;

static int CompareItems(const void *left, const void *right)
{
  const CordsEigenvalue *a = &((const SortItem *)left)->value, *b = &((const SortItem *)right)->value;

  if (a->re != b->re) return a->re > b->re ? -1 : 1;
  if (fabs(a->im) != fabs(b->im)) return fabs(a->im) < fabs(b->im) ? -1 : 1;
  return a->im > b->im ? -1 : a->im < b->im;
}

PetscErrorCode CordsEigenvaluesSort(PetscInt n, CordsEigenvalue eigenvalues[], PetscReal other[])
{
  SortItem *items;

  PetscFunctionBegin;
  PetscCall(PetscMalloc1(n, &items));
  for (PetscInt k = 0; k < n; k++) items[k] = (SortItem){eigenvalues[k], other ? other[k] : 0};
  qsort(items, (size_t)n, sizeof *items, CompareItems);
  for (PetscInt k = 0; k < n; k++) {
    eigenvalues[k] = items[k].value;
    if (other) other[k] = items[k].other;
  }
  PetscCall(PetscFree(items));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* The nearest to `value` that is not taken; −1 if none is left. */
static PetscInt Nearest(CordsEigenvalue value, PetscInt count, const CordsEigenvalue all[], const PetscBool taken[])
{
  PetscInt nearest = -1;
  PetscReal least = INFINITY;

  for (PetscInt k = 0; k < count; k++) {
    PetscReal distance = hypot(all[k].re - value.re, all[k].im - value.im);
    if (!taken[k] && distance < least) {
      least = distance;
      nearest = k;
    }
  }
  return nearest;
}

PetscReal CordsEigenvaluesDifference(PetscInt n, const CordsEigenvalue rightmost[], PetscInt all_count,
                                     const CordsEigenvalue all[])
{
  PetscBool *taken = calloc((size_t)all_count + 1, sizeof *taken);
  PetscReal difference = all_count < n || !taken ? INFINITY : 0;

  for (PetscInt k = 0; k < n && difference < INFINITY; k++) {
    PetscInt partner = Nearest(rightmost[k], all_count, all, taken);
    taken[partner] = PETSC_TRUE;
    difference = PetscMax(difference, hypot(all[partner].re - rightmost[k].re, all[partner].im - rightmost[k].im));
  }
  for (PetscInt k = 0; k < all_count && n > 0 && difference < INFINITY; k++) {
    if (!taken[k]) difference = PetscMax(difference, all[k].re - rightmost[n - 1].re);
  }
  free(taken);
  return difference;
}

/* --- the solver --- */

/* A start vector that is a function of (seed, point, area), however images are cut, and what J does to it on average,
   which is the mean of all eigenvalues but for a part of the order of 1/√n. */
static PetscErrorCode SetStart(EPS eps, CordsActive active, uint64_t seed, uint64_t point, PetscScalar *centre)
{
  CordsRandomKey key = {
      .seed = seed, .purpose = CORDS_RANDOM_EIGENVECTOR, .epoch = (uint32_t)(active->area + 1), .sample = point};
  Mat jacobian;
  Vec start, product;
  PetscScalar *v, size;

  PetscFunctionBegin;
  PetscCall(EPSGetOperators(eps, &jacobian, NULL));
  PetscCall(MatCreateVecs(jacobian, &start, &product));
  PetscCall(VecGetArrayWrite(start, &v));
  for (PetscInt k = 0; k < active->count; k++)
    v[k] = 2 * CordsRandomUniform(key, (uint32_t)CordsActivePlace(active, k)) - 1;
  PetscCall(VecRestoreArrayWrite(start, &v));
  PetscCall(EPSSetInitialSpace(eps, 1, &start));
  PetscCall(MatMult(jacobian, start, product));
  PetscCall(VecDot(product, start, centre));
  PetscCall(VecDot(start, start, &size));
  *centre /= size;
  PetscCall(VecDestroy(&start));
  PetscCall(VecDestroy(&product));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* Work with J − centre instead of J, whose eigenvectors are the same.  J v is mostly −v, the leak: without it what is
   left of a product after it has been made orthogonal to the space is not much shorter than before, and need not be
   made orthogonal a second time (SLEPc's "if needed"), which is half of all the work where vectors are long. */
static PetscErrorCode SetCentre(EPS eps, PetscScalar centre)
{
  PetscScalar given;
  PetscBool shifts;
  ST st;

  PetscFunctionBegin;
  PetscCall(EPSGetST(eps, &st));
  PetscCall(PetscObjectTypeCompare((PetscObject)st, STSHIFT, &shifts));
  PetscCall(STGetShift(st, &given));
  if (!shifts || given != 0) PetscFunctionReturn(PETSC_SUCCESS); /* the user has other plans */
  PetscCall(STSetMatMode(st, ST_MATMODE_SHELL));
  PetscCall(STSetShift(st, centre));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* |J x − λ x| / (|x| max(|λ|, 1)) for x = re + i im (active neurons), λ = value.  With J(re), J(im) by themselves:
   the real part of J x − λ x is J re − λr re + λi im, the imaginary part J im − λr im − λi re. */
static PetscErrorCode RightResidual(CordsActive active, CordsEigenvalue value, const double *re, const double *im,
                                    PetscReal *residual)
{
  PetscInt n = active->size;
  double *x, *y, *jx, *jy, sums[2] = {0}; /* |J x − λ x|², |x|² */

  PetscFunctionBegin;
  PetscCall(PetscMalloc4(n, &x, n, &y, n, &jx, n, &jy));
  PetscCall(CordsActiveExpand(active, re, x));
  PetscCall(CordsActiveExpand(active, im, y));
  PetscCall(CordsProblemTangent(active->problem, active->area, x, jx));
  PetscCall(CordsProblemTangent(active->problem, active->area, y, jy));
  for (PetscInt k = 0; k < n; k++) {
    double a = jx[k] - value.re * x[k] + value.im * y[k], b = jy[k] - value.re * y[k] - value.im * x[k];
    sums[0] += a * a + b * b;
    sums[1] += x[k] * x[k] + y[k] * y[k];
  }
  PetscCall(CordsProblemSum(active->problem, 2, sums));
  *residual = sqrt(sums[0] / sums[1]) / PetscMax(hypot(value.re, value.im), 1);
  PetscCall(PetscFree4(x, y, jx, jy));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* |Jᵀ e_k − λ e_k| / max(|λ|, 1) of an inactive neuron; −1: one of another rank. */
static PetscErrorCode LeftResidual(CordsActive active, PetscInt neuron, PetscReal value, PetscReal *residual)
{
  double *unit = active->full_in, *y = active->full_out;
  PetscReal error;

  PetscFunctionBegin;
  PetscCall(PetscArrayzero(unit, active->size));
  if (neuron >= 0) unit[neuron] = 1;
  PetscCall(CordsProblemAdjoint(active->problem, active->area, unit, y));
  if (neuron >= 0) y[neuron] -= value;
  PetscCall(CordsProblemNorm(active->problem, active->size, y, &error));
  *residual = error / PetscMax(fabs(value), 1);
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* Dimension of the Krylov space: large (FACTS: hard-edged spectra), at most all there is. */
static PetscInt SubspaceSize(PetscInt wanted, PetscInt n)
{
  return PetscMin(n, PetscMax(200, 5 * wanted));
}

/* Room for so many pairs of active neurons, and for those of inactive ones that can be among the rightmost `count`. */
static PetscErrorCode Reserve(CordsActive active, PetscInt pairs, PetscInt count, CordsSpectrum *spectrum)
{
  const PetscInt inactive =
      PetscMin(active->whole_size - active->whole_count, count * CordsProblemAreaCount(active->problem));

  PetscFunctionBegin;
  PetscCall(PetscMalloc2(pairs + inactive, &spectrum->eigenvalues, pairs + inactive, &spectrum->residuals));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* Take over the eigenpairs that EPS found, with residuals of our own. */
static PetscErrorCode TakePairs(EPS eps, CordsActive active, PetscInt count, CordsSpectrum *spectrum)
{
  PetscInt found;
  Mat jacobian;
  Vec re, im;

  PetscFunctionBegin;
  PetscCall(EPSGetOperators(eps, &jacobian, NULL));
  PetscCall(MatCreateVecs(jacobian, &re, &im));
  PetscCall(EPSGetConverged(eps, &found));
  PetscCall(Reserve(active, found, count, spectrum));
  for (PetscInt k = 0; k < found; k++) {
    CordsEigenvalue *value = &spectrum->eigenvalues[spectrum->count];
    const PetscScalar *x, *y;
    PetscCall(EPSGetEigenpair(eps, k, &value->re, &value->im, re, im));
    PetscCall(VecGetArrayRead(re, &x));
    PetscCall(VecGetArrayRead(im, &y));
    PetscCall(RightResidual(active, *value, x, y, &spectrum->residuals[spectrum->count++]));
    PetscCall(VecRestoreArrayRead(re, &x));
    PetscCall(VecRestoreArrayRead(im, &y));
  }
  PetscCall(VecDestroy(&re));
  PetscCall(VecDestroy(&im));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* Rightmost pairs of the active block. */
static PetscErrorCode SolveActive(CordsActive active, const CordsSpectrumSettings *settings, uint64_t seed,
                                  uint64_t point, CordsSpectrum *spectrum)
{
  const PetscInt wanted = PetscMin(settings->count, active->whole_count);
  PetscReal work_tolerance = PetscMax(reserve * settings->tolerance, 1e-13);
  PetscScalar centre;
  Mat jacobian;
  EPS eps;

  PetscFunctionBegin;
  PetscCall(CordsActiveJacobian(active, &jacobian));
  PetscCall(CreateEps(CordsProblemComm(active->problem), &eps));
  PetscCall(EPSSetOperators(eps, jacobian, NULL));
  PetscCall(EPSSetDimensions(eps, wanted, SubspaceSize(wanted, active->whole_count), PETSC_DEFAULT));
  PetscCall(EPSSetTolerances(eps, work_tolerance, 1000));
  PetscCall(SetStart(eps, active, seed, point, &centre));
  PetscCall(EPSSetFromOptions(eps));
  PetscCall(SetCentre(eps, centre));
  PetscCall(EPSSolve(eps));
  PetscCall(EPSGetConvergedReason(eps, &spectrum->reason));
  spectrum->products = active->products;
  PetscCall(TakePairs(eps, active, settings->count, spectrum));
  PetscCall(EPSDestroy(&eps));
  PetscCall(MatDestroy(&jacobian));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* Add the known eigenvalues −τ/τ_i of inactive neurons, of each area as many as can be among the rightmost `count`. */
static PetscErrorCode AddInactive(CordsActive active, PetscInt count, CordsSpectrum *spectrum)
{
  const PetscInt found = spectrum->count, areas = CordsProblemAreaCount(active->problem);
  PetscInt equal = 0;
  PetscReal least = -INFINITY, previous = 0;

  PetscFunctionBegin;
  for (PetscInt k = 0; k < found && found >= count; k++)
    least = k == 0 ? spectrum->eigenvalues[k].re : PetscMin(least, spectrum->eigenvalues[k].re);
  for (PetscInt i = 0; i < areas; i++) {
    const PetscReal value = -CordsProblemRate(active->problem, i);
    CordsActiveRest rest;
    if (active->area != CORDS_ALL_AREAS && active->area != i) continue;
    PetscCall(CordsActiveInactiveOf(active, i, &rest));
    if (value != previous) equal = 0;
    previous = value;
    for (PetscInt j = 0; j < rest.whole_count && equal < count && value > least; j++, equal++) {
      const PetscInt own = j - rest.before;
      spectrum->eigenvalues[spectrum->count] = (CordsEigenvalue){value, 0};
      PetscCall(LeftResidual(active, own >= 0 && own < rest.count ? active->inactive[rest.first + own] : -1, value,
                             &spectrum->residuals[spectrum->count++]));
    }
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsSpectrumSolve(CordsProblem problem, PetscInt area, const CordsSpectrumSettings *settings,
                                  uint64_t seed, uint64_t point, CordsSpectrum *spectrum)
{
  CordsActive active;

  PetscFunctionBegin;
  PetscCall(CordsActiveCreate(problem, area, &active));
  *spectrum = (CordsSpectrum){.reason = EPS_CONVERGED_TOL};
  if (active->whole_count > 0)
    PetscCall(SolveActive(active, settings, seed, point, spectrum));
  else
    PetscCall(Reserve(active, 0, settings->count, spectrum));
  if (spectrum->reason > 0) PetscCall(AddInactive(active, settings->count, spectrum));
  PetscCall(CordsEigenvaluesSort(spectrum->count, spectrum->eigenvalues, spectrum->residuals));
  spectrum->count = PetscMin(spectrum->count, settings->count);
  for (PetscInt k = 0; k < spectrum->count; k++) spectrum->converged += spectrum->residuals[k] <= settings->tolerance;
  PetscCall(CordsActiveDestroy(&active));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsSpectrumDestroy(CordsSpectrum *spectrum)
{
  PetscFunctionBegin;
  PetscCall(PetscFree2(spectrum->eigenvalues, spectrum->residuals));
  PetscFunctionReturn(PETSC_SUCCESS);
}
