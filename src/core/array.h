#ifndef CORDS_CORE_ARRAY_H
#define CORDS_CORE_ARRAY_H

#include "core/error.h"

#include <string.h>

/* The number type of an array is a run-time property: training runs in float32 or bfloat16, analysis in float64, with
   the same code above conv/ and the area types.  Names are the words of -precision. */
typedef enum { CORDS_F32 = 0, CORDS_F64 = 1, CORDS_BF16 = 2 } CordsType;
extern const char *const CordsTypeNames[];
enum { CORDS_TYPE_COUNT = 3 };

static inline size_t CordsTypeSize(CordsType type)
{
  return type == CORDS_F64 ? sizeof(double) : type == CORDS_BF16 ? sizeof(uint16_t) : sizeof(float);
}

/* What sums are kept in: running states, weights and their gradients of arrays of `type`. */
static inline CordsType CordsTypeMaster(CordsType type)
{
  return type == CORDS_F64 ? CORDS_F64 : CORDS_F32;
}

/* A bfloat16 is the upper half of a float, rounded to nearest, ties to even (NaN stays NaN). */
static inline float CordsFromBf16(uint16_t x)
{
  uint32_t bits = (uint32_t)x << 16;
  float value;

  memcpy(&value, &bits, sizeof value);
  return value;
}

static inline uint16_t CordsToBf16(float x)
{
  uint32_t bits, rounded;

  memcpy(&bits, &x, sizeof bits);
  rounded = bits + 0x7fff + ((bits >> 16) & 1);
  return (uint16_t)((bits & 0x7fffffff) > 0x7f800000 ? (bits >> 16) | 0x40 : rounded >> 16);
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
