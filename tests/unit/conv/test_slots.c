/* Slots: what a tap reads from the slot of an output pixel is the input pixel of the definition in conv.h, for both
   directions, strides, borders on some sides only, and images smaller than the kernel. */
#include "conv/slots.h"
#include "support/support.h"

static const CordsConvShape borders = {.in_rows = 6,
                                       .in_columns = 5,
                                       .in_channels = 32,
                                       .out_rows = 5,
                                       .out_columns = 3,
                                       .out_channels = 32,
                                       .kernel_rows = 3,
                                       .kernel_columns = 3,
                                       .stride = 1,
                                       .pad_top = 1};

/* The input pixel that output pixel (i, j) of a direction has at tap (a, b), −1: none.  Backwards that is the output
   pixel of the shape that has (i, j) there. */
static PetscInt Expected(const CordsConvShape *s, PetscBool adjoint, PetscInt i, PetscInt j, PetscInt place)
{
  const PetscInt a = place / s->kernel_columns, b = place % s->kernel_columns;

  if (!adjoint) {
    const PetscInt row = i * s->stride + a - s->pad_top, column = j * s->stride + b - s->pad_left;
    return row < 0 || row >= s->in_rows || column < 0 || column >= s->in_columns ? -1 : row * s->in_columns + column;
  }
  for (PetscInt row = 0; row < s->out_rows; row++)
    for (PetscInt column = 0; column < s->out_columns; column++)
      if (row * s->stride + a - s->pad_top == i && column * s->stride + b - s->pad_left == j)
        return row * s->out_columns + column;
  return -1;
}

/* The pixels in the slots of all planes for output rows first .. first + rows − 1. */
static PetscInt *Fill(const CordsSlotRoute *route, PetscInt first, PetscInt rows, PetscInt capacity)
{
  PetscInt *slots, before, count;

  SupportCall(PetscMalloc1((size_t)route->plane_count * capacity, &slots));
  for (PetscInt k = 0; k < route->plane_count * capacity; k++) slots[k] = -1;
  for (PetscInt plane = 0; plane < route->plane_count; plane++) {
    for (PetscInt row = 0; row < rows + route->more_rows; row++) {
      const PetscInt source = CordsSlotRow(route, plane, first, row, &before, &count);
      assert_true(before >= 0 && count >= 0 && before + count <= route->width);
      assert_true((row + 1) * route->width <= capacity);
      for (PetscInt k = 0; k < count; k++)
        slots[plane * capacity + row * route->width + before + k] = source + k * route->step_in;
    }
  }
  return slots;
}

/* Every pixel of a direction is of one class, and reads at all places of the kernel what it should: those that no tap
   stands for have nothing. */
static void Check(const CordsConvShape *s, PetscBool adjoint, PetscInt first, PetscInt rows)
{
  const PetscInt out_rows = adjoint ? s->in_rows : s->out_rows, places = s->kernel_rows * s->kernel_columns;
  PetscInt visited = 0, capacity, *slots;
  CordsSlotRoute route;

  SupportCall(CordsSlotRouteCreate(s, adjoint, &route));
  rows = PetscMin(rows, route.rows - first);
  capacity = CordsSlotCapacity(&route, rows, 16);
  slots = Fill(&route, first, rows, capacity);
  for (PetscInt k = 0; k < route.class_count; k++) {
    const CordsSlotClass *c = &route.classes[k];
    for (PetscInt i = 0; i < PetscMin(rows, c->rows - first); i++) {
      for (PetscInt j = 0; j < c->columns; j++, visited++) {
        const PetscInt row = (first + i) * route.step_out + c->row, column = j * route.step_out + c->column;
        PetscInt found[25];
        assert_true(row < out_rows && column < route.out_columns);
        for (PetscInt place = 0; place < places; place++) found[place] = -1;
        for (PetscInt t = 0; t < c->tap_count; t++)
          found[c->taps[t].place] = slots[i * route.width + j + CordsSlotShift(&route, &c->taps[t], capacity)];
        for (PetscInt place = 0; place < places; place++)
          assert_int_equal(found[place], Expected(s, adjoint, row, column, place));
      }
    }
  }
  if (first == 0 && rows == route.rows) assert_int_equal(visited, route.out_pixels);
  SupportCall(PetscFree(slots));
  SupportCall(CordsSlotRouteDestroy(&route));
}

static void TestSlots(void **state)
{
  static const PetscInt sizes[][4] = {{7, 9, 3, 1}, {8, 11, 3, 2}, {13, 6, 5, 2}, {6, 6, 1, 2},
                                      {9, 8, 3, 3}, {2, 1, 5, 1},  {1, 1, 1, 1},  {5, 4, 5, 4}};

  for (size_t k = 0; k < PETSC_STATIC_ARRAY_LENGTH(sizes); k++) {
    const CordsConvShape s = CordsConvShapeSame(sizes[k][0], sizes[k][1], 32, 32, sizes[k][2], sizes[k][3]);
    for (int adjoint = 0; adjoint < 2; adjoint++) {
      Check(&s, (PetscBool)adjoint, 0, PETSC_MAX_INT);
      if (s.out_rows > 2) Check(&s, (PetscBool)adjoint, 1, 2); /* some rows only */
    }
  }
  for (int adjoint = 0; adjoint < 2; adjoint++) Check(&borders, (PetscBool)adjoint, 0, PETSC_MAX_INT);
}

static const struct CMUnitTest tests[] = {cmocka_unit_test(TestSlots)};
SUPPORT_MAIN(tests)
