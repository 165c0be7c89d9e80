#include "core/layout.h"

static void Cut(PetscInt length, PetscInt parts, PetscInt part, PetscInt *start, PetscInt *count)
{
  PetscInt larger = length % parts;

  *count = length / parts + (part < larger);
  *start = part * (length / parts) + PetscMin(part, larger);
}

CordsLayout CordsLayoutCut(PetscInt rows, PetscInt columns, PetscInt channels, PetscInt grid_rows,
                           PetscInt grid_columns, PetscInt rank)
{
  CordsLayout layout = {.rows = rows, .columns = columns, .channels = channels};

  Cut(rows, grid_rows, rank / grid_columns, &layout.row_start, &layout.row_count);
  Cut(columns, grid_columns, rank % grid_columns, &layout.column_start, &layout.column_count);
  return layout;
}

CordsLayout CordsLayoutOf(CordsContext context, PetscInt rows, PetscInt columns, PetscInt channels)
{
  return CordsLayoutCut(rows, columns, channels, context->grid_rows, context->grid_columns, context->domain_rank);
}
