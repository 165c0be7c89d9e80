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

static inline PetscBool CordsBoxHolds(const CordsBox *box, PetscInt row, PetscInt column)
{
  return (PetscBool)(row >= box->row_start && row < box->row_start + box->row_count && column >= box->column_start &&
                     column < box->column_start + box->column_count);
}

/* What two boxes have in common; {0} where that is nothing. */
CordsBox CordsBoxIntersect(const CordsBox *a, const CordsBox *b);

/* What a rank owns of a map. */
CordsBox CordsBoxOfLayout(const CordsLayout *layout);

/* Copy `box`, which lies in both, between two arrays [item][row][column] of pixels of `pixel_bytes`: `from` covers
   from_box, `to` covers to_box of the map. */
void CordsBoxCopy(const CordsBox *box, PetscInt items, size_t pixel_bytes, const CordsBox *from_box, const void *from,
                  const CordsBox *to_box, void *to);

#endif
