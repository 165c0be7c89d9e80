#include "core/array.h"

#include "core/allocate.h"

#include <stdlib.h>
#include <string.h>

const char *const CordsTypeNames[] = {"f32", "f64", "bf16"};

PetscErrorCode CordsArrayCreate(CordsType type, PetscInt items, PetscInt elements, CordsArray *array)
{
  size_t bytes = (size_t)items * (size_t)elements * CordsTypeSize(type);

  PetscFunctionBegin;
  array->type = type;
  array->items = items;
  array->elements = elements;
  array->data = NULL;
  PetscCall(CordsAllocate(bytes, &array->data));
  memset(array->data, 0, bytes);
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsArrayDestroy(CordsArray *array)
{
  PetscFunctionBegin;
  free(array->data);
  array->data = NULL;
  array->items = array->elements = 0;
  PetscFunctionReturn(PETSC_SUCCESS);
}
