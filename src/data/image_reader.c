#include "data/image_reader.h"

#include "data/resized_crop.h"
#include "data/training_image.h"

#include <stdio.h>

/* Of a longer image only the middle is resized: what is cut off anyway must not take memory. */
enum { ASPECT_MAX = 8 };

struct _p_CordsImageReader {
  CordsDataset dataset;
  CordsImageShape shape;
  PetscBool scaled;
  CordsBytes file, pixels, resized, work;
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
  CordsBytesFree(&(*reader)->resized);
  CordsBytesFree(&(*reader)->work);
  PetscCall(PetscFree(*reader));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* Whether all images of the dataset have the same size; else each is a file. */
static PetscBool OfOneSize(CordsImageReader r)
{
  return (PetscBool)(CordsDatasetGetFacts(r->dataset)->rows > 0);
}

/* The part of an image of any size that becomes the shape, and the size to which it is resized before its centre is cut
   out. */
static CordsImagePart ChoosePart(CordsImageShape shape, PetscInt rows, PetscInt columns, PetscInt *full_rows,
                                 PetscInt *full_columns)
{
  const PetscInt64 rows_max = ASPECT_MAX * (PetscInt64)columns * shape.rows / shape.columns + 1;
  const PetscInt64 columns_max = ASPECT_MAX * (PetscInt64)rows * shape.columns / shape.rows + 1;
  PetscInt used_rows = rows, used_columns = columns;

  if (rows > rows_max) used_rows -= (PetscInt)((rows - rows_max) / 2 * 2);
  if (columns > columns_max) used_columns -= (PetscInt)((columns - columns_max) / 2 * 2);
  CordsCoverSides(used_rows, used_columns, (PetscInt)((8 * (PetscInt64)shape.rows + 3) / 7),
                  (PetscInt)((8 * (PetscInt64)shape.columns + 3) / 7), full_rows, full_columns);
  return (CordsImagePart){.row_start = (rows - used_rows) / 2,
                          .row_count = used_rows,
                          .column_start = (columns - used_columns) / 2,
                          .column_count = used_columns};
}

/* The reader's pixels, of rows × columns, as numbers of the shape. */
static PetscBool Fit(CordsImageReader r, PetscInt rows, PetscInt columns, float *image, char *problem)
{
  const CordsImageShape shape = r->shape;
  CordsImagePart part = {.row_count = rows, .column_count = columns};
  PetscInt full_rows = shape.rows, full_columns = shape.columns;
  size_t work;

  snprintf(problem, CORDS_DECODE_PROBLEM, "does not fit into memory");
  if (!OfOneSize(r)) part = ChoosePart(shape, rows, columns, &full_rows, &full_columns);
  work = CordsResizedCropWorkBytes((PetscInt)part.row_count, (PetscInt)part.column_count, shape.channels, shape.rows,
                                   shape.columns);
  if (!CordsBytesResize(&r->resized, CordsImageSize(shape)) || !CordsBytesResize(&r->work, work)) return PETSC_FALSE;
  CordsResizedCentre(r->pixels.bytes, rows, columns, shape.channels, &part, full_rows, full_columns, shape.rows,
                     shape.columns, r->resized.bytes, r->work.bytes);
  for (size_t k = 0; k < CordsImageSize(shape); k++) image[k] = (float)r->resized.bytes[k] / 255;
  problem[0] = '\0';
  return PETSC_TRUE;
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

/* What the random box needs of image i, in the reader's pixels of rows × columns; part: where it is in there. */
static PetscBool LoadBox(CordsImageReader r, CordsSample i, CordsRandomKey key, PetscInt *rows, PetscInt *columns,
                         CordsImagePart *part, PetscInt *label, char *problem)
{
  const CordsDatasetFacts *facts = CordsDatasetGetFacts(r->dataset);
  const PetscBool fixed = OfOneSize(r);
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
  const CordsDatasetFacts *facts = CordsDatasetGetFacts(reader->dataset);
  CordsDecodeSize size = {.rows = facts->rows, .columns = facts->columns};

  problem[0] = '\0';
  *label = 0;
  if (OfOneSize(reader)) {
    if (!LoadFixed(reader, i, label, problem)) return PETSC_FALSE;
  } else if (!FetchFile(reader, i, &size, label, problem) || !DecodeFile(reader, &size, problem)) {
    return PETSC_FALSE;
  }
  return Fit(reader, size.rows, size.columns, image, problem);
}

void CordsImageNormalise(const CordsDatasetFacts *facts, size_t pixels, float *image)
{
  for (size_t i = 0; i < pixels; i++)
    for (PetscInt c = 0; c < facts->channels; c++, image++) *image = (*image - facts->mean[c]) / facts->deviation[c];
}
