/* Newton's method with matrix-free GMRES, as fixed_point.h and steady_state.h use it: PETSc's SNES newtonls without a
   preconditioner, defaults of each of them, then the user's options.

   No preconditioner: pixel-block Jacobi (the blocks −I + D K of the kernel's centre tap) took 1.2, 1.0 and 0.95 times
   the GMRES iterations of none with random recurrent weights of 1, 1.5 and 2 times the usual size, because the leak −I
   already clusters the spectrum and the off-centre taps are as large as the centre. */
#ifndef CORDS_DYNAMICS_NEWTON_H
#define CORDS_DYNAMICS_NEWTON_H

#include <petscsnes.h>

typedef struct {
  const char *prefix;         /* of the options, such as "fixed_points_"; a string that stays */
  PetscBool own_tolerances;   /* whether the user may set -snes_rtol, _atol, _stol; else the caller sets them */
  PetscInt iterations;        /* most of Newton's method */
  PetscInt evaluations;       /* most of the residual */
  PetscInt linear_failures;   /* linear solves that may end early before Newton's method gives up */
  PetscReal linear_tolerance; /* relative residual of the linear systems */
  PetscInt linear_iterations; /* most of GMRES */
  PetscInt restart;           /* vectors of GMRES' basis */
} CordsNewtonDefaults;

/* Make the options of SNES and KSP known and let PETSc read them once, so that a mistake in them is found before the
   work.  Collective.  Errors: a value that SNES or KSP refuse. */
PetscErrorCode CordsNewtonConfigure(const CordsNewtonDefaults *defaults);

/* A solver of the ranks of comm, all tolerances of SNES zero unless the user gave them; SNESDestroy by the caller.
   Collective on comm. */
PetscErrorCode CordsNewtonCreate(MPI_Comm comm, const CordsNewtonDefaults *defaults, SNES *snes);

/* Vectors of the unknowns' size that such a solver and its caller's state and residual take at most, with the user's
   options. */
PetscErrorCode CordsNewtonVectors(const CordsNewtonDefaults *defaults, PetscInt *vectors);

/* What a matrix-free Jacobian must say when it has been linearised anew, for the linear solver to notice. */
PetscErrorCode CordsNewtonJacobianChanged(Mat jacobian);

#endif
