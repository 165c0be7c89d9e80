/* The equation in parts: adjoints of drive, synapses, features and logits; items and images; φ. */
#include "model/system.h"
#include "support/networks.h"

enum { ITEMS = 4, BATCH = 2 };

typedef struct {
  CordsModel model;
  CordsSystem system;
  CordsInput input;
  CordsType type;
  double tolerance; /* of adjoint identities, relative to |a| |b| */
} Fixture;

static void Start(Fixture *f, const char *body, CordsType type)
{
  float *images;

  f->type = type;
  f->tolerance = type == CORDS_F64 ? 1e-13 : 1e-6;
  f->model = NetworkModel(body, "relu", CORDS_FORM_RECURRENT);
  SupportCall(CordsSystemCreate(f->model, type, &f->system));
  SupportCall(CordsInputCreate(f->system, BATCH, &f->input));
  images = NetworkImages(f->model, BATCH, 5);
  SupportCall(CordsInputSet(f->input, images));
  SupportCall(PetscFree(images));
  assert_int_equal(CordsInputBatch(f->input), BATCH);
}

static void End(Fixture *f)
{
  SupportCall(CordsInputDestroy(&f->input));
  SupportCall(CordsSystemDestroy(&f->system));
  SupportCall(CordsModelDestroy(&f->model));
}

static void ForAll(void (*check)(Fixture *f, PetscInt area))
{
  for (int k = 0; k < NETWORK_COUNT; k++) {
    for (int type = CORDS_F32; type <= CORDS_F64; type++) {
      Fixture f;
      Start(&f, network_texts[k], (CordsType)type);
      for (PetscInt i = 0; i < f.model->architecture.area_count; i++) check(&f, i);
      End(&f);
    }
  }
}

/* x + v/4 in a new array: no sign of x changes. */
static CordsArray Moved(CordsType type, size_t n, const CordsArray *x, const CordsArray *v)
{
  CordsArray moved = NetworkRandom(type, n, 0);

  for (size_t k = 0; k < n; k++) {
    NetworkSet(type, moved.data, k, NetworkGet(type, x->data, k) + NetworkGet(type, v->data, k) / 4);
  }
  return moved;
}

static CordsArray Difference(CordsType type, size_t n, CordsArray *after, CordsArray *before)
{
  CordsArray d = NetworkRandom(type, n, 0);

  for (size_t k = 0; k < n; k++) {
    NetworkSet(type, d.data, k, 4 * (NetworkGet(type, after->data, k) - NetworkGet(type, before->data, k)));
  }
  SupportCall(CordsArrayDestroy(after));
  SupportCall(CordsArrayDestroy(before));
  return d;
}

/* ⟨dz, z(r + v) − z(r)⟩ = ⟨g, v⟩ + ⟨g2, v2⟩, relu being linear between the two. */
static void CheckDrive(Fixture *f, PetscInt i)
{
  CordsType type = f->type;
  size_t n = (size_t)ITEMS * CordsSystemNeurons(f->system, i);
  size_t m = i >= 1 ? (size_t)ITEMS * CordsSystemNeurons(f->system, i - 1) : 0;
  size_t m2 = i >= 2 ? (size_t)ITEMS * CordsSystemNeurons(f->system, i - 2) : 0;
  CordsArray r = NetworkAwayFromZero(type, m + 1, 1), r2 = NetworkAwayFromZero(type, m2 + 1, 2);
  CordsArray v = NetworkRandom(type, m + 1, 3), v2 = NetworkRandom(type, m2 + 1, 4), dz = NetworkRandom(type, n, 5);
  CordsArray moved = Moved(type, m, &r, &v), moved2 = Moved(type, m2, &r2, &v2), g, g2, after, before, change;
  double left, right, scale;

  if (i == 0) return;
  after = NetworkRandom(type, n, 6);
  before = NetworkRandom(type, n, 7);
  SupportCall(CordsSystemDrive(f->system, i, ITEMS, f->input, r.data, r2.data, before.data));
  SupportCall(CordsSystemDrive(f->system, i, ITEMS, f->input, moved.data, moved2.data, after.data));
  change = Difference(type, n, &after, &before);
  SupportCall(CordsArrayCreate(type, 1, (PetscInt)m + 1, &g));
  SupportCall(CordsArrayCreate(type, 1, (PetscInt)m2 + 1, &g2));
  SupportCall(CordsSystemDriveAdjoint(f->system, i, ITEMS, r.data, r2.data, dz.data, g.data, g2.data));
  left = NetworkDot(type, n, dz.data, change.data);
  right = NetworkDot(type, m, g.data, v.data) + NetworkDot(type, m2, g2.data, v2.data);
  scale = sqrt(NetworkDot(type, n, dz.data, dz.data) * NetworkDot(type, n, change.data, change.data));
  NetworkClose("drive", left, right, scale, 4 * f->tolerance);
  /* the adjoint adds to what is there */
  SupportCall(CordsSystemDriveAdjoint(f->system, i, ITEMS, r.data, r2.data, dz.data, g.data, g2.data));
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
  ForAll(CheckDrive);
}

static void CheckSynapses(Fixture *f, PetscInt i)
{
  size_t n = (size_t)ITEMS * CordsSystemNeurons(f->system, i);
  CordsArray r = NetworkRandom(f->type, n, 1), w = NetworkRandom(f->type, n, 2), u, v;
  double left, right;

  SupportCall(CordsArrayCreate(f->type, 1, (PetscInt)n, &u));
  SupportCall(CordsArrayCreate(f->type, 1, (PetscInt)n, &v));
  SupportCall(CordsSystemSynapses(f->system, i, ITEMS, r.data, u.data));
  SupportCall(CordsSystemSynapsesAdjoint(f->system, i, ITEMS, w.data, v.data));
  left = NetworkDot(f->type, n, u.data, w.data);
  right = NetworkDot(f->type, n, r.data, v.data);
  NetworkClose("synapses", left, right,
               sqrt(NetworkDot(f->type, n, u.data, u.data) * NetworkDot(f->type, n, w.data, w.data)), f->tolerance);
  for (int k = 0; k < 4; k++) {
    CordsArray *all[] = {&r, &w, &u, &v};
    SupportCall(CordsArrayDestroy(all[k]));
  }
}

static void TestSynapses(void **state)
{
  ForAll(CheckSynapses);
}

/* Features are linear while no sign changes; only the last two areas are read out. */
static void CheckFeatures(Fixture *f, PetscInt i)
{
  const CordsArchitecture *a = &f->model->architecture;
  PetscInt last = a->area_count - 1, channels = a->areas[last].channels;
  size_t n = (size_t)ITEMS * CordsSystemNeurons(f->system, last), m = (size_t)ITEMS * channels;
  CordsArray r[2], v, moved, before, after, change, d, g;
  double left, right;

  if (i < last - 1) return;
  r[0] = NetworkAwayFromZero(f->type, n, 1);
  r[1] = NetworkAwayFromZero(f->type, n, 2);
  v = NetworkRandom(f->type, n, 3);
  d = NetworkRandom(f->type, m, 4);
  before = NetworkRandom(f->type, m, 5);
  after = NetworkRandom(f->type, m, 6);
  SupportCall(CordsArrayCreate(f->type, 1, (PetscInt)n, &g));
  moved = Moved(f->type, n, &r[last - i], &v);
  SupportCall(CordsSystemFeatures(f->system, ITEMS, r[0].data, r[1].data, before.data));
  SupportCall(CordsSystemFeatures(f->system, ITEMS, i == last ? moved.data : r[0].data,
                                  i == last ? r[1].data : moved.data, after.data));
  change = Difference(f->type, m, &after, &before);
  SupportCall(CordsSystemFeaturesAdjoint(f->system, i, ITEMS, r[last - i].data, d.data, g.data));
  left = NetworkDot(f->type, m, change.data, d.data);
  right = NetworkDot(f->type, n, g.data, v.data);
  NetworkClose("features", left, right, sqrt(NetworkDot(f->type, m, d.data, d.data) * (double)m), 4 * f->tolerance);
  for (int k = 0; k < 7; k++) {
    CordsArray *all[] = {&r[0], &r[1], &v, &d, &g, &moved, &change};
    SupportCall(CordsArrayDestroy(all[k]));
  }
}

static void TestFeatures(void **state)
{
  ForAll(CheckFeatures);
}

static void CheckLogits(Fixture *f, PetscInt i)
{
  size_t n = (size_t)ITEMS * f->model->architecture.areas[f->model->architecture.area_count - 1].channels;
  size_t m = (size_t)ITEMS * NETWORK_CLASSES;
  CordsArray x, v, moved, before, after, change, d, g;

  if (i > 0) return;
  x = NetworkAwayFromZero(f->type, n, 1);
  v = NetworkRandom(f->type, n, 2);
  d = NetworkRandom(f->type, m, 3);
  g = NetworkRandom(f->type, n, 4); /* to be overwritten */
  before = NetworkRandom(f->type, m, 5);
  after = NetworkRandom(f->type, m, 6);
  moved = Moved(f->type, n, &x, &v);
  SupportCall(CordsSystemLogits(f->system, ITEMS, x.data, before.data));
  SupportCall(CordsSystemLogits(f->system, ITEMS, moved.data, after.data));
  change = Difference(f->type, m, &after, &before);
  SupportCall(CordsSystemLogitsBackward(f->system, ITEMS, x.data, d.data, g.data));
  NetworkClose("logits", NetworkDot(f->type, m, change.data, d.data), NetworkDot(f->type, n, g.data, v.data),
               sqrt(NetworkDot(f->type, m, d.data, d.data) * (double)m), 4 * f->tolerance);
  for (int k = 0; k < 6; k++) {
    CordsArray *all[] = {&x, &v, &d, &g, &moved, &change};
    SupportCall(CordsArrayDestroy(all[k]));
  }
}

static void TestLogits(void **state)
{
  ForAll(CheckLogits);
}

/* n items use image k mod batch: the drive of many items is that of each alone. */
static void CheckItems(Fixture *f, PetscInt i)
{
  PetscInt n = CordsSystemNeurons(f->system, i), m = i >= 1 ? CordsSystemNeurons(f->system, i - 1) : 0;
  PetscInt m2 = i >= 2 ? CordsSystemNeurons(f->system, i - 2) : 0, pixels = NetworkImageSize(f->model);
  CordsArray r = NetworkRandom(f->type, (size_t)(ITEMS * m + 1), 1);
  CordsArray r2 = NetworkRandom(f->type, (size_t)(ITEMS * m2 + 1), 2),
             z = NetworkRandom(f->type, (size_t)(ITEMS * n), 3);
  CordsArray one = NetworkRandom(f->type, (size_t)n, 4);
  size_t size = CordsTypeSize(f->type);
  float *images = NetworkImages(f->model, BATCH, 5);
  CordsInput input;

  SupportCall(CordsInputCreate(f->system, 1, &input));
  SupportCall(CordsSystemDrive(f->system, i, ITEMS, f->input, r.data, r2.data, z.data));
  for (PetscInt k = 0; k < ITEMS; k++) {
    SupportCall(CordsInputSet(input, images + (k % BATCH) * pixels));
    SupportCall(CordsSystemDrive(f->system, i, 1, input, (char *)r.data + (size_t)(k * m) * size,
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
  ForAll(CheckItems);
}

/* Without input is the image of zeros, for the whole right-hand side. */
static void CheckNoInput(Fixture *f, PetscInt i)
{
  PetscInt n = CordsArchitectureNeurons(&f->model->architecture);
  CordsArray r = NetworkRandom(f->type, (size_t)n, 1), a = NetworkRandom(f->type, (size_t)n, 2);
  CordsArray b = NetworkRandom(f->type, (size_t)n, 3);
  float *image;
  CordsInput input;

  if (i > 0) return;
  SupportCall(PetscCalloc1(NetworkImageSize(f->model), &image));
  SupportCall(CordsInputCreate(f->system, 1, &input));
  SupportCall(CordsInputSet(input, image));
  SupportCall(CordsSystemRhs(f->system, input, r.data, a.data));
  SupportCall(CordsSystemRhs(f->system, NULL, r.data, b.data));
  for (PetscInt k = 0; k < n; k++) {
    NetworkClose("zero image", NetworkGet(f->type, a.data, (size_t)k), NetworkGet(f->type, b.data, (size_t)k), 10,
                 f->tolerance);
  }
  SupportCall(CordsInputDestroy(&input));
  SupportCall(PetscFree(image));
  for (int k = 0; k < 3; k++) {
    CordsArray *all[] = {&r, &a, &b};
    SupportCall(CordsArrayDestroy(all[k]));
  }
}

static void TestNoInput(void **state)
{
  ForAll(CheckNoInput);
}

/* The right-hand side against sums written out here, pixel by pixel, with parameters in PyTorch's order. */
static double Weight(CordsModel model, PetscInt connection, PetscInt o, PetscInt c, PetscInt row, PetscInt column)
{
  const CordsConvShape *s = &model->architecture.connections[connection].shape;
  CordsTensor *g = &model->tensors[CordsModelConnectionTensor(model, connection)], *v = g + 1;
  PetscInt count = s->in_channels * s->kernel_rows * s->kernel_columns;
  double norm = 0;

  for (PetscInt k = 0; k < count; k++) norm += pow((double)v->data[o * count + k], 2);
  return (double)g->data[o] / sqrt(norm) *
         (double)v->data[((o * s->in_channels + c) * s->kernel_rows + row) * s->kernel_columns + column];
}

static double Naive(CordsModel model, PetscInt connection, const double *x, PetscInt i, PetscInt j, PetscInt o)
{
  const CordsConvShape *s = &model->architecture.connections[connection].shape;
  double sum = 0;

  for (PetscInt a = 0; a < s->kernel_rows; a++) {
    for (PetscInt b = 0; b < s->kernel_columns; b++) {
      PetscInt row = i * s->stride + a - s->kernel_rows / 2, column = j * s->stride + b - s->kernel_columns / 2;
      if (row < 0 || row >= s->in_rows || column < 0 || column >= s->in_columns) continue;
      for (PetscInt c = 0; c < s->in_channels; c++) {
        sum += Weight(model, connection, o, c, a, b) * x[(row * s->in_columns + column) * s->in_channels + c];
      }
    }
  }
  return sum;
}

static void TestNaive(void **state)
{
  Fixture f;
  const CordsArchitecture *a;
  const CordsAreaShape *s;
  PetscInt n;
  CordsArray r, rhs;
  double below[200], *x, *expected;
  char name[32];

  Start(&f, NETWORK_BARE, CORDS_F64);
  a = &f.model->architecture;
  n = CordsArchitectureNeurons(a);
  r = NetworkRandom(CORDS_F64, (size_t)n, 1);
  rhs = NetworkRandom(CORDS_F64, (size_t)n, 2);
  SupportCall(CordsSystemRhs(f.system, NULL, r.data, rhs.data));
  /* area 3: relu of area 2 and a skip convolution of relu of area 1 */
  s = &a->areas[3];
  snprintf(name, sizeof name, "conv_bias.3");
  x = (double *)r.data + CordsSystemOffset(f.system, 1);
  for (PetscInt k = 0; k < CordsSystemNeurons(f.system, 1); k++) x[k] = fmax(x[k], 0);
  for (PetscInt i = 0; i < a->areas[2].rows; i++) {
    for (PetscInt j = 0; j < a->areas[2].columns; j++) {
      for (PetscInt c = 0; c < a->areas[2].channels; c++) {
        PetscInt at = (i * a->areas[2].columns + j) * a->areas[2].channels + c;
        below[at] =
            fmax(((double *)r.data)[CordsSystemOffset(f.system, 2) + at], 0) + Naive(f.model, a->skip[3], x, i, j, c);
      }
    }
  }
  x = (double *)r.data + CordsSystemOffset(f.system, 3);
  expected = calloc((size_t)CordsSystemNeurons(f.system, 3), sizeof *expected);
  for (PetscInt i = 0; i < s->rows; i++) {
    for (PetscInt j = 0; j < s->columns; j++) {
      for (PetscInt c = 0; c < s->channels; c++) {
        PetscInt at = (i * s->columns + j) * s->channels + c;
        double u = Naive(f.model, a->recurrent[3], x, i, j, c) + Naive(f.model, a->feedforward[3], below, i, j, c) +
                   (double)CordsModelValues(f.model, name)[(c * s->rows + i) * s->columns + j];
        expected[at] = -x[at] + fmax(u, 0);
      }
    }
  }
  SupportCompareF64("right-hand side of area 3", CordsSystemNeurons(f.system, 3),
                    (double *)rhs.data + CordsSystemOffset(f.system, 3), expected, 1e-13);
  free(expected);
  SupportCall(CordsArrayDestroy(&r));
  SupportCall(CordsArrayDestroy(&rhs));
  End(&f);
}

static const struct CMUnitTest tests[] = {cmocka_unit_test(TestDrive),    cmocka_unit_test(TestSynapses),
                                          cmocka_unit_test(TestFeatures), cmocka_unit_test(TestLogits),
                                          cmocka_unit_test(TestItems),    cmocka_unit_test(TestNoInput),
                                          cmocka_unit_test(TestNaive)};
SUPPORT_MAIN(tests)
