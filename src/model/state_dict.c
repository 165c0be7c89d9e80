#include "model/state_dict.h"

#include <stdio.h>
#include <string.h>

static const char *const prefixes[] = {"module.", "_orig_mod."};

/* Endings that torch.nn.utils.weight_norm used before parametrizations. */
static const char *const endings[][2] = {{".weight_g", ".parametrizations.weight.original0"},
                                         {".weight_v", ".parametrizations.weight.original1"}};

static const char *WithoutPrefix(const char *key)
{
  PetscBool again = PETSC_TRUE;

  while (again) {
    again = PETSC_FALSE;
    for (size_t k = 0; k < PETSC_STATIC_ARRAY_LENGTH(prefixes); k++) {
      size_t length = strlen(prefixes[k]);
      if (strncmp(key, prefixes[k], length) != 0) continue;
      key += length;
      again = PETSC_TRUE;
    }
  }
  return key;
}

static void NewEnding(char name[CORDS_STATE_NAME_MAX])
{
  size_t length = strlen(name);

  for (size_t k = 0; k < PETSC_STATIC_ARRAY_LENGTH(endings); k++) {
    size_t end = strlen(endings[k][0]);
    if (length <= end || strcmp(name + length - end, endings[k][0]) != 0) continue;
    snprintf(name + length - end, CORDS_STATE_NAME_MAX - (length - end), "%s", endings[k][1]);
    return;
  }
}

/* ---- torchvision ---- */

/* Parts of a ResNet and their names here; %d is the number of the area or skip. */
static const char *const stem_parts[][2] = {{"conv1.", "inp_conv."}, {"bn1.", "inp_norm."}, {"fc.", "out_fc."}};
static const char *const block_parts[][2] = {
    {"conv1.", "area_area.%d."}, {"bn1.", "area_norm.%d."}, {"conv2.", "area_conv.%d."}, {"bn2.", "area_nrm2.%d."}};
static const char *const skip_parts[][2] = {{"downsample.0.", "skip_area.%d."}, {"downsample.1.", "skip_norm.%d."}};

/* The part that begins a name is replaced; false if none does. */
static PetscBool ReplacePart(size_t count, const char *const parts[][2], const char *old, int number,
                             char name[CORDS_STATE_NAME_MAX])
{
  char start[64];

  for (size_t k = 0; k < count; k++) {
    size_t length = strlen(parts[k][0]);
    if (strncmp(old, parts[k][0], length) != 0) continue;
    snprintf(start, sizeof start, parts[k][1], number);
    snprintf(name, CORDS_STATE_NAME_MAX, "%s%s", start, old + length);
    return PETSC_TRUE;
  }
  return PETSC_FALSE;
}

static PetscErrorCode RenameResnet(const char *where, CordsStateEntry *e)
{
  char old[CORDS_STATE_NAME_MAX];
  int layer, block, used = 0;
  PetscBool known;

  PetscFunctionBegin;
  memcpy(old, e->name, sizeof old);
  if (sscanf(old, "layer%1d.%1d.%n", &layer, &block, &used) == 2 && used > 0 && layer >= 1 && layer <= 4 &&
      block <= 1) {
    known = ReplacePart(4, block_parts, old + used, 2 * (layer - 1) + block, e->name);
    if (!known && block == 0 && layer >= 2) known = ReplacePart(2, skip_parts, old + used, layer - 2, e->name);
  } else {
    known = ReplacePart(3, stem_parts, old, 0, e->name);
  }
  CordsCheckUser(
      known, PETSC_COMM_WORLD,
      "'%s': is a ResNet of torchvision, but tensor '%s' is not one of ResNet-18, the only one with the shape "
      "of a CordsNet (R8)",
      where, e->key);
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsStateDictRename(const char *where, CordsStateDict *dict)
{
  PetscFunctionBegin;
  for (PetscInt k = 0; k < dict->count; k++) {
    snprintf(dict->entries[k].name, CORDS_STATE_NAME_MAX, "%s", WithoutPrefix(dict->entries[k].key));
    NewEnding(dict->entries[k].name);
  }
  dict->resnet =
      (PetscBool)(CordsStateDictFind(dict, "layer1.0.conv1.weight") && CordsStateDictFind(dict, "conv1.weight"));
  for (PetscInt k = 0; k < dict->count && dict->resnet; k++) PetscCall(RenameResnet(where, &dict->entries[k]));
  for (PetscInt k = 0; k < dict->count; k++) {
    const CordsStateEntry *first = CordsStateDictFind(dict, dict->entries[k].name);
    CordsCheckUser(first == &dict->entries[k], PETSC_COMM_WORLD,
                   "'%s': tensors '%s' and '%s' have the same name without their prefixes", where, first->key,
                   dict->entries[k].key);
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

const CordsStateEntry *CordsStateDictFind(const CordsStateDict *dict, const char *name)
{
  for (PetscInt k = 0; k < dict->count; k++) {
    if (strcmp(dict->entries[k].name, name) == 0) return &dict->entries[k];
  }
  return NULL;
}

const CordsStateEntry *CordsStateDictKernel(const CordsStateDict *dict, const char *connection)
{
  char name[CORDS_STATE_NAME_MAX];
  const CordsStateEntry *entry;

  snprintf(name, sizeof name, "%s.parametrizations.weight.original1", connection);
  entry = CordsStateDictFind(dict, name);
  if (entry) return entry;
  snprintf(name, sizeof name, "%s.weight", connection);
  return CordsStateDictFind(dict, name);
}
