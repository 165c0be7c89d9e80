/* Which part of a map this rank holds.

   A map (an image, the activity of an area) is [row][column][channel].  Its rows and columns are cut over the Px × Py
   grid of the domain group, its channels never:

        column 0 ........ columns-1
   row 0 +---------+---------+
         | rank 0  | rank 1  |     rank p owns rows    [row_start, row_start + row_count)
         +---------+---------+                 columns [column_start, column_start + column_count)
         | rank 2  | rank 3  |     a rank may own nothing where a map is smaller than the grid
   rows-1+---------+---------+
 */
#ifndef CORDS_CORE_LAYOUT_H
#define CORDS_CORE_LAYOUT_H

#include "core/context.h"

typedef struct {
  PetscInt rows, columns, channels; /* the whole map */
  PetscInt row_start, row_count;
  PetscInt column_start, column_count;
} CordsLayout;

/* Cut a map over a grid of grid_rows × grid_columns ranks, of which this is number `rank` (row by row): contiguous
   parts whose sizes differ by at most one.  Not collective. */
CordsLayout CordsLayoutCut(PetscInt rows, PetscInt columns, PetscInt channels, PetscInt grid_rows,
                           PetscInt grid_columns, PetscInt rank);

/* The layout of a map on the domain group of the context. */
CordsLayout CordsLayoutOf(CordsContext context, PetscInt rows, PetscInt columns, PetscInt channels);

/* Pixels and numbers of this rank's part of one map. */
static inline PetscInt CordsLayoutLocalPixels(const CordsLayout *layout)
{
  return layout->row_count * layout->column_count;
}
static inline PetscInt CordsLayoutLocalSize(const CordsLayout *layout)
{
  return CordsLayoutLocalPixels(layout) * layout->channels;
}

/* Visit every number of this rank's part of a map in both orders: `torch` is its place in PyTorch's
   [channel][row][column] of the whole map, `ours` in [row][column][channel] of the part. */
#define CORDS_LAYOUT_FOR_EACH(layout, torch, ours)                                                                     \
  for (PetscInt c_ = 0; c_ < (layout)->channels; c_++)                                                                 \
    for (PetscInt i_ = 0; i_ < (layout)->row_count; i_++)                                                              \
      for (PetscInt                                                                                                    \
               j_ = 0,                                                                                                 \
               torch = (c_ * (layout)->rows + (layout)->row_start + i_) * (layout)->columns + (layout)->column_start,  \
               ours = i_ * (layout)->column_count * (layout)->channels + c_;                                           \
           j_ < (layout)->column_count; j_++, torch++, ours += (layout)->channels)

#endif
