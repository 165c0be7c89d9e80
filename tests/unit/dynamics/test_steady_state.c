/* Steady states of batches: the residual that was asked for, with relaxation, Newton's method or both; the same state
   as in fixed_point.h; the linear system of the gradient against its transpose; images that do not settle. */
/* RANKS 1 2 4 */
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

  SupportCall(CordsSteadyStateCreate(PETSC_COMM_SELF, f->system, BATCH, &settings, &steady));
  memset(f->state.data, 0, (size_t)(f->n * f->state.elements) * CordsTypeSize(f->type));
  for (PetscInt i = 0; i < f->model->architecture.area_count; i++) {
    SupportCall(CordsSystemDrive(f->system, i, f->n, f->input, Part(f, i - 1), Part(f, i - 2), f->z.data));
    SupportCall(CordsSteadyStateSolve(steady, i, f->n, f->z.data, Part(f, i), settled, &result));
    assert_true(result.converged && result.unsettled == 0 && result.products > 0);
    for (int k = 0; k < BATCH; k++) assert_true(settled[k]);
    assert_true(Residual(f, i) < 1.1 * (double)settings.tolerance);
    CheckAdjoint(f, steady, i, 1.1 * (double)settings.adjoint_tolerance);
    products += result.products;
  }
  assert_true(CordsSteadyStateBytes(f->system, BATCH) > 0);
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

/* A batch over all ranks, of which some have nothing: all come back, with the same number of products. */
static void TestRanks(void **state)
{
  const CordsSteadyStateSettings settings = {1e-8, 1e-6, 2};
  PetscInt rank = support_context.rank, size = support_context.size, products[2];
  PetscInt n = (rank + 1) * BATCH / size - rank * BATCH / size;
  CordsSteadyStateResult result;
  CordsSteadyState steady;
  Fixture f = {0};

  Start(&f, CORDS_F64, "relu", 0.35F, n);
  SupportCall(CordsSteadyStateCreate(support_context.comm, f.system, n, &settings, &steady));
  if (n > 0) SupportCall(CordsSystemDrive(f.system, 0, n, f.input, NULL, NULL, f.z.data));
  SupportCall(CordsSteadyStateSolve(steady, 0, n, f.z.data, f.state.data, NULL, &result));
  assert_true(result.converged && result.unsettled == 0);
  products[0] = products[1] = result.products;
  SupportCall(CordsSteadyStateAdjoint(steady, 0, n, f.g.data, f.q.data, &result));
  assert_true(result.converged);
  MPI_Allreduce(MPI_IN_PLACE, products, 1, MPI_INT, MPI_MIN, support_context.comm);
  assert_int_equal(products[0], products[1]);
  SupportCall(CordsSteadyStateDestroy(&steady));
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
  SupportCall(CordsSteadyStateCreate(PETSC_COMM_SELF, f.system, BATCH, &settings, &steady));
  SupportCall(CordsSystemDrive(f.system, 0, BATCH, f.input, NULL, NULL, f.z.data));
  SupportCall(CordsSteadyStateSolve(steady, 0, BATCH, f.z.data, f.state.data, settled, &result));
  assert_false(result.converged);
  assert_int_equal(result.unsettled, BATCH);
  for (int k = 0; k < BATCH; k++) assert_false(settled[k]);
  for (PetscInt k = 0; k < BATCH * CordsSystemNeurons(f.system, 0); k++) {
    assert_true(fabs(NetworkGet(CORDS_F32, f.state.data, (size_t)k)) <= 1);
  }
  SupportCall(PetscOptionsClearValue(NULL, "-equilibrium_snes_max_it"));
  SupportCall(CordsSteadyStateDestroy(&steady));
  End(&f);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(TestWays),
    cmocka_unit_test(TestFixedPoint),
    cmocka_unit_test(TestRanks),
    cmocka_unit_test(TestUnsettled),
};

SUPPORT_MAIN(tests)
