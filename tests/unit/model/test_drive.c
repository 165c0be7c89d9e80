/* Drive: its adjoint; states none of which is negative, with and without ρ; items and images. */
#include "support/systems.h"

/* ⟨dz, z(r + v) − z(r)⟩ = ⟨g, v⟩ + ⟨g2, v2⟩, relu being linear between the two. */
static void CheckDrive(SystemFixture *f, PetscInt i)
{
  CordsType type = f->type;
  size_t n = (size_t)SYSTEM_ITEMS * CordsSystemNeurons(f->system, i);
  size_t m = i >= 1 ? (size_t)SYSTEM_ITEMS * CordsSystemNeurons(f->system, i - 1) : 0;
  size_t m2 = i >= 2 ? (size_t)SYSTEM_ITEMS * CordsSystemNeurons(f->system, i - 2) : 0;
  CordsArray r = NetworkAwayFromZero(type, m + 1, 1), r2 = NetworkAwayFromZero(type, m2 + 1, 2);
  CordsArray v = NetworkRandom(type, m + 1, 3), v2 = NetworkRandom(type, m2 + 1, 4), dz = NetworkRandom(type, n, 5);
  CordsArray moved = SystemMoved(type, m, &r, &v), moved2 = SystemMoved(type, m2, &r2, &v2), g, g2, after, before,
             change;
  double left, right, scale;

  if (i == 0) return;
  after = NetworkRandom(type, n, 6);
  before = NetworkRandom(type, n, 7);
  SupportCall(CordsSystemDrive(f->system, i, SYSTEM_ITEMS, CORDS_STATES_ANY, f->input, r.data, r2.data, before.data));
  SupportCall(
      CordsSystemDrive(f->system, i, SYSTEM_ITEMS, CORDS_STATES_ANY, f->input, moved.data, moved2.data, after.data));
  change = SystemDifference(type, n, &after, &before);
  SupportCall(CordsArrayCreate(type, 1, (PetscInt)m + 1, &g));
  SupportCall(CordsArrayCreate(type, 1, (PetscInt)m2 + 1, &g2));
  SupportCall(CordsSystemDriveAdjoint(f->system, i, SYSTEM_ITEMS, r.data, r2.data, dz.data, g.data, g2.data));
  left = NetworkDot(type, n, dz.data, change.data);
  right = NetworkDot(type, m, g.data, v.data) + NetworkDot(type, m2, g2.data, v2.data);
  scale = sqrt(NetworkDot(type, n, dz.data, dz.data) * NetworkDot(type, n, change.data, change.data));
  NetworkClose("drive", left, right, scale, 4 * f->tolerance);
  /* the adjoint adds to what is there */
  SupportCall(CordsSystemDriveAdjoint(f->system, i, SYSTEM_ITEMS, r.data, r2.data, dz.data, g.data, g2.data));
  right = NetworkDot(type, m, g.data, v.data) + NetworkDot(type, m2, g2.data, v2.data);
  NetworkClose("drive, twice", 2 * left, right, scale, 8 * f->tolerance);
  for (size_t k = 0; k < 7; k++) {
    CordsArray *all[] = {&r, &r2, &v, &v2, &dz, &moved, &moved2};
    SupportCall(CordsArrayDestroy(all[k]));
  }
  SupportCall(CordsArrayDestroy(&g));
  SupportCall(CordsArrayDestroy(&g2));
  SupportCall(CordsArrayDestroy(&change));
}

static void TestDrive(void **state)
{
  SystemForAll(CheckDrive);
}

/* Drive, its adjoint and gradients of states of which a third are zero and none is negative. */
typedef struct {
  CordsArray z, g, g2;
  float *gradient;
} Positive;

static Positive RunPositive(SystemFixture *f, PetscInt i, CordsStates states, PetscBool has_image, PetscBool first,
                            const CordsArray r[2], const CordsArray *dz)
{
  float *images = NetworkImages(f->model, SYSTEM_BATCH, 5);
  CordsInput input = has_image ? f->input : NULL;
  Positive p = {.z = NetworkRandom(f->type, (size_t)dz->elements, 6),
                .g = NetworkRandom(f->type, (size_t)r[0].elements, 7),
                .g2 = NetworkRandom(f->type, (size_t)r[1].elements, 8)};

  SupportCall(PetscCalloc1(f->model->value_count, &p.gradient));
  SupportCall(CordsSystemZeroGradient(f->system));
  if (input) SupportCall(CordsInputSet(input, images)); /* which forgets gradients */
  SupportCall(CordsSystemDrive(f->system, i, SYSTEM_ITEMS, states, input, r[0].data, r[1].data, p.z.data));
  SupportCall(CordsSystemDriveBackward(f->system, i, SYSTEM_ITEMS, states, input, r[0].data, r[1].data, dz->data,
                                       p.g.data, p.g2.data, first));
  if (input) SupportCall(CordsInputGradient(input));
  SupportCall(CordsSystemAddGradient(f->system, p.gradient));
  SupportCall(PetscFree(images));
  return p;
}

static void CheckStates(const char *what, CordsType type, const CordsArray *r, const CordsArray *a, const CordsArray *b,
                        double tolerance)
{
  for (size_t k = 0; k < (size_t)a->elements; k++) {
    if (!r || NetworkGet(type, r->data, k) > 0) /* nothing comes of the others */
      NetworkClose(what, NetworkGet(type, a->data, k), NetworkGet(type, b->data, k), 1, tolerance);
  }
}

static void ComparePositive(SystemFixture *f, PetscInt i, PetscBool has_image, PetscBool first, const CordsArray r[2],
                            const CordsArray *dz)
{
  Positive any = RunPositive(f, i, CORDS_STATES_ANY, has_image, first, r, dz);
  Positive positive = RunPositive(f, i, CORDS_STATES_POSITIVE, has_image, first, r, dz);
  CordsArray *all[] = {&any.z, &any.g, &any.g2, &positive.z, &positive.g, &positive.g2};

  CheckStates("drive", f->type, NULL, &positive.z, &any.z, f->tolerance);
  CheckStates("gradient below", f->type, &r[0], &positive.g, &any.g, f->tolerance);
  if (i >= 2) CheckStates("gradient two below", f->type, &r[1], &positive.g2, &any.g2, f->tolerance);
  for (PetscInt k = 0; k < f->model->value_count; k++)
    NetworkClose("gradient", (double)positive.gradient[k], (double)any.gradient[k], 1, 1e-6);
  for (size_t k = 0; k < PETSC_STATIC_ARRAY_LENGTH(all); k++) SupportCall(CordsArrayDestroy(all[k]));
  SupportCall(PetscFree(any.gradient));
  SupportCall(PetscFree(positive.gradient));
}

static void CheckPositive(SystemFixture *f, PetscInt i)
{
  const size_t n = (size_t)SYSTEM_ITEMS * CordsSystemNeurons(f->system, i);
  CordsArray r[2], dz = NetworkRandom(f->type, n, 5);

  if (i >= 1) {
    r[0] = SystemNoneNegative(f->type, (size_t)SYSTEM_ITEMS * CordsSystemNeurons(f->system, i - 1), 1);
    r[1] = SystemNoneNegative(f->type, i >= 2 ? (size_t)SYSTEM_ITEMS * CordsSystemNeurons(f->system, i - 2) : 1, 2);
    for (int k = 0; k < 4; k++) ComparePositive(f, i, (PetscBool)(k < 2), (PetscBool)(k % 2), r, &dz);
    SupportCall(CordsArrayDestroy(&r[0]));
    SupportCall(CordsArrayDestroy(&r[1]));
  }
  SupportCall(CordsArrayDestroy(&dz));
}

static void TestPositive(void **state)
{
  SystemForAll(CheckPositive);
}

/* n items use image k mod batch: the drive of many items is that of each alone. */
static void CheckItems(SystemFixture *f, PetscInt i)
{
  PetscInt n = CordsSystemNeurons(f->system, i), m = i >= 1 ? CordsSystemNeurons(f->system, i - 1) : 0;
  PetscInt m2 = i >= 2 ? CordsSystemNeurons(f->system, i - 2) : 0, pixels = NetworkImageSize(f->model);
  CordsArray r = NetworkRandom(f->type, (size_t)(SYSTEM_ITEMS * m + 1), 1);
  CordsArray r2 = NetworkRandom(f->type, (size_t)(SYSTEM_ITEMS * m2 + 1), 2),
             z = NetworkRandom(f->type, (size_t)(SYSTEM_ITEMS * n), 3);
  CordsArray one = NetworkRandom(f->type, (size_t)n, 4);
  size_t size = CordsTypeSize(f->type);
  float *images = NetworkImages(f->model, SYSTEM_BATCH, 5);
  CordsInput input;

  SupportCall(CordsInputCreate(f->system, 1, &input));
  SupportCall(CordsSystemDrive(f->system, i, SYSTEM_ITEMS, CORDS_STATES_ANY, f->input, r.data, r2.data, z.data));
  for (PetscInt k = 0; k < SYSTEM_ITEMS; k++) {
    SupportCall(CordsInputSet(input, images + (k % SYSTEM_BATCH) * pixels));
    SupportCall(CordsSystemDrive(f->system, i, 1, CORDS_STATES_ANY, input, (char *)r.data + (size_t)(k * m) * size,
                                 (char *)r2.data + (size_t)(k * m2) * size, one.data));
    for (PetscInt j = 0; j < n; j++) {
      NetworkClose("drive of an item", NetworkGet(f->type, z.data, (size_t)(k * n + j)),
                   NetworkGet(f->type, one.data, (size_t)j), 10, f->tolerance);
    }
  }
  SupportCall(CordsInputDestroy(&input));
  SupportCall(PetscFree(images));
  for (int k = 0; k < 4; k++) {
    CordsArray *all[] = {&r, &r2, &z, &one};
    SupportCall(CordsArrayDestroy(all[k]));
  }
}

static void TestItems(void **state)
{
  SystemForAll(CheckItems);
}

static const struct CMUnitTest tests[] = {cmocka_unit_test(TestDrive), cmocka_unit_test(TestPositive),
                                          cmocka_unit_test(TestItems)};
SUPPORT_MAIN(tests)
