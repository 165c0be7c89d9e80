/* The innermost loops of our own kernels: products of a few pixels with a few vectors of output channels whose sums
   stay in registers, and the finish of those sums (finish.h).  The same for every number type (register_tile.inc); used
   by the direct convolution for its taps and by Winograd's for each place of its transformed tiles. */
#ifndef CORDS_CONV_REGISTER_TILE_H
#define CORDS_CONV_REGISTER_TILE_H

#include "conv/finish.h"

enum { CORDS_TILE_PIXELS_MAX = 10, CORDS_TILE_PIXELS_WIDEST = 6, CORDS_TILE_VECTORS_MAX = 24 };

/* Pixels of a tile that is 1, 2 or 4 vectors wide, by log2 of the width. */
extern const PetscInt cords_tile_pixels[3];

/* sums [pixel][vector] = Σ taps × units, added to what is there if `add`.  rows [pixel][tap]: where the input pixel's
   units are; weights of tap t start at weights + starts[t] units.  prefetch: where that begins which is wanted next;
   with each unit two cache lines there are prefetched into the second level, and the place moves on by prefetch_bytes
   (0: nothing is wanted, and prefetch is anything that was just used). */
typedef void (*CordsTileFunction)(const void *const *rows, PetscInt taps, PetscInt units, const void *weights,
                                  const size_t *starts, PetscBool add, void *sums, const char *prefetch,
                                  size_t prefetch_bytes);

/* Where a pixel lies among all output pixels, and among those of `start`. */
typedef struct {
  size_t at, start_at;
} CordsTilePixel;

/* What one number type brings. */
typedef struct {
  const CordsTileFunction (*tiles)[CORDS_TILE_PIXELS_MAX]; /* [log2 width][pixels − 1] */
  /* sums [pixel][vector] of `pixels` pixels × `width` vectors, the first of which is output channel `first` of
     `channels` */
  void (*finish)(const CordsFinish *finish, PetscInt pixels, PetscInt width, const CordsTilePixel *where,
                 PetscInt channels, PetscInt first, const void *sums);
} CordsTileOperations;

const CordsTileOperations *CordsTileOperationsOf(CordsType type);

/* Threads that so many operations are worth; at most those of OMP_NUM_THREADS. */
int CordsTileThreads(double operations);

#endif
