/* Every line of model/areas.def, with every φ: step, right-hand side and slope agree with each other and with φ written
   out here, in both types. */
#include "model/area_type.h"
#include "support/networks.h"

enum { COUNT = 203 };
static const double slope = 0.3;

static double Phi(CordsPhi phi, double u)
{
  switch (phi) {
  case CORDS_PHI_RELU:
    return fmax(u, 0);
  case CORDS_PHI_PRELU:
    return u > 0 ? u : slope * u;
  case CORDS_PHI_TANH:
    return tanh(u);
  case CORDS_PHI_SOFTPLUS:
    return log1p(exp(u));
  default:
    return u;
  }
}

static void CheckLaw(const CordsAreaType *kind, CordsPhi phi, CordsType type)
{
  CordsAreaLaw law = {.phi = phi, .slope = slope, .alpha = 0.2};
  CordsArray u = NetworkAwayFromZero(type, COUNT, 1), r = NetworkRandom(type, COUNT, 2);
  CordsArray next = NetworkRandom(type, COUNT, 3), f = NetworkRandom(type, COUNT, 4), d = NetworkRandom(type, COUNT, 5);
  CordsArray moved = NetworkRandom(type, COUNT, 6), f_moved = NetworkRandom(type, COUNT, 7);
  const double h = type == CORDS_F64 ? 1e-5 : 1e-2, tolerance = type == CORDS_F64 ? 1e-9 : 1e-3;
  const double exact = type == CORDS_F64 ? 1e-14 : 1e-6;

  kind->step(&law, type, COUNT, u.data, r.data, next.data);
  kind->rhs(&law, type, COUNT, u.data, r.data, f.data);
  kind->slope(&law, type, COUNT, u.data, d.data);
  for (size_t k = 0; k < COUNT; k++) {
    double rate = NetworkGet(type, r.data, k), rhs = NetworkGet(type, f.data, k);
    NetworkClose("step and rhs", NetworkGet(type, next.data, k), rate + law.alpha * rhs, 2, exact);
    if (strcmp(kind->name, "rate") == 0) {
      NetworkClose("rate", rhs, Phi(phi, NetworkGet(type, u.data, k)) - rate, 2, exact);
    }
  }
  /* ∂f/∂u by central differences away from the kink; ∂f/∂r = −1 */
  for (int sign = 1; sign >= -1; sign -= 2) {
    for (size_t k = 0; k < COUNT; k++) NetworkSet(type, moved.data, k, NetworkGet(type, u.data, k) + sign * h);
    kind->rhs(&law, type, COUNT, moved.data, r.data, sign > 0 ? f.data : f_moved.data);
  }
  for (size_t k = 0; k < COUNT; k++) {
    double difference = (NetworkGet(type, f.data, k) - NetworkGet(type, f_moved.data, k)) / (2 * h);
    NetworkClose("slope", NetworkGet(type, d.data, k), difference, 1, tolerance);
  }
  kind->rhs(&law, type, COUNT, u.data, r.data, f.data);
  for (size_t k = 0; k < COUNT; k++) NetworkSet(type, moved.data, k, NetworkGet(type, r.data, k) + 0.5);
  kind->rhs(&law, type, COUNT, u.data, moved.data, f_moved.data);
  for (size_t k = 0; k < COUNT; k++) {
    NetworkClose("df/dr", NetworkGet(type, f_moved.data, k) - NetworkGet(type, f.data, k), -0.5, 1, exact);
  }
  /* in place */
  kind->step(&law, type, COUNT, u.data, r.data, r.data);
  assert_memory_equal(r.data, next.data, COUNT * CordsTypeSize(type));
  for (int k = 0; k < 7; k++) {
    CordsArray *all[] = {&u, &r, &next, &f, &d, &moved, &f_moved};
    SupportCall(CordsArrayDestroy(all[k]));
  }
}

static void TestLaws(void **state)
{
  const char *const *names, *const *abouts;
  const CordsAreaType *kind;
  PetscInt count;

  SupportCall(CordsAreaTypeList(&count, &names, &abouts));
  assert_true(count > 0);
  for (PetscInt k = 0; k < count; k++) {
    SupportCall(CordsAreaTypeFind(names[k], &kind));
    assert_string_equal(kind->name, names[k]);
    assert_true(strlen(abouts[k]) > 0);
    for (int phi = 0; phi < CORDS_PHI_COUNT; phi++) {
      CheckLaw(kind, (CordsPhi)phi, CORDS_F32);
      CheckLaw(kind, (CordsPhi)phi, CORDS_F64);
    }
  }
}

/* At the kink as in PyTorch: relu'(0) = 0, PReLU'(0) = its slope; large arguments stay finite. */
static void TestKinkAndEnds(void **state)
{
  const CordsAreaType *kind;
  double u[4] = {0, 800, -800, -0.0}, r[4] = {0}, out[4];
  CordsAreaLaw law = {.slope = slope, .alpha = 1};

  SupportCall(CordsAreaTypeFind("rate", &kind));
  law.phi = CORDS_PHI_RELU;
  kind->slope(&law, CORDS_F64, 4, u, out);
  assert_true(out[0] == 0 && out[1] == 1 && out[2] == 0 && out[3] == 0);
  law.phi = CORDS_PHI_PRELU;
  kind->slope(&law, CORDS_F64, 4, u, out);
  assert_true(out[0] == slope && out[1] == 1 && out[2] == slope);
  law.phi = CORDS_PHI_SOFTPLUS;
  kind->rhs(&law, CORDS_F64, 4, u, r, out);
  assert_true(fabs(out[0] - log(2)) < 1e-15 && out[1] == 800 && out[2] == 0);
  kind->slope(&law, CORDS_F64, 4, u, out);
  assert_true(out[0] == 0.5 && out[1] == 1 && out[2] == 0);
  law.phi = CORDS_PHI_TANH;
  kind->slope(&law, CORDS_F64, 4, u, out);
  assert_true(out[0] == 1 && out[1] == 0 && out[2] == 0);
}

static const struct CMUnitTest tests[] = {cmocka_unit_test(TestLaws), cmocka_unit_test(TestKinkAndEnds)};
SUPPORT_MAIN(tests)
