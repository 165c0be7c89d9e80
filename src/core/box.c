#include "core/box.h"

#include <string.h>

static void IntersectLines(PetscInt a_start, PetscInt a_count, PetscInt b_start, PetscInt b_count, PetscInt *start,
                           PetscInt *count)
{
  *start = PetscMax(a_start, b_start);
  *count = PetscMax(PetscMin(a_start + a_count, b_start + b_count) - *start, 0);
}

CordsBox CordsBoxIntersect(const CordsBox *a, const CordsBox *b)
{
  CordsBox c;

  IntersectLines(a->row_start, a->row_count, b->row_start, b->row_count, &c.row_start, &c.row_count);
  IntersectLines(a->column_start, a->column_count, b->column_start, b->column_count, &c.column_start, &c.column_count);
  return CordsBoxPixels(&c) > 0 ? c : (CordsBox){0};
}

CordsBox CordsBoxOfLayout(const CordsLayout *layout)
{
  return (CordsBox){layout->row_start, layout->row_count, layout->column_start, layout->column_count};
}

/* Bytes from the start of an array that covers `whole` to a pixel of one of its items. */
static size_t Place(const CordsBox *whole, PetscInt item, PetscInt row, PetscInt column, size_t pixel_bytes)
{
  const size_t pixels = (size_t)(row - whole->row_start) * whole->column_count + (column - whole->column_start);

  return ((size_t)item * CordsBoxPixels(whole) + pixels) * pixel_bytes;
}

void CordsBoxCopy(const CordsBox *box, PetscInt items, size_t pixel_bytes, const CordsBox *from_box, const void *from,
                  const CordsBox *to_box, void *to)
{
  const size_t row_bytes = (size_t)box->column_count * pixel_bytes;

  for (PetscInt item = 0; item < items; item++) {
    for (PetscInt row = box->row_start; row < box->row_start + box->row_count; row++)
      memcpy((char *)to + Place(to_box, item, row, box->column_start, pixel_bytes),
             (const char *)from + Place(from_box, item, row, box->column_start, pixel_bytes), row_bytes);
  }
}
