/* Images as lines of slots, for kernels that multiply whole matrices: one direction of a convolution, in which what a
   tap reads lies a constant number of slots from where its output pixel lies.

   A plane holds every step-th row and column of the input image with its zero border, in rows of `width` slots one
   after the other.  An output pixel (i, j) of a class has slot i · width + j; the last slots of a row, beyond the
   output's columns, have no pixel: what is computed there is dropped.  So sixteen neighbouring slots, whatever rows
   they belong to, are a matrix whose rows are equally far apart, for every tap. */
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
  PetscInt width;
  PetscInt more_rows, more_columns; /* the largest of all taps */
  PetscInt rows;                    /* of the largest class */
  PetscInt class_count, tap_count;  /* taps of all classes */
  CordsSlotClass *classes;
} CordsSlotRoute;

/* adjoint: from output to input of the shape.  Owned: CordsSlotRouteDestroy. */
PetscErrorCode CordsSlotRouteCreate(const CordsConvShape *shape, PetscBool adjoint, CordsSlotRoute *route);
PetscErrorCode CordsSlotRouteDestroy(CordsSlotRoute *route);

/* Slots of a plane that serves `rows` rows of output pixels, `multiple` slots of them at a time. */
PetscInt CordsSlotCapacity(const CordsSlotRoute *route, PetscInt rows, PetscInt multiple);

/* A row of slots of a plane whose rows begin with what output row `first` reads: the input image's pixel in its first
   slot that has one, of `count` slots after `before` ones; the next slot has the pixel step_in further. */
static inline PetscInt CordsSlotRow(const CordsSlotRoute *route, PetscInt plane, PetscInt first, PetscInt slot_row,
                                    PetscInt *before, PetscInt *count)
{
  const PetscInt step = route->step_in, row = (first + slot_row) * step + route->plane_rows[plane] - route->top;
  const PetscInt column = route->plane_columns[plane] - route->left; /* in the first slot */
  const PetscInt end = PetscMin(route->width, (route->in_columns - column + step - 1) / step);

  *before = PetscMin(column < 0 ? (step - 1 - column) / step : 0, route->width);
  *count = row < 0 || row >= route->in_rows ? 0 : PetscMax(end - *before, 0);
  return *count ? row * route->in_columns + column + *before * step : 0;
}

/* Slots between an output pixel and what a tap reads for it, where the planes of an image follow each other. */
static inline PetscInt CordsSlotShift(const CordsSlotRoute *route, const CordsSlotTap *tap, PetscInt capacity)
{
  return tap->plane * capacity + tap->row * route->width + tap->column;
}

#endif
