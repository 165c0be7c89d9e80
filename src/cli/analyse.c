#include "cli/command.h"

#include "conv/choice.h"
#include "core/config.h"
#include "dynamics/analysis.h"

#include <stdio.h>

static const CordsAnalysisType *analysis;

/* Without a name, say which there are. */
static PetscErrorCode ListAnalyses(CordsContext context)
{
  const char *const *names, *const *abouts;
  PetscInt count;

  PetscFunctionBegin;
  PetscCall(CordsAnalysisList(&count, &names, &abouts));
  for (PetscInt k = 0; k < count && context->rank == 0; k++) printf("  cords analyse %-14s %s\n", names[k], abouts[k]);
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode Configure(CordsContext context, const char *argument)
{
  PetscFunctionBegin;
  if (!argument[0] && CordsConfigHelp()) {
    PetscCall(ListAnalyses(context));
    PetscFunctionReturn(PETSC_SUCCESS);
  }
  CordsCheckUser(argument[0], PETSC_COMM_WORLD,
                 "analyse needs the name of an analysis, as in `cords analyse fixed_points` (`cords info analyses`)");
  PetscCall(CordsAnalysisFind(argument, &analysis));
  PetscCall(CordsConvChoiceFromOptions(PETSC_FALSE));
  PetscCall(analysis->configure(context));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode Run(CordsContext context, int *exit_status)
{
  PetscFunctionBegin;
  PetscCall(analysis->run(context));
  PetscFunctionReturn(PETSC_SUCCESS);
}

const CordsCommandType cords_command_analyse = {.name = "analyse",
                                                .about = "fixed points, stability and other questions about a network",
                                                .usage = "NAME -checkpoint F -output F ...",
                                                .configure = Configure,
                                                .run = Run};
