/* The names and shapes of a network as those of a file. */
#ifndef CORDS_TESTS_SUPPORT_STATE_DICT_H
#define CORDS_TESTS_SUPPORT_STATE_DICT_H

#include "model/model.h"
#include "model/state_dict.h"
#include "support/support.h"

#include <stdlib.h>

/* The keys are the model's; free(dict.entries) by the caller. */
static inline CordsStateDict StateDictOf(CordsModel model)
{
  CordsStateDict dict = {.count = model->tensor_count};

  dict.entries = calloc((size_t)PetscMax(1, model->tensor_count), sizeof *dict.entries);
  for (PetscInt k = 0; k < model->tensor_count; k++) {
    CordsStateEntry *e = &dict.entries[k];
    e->key = model->tensors[k].name;
    e->number = k;
    e->dimensions = model->tensors[k].dimensions;
    for (PetscInt d = 0; d < e->dimensions; d++) e->sizes[d] = model->tensors[k].sizes[d];
  }
  SupportCall(CordsStateDictRename("the test", &dict));
  return dict;
}

#endif
