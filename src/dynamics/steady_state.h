/* Steady states of images and the linear systems of their gradients, area by area, fast enough to train with.

   fixed_point.h finds one state in float64 to 1e-10; this finds the states of a batch in the type of the system, to the
   precision that training asks for.

   Method     r = φ(W r + z) with the drive z held fixed.  First relaxation r ← φ(W r + z), while the residual falls by
              at least a quarter per step; then SNES newtonls on F(r) = φ(W r + z) − r with GMRES on the matrix-free
              Jacobian D W − I, D = diag φ'(u).  The gradient needs q = D λ, λ = (I − WᵀD)⁻¹ g: the same two steps on
              q = D (g + Wᵀ q).
   Images     one after the other, each as long as it needs: the result of an image does not depend on which others
              are solved with it, on this rank or another, and the solvers' vectors are those of one image.
   Ranks      where the system's maps are cut (CordsSystemCreateCut) states and vectors are spread over the ranks of the
              domain group, on which everything but the options is collective: whatever decides what comes next, norms
              above all, is the same on all of them.
   Precision  vectors of PETSc are float64, what they are multiplied with has the system's type: converted on the way.

   References: Almeida, "A learning rule for asynchronous perceptrons", IEEE ICNN (1987); Pineda, "Generalization of
   back-propagation to recurrent neural networks", Phys. Rev. Lett. 59 (1987); Bai, Kolter, Koltun, "Deep equilibrium
   models", NeurIPS (2019). */
#ifndef CORDS_DYNAMICS_STEADY_STATE_H
#define CORDS_DYNAMICS_STEADY_STATE_H

#include "model/response.h"

typedef struct _p_CordsSteadyState *CordsSteadyState;

typedef struct {
  PetscReal tolerance;         /* |F| / max(|r|, |φ(u)|) of each image in each area */
  PetscReal adjoint_tolerance; /* |D g − (I − D Wᵀ) q| / |D g| of each image in each area */
  PetscInt steps;              /* most steps of relaxation before a solver of PETSc takes over */
} CordsSteadyStateSettings;

/* Declare and read -equilibrium_tolerance, _adjoint_tolerance, _steps and the options of SNES and KSP
   (-equilibrium_snes_*, -equilibrium_ksp_*).  Collective. */
PetscErrorCode CordsSteadyStateConfigure(CordsSteadyStateSettings *settings);
/* The defaults alone. */
void CordsSteadyStateDefault(CordsSteadyStateSettings *settings);

/* What the solves of n images took; non-convergence is a result, not an error. */
typedef struct {
  PetscInt products;   /* with W or Wᵀ, summed over the images */
  PetscInt unsettled;  /* images whose relative residual is above ten times the tolerance */
  PetscBool converged; /* all of them */
} CordsSteadyStateResult;

/* For at most `items` images at a time; the system (float32 or float64) is borrowed. */
PetscErrorCode CordsSteadyStateCreate(CordsSystem system, PetscInt items, const CordsSteadyStateSettings *settings,
                                      CordsSteadyState *steady);
PetscErrorCode CordsSteadyStateDestroy(CordsSteadyState *steady);

/* Solve for n images of an area.  z: their drives; r: the starts, replaced by the best states found, finite if the
   starts are; both [item] of the area's neurons.  settled: n truth values, set to false for images that are not (others
   are left); NULL: not wanted.  D is kept for the function below until the next solve of this area. */
PetscErrorCode CordsSteadyStateSolve(CordsSteadyState steady, PetscInt area, PetscInt n, const void *z, void *r,
                                     PetscBool *settled, CordsSteadyStateResult *result);

/* q = D (I − WᵀD)⁻¹ g: the gradient with respect to z of a function whose gradient with respect to r is g. */
PetscErrorCode CordsSteadyStateAdjoint(CordsSteadyState steady, PetscInt area, PetscInt n, const void *g, void *q,
                                       CordsSteadyStateResult *result);

/* The most memory of such an object on this rank, bytes; the solvers' vectors included. */
PetscErrorCode CordsSteadyStateBytes(CordsSystem system, PetscInt items, double *bytes);

#endif
