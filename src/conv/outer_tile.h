/* The innermost loop of weight gradients: outer products whose sums, a few input channels × vectors of output channels,
   stay in registers while pixels run by. */
#ifndef CORDS_CONV_OUTER_TILE_H
#define CORDS_CONV_OUTER_TILE_H

#include "core/array.h"

enum { CORDS_OUTER_CHANNELS_MAX = 6, CORDS_OUTER_WIDTH_MAX = 4 };

/* dw tile [channel][vector] += Σ_p rows[p][channel] · panel[p][vector] from input channel `channel` on; rows and panel
   hold units: numbers, or pairs of bf16 (the same channel of two pixels).  stride: NUMBERs from one input channel of dw
   to the next; lanes_last: those of the last vector that exist. */
typedef void (*CordsOuterFunction)(PetscInt pixels, const void *const *rows, PetscInt channel, const void *panel,
                                   void *dw, size_t stride, PetscInt lanes_last);

/* [log2 of the width in vectors][channels − 1] */
const CordsOuterFunction (*CordsOuterTiles(CordsType type))[CORDS_OUTER_CHANNELS_MAX];

/* The same for a whole vector of input channels where all lies in one piece: rows, units [pixel][lane], times panel,
   units [pixel][vector of output channels][lane], to dw, NUMBERs [input channel][vector][lane], 64-byte aligned. */
typedef void (*CordsOuterVectorFunction)(PetscInt pixels, const void *rows, const void *panel, void *dw);

/* [log2 of the width in vectors] */
const CordsOuterVectorFunction *CordsOuterVectors(CordsType type);

#endif
