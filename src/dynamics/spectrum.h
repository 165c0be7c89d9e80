/* Rightmost eigenpairs of the Jacobian at a fixed point, in units of 1/τ: stable means real parts < 0.

   Method     SLEPc's Krylov–Schur method on the active neurons (active.h), for the eigenvalues of largest real part,
   with a large subspace: the spectrum of an untrained recurrent convolution fills a disc with a hard edge, the worst
   case.  The eigenvalues −τ/τ_i of inactive neurons are known and merged in. Residual   recomputed from the full
   Jacobian, in real arithmetic for complex pairs: |J x − λ x| / (|x| max(|λ|, 1))          with the leak, 1, as the
   least size, so that it does not blow up at λ = 0; for inactive neurons |Jᵀ e_k − λ e_k| with the left eigenvector
   e_k.

   References: Stewart, "A Krylov–Schur algorithm for large eigenproblems", SIAM J. Matrix Anal. Appl. 23 (2002). */
#ifndef CORDS_DYNAMICS_SPECTRUM_H
#define CORDS_DYNAMICS_SPECTRUM_H

#include "dynamics/active.h"

#include <slepceps.h>
#include <stdint.h>

typedef struct {
  double re, im;
} CordsEigenvalue; /* as io's CORDS_FILE_COMPLEX */

typedef struct {
  PetscInt count;      /* eigenpairs of each area, and of the whole */
  PetscReal tolerance; /* asked of the residual above */
} CordsSpectrumSettings;

/* Declare and read -stability_count, -stability_tolerance and the options of EPS with prefix -stability_. */
PetscErrorCode CordsSpectrumConfigure(CordsSpectrumSettings *settings);

typedef struct {
  PetscInt count; /* pairs found, at most settings->count */
  CordsEigenvalue *eigenvalues;
  PetscReal *residuals;      /* recomputed, relative */
  PetscInt converged;        /* how many of them are within the tolerance */
  EPSConvergedReason reason; /* EPS's; EPS_CONVERGED_TOL also where nothing had to be solved */
  PetscInt products;         /* Jacobian-vector products */
} CordsSpectrum;

/* Rightmost pairs at the newest linearisation of the problem, sorted by falling real part, then by rising |imaginary
   part|, positive first.  area may be CORDS_ALL_AREAS.  seed and point: key of the start vector, so that results do not
   depend on ranks.  Where EPS does not find all there are fewer than asked.  Free with CordsSpectrumDestroy. Collective
   on the problem's domain group, whose ranks all get the same answer: each keeps its part of the Krylov basis. */
PetscErrorCode CordsSpectrumSolve(CordsProblem problem, PetscInt area, const CordsSpectrumSettings *settings,
                                  uint64_t seed, uint64_t point, CordsSpectrum *spectrum);
PetscErrorCode CordsSpectrumDestroy(CordsSpectrum *spectrum);

/* Sort as CordsSpectrumSolve does, carrying other[] (may be NULL) along. */
PetscErrorCode CordsEigenvaluesSort(PetscInt n, CordsEigenvalue eigenvalues[], PetscReal other[]);

/* How well n eigenvalues, claimed to be the rightmost, agree with a set of `all_count` that contains them (both
   sorted): the largest distance between each of them and its partner in `all` (nearest one not yet taken), or, if it is
   larger, how far an eigenvalue of `all` that got no partner lies to the right of the last of the n.  Infinite if
   all_count < n. */
PetscReal CordsEigenvaluesDifference(PetscInt n, const CordsEigenvalue rightmost[], PetscInt all_count,
                                     const CordsEigenvalue all[]);

#endif
