/* A network in float64 looking at one image, as the solvers of this folder see it: vectors, residual, Jacobian.

     dr/dt = R(r) in units of 1/τ with τ = tau_ms of area 0:   R_i = (τ/τ_i) F_i(r; image),   F of model/system.h

   Everything exists twice: for one area, whose input from the areas below is held fixed, and for all of them together
   (area = CORDS_ALL_AREAS).  A vector has the neurons of that area, or of all areas one after the other, as
   [row][column][channel].

   Ranks      Every domain group has problems of its own, for its own images.  Vec and Mat live on the group's
              communicator; the part of a rank, and what all arrays here hold, are its tiles of the areas
              (core/layout), which are empty where a map has fewer rows or columns than the grid.  Everything that takes
              such an array is collective on the group.  Where images are not cut every rank is a group of its own: the
              vectors are sequential and nothing is collective. */
#ifndef CORDS_DYNAMICS_PROBLEM_H
#define CORDS_DYNAMICS_PROBLEM_H

#include "model/whole_state.h"

#include <petscmat.h>

enum { CORDS_ALL_AREAS = -1 };

typedef struct _p_CordsProblem *CordsProblem;

/* The model (of recurrent form) is borrowed and must outlive the problem.  The image is zero until one is set. */
PetscErrorCode CordsProblemCreate(CordsModel model, CordsProblem *problem);
/* The same for the context's domain group, on which it is collective; the context is borrowed. */
PetscErrorCode CordsProblemCreateCut(CordsContext context, CordsModel model, CordsProblem *problem);
PetscErrorCode CordsProblemDestroy(CordsProblem *problem);

/* image: [row][column][channel], normalised, copied, whole on every rank; NULL: no image, the spontaneous state. */
PetscErrorCode CordsProblemSetImage(CordsProblem problem, const float *image);

CordsSystem CordsProblemSystem(CordsProblem problem);
PetscInt CordsProblemAreaCount(CordsProblem problem);
/* Neurons of an area or of all, on this rank. */
PetscInt CordsProblemSize(CordsProblem problem, PetscInt area);
/* The same on all ranks of the group together. */
PetscInt CordsProblemWholeSize(CordsProblem problem, PetscInt area);
/* Where an area starts in this rank's part of the vectors of all areas; 0 for CORDS_ALL_AREAS. */
PetscInt CordsProblemOffset(CordsProblem problem, PetscInt area);
/* τ/τ_i */
PetscReal CordsProblemRate(CordsProblem problem, PetscInt area);
/* The communicator of the vectors, and sums over its ranks: the same on all of them. */
MPI_Comm CordsProblemComm(CordsProblem problem);
PetscErrorCode CordsProblemSum(CordsProblem problem, PetscInt count, double *values);
/* |x| of a vector of n numbers on this rank. */
PetscErrorCode CordsProblemNorm(CordsProblem problem, PetscInt n, const double *x, PetscReal *norm);

/* Hold the input of an area fixed at what the areas below it give.  state: all areas, only those below are read.  To be
   called before the functions below are used with this area. */
PetscErrorCode CordsProblemSetDrive(CordsProblem problem, PetscInt area, const double *state);

/* f = R(r) */
PetscErrorCode CordsProblemResidual(CordsProblem problem, PetscInt area, const double *r, double *f);

/* What is left of the equation F(r) = 0, made independent of units: |F| / max(|r|, |φ(u)|) with 2-norms, 0 if both are
   zero.  It is 1 for the state of rest r = 0 of a network that is driven, and never above 2. */
PetscErrorCode CordsProblemResidualNorm(CordsProblem problem, PetscInt area, const double *r, PetscReal *norm_rel);

/* Steps of explicit Euler with the network's own time step, in place.  Stops early where the activity explodes (norm
   above 1e12), so that the state stays finite. */
PetscErrorCode CordsProblemEuler(CordsProblem problem, PetscInt area, PetscInt steps, double *r);

/* Linearise at r: sets what the functions below and the matrices show. */
PetscErrorCode CordsProblemLinearise(CordsProblem problem, PetscInt area, const double *r);
/* y = J v, y = Jᵀ v */
PetscErrorCode CordsProblemTangent(CordsProblem problem, PetscInt area, const double *v, double *y);
PetscErrorCode CordsProblemAdjoint(CordsProblem problem, PetscInt area, const double *v, double *y);
/* φ'(u) of the neurons of one area, borrowed. */
const double *CordsProblemSlope(CordsProblem problem, PetscInt area);

/* The Jacobian at the newest linearisation as MATSHELL with MatMult and MatMultTranspose; borrows the problem. */
PetscErrorCode CordsProblemJacobian(CordsProblem problem, PetscInt area, Mat *jacobian);

/* The Jacobian as a dense matrix, column by column J e_k: n² numbers, column-major.  For checks and small areas that
   are not cut. */
PetscErrorCode CordsProblemDense(CordsProblem problem, PetscInt area, double *dense);

#endif
