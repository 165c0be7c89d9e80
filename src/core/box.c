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

void CordsBoxCopyAround(const CordsBox *box, const CordsBox *hole, PetscInt items, size_t pixel_bytes,
                        const CordsBox *from_box, const void *from, const CordsBox *to_box, void *to)
{
  const PetscInt row_end = box->row_start + box->row_count, hole_row_end = hole->row_start + hole->row_count;
  const PetscInt column_end = box->column_start + box->column_count;
  const PetscInt hole_column_end = hole->column_start + hole->column_count;
  const CordsBox around[4] = {
      {box->row_start, hole->row_start - box->row_start, box->column_start, box->column_count},
      {hole_row_end, row_end - hole_row_end, box->column_start, box->column_count},
      {hole->row_start, hole->row_count, box->column_start, hole->column_start - box->column_start},
      {hole->row_start, hole->row_count, hole_column_end, column_end - hole_column_end}};

  if (CordsBoxPixels(hole) == 0) {
    CordsBoxCopy(box, items, pixel_bytes, from_box, from, to_box, to);
    return;
  }
  for (int k = 0; k < 4; k++) CordsBoxCopy(&around[k], items, pixel_bytes, from_box, from, to_box, to);
}
