#include "data/training_image.h"

enum { ALIGNMENT = 64, REPEAT = 48 }; /* REPEAT: a multiple of 1 and 3 channels, and of the vectors' lengths */

void CordsNormalisePixels(CordsImageShape shape, const float mean[], const float deviation[], const uint8_t *pixels,
                          float *image)
{
  size_t size = CordsImageSize(shape), channels = (size_t)shape.channels, i = 0;
  float scale[REPEAT], shift[REPEAT];

  for (size_t j = 0; j < REPEAT; j++) {
    scale[j] = 1 / (255 * deviation[j % channels]);
    shift[j] = -mean[j % channels] / deviation[j % channels];
  }
  for (; i + REPEAT <= size; i += REPEAT)
    for (size_t j = 0; j < REPEAT; j++) image[i + j] = (float)pixels[i + j] * scale[j] + shift[j];
  for (size_t j = 0; i + j < size; j++) image[i + j] = (float)pixels[i + j] * scale[j] + shift[j];
}

static size_t PixelBytes(CordsImageShape shape)
{
  return (CordsImageSize(shape) + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

size_t CordsTrainingImageWorkBytes(PetscInt rows, PetscInt columns, CordsImageShape shape)
{
  size_t crop = CordsResizedCropWorkBytes(rows, columns, shape.channels, shape.rows, shape.columns);
  size_t operations = CordsRandomAugmentWorkBytes(shape);
  size_t floats = sizeof(float) * CordsAugmentWorkSize(shape);

  return PixelBytes(shape) + PetscMax(PetscMax(crop, operations), floats);
}

CordsBox CordsTrainingBox(const CordsAugmentation *augmentation, PetscInt rows, PetscInt columns, CordsRandomKey key)
{
  if (augmentation->crop.area_max > 0) return CordsCropDraw(&augmentation->crop, rows, columns, key);
  return (CordsBox){.row_count = rows, .column_count = columns};
}

void CordsTrainingImage(const CordsAugmentation *augmentation, const float mean[], const float deviation[],
                        PetscInt rows, PetscInt columns, const uint8_t *pixels, const CordsImagePart *part,
                        CordsImageShape shape, CordsRandomKey key, float *image, void *work)
{
  static const float zero[3] = {0, 0, 0}, one[3] = {1, 1, 1};
  uint8_t *resized = work, *rest = resized + PixelBytes(shape);
  PetscBool floats = (PetscBool)(augmentation->affine || augmentation->brightness > 0 || augmentation->contrast > 0 ||
                                 augmentation->elastic_alpha > 0);

  CordsResizedPart(pixels, rows, columns, shape.channels, part, shape.rows, shape.columns, resized, rest);
  CordsAugmentPixels(augmentation, shape, key, resized, rest);
  if (!floats) {
    CordsNormalisePixels(shape, mean, deviation, resized, image);
    return;
  }
  CordsNormalisePixels(shape, zero, one, resized, image);
  CordsAugmentImage(augmentation, shape, key, image, (float *)(void *)rest);
  for (size_t i = 0; i < CordsImageSize(shape); i++)
    image[i] = (image[i] - mean[i % (size_t)shape.channels]) / deviation[i % (size_t)shape.channels];
}
