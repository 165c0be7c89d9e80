/* What analyses are made of, with maps cut over every grid that the ranks can form, against one rank alone: residuals
   and products with the Jacobian, fixed points area by area and of all areas in one, rightmost eigenvalues.  What the
   solvers say is looked at from outside: by the problem that is not cut. */
/* RANKS 1 2 4 6 */
#include "dynamics/fixed_point.h"
#include "dynamics/spectrum.h"
#include "support/domain.h"
#include "support/networks.h"

/* One area of 7 × 7 that most of its ranks see a row or two of, and one of 2 × 2 that leaves ranks without pixels. */
#define NETWORK_SMALL                                                                                                  \
  "  image_rows: 7\n  image_columns: 7\n  stem_kernel: 0\n  pool_kernel: 0\n  channels: [3, 4, 4, 4]\n"                \
  "  strides: [1, 2, 2, 1]\n  tau: [10, 10, 20, 10]\n"

static const char *const texts[] = {NETWORK_STEM, NETWORK_BARE, NETWORK_SMALL};
static const char *const phis[] = {"relu", "tanh"};
enum { TEXTS = 3, NETWORKS = TEXTS + 1 /* each with relu, the first with tanh, too */ };

/* A network and the problem of it that this rank sees alone. */
typedef struct {
  CordsModel model;
  CordsProblem alone;
  float *image;
  PetscInt areas, n; /* neurons of all areas on all ranks */
  double *r;         /* a state in general position */
} Fixture;

static Fixture Make(const char *text, const char *phi)
{
  Fixture f = {.model = NetworkModel(text, phi, CORDS_FORM_RECURRENT)};

  f.areas = f.model->architecture.area_count;
  for (PetscInt i = 0; i < f.areas; i++) {
    CordsTensor *g = &f.model->tensors[CordsModelConnectionTensor(f.model, f.model->architecture.recurrent[i])];
    for (PetscInt k = 0; k < CordsTensorSize(g); k++) g->data[k] *= 0.5F;
  }
  f.image = NetworkImages(f.model, 1, 3);
  SupportCall(CordsProblemCreate(f.model, &f.alone));
  SupportCall(CordsProblemSetImage(f.alone, f.image));
  f.n = CordsProblemSize(f.alone, CORDS_ALL_AREAS);
  f.r = calloc((size_t)f.n, sizeof *f.r);
  SupportFillF64(11, f.n, f.r);
  return f;
}

static void Free(Fixture *f)
{
  free(f->r);
  SupportCall(PetscFree(f->image));
  SupportCall(CordsProblemDestroy(&f->alone));
  SupportCall(CordsModelDestroy(&f->model));
}

static CordsProblem Cut(Fixture *f, CordsContext context)
{
  CordsProblem cut;

  SupportCall(CordsProblemCreateCut(context, f->model, &cut));
  SupportCall(CordsProblemSetImage(cut, f->image));
  assert_int_equal(CordsProblemWholeSize(cut, CORDS_ALL_AREAS), f->n);
  return cut;
}

/* This rank's numbers of an area (or of all) of two vectors that should be the same, the first of whole maps. */
static void CheckSame(Fixture *f, CordsProblem cut, PetscInt area, const char *what, const double *whole,
                      const double *tiles, double tolerance)
{
  const PetscInt first = area == CORDS_ALL_AREAS ? 0 : area, end = area == CORDS_ALL_AREAS ? f->areas : area + 1;
  const CordsSystem system = CordsProblemSystem(cut);
  double largest = 0;

  for (PetscInt k = 0; k < CordsProblemSize(f->alone, area); k++) largest = fmax(largest, fabs(whole[k]));
  for (PetscInt i = first; i < end; i++) {
    for (PetscInt k = 0; k < CordsProblemSize(cut, i); k++) {
      NetworkClose(what, whole[CordsWholeStatePlace(system, i, k)], tiles[k], largest, tolerance);
    }
    whole += CordsProblemSize(f->alone, i);
    tiles += CordsProblemSize(cut, i);
  }
}

/* Residual, J v and Jᵀ v of an area or of all at r. */
static void CheckProducts(Fixture *f, CordsProblem cut, const double *r, PetscInt area)
{
  const PetscInt n = CordsProblemSize(f->alone, area), own = CordsProblemSize(cut, area);
  const double *r_alone = f->r + CordsProblemOffset(f->alone, area), *r_cut = r + CordsProblemOffset(cut, area);
  double *v = calloc(2 * (size_t)n, sizeof *v), *v_cut = calloc(2 * (size_t)own + 2, sizeof *v_cut);
  double *y = v + n, *y_cut = v_cut + own + 1, *whole = calloc((size_t)f->n, sizeof *whole);
  double *tiles = calloc((size_t)CordsProblemSize(cut, CORDS_ALL_AREAS) + 1, sizeof *tiles);

  SupportFillF64(13, n, v);
  memcpy(whole + CordsProblemOffset(f->alone, area), v, (size_t)n * sizeof *v);
  CordsWholeStateTake(CordsProblemSystem(cut), whole, tiles);
  memcpy(v_cut, tiles + CordsProblemOffset(cut, area), (size_t)own * sizeof *v_cut);
  if (area != CORDS_ALL_AREAS) {
    SupportCall(CordsProblemSetDrive(f->alone, area, f->r));
    SupportCall(CordsProblemSetDrive(cut, area, r));
  }
  SupportCall(CordsProblemResidual(f->alone, area, r_alone, y));
  SupportCall(CordsProblemResidual(cut, area, r_cut, y_cut));
  CheckSame(f, cut, area, "residual", y, y_cut, 1e-13);
  SupportCall(CordsProblemLinearise(f->alone, area, r_alone));
  SupportCall(CordsProblemLinearise(cut, area, r_cut));
  SupportCall(CordsProblemTangent(f->alone, area, v, y));
  SupportCall(CordsProblemTangent(cut, area, v_cut, y_cut));
  CheckSame(f, cut, area, "J v", y, y_cut, 1e-13);
  SupportCall(CordsProblemAdjoint(f->alone, area, v, y));
  SupportCall(CordsProblemAdjoint(cut, area, v_cut, y_cut));
  CheckSame(f, cut, area, "transposed", y, y_cut, 1e-13);
  free(v), free(v_cut), free(whole), free(tiles);
}

/* Six ranks are there for the one test that wants them. */
#define SKIP_ON_SIX                                                                                                    \
  if (support_context.size == 6) return

static void Products(void **state)
{
  SKIP_ON_SIX;
  for (int k = 0; k < NETWORKS; k++) {
    Fixture f = Make(texts[k % TEXTS], phis[k / TEXTS]);
    SUPPORT_FOR_GRIDS(rows)
    {
      const CordsContextData context = SupportDomain(rows);
      CordsProblem cut = Cut(&f, &context);
      double *r = calloc((size_t)CordsProblemSize(cut, CORDS_ALL_AREAS) + 1, sizeof *r);
      PetscReal one, other;
      CordsWholeStateTake(CordsProblemSystem(cut), f.r, r);
      for (PetscInt area = CORDS_ALL_AREAS; area < f.areas; area++) CheckProducts(&f, cut, r, area);
      SupportCall(CordsProblemResidualNorm(f.alone, CORDS_ALL_AREAS, f.r, &one));
      SupportCall(CordsProblemResidualNorm(cut, CORDS_ALL_AREAS, r, &other));
      assert_true(fabs(one - other) <= 1e-14);
      free(r);
      SupportCall(CordsProblemDestroy(&cut));
    }
    Free(&f);
  }
}

/* The state that ranks found together, and what one rank alone thinks of it. */
static void CheckFixedPoint(Fixture *f, CordsContext context, const CordsFixedPointSettings *settings,
                            const double *expected)
{
  CordsProblem cut = Cut(f, context);
  double *r = calloc((size_t)CordsProblemSize(cut, CORDS_ALL_AREAS) + 1, sizeof *r);
  double *whole = calloc((size_t)f->n, sizeof *whole);
  CordsFixedPoint point;
  PetscReal residual;

  SupportCall(CordsFixedPointSolve(cut, settings, r, &point));
  assert_true(CordsFixedPointConverged(point.reason, point.residual_norm_rel, 1e-10));
  CheckSame(f, cut, CORDS_ALL_AREAS, "fixed point", expected, r, 1e-10);
  SupportCall(CordsWholeStateGather(CordsProblemSystem(cut), r, whole));
  if (context->domain_rank == 0) {
    SupportCall(CordsProblemResidualNorm(f->alone, CORDS_ALL_AREAS, whole, &residual));
    assert_true(residual <= 1e-10);
  }
  free(r), free(whole);
  SupportCall(CordsProblemDestroy(&cut));
}

static void FixedPoints(void **state)
{
  CordsFixedPointSettings settings;
  CordsFixedPoint point;

  SKIP_ON_SIX;
  SupportCall(CordsFixedPointConfigure(&settings));
  settings.euler_steps = 10; /* something is left for Newton's method */
  for (int k = 0; k < NETWORKS; k++) {
    Fixture f = Make(texts[k % TEXTS], phis[k / TEXTS]);
    double *expected = calloc((size_t)f.n, sizeof *expected);
    settings.method = CORDS_FIXED_POINT_BLOCK;
    SupportCall(CordsFixedPointSolve(f.alone, &settings, expected, &point));
    assert_true(CordsFixedPointConverged(point.reason, point.residual_norm_rel, 1e-10) && point.newton_iterations > 0);
    SUPPORT_FOR_GRIDS(rows)
    {
      const CordsContextData context = SupportDomain(rows);
      for (settings.method = 0; settings.method < CORDS_FIXED_POINT_METHOD_COUNT; settings.method++)
        CheckFixedPoint(&f, &context, &settings, expected);
    }
    free(expected);
    Free(&f);
  }
}

/* The active neurons of all ranks are those of one rank alone, by their places in the whole maps. */
static void CheckActive(Fixture *f, CordsProblem cut, PetscInt area)
{
  PetscInt *taken = calloc((size_t)f->n, sizeof *taken);
  CordsActive one, part;

  SupportCall(CordsActiveCreate(f->alone, area, &one));
  SupportCall(CordsActiveCreate(cut, area, &part));
  assert_int_equal(part->whole_size, one->size);
  assert_int_equal(part->whole_count, one->count);
  for (PetscInt k = 0; k < part->count; k++) taken[CordsActivePlace(part, k)]++;
  SupportCall(MPI_Allreduce(MPI_IN_PLACE, taken, (PetscMPIInt)f->n, MPIU_INT, MPI_SUM, CordsProblemComm(cut)));
  for (PetscInt k = 0; k < one->count; k++) assert_int_equal(taken[one->neurons[k]], 1);
  SupportCall(CordsActiveDestroy(&one));
  SupportCall(CordsActiveDestroy(&part));
  free(taken);
}

/* all: every eigenvalue of the area, found on one rank. */
static void CheckSpectrum(CordsProblem cut, PetscInt area, PetscInt count, const CordsSpectrum *all)
{
  CordsSpectrum found;
  PetscReal difference;

  SupportCall(CordsSpectrumSolve(cut, area, &(CordsSpectrumSettings){.count = count, .tolerance = 1e-8}, 1, 0, &found));
  assert_true(found.reason > 0);
  assert_int_equal(found.count, PetscMin(count, all->count));
  assert_int_equal(found.converged, found.count);
  difference = CordsEigenvaluesDifference(found.count, found.eigenvalues, all->count, all->eigenvalues);
  if (!(difference <= 1e-8)) print_error("area %d: eigenvalues differ by %g\n", (int)area, (double)difference);
  assert_true(difference <= 1e-8);
  SupportCall(CordsSpectrumDestroy(&found));
}

static void LineariseCut(Fixture *f, CordsProblem cut)
{
  double *r = calloc((size_t)CordsProblemSize(cut, CORDS_ALL_AREAS) + 1, sizeof *r);

  CordsWholeStateTake(CordsProblemSystem(cut), f->r, r);
  SupportCall(CordsProblemLinearise(cut, CORDS_ALL_AREAS, r));
  free(r);
}

/* A few pairs, and so many that those of inactive neurons on all ranks are among them. */
static void Spectra(void **state)
{
  SKIP_ON_SIX;
  for (int k = 0; k < NETWORKS; k++) {
    Fixture f = Make(texts[k % TEXTS], phis[k / TEXTS]);
    SupportCall(CordsProblemLinearise(f.alone, CORDS_ALL_AREAS, f.r));
    for (PetscInt area = CORDS_ALL_AREAS; area < f.areas; area++) {
      const PetscInt n = CordsProblemSize(f.alone, area);
      CordsSpectrum all;
      SupportCall(CordsSpectrumSolve(f.alone, area, &(CordsSpectrumSettings){n, 1e-8}, 1, 0, &all));
      SUPPORT_FOR_GRIDS(rows)
      {
        const CordsContextData context = SupportDomain(rows);
        CordsProblem cut = Cut(&f, &context);
        LineariseCut(&f, cut);
        CheckActive(&f, cut, area);
        CheckSpectrum(cut, area, 6, &all);
        if (k < TEXTS && rows == 1) CheckSpectrum(cut, area, 1000, &all);
        SupportCall(CordsProblemDestroy(&cut));
      }
      SupportCall(CordsSpectrumDestroy(&all));
    }
    Free(&f);
  }
}

/* --- a larger area of odd size --- */

#define NETWORK_ODD                                                                                                    \
  "  image_rows: 57\n  image_columns: 43\n  stem_kernel: 0\n  pool_kernel: 0\n  channels: [2, 2, 2]\n"                 \
  "  strides: [1, 2, 1]\n  tau: [10, 10, 20]\n"

/* 57 × 43 on 3 × 2 ranks: the fixed point area by area, and the rightmost pairs of all areas there. */
static void Odd(void **state)
{
  const CordsSpectrumSettings few = {.count = 4, .tolerance = 1e-8};
  const CordsContextData context = SupportDomain(3);
  CordsFixedPointSettings settings;
  CordsFixedPoint point;
  const PetscBool first = (PetscBool)(context.domain_rank == 0);
  CordsSpectrum one, found;
  CordsProblem cut;
  Fixture f;

  if (support_context.size != 6) return;
  f = Make(NETWORK_ODD, "tanh");
  SupportCall(CordsFixedPointConfigure(&settings));
  if (first) { /* the others have the processor to themselves */
    SupportCall(CordsFixedPointSolve(f.alone, &settings, f.r, &point));
    assert_true(CordsFixedPointConverged(point.reason, point.residual_norm_rel, 1e-10));
  }
  SupportCall(MPI_Bcast(f.r, (PetscMPIInt)f.n, MPI_DOUBLE, 0, context.comm));
  CheckFixedPoint(&f, &context, &settings, f.r);
  cut = Cut(&f, &context);
  LineariseCut(&f, cut);
  SupportCall(CordsSpectrumSolve(cut, CORDS_ALL_AREAS, &few, 1, 0, &found));
  assert_int_equal(found.converged, few.count);
  if (first) {
    SupportCall(CordsProblemLinearise(f.alone, CORDS_ALL_AREAS, f.r));
    SupportCall(CordsSpectrumSolve(f.alone, CORDS_ALL_AREAS, &few, 1, 0, &one));
    assert_int_equal(one.count, few.count);
    assert_true(CordsEigenvaluesDifference(one.count, one.eigenvalues, found.count, found.eigenvalues) <= 1e-8);
    SupportCall(CordsSpectrumDestroy(&one));
  }
  SupportCall(CordsSpectrumDestroy(&found));
  SupportCall(CordsProblemDestroy(&cut));
  Free(&f);
}

static const struct CMUnitTest tests[] = {cmocka_unit_test(Products), cmocka_unit_test(FixedPoints),
                                          cmocka_unit_test(Spectra), cmocka_unit_test(Odd)};
SUPPORT_MAIN(tests)
