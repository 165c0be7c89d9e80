/* The table of analyses, and what they share: their files, the model, and points spread over ranks. */
#ifndef CORDS_DYNAMICS_ANALYSIS_H
#define CORDS_DYNAMICS_ANALYSIS_H

#include "dynamics/analysis_type.h"
#include "io/results.h"
#include "model/model.h"

/* Names of all analyses and the question each answers. */
PetscErrorCode CordsAnalysisList(PetscInt *count, const char *const **names, const char *const **abouts);

/* Errors (user, collective): unknown name, with the closest. */
PetscErrorCode CordsAnalysisFind(const char *name, const CordsAnalysisType **type);

/* --- for the authors of analyses --- */

typedef struct {
  char checkpoint[PETSC_MAX_PATH_LEN], output[PETSC_MAX_PATH_LEN];
} CordsAnalysisFiles;

/* Declare and read -checkpoint and -output, both required. */
PetscErrorCode CordsAnalysisFilesConfigure(CordsAnalysisFiles *files);

/* The network in a checkpoint.  Collective.  Errors (user): as CordsModelLoad; not of the recurrent form. */
PetscErrorCode CordsAnalysisLoadModel(CordsContext context, const char *checkpoint, CordsModel *model);

/* Declare and write /areas/{neurons, channels, rows, columns, tau_ms}, one row per area.  Collective. */
PetscErrorCode CordsAnalysisWriteAreas(CordsContext context, CordsResults results,
                                       const CordsArchitecture *architecture);

/* Points are dealt to the domain groups like cards: in round k group p works on point k · groups + p, if there is one.
   Results appended after each round (CordsResultsAppend: 0 or 1 row per rank, none but from the first of a group) are
   in the order of the points, on any number of ranks. */
static inline PetscInt CordsAnalysisRoundCount(CordsContext context, PetscInt points)
{
  return (points + context->group_size - 1) / context->group_size;
}

#endif
