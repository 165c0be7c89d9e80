/* The Jacobian on the neurons that can answer: an exact reduction.

   Sort the neurons into active ones (φ'(u) ≠ 0, set A) and inactive ones (set I).  The row of an inactive neuron k of
   area i is −(τ/τ_i) e_kᵀ, so

        J = [ J_AA  J_AI ]          the spectrum is that of J_AA and, for every inactive neuron, −τ/τ_i;
            [  0    −τ/τ ]          (v, 0) is an eigenvector of J for every eigenvector v of J_AA,
                                    and e_k is a left eigenvector for every inactive k.

   With relu most neurons are inactive: J_AA is much smaller and free of the huge multiple eigenvalue −1 that slows
   Krylov methods down.  With a φ whose slope is nowhere zero nothing changes.

   Where images are cut every rank keeps the active neurons of its tiles; a vector of active neurons is the
   concatenation of those of the ranks.  Collective on the problem's domain group. */
#ifndef CORDS_DYNAMICS_ACTIVE_H
#define CORDS_DYNAMICS_ACTIVE_H

#include "dynamics/problem.h"

typedef struct {
  CordsProblem problem;             /* borrowed */
  PetscInt area;                    /* or CORDS_ALL_AREAS */
  PetscInt size;                    /* neurons of the area on this rank: active and inactive */
  PetscInt count;                   /* active neurons of this rank */
  PetscInt *neurons;                /* their numbers in this rank's part of the area, ascending */
  PetscInt *inactive;               /* the others, ascending; size − count of them */
  PetscInt whole_size, whole_count; /* size and count of all ranks together */
  PetscInt products;                /* with J_AA or its transpose so far */
  double *full_in, *full_out;
} CordsActiveData;
typedef CordsActiveData *CordsActive;

/* Of the newest linearisation of the problem; valid until the next. */
PetscErrorCode CordsActiveCreate(CordsProblem problem, PetscInt area, CordsActive *active);
PetscErrorCode CordsActiveDestroy(CordsActive *active);

/* y = J_AA v; `count` numbers each */
PetscErrorCode CordsActiveTangent(CordsActive active, const double *v, double *y);
/* y = J_AAᵀ v */
PetscErrorCode CordsActiveAdjoint(CordsActive active, const double *v, double *y);

/* J_AA as MATSHELL with MatMult and MatMultTranspose; borrows `active`. */
PetscErrorCode CordsActiveJacobian(CordsActive active, Mat *jacobian);

/* full = (v, 0), `size` numbers */
PetscErrorCode CordsActiveExpand(CordsActive active, const double *v, double *full);

/* The eigenvalue −τ/τ_i that belongs to inactive[k]. */
PetscReal CordsActiveInactiveEigenvalue(CordsActive active, PetscInt k);

/* The inactive neurons of one area, of those that `active` is about: how many all ranks have together, how many those
   before this one, and where its own are in `inactive`. */
typedef struct {
  PetscInt whole_count, before, first, count;
} CordsActiveRest;
PetscErrorCode CordsActiveInactiveOf(CordsActive active, PetscInt area, CordsActiveRest *rest);

/* The place of active neuron k of this rank among the neurons of `active` (of the area or of all areas one after the
   other), the same however images are cut. */
PetscInt CordsActivePlace(CordsActive active, PetscInt k);

#endif
