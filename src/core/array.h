#ifndef CORDS_CORE_ARRAY_H
#define CORDS_CORE_ARRAY_H

#include "core/error.h"

/* The number type of an array is a run-time property: training runs in float32, analysis in float64, with the same
   code above conv/ and the area types. */
typedef enum { CORDS_F32 = 0, CORDS_F64 = 1 } CordsType;

static inline size_t CordsTypeSize(CordsType type)
{
  return type == CORDS_F64 ? sizeof(double) : sizeof(float);
}

/* An aligned block of numbers, zero when made.  Index: [item][element] with `elements` numbers per item (an item is one
   image of a batch, or one image at one time step: step · batch + image). */
typedef struct {
  CordsType type;
  PetscInt items;
  PetscInt elements;
  void *data; /* 64-byte aligned, owned */
} CordsArray;

/* Errors: PETSC_ERR_MEM with the number of bytes asked for.  Not collective. */
PetscErrorCode CordsArrayCreate(CordsType type, PetscInt items, PetscInt elements, CordsArray *array);
PetscErrorCode CordsArrayDestroy(CordsArray *array);

/* Address of an item. */
static inline void *CordsArrayItem(const CordsArray *array, PetscInt item)
{
  return (char *)array->data + (size_t)item * (size_t)array->elements * CordsTypeSize(array->type);
}

#endif
