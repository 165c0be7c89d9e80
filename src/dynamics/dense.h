/* All eigenvalues of a dense matrix, by all ranks together: what proves the iterative answer, and the whole spectrum of
   an area that is small enough.

   Method     ScaLAPACK: reduction to Hessenberg form (PDGEHRD), then the QR algorithm (PDHSEQR) for the eigenvalues
   alone. The matrix is spread block-cyclically over a grid of ranks that is as square as their number allows: n² · 8
   bytes in all, about 10 n³ + 10/3 n³ floating-point operations. References: Granat, Kågström, Kressner, Shao,
   "Algorithm 953", ACM TOMS 41 (2015). */
#ifndef CORDS_DYNAMICS_DENSE_H
#define CORDS_DYNAMICS_DENSE_H

#include "dynamics/spectrum.h"

#include "core/context.h"

/* Write column k, n numbers.  Called on the ranks that hold a part of the column. */
typedef PetscErrorCode (*CordsDenseColumn)(void *context, PetscInt k, double *column);

/* eigenvalues: n of them, the same on every rank, sorted by falling real part; converged is false if the QR algorithm
   gave up (then they mean nothing).  Collective on context->comm. */
PetscErrorCode CordsDenseEigenvalues(CordsContext context, PetscInt n, CordsDenseColumn column, void *column_context,
                                     CordsEigenvalue eigenvalues[], PetscBool *converged);

/* All eigenvalues of an area: those of its active neurons by the function above, the others known.  Every rank has the
   same linearisation in its problem.  eigenvalues: CordsProblemSize of them.  Collective on context->comm. */
PetscErrorCode CordsDenseSpectrum(CordsContext context, CordsActive active, CordsEigenvalue eigenvalues[],
                                  PetscBool *converged);

#endif
