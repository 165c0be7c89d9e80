/* Pieces of a call's work that threads share.  Each thread begins with a share of its own, piece by piece in order, so
   that it meets the same images in call after call; then it takes what others have not begun, so that a core that is
   slower, or busy with something else for a moment, holds nobody up. */
#ifndef CORDS_CONV_PIECES_H
#define CORDS_CONV_PIECES_H

#include <petscsys.h>

enum { CORDS_PIECES_SHARES_MAX = 64 }; /* more threads than that have shares together */

typedef struct {
  _Alignas(64) PetscInt64 next; /* in a line of the cache of its own */
  PetscInt64 end;
} CordsPiecesShare;

typedef struct {
  PetscInt shares;
  CordsPiecesShare share[CORDS_PIECES_SHARES_MAX];
} CordsPieces;

/* Pieces 0 .. count − 1 in equal shares. */
void CordsPiecesStart(CordsPieces *pieces, PetscInt64 count, PetscInt threads);

/* A piece that nobody was given before; −1: there is none left.  By any thread at any time. */
PetscInt64 CordsPiecesTake(CordsPieces *pieces, PetscInt thread);

#endif
