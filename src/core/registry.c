#include "core/registry.h"

#include <stdio.h>
#include <string.h>

enum { NAME_LENGTH_MAX = 128 };

/* Levenshtein distance by the two-row recurrence; names longer than NAME_LENGTH_MAX count as far away. */
size_t CordsRegistryDistance(const char *a, const char *b)
{
  size_t row[NAME_LENGTH_MAX + 1], length_a = strlen(a), length_b = strlen(b);

  if (length_a > NAME_LENGTH_MAX || length_b > NAME_LENGTH_MAX) return NAME_LENGTH_MAX;
  for (size_t j = 0; j <= length_b; j++) row[j] = j;
  for (size_t i = 1; i <= length_a; i++) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= length_b; j++) {
      size_t substituted = diagonal + (a[i - 1] != b[j - 1]);
      size_t shifted = PetscMin(row[j], row[j - 1]) + 1;
      diagonal = row[j];
      row[j] = PetscMin(substituted, shifted);
    }
  }
  return row[length_b];
}

const char *CordsRegistryClosest(PetscInt count, const char *const names[], const char *name)
{
  const char *closest = NULL;
  size_t distance_min = strlen(name) / 2 + 1;

  for (PetscInt i = 0; i < count; i++) {
    size_t distance = CordsRegistryDistance(name, names[i]);
    if (distance < distance_min) {
      distance_min = distance;
      closest = names[i];
    }
  }
  return closest;
}

PetscErrorCode CordsRegistryFind(const char *kind, PetscInt count, const char *const names[], const char *name,
                                 PetscInt *index)
{
  char list[1024] = "";
  const char *closest;

  PetscFunctionBegin;
  for (PetscInt i = 0; i < count; i++) {
    if (strcmp(names[i], name) == 0) {
      *index = i;
      PetscFunctionReturn(PETSC_SUCCESS);
    }
    snprintf(list + strlen(list), sizeof list - strlen(list), "%s%s", i ? ", " : "", names[i]);
  }
  closest = CordsRegistryClosest(count, names, name);
  CordsCheckUser(!closest, PETSC_COMM_WORLD, "%s '%s' is unknown; did you mean '%s'? (there are: %s)", kind, name,
                 closest, list);
  CordsUserError(PETSC_COMM_WORLD, "%s '%s' is unknown; there are: %s", kind, name, list);
}
