#include "conv/pieces.h"

void CordsPiecesStart(CordsPieces *p, PetscInt64 count, PetscInt threads)
{
  p->shares = PetscMin(threads, CORDS_PIECES_SHARES_MAX);
  for (PetscInt k = 0; k < p->shares; k++)
    p->share[k] = (CordsPiecesShare){k * count / p->shares, (k + 1) * count / p->shares};
}

PetscInt64 CordsPiecesTake(CordsPieces *p, PetscInt thread)
{
  for (PetscInt k = 0; k < p->shares; k++) {
    CordsPiecesShare *share = &p->share[(thread + k) % p->shares];
    PetscInt64 next;
#pragma omp atomic read
    next = share->next;
    if (next >= share->end) continue; /* nor is it written to again */
#pragma omp atomic capture
    next = share->next++;
    if (next < share->end) return next;
  }
  return -1;
}
