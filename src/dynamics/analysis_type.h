/* What the author of an analysis fills in.  An analysis answers one question about a trained network and writes one
   result file.  Add a line to analyses.def; see analyses/stability.c for the shortest complete one. */
#ifndef CORDS_DYNAMICS_ANALYSIS_TYPE_H
#define CORDS_DYNAMICS_ANALYSIS_TYPE_H

#include "core/context.h"

typedef struct {
  const char *name;  /* the word after `cords analyse` */
  const char *about; /* the question, in one line */
  /* declare and read options; may make solver objects once so that their options are known */
  PetscErrorCode (*configure)(CordsContext context);
  /* collective; writes the result file named by -output */
  PetscErrorCode (*run)(CordsContext context);
} CordsAnalysisType;

#endif
