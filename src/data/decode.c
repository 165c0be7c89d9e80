#include "data/decode.h"

#include "data/decode_private.h"

#include <stdio.h>
#include <string.h>

/* What other images start with, for a sentence that helps. */
static const struct {
  const char *start;
  size_t length;
  const char *name;
} others[] = {{"GIF8", 4, "a GIF image"},           {"BM", 2, "a BMP image"},      {"RIFF", 4, "a WebP image"},
              {"II*\0", 4, "a TIFF image"},         {"MM\0*", 4, "a TIFF image"},  {"\x1f\x8b", 2, "a gzip file"},
              {"\0\0\0\x0cjP  ", 8, "a JPEG 2000"}, {"<", 1, "text, like a page"}, {"PK", 2, "a zip file"}};

/* MARGIN: pixels around a box that have to be decoded, because colours of coarser resolution are interpolated. */
enum { SHRINK_MAX = 8, MARGIN = 2 };

typedef enum { KIND_NONE, KIND_JPEG, KIND_PNG } Kind;

static Kind FindKind(size_t length, const uint8_t *bytes, char problem[CORDS_DECODE_PROBLEM])
{
  if (length >= 3 && !memcmp(bytes, "\xff\xd8\xff", 3)) return KIND_JPEG;
  if (length >= 8 && !memcmp(bytes, "\x89PNG\r\n\x1a\n", 8)) return KIND_PNG;
  if (length == 0) {
    snprintf(problem, CORDS_DECODE_PROBLEM, "is empty");
    return KIND_NONE;
  }
  for (size_t i = 0; i < sizeof others / sizeof *others; i++)
    if (length >= others[i].length && !memcmp(bytes, others[i].start, others[i].length)) {
      snprintf(problem, CORDS_DECODE_PROBLEM, "is neither JPEG nor PNG but %s", others[i].name);
      return KIND_NONE;
    }
  snprintf(problem, CORDS_DECODE_PROBLEM, "is neither JPEG nor PNG: it starts with the byte 0x%02x", bytes[0]);
  return KIND_NONE;
}

static PetscBool CheckSize(const CordsDecodeSize *size, char problem[CORDS_DECODE_PROBLEM])
{
  PetscInt64 pixels = (PetscInt64)size->rows * size->columns;

  if (size->rows >= 1 && size->columns >= 1 && size->rows <= CORDS_DECODE_SIDE_MAX &&
      size->columns <= CORDS_DECODE_SIDE_MAX && pixels <= CORDS_DECODE_PIXELS_MAX)
    return PETSC_TRUE;
  snprintf(problem, CORDS_DECODE_PROBLEM,
           "says that it has %" PetscInt_FMT " x %" PetscInt_FMT " pixels; sides of 1 to %d and %d pixels are allowed",
           size->rows, size->columns, CORDS_DECODE_SIDE_MAX, CORDS_DECODE_PIXELS_MAX);
  return PETSC_FALSE;
}

PetscBool CordsDecodeSizes(size_t length, const uint8_t *bytes, CordsDecodeSize *size,
                           char problem[CORDS_DECODE_PROBLEM])
{
  Kind kind;

  *size = (CordsDecodeSize){0};
  problem[0] = '\0';
  if (length > CORDS_DECODE_BYTES_MAX) {
    snprintf(problem, CORDS_DECODE_PROBLEM, "has %zu bytes, at most %d are allowed", length, CORDS_DECODE_BYTES_MAX);
    return PETSC_FALSE;
  }
  kind = FindKind(length, bytes, problem);
  if (kind == KIND_NONE) return PETSC_FALSE;
  if (!(kind == KIND_JPEG ? CordsJpegSize : CordsPngSize)(length, bytes, size, problem)) return PETSC_FALSE;
  if (!CheckSize(size, problem)) return PETSC_FALSE;
  size->shrink = 1;
  size->region = (CordsBox){.row_count = size->rows, .column_count = size->columns};
  return PETSC_TRUE;
}

/* Half of that is not enough for the picture. */
static PetscInt FindShrink(const CordsBox *box, PetscInt out_rows, PetscInt out_columns)
{
  PetscInt shrink = 1;

  while (shrink < SHRINK_MAX && box->row_count / (2 * shrink) >= out_rows &&
         box->column_count / (2 * shrink) >= out_columns)
    shrink *= 2;
  return shrink;
}

/* One side of a region: where it starts, a multiple of step / shrink, and how long it is. */
static void FindSide(PetscInt start, PetscInt count, PetscInt side, PetscInt shrink, PetscInt step,
                     PetscInt *region_start, PetscInt *region_count)
{
  PetscInt end = PetscMin((start + count + shrink - 1) / shrink + MARGIN, (side + shrink - 1) / shrink);

  *region_start = PetscMax(start / shrink - MARGIN, 0);
  *region_start -= *region_start % PetscMax(step / shrink, 1);
  *region_count = end - *region_start;
}

void CordsDecodeRestrict(const CordsBox *box, PetscInt out_rows, PetscInt out_columns, PetscBool scaled,
                         CordsDecodeSize *size, CordsImagePart *part)
{
  CordsBox *region = &size->region;

  if (size->columns_step > 0) {
    if (scaled) size->shrink = FindShrink(box, out_rows, out_columns);
    FindSide(box->row_start, box->row_count, size->rows, size->shrink, 1, &region->row_start, &region->row_count);
    FindSide(box->column_start, box->column_count, size->columns, size->shrink, size->columns_step,
             &region->column_start, &region->column_count);
  }
  *part = (CordsImagePart){.row_start = (double)box->row_start / size->shrink - region->row_start,
                           .row_count = (double)box->row_count / size->shrink,
                           .column_start = (double)box->column_start / size->shrink - region->column_start,
                           .column_count = (double)box->column_count / size->shrink};
}

PetscBool CordsDecode(size_t length, const uint8_t *bytes, const CordsDecodeSize *size, PetscInt channels,
                      uint8_t *pixels, char problem[CORDS_DECODE_PROBLEM])
{
  Kind kind = FindKind(length, bytes, problem);

  problem[0] = '\0';
  if (kind == KIND_NONE) return PETSC_FALSE;
  return (kind == KIND_JPEG ? CordsJpegDecode : CordsPngDecode)(length, bytes, size, channels, pixels, problem);
}

void CordsDecodeGrey(size_t pixels, const uint8_t *colour, uint8_t *grey)
{
  for (size_t i = 0; i < pixels; i++, colour += 3)
    grey[i] = (uint8_t)((19595u * colour[0] + 38470u * colour[1] + 7471u * colour[2] + 0x8000u) >> 16);
}
