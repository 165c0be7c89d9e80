/* Operations that replace each value by another one: of the value alone, or of the histogram of its channel. */
#include "data/operation_type.h"

#include <math.h>
#include <string.h>

enum { VALUES = 256, CHANNELS_MAX = 3 };

typedef struct {
  uint32_t count[CHANNELS_MAX][VALUES];
} Histogram;

typedef struct {
  uint8_t value[CHANNELS_MAX][VALUES];
} Table;

/* Counted in four parts, so that equal values one after the other do not wait for each other. */
static void CountValues(CordsImageShape shape, const uint8_t *image, Histogram *histogram)
{
  enum { PARTS = 4 };
  uint32_t part[PARTS][CHANNELS_MAX][VALUES];
  size_t pixels = CordsImagePixels(shape), channels = (size_t)shape.channels, i = 0;

  memset(part, 0, sizeof part);
  if (channels == 3) {
    for (; i + PARTS <= pixels; i += PARTS, image += 3 * PARTS)
      for (size_t p = 0; p < PARTS; p++)
        for (size_t c = 0; c < 3; c++) part[p][c][image[3 * p + c]]++;
  } else if (channels == 1) {
    for (; i + PARTS <= pixels; i += PARTS, image += PARTS)
      for (size_t p = 0; p < PARTS; p++) part[p][0][image[p]]++;
  }
  for (; i < pixels; i++, image += channels)
    for (size_t c = 0; c < channels; c++) part[0][c][image[c]]++;
  for (size_t c = 0; c < channels; c++)
    for (size_t v = 0; v < VALUES; v++)
      histogram->count[c][v] = part[0][c][v] + part[1][c][v] + part[2][c][v] + part[3][c][v];
}

static void LookUp(CordsImageShape shape, const Table *table, uint8_t *image)
{
  size_t pixels = CordsImagePixels(shape), channels = (size_t)shape.channels;

  if (channels == 3) {
    for (size_t i = 0; i < pixels; i++, image += 3) {
      image[0] = table->value[0][image[0]];
      image[1] = table->value[1][image[1]];
      image[2] = table->value[2][image[2]];
    }
  } else {
    for (size_t i = 0; i < pixels; i++, image += channels)
      for (size_t c = 0; c < channels; c++) image[c] = table->value[c][image[c]];
  }
}

/* magnitude: bits that are kept */
static void Posterize(CordsImageShape shape, double magnitude, uint8_t *image, uint8_t *work)
{
  const uint8_t mask = (uint8_t)(0xffu << (8 - (unsigned)nearbyint(magnitude)));

  for (size_t i = 0; i < CordsImageSize(shape); i++) image[i] &= mask;
}

/* magnitude: values from here on are inverted */
static void Solarize(CordsImageShape shape, double magnitude, uint8_t *image, uint8_t *work)
{
  const int threshold = (int)ceil(magnitude);

  for (size_t i = 0; i < CordsImageSize(shape); i++) image[i] = image[i] < threshold ? image[i] : (uint8_t)~image[i];
}

/* The darkest value of a channel becomes 0, the brightest 255, linear between them, rounded down. */
static void Stretch(const uint32_t count[VALUES], uint8_t value[VALUES])
{
  int low = 0, high = VALUES - 1;
  double scale, offset;

  while (low < VALUES - 1 && count[low] == 0) low++;
  while (high > 0 && count[high] == 0) high--;
  scale = high > low ? 255. / (high - low) : 1;
  offset = high > low ? -low * scale : 0;
  for (int v = 0; v < VALUES; v++) value[v] = (uint8_t)PetscMin(PetscMax(v * scale + offset, 0), 255);
}

static void AutoContrast(CordsImageShape shape, double magnitude, uint8_t *image, uint8_t *work)
{
  Histogram histogram;
  Table table;

  CountValues(shape, image, &histogram);
  for (PetscInt c = 0; c < shape.channels; c++) Stretch(histogram.count[c], table.value[c]);
  LookUp(shape, &table, image);
}

/* Pixels of a channel in the steps of 255 that the values are spread over: all but those of the brightest value. */
static uint32_t EqualStep(size_t pixels, const uint32_t count[VALUES])
{
  int high = VALUES - 1;

  while (high > 0 && count[high] == 0) high--;
  return (uint32_t)((pixels - count[high]) / 255);
}

/* The values of a channel become their ranks, so that all are about equally frequent.
   R. C. Gonzalez, R. E. Woods, "Digital image processing", histogram equalization; details as in Pillow's ImageOps. */
static void Equalize(CordsImageShape shape, double magnitude, uint8_t *image, uint8_t *work)
{
  Histogram histogram;
  Table table;

  CountValues(shape, image, &histogram);
  for (PetscInt c = 0; c < shape.channels; c++) {
    uint32_t step = EqualStep(CordsImagePixels(shape), histogram.count[c]), rank = step / 2;

    for (int v = 0; v < VALUES; v++) {
      table.value[c][v] = (uint8_t)(step == 0 ? (uint32_t)v : PetscMin(rank / step, 255));
      rank += histogram.count[c][v];
    }
  }
  LookUp(shape, &table, image);
}

extern const CordsOperationType cords_operation_posterize;
const CordsOperationType cords_operation_posterize = {
    .name = "Posterize", .weakest = 8, .strongest = 4, .apply = Posterize};

extern const CordsOperationType cords_operation_solarize;
const CordsOperationType cords_operation_solarize = {
    .name = "Solarize", .weakest = 255, .strongest = 0, .apply = Solarize};

extern const CordsOperationType cords_operation_auto_contrast;
const CordsOperationType cords_operation_auto_contrast = {.name = "AutoContrast", .apply = AutoContrast};

extern const CordsOperationType cords_operation_equalize;
const CordsOperationType cords_operation_equalize = {.name = "Equalize", .apply = Equalize};
