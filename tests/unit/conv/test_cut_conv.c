/* RANKS 1 2 3 4
   A convolution whose maps are cut over ranks gives what the whole one gives, tile by tile: forward, both ways back and
   the fused step with its adjoint; weight gradients are the sum over ranks.  Odd sizes, strides, and maps that are
   smaller than the grid. */
#include "conv/conv.h"
#include "conv/cut_shape.h"
#include "conv/pointwise.h"
#include "conv/step.h"
#include "core/reduce.h"

#include "support/domain.h"

enum { ITEMS = 3 }; /* odd, for kernels that take two at a time */

typedef struct {
  PetscInt rows, columns, in, out, kernel, stride;
} Case;

static const Case cases[] = {{7, 7, 16, 16, 3, 1}, {13, 11, 16, 16, 3, 1}, {13, 11, 16, 32, 3, 2}, {9, 6, 16, 32, 1, 2},
                             {2, 3, 16, 16, 3, 1}, {17, 12, 3, 16, 7, 2},  {1, 9, 3, 3, 3, 1}};

static double Tolerance(CordsType type)
{
  return type == CORDS_F64 ? 1e-13 : type == CORDS_F32 ? 1e-6 : 8e-3;
}

static CordsArray Random(CordsType type, PetscInt items, PetscInt elements, uint64_t stream)
{
  const size_t count = (size_t)items * elements;
  CordsArray a, exact;

  SupportCall(CordsArrayCreate(type, items, elements, &a));
  SupportCall(CordsArrayCreate(CORDS_F64, items, elements, &exact));
  SupportFillF64(stream, (PetscInt64)count, exact.data);
  CordsConvert(CORDS_F64, type, count, exact.data, a.data);
  SupportCall(CordsArrayDestroy(&exact));
  return a;
}

/* Of a map: all of it, and this rank's tile. */
typedef struct {
  CordsArray whole, tile;
  CordsBox all, own;
  size_t pixel_bytes;
} Map;

static Map MapCreate(CordsType type, PetscInt rows, PetscInt columns, PetscInt channels, const CordsBox *own,
                     uint64_t stream)
{
  Map m = {.all = {0, rows, 0, columns}, .own = *own, .pixel_bytes = (size_t)channels * CordsTypeSize(type)};

  m.whole = Random(type, ITEMS, rows * columns * channels, stream);
  SupportCall(CordsArrayCreate(type, ITEMS, CordsBoxPixels(own) * channels, &m.tile));
  CordsBoxCopy(own, ITEMS, m.pixel_bytes, &m.all, m.whole.data, own, m.tile.data);
  return m;
}

/* The tile is what the whole map has there; both destroyed. */
static void MapCheck(const char *what, Map *m, double tolerance)
{
  const PetscInt numbers = m->whole.items * m->whole.elements, own = m->tile.items * m->tile.elements;
  CordsArray whole, tile, right;
  double largest = 1e-300;

  SupportCall(CordsArrayCreate(CORDS_F64, 1, numbers, &whole));
  SupportCall(CordsArrayCreate(CORDS_F64, 1, own, &tile));
  SupportCall(CordsArrayCreate(CORDS_F64, 1, own, &right));
  CordsConvert(m->whole.type, CORDS_F64, (size_t)numbers, m->whole.data, whole.data);
  CordsConvert(m->tile.type, CORDS_F64, (size_t)own, m->tile.data, tile.data);
  CordsBoxCopy(&m->own, ITEMS, m->pixel_bytes / CordsTypeSize(m->whole.type) * sizeof(double), &m->all, whole.data,
               &m->own, right.data);
  for (PetscInt k = 0; k < numbers; k++) largest = PetscMax(largest, PetscAbsReal(((double *)whole.data)[k]));
  for (PetscInt k = 0; k < own; k++) {
    const double difference = PetscAbsReal(((double *)tile.data)[k] - ((double *)right.data)[k]);
    if (difference > tolerance * largest) fail_msg("%s: off by %g of %g", what, difference, largest);
  }
  SupportCall(CordsArrayDestroy(&whole));
  SupportCall(CordsArrayDestroy(&tile));
  SupportCall(CordsArrayDestroy(&right));
  SupportCall(CordsArrayDestroy(&m->whole));
  SupportCall(CordsArrayDestroy(&m->tile));
}

static void MapDestroy(Map *m)
{
  SupportCall(CordsArrayDestroy(&m->whole));
  SupportCall(CordsArrayDestroy(&m->tile));
}

/* The two convolutions, of whole maps and cut, with the same weights. */
typedef struct {
  const CordsContextData *context;
  CordsConvShape shape;
  CordsType type, master;
  CordsCutShape cut;
  CordsConv whole, part;
} Pair;

static Map In(const Pair *p, CordsType type, uint64_t stream)
{
  return MapCreate(type, p->shape.in_rows, p->shape.in_columns, p->shape.in_channels, &p->cut.in, stream);
}

static Map Out(const Pair *p, CordsType type, uint64_t stream)
{
  return MapCreate(type, p->shape.out_rows, p->shape.out_columns, p->shape.out_channels, &p->cut.out, stream);
}

static void CheckForward(const Pair *p)
{
  Map x = In(p, p->type, 1), start = Out(p, p->type, 2), y = Out(p, p->type, 3);

  SupportCall(CordsConvForwardFrom(p->whole, ITEMS, x.whole.data, start.whole.data, 1, y.whole.data));
  SupportCall(CordsConvForwardFrom(p->part, ITEMS, x.tile.data, start.tile.data, 1, y.tile.data));
  MapCheck("forward", &y, Tolerance(p->type));
  MapDestroy(&x);
  MapDestroy(&start);
}

static void CheckBackwardData(const Pair *p)
{
  Map dy = Out(p, p->type, 4), dx = In(p, p->type, 5);

  for (int accumulate = 0; accumulate < 2; accumulate++) {
    SupportCall(CordsConvBackwardData(p->whole, ITEMS, dy.whole.data, dx.whole.data, (PetscBool)accumulate));
    SupportCall(CordsConvBackwardData(p->part, ITEMS, dy.tile.data, dx.tile.data, (PetscBool)accumulate));
  }
  MapCheck("back to the input", &dx, 2 * Tolerance(p->type));
  MapDestroy(&dy);
}

static void CheckBackwardWeights(const Pair *p)
{
  const CordsConvShape *s = &p->shape;
  const PetscInt count = s->in_channels * s->out_channels * s->kernel_rows * s->kernel_columns;
  Map x = In(p, p->type, 6), dy = Out(p, p->type, 7);
  CordsArray whole, part;

  SupportCall(CordsArrayCreate(p->master, 1, count, &whole));
  SupportCall(CordsArrayCreate(p->master, 1, count, &part));
  SupportCall(CordsConvBackwardWeights(p->whole, ITEMS, x.whole.data, dy.whole.data, whole.data));
  SupportCall(CordsConvBackwardWeights(p->part, ITEMS, x.tile.data, dy.tile.data, part.data));
  if (p->master == CORDS_F64) {
    SupportCall(CordsReduceSumF64(p->context, count, part.data));
    SupportCompareF64("weights", count, part.data, whole.data, 1e-13);
  } else {
    SupportCall(CordsReduceSumF32(p->context, count, part.data));
    SupportCompareF32("weights", count, part.data, whole.data, Tolerance(p->type));
  }
  MapDestroy(&x);
  MapDestroy(&dy);
  SupportCall(CordsArrayDestroy(&whole));
  SupportCall(CordsArrayDestroy(&part));
}

static uint16_t *Mask(CordsConv conv)
{
  uint16_t *words;

  SupportCall(PetscCalloc1(ITEMS * CordsConvMaskWords(CordsConvGetShape(conv)) + 1, &words));
  return words;
}

/* A step and its adjoint; masks are made by the step and used on the way back. */
static void CheckStep(const Pair *p)
{
  const CordsConvLaw law = {.keep = 0.8, .gain = 0.2};
  const PetscBool beside = (PetscBool)(p->type == CORDS_BF16);
  Map x = In(p, p->type, 8), z = Out(p, p->type, 9), r = Out(p, p->master, 10), rounded = Out(p, p->type, 11);
  Map du = Out(p, p->type, 12), g = In(p, p->master, 13), lambda = In(p, p->master, 14), before = In(p, p->type, 15);
  uint16_t *masks[2] = {Mask(p->whole), Mask(p->part)};
  const CordsConv convs[2] = {p->whole, p->part};

  for (int k = 0; k < 2; k++) {
#define OF(m) (k == 0 ? (m).whole.data : (m).tile.data)
    SupportCall(
        CordsConvStep(convs[k], ITEMS, &law, OF(x), OF(z), 1, OF(r), OF(r), beside ? OF(rounded) : NULL, masks[k]));
    SupportCall(
        CordsConvStepAdjoint(convs[k], ITEMS, &law, OF(du), OF(g), OF(lambda), masks[k], OF(lambda), OF(before)));
#undef OF
    SupportCall(PetscFree(masks[k]));
  }
  MapCheck("step", &r, Tolerance(p->type));
  MapCheck("lambda", &lambda, Tolerance(p->type));
  if (p->type == CORDS_F64) /* elsewhere u that is zero to round-off has either mask */
    MapCheck("du before", &before, Tolerance(p->type));
  else
    MapDestroy(&before);
  MapDestroy(&x);
  MapDestroy(&z);
  MapDestroy(&rounded);
  MapDestroy(&du);
  MapDestroy(&g);
}

static void CheckCase(const CordsContextData *context, const Case *c, CordsType type)
{
  Pair p = {.context = context, .type = type, .master = CordsTypeMaster(type)};
  CordsArray weights;

  p.shape = CordsConvShapeSame(c->rows, c->columns, c->in, c->out, c->kernel, c->stride);
  p.cut = CordsCutShapeOf(&p.shape, context->grid_rows, context->grid_columns, context->domain_rank);
  weights = Random(p.master, 1, c->in * c->out * c->kernel * c->kernel, 16);
  SupportCall(CordsConvCreate(&p.shape, type, NULL, &p.whole));
  SupportCall(CordsConvCreateCut(context, &p.shape, type, &p.part));
  SupportCall(CordsConvSetWeights(p.whole, weights.data));
  SupportCall(CordsConvSetWeights(p.part, weights.data));
  CheckForward(&p);
  CheckBackwardData(&p);
  CheckBackwardWeights(&p);
  if (c->in == c->out && c->stride == 1) CheckStep(&p);
  SupportCall(CordsConvDestroy(&p.whole));
  SupportCall(CordsConvDestroy(&p.part));
  SupportCall(CordsArrayDestroy(&weights));
}

static void TestCases(void **state)
{
  SUPPORT_FOR_GRIDS(rows)
  {
    const CordsContextData context = SupportDomain(rows);
    for (size_t k = 0; k < PETSC_STATIC_ARRAY_LENGTH(cases); k++)
      for (CordsType type = CORDS_F32; type <= CORDS_BF16; type++) CheckCase(&context, &cases[k], type);
  }
}

static const struct CMUnitTest tests[] = {cmocka_unit_test(TestCases)};
SUPPORT_MAIN(tests)
