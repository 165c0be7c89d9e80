/* Steady states of batches: the residual that was asked for, with relaxation, Newton's method or both; the same state
   as in fixed_point.h; the linear system of the gradient against its transpose; each image for itself; images that do
   not settle. */
#include "dynamics/fixed_point.h"
#include "dynamics/steady_state.h"
#include "support/networks.h"

enum { BATCH = 3 };

typedef struct {
  CordsModel model;
  CordsSystem system;
  CordsInput input;
  float *images;
  CordsType type;
  PetscInt n; /* images of this rank */
  CordsArray state, z, g, q, work;
} Fixture;

static void Start(Fixture *f, CordsType type, const char *phi, float gain, PetscInt n)
{
  PetscInt neurons;

  f->type = type;
  f->n = n;
  f->model = NetworkModel(NETWORK_STEM, phi, CORDS_FORM_RECURRENT);
  for (PetscInt i = 0; i < f->model->architecture.area_count; i++) {
    CordsTensor *t = &f->model->tensors[CordsModelConnectionTensor(f->model, f->model->architecture.recurrent[i])];
    for (PetscInt k = 0; k < CordsTensorSize(t); k++) t->data[k] *= gain;
  }
  neurons = CordsArchitectureNeurons(&f->model->architecture);
  SupportCall(CordsSystemCreate(f->model, type, &f->system));
  f->images = NetworkImages(f->model, BATCH, 3);
  if (n > 0) {
    SupportCall(CordsInputCreate(f->system, n, &f->input));
    SupportCall(CordsInputSet(f->input, f->images));
  }
  SupportCall(CordsArrayCreate(type, PetscMax(n, 1), neurons, &f->state));
  SupportCall(CordsArrayCreate(type, PetscMax(n, 1), neurons, &f->z));
  SupportCall(CordsArrayCreate(type, PetscMax(n, 1), neurons, &f->q));
  SupportCall(CordsArrayCreate(type, PetscMax(n, 1), neurons, &f->work));
  f->g = NetworkRandom(type, (size_t)(PetscMax(n, 1) * neurons), 9);
}

static void End(Fixture *f)
{
  SupportCall(PetscFree(f->images));
  SupportCall(CordsArrayDestroy(&f->state));
  SupportCall(CordsArrayDestroy(&f->z));
  SupportCall(CordsArrayDestroy(&f->g));
  SupportCall(CordsArrayDestroy(&f->q));
  SupportCall(CordsArrayDestroy(&f->work));
  SupportCall(CordsInputDestroy(&f->input));
  SupportCall(CordsSystemDestroy(&f->system));
  SupportCall(CordsModelDestroy(&f->model));
}

static void *Part(Fixture *f, PetscInt i)
{
  return i < 0 ? NULL : CordsSystemArea(f->system, f->n, f->state.data, i);
}

/* |F| / |r| of an area, recomputed. */
static double Residual(Fixture *f, PetscInt i)
{
  size_t n = (size_t)f->n * (size_t)CordsSystemNeurons(f->system, i);

  SupportCall(CordsSystemResidual(f->system, i, f->n, f->z.data, Part(f, i), f->work.data, f->q.data));
  return sqrt(NetworkDot(f->type, n, f->q.data, f->q.data) / NetworkDot(f->type, n, Part(f, i), Part(f, i)));
}

/* λ = g + Wᵀ q and q = D λ: q is fixed under the map, whose D the residual at r ± small would show.  Here through the
   identity ⟨q, (I − W D) x⟩ = ⟨g, D x⟩ for any x, by a response of its own. */
static void CheckAdjoint(Fixture *f, CordsSteadyState steady, PetscInt i, double tolerance)
{
  size_t n = (size_t)f->n * (size_t)CordsSystemNeurons(f->system, i);
  CordsSteadyStateResult result;
  CordsResponse response;

  SupportCall(CordsSteadyStateAdjoint(steady, i, f->n, f->g.data, f->q.data, &result));
  assert_true(result.converged);
  SupportCall(CordsResponseCreate(f->system, i, f->n, 1, &response));
  SupportCall(CordsResponseEvaluate(response, f->n, Part(f, i), f->z.data, f->work.data));
  /* D (g + Wᵀ q) = q */
  SupportCall(CordsResponseAdjoint(response, f->n, f->q.data, f->g.data, f->work.data, f->z.data));
  for (size_t k = 0; k < n; k++) {
    NetworkSet(f->type, f->work.data, k, NetworkGet(f->type, f->z.data, k) - NetworkGet(f->type, f->q.data, k));
  }
  assert_true(sqrt(NetworkDot(f->type, n, f->work.data, f->work.data)) <=
              tolerance * sqrt(NetworkDot(f->type, n, f->g.data, f->g.data)));
  SupportCall(CordsResponseDestroy(&response));
}

static PetscInt Solve(Fixture *f, CordsSteadyStateSettings settings)
{
  CordsSteadyState steady;
  CordsSteadyStateResult result;
  PetscBool settled[BATCH] = {PETSC_TRUE, PETSC_TRUE, PETSC_TRUE};
  PetscInt products = 0;

  SupportCall(CordsSteadyStateCreate(f->system, BATCH, &settings, &steady));
  memset(f->state.data, 0, (size_t)(f->n * f->state.elements) * CordsTypeSize(f->type));
  for (PetscInt i = 0; i < f->model->architecture.area_count; i++) {
    SupportCall(
        CordsSystemDrive(f->system, i, f->n, CORDS_STATES_ANY, f->input, Part(f, i - 1), Part(f, i - 2), f->z.data));
    SupportCall(CordsSteadyStateSolve(steady, i, f->n, f->z.data, Part(f, i), settled, &result));
    assert_true(result.converged && result.unsettled == 0 && result.products > 0);
    for (int k = 0; k < BATCH; k++) assert_true(settled[k]);
    assert_true(Residual(f, i) < 1.1 * (double)settings.tolerance);
    CheckAdjoint(f, steady, i, 1.1 * (double)settings.adjoint_tolerance);
    products += result.products;
  }
  SupportCall(CordsSteadyStateDestroy(&steady));
  return products;
}

/* Every way, in either type; fewer steps of relaxation leave more to Newton's method. */
static void TestWays(void **state)
{
  const char *const phis[] = {"relu", "tanh"};

  for (int type = CORDS_F32; type <= CORDS_F64; type++) {
    for (int p = 0; p < 2; p++) {
      double tolerance = type == CORDS_F64 ? 1e-11 : 1e-5;
      Fixture f = {0};
      Start(&f, (CordsType)type, phis[p], 0.35F, BATCH);
      for (PetscInt steps = 0; steps <= 100; steps += steps ? 97 : 3) {
        Solve(&f, (CordsSteadyStateSettings){tolerance, 10 * tolerance, steps});
      }
      End(&f);
    }
  }
}

/* Against the solver for one image: the same states, also where relaxation alone would run away. */
static void TestFixedPoint(void **state)
{
  const CordsFixedPointSettings settings = {.tolerance = 1e-12, .euler_steps = 100, .retries = 2};
  double *expected;
  CordsProblem problem;
  CordsFixedPoint point;
  Fixture f = {0};

  Start(&f, CORDS_F64, "tanh", -0.9F, 1);
  expected = calloc((size_t)f.state.elements, sizeof *expected);
  Solve(&f, (CordsSteadyStateSettings){1e-12, 1e-10, 8});
  SupportCall(CordsProblemCreate(f.model, &problem));
  SupportCall(CordsProblemSetImage(problem, f.images));
  SupportCall(CordsFixedPointSolve(problem, &settings, expected, &point));
  assert_true(CordsFixedPointConverged(point.reason, point.residual_norm_rel, 1e-11));
  SupportCompareF64("state", f.state.elements, f.state.data, expected, 1e-9);
  SupportCall(CordsProblemDestroy(&problem));
  free(expected);
  End(&f);
}

/* One area of the first `n` images: states, then q behind them; products. */
static PetscInt SolveFirst(Fixture *f, CordsSteadyState steady, PetscInt first, PetscInt n)
{
  size_t numbers = (size_t)CordsSystemNeurons(f->system, 0), bytes = numbers * CordsTypeSize(f->type);
  char *z = (char *)f->z.data + (size_t)first * bytes, *r = (char *)f->state.data + (size_t)first * bytes;
  char *g = (char *)f->g.data + (size_t)first * bytes, *q = (char *)f->q.data + (size_t)first * bytes;
  CordsSteadyStateResult result;
  PetscInt products;

  memset(r, 0, (size_t)n * bytes);
  SupportCall(CordsSteadyStateSolve(steady, 0, n, z, r, NULL, &result));
  assert_true(result.converged && result.unsettled == 0);
  products = result.products;
  SupportCall(CordsSteadyStateAdjoint(steady, 0, n, g, q, &result));
  assert_true(result.converged);
  return products + result.products;
}

/* An image alone or among others, easy and hard ones: the same bits and the same work, however loose the tolerance. */
static void TestAlone(void **state)
{
  const CordsSteadyStateSettings ways[] = {{1e-3, 1e-2, 2}, {1e-3, 1e-2, 100}, {1, 1e-2, 2} /* r = 0 is good enough */};

  for (size_t way = 0; way < PETSC_STATIC_ARRAY_LENGTH(ways); way++) {
    Fixture f = {0};
    CordsSteadyState steady;
    PetscInt together, alone = 0;
    void *states, *qs;
    size_t bytes;
    Start(&f, CORDS_F32, "relu", 0.35F, BATCH);
    bytes = (size_t)(BATCH * CordsSystemNeurons(f.system, 0)) * sizeof(float);
    states = malloc(2 * bytes);
    qs = (char *)states + bytes;
    SupportCall(CordsSteadyStateCreate(f.system, BATCH, &ways[way], &steady));
    SupportCall(CordsSystemDrive(f.system, 0, BATCH, CORDS_STATES_ANY, f.input, NULL, NULL, f.z.data));
    for (size_t k = 0; k < bytes / sizeof(float) / BATCH; k++) ((float *)f.z.data)[k] *= 30; /* unlike the others */
    together = SolveFirst(&f, steady, 0, BATCH);
    memcpy(states, f.state.data, bytes);
    memcpy(qs, f.q.data, bytes);
    for (PetscInt k = BATCH - 1; k >= 0; k--) alone += SolveFirst(&f, steady, k, 1);
    assert_int_equal(alone, together);
    assert_memory_equal(f.state.data, states, bytes);
    assert_memory_equal(f.q.data, qs, bytes);
    free(states);
    SupportCall(CordsSteadyStateDestroy(&steady));
    End(&f);
  }
}

/* Solvers of areas of all sizes one after the other, or kept because they are small: what is said covers it. */
static void TestBytes(void **state)
{
  double one, two, three;
  Fixture f = {0};

  Start(&f, CORDS_F32, "relu", 0.35F, 1);
  SupportCall(CordsSteadyStateBytes(f.system, 1, &one));
  SupportCall(CordsSteadyStateBytes(f.system, 2, &two));
  SupportCall(CordsSteadyStateBytes(f.system, 3, &three));
  assert_true(one > 8.0 * 20 * CordsSystemLargestArea(f.system));
  assert_true(two > one && two - one < 0.1 * one); /* an image more costs its D only */
  assert_true(fabs(three - two - (two - one)) < 1e-6 * one);
  End(&f);
}

/* Without Newton's method there is no state in sight: counted, and the best one is kept. */
static void TestUnsettled(void **state)
{
  const CordsSteadyStateSettings settings = {1e-6, 1e-3, 3};
  PetscBool settled[BATCH] = {PETSC_TRUE, PETSC_TRUE, PETSC_TRUE};
  CordsSteadyStateResult result;
  CordsSteadyState steady;
  Fixture f = {0};

  Start(&f, CORDS_F32, "tanh", -15, BATCH);
  SupportCall(PetscOptionsSetValue(NULL, "-equilibrium_snes_max_it", "1"));
  SupportCall(CordsSteadyStateCreate(f.system, BATCH, &settings, &steady));
  SupportCall(CordsSystemDrive(f.system, 0, BATCH, CORDS_STATES_ANY, f.input, NULL, NULL, f.z.data));
  SupportCall(CordsSteadyStateSolve(steady, 0, BATCH, f.z.data, f.state.data, settled, &result));
  assert_false(result.converged);
  assert_int_equal(result.unsettled, BATCH);
  for (int k = 0; k < BATCH; k++) assert_false(settled[k]);
  for (PetscInt k = 0; k < BATCH * CordsSystemNeurons(f.system, 0); k++) {
    assert_true(isfinite(NetworkGet(CORDS_F32, f.state.data, (size_t)k)));
  }
  SupportCall(PetscOptionsClearValue(NULL, "-equilibrium_snes_max_it"));
  SupportCall(CordsSteadyStateDestroy(&steady));
  End(&f);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(TestWays),  cmocka_unit_test(TestFixedPoint), cmocka_unit_test(TestAlone),
    cmocka_unit_test(TestBytes), cmocka_unit_test(TestUnsettled),
};

SUPPORT_MAIN(tests)
