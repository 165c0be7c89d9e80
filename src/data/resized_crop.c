#include "data/resized_crop.h"

#include <math.h>
#include <string.h>

/* Method: for each output row the rows of the box under its triangle are added up (whole lines, bytes to float32), then
   each output pixel adds up the columns under its own.  A pixel of three channels is one vector of four numbers, so
   lines have room for one number more than they use, and the fourth byte that is written is the next pixel's first. */

typedef float Four __attribute__((vector_size(16)));
typedef float LooseFour __attribute__((vector_size(16), aligned(4), may_alias));
typedef uint8_t FourBytes __attribute__((vector_size(4)));
typedef int32_t FourInts __attribute__((vector_size(16)));

/* Weights along one side: output i is the sum over k < width of weight[i · width + k] · input[first[i] + k], where all
   first[i] + k are inside.  The same number of weights for all outputs, the last ones may be zero. */
typedef struct {
  PetscInt width;
  int32_t *first;
  float *weight;
} Side;

enum { TRIES = 10, DRAWS = 4 };

/* `length` pixels of a side, `in` at least partly, become `full`. */
static PetscInt SideWidth(PetscInt in, double length, PetscInt full)
{
  double support = PetscMax(length / full, 1.0);

  return PetscMin((PetscInt)ceil(2 * support) + 1, in);
}

static size_t SideBytes(PetscInt in, PetscInt full, PetscInt out)
{
  return (size_t)out * (sizeof(int32_t) + (size_t)SideWidth(in, in, full) * sizeof(float));
}

/* Outputs start .. start+out-1 of `full`, from `length` pixels that begin `offset` after the first of `in` inputs.
   Returns the end of the memory it took. */
static char *MakeSide(PetscInt in, double offset, double length, PetscInt full, PetscInt start, PetscInt out,
                      char *memory, Side *side)
{
  double scale = length / full, support = PetscMax(scale, 1.0);

  side->width = SideWidth(in, length, full);
  side->first = (int32_t *)memory;
  side->weight = (float *)(side->first + out);
  for (PetscInt i = 0; i < out; i++) {
    double centre = offset + scale * (start + i + .5), sum = 0;
    float *weight = side->weight + (size_t)i * (size_t)side->width;
    PetscInt first = PetscMax((PetscInt)(centre - support + .5), 0);
    PetscInt end = PetscMin((PetscInt)(centre + support + .5), in);

    side->first[i] = (int32_t)PetscMin(first, in - side->width);
    for (PetscInt j = first; j < end; j++) sum += PetscMax(0, 1 - fabs(j + .5 - centre) / support);
    for (PetscInt k = 0; k < side->width; k++) {
      PetscInt j = side->first[i] + k;
      weight[k] = j >= first && j < end ? (float)(PetscMax(0, 1 - fabs(j + .5 - centre) / support) / sum) : 0.f;
    }
  }
  return (char *)(side->weight + (size_t)out * (size_t)side->width);
}

static void AddTwo(size_t length, PetscBool more, const float w[2], const uint8_t *restrict a,
                   const uint8_t *restrict b, float *restrict line)
{
  if (more)
    for (size_t j = 0; j < length; j++) line[j] += w[0] * (float)a[j] + w[1] * (float)b[j];
  else
    for (size_t j = 0; j < length; j++) line[j] = w[0] * (float)a[j] + w[1] * (float)b[j];
}

/* The weighted sum of `width` lines, `stride` apart, two at a time. */
static void SumLines(PetscInt width, const float *weight, size_t length, size_t stride, const uint8_t *from,
                     float *line)
{
  PetscBool more = PETSC_FALSE;

  for (PetscInt k = 0; k < width; k += 2) {
    PetscBool alone = (PetscBool)(k + 1 == width);
    float w[2] = {weight[k], alone ? 0 : weight[k + 1]};

    if (w[0] == 0 && w[1] == 0) continue; /* weights of zero are at the ends */
    AddTwo(length, more, w, from + (size_t)k * stride, from + (size_t)(alone ? k : k + 1) * stride, line);
    more = PETSC_TRUE;
  }
}

/* Sums of positive weights that add up to one are in 0 .. 255 up to round-off, so half more never reaches 256. */
static inline FourBytes Round(Four sum)
{
  return __builtin_convertvector(__builtin_convertvector(sum + .5f, FourInts), FourBytes);
}

/* Called with constant widths, so that the loop over k is unrolled. */
static inline __attribute__((always_inline)) void SumColours(const Side *side, PetscInt width, PetscInt out,
                                                             const float *line, uint8_t *output)
{
  FourBytes pixel = {0};

  for (PetscInt i = 0; i < out; i++) {
    const float *from = line + 3 * side->first[i], *weight = side->weight + (size_t)i * (size_t)width;
    Four sum = weight[0] * *(const LooseFour *)from;

    for (PetscInt k = 1; k < width; k++) sum += weight[k] * *(const LooseFour *)(from + 3 * k);
    pixel = Round(sum);
    if (i < out - 1) memcpy(output + 3 * i, &pixel, 4);
  }
  memcpy(output + 3 * (out - 1), &pixel, 3);
}

static void SumColumns(const Side *side, PetscInt channels, PetscInt out, const float *line, uint8_t *output)
{
  for (PetscInt i = 0; i < out; i++) {
    const float *weight = side->weight + (size_t)i * (size_t)side->width;
    for (PetscInt c = 0; c < channels; c++) {
      const float *from = line + side->first[i] * channels + c;
      float sum = .5f;
      for (PetscInt k = 0; k < side->width; k++) sum += weight[k] * from[k * channels];
      *output++ = (uint8_t)sum;
    }
  }
}

static void MakeRow(const Side *side, PetscInt channels, PetscInt out, const float *line, uint8_t *output)
{
  if (channels != 3)
    SumColumns(side, channels, out, line, output);
  else if (side->width == 3)
    SumColours(side, 3, out, line, output);
  else if (side->width == 4)
    SumColours(side, 4, out, line, output);
  else if (side->width == 5)
    SumColours(side, 5, out, line, output);
  else if (side->width == 6)
    SumColours(side, 6, out, line, output);
  else
    SumColours(side, side->width, out, line, output);
}

/* Line of sums with a vector's room behind it. */
static size_t LineLength(PetscInt columns, PetscInt channels)
{
  return (size_t)columns * (size_t)channels + 4;
}

/* The pixels of one direction that are at least partly between start and start + count. */
static void Cover(double start, double count, PetscInt side, PetscInt *first, PetscInt *covered)
{
  *first = (PetscInt)floor(start);
  *covered = PetscMin((PetscInt)ceil(start + count), side) - *first;
}

/* The window of the part's full_rows × full_columns picture. */
static void ResizeWindow(const uint8_t *image, PetscInt rows, PetscInt columns, PetscInt channels,
                         const CordsImagePart *part, PetscInt full_rows, PetscInt full_columns, CordsBox window,
                         uint8_t *output, void *work)
{
  Side down, along;
  CordsBox box;
  size_t stride = (size_t)columns * (size_t)channels, length;
  const uint8_t *corner;
  float *line = work;
  char *memory;

  Cover(part->row_start, part->row_count, rows, &box.row_start, &box.row_count);
  Cover(part->column_start, part->column_count, columns, &box.column_start, &box.column_count);
  length = (size_t)box.column_count * (size_t)channels;
  corner = image + (size_t)box.row_start * stride + (size_t)box.column_start * (size_t)channels;
  memory = (char *)(line + LineLength(box.column_count, channels));
  memory = MakeSide(box.row_count, part->row_start - box.row_start, part->row_count, full_rows, window.row_start,
                    window.row_count, memory, &down);
  MakeSide(box.column_count, part->column_start - box.column_start, part->column_count, full_columns,
           window.column_start, window.column_count, memory, &along);
  memset(line + length, 0, 4 * sizeof *line);
  for (PetscInt i = 0; i < window.row_count; i++) {
    SumLines(down.width, down.weight + (size_t)i * (size_t)down.width, length, stride,
             corner + (size_t)down.first[i] * stride, line);
    MakeRow(&along, channels, window.column_count, line, output);
    output += (size_t)window.column_count * (size_t)channels;
  }
}

size_t CordsResizedCropWorkBytes(PetscInt rows, PetscInt columns, PetscInt channels, PetscInt out_rows,
                                 PetscInt out_columns)
{
  return LineLength(columns, channels) * sizeof(float) + SideBytes(rows, out_rows, out_rows) +
         SideBytes(columns, out_columns, out_columns);
}

void CordsResizedPart(const uint8_t *image, PetscInt rows, PetscInt columns, PetscInt channels,
                      const CordsImagePart *part, PetscInt out_rows, PetscInt out_columns, uint8_t *output, void *work)
{
  ResizeWindow(image, rows, columns, channels, part, out_rows, out_columns,
               (CordsBox){.row_count = out_rows, .column_count = out_columns}, output, work);
}

void CordsResizedCrop(const uint8_t *image, PetscInt rows, PetscInt columns, PetscInt channels, CordsBox box,
                      PetscInt out_rows, PetscInt out_columns, uint8_t *output, void *work)
{
  const CordsImagePart part = {box.row_start, box.row_count, box.column_start, box.column_count};

  CordsResizedPart(image, rows, columns, channels, &part, out_rows, out_columns, output, work);
}

void CordsCoverSides(PetscInt rows, PetscInt columns, PetscInt rows_min, PetscInt columns_min, PetscInt *full_rows,
                     PetscInt *full_columns)
{
  const PetscBool rows_short = (PetscBool)((PetscInt64)rows_min * columns >= (PetscInt64)columns_min * rows);

  *full_rows = rows_short ? rows_min : (PetscInt)((PetscInt64)columns_min * rows / columns);
  *full_columns = rows_short ? (PetscInt)((PetscInt64)rows_min * columns / rows) : columns_min;
}

void CordsResizedCentre(const uint8_t *image, PetscInt rows, PetscInt columns, PetscInt channels,
                        const CordsImagePart *part, PetscInt full_rows, PetscInt full_columns, PetscInt out_rows,
                        PetscInt out_columns, uint8_t *output, void *work)
{
  CordsBox window = {.row_count = out_rows, .column_count = out_columns};

  window.row_start = (PetscInt)nearbyint((full_rows - out_rows) / 2.0); /* halves to even, as torchvision does */
  window.column_start = (PetscInt)nearbyint((full_columns - out_columns) / 2.0);
  ResizeWindow(image, rows, columns, channels, part, full_rows, full_columns, window, output, work);
}

/* The largest central box whose columns / rows are in the range. */
static CordsBox CentralBox(const CordsCropRange *range, PetscInt rows, PetscInt columns)
{
  double ratio = (double)columns / rows;
  CordsBox box = {.row_count = rows, .column_count = columns};

  if (ratio < range->ratio_min) box.row_count = PetscMax((PetscInt)nearbyint(columns / range->ratio_min), 1);
  if (ratio > range->ratio_max) box.column_count = PetscMax((PetscInt)nearbyint(rows * range->ratio_max), 1);
  box.row_start = (rows - box.row_count) / 2;
  box.column_start = (columns - box.column_count) / 2;
  return box;
}

static double Between(CordsRandomKey key, uint32_t position, double low, double high)
{
  return low + (high - low) * CordsRandomUniform(key, position);
}

/* "Inception crop": C. Szegedy et al., "Going deeper with convolutions", CVPR 2015. */
CordsBox CordsCropDraw(const CordsCropRange *range, PetscInt rows, PetscInt columns, CordsRandomKey key)
{
  key.purpose = CORDS_RANDOM_CROP;
  for (uint32_t draw = 0; draw < TRIES * DRAWS; draw += DRAWS) {
    double area = (double)rows * columns * Between(key, draw, range->area_min, range->area_max);
    double ratio = exp(Between(key, draw + 1, log(range->ratio_min), log(range->ratio_max)));
    CordsBox box = {.row_count = (PetscInt)nearbyint(sqrt(area / ratio)),
                    .column_count = (PetscInt)nearbyint(sqrt(area * ratio))};

    if (box.row_count < 1 || box.row_count > rows || box.column_count < 1 || box.column_count > columns) continue;
    box.row_start = (PetscInt)CordsRandomBelow(key, draw + 2, (uint64_t)(rows - box.row_count) + 1);
    box.column_start = (PetscInt)CordsRandomBelow(key, draw + 3, (uint64_t)(columns - box.column_count) + 1);
    return box;
  }
  return CentralBox(range, rows, columns);
}
