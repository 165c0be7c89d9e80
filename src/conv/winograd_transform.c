#include "conv/winograd_transform.h"

#include "conv/vector_types.h"

#include <math.h>

enum { TAPS = CORDS_WINOGRAD_TAPS };
/* Channels of a run.  The weights of a place for so many stay in the first-level cache from tile to tile, and a sum is
   the more exact the fewer numbers are added to it one by one. */
enum { RUN = 128, RUN_F4 = 64 };

#define SIDES(in, out) .input = (in), .output = (out), .inputs = (in) * (in), .outputs = (out) * (out)

static const CordsWinogradSize f2 = {SIDES(4, 2),
                                     .stride = 1,
                                     .places = 16,
                                     .panels = 16,
                                     .run = RUN,
                                     .panel = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
                                     .turned = {15, 13, 14, 12, 7, 5, 6, 4, 11, 9, 10, 8, 3, 1, 2, 0}};
static const CordsWinogradSize f4 = {SIDES(6, 4),
                                     .stride = 1,
                                     .places = 36,
                                     .panels = 36,
                                     .run = RUN_F4,
                                     .panel = {0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15, 16, 17,
                                               18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35},
                                     .turned = {35, 33, 34, 31, 32, 30, 23, 21, 22, 19, 20, 18, 29, 27, 28, 25, 26, 24,
                                                11, 9,  10, 7,  8,  6,  17, 15, 16, 13, 14, 12, 5,  3,  4,  1,  2,  0}};

/* The panels of a dimension are those of w0, w0 + w2, w2 and w1, which places 3 and 4 share. */
#define STRIDE2                                                                                                        \
  .stride = 2, .places = 25, .panels = 16, .run = RUN,                                                                 \
  .panel = {0, 1, 2, 3, 3, 4, 5, 6, 7, 7, 8, 9, 10, 11, 11, 12, 13, 14, 15, 15, 12, 13, 14, 15, 15},                   \
  .turned = {10, 9, 8, 11, 6, 5, 4, 7, 2, 1, 0, 3, 14, 13, 12, 15}
static const CordsWinogradSize stride2 = {SIDES(5, 2), STRIDE2}, stride2_adjoint = {SIDES(3, 4), STRIDE2};

#define TEMPLATE "conv/winograd_transform.inc"
#include "conv/vector_types.inc"

#define TRANSFORM_OF(type, name) ((type) == CORDS_F64 ? &name##F64 : (type) == CORDS_BF16 ? &name##BF16 : &name##F32)

const CordsWinogradTransform *CordsWinogradTransformOf(CordsType type, CordsWinogradKind kind, PetscBool adjoint)
{
  switch (kind) {
  case CORDS_WINOGRAD_F2:
    return TRANSFORM_OF(type, f2);
  case CORDS_WINOGRAD_F4:
    return TRANSFORM_OF(type, f4);
  case CORDS_WINOGRAD_STRIDE2:
    break;
  }
  return adjoint ? TRANSFORM_OF(type, stride2_adjoint) : TRANSFORM_OF(type, stride2);
}

const CordsWinogradSize *CordsWinogradSizeOf(CordsWinogradKind kind, PetscBool adjoint)
{
  return CordsWinogradTransformOf(CORDS_F32, kind, adjoint)->size;
}
