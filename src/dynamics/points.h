/* Points of a file of `cords analyse fixed_points`, for the analyses that start from them.  The file holds states and
   images, so that nothing else is needed but the network. */
#ifndef CORDS_DYNAMICS_POINTS_H
#define CORDS_DYNAMICS_POINTS_H

#include "core/context.h"
#include "dynamics/problem.h"
#include "io/h5.h"

enum { CORDS_POINTS_MAX = 4096 }; /* in an explicit list */

typedef struct {
  char path[PETSC_MAX_PATH_LEN];
  char list_option[64];                        /* for messages */
  PetscInt list_count, list[CORDS_POINTS_MAX]; /* rows the user asked for; none: the first that converged */
  PetscInt count_max;                          /* then: how many of them at most */
} CordsPointsSettings;

/* Declare and read -fixed_points, -ANALYSIS_points and -ANALYSIS_points_max. */
PetscErrorCode CordsPointsConfigure(const char *analysis, CordsPointsSettings *settings);

typedef struct {
  CordsContext context;
  const char *checkpoint; /* for messages */
  CordsH5 file;
  PetscReal tolerance; /* that the points were found with */
  PetscInt neurons, pixels;
  PetscInt count;     /* chosen points */
  PetscInt *rows;     /* their rows in the file, ascending unless the user gave a list */
  PetscInt64 *images; /* their images in the dataset, −1 for the spontaneous state */
  PetscInt first;     /* of those in memory */
  PetscInt own;       /* neurons of this rank: those of its tiles */
  double *states;     /* [point − first][own neuron], one for each domain group; NULL: none read yet */
  float *inputs;      /* [point − first][row][column][channel] */
} CordsPointsData;
typedef CordsPointsData *CordsPoints;

/* Open the file and choose the points: converged ones only.  Collective.
   Errors (user): not such a file, another architecture, a row that does not exist or has not converged. */
PetscErrorCode CordsPointsOpen(CordsContext context, const CordsPointsSettings *settings, const char *checkpoint,
                               CordsModel model, CordsPoints *points);
PetscErrorCode CordsPointsClose(CordsPoints *points);

/* Read the chosen points [first, end), at most as many as there are domain groups, on every rank; of the states each
   keeps its tiles.  The problem is one of the context's domain groups (CordsProblemCreateCut).  Collective.
   Errors (user): a state is no fixed point of this problem's network (the file was made with another checkpoint). */
PetscErrorCode CordsPointsRead(CordsPoints points, PetscInt first, PetscInt end, CordsProblem problem);

/* Show a chosen point that is in memory to a problem, and linearise there.  Collective on the domain group. */
PetscErrorCode CordsPointsLinearise(CordsPoints points, PetscInt point, CordsProblem problem);

#endif
