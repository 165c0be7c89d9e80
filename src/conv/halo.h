/* What a rank needs of a map beyond its own tile, fetched from the ranks that own it.

   Every rank of a domain group owns a tile of a map (core/layout) and needs a window of it: for a convolution the
   pixels that its own outputs read.  A window may reach over any number of tiles — maps that are smaller than the grid
   leave ranks without pixels, and strides make tiles of two areas end at different places.  It never reaches beyond the
   map: what is outside is zero and belongs to the padding of the convolution.

   The way back, ∂L/∂x of what a rank owns, is another window: of ∂L/∂y, gathered in the same way (conv/cut_conv).  So
   every number is added up on one rank in the order in which one rank alone would do it, and there is no scatter. */
#ifndef CORDS_CONV_HALO_H
#define CORDS_CONV_HALO_H

#include "core/array.h"
#include "core/box.h"
#include "core/context.h"

typedef struct _p_CordsHalo *CordsHalo;

/* rows × columns × channels: the map; window: what this rank needs of it (empty where it needs nothing).  Collective on
   the context's domain group, all of which must outlive the halo. */
PetscErrorCode CordsHaloCreate(CordsContext context, PetscInt rows, PetscInt columns, PetscInt channels,
                               const CordsBox *window, CordsHalo *halo);
PetscErrorCode CordsHaloDestroy(CordsHalo *halo);

/* Start filling a window from the tiles: tile, window [n][row][column][channel] of `type`.  One message from every rank
   that owns a part of the window, for all n items.  unread: a box of the map inside both tile and window, or empty;
   there the window is not written, for who reads the tile instead.  NULL: the whole window is wanted.  Between Begin
   and End the tile may be read, and of the window what the rank owns itself.  Collective; one exchange of a halo at a
   time. */
PetscErrorCode CordsHaloBegin(CordsHalo halo, CordsType type, PetscInt n, const void *tile, const CordsBox *unread,
                              void *window);
PetscErrorCode CordsHaloEnd(CordsHalo halo);

#endif
