/* Looking names up: tables of datasets, stages, analyses, commands, and options.

   A table is an array of pointers to structs that have a `name`, made by including a .def file twice (declare, list);
   its owner counts it and hands out the names. */
#ifndef CORDS_CORE_REGISTRY_H
#define CORDS_CORE_REGISTRY_H

#include "core/error.h"

/* Hand out the names and one-line descriptions of a table `types`, whose structs have `name` and `about`.  count, names
   and abouts may be NULL; what they point to is static. */
#define CORDS_REGISTRY_LIST(types, count, names, abouts)                                                               \
  do {                                                                                                                 \
    static const char *name_list_[PETSC_STATIC_ARRAY_LENGTH(types)], *about_list_[PETSC_STATIC_ARRAY_LENGTH(types)];   \
    for (size_t i_ = 0; i_ < PETSC_STATIC_ARRAY_LENGTH(types); i_++) {                                                 \
      name_list_[i_] = (types)[i_]->name;                                                                              \
      about_list_[i_] = (types)[i_]->about;                                                                            \
    }                                                                                                                  \
    if (count) *(count) = (PetscInt)PETSC_STATIC_ARRAY_LENGTH(types);                                                  \
    if (names) *(names) = name_list_;                                                                                  \
    if (abouts) *(abouts) = about_list_;                                                                               \
  } while (0)

/* The one of names[0..count) nearest to `name` in edit distance, or NULL if none is near enough to be meant
   (more than half of the letters differ).  Not collective. */
const char *CordsRegistryClosest(PetscInt count, const char *const names[], const char *name);

/* Letters to change, put in or take out to make one name of the other (Levenshtein); 128 for very long names. */
size_t CordsRegistryDistance(const char *a, const char *b);

/* Find `name` among names[0..count).  Errors (user, collective on PETSC_COMM_WORLD): unknown name; the sentence
   has the `kind` ("dataset"), the closest name and the list. */
PetscErrorCode CordsRegistryFind(const char *kind, PetscInt count, const char *const names[], const char *name,
                                 PetscInt *index);

#endif
