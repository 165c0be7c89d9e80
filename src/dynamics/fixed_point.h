/* Fixed points F(r; image) = 0 by Newton's method on the true residual with the exact Jacobian.

   Method     SNES newtonls (back-tracking line search) with GMRES on the matrix-free Jacobian.  With relu F is
   piecewise linear and the method semi-smooth: once the set of active neurons is right one step ends it. Start      a
   short Euler run from r = 0.  Where Newton fails from there the Euler run is made longer, a few times. block      area
   by area: the input of area i comes from the fixed points of the areas below (the default) whole      all areas in one
   system: slower, and the check of the other

   References: Qi, Sun, "A nonsmooth version of Newton's method", Math. Programming 58 (1993); SPEC section 1. */
#ifndef CORDS_DYNAMICS_FIXED_POINT_H
#define CORDS_DYNAMICS_FIXED_POINT_H

#include "dynamics/problem.h"

#include <petscsnes.h>

typedef enum { CORDS_FIXED_POINT_BLOCK, CORDS_FIXED_POINT_WHOLE } CordsFixedPointMethod;
extern const char *const CordsFixedPointMethodNames[];
enum { CORDS_FIXED_POINT_METHOD_COUNT = 2 };

typedef struct {
  PetscInt method;
  PetscReal tolerance; /* of CordsProblemResidualNorm over the whole network; the solver is asked for 1000 times less */
  PetscInt euler_steps; /* of the start */
  PetscInt retries;     /* times the start is made longer, each by 4 times more steps than before */
} CordsFixedPointSettings;

/* Declare and read the -fixed_points_* options, those of SNES, KSP and PC included.  Collective. */
PetscErrorCode CordsFixedPointConfigure(CordsFixedPointSettings *settings);

/* What is known of one fixed point; non-convergence is a result, not an error. */
typedef struct {
  PetscReal tolerance;         /* asked */
  PetscReal residual_norm_rel; /* reached, recomputed outside the solver over the whole network */
  SNESConvergedReason reason;  /* SNES's; the worst of the areas */
  PetscInt newton_iterations;  /* of all areas and all attempts */
  PetscInt linear_iterations;
} CordsFixedPoint;

static inline PetscBool CordsFixedPointConverged(PetscInt reason, PetscReal residual_norm_rel, PetscReal tolerance)
{
  return (PetscBool)(reason > 0 && residual_norm_rel <= tolerance);
}

/* Solve for the image of the problem.  state: all neurons (of this rank), overwritten; finite even where nothing
   converged.  Leaves the drives of the problem (CordsProblemSetDrive) at this state with method block.  Collective on
   the problem's domain group, whose ranks all get the same answer. */
PetscErrorCode CordsFixedPointSolve(CordsProblem problem, const CordsFixedPointSettings *settings, double *state,
                                    CordsFixedPoint *point);

#endif
