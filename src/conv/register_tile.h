/* The innermost loops of our own kernels: products of a few pixels with a few vectors of output channels whose sums
   stay in registers, and what becomes of finished sums.  The same for every number type (register_tile.inc); used by
   the direct convolution for its taps and by Winograd's for each place of its transformed tiles. */
#ifndef CORDS_CONV_REGISTER_TILE_H
#define CORDS_CONV_REGISTER_TILE_H

#include "conv/conv.h"

enum { CORDS_TILE_PIXELS_MAX = 10, CORDS_TILE_VECTORS_MAX = 24 };

/* Pixels of a tile that is 1, 2 or 4 vectors wide, by log2 of the width. */
extern const PetscInt cords_tile_pixels[3];

/* sums [pixel][vector] = Σ taps × units, added to what is there if `add`.  rows [pixel][tap]: where the input pixel's
   units are; weights of tap t start at weights + starts[t] units. */
typedef void (*CordsTileFunction)(const void *const *rows, PetscInt taps, PetscInt units, const void *weights,
                                  const size_t *starts, PetscBool add, void *sums);

typedef enum { CORDS_FINISH_PLAIN, CORDS_FINISH_STEP, CORDS_FINISH_STEP_ADJOINT } CordsFinishKind;

/* What is done with finished sums; contracts of CordsConvForwardFrom, CordsConvStep, CordsConvStepAdjoint. */
typedef struct {
  CordsFinishKind kind;
  CordsConvLaw law;
  const void *start; /* or z */
  PetscInt period;
  void *y;           /* or du_before */
  const void *r, *g; /* r is `later` of the adjoint */
  void *r_next;      /* or λ */
  void *x_next;
  uint16_t *mask_out;
  const uint16_t *mask_in;
  size_t words; /* of a mask, per pixel */
} CordsFinish;

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

/* The three finishes of a convolution whose output is of `out_channels` channels. */
static inline CordsFinish CordsFinishPlain(const void *start, PetscInt period, void *y)
{
  return (CordsFinish){.kind = CORDS_FINISH_PLAIN, .start = start, .period = PetscMax(period, 1), .y = y};
}

static inline CordsFinish CordsFinishStep(PetscInt out_channels, const CordsConvLaw *law, const void *z,
                                          PetscInt period, const void *r, void *r_next, void *x_next, uint16_t *mask)
{
  return (CordsFinish){.kind = CORDS_FINISH_STEP,
                       .law = *law,
                       .start = z,
                       .period = period,
                       .r = r,
                       .r_next = r_next,
                       .x_next = x_next,
                       .mask_out = mask,
                       .words = (size_t)(out_channels + 15) / 16};
}

static inline CordsFinish CordsFinishStepAdjoint(PetscInt out_channels, PetscInt n, const CordsConvLaw *law,
                                                 const void *g, const void *later, const uint16_t *mask, void *lambda,
                                                 void *du_before)
{
  return (CordsFinish){.kind = CORDS_FINISH_STEP_ADJOINT,
                       .law = *law,
                       .period = n,
                       .y = du_before,
                       .r = later,
                       .g = g,
                       .r_next = lambda,
                       .mask_in = mask,
                       .words = (size_t)(out_channels + 15) / 16};
}

#endif
