#include "train/blocks.h"

PetscInt CordsBlocksCut(const CordsPlan *plan, PetscInt items, PetscInt phase_count, const PetscInt phase_steps[],
                        PetscBool recorded, CordsBlock blocks[])
{
  const PetscInt longest = recorded ? plan->block : plan->block * plan->images / PetscMax(items, 1);
  PetscInt count = 0, start = 0, end = 0, all = 0, kept_from;

  for (PetscInt p = 0; p < phase_count; p++) all += phase_steps[p];
  kept_from = recorded ? PetscMax(all - plan->kept, 0) : all;
  for (PetscInt p = 0; p < phase_count; p++) {
    end += phase_steps[p];
    while (start < end) {
      PetscInt steps = PetscMin(end - start, longest);
      if (start < kept_from) steps = PetscMin(steps, kept_from - start);
      blocks[count++] =
          (CordsBlock){.start = start, .steps = steps, .phase = p, .kept = (PetscBool)(start >= kept_from)};
      start += steps;
    }
  }
  return count;
}
