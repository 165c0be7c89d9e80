/* Elementwise operations on blocks of n numbers.  T is `type`, M = CordsTypeMaster(type); all arrays are of T unless
   said.  Blocks too small to be shared are done by one thread. */
#ifndef CORDS_CONV_POINTWISE_H
#define CORDS_CONV_POINTWISE_H

#include "core/array.h"
#include "core/layout.h"

/* y = x from one type to another */
void CordsConvert(CordsType from, CordsType to, size_t n, const void *x, void *y);
/* This rank's tiles of n whole maps, [row][column][channel] both, in `type`. */
void CordsConvertTiles(const CordsLayout *layout, CordsType type, PetscInt n, const float *maps, void *tiles);

/* y = max(x, 0) */
void CordsRelu(CordsType type, size_t n, const void *x, void *y);
/* y = max(x, 0) + max(w, 0) */
void CordsReluSum(CordsType type, size_t n, const void *x, const void *w, void *y);
/* y[item] = max(x[item], 0) + w[item mod period] for `items` items of n numbers */
void CordsReluPeriodicSum(CordsType type, PetscInt items, PetscInt period, size_t n, const void *x, const void *w,
                          void *y);
/* y = [x > 0] · d; y += [x > 0] · d;  the adjoint of relu at x, with relu'(0) = 0; y: M */
void CordsReluAdjoint(CordsType type, size_t n, const void *x, const void *d, void *y);
void CordsReluAdjointAdd(CordsType type, size_t n, const void *x, const void *d, void *y);
/* y += a · x */
void CordsAxpy(CordsType type, size_t n, double a, const void *x, void *y);
/* y = a · y */
void CordsScale(CordsType type, size_t n, double a, void *y);
/* y = a · x · w, elementwise; y may be x */
void CordsMultiply(CordsType type, size_t n, double a, const void *x, const void *w, void *y);
/* y[item][e] += x[item mod period][e] for `items` items of n numbers: the same bias or drive for many items */
void CordsAddPeriodic(CordsType type, PetscInt items, PetscInt period, size_t n, const void *x, void *y);
/* Whether no number is negative, or NaN; float32 or float64. */
PetscBool CordsNonNegative(CordsType type, size_t n, const void *x);
/* Σ x², Σ w², Σ (x − w)² in double precision; float32 or float64 */
void CordsSquares(CordsType type, size_t n, const void *x, const void *w, double sums[3]);
/* x[item mod period][e] += y[item][e], summed in the order of items: the adjoint of CordsAddPeriodic; x: M */
void CordsSumPeriodic(CordsType type, PetscInt items, PetscInt period, size_t n, const void *y, void *x);

#endif
