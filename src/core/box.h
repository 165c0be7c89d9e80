/* A rectangle of rows and columns of a map; empty where a count is 0. */
#ifndef CORDS_CORE_BOX_H
#define CORDS_CORE_BOX_H

#include "core/layout.h"

typedef struct {
  PetscInt row_start, row_count, column_start, column_count;
} CordsBox;

static inline PetscInt CordsBoxPixels(const CordsBox *box)
{
  return box->row_count * box->column_count;
}

/* Place in the box, row by row, of a pixel that has the place `pixel` in an image of so many columns; −1 outside. */
static inline PetscInt CordsBoxPlace(const CordsBox *box, PetscInt pixel, PetscInt columns)
{
  const PetscInt row = pixel / columns - box->row_start, column = pixel % columns - box->column_start;

  if (row < 0 || row >= box->row_count || column < 0 || column >= box->column_count) return -1;
  return row * box->column_count + column;
}

/* What two boxes have in common; {0} where that is nothing. */
CordsBox CordsBoxIntersect(const CordsBox *a, const CordsBox *b);

/* What a rank owns of a map. */
CordsBox CordsBoxOfLayout(const CordsLayout *layout);

/* Copy `box`, which lies in both, between two arrays [item][row][column] of pixels of `pixel_bytes`: `from` covers
   from_box, `to` covers to_box of the map. */
void CordsBoxCopy(const CordsBox *box, PetscInt items, size_t pixel_bytes, const CordsBox *from_box, const void *from,
                  const CordsBox *to_box, void *to);
/* The same but for the pixels of `hole`, which lies in the box or is empty. */
void CordsBoxCopyAround(const CordsBox *box, const CordsBox *hole, PetscInt items, size_t pixel_bytes,
                        const CordsBox *from_box, const void *from, const CordsBox *to_box, void *to);

#endif
