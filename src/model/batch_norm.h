/* Batch normalisation over images and pixels of all ranks (Ioffe, Szegedy, 2015), as PyTorch does it: ε 1e-5, momentum
   0.1, biased variance to normalise, unbiased in the running estimate.  Stage 1 only.

   x, y [item][pixel][channel] in `type`; statistics in float64; weight, bias, running [channel] float32. */
#ifndef CORDS_MODEL_BATCH_NORM_H
#define CORDS_MODEL_BATCH_NORM_H

#include "core/array.h"
#include "core/context.h"
#include "core/traffic.h"

#define CORDS_BATCH_NORM_EPSILON 1e-5

typedef struct {
  PetscInt pixels, channels;
} CordsBatchNormShape;

/* Mean and biased variance of each channel over all ranks' items; count: numbers averaged.  Collective. */
PetscErrorCode CordsBatchNormStatistics(CordsContext context, CordsType type, CordsBatchNormShape shape, PetscInt items,
                                        const void *x, double *mean, double *variance, double *count);

/* What a rank of `size` sends for that. */
CordsTraffic CordsBatchNormTraffic(PetscInt size, PetscInt channels);

/* running = 0.9 running + 0.1 new; the variance unbiased by count / (count − 1). */
void CordsBatchNormUpdateRunning(PetscInt channels, const double *mean, const double *variance, double count,
                                 float *running_mean, float *running_variance);

/* y = weight (x − mean) / √(variance + ε) + bias, and if relu the larger of this and 0; y may be x. */
void CordsBatchNormApply(CordsType type, CordsBatchNormShape shape, PetscInt items, const void *x, const double *mean,
                         const double *variance, const float *weight, const float *bias, PetscBool relu, void *y);

/* dx from dy through the normalisation with batch statistics over `count` numbers; dweight, dbias += this rank's part.
   rate: the y of a normalisation with relu, where dy is that of y; else NULL.  dx may be dy.  Collective. */
PetscErrorCode CordsBatchNormBackward(CordsContext context, CordsType type, CordsBatchNormShape shape, PetscInt items,
                                      const void *x, const double *mean, const double *variance, double count,
                                      const float *weight, const void *rate, const void *dy, void *dx, float *dweight,
                                      float *dbias);

#endif
