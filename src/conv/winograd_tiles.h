/* The tiles of a call of a Winograd convolution: what they read, transformed, and what becomes of their sums. */
#ifndef CORDS_CONV_WINOGRAD_TILES_H
#define CORDS_CONV_WINOGRAD_TILES_H

#include "conv/backend.h"
#include "conv/register_tile.h"
#include "conv/winograd_grid.h"

typedef struct {
  const CordsWinogradGrid *grid;
  const CordsWinogradTransform *transform;
  const CordsTileOperations *operations;
  PetscInt lanes; /* of a vector */
  const CordsFinish *finish;
  const char *x;
  const void *zeros;     /* a pixel outside the image */
  const int32_t *inputs; /* of the grid */
  PetscInt in_pixels;    /* of an image of x */
  size_t pixel_bytes;
  PetscInt start, count; /* of each item */
  PetscInt64 all;        /* tiles of all items; they are numbered through */
} CordsWinogradTiles;

/* Of a part of n images x; zeros: T, as many as x has channels.  Everything given stays borrowed. */
CordsWinogradTiles CordsWinogradTilesOf(const CordsWinogradGrid *grid, const CordsWinogradTransform *transform,
                                        CordsType type, CordsConvPart part, PetscInt n, const void *x,
                                        const void *zeros, const CordsFinish *finish);

/* What a tile reads, Bᵀ d B, of `channels` input channels (whole vectors) from `first` on; place k, T, goes to `to` + k
   · place_bytes. */
void CordsWinogradTilesInput(const CordsWinogradTiles *tiles, PetscInt64 tile, PetscInt first, PetscInt channels,
                             void *to, size_t place_bytes);

/* The finish of a tile for `width` vectors of output channels from number `vector` on.  products: vectors of M, place k
   at products + k · place_bytes. */
void CordsWinogradTilesFinish(const CordsWinogradTiles *tiles, PetscInt64 tile, PetscInt vector, PetscInt width,
                              const void *products, size_t place_bytes);

#endif
