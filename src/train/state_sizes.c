#include "train/state_sizes.h"

#include "conv/cut_shape.h"

CordsStateSizes CordsStateSizesOf(const CordsArchitecture *a, CordsType type, PetscInt grid_rows, PetscInt grid_columns,
                                  PetscInt rank)
{
  CordsStateSizes sizes = {.type = type, .area_count = a->area_count};

  for (PetscInt i = 0; i < a->area_count; i++) {
    const CordsAreaShape *s = &a->areas[i];
    const CordsConvShape *whole = &a->connections[a->recurrent[i]].shape;
    const CordsLayout first = CordsLayoutCut(s->rows, s->columns, s->channels, grid_rows, grid_columns, 0);
    const CordsLayout own = CordsLayoutCut(s->rows, s->columns, s->channels, grid_rows, grid_columns, rank);
    const CordsCutShape cut = CordsCutShapeOf(whole, grid_rows, grid_columns, rank);
    sizes.neurons[i] = CordsLayoutLocalSize(&own);
    sizes.mask_words[i] = (PetscInt)CordsConvMaskWords(&cut.local);
    sizes.largest = PetscMax(sizes.largest, CordsLayoutLocalSize(&first));
  }
  return sizes;
}

CordsStateSizes CordsStateSizesOfSystem(CordsSystem system)
{
  const CordsContext context = CordsSystemContext(system);

  return CordsStateSizesOf(&CordsSystemModel(system)->architecture, CordsSystemType(system), context->grid_rows,
                           context->grid_columns, context->domain_rank);
}
