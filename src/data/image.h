/* The shape of an image in memory: [row][column][channel]. */
#ifndef CORDS_DATA_IMAGE_H
#define CORDS_DATA_IMAGE_H

#include <petscsys.h>
#include <stdint.h>

typedef struct {
  PetscInt rows, columns, channels;
} CordsImageShape;

static inline size_t CordsImagePixels(CordsImageShape shape)
{
  return (size_t)shape.rows * (size_t)shape.columns;
}

/* Numbers (or bytes) of an image. */
static inline size_t CordsImageSize(CordsImageShape shape)
{
  return CordsImagePixels(shape) * (size_t)shape.channels;
}

#endif
