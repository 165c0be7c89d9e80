/* Operations that go from a poorer image (black, its grey mean, grey, blurred) towards the image and beyond it:
   poorer + (1 + magnitude) (image − poorer), rounded down, cut to 0 .. 255, as Pillow's ImageEnhance does.
   P. Haeberli, D. Voorhies, "Image processing by linear interpolation and extrapolation", IRIS Universe 28 (1994). */
#include "data/operation_type.h"

#include <math.h>
#include <string.h>

static inline uint8_t Blend(float poorer, float pixel, float factor)
{
  float value = poorer + factor * (pixel - poorer);

  return (uint8_t)(int32_t)(value < 0.f ? 0.f : value > 255.f ? 255.f : value);
}

static void BlendWithConstant(size_t size, float poorer, float factor, uint8_t *image)
{
  for (size_t i = 0; i < size; i++) image[i] = Blend(poorer, image[i], factor);
}

/* ITU-R BT.601 luma in 16.16 fixed point. */
static inline uint8_t Grey(const uint8_t *pixel)
{
  return (uint8_t)((19595u * pixel[0] + 38470u * pixel[1] + 7471u * pixel[2] + 0x8000u) >> 16);
}

static double GreyMean(CordsImageShape shape, const uint8_t *image)
{
  size_t pixels = CordsImagePixels(shape);
  uint64_t sum = 0;

  if (shape.channels == 3)
    for (size_t i = 0; i < pixels; i++) sum += Grey(image + 3 * i);
  else
    for (size_t i = 0; i < CordsImageSize(shape); i++) sum += image[i];
  return (double)sum / (double)(shape.channels == 3 ? pixels : CordsImageSize(shape));
}

static void Brightness(CordsImageShape shape, double magnitude, uint8_t *image, uint8_t *work)
{
  BlendWithConstant(CordsImageSize(shape), 0, (float)(1 + magnitude), image);
}

static void Contrast(CordsImageShape shape, double magnitude, uint8_t *image, uint8_t *work)
{
  BlendWithConstant(CordsImageSize(shape), (float)floor(GreyMean(shape, image) + .5), (float)(1 + magnitude), image);
}

static void Color(CordsImageShape shape, double magnitude, uint8_t *image, uint8_t *work)
{
  const float factor = (float)(1 + magnitude);

  if (shape.channels != 3) return; /* grey already */
  for (size_t i = 0; i < CordsImagePixels(shape); i++, image += 3) {
    float grey = Grey(image);
    for (int c = 0; c < 3; c++) image[c] = Blend(grey, image[c], factor);
  }
}

/* Mean of the 3 × 3 pixels around one, itself counted five times, rounded: (s + 6) / 13 rounded down; 5042 / 65536 is
   1/13 closely enough for sums up to 13 · 255.  above, below: the same byte of the rows around, step: bytes per pixel.
 */
static inline uint8_t Smooth(const uint8_t *above, const uint8_t *middle, const uint8_t *below, PetscInt step)
{
  uint32_t sum = (uint32_t)above[-step] + above[0] + above[step] + middle[-step] + 5u * middle[0] + middle[step] +
                 below[-step] + below[0] + below[step];

  return (uint8_t)(((sum + 6u) * 5042u) >> 16);
}

/* The outermost pixels have no neighbours on one side and are left alone. */
static void Sharpness(CordsImageShape shape, double magnitude, uint8_t *image, uint8_t *work)
{
  const float factor = (float)(1 + magnitude);
  PetscInt step = shape.channels, line = shape.columns * step;

  memcpy(work, image, CordsImageSize(shape));
  for (PetscInt row = 1; row < shape.rows - 1; row++) {
    const uint8_t *restrict middle = work + (size_t)row * (size_t)line, *restrict above = middle - line,
                            *restrict below = middle + line;
    uint8_t *restrict to = image + (size_t)row * (size_t)line;

    for (PetscInt i = step; i < line - step; i++)
      to[i] = Blend(Smooth(above + i, middle + i, below + i, step), middle[i], factor);
  }
}

extern const CordsOperationType cords_operation_brightness;
const CordsOperationType cords_operation_brightness = {
    .name = "Brightness", .strongest = .9, .is_signed = PETSC_TRUE, .apply = Brightness};

extern const CordsOperationType cords_operation_color;
const CordsOperationType cords_operation_color = {
    .name = "Color", .strongest = .9, .is_signed = PETSC_TRUE, .apply = Color};

extern const CordsOperationType cords_operation_contrast;
const CordsOperationType cords_operation_contrast = {
    .name = "Contrast", .strongest = .9, .is_signed = PETSC_TRUE, .apply = Contrast};

extern const CordsOperationType cords_operation_sharpness;
const CordsOperationType cords_operation_sharpness = {
    .name = "Sharpness", .strongest = .9, .is_signed = PETSC_TRUE, .apply = Sharpness};
