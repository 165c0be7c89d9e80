#include "bench/used_backends.h"

#include <stdio.h>
#include <string.h>

/* Index in CordsConvBackendList. */
static PetscInt Index(const CordsConvShape *shape, CordsType type, CordsConvOperation operation, PetscInt images)
{
  PetscInt chosen = CordsConvChoiceFind(shape, type, operation, CordsConvImagesOf(images));
  const char *const *names;
  PetscBool supports = PETSC_FALSE;
  PetscInt count;

  if (chosen >= 0) return chosen;
  if (CordsConvBackendList(&count, &names, NULL)) return 0;
  for (chosen = 0; chosen < count - 1; chosen++) {
    if (!CordsConvBackendSupports(names[chosen], shape, type, &supports, NULL) && supports) break;
  }
  return chosen; /* the last, the reference, does everything */
}

static const char *Name(PetscInt index)
{
  const char *const *names;
  PetscInt count;

  return CordsConvBackendList(&count, &names, NULL) ? "" : names[index];
}

const char *CordsBenchBackend(const CordsConvShape *shape, CordsType type, CordsConvOperation operation,
                              PetscInt images)
{
  return Name(Index(shape, type, operation, images));
}

/* Bits of the backends of one connection. */
static unsigned Bits(const CordsConvShape *shape, const CordsBenchCalls *calls, PetscInt images)
{
  unsigned bits = 0;

  for (PetscInt k = 0; k < calls->operations; k++) {
    CordsConvOperation operation = (CordsConvOperation)k;
    PetscInt n = operation == CORDS_CONV_BACKWARD_WEIGHTS ? PETSC_MAX_INT : images;
    bits |= 1u << Index(shape, calls->type, operation, n);
  }
  return bits;
}

void CordsBenchBackends(const CordsArchitecture *a, const CordsBenchCalls *calls, size_t length, char *text)
{
  unsigned bits = 0;

  for (PetscInt i = 0; i < a->area_count; i++) {
    bits |= Bits(&a->connections[a->recurrent[i]].shape, calls, calls->recurrent_images);
    if (i > 0) bits |= Bits(&a->connections[a->feedforward[i]].shape, calls, calls->feedforward_images);
    if (a->skip[i] >= 0) bits |= Bits(&a->connections[a->skip[i]].shape, calls, calls->feedforward_images);
  }
  text[0] = '\0';
  for (PetscInt k = 0; bits >> k; k++) {
    size_t used = strlen(text);
    if (bits >> k & 1) snprintf(text + used, length - used, "%s%s", used ? ", " : "", Name(k));
  }
}
