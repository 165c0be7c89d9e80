/* Every line of conv/backends.def against the reference backend in every number type it knows: forward with start
   values, both ways back, the Euler step and its adjoint; and the adjoint identities of each: ⟨y, W x⟩ = ⟨Wᵀ y, x⟩ =
   ⟨∂/∂W, W⟩; and the same numbers bit by bit where images arrive while they are worked on. */
#include "support/support.h"

#include "conv/conv.h"
#include "conv/pointwise.h"

#include <math.h>
#include <omp.h>
#include <stdio.h>

enum { THREADS = 2 }; /* cases take turns: one thread, two */

typedef struct {
  PetscInt rows, columns, in, out, kernel, stride, images;
} Case;

static const Case cases[] = {
    {9, 7, 3, 5, 3, 1, 2},      {8, 11, 4, 6, 3, 2, 3},    {14, 14, 16, 32, 3, 2, 4},  {28, 28, 1, 16, 5, 1, 2},
    {15, 9, 2, 3, 7, 2, 1},     {6, 6, 8, 16, 1, 2, 2},    {1, 1, 20, 10, 1, 1, 5},    {14, 14, 32, 32, 3, 1, 3},
    {7, 5, 130, 74, 3, 1, 3},   {7, 7, 288, 160, 3, 1, 2}, {13, 16, 10, 112, 3, 1, 1}, {28, 27, 64, 128, 3, 1, 3},
    {1, 5, 16, 48, 3, 1, 3},    {13, 11, 32, 64, 3, 2, 3}, {12, 10, 96, 32, 1, 2, 2},  {15, 9, 32, 32, 7, 2, 1},
    {52, 50, 160, 32, 1, 1, 2}, {28, 28, 32, 32, 3, 1, 9}, {30, 27, 64, 96, 3, 2, 5}};
/* in and out of the same shape: recurrent convolutions */
static const Case recurrent[] = {{9, 7, 5, 5, 3, 1, 2},   {14, 14, 32, 32, 3, 1, 3}, {7, 7, 24, 24, 5, 1, 1},
                                 {5, 6, 80, 80, 3, 1, 2}, {7, 7, 272, 272, 3, 1, 1}, {20, 23, 128, 128, 3, 1, 3}};
static const CordsConvLaw laws[] = {{0.8, 0.2, 0}, {0.7, 0.3, 0.25}, {0.9, 0.1, 1}};

static CordsType Master(CordsType type)
{
  return CordsTypeMaster(type);
}

/* Winograd's backend stores transformed images and weights in the type of images: a product of bf16 is not exact. */
static CordsType Working(const char *backend, CordsType type)
{
  return !strcmp(backend, "winograd") ? type : Master(type);
}

/* Random numbers of a type. */
static CordsArray Random(CordsType type, size_t n, uint64_t stream)
{
  CordsArray a, exact;

  SupportCall(CordsArrayCreate(type, 1, (PetscInt)n, &a));
  SupportCall(CordsArrayCreate(CORDS_F64, 1, (PetscInt)n, &exact));
  SupportFillF64(stream, (PetscInt64)n, exact.data);
  CordsConvert(CORDS_F64, type, n, exact.data, a.data);
  SupportCall(CordsArrayDestroy(&exact));
  return a;
}

static CordsArray Wide(const CordsArray *a)
{
  size_t n = (size_t)a->items * (size_t)a->elements;
  CordsArray wide;

  SupportCall(CordsArrayCreate(CORDS_F64, 1, (PetscInt)n, &wide));
  CordsConvert(a->type, CORDS_F64, n, a->data, wide.data);
  return wide;
}

static double Dot(const CordsArray *a, const CordsArray *b)
{
  CordsArray wide_a = Wide(a), wide_b = Wide(b);
  double sum = 0;

  for (PetscInt k = 0; k < wide_a.elements; k++) sum += ((double *)wide_a.data)[k] * ((double *)wide_b.data)[k];
  SupportCall(CordsArrayDestroy(&wide_a));
  SupportCall(CordsArrayDestroy(&wide_b));
  return sum;
}

/* Results of sums of many products in `working` precision, stored in their own. */
static void Compare(const char *what, CordsType working, CordsArray a[2])
{
  double tolerance = working == CORDS_F64 ? 1e-13 : 3e-6;
  CordsArray wide[2] = {Wide(&a[0]), Wide(&a[1])};

  if (a[0].type == CORDS_BF16 || working == CORDS_BF16) tolerance = 8e-3;
  SupportCompareF64(what, wide[0].elements, wide[0].data, wide[1].data, tolerance);
  for (int k = 0; k < 2; k++) {
    SupportCall(CordsArrayDestroy(&wide[k]));
    SupportCall(CordsArrayDestroy(&a[k]));
  }
}

/* [row][column][in][out] as [out][in][row][column] */
static void Transpose(const CordsConvShape *s, CordsArray *dw)
{
  size_t size = CordsTypeSize(dw->type), taps = (size_t)s->kernel_rows * s->kernel_columns, in = s->in_channels;
  CordsArray other;

  SupportCall(CordsArrayCreate(dw->type, 1, dw->elements, &other));
  for (size_t tap = 0; tap < taps; tap++) {
    for (size_t c = 0; c < in; c++) {
      for (size_t o = 0; o < (size_t)s->out_channels; o++) {
        memcpy((char *)other.data + ((o * in + c) * taps + tap) * size,
               (char *)dw->data + ((tap * in + c) * s->out_channels + o) * size, size);
      }
    }
  }
  SupportCall(CordsArrayDestroy(dw));
  *dw = other;
}

static CordsConv Conv(const CordsConvShape *shape, CordsType type, const char *backend, const CordsArray *w)
{
  CordsConv conv;

  SupportCall(CordsConvCreate(shape, type, backend, &conv));
  SupportCall(CordsConvSetWeights(conv, w->data));
  return conv;
}

static void CheckIdentities(CordsConv conv, CordsType type, PetscInt n, CordsArray *x, CordsArray *dy, CordsArray *w)
{
  double tolerance = type == CORDS_F64 ? 1e-12 : type == CORDS_F32 ? 1e-5 : 8e-3, forward, scale;
  CordsArray y = Random(type, (size_t)dy->elements, 4), dx = Random(type, (size_t)x->elements, 5), dw;

  SupportCall(CordsArrayCreate(Master(type), 1, w->elements, &dw));
  SupportCall(CordsConvForward(conv, n, x->data, y.data, PETSC_FALSE));
  SupportCall(CordsConvBackwardData(conv, n, dy->data, dx.data, PETSC_FALSE));
  SupportCall(CordsConvBackwardWeights(conv, n, x->data, dy->data, dw.data));
  Transpose(CordsConvGetShape(conv), &dw);
  forward = Dot(dy, &y);
  scale = sqrt(Dot(dy, dy) * Dot(&y, &y));
  assert_true(fabs(forward - Dot(&dx, x)) <= tolerance * scale);
  assert_true(fabs(forward - Dot(&dw, w)) <= tolerance * scale);
  SupportCall(CordsArrayDestroy(&y));
  SupportCall(CordsArrayDestroy(&dx));
  SupportCall(CordsArrayDestroy(&dw));
}

static void CheckCase(const char *backend, CordsType type, const Case *c)
{
  CordsConvShape shape = CordsConvShapeSame(c->rows, c->columns, c->in, c->out, c->kernel, c->stride);
  size_t nx = (size_t)c->images * c->rows * c->columns * c->in, period = 2;
  size_t pixels = (size_t)shape.out_rows * shape.out_columns * c->out, ny = (size_t)c->images * pixels;
  size_t nw = (size_t)c->in * c->out * c->kernel * c->kernel;
  CordsArray x = Random(type, nx, 1), dy = Random(type, ny, 2), w = Random(Master(type), nw, 3);
  CordsArray start = Random(type, period * pixels, 7), y[2], from[2], dx[2], dw[2];
  const char *names[2] = {backend, "reference"};
  char what[96];

  for (int k = 0; k < 2; k++) {
    CordsConv conv = Conv(&shape, type, names[k], &w);
    /* start from the same numbers, so that accumulation is seen too */
    y[k] = Random(type, ny, 4);
    from[k] = Random(type, ny, 8);
    dx[k] = Random(type, nx, 5);
    dw[k] = Random(Master(type), nw, 6);
    SupportCall(CordsConvForward(conv, c->images, x.data, y[k].data, PETSC_TRUE));
    SupportCall(CordsConvForwardFrom(conv, c->images, x.data, start.data, (PetscInt)period, from[k].data));
    SupportCall(CordsConvBackwardData(conv, c->images, dy.data, dx[k].data, PETSC_TRUE));
    SupportCall(CordsConvBackwardWeights(conv, c->images, x.data, dy.data, dw[k].data));
    if (k == 0) CheckIdentities(conv, type, c->images, &x, &dy, &w);
    SupportCall(CordsConvDestroy(&conv));
  }
  snprintf(what, sizeof what, "%s %s %dx%d %d to %d kernel %d stride %d", backend, CordsTypeNames[type], (int)c->rows,
           (int)c->columns, (int)c->in, (int)c->out, (int)c->kernel, (int)c->stride);
  Compare(what, type, y);
  Compare(what, type, from);
  Compare(what, type, dx);
  Compare(what, Working(backend, type), dw);
  SupportCall(CordsArrayDestroy(&x));
  SupportCall(CordsArrayDestroy(&dy));
  SupportCall(CordsArrayDestroy(&w));
  SupportCall(CordsArrayDestroy(&start));
}

/* Mask bits of two backends may differ only where u is zero to round-off; then they must not be compared further. */
static void CompareMasks(CordsType working, size_t words, const uint16_t *a, const uint16_t *b)
{
  size_t different = 0, bits = words * (working == CORDS_BF16 ? 16 : 1);

  for (size_t k = 0; k < words; k++) different += (size_t)__builtin_popcount((unsigned)(a[k] ^ b[k]));
  assert_true(different <= bits / 50);
}

static void CheckStep(const char *backend, CordsType type, const Case *c, const CordsConvLaw *law)
{
  CordsConvShape shape = CordsConvShapeSame(c->rows, c->columns, c->in, c->out, c->kernel, 1);
  size_t item = (size_t)c->rows * c->columns * c->in, n = (size_t)c->images * item;
  size_t words = CordsConvMaskWords(&shape) * (size_t)c->images;
  CordsArray x = Random(type, n, 1), r = Random(Master(type), n, 9), z = Random(type, item, 2), du = Random(type, n, 4);
  CordsArray w = Random(Master(type), (size_t)c->in * c->out * c->kernel * c->kernel, 3),
             g = Random(Master(type), n, 10);
  CordsArray next[2], x_next[2], lambda[2], before[2], masks[2];
  const char *names[2] = {backend, "reference"};
  const PetscBool beside = (PetscBool)(type == CORDS_BF16);

  for (int k = 0; k < 2; k++) {
    CordsConv conv = Conv(&shape, type, names[k], &w);
    next[k] = Random(Master(type), n, 9); /* in place where it may be */
    x_next[k] = Random(type, n, 11);
    before[k] = Random(type, n, 12);
    lambda[k] = Random(Master(type), n, 13); /* `later`, in place */
    SupportCall(CordsArrayCreate(CORDS_BF16, 1, (PetscInt)words, &masks[k]));
    SupportCall(CordsConvStep(conv, c->images, law, x.data, z.data, 1, beside ? next[k].data : x.data, next[k].data,
                              beside ? x_next[k].data : NULL, masks[k].data));
    SupportCall(CordsConvStep(conv, 0, law, NULL, NULL, 1, NULL, NULL, NULL, NULL));
    SupportCall(CordsConvStepAdjoint(conv, 0, law, NULL, NULL, NULL, NULL, NULL, NULL));
    CompareMasks(Working(backend, type), words, masks[k].data, masks[0].data);
    SupportCall(CordsConvStepAdjoint(conv, c->images, law, du.data, g.data, lambda[k].data, masks[0].data,
                                     lambda[k].data, before[k].data));
    SupportCall(CordsConvDestroy(&conv));
  }
  Compare("step", type, next); /* u may have been rounded to the type */
  Compare("rounded step", type, x_next);
  Compare("lambda", type, lambda);
  Compare("du before", type, before);
  for (int k = 0; k < 2; k++) SupportCall(CordsArrayDestroy(&masks[k]));
  SupportCall(CordsArrayDestroy(&x));
  SupportCall(CordsArrayDestroy(&r));
  SupportCall(CordsArrayDestroy(&z));
  SupportCall(CordsArrayDestroy(&du));
  SupportCall(CordsArrayDestroy(&w));
  SupportCall(CordsArrayDestroy(&g));
}

/* Images that arrive: NaN until somebody waits, and then still where a box is to be read instead. */
typedef struct {
  CordsArray late, whole, early; /* `early`: images of the box, which reaches beyond the others by a row */
  CordsBox image, box, unread;
  const void *early_data;
  const CordsArray *result;
  PetscInt images, waits, early_results;
} Arrival;

static void Noise(CordsArray *a)
{
  memset(a->data, 0xFF, (size_t)a->elements * CordsTypeSize(a->type)); /* NaN in every type */
}

static PetscErrorCode Arrive(void *context)
{
  Arrival *a = context;
  CordsArray wide = Wide(a->result);
  const PetscInt pixels = a->images * CordsBoxPixels(&a->image);

  a->waits++;
  for (PetscInt k = 0; k < wide.elements; k++) a->early_results += !isnan(((double *)wide.data)[k]);
  CordsBoxCopyAround(&a->image, &a->unread, a->images,
                     (size_t)(a->whole.elements / pixels) * CordsTypeSize(a->whole.type), &a->image, a->whole.data,
                     &a->image, a->late.data);
  SupportCall(CordsArrayDestroy(&wide));
  return PETSC_SUCCESS;
}

/* Two boxes: from before the first row and the first fifth of columns on, and one that leaves something of the image
   above, below and to the right. */
static void MakeArrival(Arrival *a, int box, CordsType type, PetscInt channels, const CordsConvShape *s)
{
  const PetscInt rows = a->image.row_count, columns = a->image.column_count, reach = CordsConvReach(s);
  PetscInt row_end, column_end;
  CordsBox seen;

  a->box = box == 0 ? (CordsBox){-1, (2 * rows + 2) / 3 + 1, columns / 5, columns - columns / 5}
                    : (CordsBox){rows / 6, rows - rows / 6 - rows / 5, -2, columns - columns / 4 + 2};
  seen = CordsBoxIntersect(&a->box, &a->image);
  row_end = seen.row_start + seen.row_count, column_end = seen.column_start + seen.column_count;
  a->unread.row_start = seen.row_start + (seen.row_start ? reach : 0);
  a->unread.row_count = PetscMax(row_end - (row_end < rows ? reach : 0) - a->unread.row_start, 0);
  a->unread.column_start = seen.column_start + (seen.column_start ? reach : 0);
  a->unread.column_count = PetscMax(column_end - (column_end < columns ? reach : 0) - a->unread.column_start, 0);
  if (CordsBoxPixels(&a->unread) == 0) a->unread = (CordsBox){0};
  a->whole = Random(type, (size_t)a->images * rows * columns * channels, 1);
  SupportCall(CordsArrayCreate(type, 1, a->whole.elements, &a->late));
  SupportCall(CordsArrayCreate(type, 1, a->images * CordsBoxPixels(&a->box) * channels, &a->early));
  Noise(&a->late);
  Noise(&a->early);
  CordsBoxCopy(&seen, a->images, (size_t)channels * CordsTypeSize(type), &a->image, a->whole.data, &a->box,
               a->early.data);
  a->early_data = a->early.data;
}

static void CheckDirection(const char *backend, CordsConv conv, PetscBool adjoint, int box, PetscInt n, CordsType type)
{
  const CordsConvShape *s = CordsConvGetShape(conv);
  const CordsConvOperation operation = adjoint ? CORDS_CONV_BACKWARD_DATA : CORDS_CONV_FORWARD;
  const PetscInt in = s->in_rows * s->in_columns * s->in_channels;
  const PetscInt out = s->out_rows * s->out_columns * s->out_channels;
  const PetscBool divides =
      (PetscBool)(!strcmp(backend, "direct") || !strncmp(backend, "winograd", 8) || !strcmp(backend, "amx"));
  CordsArray y[2];
  Arrival a = {.image = {0, adjoint ? s->out_rows : s->in_rows, 0, adjoint ? s->out_columns : s->in_columns},
               .result = &y[1],
               .images = n};
  CordsConvArrival arrival = {.early = &a.early_data, .wait = Arrive, .context = &a};

  MakeArrival(&a, box, type, adjoint ? s->out_channels : s->in_channels, s);
  arrival.box = a.box;
  for (int k = 0; k < 2; k++) {
    const void *x = k ? a.late.data : a.whole.data;
    SupportCall(CordsArrayCreate(type, 1, n * (adjoint ? in : out), &y[k]));
    Noise(&y[k]);
    if (k == 1) {
      SupportCall(CordsConvSetArrival(conv, adjoint, &arrival));
      assert_int_equal(CordsConvReadsEarly(conv, operation, n), divides);
      if (!divides) a.unread = (CordsBox){0};
    }
    if (adjoint)
      SupportCall(CordsConvBackwardData(conv, n, x, y[k].data, PETSC_FALSE));
    else
      SupportCall(CordsConvForward(conv, n, x, y[k].data, PETSC_FALSE));
  }
  assert_int_equal(a.waits, 1);
  if (divides && box == 0 && s->kernel_rows < a.image.row_count) assert_true(a.early_results > 0);
  assert_memory_equal(y[0].data, y[1].data, (size_t)y[0].elements * CordsTypeSize(type));
  SupportCall(CordsArrayDestroy(&a.whole));
  SupportCall(CordsArrayDestroy(&a.late));
  SupportCall(CordsArrayDestroy(&a.early));
  for (int k = 0; k < 2; k++) SupportCall(CordsArrayDestroy(&y[k]));
}

static void CheckArrival(const char *backend, CordsType type, const Case *c)
{
  CordsConvShape shape = CordsConvShapeSame(c->rows, c->columns, c->in, c->out, c->kernel, c->stride);
  CordsArray w = Random(Master(type), (size_t)c->in * c->out * c->kernel * c->kernel, 3);

  for (int box = 0; box < 2; box++) {
    CordsConv conv = Conv(&shape, type, backend, &w);
    CheckDirection(backend, conv, PETSC_FALSE, box, c->images, type);
    CheckDirection(backend, conv, PETSC_TRUE, box, c->images, type);
    SupportCall(CordsConvDestroy(&conv));
  }
  SupportCall(CordsArrayDestroy(&w));
}

typedef void (*Check)(const char *backend, CordsType type, const Case *c);

static void CheckSteps(const char *backend, CordsType type, const Case *c)
{
  for (size_t k = 0; k < PETSC_STATIC_ARRAY_LENGTH(laws); k++) {
    omp_set_num_threads(1 + (int)k % THREADS); /* words of masks are written by one thread each */
    CheckStep(backend, type, c, &laws[k]);
  }
}

/* Every backend, type and case that is supported, with one thread or two in turn; returns how many. */
static PetscInt ForAll(Check check, size_t case_count, const Case list[])
{
  const char *const *names;
  const int threads = omp_get_max_threads();
  PetscInt count, tried = 0;

  SupportCall(CordsConvBackendList(&count, &names, NULL));
  assert_string_equal(names[count - 1], "reference");
  for (PetscInt i = 0; i < count - 1; i++) {
    for (CordsType type = CORDS_F32; type <= CORDS_BF16; type++) {
      for (size_t k = 0; k < case_count; k++) {
        const Case *c = &list[k];
        CordsConvShape shape = CordsConvShapeSame(c->rows, c->columns, c->in, c->out, c->kernel, c->stride);
        PetscBool supports;
        SupportCall(CordsConvBackendSupports(names[i], &shape, type, &supports, NULL));
        if (!supports) continue;
        omp_set_num_threads(1 + tried++ % THREADS);
        check(names[i], type, c);
      }
    }
  }
  omp_set_num_threads(threads);
  return tried;
}

static void test_every_backend_agrees_with_the_reference(void **state)
{
  assert_true(ForAll(CheckCase, PETSC_STATIC_ARRAY_LENGTH(cases), cases) >= 60);
}

static void test_every_step_agrees_with_the_reference(void **state)
{
  assert_true(ForAll(CheckSteps, PETSC_STATIC_ARRAY_LENGTH(recurrent), recurrent) >= 25);
}

static void test_images_may_arrive_while_they_are_worked_on(void **state)
{
  assert_true(ForAll(CheckArrival, PETSC_STATIC_ARRAY_LENGTH(cases), cases) >= 60);
}

static void test_unsupported_and_unknown_backends_are_refused(void **state)
{
  CordsConvShape shape = CordsConvShapeSame(4, 4, 1, 1, 3, 1);
  CordsConv conv = NULL;

  assert_non_null(strstr(SupportExpectUserError(CordsConvCreate(&shape, CORDS_F64, "onednn", &conv)), "onednn"));
  assert_non_null(
      strstr(SupportExpectUserError(CordsConvCreate(&shape, CORDS_F32, "gem", &conv)), "did you mean 'gemm'"));
}

static const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_backend_agrees_with_the_reference),
                                          cmocka_unit_test(test_every_step_agrees_with_the_reference),
                                          cmocka_unit_test(test_images_may_arrive_while_they_are_worked_on),
                                          cmocka_unit_test(test_unsupported_and_unknown_backends_are_refused)};
SUPPORT_MAIN(tests)
