/* Which input pixel each tap of an output pixel reads, and the weights in the order in which the direct kernels read
   them: one direction of a convolution. */
#ifndef CORDS_CONV_ROUTE_H
#define CORDS_CONV_ROUTE_H

#include "conv/conv.h"

enum { CORDS_ROUTE_WIDTH_MAX = 4 /* vectors of a channel block */ };

/* Output pixels that have the same taps: all of them forwards; backwards those that fall alike between strides. */
typedef struct {
  PetscInt pixel_count, tap_count;
  PetscInt *pixels; /* places in the output image */
  PetscInt *taps;   /* places in the kernel */
  int32_t *sources; /* [pixel][tap]: bytes from the start of the input image, −1 outside */
  /* the first pixels, those that read a given box only (CordsRouteDivide), and their sources in an image of this box */
  PetscInt early_count;
  int32_t *early_sources;
} CordsRouteClass;

typedef struct {
  CordsType type;
  PetscInt in_pixels, in_channels, out_pixels, out_channels, tap_count;
  PetscInt early_pixels; /* of the box */
  PetscInt class_count;
  CordsRouteClass *classes;
  size_t unit_size;                       /* what one multiplication reads of an image: a number, or a pair of bf16 */
  PetscInt lanes, vectors;                /* sums in a vector of 64 bytes; vectors of all output channels */
  PetscInt units, part_units, part_count; /* of all input channels, of a part that fits into the second-level cache */
  PetscBool borrowed;                     /* panels belong to somebody else */
  void *panels;                           /* [block][part][tap][unit][block's vectors · lanes], NULL until packed */
} CordsRoute;

/* adjoint: from output to input of the shape.  Owned: CordsRouteDestroy. */
PetscErrorCode CordsRouteCreate(const CordsConvShape *shape, CordsType type, PetscBool adjoint, CordsRoute *route);
PetscErrorCode CordsRouteDestroy(CordsRoute *route);

/* In every class the pixels that read nothing outside a box come first, in their order.  The box may reach beyond the
   input image, which has in_columns. */
PetscErrorCode CordsRouteDivide(CordsRoute *route, PetscInt in_columns, const CordsBox *early);

/* weights: M [out][in][row][column] */
PetscErrorCode CordsRoutePack(CordsRoute *forward, const void *weights);
/* The panels of the other direction from those forwards. */
PetscErrorCode CordsRoutePackAdjoint(const CordsRoute *forward, CordsRoute *adjoint);

/* Bytes of all panels. */
size_t CordsRoutePanelBytes(const CordsRoute *route);
/* Address of the row of lanes that holds (vector, tap, in channel) in the panels. */
void *CordsRoutePanelRow(const CordsRoute *route, PetscInt vector, PetscInt tap, PetscInt channel);

/* log2 of the vectors of the channel block that starts where so many are left */
static inline PetscInt CordsRouteLogWidth(PetscInt vectors_left)
{
  return vectors_left >= 4 ? 2 : vectors_left >= 2 ? 1 : 0;
}

/* First vector of share number `share` of `shares` of the output channels, in whole blocks. */
static inline PetscInt CordsRouteShareStart(const CordsRoute *route, PetscInt share, PetscInt shares)
{
  const PetscInt blocks = (route->vectors + CORDS_ROUTE_WIDTH_MAX - 1) / CORDS_ROUTE_WIDTH_MAX;

  return PetscMin(share * blocks / shares * CORDS_ROUTE_WIDTH_MAX, route->vectors);
}

static inline PetscInt CordsRoutePartUnits(const CordsRoute *route, PetscInt part)
{
  return PetscMin(route->part_units, route->units - part * route->part_units);
}

/* Start of a part of the block of `width` vectors that begins at `vector`. */
static inline void *CordsRoutePanel(const CordsRoute *route, PetscInt vector, PetscInt width, PetscInt part)
{
  size_t before =
      (size_t)vector * route->lanes * route->units + (size_t)part * route->part_units * width * route->lanes;

  return (char *)route->panels + before * route->tap_count * route->unit_size;
}

#endif
