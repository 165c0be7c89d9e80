#include "conv/winograd_transform.h"

#include "conv/vector_types.h"

enum { PLACES = CORDS_WINOGRAD_PLACES, OUTPUTS = CORDS_WINOGRAD_OUTPUTS, TAPS = CORDS_WINOGRAD_TAPS };

#define TEMPLATE "conv/winograd_transform.inc"
#include "conv/vector_types.inc"

const CordsWinogradTransform *CordsWinogradTransformOf(CordsType type)
{
  return type == CORDS_F64 ? &transformF64 : type == CORDS_BF16 ? &transformBF16 : &transformF32;
}
