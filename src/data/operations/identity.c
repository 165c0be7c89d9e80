/* Nothing: RandAugment leaves an image alone from time to time. */
#include "data/operation_type.h"

static void Apply(CordsImageShape shape, double magnitude, uint8_t *image, uint8_t *work)
{
}

extern const CordsOperationType cords_operation_identity;
const CordsOperationType cords_operation_identity = {.name = "Identity", .apply = Apply};
