#include "model/area_type.h"

#include "core/registry.h"

#define CORDS_AREA(name) extern const CordsAreaType cords_area_##name;
#include "model/areas.def"
#undef CORDS_AREA

#define CORDS_AREA(name) &cords_area_##name,
static const CordsAreaType *const types[] = {
#include "model/areas.def"
};
#undef CORDS_AREA

enum { TYPE_COUNT = PETSC_STATIC_ARRAY_LENGTH(types) };

PetscErrorCode CordsAreaTypeList(PetscInt *count, const char *const **names, const char *const **abouts)
{
  PetscFunctionBegin;
  CORDS_REGISTRY_LIST(types, count, names, abouts);
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsAreaTypeFind(const char *name, const CordsAreaType **type)
{
  const char *const *names;
  PetscInt count, index;

  PetscFunctionBegin;
  PetscCall(CordsAreaTypeList(&count, &names, NULL));
  PetscCall(CordsRegistryFind("kind of area", count, names, name, &index));
  *type = types[index];
  PetscFunctionReturn(PETSC_SUCCESS);
}
