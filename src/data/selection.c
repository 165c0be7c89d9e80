#include "data/selection.h"

#include "core/config.h"

#include <stdlib.h>

/* A:B, first and one past the last. */
static PetscErrorCode ParseSamples(const char *text, CordsSelection *selection)
{
  char *colon, *end;

  PetscFunctionBegin;
  selection->first = strtoll(text, &colon, 10);
  selection->end = *colon == ':' ? strtoll(colon + 1, &end, 10) : 0;
  CordsCheckUser(colon != text && *colon == ':' && end != colon + 1 && *end == '\0', PETSC_COMM_WORLD,
                 "-samples %s: must be A:B, the numbers of the first image and of the one after the last", text);
  CordsCheckUser(selection->first >= 0 && selection->end > selection->first, PETSC_COMM_WORLD,
                 "-samples %s: holds no image; B must be larger than A, and A not negative", text);
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsSelectionConfigure(CordsSelection *selection, const char *samples)
{
  char text[64];

  PetscFunctionBegin;
  *selection = (CordsSelection){0};
  PetscCall(CordsOptionString("-dataset", "dataset whose test images are used (`cords info datasets`)",
                              sizeof selection->dataset, selection->dataset));
  PetscCall(CordsOptionRequire("-dataset", selection->dataset, "the name of the dataset"));
  PetscCall(
      CordsOptionString("-data", "directory with the files of the dataset", sizeof selection->data, selection->data));
  PetscCall(CordsOptionRequire("-data", selection->data, "the directory with the files of the dataset"));
  if (!samples) PetscFunctionReturn(PETSC_SUCCESS);
  PetscCall(PetscStrncpy(text, samples, sizeof text));
  PetscCall(CordsOptionString("-samples", "A:B, images A to B-1 of the test split", sizeof text, text));
  PetscCall(ParseSamples(text, selection));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsSelectionOpen(CordsContext context, const CordsSelection *selection, const char *where,
                                  PetscInt channels, PetscInt classes, CordsDataset *dataset)
{
  const CordsDatasetFacts *facts;

  PetscFunctionBegin;
  PetscCall(CordsDatasetOpen(context, selection->dataset, selection->data, CORDS_SPLIT_TEST, dataset));
  facts = CordsDatasetGetFacts(*dataset);
  CordsCheckUser(facts->channels == channels && facts->classes == classes, context->comm,
                 "%s: the network is for images of %" PetscInt_FMT " channels in %" PetscInt_FMT
                 " classes, dataset %s has %" PetscInt_FMT " channels and %" PetscInt_FMT " classes",
                 where, channels, classes, facts->name, facts->channels, facts->classes);
  CordsCheckUser(selection->end <= facts->count, context->comm,
                 "-samples %" PetscInt64_FMT ":%" PetscInt64_FMT ": the test split of %s has %" PetscInt64_FMT
                 " images, so the last one is %" PetscInt64_FMT,
                 selection->first, selection->end, facts->name, facts->count, facts->count - 1);
  PetscFunctionReturn(PETSC_SUCCESS);
}
