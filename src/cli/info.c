/* What exists (datasets, backends, stages, ...), or what a file holds. */
#include "cli/command.h"

#include "conv/choice.h"
#include "core/blas.h"
#include "core/config.h"
#include "core/registry.h"
#include "data/dataset.h"
#include "dynamics/analysis.h"
#include "io/run_info.h"
#include "model/area_type.h"
#include "model/model.h"
#include "train/stage.h"

#include <stdio.h>
#include <string.h>

static char thing[PETSC_MAX_PATH_LEN];
static PetscBool names_only;

typedef PetscErrorCode (*ListFunction)(PetscInt *count, const char *const **names, const char *const **abouts);

static const struct {
  const char *name;
  ListFunction list;
} tables[] = {{"datasets", CordsDatasetList},
              {"backends", CordsConvBackendList},
              {"areas", CordsAreaTypeList},
              {"stages", CordsStageList},
              {"analyses", CordsAnalysisList}};

enum { TABLE_COUNT = PETSC_STATIC_ARRAY_LENGTH(tables) };

static PetscErrorCode Configure(CordsContext context, const char *argument)
{
  PetscFunctionBegin;
  PetscCall(PetscStrncpy(thing, argument, sizeof thing));
  PetscCall(CordsOptionBool("-names", "names alone, one per line (for scripts)", &names_only));
  PetscCall(CordsConvChoiceFromOptions(PETSC_FALSE));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode PrintTable(const char *title, ListFunction list)
{
  const char *const *names, *const *abouts;
  PetscInt count;

  PetscFunctionBegin;
  PetscCall(list(&count, &names, &abouts));
  if (!names_only) printf("%s\n", title);
  for (PetscInt k = 0; k < count; k++) {
    if (names_only)
      printf("%s\n", names[k]);
    else
      printf("  %-14s %s\n", names[k], abouts[k]);
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* Backends in order of preference, then what was measured. */
static PetscErrorCode PrintBackends(void)
{
  char *choices;

  PetscFunctionBegin;
  PetscCall(PrintTable("backends", CordsConvBackendList));
  if (names_only) PetscFunctionReturn(PETSC_SUCCESS);
  PetscCall(CordsConvChoiceDescribe(&choices));
  printf("%s", choices);
  PetscCall(PetscFree(choices));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode PrintThing(size_t index)
{
  PetscFunctionBegin;
  if (tables[index].list == CordsConvBackendList)
    PetscCall(PrintBackends());
  else
    PetscCall(PrintTable(tables[index].name, tables[index].list));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode PrintArchitecture(const CordsArchitecture *a)
{
  double flops = 0;

  PetscFunctionBegin;
  for (PetscInt k = 0; k < a->connection_count; k++) flops += CordsConvFlops(&a->connections[k].shape);
  printf("  %s: %" PetscInt_FMT " areas, %" PetscInt_FMT
         " neurons, %.3g GFLOP for every convolution of one image once\n",
         a->preset, a->area_count, CordsArchitectureNeurons(a), flops * 1e-9);
  for (PetscInt i = 0; i < a->area_count; i++) {
    printf("    area %" PetscInt_FMT ": %4" PetscInt_FMT " channels of %3" PetscInt_FMT " x %3" PetscInt_FMT
           " pixels, tau %g ms, alpha %g\n",
           i, a->areas[i].channels, a->areas[i].rows, a->areas[i].columns, (double)a->areas[i].tau_ms,
           (double)CordsArchitectureAlpha(a, i));
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode PrintPresets(void)
{
  static const char *const presets[] = {"R2", "R4", "R6", "R8"};
  CordsArchitecture architecture;

  PetscFunctionBegin;
  printf("architectures (-architecture_preset; for colour images of 224 x 224 and 1000 classes)\n");
  for (size_t k = 0; k < PETSC_STATIC_ARRAY_LENGTH(presets); k++) {
    PetscCall(CordsArchitecturePreset(presets[k], 3, 1000, &architecture));
    PetscCall(PrintArchitecture(&architecture));
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode PrintFile(CordsContext context, const char *path)
{
  static const char *const attributes[] = {"command", "version", "commit", "date", "options"};
  CordsModel model;
  CordsH5 file;
  PetscInt64 ranks;
  PetscBool found;
  char *text;

  PetscFunctionBegin;
  PetscCall(CordsH5Open(context, path, &file));
  for (size_t k = 0; k < PETSC_STATIC_ARRAY_LENGTH(attributes); k++) {
    PetscCall(CordsH5ReadText(file, "run", attributes[k], &text));
    if (text && context->rank == 0) printf("%s: %s\n", attributes[k], text);
    PetscCall(PetscFree(text));
  }
  PetscCall(CordsH5ReadInt(file, "run", "ranks", &found, &ranks));
  if (found && context->rank == 0) printf("ranks: %" PetscInt64_FMT "\n", ranks);
  PetscCall(CordsH5ReadText(file, "parameters", "form", &text));
  PetscCall(CordsH5Close(&file));
  if (!text) PetscFunctionReturn(PETSC_SUCCESS);
  PetscCall(PetscFree(text));
  PetscCall(CordsModelLoad(context, path, &model));
  if (context->rank == 0) {
    printf("network (%s form), %" PetscInt_FMT " parameters\n", CordsFormNames[model->form], model->learnable_values);
    PetscCall(PrintArchitecture(&model->architecture));
    for (PetscInt k = 0; k < model->tensor_count; k++) {
      const CordsTensor *t = &model->tensors[k];
      printf("  %-48s", t->name);
      for (PetscInt d = 0; d < t->dimensions; d++) printf("%s%" PetscInt_FMT, d ? " x " : " ", t->sizes[d]);
      printf("\n");
    }
  }
  PetscCall(CordsModelDestroy(&model));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode PrintAll(void)
{
  char *libraries, advice[256];

  PetscFunctionBegin;
  for (size_t k = 0; k < TABLE_COUNT; k++) PetscCall(PrintThing(k));
  PetscCall(PrintPresets());
  PetscCall(CordsRunInfoLibraries(&libraries));
  printf("libraries\n%s\n", libraries);
  CordsBlasAdvice(sizeof advice, advice);
  if (advice[0]) printf("%s\n", advice);
  PetscCall(PetscFree(libraries));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode Run(CordsContext context, int *exit_status)
{
  const char *names[TABLE_COUNT + 1];
  PetscInt index;

  PetscFunctionBegin;
  if (strchr(thing, '.') || strchr(thing, '/')) {
    PetscCall(PrintFile(context, thing));
    PetscFunctionReturn(PETSC_SUCCESS);
  }
  for (size_t k = 0; k < TABLE_COUNT; k++) names[k] = tables[k].name;
  names[TABLE_COUNT] = "architectures";
  if (thing[0])
    PetscCall(CordsRegistryFind("thing (a file has a '.' or '/' in its name)", TABLE_COUNT + 1, names, thing, &index));
  if (context->rank > 0) PetscFunctionReturn(PETSC_SUCCESS);
  if (!thing[0])
    PetscCall(PrintAll());
  else if (index == TABLE_COUNT)
    PetscCall(PrintPresets());
  else
    PetscCall(PrintThing((size_t)index));
  PetscFunctionReturn(PETSC_SUCCESS);
}

const CordsCommandType cords_command_info = {.name = "info",
                                             .about = "what exists, or what a file holds",
                                             .usage = "[datasets|backends|areas|stages|analyses|architectures|FILE]",
                                             .configure = Configure,
                                             .run = Run};
