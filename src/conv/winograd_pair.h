/* A Winograd convolution forwards and backwards: what its backends have in common, however they keep weights.  The data
   of such a backend begin with it, and the functions with a `data` serve in its table. */
#ifndef CORDS_CONV_WINOGRAD_PAIR_H
#define CORDS_CONV_WINOGRAD_PAIR_H

#include "conv/winograd_tiles.h"

/* From input to output, or back. */
typedef struct {
  const CordsWinogradTransform *transform;
  CordsWinogradGrid grid;
  size_t panel_bytes; /* set by the backend */
  char *panels;       /* its weights; NULL until CordsWinogradAllocatePanels */
} CordsWinogradDirection;

typedef struct {
  CordsType type;
  CordsWinogradDirection forward, adjoint;
  PetscBool adjoint_packed;
  void *zeros; /* a pixel outside the image, T */
} CordsWinogradPair;

/* Whole vectors of channels, and the taps and the stride of a kind. */
PetscBool CordsWinogradFits(const CordsConvShape *shape, CordsType type, CordsWinogradKind kind);

/* Of a shape that fits.  Owned: CordsWinogradPairDestroy. */
PetscErrorCode CordsWinogradPairCreate(const CordsConvShape *shape, CordsType type, CordsWinogradKind kind,
                                       CordsWinogradPair *pair);
PetscErrorCode CordsWinogradPairDestroy(CordsWinogradPair *pair);

/* Memory for the panels of a direction, if it has none yet; with anything in them. */
PetscErrorCode CordsWinogradAllocatePanels(CordsWinogradDirection *direction);

/* The tiles of a run; everything given stays borrowed. */
CordsWinogradTiles CordsWinogradPairTiles(const CordsWinogradPair *pair, PetscBool adjoint, CordsConvPart part,
                                          PetscInt n, const void *x, const CordsFinish *finish);

/* Entries of a backend's table (backend.h). */
void CordsWinogradPairLaterBytes(void *data, CordsConvOperation operation, double *own, double *shared);
PetscErrorCode CordsWinogradPairDivide(void *data, PetscBool adjoint, const CordsBox *early);
PetscErrorCode CordsWinogradPairBackwardWeights(void *data, PetscInt n, const void *x, const void *dy, void *dw);
PetscErrorCode CordsWinogradPairDividedWeights(void *data, PetscInt n, const void *early, const void *x, const void *dy,
                                               void *dw);

#endif
