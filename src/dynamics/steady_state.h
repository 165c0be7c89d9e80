/* Steady states of a batch of images and the linear systems of their gradients, area by area, fast enough to train
   with.

   fixed_point.h finds one state of one image in float64 to 1e-10; this finds the states of all images of a batch, on
   all ranks together, in the type of the system, to the precision that training asks for.

   Method     r = φ(W r + z) with the drive z held fixed.  First relaxation r ← φ(W r + z), while the residual falls by
              at least a quarter per step; then SNES newtonls on F(r) = φ(W r + z) − r with GMRES on the matrix-free
              Jacobian D W − I, D = diag φ'(u): one system for the whole batch, block diagonal over the images.  The
              gradient needs q = D λ, λ = (I − WᵀD)⁻¹ g: the same two steps on q = D (g + Wᵀ q).
   Precision  vectors of PETSc are float64, what they are multiplied with has the system's type: converted on the way.
   Ranks      the images of a batch are spread over the ranks of `comm`, the vectors with them: inner products run over
              the whole batch, so the iterations do not depend on the number of ranks.

   References: Almeida, "A learning rule for asynchronous perceptrons", IEEE ICNN (1987); Pineda, "Generalization of
   back-propagation to recurrent neural networks", Phys. Rev. Lett. 59 (1987); Bai, Kolter, Koltun, "Deep equilibrium
   models", NeurIPS (2019). */
#ifndef CORDS_DYNAMICS_STEADY_STATE_H
#define CORDS_DYNAMICS_STEADY_STATE_H

#include "model/response.h"

typedef struct _p_CordsSteadyState *CordsSteadyState;

typedef struct {
  PetscReal tolerance;         /* |F| / max(|r|, |φ(u)|) over the batch, of each area */
  PetscReal adjoint_tolerance; /* |D g − (I − D Wᵀ) q| / |D g| over the batch, of each area */
  PetscInt steps;              /* most steps of relaxation before a solver of PETSc takes over */
} CordsSteadyStateSettings;

/* Declare and read -equilibrium_tolerance, _adjoint_tolerance, _steps and the options of SNES and KSP
   (-equilibrium_snes_*, -equilibrium_ksp_*).  Collective. */
PetscErrorCode CordsSteadyStateConfigure(CordsSteadyStateSettings *settings);
/* The defaults alone. */
void CordsSteadyStateDefault(CordsSteadyStateSettings *settings);

/* What a solve took; non-convergence is a result, not an error. */
typedef struct {
  PetscInt products;  /* with W or Wᵀ, of each image of the batch */
  PetscInt unsettled; /* images of this rank whose own relative residual is above ten times the tolerance */
  PetscBool converged;
} CordsSteadyStateResult;

/* For at most `items` images of this rank; the system (float32 or float64) is borrowed.  Collective on comm. */
PetscErrorCode CordsSteadyStateCreate(MPI_Comm comm, CordsSystem system, PetscInt items,
                                      const CordsSteadyStateSettings *settings, CordsSteadyState *steady);
PetscErrorCode CordsSteadyStateDestroy(CordsSteadyState *steady);

/* Solve for n images of an area.  z: their drives; r: the start, replaced by the best state found, finite if the start
   is.  settled: n truth values, set to false for images that are not (others are left); NULL: not wanted.  D is kept
   for the functions below until the next solve of this area.  n may be 0 on some ranks.  Collective on comm. */
PetscErrorCode CordsSteadyStateSolve(CordsSteadyState steady, PetscInt area, PetscInt n, const void *z, void *r,
                                     PetscBool *settled, CordsSteadyStateResult *result);

/* q = D (I − WᵀD)⁻¹ g: the gradient with respect to z of a function whose gradient with respect to r is g.  Collective
   on comm. */
PetscErrorCode CordsSteadyStateAdjoint(CordsSteadyState steady, PetscInt area, PetscInt n, const void *g, void *q,
                                       CordsSteadyStateResult *result);

/* An estimate of the memory of such an object, bytes; the solvers' vectors included. */
double CordsSteadyStateBytes(CordsSystem system, PetscInt items);

#endif
