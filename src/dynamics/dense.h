/* All eigenvalues of a dense matrix, by all ranks together: what proves the iterative answer, and the whole spectrum of
   an area that is small enough.

   Method     The matrix is spread block-cyclically over a grid of ranks that is as square as their number allows, and
              reduced to Hessenberg form by ScaLAPACK (PDGEHRD); then rank 0 gathers it and takes the eigenvalues with
              LAPACK's QR algorithm (DHSEQR).  2 n² · 8 bytes on rank 0, about 10/3 n³ flops shared and 10 n³ on rank 0.
              The QR step is not ScaLAPACK's: with version 2.2.1 as packaged, PDHSEQR understates its work space
   (PDTRORD and PDLAQR1 then refuse) and gave wrong eigenvalues from n = 300 on, PDLAHQR on more than one rank; both
              report success.  The tests compare with DGEEV on matrices large enough to see that.
   Check      the eigenvalues must add up to the trace.
*/
#ifndef CORDS_DYNAMICS_DENSE_H
#define CORDS_DYNAMICS_DENSE_H

#include "dynamics/spectrum.h"

#include "core/context.h"

/* Write column k, n numbers.  Called on the ranks that hold a part of the column. */
typedef PetscErrorCode (*CordsDenseColumn)(void *context, PetscInt k, double *column);

/* eigenvalues: n of them, the same on every rank, sorted by falling real part; converged is false if the QR algorithm
   gave up or the eigenvalues do not add up to the trace (then they mean nothing).  Collective on context->comm. */
PetscErrorCode CordsDenseEigenvalues(CordsContext context, PetscInt n, CordsDenseColumn column, void *column_context,
                                     CordsEigenvalue eigenvalues[], PetscBool *converged);

/* All eigenvalues of an area: those of its active neurons by the function above, the others known.  Every rank has the
   same linearisation in its problem.  eigenvalues: CordsProblemSize of them.  Collective on context->comm. */
PetscErrorCode CordsDenseSpectrum(CordsContext context, CordsActive active, CordsEigenvalue eigenvalues[],
                                  PetscBool *converged);

#endif
