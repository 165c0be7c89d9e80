#include "data/augment.h"

#include <math.h>
#include <string.h>

/* Which random number of an image's (or a batch's) key is used for what; changing this changes every training run. */
enum {
  DRAW_FLIP,
  DRAW_ANGLE,
  DRAW_SHIFT_X,
  DRAW_SHIFT_Y,
  DRAW_SCALE,
  DRAW_SHEAR,
  DRAW_BRIGHTNESS,
  DRAW_CONTRAST,
  DRAW_ORDER,
  DRAW_ELASTIC = 16
};
enum { DRAW_KIND, DRAW_SHARE, DRAW_COLUMN, DRAW_ROW };

enum { KERNEL_HALF_MAX = 4096 }; /* of the Gaussian: sigma up to 1024 pixels */

static double Between(CordsRandomKey key, uint32_t position, double low, double high)
{
  return low + (high - low) * CordsRandomUniform(key, position);
}

/* A copy of the image, or three fields (two displacements and one for smoothing) beside it. */
size_t CordsAugmentWorkSize(CordsImageShape shape)
{
  return CordsImageSize(shape) + 3 * CordsImagePixels(shape);
}

void CordsAugmentFlipPixels(CordsImageShape shape, uint8_t *image)
{
  size_t channels = (size_t)shape.channels, line = (size_t)shape.columns * channels;

  for (PetscInt row = 0; row < shape.rows; row++, image += line) {
    for (uint8_t *left = image, *right = image + line - channels; left < right; left += channels, right -= channels) {
      for (size_t c = 0; c < channels; c++) {
        uint8_t kept = left[c];
        left[c] = right[c];
        right[c] = kept;
      }
    }
  }
}

void CordsAugmentFlip(CordsImageShape shape, float *image)
{
  for (PetscInt row = 0; row < shape.rows; row++) {
    float *line = image + (size_t)row * (size_t)shape.columns * (size_t)shape.channels;
    for (PetscInt left = 0, right = shape.columns - 1; left < right; left++, right--) {
      for (PetscInt c = 0; c < shape.channels; c++) {
        float kept = line[left * shape.channels + c];
        line[left * shape.channels + c] = line[right * shape.channels + c];
        line[right * shape.channels + c] = kept;
      }
    }
  }
}

/* Forward map: R(angle) · scale · [1 −tan(shear); 0 1], then the shift; m is its inverse in closed form. */
void CordsAugmentAffineMatrix(double angle_deg, double shift_x, double shift_y, double scale, double shear_deg,
                              double m[6])
{
  double angle = angle_deg * PETSC_PI / 180, tangent = tan(shear_deg * PETSC_PI / 180);
  double a = cos(angle), b = -cos(angle) * tangent - sin(angle), c = sin(angle), d = -sin(angle) * tangent + cos(angle);

  m[0] = d / scale;
  m[1] = -b / scale;
  m[3] = -c / scale;
  m[4] = a / scale;
  m[2] = -m[0] * shift_x - m[1] * shift_y;
  m[5] = -m[3] * shift_x - m[4] * shift_y;
}

void CordsAugmentAffine(CordsImageShape shape, const double m[6], const float *input, float *output)
{
  double middle_x = (shape.columns - 1) / 2.0, middle_y = (shape.rows - 1) / 2.0;
  size_t channels = (size_t)shape.channels;

  for (PetscInt row = 0; row < shape.rows; row++) {
    for (PetscInt column = 0; column < shape.columns; column++, output += channels) {
      double x = column - middle_x, y = row - middle_y;
      double from_x = nearbyint(m[0] * x + m[1] * y + m[2] + middle_x);
      double from_y = nearbyint(m[3] * x + m[4] * y + m[5] + middle_y);

      if (from_x < 0 || from_x > shape.columns - 1 || from_y < 0 || from_y > shape.rows - 1)
        memset(output, 0, channels * sizeof *output);
      else
        memcpy(output, input + ((size_t)from_y * (size_t)shape.columns + (size_t)from_x) * channels,
               channels * sizeof *output);
    }
  }
}

static inline float Cut(double value)
{
  return (float)(value < 0 ? 0 : value > 1 ? 1 : value);
}

void CordsAugmentBrightness(CordsImageShape shape, double factor, float *image)
{
  for (size_t i = 0; i < CordsImageSize(shape); i++) image[i] = Cut(factor * (double)image[i]);
}

/* Mean of the image, or of its luma if it has colours. */
static double GreyMean(CordsImageShape shape, const float *image)
{
  static const double luma[3] = {.2989, .587, .114};
  double sum = 0;

  for (size_t i = 0; i < CordsImagePixels(shape); i++)
    for (PetscInt c = 0; c < shape.channels; c++, image++)
      sum += (shape.channels == 3 ? luma[c] : 1.0 / shape.channels) * (double)*image;
  return sum / (double)CordsImagePixels(shape);
}

void CordsAugmentContrast(CordsImageShape shape, double factor, float *image)
{
  double offset = (1 - factor) * GreyMean(shape, image);

  for (size_t i = 0; i < CordsImageSize(shape); i++) image[i] = Cut(factor * (double)image[i] + offset);
}

/* Index inside 0 .. n-1 by reflection at the ends, the outermost pixel not repeated. */
static PetscInt Reflect(PetscInt i, PetscInt n)
{
  PetscInt period = 2 * (n - 1);

  if (i >= 0 && i < n) return i; /* nearly always: spare the divisions */
  if (n == 1) return 0;
  i = ((i % period) + period) % period;
  return i < n ? i : period - i;
}

/* Weights 0 .. half of the kernel, kernel[-k] = kernel[k], sum 1. */
static PetscInt GaussianKernel(double sigma, float kernel[KERNEL_HALF_MAX + 1])
{
  PetscInt half = (PetscInt)PetscMin(4 * sigma + .5, KERNEL_HALF_MAX);
  double sum = 1;

  for (PetscInt k = 1; k <= half; k++) sum += 2 * exp(-.5 * (k / sigma) * (k / sigma));
  for (PetscInt k = 0; k <= half; k++) kernel[k] = (float)(exp(-.5 * (k / sigma) * (k / sigma)) / sum);
  return half;
}

/* Along the rows: whole lines are added, which the compiler turns into vector instructions. */
static void SmoothRows(PetscInt rows, PetscInt columns, PetscInt half, const float *kernel, const float *input,
                       float *output)
{
  memset(output, 0, (size_t)rows * (size_t)columns * sizeof *output);
  for (PetscInt row = 0; row < rows; row++) {
    float *to = output + (size_t)row * (size_t)columns;
    for (PetscInt k = -half; k <= half; k++) {
      const float weight = kernel[PetscAbsInt(k)], *from = input + (size_t)Reflect(row + k, rows) * (size_t)columns;
      for (PetscInt column = 0; column < columns; column++) to[column] += weight * from[column];
    }
  }
}

static void Transpose(PetscInt rows, PetscInt columns, const float *input, float *output)
{
  for (PetscInt row = 0; row < rows; row++)
    for (PetscInt column = 0; column < columns; column++)
      output[(size_t)column * (size_t)rows + (size_t)row] = *input++;
}

void CordsAugmentSmooth(PetscInt rows, PetscInt columns, double sigma, float *field, float *work)
{
  float kernel[KERNEL_HALF_MAX + 1];
  PetscInt half = GaussianKernel(sigma, kernel);

  SmoothRows(rows, columns, half, kernel, field, work);
  Transpose(rows, columns, work, field);
  SmoothRows(columns, rows, half, kernel, field, work);
  Transpose(columns, rows, work, field);
}

/* Add weight · input(row, column) to a pixel and weight to *inside, if it is inside. */
static inline void AddPixel(CordsImageShape shape, const float *input, double row, double column, double weight,
                            float *pixel, float *inside)
{
  const float *from;

  if (row < 0 || row > shape.rows - 1 || column < 0 || column > shape.columns - 1) return;
  from = input + ((size_t)row * (size_t)shape.columns + (size_t)column) * (size_t)shape.channels;
  for (PetscInt c = 0; c < shape.channels; c++) pixel[c] += (float)weight * from[c];
  *inside += (float)weight;
}

void CordsAugmentWarp(CordsImageShape shape, const float *dx, const float *dy, const float *input, float *output)
{
  memset(output, 0, CordsImageSize(shape) * sizeof *output);
  for (PetscInt row = 0; row < shape.rows; row++) {
    for (PetscInt column = 0; column < shape.columns; column++, output += shape.channels) {
      double x = column + (double)*dx++, y = row + (double)*dy++, left = floor(x), top = floor(y);
      double right_share = x - left, bottom_share = y - top;
      float inside = 0;

      AddPixel(shape, input, top, left, (1 - bottom_share) * (1 - right_share), output, &inside);
      AddPixel(shape, input, top, left + 1, (1 - bottom_share) * right_share, output, &inside);
      AddPixel(shape, input, top + 1, left, bottom_share * (1 - right_share), output, &inside);
      AddPixel(shape, input, top + 1, left + 1, bottom_share * right_share, output, &inside);
      for (PetscInt c = 0; c < shape.channels; c++) output[c] *= inside;
    }
  }
}

/* P. Simard, D. Steinkraus, J. Platt, "Best practices for convolutional neural networks applied to visual document
   analysis", ICDAR 2003, with torchvision's scale: the displacement is alpha / side where the image is 2 wide, hence
   alpha / 2 pixels. */
static void Elastic(const CordsAugmentation *augmentation, CordsImageShape shape, CordsRandomKey key, float *image,
                    float *work)
{
  size_t pixels = CordsImagePixels(shape);
  float *dx = work, *dy = dx + pixels, *spare = dy + pixels, *copy = spare + pixels;

  for (size_t i = 0; i < 2 * pixels; i++)
    dx[i] = (float)(Between(key, DRAW_ELASTIC + (uint32_t)i, -1, 1) * augmentation->elastic_alpha / 2);
  CordsAugmentSmooth(shape.rows, shape.columns, augmentation->elastic_sigma_pixels, dx, spare);
  CordsAugmentSmooth(shape.rows, shape.columns, augmentation->elastic_sigma_pixels, dy, spare);
  memcpy(copy, image, CordsImageSize(shape) * sizeof *image);
  CordsAugmentWarp(shape, dx, dy, copy, image);
}

static void Affine(const CordsAugmentation *augmentation, CordsImageShape shape, CordsRandomKey key, float *image,
                   float *work)
{
  double shift_x_max = augmentation->translate * shape.columns, shift_y_max = augmentation->translate * shape.rows,
         m[6];

  CordsAugmentAffineMatrix(Between(key, DRAW_ANGLE, -augmentation->angle_deg, augmentation->angle_deg),
                           nearbyint(Between(key, DRAW_SHIFT_X, -shift_x_max, shift_x_max)),
                           nearbyint(Between(key, DRAW_SHIFT_Y, -shift_y_max, shift_y_max)),
                           Between(key, DRAW_SCALE, augmentation->scale_min, augmentation->scale_max),
                           Between(key, DRAW_SHEAR, -augmentation->shear_deg, augmentation->shear_deg), m);
  memcpy(work, image, CordsImageSize(shape) * sizeof *image);
  CordsAugmentAffine(shape, m, work, image);
}

static void Jitter(const CordsAugmentation *augmentation, CordsImageShape shape, CordsRandomKey key, float *image)
{
  double brightness = Between(key, DRAW_BRIGHTNESS, 1 - augmentation->brightness, 1 + augmentation->brightness);
  double contrast = Between(key, DRAW_CONTRAST, 1 - augmentation->contrast, 1 + augmentation->contrast);
  PetscBool brightness_first = (PetscBool)(CordsRandomUniform(key, DRAW_ORDER) < .5);

  if (brightness_first) CordsAugmentBrightness(shape, brightness, image);
  CordsAugmentContrast(shape, contrast, image);
  if (!brightness_first) CordsAugmentBrightness(shape, brightness, image);
}

void CordsAugmentPixels(const CordsAugmentation *augmentation, CordsImageShape shape, CordsRandomKey key,
                        uint8_t *image, uint8_t *work)
{
  if (!CordsAugmentOnBytes(augmentation)) return;
  if (augmentation->flip && CordsRandomUniform(key, DRAW_FLIP) < .5) CordsAugmentFlipPixels(shape, image);
  CordsRandomAugmentApply(&augmentation->operations, shape, key, image, work);
}

void CordsAugmentImage(const CordsAugmentation *augmentation, CordsImageShape shape, CordsRandomKey key, float *image,
                       float *work)
{
  if (augmentation->flip && !CordsAugmentOnBytes(augmentation) && CordsRandomUniform(key, DRAW_FLIP) < .5)
    CordsAugmentFlip(shape, image);
  if (augmentation->affine) Affine(augmentation, shape, key, image, work);
  if (augmentation->brightness > 0 || augmentation->contrast > 0) Jitter(augmentation, shape, key, image);
  if (augmentation->elastic_alpha > 0) Elastic(augmentation, shape, key, image, work);
}

/* CutMix: S. Yun et al., ICCV 2019, with torchvision's box (half sides rounded down, cut at the border).
   MixUp: H. Zhang et al., ICLR 2018.  Beta(1, 1) is the uniform distribution. */
CordsMix CordsAugmentMixDraw(CordsImageShape shape, CordsRandomKey key)
{
  CordsMix mix = {.cut = (PetscBool)(CordsRandomUniform(key, DRAW_KIND) < .5),
                  .share = CordsRandomUniform(key, DRAW_SHARE)};
  PetscInt column = (PetscInt)CordsRandomBelow(key, DRAW_COLUMN, (uint64_t)shape.columns);
  PetscInt row = (PetscInt)CordsRandomBelow(key, DRAW_ROW, (uint64_t)shape.rows);
  PetscInt half_width = (PetscInt)(.5 * sqrt(1 - mix.share) * shape.columns);
  PetscInt half_height = (PetscInt)(.5 * sqrt(1 - mix.share) * shape.rows);

  if (!mix.cut) return mix;
  mix.column_start = PetscMax(column - half_width, 0);
  mix.column_end = PetscMin(column + half_width, shape.columns);
  mix.row_start = PetscMax(row - half_height, 0);
  mix.row_end = PetscMin(row + half_height, shape.rows);
  mix.share =
      1 - (double)(mix.column_end - mix.column_start) * (mix.row_end - mix.row_start) / (double)CordsImagePixels(shape);
  return mix;
}

void CordsAugmentMix(CordsImageShape shape, const CordsMix *mix, const float *neighbour, float *image)
{
  size_t line = (size_t)shape.columns * (size_t)shape.channels;
  size_t start = (size_t)mix->column_start * (size_t)shape.channels;
  size_t length = (size_t)(mix->column_end - mix->column_start) * (size_t)shape.channels;

  if (mix->cut) {
    for (PetscInt row = mix->row_start; row < mix->row_end; row++)
      memcpy(image + (size_t)row * line + start, neighbour + (size_t)row * line + start, length * sizeof *image);
    return;
  }
  for (size_t i = 0; i < CordsImageSize(shape); i++)
    image[i] = (float)(mix->share * (double)image[i] + (1 - mix->share) * (double)neighbour[i]);
}
