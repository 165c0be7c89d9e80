#include "dynamics/analysis.h"

#include "core/config.h"
#include "core/registry.h"
#include "model/weights.h"

#define CORDS_ANALYSIS(name) extern const CordsAnalysisType cords_analysis_##name;
#include "dynamics/analyses.def"
#undef CORDS_ANALYSIS

#define CORDS_ANALYSIS(name) &cords_analysis_##name,
static const CordsAnalysisType *const types[] = {
#include "dynamics/analyses.def"
};
#undef CORDS_ANALYSIS

enum { TYPE_COUNT = sizeof types / sizeof *types };

PetscErrorCode CordsAnalysisList(PetscInt *count, const char *const **names, const char *const **abouts)
{
  PetscFunctionBegin;
  CORDS_REGISTRY_LIST(types, count, names, abouts);
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsAnalysisFind(const char *name, const CordsAnalysisType **type)
{
  const char *const *names;
  PetscInt count, index;

  PetscFunctionBegin;
  PetscCall(CordsAnalysisList(&count, &names, NULL));
  PetscCall(CordsRegistryFind("analysis", count, names, name, &index));
  *type = types[index];
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsAnalysisFilesConfigure(CordsAnalysisFiles *files)
{
  PetscFunctionBegin;
  files->checkpoint[0] = files->output[0] = '\0';
  PetscCall(CordsOptionString("-checkpoint", "file with the network", sizeof files->checkpoint, files->checkpoint));
  PetscCall(CordsOptionRequire("-checkpoint", files->checkpoint, "the file with the network"));
  PetscCall(CordsOptionString("-output", "file for the results", sizeof files->output, files->output));
  PetscCall(CordsOptionRequire("-output", files->output, "the file for the results"));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsAnalysisLoadModel(CordsContext context, const char *checkpoint, CordsModel *model)
{
  PetscFunctionBegin;
  PetscCall(CordsModelLoad(context, checkpoint, model));
  CordsCheckUser((*model)->form == CORDS_FORM_RECURRENT, context->comm,
                 "%s: holds a network of the form '%s', which has no dynamics; give the file of a trained '%s' network",
                 checkpoint, CordsFormNames[(*model)->form], CordsFormNames[CORDS_FORM_RECURRENT]);
  PetscCall(CordsWeightsPrepare(context, &(*model)->architecture, CORDS_F64));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* One column of /areas; the values are the same on every rank, rank 0 writes them. */
static PetscErrorCode WriteColumn(CordsContext context, CordsResults results, const CordsSchema *schema,
                                  CordsFileType type, PetscInt count, const void *values)
{
  PetscFunctionBegin;
  PetscCall(CordsResultsDeclare(results, schema, type, 0, NULL));
  PetscCall(CordsResultsAppend(results, schema->name, context->rank == 0 ? count : 0, values));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsAnalysisWriteAreas(CordsContext context, CordsResults results,
                                       const CordsArchitecture *architecture)
{
  static const CordsSchema neurons_schema = {"areas/neurons", "area", "1", "neurons of the area"},
                           channels_schema = {"areas/channels", "area", "1", "channels of the area"},
                           rows_schema = {"areas/rows", "area", "1", "rows of the area's map"},
                           columns_schema = {"areas/columns", "area", "1", "columns of the area's map"},
                           tau_schema = {"areas/tau_ms", "area", "ms", "time constant tau of the area"};
  PetscInt count = architecture->area_count;
  PetscInt64 neurons[CORDS_AREAS_MAX], channels[CORDS_AREAS_MAX], rows[CORDS_AREAS_MAX], columns[CORDS_AREAS_MAX];
  double tau_ms[CORDS_AREAS_MAX];

  PetscFunctionBegin;
  for (PetscInt i = 0; i < count; i++) {
    neurons[i] = CordsAreaNeurons(&architecture->areas[i]);
    channels[i] = architecture->areas[i].channels;
    rows[i] = architecture->areas[i].rows;
    columns[i] = architecture->areas[i].columns;
    tau_ms[i] = architecture->areas[i].tau_ms;
  }
  PetscCall(WriteColumn(context, results, &neurons_schema, CORDS_FILE_I64, count, neurons));
  PetscCall(WriteColumn(context, results, &channels_schema, CORDS_FILE_I64, count, channels));
  PetscCall(WriteColumn(context, results, &rows_schema, CORDS_FILE_I64, count, rows));
  PetscCall(WriteColumn(context, results, &columns_schema, CORDS_FILE_I64, count, columns));
  PetscCall(WriteColumn(context, results, &tau_schema, CORDS_FILE_F64, count, tau_ms));
  PetscFunctionReturn(PETSC_SUCCESS);
}
