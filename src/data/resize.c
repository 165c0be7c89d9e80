#include "data/resize.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Weights along one side: output i is the sum over k < count[i] of weight[i · width + k] · input[first[i] + k]. */
typedef struct {
  PetscInt in, out, width;
  PetscInt *first, *count;
  float *weight;
} Side;

struct _p_CordsResize {
  Side rows, columns;
};

/* PETSc's memory is not made for several threads at once. */
static PetscBool SideCreate(PetscInt in, PetscInt out, Side *side)
{
  double scale = (double)in / out, support = PetscMax(scale, 1.0);

  side->in = in;
  side->out = out;
  side->width = PetscMin((PetscInt)ceil(2 * support) + 1, in);
  side->first = malloc((size_t)out * sizeof *side->first);
  side->count = malloc((size_t)out * sizeof *side->count);
  side->weight = calloc((size_t)out * (size_t)side->width, sizeof *side->weight);
  if (!side->first || !side->count || !side->weight) return PETSC_FALSE;
  for (PetscInt i = 0; i < out; i++) {
    double centre = scale * (i + .5), sum = 0;
    float *weight = side->weight + (size_t)i * (size_t)side->width;
    PetscInt first = PetscMax((PetscInt)(centre - support + .5), 0);
    PetscInt end = PetscMin((PetscInt)(centre + support + .5), in);

    side->first[i] = first;
    side->count[i] = PetscMin(end - first, side->width);
    for (PetscInt k = 0; k < side->count[i]; k++) sum += PetscMax(0, 1 - fabs(first + k + .5 - centre) / support);
    for (PetscInt k = 0; k < side->count[i]; k++)
      weight[k] = (float)(PetscMax(0, 1 - fabs(first + k + .5 - centre) / support) / sum);
  }
  return PETSC_TRUE;
}

static void SideDestroy(Side *side)
{
  free(side->first);
  free(side->count);
  free(side->weight);
}

CordsResize CordsResizeCreate(PetscInt rows_in, PetscInt columns_in, PetscInt rows_out, PetscInt columns_out)
{
  CordsResize resize = calloc(1, sizeof *resize);

  if (resize &&
      !(SideCreate(rows_in, rows_out, &resize->rows) && SideCreate(columns_in, columns_out, &resize->columns)))
    CordsResizeDestroy(&resize);
  return resize;
}

void CordsResizeDestroy(CordsResize *resize)
{
  if (!*resize) return;
  SideDestroy(&(*resize)->rows);
  SideDestroy(&(*resize)->columns);
  free(*resize);
  *resize = NULL;
}

size_t CordsResizeWorkSize(CordsResize resize, PetscInt channels)
{
  return (size_t)resize->rows.in * (size_t)resize->columns.out * (size_t)channels;
}

/* Along the columns of every row: lines of `out` pixels from lines of `in` pixels. */
static void AlongColumns(const Side *side, PetscInt lines, PetscInt channels, const float *input, float *output)
{
  for (PetscInt line = 0; line < lines; line++) {
    for (PetscInt i = 0; i < side->out; i++) {
      const float *weight = side->weight + (size_t)i * (size_t)side->width;
      const float *from = input + ((size_t)line * (size_t)side->in + (size_t)side->first[i]) * (size_t)channels;
      for (PetscInt c = 0; c < channels; c++) {
        float sum = 0;
        for (PetscInt k = 0; k < side->count[i]; k++) sum += weight[k] * from[k * channels + c];
        *output++ = sum;
      }
    }
  }
}

/* Along the rows: an output row is a weighted sum of input rows of `length` numbers. */
static void AlongRows(const Side *side, size_t length, const float *input, float *output)
{
  memset(output, 0, (size_t)side->out * length * sizeof *output);
  for (PetscInt i = 0; i < side->out; i++) {
    float *to = output + (size_t)i * length;
    for (PetscInt k = 0; k < side->count[i]; k++) {
      const float weight = side->weight[i * side->width + k];
      const float *from = input + (size_t)(side->first[i] + k) * length;
      for (size_t j = 0; j < length; j++) to[j] += weight * from[j];
    }
  }
}

void CordsResizeApply(CordsResize resize, PetscInt channels, const float *input, float *output, float *work)
{
  const Side *rows = &resize->rows, *columns = &resize->columns;
  size_t length = (size_t)columns->out * (size_t)channels;

  if (rows->in == rows->out && columns->in == columns->out) {
    memcpy(output, input, (size_t)rows->in * length * sizeof *output);
    return;
  }
  AlongColumns(columns, rows->in, channels, input, work);
  AlongRows(rows, length, work, output);
}
