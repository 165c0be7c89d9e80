/* The Jacobian of the ODE: Taylor's theorem, <J v, w> = <v, J' w>, and its diagonal blocks. */
#include "model/system.h"
#include "support/networks.h"

typedef struct {
  CordsModel model;
  CordsSystem system;
  CordsInput input;
  CordsLinearisation linearisation;
  CordsType type;
  PetscInt neurons;
  CordsArray r;
} Fixture;

static void Start(Fixture *f, const char *body, const char *phi, CordsType type)
{
  float *image;

  f->type = type;
  f->model = NetworkModel(body, phi, CORDS_FORM_RECURRENT);
  SupportCall(CordsSystemCreate(f->model, type, &f->system));
  SupportCall(CordsSystemSetPhi(f->system, f->model->architecture.phi, 0.3));
  SupportCall(CordsInputCreate(f->system, 1, &f->input));
  image = NetworkImages(f->model, 1, 5);
  SupportCall(CordsInputSet(f->input, image));
  SupportCall(PetscFree(image));
  f->neurons = CordsSystemOffset(f->system, f->model->architecture.area_count);
  assert_int_equal(f->neurons, CordsArchitectureNeurons(&f->model->architecture));
  f->r = NetworkAwayFromZero(type, (size_t)f->neurons, 6);
  SupportCall(CordsLinearisationCreate(f->system, &f->linearisation));
  SupportCall(CordsLinearisationSet(f->linearisation, f->input, f->r.data));
}

static void End(Fixture *f)
{
  SupportCall(CordsArrayDestroy(&f->r));
  SupportCall(CordsLinearisationDestroy(&f->linearisation));
  SupportCall(CordsInputDestroy(&f->input));
  SupportCall(CordsSystemDestroy(&f->system));
  SupportCall(CordsModelDestroy(&f->model));
}

/* The right-hand side in units of 1/τ of area 0, as the Jacobian is. */
static void ScaledRhs(Fixture *f, const double *r, double *rhs)
{
  const CordsArchitecture *a = &f->model->architecture;

  SupportCall(CordsSystemRhs(f->system, f->input, r, rhs));
  for (PetscInt i = 0; i < a->area_count; i++) {
    for (PetscInt k = CordsSystemOffset(f->system, i); k < CordsSystemOffset(f->system, i + 1); k++) {
      rhs[k] *= a->areas[0].tau_ms / a->areas[i].tau_ms;
    }
  }
}

/* |F(r + h v) − F(r) − h J v| */
static double Remainder(Fixture *f, double h, const double *v, const double *jv)
{
  PetscInt n = f->neurons;
  double *moved = calloc(3 * (size_t)n, sizeof *moved), *after = moved + n, *before = moved + 2 * n, sum = 0;

  for (PetscInt k = 0; k < n; k++) moved[k] = ((double *)f->r.data)[k] + h * v[k];
  ScaledRhs(f, moved, after);
  ScaledRhs(f, f->r.data, before);
  for (PetscInt k = 0; k < n; k++) sum += pow(after[k] - before[k] - h * jv[k], 2);
  free(moved);
  return sqrt(sum);
}

static void CheckTaylor(const char *body, const char *phi, int smooth)
{
  Fixture f;
  CordsArray v, jv;
  double norm;

  Start(&f, body, phi, CORDS_F64);
  v = NetworkRandom(CORDS_F64, (size_t)f.neurons, 7);
  jv = NetworkRandom(CORDS_F64, (size_t)f.neurons, 8);
  SupportCall(CordsLinearisationTangent(f.linearisation, 1, v.data, jv.data));
  norm = sqrt(NetworkDot(CORDS_F64, (size_t)f.neurons, jv.data, jv.data));
  assert_true(norm > 1);
  for (double h = 1e-2; smooth && h > 1e-3; h /= 2) {
    double ratio = Remainder(&f, h, v.data, jv.data) / Remainder(&f, h / 2, v.data, jv.data);
    if (!(fabs(ratio - 4) < 0.15)) print_error("%s: remainder falls by %g instead of 4\n", phi, ratio);
    assert_true(fabs(ratio - 4) < 0.15);
  }
  if (!smooth) { /* piecewise linear, and no kink is crossed: nothing remains but round-off of F, about 1e-15 */
    assert_true(Remainder(&f, 1e-6, v.data, jv.data) < 1e-8 * 1e-6 * norm);
  }
  SupportCall(CordsArrayDestroy(&v));
  SupportCall(CordsArrayDestroy(&jv));
  End(&f);
}

static void TestTaylor(void **state)
{
  for (int k = 0; k < NETWORK_COUNT; k++) {
    CheckTaylor(network_texts[k], "tanh", 1);
    CheckTaylor(network_texts[k], "softplus", 1);
    CheckTaylor(network_texts[k], "relu", 0);
    CheckTaylor(network_texts[k], "prelu", 0);
    CheckTaylor(network_texts[k], "identity", 0);
  }
}

/* |y| |w| as the scale of a product of two vectors. */
static double Scale(CordsType type, size_t n, const void *a, const void *b)
{
  return sqrt(NetworkDot(type, n, a, a) * NetworkDot(type, n, b, b));
}

static void CheckAdjoint(Fixture *f, PetscInt area)
{
  size_t n = area < 0 ? (size_t)f->neurons : (size_t)CordsSystemNeurons(f->system, area);
  CordsArray v = NetworkRandom(f->type, n, 9), w = NetworkRandom(f->type, n, 10);
  CordsArray jv = NetworkRandom(f->type, n, 11), jw = NetworkRandom(f->type, n, 12); /* to be overwritten */

  if (area < 0) {
    SupportCall(CordsLinearisationTangent(f->linearisation, 1, v.data, jv.data));
    SupportCall(CordsLinearisationAdjoint(f->linearisation, 1, w.data, jw.data));
  } else {
    SupportCall(CordsLinearisationAreaTangent(f->linearisation, area, v.data, jv.data));
    SupportCall(CordsLinearisationAreaAdjoint(f->linearisation, area, w.data, jw.data));
  }
  NetworkClose("<J v, w> and <v, J' w>", NetworkDot(f->type, n, jv.data, w.data),
               NetworkDot(f->type, n, v.data, jw.data), Scale(f->type, n, jv.data, w.data),
               f->type == CORDS_F64 ? 1e-13 : 1e-6);
  SupportCall(CordsArrayDestroy(&v));
  SupportCall(CordsArrayDestroy(&w));
  SupportCall(CordsArrayDestroy(&jv));
  SupportCall(CordsArrayDestroy(&jw));
}

/* Several vectors at a time give what each gives alone. */
static void TestSeveral(void **state)
{
  enum { VECTORS = 3 };
  Fixture f;
  size_t n;
  CordsArray v, one, y, alone;

  Start(&f, NETWORK_BARE, "relu", CORDS_F64);
  n = (size_t)f.neurons;
  v = NetworkRandom(CORDS_F64, VECTORS * n, 9);
  one = NetworkRandom(CORDS_F64, n, 1);
  SupportCall(CordsArrayCreate(CORDS_F64, VECTORS, f.neurons, &y));
  SupportCall(CordsArrayCreate(CORDS_F64, 1, f.neurons, &alone));
  for (int adjoint = 0; adjoint < 2; adjoint++) {
    PetscErrorCode (*product)(CordsLinearisation, PetscInt, const void *, void *) =
        adjoint ? CordsLinearisationAdjoint : CordsLinearisationTangent;
    SupportCall(product(f.linearisation, VECTORS, v.data, y.data));
    for (PetscInt k = 0; k < VECTORS; k++) {
      for (PetscInt i = 0; i < f.model->architecture.area_count; i++) { /* vector k out of the state of three items */
        size_t neurons = (size_t)CordsSystemNeurons(f.system, i);
        memcpy(CordsSystemArea(f.system, 1, one.data, i),
               (double *)CordsSystemArea(f.system, VECTORS, v.data, i) + (size_t)k * neurons, neurons * sizeof(double));
      }
      SupportCall(product(f.linearisation, 1, one.data, alone.data));
      for (PetscInt i = 0; i < f.model->architecture.area_count; i++) {
        PetscInt neurons = CordsSystemNeurons(f.system, i);
        SupportCompareF64("one of several products", neurons,
                          (double *)CordsSystemArea(f.system, VECTORS, y.data, i) + (size_t)k * neurons,
                          CordsSystemArea(f.system, 1, alone.data, i), 1e-13);
      }
    }
  }
  SupportCall(CordsArrayDestroy(&v));
  SupportCall(CordsArrayDestroy(&one));
  SupportCall(CordsArrayDestroy(&y));
  SupportCall(CordsArrayDestroy(&alone));
  End(&f);
}

static void TestAdjoint(void **state)
{
  Fixture f;

  for (int k = 0; k < NETWORK_COUNT; k++) {
    for (int p = 0; p < CORDS_PHI_COUNT; p++) {
      for (int type = CORDS_F32; type <= CORDS_F64; type++) {
        Start(&f, network_texts[k], CordsPhiNames[p], (CordsType)type);
        for (PetscInt area = -1; area < f.model->architecture.area_count; area++) CheckAdjoint(&f, area);
        End(&f);
      }
    }
  }
}

/* The area's product is what the whole product gives in this area for a vector that is zero elsewhere, and areas below
   are not touched by it. */
static void TestBlocks(void **state)
{
  Fixture f;
  double *v, *y, *block;

  Start(&f, NETWORK_BARE, "tanh", CORDS_F64);
  v = calloc(3 * (size_t)f.neurons, sizeof *v);
  y = v + f.neurons;
  block = v + 2 * f.neurons;
  for (PetscInt i = 0; i < f.model->architecture.area_count; i++) {
    PetscInt start = CordsSystemOffset(f.system, i), end = CordsSystemOffset(f.system, i + 1);
    memset(v, 0, 3 * (size_t)f.neurons * sizeof *v);
    SupportFillF64(20 + (uint64_t)i, end - start, v + start);
    SupportCall(CordsLinearisationTangent(f.linearisation, 1, v, y));
    SupportCall(CordsLinearisationAreaTangent(f.linearisation, i, v + start, block));
    SupportCompareF64("block of an area", end - start, y + start, block, 1e-14);
    for (PetscInt k = 0; k < start; k++) assert_true(y[k] == 0);
  }
  free(v);
  End(&f);
}

/* Linearising an area alone, with its drive, is the same as linearising all; other areas keep theirs. */
static void TestSetArea(void **state)
{
  Fixture f;
  CordsLinearisation other;

  Start(&f, NETWORK_STEM, "softplus", CORDS_F64);
  SupportCall(CordsLinearisationCreate(f.system, &other));
  for (PetscInt i = 0; i < f.model->architecture.area_count; i++) {
    PetscInt n = CordsSystemNeurons(f.system, i);
    const void *r = CordsSystemArea(f.system, 1, f.r.data, i);
    const void *below = i >= 1 ? CordsSystemArea(f.system, 1, f.r.data, i - 1) : NULL;
    const void *below2 = i >= 2 ? CordsSystemArea(f.system, 1, f.r.data, i - 2) : NULL;
    CordsArray z = NetworkRandom(CORDS_F64, (size_t)n, 1);
    SupportCall(CordsSystemDrive(f.system, i, 1, CORDS_STATES_ANY, f.input, below, below2, z.data));
    SupportCall(CordsLinearisationSetArea(other, i, z.data, r));
    for (PetscInt j = 0; j <= i; j++) {
      SupportCompareF64("slope", CordsSystemNeurons(f.system, j), CordsLinearisationSlope(other, j),
                        CordsLinearisationSlope(f.linearisation, j), 1e-15);
    }
    SupportCall(CordsArrayDestroy(&z));
  }
  SupportCall(CordsLinearisationDestroy(&other));
  End(&f);
}

static const struct CMUnitTest tests[] = {cmocka_unit_test(TestTaylor), cmocka_unit_test(TestAdjoint),
                                          cmocka_unit_test(TestSeveral), cmocka_unit_test(TestBlocks),
                                          cmocka_unit_test(TestSetArea)};
SUPPORT_MAIN(tests)
