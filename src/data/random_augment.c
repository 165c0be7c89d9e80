#include "data/random_augment.h"

#define CORDS_OPERATION(name) extern const CordsOperationType cords_operation_##name;
#include "data/operations.def"
#undef CORDS_OPERATION

static const CordsOperationType *const operations[] = {
#define CORDS_OPERATION(name) &cords_operation_##name,
#include "data/operations.def"
#undef CORDS_OPERATION
};

/* Random numbers per operation: which one, and its sign. */
enum { DRAW_WHICH, DRAW_SIGN, DRAWS };

PetscInt CordsOperationCount(void)
{
  return (PetscInt)(sizeof operations / sizeof *operations);
}

const CordsOperationType *CordsOperationGet(PetscInt i)
{
  return operations[i];
}

/* In float32 and from the nearer end, as torch.linspace does: a factor that differs in its last bit makes other bytes.
 */
double CordsOperationMagnitude(const CordsOperationType *operation, PetscInt level, PetscInt levels)
{
  const float weakest = (float)operation->weakest, strongest = (float)operation->strongest;
  const float step = (strongest - weakest) / (float)(levels - 1);

  return level < levels / 2 ? weakest + step * (float)level : strongest - step * (float)(levels - 1 - level);
}

/* A copy of the image, and a vector behind it that may be read. */
size_t CordsRandomAugmentWorkBytes(CordsImageShape shape)
{
  return CordsImageSize(shape) + 64;
}

void CordsRandomAugmentApply(const CordsRandomAugment *settings, CordsImageShape shape, CordsRandomKey key,
                             uint8_t *image, uint8_t *work)
{
  key.purpose = CORDS_RANDOM_OPERATION;
  for (PetscInt i = 0; i < settings->count; i++) {
    uint32_t draw = DRAWS * (uint32_t)i;
    const CordsOperationType *operation =
        operations[CordsRandomBelow(key, draw + DRAW_WHICH, (uint64_t)CordsOperationCount())];
    double magnitude = CordsOperationMagnitude(operation, settings->level, settings->levels);

    if (operation->is_signed && CordsRandomUniform(key, draw + DRAW_SIGN) < .5) magnitude = -magnitude;
    operation->apply(shape, magnitude, image, work);
  }
}
