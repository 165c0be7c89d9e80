/* The equation in parts: adjoints of synapses, features and logits; what is known of states; the right-hand side. */
#include "model/system.h"
#include "support/systems.h"

static void CheckSynapses(SystemFixture *f, PetscInt i)
{
  size_t n = (size_t)SYSTEM_ITEMS * CordsSystemNeurons(f->system, i);
  CordsArray r = NetworkRandom(f->type, n, 1), w = NetworkRandom(f->type, n, 2), u, v;
  double left, right;

  SupportCall(CordsArrayCreate(f->type, 1, (PetscInt)n, &u));
  SupportCall(CordsArrayCreate(f->type, 1, (PetscInt)n, &v));
  SupportCall(CordsSystemSynapses(f->system, i, SYSTEM_ITEMS, r.data, u.data));
  SupportCall(CordsSystemSynapsesAdjoint(f->system, i, SYSTEM_ITEMS, w.data, v.data));
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
  SystemForAll(CheckSynapses);
}

/* Features are linear while no sign changes; only the last two areas are read out. */
static void CheckFeatures(SystemFixture *f, PetscInt i)
{
  const CordsArchitecture *a = &f->model->architecture;
  PetscInt last = a->area_count - 1, channels = a->areas[last].channels;
  size_t n = (size_t)SYSTEM_ITEMS * CordsSystemNeurons(f->system, last), m = (size_t)SYSTEM_ITEMS * channels;
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
  moved = SystemMoved(f->type, n, &r[last - i], &v);
  SupportCall(CordsSystemFeatures(f->system, SYSTEM_ITEMS, r[0].data, r[1].data, before.data));
  SupportCall(CordsSystemFeatures(f->system, SYSTEM_ITEMS, i == last ? moved.data : r[0].data,
                                  i == last ? r[1].data : moved.data, after.data));
  change = SystemDifference(f->type, m, &after, &before);
  SupportCall(CordsSystemFeaturesAdjoint(f->system, i, SYSTEM_ITEMS, r[last - i].data, d.data, g.data));
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
  SystemForAll(CheckFeatures);
}

static void CheckLogits(SystemFixture *f, PetscInt i)
{
  size_t n = (size_t)SYSTEM_ITEMS * f->model->architecture.areas[f->model->architecture.area_count - 1].channels;
  size_t m = (size_t)SYSTEM_ITEMS * NETWORK_CLASSES;
  CordsArray x, v, moved, before, after, change, d, g;

  if (i > 0) return;
  x = NetworkAwayFromZero(f->type, n, 1);
  v = NetworkRandom(f->type, n, 2);
  d = NetworkRandom(f->type, m, 3);
  g = NetworkRandom(f->type, n, 4); /* to be overwritten */
  before = NetworkRandom(f->type, m, 5);
  after = NetworkRandom(f->type, m, 6);
  moved = SystemMoved(f->type, n, &x, &v);
  SupportCall(CordsSystemLogits(f->system, SYSTEM_ITEMS, x.data, before.data));
  SupportCall(CordsSystemLogits(f->system, SYSTEM_ITEMS, moved.data, after.data));
  change = SystemDifference(f->type, m, &after, &before);
  SupportCall(CordsSystemLogitsBackward(f->system, SYSTEM_ITEMS, x.data, d.data, g.data));
  NetworkClose("logits", NetworkDot(f->type, m, change.data, d.data), NetworkDot(f->type, n, g.data, v.data),
               sqrt(NetworkDot(f->type, m, d.data, d.data) * (double)m), 4 * f->tolerance);
  for (int k = 0; k < 6; k++) {
    CordsArray *all[] = {&x, &v, &d, &g, &moved, &change};
    SupportCall(CordsArrayDestroy(all[k]));
  }
}

static void TestLogits(void **state)
{
  SystemForAll(CheckLogits);
}

/* Only of relu, and from states that are not negative. */
static void CheckStatesFrom(SystemFixture *f, PetscInt i)
{
  CordsArray r =
      SystemNoneNegative(f->type, (size_t)SYSTEM_ITEMS * CordsArchitectureNeurons(&f->model->architecture), 1);
  const size_t last = (size_t)r.elements - 1;

  if (i == 0) {
    assert_int_equal(CordsSystemStatesFrom(f->system, SYSTEM_ITEMS, r.data), CORDS_STATES_POSITIVE);
    SupportCall(CordsSystemSetPhi(f->system, CORDS_PHI_IDENTITY, 0));
    assert_int_equal(CordsSystemStatesFrom(f->system, SYSTEM_ITEMS, r.data), CORDS_STATES_ANY);
    SupportCall(CordsSystemSetPhi(f->system, CORDS_PHI_RELU, 0));
    NetworkSet(f->type, r.data, last, -1e-6);
    assert_int_equal(CordsSystemStatesFrom(f->system, SYSTEM_ITEMS, r.data), CORDS_STATES_ANY);
    NetworkSet(f->type, r.data, last, NAN);
    assert_int_equal(CordsSystemStatesFrom(f->system, SYSTEM_ITEMS, r.data), CORDS_STATES_ANY);
  }
  SupportCall(CordsArrayDestroy(&r));
}

static void TestStatesFrom(void **state)
{
  SystemForAll(CheckStatesFrom);
}

/* Without input is the image of zeros, for the whole right-hand side. */
static void CheckNoInput(SystemFixture *f, PetscInt i)
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
  SystemForAll(CheckNoInput);
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
  SystemFixture f;
  const CordsArchitecture *a;
  const CordsAreaShape *s;
  PetscInt n;
  CordsArray r, rhs;
  double below[200], *x, *expected;
  char name[32];

  SystemStart(&f, NETWORK_BARE, CORDS_F64);
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
  SystemEnd(&f);
}

static const struct CMUnitTest tests[] = {cmocka_unit_test(TestSynapses), cmocka_unit_test(TestFeatures),
                                          cmocka_unit_test(TestLogits),   cmocka_unit_test(TestNoInput),
                                          cmocka_unit_test(TestNaive),    cmocka_unit_test(TestStatesFrom)};
SUPPORT_MAIN(tests)
