/* What becomes of the sums of a convolution while they are still at hand: the four operations on images in conv.h are
   two directions, from input to output and back, with three finishes. */
#ifndef CORDS_CONV_FINISH_H
#define CORDS_CONV_FINISH_H

#include "conv/conv.h"

typedef enum { CORDS_FINISH_PLAIN, CORDS_FINISH_STEP, CORDS_FINISH_STEP_ADJOINT } CordsFinishKind;

/* Contracts of CordsConvForwardFrom, CordsConvStep, CordsConvStepAdjoint. */
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

static inline size_t CordsMaskWordsPerPixel(PetscInt channels)
{
  return (size_t)(channels + 15) / 16;
}

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
                       .words = CordsMaskWordsPerPixel(out_channels)};
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
                       .words = CordsMaskWordsPerPixel(out_channels)};
}

#endif
