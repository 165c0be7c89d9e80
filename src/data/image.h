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

/* A rectangle of an image that may begin and end inside of pixels; pixel j covers [j, j + 1). */
typedef struct {
  double row_start, row_count, column_start, column_count;
} CordsImagePart;

/* Numbers (or bytes) of an image. */
static inline size_t CordsImageSize(CordsImageShape shape)
{
  return CordsImagePixels(shape) * (size_t)shape.channels;
}

#endif
