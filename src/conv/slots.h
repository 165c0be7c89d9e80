/* Images as lines of slots, for kernels that multiply whole matrices: one direction of a convolution, in which what a
   tap reads lies a constant number of slots from where its output pixel lies.

   A plane holds every step-th row and column of the input image, or of a part of it, with its zero border, in rows of
   `width` slots one after the other.  An output pixel (i, j) of a class has slot i · width + j; the last slots of a
   row, beyond the output's columns, have no pixel: what is computed there is dropped.  So sixteen neighbouring slots,
   whatever rows they belong to, are a matrix whose rows are equally far apart, for every tap. */
#ifndef CORDS_CONV_SLOTS_H
#define CORDS_CONV_SLOTS_H

#include "conv/conv.h"

enum { CORDS_SLOT_TAPS_MAX = 121 /* of a kernel */ };

/* What a tap reads: slot + row · width + column of a plane. */
typedef struct {
  PetscInt plane, row, column;
  PetscInt place; /* in the kernel */
} CordsSlotTap;

/* Output pixels that have the same taps: all of them forwards; backwards those that fall alike between strides.  Pixel
   (i, j) is the output image's (row + i · step_out, column + j · step_out). */
typedef struct {
  PetscInt row, column, rows, columns;
  PetscInt tap_count;
  CordsSlotTap *taps;
} CordsSlotClass;

typedef struct {
  PetscInt in_rows, in_columns, in_channels, out_columns, out_pixels, out_channels;
  PetscInt step_in, step_out;
  PetscInt top, left; /* the border before the first row and column */
  PetscInt plane_count;
  PetscInt *plane_rows, *plane_columns; /* the first row and column of each plane, border included */
  PetscInt width;                       /* for all columns of the output */
  PetscInt more_rows, more_columns;     /* the largest of all taps */
  PetscInt rows;                        /* of the largest class */
  PetscInt class_count, tap_count;      /* taps of all classes */
  CordsSlotClass *classes;
} CordsSlotRoute;

/* adjoint: from output to input of the shape.  Owned: CordsSlotRouteDestroy. */
PetscErrorCode CordsSlotRouteCreate(const CordsConvShape *shape, PetscBool adjoint, CordsSlotRoute *route);
PetscErrorCode CordsSlotRouteDestroy(CordsSlotRoute *route);

/* The whole input image. */
static inline CordsBox CordsSlotWhole(const CordsSlotRoute *route)
{
  return (CordsBox){0, route->in_rows, 0, route->in_columns};
}

/* Slots of a plane in rows of `width` that serves `rows` rows of output pixels, `multiple` slots of them at a time. */
PetscInt CordsSlotCapacity(const CordsSlotRoute *route, PetscInt rows, PetscInt width, PetscInt multiple);

/* The pixels of a class that read nothing of the input image outside a box, which may reach beyond it. */
CordsBox CordsSlotInside(const CordsSlotRoute *route, const CordsSlotClass *class, const CordsBox *box);

/* A row of slots of a plane whose first slot has what is read at output row and column first_row, first_column.  Of the
   input image a box is there.  Returns the place in the box of the pixel in the first slot that has one, of `count`
   such slots after `before` without; the next slot has the pixel step_in further. */
static inline PetscInt CordsSlotRow(const CordsSlotRoute *route, PetscInt plane, const CordsBox *there,
                                    PetscInt first_row, PetscInt first_column, PetscInt width, PetscInt *before,
                                    PetscInt *count)
{
  const PetscInt step = route->step_in, row = first_row * step + route->plane_rows[plane] - route->top;
  const PetscInt column = first_column * step + route->plane_columns[plane] - route->left;
  const PetscInt row_start = PetscMax(there->row_start, 0), column_start = PetscMax(there->column_start, 0);
  const PetscInt row_end = PetscMin(there->row_start + there->row_count, route->in_rows);
  const PetscInt column_end = PetscMin(there->column_start + there->column_count, route->in_columns);
  const PetscInt end = column < column_end ? PetscMin(width, (column_end - column + step - 1) / step) : 0;

  *before = column < column_start ? PetscMin((column_start - column + step - 1) / step, width) : 0;
  *count = row < row_start || row >= row_end ? 0 : PetscMax(end - *before, 0);
  if (*count == 0) return 0;
  return (row - there->row_start) * there->column_count + column + *before * step - there->column_start;
}

/* Slots between an output pixel and what a tap reads for it, where planes of an image in rows of `width` follow each
   other. */
static inline PetscInt CordsSlotShift(const CordsSlotTap *tap, PetscInt capacity, PetscInt width)
{
  return tap->plane * capacity + tap->row * width + tap->column;
}

#endif
