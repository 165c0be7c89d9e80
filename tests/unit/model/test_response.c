/* r_next = (1−α) r + α φ(W r + z) against the system's residual; its derivative against central differences; adjoint
 * identities. */
#include "model/response.h"
#include "support/networks.h"

enum { ITEMS = 3, MORE = 4 /* items there is room for */ };

typedef struct {
  CordsSystem system;
  CordsResponse response;
  CordsType type;
  double alpha;
  size_t n;        /* numbers */
  CordsArray a[7]; /* r, z, r_next, v, y, w, x */
} Fixture;

enum { R, Z, NEXT, V, Y, W, X };

static void Compare(const Fixture *f, const char *what, const void *a, const void *b, double tolerance)
{
  if (f->type == CORDS_F64)
    SupportCompareF64(what, (PetscInt64)f->n, a, b, tolerance);
  else
    SupportCompareF32(what, (PetscInt64)f->n, a, b, tolerance);
}

/* r_next = r + α F */
static void CheckValue(Fixture *f, PetscInt area)
{
  SupportCall(CordsSystemResidual(f->system, area, ITEMS, f->a[Z].data, f->a[R].data, f->a[X].data, f->a[Y].data));
  for (size_t k = 0; k < f->n; k++) {
    NetworkSet(f->type, f->a[Y].data, k,
               f->alpha * NetworkGet(f->type, f->a[Y].data, k) + NetworkGet(f->type, f->a[R].data, k));
  }
  Compare(f, "r + alpha F", f->a[NEXT].data, f->a[Y].data, f->type == CORDS_F64 ? 1e-14 : 1e-6);
}

/* (1−α) v + D W v against differences of the map, in float64. */
static void CheckTangent(Fixture *f, PetscInt area)
{
  const double h = 1e-6;
  double *r = f->a[R].data, *v = f->a[V].data, *y = f->a[Y].data, *x = f->a[X].data;

  if (f->type != CORDS_F64) return;
  memset(y, 0, f->n * sizeof *y);
  for (int side = -1; side <= 1; side += 2) {
    for (size_t k = 0; k < f->n; k++) r[k] += side * h * v[k];
    SupportCall(CordsResponseEvaluate(f->response, ITEMS, r, f->a[Z].data, x));
    for (size_t k = 0; k < f->n; k++) y[k] += side * x[k] / (2 * h), r[k] -= side * h * v[k];
  }
  SupportCall(CordsResponseEvaluate(f->response, ITEMS, r, f->a[Z].data, f->a[NEXT].data));
  SupportCall(CordsResponseTangent(f->response, ITEMS, v, x));
  for (size_t k = 0; k < f->n; k++) x[k] += (1 - f->alpha) * v[k];
  Compare(f, "D W v", x, y, 1e-8);
}

/* ⟨w, D W v⟩ = ⟨Wᵀ (D w), v⟩; with g; without du_before; in place. */
static void CheckAdjoint(Fixture *f)
{
  double tolerance = f->type == CORDS_F64 ? 1e-14 : 1e-6, left;

  SupportCall(CordsResponseTangent(f->response, ITEMS, f->a[V].data, f->a[Y].data));
  left = NetworkDot(f->type, f->n, f->a[W].data, f->a[Y].data);
  SupportCall(CordsResponseThrough(f->response, ITEMS, f->a[W].data, f->a[X].data));
  SupportCall(CordsResponseAdjoint(f->response, ITEMS, f->a[X].data, NULL, f->a[Y].data, f->a[NEXT].data));
  NetworkClose("adjoint", NetworkDot(f->type, f->n, f->a[Y].data, f->a[V].data), left, (double)f->n, tolerance);
  SupportCall(CordsResponseThrough(f->response, ITEMS, f->a[Y].data, f->a[Z].data));
  Compare(f, "D lambda", f->a[NEXT].data, f->a[Z].data, tolerance);
  /* the same plus g = w, with λ in the place of g */
  for (size_t k = 0; k < f->n; k++) {
    NetworkSet(f->type, f->a[Y].data, k, NetworkGet(f->type, f->a[Y].data, k) + NetworkGet(f->type, f->a[W].data, k));
  }
  for (int wanted = 0; wanted < 2; wanted++) {
    memcpy(f->a[Z].data, f->a[W].data, f->n * CordsTypeSize(f->type));
    SupportCall(CordsResponseAdjoint(f->response, ITEMS, f->a[X].data, f->a[Z].data, f->a[Z].data,
                                     wanted ? f->a[NEXT].data : NULL));
    Compare(f, "g + W' du", f->a[Z].data, f->a[Y].data, tolerance);
  }
  SupportCall(CordsResponseThrough(f->response, ITEMS, f->a[Z].data, f->a[Z].data));
  Compare(f, "D (g + W' du)", f->a[NEXT].data, f->a[Z].data, tolerance);
}

static void Check(CordsModel model, CordsPhi phi, CordsType type, double alpha)
{
  Fixture f = {.type = type, .alpha = alpha};

  SupportCall(CordsSystemCreate(model, type, &f.system));
  SupportCall(CordsSystemSetPhi(f.system, phi, 0.3));
  for (PetscInt area = 0; area < model->architecture.area_count; area++) {
    SupportCall(CordsResponseCreate(f.system, area, MORE, alpha, &f.response));
    f.n = ITEMS * (size_t)CordsSystemNeurons(f.system, area);
    for (int k = 0; k < 7; k++) f.a[k] = NetworkRandom(type, f.n, 10 + (uint64_t)k);
    SupportCall(CordsResponseEvaluate(f.response, ITEMS, f.a[R].data, f.a[Z].data, f.a[NEXT].data));
    CheckValue(&f, area);
    CheckTangent(&f, area);
    CheckAdjoint(&f);
    SupportCall(CordsResponseEvaluate(f.response, 0, NULL, NULL, NULL)); /* nothing to do is fine */
    for (int k = 0; k < 7; k++) SupportCall(CordsArrayDestroy(&f.a[k]));
    SupportCall(CordsResponseDestroy(&f.response));
  }
  SupportCall(CordsSystemDestroy(&f.system));
}

static void TestResponse(void **state)
{
  for (int k = 0; k < NETWORK_COUNT; k++) {
    CordsModel model = NetworkModel(network_texts[k], "relu", CORDS_FORM_RECURRENT);
    for (int phi = 0; phi < CORDS_PHI_COUNT; phi++) {
      Check(model, (CordsPhi)phi, CORDS_F32, 1);
      Check(model, (CordsPhi)phi, CORDS_F32, 0.6);
      Check(model, (CordsPhi)phi, CORDS_F64, 1);
      Check(model, (CordsPhi)phi, CORDS_F64, 0.6);
    }
    SupportCall(CordsModelDestroy(&model));
  }
}

static const struct CMUnitTest tests[] = {cmocka_unit_test(TestResponse)};

SUPPORT_MAIN(tests)
