/* Operations that move pixels: nearest neighbour, black outside.

   Method: where an output pixel comes from is a linear function of its row and column, kept in 16.16 fixed point as in
   Pillow, so that the same pixel is taken.  The columns of a row that come from inside the image are an interval, found
   once per row; within it nothing is checked. */
#include "data/operation_type.h"

#include <math.h>
#include <string.h>

enum { ONE = 65536 };

/* The centre of output pixel (column + 1/2, row + 1/2) comes from x = m[0] column + m[1] row + m[2] and
   y = m[3] column + m[4] row + m[5], in pixels from the image's upper left corner. */
typedef struct {
  double m[6];
} Map;

typedef struct {
  PetscInt start, end;
} Interval;

static int64_t Fixed(double value)
{
  return (int64_t)floor(value * ONE + .5);
}

/* Columns of 0 .. columns-1 where 0 <= from + step · column < limit. */
static Interval Inside(int64_t from, int64_t step, int64_t limit, PetscInt columns)
{
  Interval in = {.start = 0, .end = columns};

  if (step < 0) { /* seen from the other end */
    from = limit - 1 - from;
    step = -step;
  }
  if (from >= limit || (step == 0 && from < 0)) in.end = 0;
  if (step == 0 || in.end == 0) return in;
  if (from < 0) in.start = (PetscInt)PetscMin((-from + step - 1) / step, columns);
  in.end = (PetscInt)PetscMin((limit - 1 - from) / step + 1, columns);
  return in;
}

/* Called with constant numbers of bytes: `bytes` belong to a pixel, `moved` are copied, the rest is overwritten by the
   next pixel. */
static inline __attribute__((always_inline)) void CopyPixels(PetscInt count, size_t bytes, size_t moved, int64_t x,
                                                             int64_t step_x, int64_t y, int64_t step_y, size_t stride,
                                                             const uint8_t *input, uint8_t *output)
{
  for (PetscInt i = 0; i < count; i++, output += bytes, x += step_x, y += step_y)
    memcpy(output, input + (size_t)(y >> 16) * stride + (size_t)(x >> 16) * bytes, moved);
}

/* A run of pixels of one output row, all from inside. */
static void CopyRun(CordsImageShape shape, PetscInt count, int64_t x, int64_t step_x, int64_t y, int64_t step_y,
                    const uint8_t *input, uint8_t *output)
{
  size_t bytes = (size_t)shape.channels, stride = (size_t)shape.columns * bytes;

  if (count <= 0) return;
  if (step_x == ONE && step_y == 0) {
    memcpy(output, input + (size_t)(y >> 16) * stride + (size_t)(x >> 16) * bytes, (size_t)count * bytes);
  } else if (bytes == 3) {
    PetscInt most = count - 1;
    CopyPixels(most, 3, 4, x, step_x, y, step_y, stride, input, output);
    CopyPixels(1, 3, 3, x + most * step_x, step_x, y + most * step_y, step_y, stride, input, output + 3 * most);
  } else if (bytes == 1) {
    CopyPixels(count, 1, 1, x, step_x, y, step_y, stride, input, output);
  } else {
    CopyPixels(count, bytes, bytes, x, step_x, y, step_y, stride, input, output);
  }
}

/* work: a copy of the image, with a byte behind it that may be read */
static void Move(CordsImageShape shape, Map map, uint8_t *image, uint8_t *work)
{
  const double *m = map.m;
  int64_t step_x = Fixed(m[0]), step_y = Fixed(m[3]);
  size_t channels = (size_t)shape.channels, line = (size_t)shape.columns * channels;
  int64_t row_x = Fixed(m[2] + .5 * m[0] + .5 * m[1]), row_y = Fixed(m[5] + .5 * m[3] + .5 * m[4]);

  memcpy(work, image, CordsImageSize(shape));
  work[CordsImageSize(shape)] = 0;
  for (PetscInt row = 0; row < shape.rows; row++, image += line) {
    int64_t x = row_x + row * Fixed(m[1]), y = row_y + row * Fixed(m[4]);
    Interval in_x = Inside(x, step_x, (int64_t)shape.columns * ONE, shape.columns);
    Interval in_y = Inside(y, step_y, (int64_t)shape.rows * ONE, shape.columns);
    PetscInt start = PetscMax(in_x.start, in_y.start), end = PetscMax(PetscMin(in_x.end, in_y.end), start);

    memset(image, 0, (size_t)start * channels);
    CopyRun(shape, end - start, x + start * step_x, step_x, y + start * step_y, step_y, work,
            image + (size_t)start * channels);
    memset(image + (size_t)end * channels, 0, (size_t)(shape.columns - end) * channels);
  }
}

/* magnitude: columns per row */
static void ShearX(CordsImageShape shape, double magnitude, uint8_t *image, uint8_t *work)
{
  Move(shape, (Map){{1, magnitude, 0, 0, 1, 0}}, image, work);
}

static void ShearY(CordsImageShape shape, double magnitude, uint8_t *image, uint8_t *work)
{
  Move(shape, (Map){{1, 0, 0, magnitude, 1, 0}}, image, work);
}

/* magnitude: part of the side; whole pixels, rounded towards zero */
static void TranslateX(CordsImageShape shape, double magnitude, uint8_t *image, uint8_t *work)
{
  Move(shape, (Map){{1, 0, -trunc(magnitude * shape.columns), 0, 1, 0}}, image, work);
}

static void TranslateY(CordsImageShape shape, double magnitude, uint8_t *image, uint8_t *work)
{
  Move(shape, (Map){{1, 0, 0, 0, 1, -trunc(magnitude * shape.rows)}}, image, work);
}

/* magnitude: degrees, counter-clockwise on the screen, about the centre */
static void Rotate(CordsImageShape shape, double magnitude, uint8_t *image, uint8_t *work)
{
  double c = cos(magnitude * PETSC_PI / 180), s = sin(magnitude * PETSC_PI / 180);
  double x = shape.columns / 2.0, y = shape.rows / 2.0;

  Move(shape, (Map){{c, -s, x - c * x + s * y, s, c, y - s * x - c * y}}, image, work);
}

extern const CordsOperationType cords_operation_shear_x;
const CordsOperationType cords_operation_shear_x = {
    .name = "ShearX", .strongest = .3, .is_signed = PETSC_TRUE, .apply = ShearX};

extern const CordsOperationType cords_operation_shear_y;
const CordsOperationType cords_operation_shear_y = {
    .name = "ShearY", .strongest = .3, .is_signed = PETSC_TRUE, .apply = ShearY};

extern const CordsOperationType cords_operation_translate_x;
const CordsOperationType cords_operation_translate_x = {
    .name = "TranslateX", .strongest = 150. / 331., .is_signed = PETSC_TRUE, .apply = TranslateX};

extern const CordsOperationType cords_operation_translate_y;
const CordsOperationType cords_operation_translate_y = {
    .name = "TranslateY", .strongest = 150. / 331., .is_signed = PETSC_TRUE, .apply = TranslateY};

extern const CordsOperationType cords_operation_rotate;
const CordsOperationType cords_operation_rotate = {
    .name = "Rotate", .strongest = 30, .is_signed = PETSC_TRUE, .apply = Rotate};
