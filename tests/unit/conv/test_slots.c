/* Slots: what a tap reads from the slot of an output pixel is the input pixel of the definition in conv.h, for both
   directions, strides, borders on some sides only, and images smaller than the kernel; and what of it reads nothing
   outside a box. */
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
  const CordsBox whole = CordsSlotWhole(route);
  PetscInt *slots, before, count;

  SupportCall(PetscMalloc1((size_t)route->plane_count * capacity, &slots));
  for (PetscInt k = 0; k < route->plane_count * capacity; k++) slots[k] = -1;
  for (PetscInt plane = 0; plane < route->plane_count; plane++) {
    for (PetscInt row = 0; row < rows + route->more_rows; row++) {
      const PetscInt source = CordsSlotRow(route, plane, &whole, first + row, 0, route->width, &before, &count);
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
  capacity = CordsSlotCapacity(&route, rows, route.width, 16);
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
          found[c->taps[t].place] = slots[i * route.width + j + CordsSlotShift(&c->taps[t], capacity, route.width)];
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

/* Of a pixel of a class: whether it reads anything, and whether all of it is in the box. */
static void Reads(const CordsConvShape *s, PetscBool adjoint, const CordsSlotRoute *route, PetscInt row,
                  PetscInt column, const CordsBox *box, PetscBool *any, PetscBool *inside)
{
  *any = PETSC_FALSE;
  *inside = PETSC_TRUE;
  for (PetscInt place = 0; place < s->kernel_rows * s->kernel_columns; place++) {
    const PetscInt source = Expected(s, adjoint, row, column, place);
    if (source < 0) continue;
    *any = PETSC_TRUE;
    if (CordsBoxPlace(box, source, route->in_columns) < 0) *inside = PETSC_FALSE;
  }
}

/* What a pixel in the rectangle `inside` of a class reads, from slots that are filled from a box of the image. */
static void CheckInside(const CordsConvShape *s, PetscBool adjoint, const CordsSlotRoute *route,
                        const CordsSlotClass *c, const CordsBox *inside, const CordsBox *box)
{
  const PetscInt width = inside->column_count + route->more_columns;
  const PetscInt capacity = CordsSlotCapacity(route, inside->row_count, width, 16);

  for (PetscInt i = 0; i < inside->row_count; i++) {
    for (PetscInt j = 0; j < inside->column_count; j++) {
      for (PetscInt t = 0; t < c->tap_count; t++) {
        const CordsSlotTap *tap = &c->taps[t];
        const PetscInt slot = i * width + j + CordsSlotShift(tap, capacity, width) - tap->plane * capacity;
        const PetscInt expected = Expected(s, adjoint, (inside->row_start + i) * route->step_out + c->row,
                                           (inside->column_start + j) * route->step_out + c->column, tap->place);
        PetscInt before, count, source;
        source = CordsSlotRow(route, tap->plane, box, inside->row_start + slot / width, inside->column_start, width,
                              &before, &count);
        source = slot % width < before || slot % width >= before + count
                     ? -1
                     : source + (slot % width - before) * route->step_in;
        assert_int_equal(source, expected < 0 ? -1 : CordsBoxPlace(box, expected, route->in_columns));
      }
    }
  }
}

/* The pixels that read inside a box only are all of these, but for some that read nothing. */
static void CheckBox(const CordsConvShape *s, PetscBool adjoint, const CordsBox *box)
{
  CordsSlotRoute route;

  SupportCall(CordsSlotRouteCreate(s, adjoint, &route));
  for (PetscInt k = 0; k < route.class_count; k++) {
    const CordsSlotClass *c = &route.classes[k];
    const CordsBox found = CordsSlotInside(&route, c, box);
    for (PetscInt i = 0; i < c->rows; i++) {
      for (PetscInt j = 0; j < c->columns; j++) {
        const PetscBool is = (PetscBool)(CordsBoxPlace(&found, i * c->columns + j, c->columns) >= 0);
        PetscBool any, inside;
        Reads(s, adjoint, &route, i * route.step_out + c->row, j * route.step_out + c->column, box, &any, &inside);
        assert_true(is ? inside : !(any && inside));
      }
    }
    CheckInside(s, adjoint, &route, c, &found, box);
  }
  SupportCall(CordsSlotRouteDestroy(&route));
}

static void TestInside(void **state)
{
  static const PetscInt sizes[][4] = {{7, 9, 3, 1}, {8, 11, 3, 2}, {13, 6, 5, 2}, {6, 6, 1, 2}, {2, 3, 5, 1}};
  static const CordsBox boxes[] = {{0, 4, 0, 5}, {2, 3, 1, 4}, {-1, 6, -2, 20}, {3, 1, 2, 1}, {0, 0, 0, 0}};

  for (size_t k = 0; k < PETSC_STATIC_ARRAY_LENGTH(sizes); k++) {
    const CordsConvShape s = CordsConvShapeSame(sizes[k][0], sizes[k][1], 32, 32, sizes[k][2], sizes[k][3]);
    for (size_t b = 0; b < PETSC_STATIC_ARRAY_LENGTH(boxes); b++) {
      CheckBox(&s, PETSC_FALSE, &boxes[b]);
      CheckBox(&s, PETSC_TRUE, &boxes[b]);
    }
  }
}

static const struct CMUnitTest tests[] = {cmocka_unit_test(TestSlots), cmocka_unit_test(TestInside)};
SUPPORT_MAIN(tests)
