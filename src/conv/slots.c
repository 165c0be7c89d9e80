#include "conv/slots.h"

/* Forwards an output pixel reads, at tap (a, b), row i · stride + a of the image with its border: row i + a / stride of
   the plane of rows a mod stride. */
static void ForwardTap(const CordsConvShape *s, PetscInt place, CordsSlotTap *tap, PetscInt *plane_row,
                       PetscInt *plane_column)
{
  const PetscInt a = place / s->kernel_columns, b = place % s->kernel_columns;

  *tap = (CordsSlotTap){.row = a / s->stride, .column = b / s->stride, .place = place};
  *plane_row = a % s->stride;
  *plane_column = b % s->stride;
}

/* Backwards pixel (row + i · stride, …) was read at tap (a, b) by output row i + (row + pad − a) / stride, which there
   is if that is whole. */
static PetscBool AdjointTap(const CordsConvShape *s, PetscInt place, PetscInt row, PetscInt column, CordsSlotTap *tap)
{
  const PetscInt a = row + s->pad_top - place / s->kernel_columns;
  const PetscInt b = column + s->pad_left - place % s->kernel_columns;
  const PetscInt far_a = a + s->kernel_rows * s->stride, far_b = b + s->kernel_columns * s->stride; /* positive */

  if (far_a % s->stride != 0 || far_b % s->stride != 0) return PETSC_FALSE;
  *tap = (CordsSlotTap){
      .row = far_a / s->stride - s->kernel_rows, .column = far_b / s->stride - s->kernel_columns, .place = place};
  return PETSC_TRUE;
}

static PetscInt FindPlane(CordsSlotRoute *route, PetscInt row, PetscInt column)
{
  for (PetscInt p = 0; p < route->plane_count; p++)
    if (route->plane_rows[p] == row && route->plane_columns[p] == column) return p;
  route->plane_rows[route->plane_count] = row;
  route->plane_columns[route->plane_count] = column;
  return route->plane_count++;
}

static PetscErrorCode ClassCreate(const CordsConvShape *s, PetscBool adjoint, CordsSlotRoute *route, CordsSlotClass *c)
{
  const PetscInt places = s->kernel_rows * s->kernel_columns;
  PetscInt plane_row = 0, plane_column = 0;

  PetscFunctionBegin;
  PetscCall(PetscMalloc1(places, &c->taps));
  for (PetscInt place = 0; place < places; place++) {
    CordsSlotTap *tap = &c->taps[c->tap_count];
    if (!adjoint) ForwardTap(s, place, tap, &plane_row, &plane_column);
    if (adjoint && !AdjointTap(s, place, c->row, c->column, tap)) continue;
    tap->plane = FindPlane(route, plane_row, plane_column);
    c->tap_count++;
  }
  route->tap_count += c->tap_count;
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* Rows and columns of taps count from the first that any of them reads; the border before the image is what they count
   less.  Then none of them is negative. */
static void CountFromFirst(CordsSlotRoute *route)
{
  PetscInt first_row = PETSC_MAX_INT, first_column = PETSC_MAX_INT;

  for (PetscInt k = 0; k < route->class_count; k++) {
    for (PetscInt t = 0; t < route->classes[k].tap_count; t++) {
      first_row = PetscMin(first_row, route->classes[k].taps[t].row);
      first_column = PetscMin(first_column, route->classes[k].taps[t].column);
    }
  }
  for (PetscInt k = 0; k < route->class_count; k++) {
    for (PetscInt t = 0; t < route->classes[k].tap_count; t++) {
      CordsSlotTap *tap = &route->classes[k].taps[t];
      tap->row -= first_row;
      tap->column -= first_column;
      route->more_rows = PetscMax(route->more_rows, tap->row);
      route->more_columns = PetscMax(route->more_columns, tap->column);
    }
  }
  route->top -= first_row * route->step_in;
  route->left -= first_column * route->step_in;
}

PetscErrorCode CordsSlotRouteCreate(const CordsConvShape *s, PetscBool adjoint, CordsSlotRoute *route)
{
  const PetscInt out_rows = adjoint ? s->in_rows : s->out_rows, places = s->kernel_rows * s->kernel_columns;
  PetscInt columns = 0;

  PetscFunctionBegin;
  *route = (CordsSlotRoute){.step_in = adjoint ? 1 : s->stride, .step_out = adjoint ? s->stride : 1};
  route->in_rows = adjoint ? s->out_rows : s->in_rows;
  route->in_columns = adjoint ? s->out_columns : s->in_columns;
  route->in_channels = adjoint ? s->out_channels : s->in_channels;
  route->out_columns = adjoint ? s->in_columns : s->out_columns;
  route->out_pixels = out_rows * route->out_columns;
  route->out_channels = adjoint ? s->in_channels : s->out_channels;
  route->top = adjoint ? 0 : s->pad_top;
  route->left = adjoint ? 0 : s->pad_left;
  route->class_count = route->step_out * route->step_out;
  PetscCall(PetscMalloc2(places, &route->plane_rows, places, &route->plane_columns));
  PetscCall(PetscCalloc1(route->class_count, &route->classes));
  for (PetscInt k = 0; k < route->class_count; k++) {
    CordsSlotClass *c = &route->classes[k];
    c->row = k / route->step_out;
    c->column = k % route->step_out;
    c->rows = (out_rows - c->row + route->step_out - 1) / route->step_out;
    c->columns = (route->out_columns - c->column + route->step_out - 1) / route->step_out;
    PetscCall(ClassCreate(s, adjoint, route, c));
    route->rows = PetscMax(route->rows, c->rows);
    columns = PetscMax(columns, c->columns);
  }
  CountFromFirst(route);
  route->width = columns + route->more_columns;
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsSlotRouteDestroy(CordsSlotRoute *route)
{
  PetscFunctionBegin;
  for (PetscInt k = 0; k < route->class_count; k++) PetscCall(PetscFree(route->classes[k].taps));
  PetscCall(PetscFree(route->classes));
  PetscCall(PetscFree2(route->plane_rows, route->plane_columns));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscInt CordsSlotCapacity(const CordsSlotRoute *route, PetscInt rows, PetscInt width, PetscInt multiple)
{
  const PetscInt whole = (rows * width + multiple - 1) / multiple * multiple;

  return whole + route->more_rows * width + route->more_columns;
}

/* Rows, or columns, of a class. */
typedef struct {
  PetscInt start, count;
} Range;

/* Whether what all taps read at row (column) k is one of from .. end − 1, or outside the image. */
static PetscBool Inside(const CordsSlotRoute *route, const CordsSlotClass *class, PetscBool of_columns, PetscInt k,
                        PetscInt from, PetscInt end)
{
  for (PetscInt t = 0; t < class->tap_count; t++) {
    const CordsSlotTap *tap = &class->taps[t];
    const PetscInt shift =
        of_columns ? route->plane_columns[tap->plane] - route->left : route->plane_rows[tap->plane] - route->top;
    const PetscInt read = (k + (of_columns ? tap->column : tap->row)) * route->step_in + shift;
    if (read >= 0 && read < (of_columns ? route->in_columns : route->in_rows) && (read < from || read >= end))
      return PETSC_FALSE;
  }
  return PETSC_TRUE;
}

/* The longest range of rows (columns) that are inside. */
static Range Longest(const CordsSlotRoute *route, const CordsSlotClass *class, PetscBool of_columns, PetscInt from,
                     PetscInt end)
{
  Range longest = {0, 0}, now = {0, 0};

  for (PetscInt k = 0; k < (of_columns ? class->columns : class->rows); k++) {
    now = Inside(route, class, of_columns, k, from, end) ? (Range){now.start, now.count + 1} : (Range){k + 1, 0};
    if (now.count > longest.count) longest = now;
  }
  return longest;
}

CordsBox CordsSlotInside(const CordsSlotRoute *route, const CordsSlotClass *class, const CordsBox *box)
{
  const Range rows = Longest(route, class, PETSC_FALSE, box->row_start, box->row_start + box->row_count);
  const Range columns = Longest(route, class, PETSC_TRUE, box->column_start, box->column_start + box->column_count);

  if (rows.count == 0 || columns.count == 0) return (CordsBox){0};
  return (CordsBox){rows.start, rows.count, columns.start, columns.count};
}
