#include "data/image_reader.h"

#include "data/resize.h"
#include "data/training_image.h"

#include <stdio.h>
#include <stdlib.h>

/* Of a longer image only the middle is resized: what is cut off anyway must not take memory. */
enum { ASPECT_MAX = 8 };

struct _p_CordsImageReader {
  CordsDataset dataset;
  CordsImageShape shape;
  PetscBool scaled;
  CordsBytes file, pixels, work;
  CordsResize resize; /* for the sizes below, and NULL at first */
  PetscInt rows_in, columns_in, rows_out, columns_out;
};

PetscErrorCode CordsImageReaderCreate(CordsDataset dataset, CordsImageShape shape, PetscBool scaled,
                                      CordsImageReader *reader)
{
  PetscFunctionBegin;
  PetscCall(PetscNew(reader));
  (*reader)->dataset = dataset;
  (*reader)->shape = shape;
  (*reader)->scaled = scaled;
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsImageReaderDestroy(CordsImageReader *reader)
{
  PetscFunctionBegin;
  if (!*reader) PetscFunctionReturn(PETSC_SUCCESS);
  CordsBytesFree(&(*reader)->file);
  CordsBytesFree(&(*reader)->pixels);
  CordsBytesFree(&(*reader)->work);
  CordsResizeDestroy(&(*reader)->resize);
  PetscCall(PetscFree(*reader));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscBool SetResize(CordsImageReader r, PetscInt rows_in, PetscInt columns_in, PetscInt rows_out,
                           PetscInt columns_out)
{
  if (r->resize && r->rows_in == rows_in && r->columns_in == columns_in && r->rows_out == rows_out &&
      r->columns_out == columns_out)
    return PETSC_TRUE;
  CordsResizeDestroy(&r->resize);
  r->resize = CordsResizeCreate(rows_in, columns_in, rows_out, columns_out);
  r->rows_in = rows_in;
  r->columns_in = columns_in;
  r->rows_out = rows_out;
  r->columns_out = columns_out;
  return (PetscBool)(r->resize != NULL);
}

/* Resize the part of `pixels` (rows of `stride` pixels) that the reader's resize is made for; the result is in the
   reader's work, NULL without memory. */
static float *Resize(CordsImageReader r, const uint8_t *pixels, PetscInt stride)
{
  PetscInt channels = r->shape.channels;
  size_t row = (size_t)r->columns_in * (size_t)channels, in = (size_t)r->rows_in * row;
  size_t out = (size_t)r->rows_out * (size_t)r->columns_out * (size_t)channels;
  float *input, *output;

  if (!CordsBytesResize(&r->work, (in + out + CordsResizeWorkSize(r->resize, channels)) * sizeof(float))) return NULL;
  output = (float *)r->work.bytes;
  input = output + out;
  for (PetscInt i = 0; i < r->rows_in; i++)
    for (size_t k = 0; k < row; k++)
      input[(size_t)i * row + k] = (float)pixels[(size_t)i * (size_t)stride * (size_t)channels + k] / 255;
  CordsResizeApply(r->resize, channels, input, output, input + in);
  return output;
}

/* Where the middle begins; halves are rounded to even, as torchvision does. */
static PetscInt Middle(PetscInt whole, PetscInt part)
{
  PetscInt half = (whole - part) / 2;

  return half + ((whole - part) % 2 && half % 2);
}

/* Copy the shape's middle out of the resized image. */
static void CutCentre(CordsImageReader r, const float *resized, float *image)
{
  PetscInt top = Middle(r->rows_out, r->shape.rows), left = Middle(r->columns_out, r->shape.columns);
  size_t row = (size_t)r->shape.columns * (size_t)r->shape.channels;

  for (PetscInt i = 0; i < r->shape.rows; i++) {
    const float *from =
        resized + ((size_t)(top + i) * (size_t)r->columns_out + (size_t)left) * (size_t)r->shape.channels;
    for (size_t k = 0; k < row; k++) image[(size_t)i * row + k] = from[k];
  }
}

/* The size of the whole image from which the shape is cut. */
static void FindResized(CordsImageShape shape, PetscInt rows, PetscInt columns, PetscInt *rows_out,
                        PetscInt *columns_out)
{
  PetscInt64 rows_min = (8 * (PetscInt64)shape.rows + 3) / 7, columns_min = (8 * (PetscInt64)shape.columns + 3) / 7;

  if (rows_min * columns >= columns_min * rows) { /* rows are short */
    *rows_out = (PetscInt)rows_min;
    *columns_out = (PetscInt)(rows_min * columns / rows);
  } else {
    *rows_out = (PetscInt)(columns_min * rows / columns);
    *columns_out = (PetscInt)columns_min;
  }
}

/* Pixels of any size to the shape. */
static PetscBool Fit(CordsImageReader r, const uint8_t *pixels, PetscInt rows, PetscInt columns, float *image)
{
  PetscInt used_rows = rows, used_columns = columns, rows_out, columns_out;
  PetscInt64 rows_max = ASPECT_MAX * (PetscInt64)columns * r->shape.rows / r->shape.columns + 1;
  PetscInt64 columns_max = ASPECT_MAX * (PetscInt64)rows * r->shape.columns / r->shape.rows + 1;
  float *resized;

  if (rows > rows_max) used_rows -= (PetscInt)((rows - rows_max) / 2 * 2);
  if (columns > columns_max) used_columns -= (PetscInt)((columns - columns_max) / 2 * 2);
  pixels += ((size_t)((rows - used_rows) / 2) * (size_t)columns + (size_t)((columns - used_columns) / 2)) *
            (size_t)r->shape.channels;
  FindResized(r->shape, used_rows, used_columns, &rows_out, &columns_out);
  if (!SetResize(r, used_rows, used_columns, rows_out, columns_out)) return PETSC_FALSE;
  resized = Resize(r, pixels, columns);
  if (resized) CutCentre(r, resized, image);
  return (PetscBool)(resized != NULL);
}

static PetscBool FetchFile(CordsImageReader r, CordsSample i, CordsDecodeSize *size, PetscInt *label, char *problem)
{
  return (PetscBool)(CordsDatasetFetch(r->dataset, i, &r->file, label, problem) &&
                     CordsDecodeSizes(r->file.length, r->file.bytes, size, problem));
}

/* The region of the file at hand, decoded into the reader's pixels. */
static PetscBool DecodeFile(CordsImageReader r, const CordsDecodeSize *size, char *problem)
{
  snprintf(problem, CORDS_DECODE_PROBLEM, "does not fit into memory");
  if (!CordsBytesResize(&r->pixels, (size_t)CordsBoxPixels(&size->region) * (size_t)r->shape.channels))
    return PETSC_FALSE;
  return CordsDecode(r->file.length, r->file.bytes, size, r->shape.channels, r->pixels.bytes, problem);
}

/* An image of a dataset of one size into the reader's pixels. */
static PetscBool LoadFixed(CordsImageReader r, CordsSample i, PetscInt *label, char *problem)
{
  const CordsDatasetFacts *facts = CordsDatasetGetFacts(r->dataset);

  snprintf(problem, CORDS_DECODE_PROBLEM, "does not fit into memory");
  return (
      PetscBool)(CordsBytesResize(&r->pixels, (size_t)facts->rows * (size_t)facts->columns * (size_t)facts->channels) &&
                 CordsDatasetPixels(r->dataset, i, r->pixels.bytes, label, problem));
}

static PetscBool ReadFile(CordsImageReader r, CordsSample i, float *image, PetscInt *label, char *problem)
{
  CordsDecodeSize size;

  if (!FetchFile(r, i, &size, label, problem) || !DecodeFile(r, &size, problem)) return PETSC_FALSE;
  snprintf(problem, CORDS_DECODE_PROBLEM, "does not fit into memory");
  return Fit(r, r->pixels.bytes, size.rows, size.columns, image);
}

static PetscBool ReadFixed(CordsImageReader r, CordsSample i, float *image, PetscInt *label, char *problem)
{
  const CordsDatasetFacts *facts = CordsDatasetGetFacts(r->dataset);
  float *resized = NULL;

  if (!LoadFixed(r, i, label, problem)) return PETSC_FALSE;
  snprintf(problem, CORDS_DECODE_PROBLEM, "does not fit into memory");
  if (SetResize(r, facts->rows, facts->columns, r->shape.rows, r->shape.columns))
    resized = Resize(r, r->pixels.bytes, facts->columns);
  for (size_t k = 0; resized && k < CordsImageSize(r->shape); k++) image[k] = resized[k];
  return (PetscBool)(resized != NULL);
}

/* What the random box needs of image i, in the reader's pixels of rows × columns; part: where it is in there. */
static PetscBool LoadBox(CordsImageReader r, CordsSample i, CordsRandomKey key, PetscInt *rows, PetscInt *columns,
                         CordsImagePart *part, PetscInt *label, char *problem)
{
  const CordsDatasetFacts *facts = CordsDatasetGetFacts(r->dataset);
  const PetscBool fixed = (PetscBool)(facts->rows > 0);
  CordsDecodeSize size = {.rows = facts->rows, .columns = facts->columns, .shrink = 1};
  CordsBox box;

  size.region = (CordsBox){.row_count = facts->rows, .column_count = facts->columns};
  if (!(fixed ? LoadFixed(r, i, label, problem) : FetchFile(r, i, &size, label, problem))) return PETSC_FALSE;
  box = CordsTrainingBox(CordsDatasetGetAugmentation(r->dataset), size.rows, size.columns, key);
  CordsDecodeRestrict(&box, r->shape.rows, r->shape.columns, r->scaled, &size, part);
  *rows = size.region.row_count;
  *columns = size.region.column_count;
  return (PetscBool)(fixed || DecodeFile(r, &size, problem));
}

PetscBool CordsImageReadTraining(CordsImageReader reader, CordsSample i, CordsRandomKey key, float *image,
                                 PetscInt *label, char problem[CORDS_DECODE_PROBLEM])
{
  const CordsDatasetFacts *facts = CordsDatasetGetFacts(reader->dataset);
  PetscInt rows, columns;
  CordsImagePart part;

  problem[0] = '\0';
  *label = 0;
  if (!LoadBox(reader, i, key, &rows, &columns, &part, label, problem)) return PETSC_FALSE;
  snprintf(problem, CORDS_DECODE_PROBLEM, "does not fit into memory");
  if (!CordsBytesResize(&reader->work, CordsTrainingImageWorkBytes(rows, columns, reader->shape))) return PETSC_FALSE;
  CordsTrainingImage(CordsDatasetGetAugmentation(reader->dataset), facts->mean, facts->deviation, rows, columns,
                     reader->pixels.bytes, &part, reader->shape, key, image, reader->work.bytes);
  problem[0] = '\0'; /* it stood ready for memory that is short */
  return PETSC_TRUE;
}

PetscBool CordsImageRead(CordsImageReader reader, CordsSample i, float *image, PetscInt *label,
                         char problem[CORDS_DECODE_PROBLEM])
{
  PetscBool good;

  problem[0] = '\0';
  *label = 0;
  good = (CordsDatasetGetFacts(reader->dataset)->rows > 0 ? ReadFixed : ReadFile)(reader, i, image, label, problem);
  if (good) problem[0] = '\0'; /* it stood ready for memory that is short */
  return good;
}

void CordsImageNormalise(const CordsDatasetFacts *facts, size_t pixels, float *image)
{
  for (size_t i = 0; i < pixels; i++)
    for (PetscInt c = 0; c < facts->channels; c++, image++) *image = (*image - facts->mean[c]) / facts->deviation[c];
}
