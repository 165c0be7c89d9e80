/* PNG by libpng.  Its errors jump to Guarded, which owns nothing: whatever must survive a jump stands in the Reading of
   its caller. */
#include "data/decode_private.h"

#include <png.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK_BYTES_MAX = 1 << 23, CHUNK_COUNT_MAX = 1000 };

typedef struct {
  const uint8_t *bytes;
  size_t length, at;
  char *problem;
  png_structp png;
  png_infop info;
  uint8_t *colour; /* RGB, when grey is wanted of a colour image */
  png_bytepp rows;
} Reading;

static void Fail(png_structp png, png_const_charp message)
{
  Reading *reading = png_get_error_ptr(png);

  snprintf(reading->problem, CORDS_DECODE_PROBLEM, "is a PNG image that cannot be decoded: %s", message);
  longjmp(png_jmpbuf(png), 1);
}

static void Ignore(png_structp png, png_const_charp message)
{
}

static void Fetch(png_structp png, png_bytep data, size_t count)
{
  Reading *reading = png_get_io_ptr(png);

  if (count > reading->length - reading->at) png_error(png, "it is truncated");
  memcpy(data, reading->bytes + reading->at, count);
  reading->at += count;
}

static PetscBool Begin(size_t length, const uint8_t *bytes, char *problem, Reading *reading)
{
  *reading = (Reading){.bytes = bytes, .length = length, .problem = problem};
  reading->png = png_create_read_struct(PNG_LIBPNG_VER_STRING, reading, Fail, Ignore);
  if (reading->png) reading->info = png_create_info_struct(reading->png);
  if (reading->info) return PETSC_TRUE;
  snprintf(problem, CORDS_DECODE_PROBLEM, "does not fit into memory");
  return PETSC_FALSE;
}

static void End(Reading *reading)
{
  if (reading->png) png_destroy_read_struct(&reading->png, &reading->info, NULL);
  free(reading->colour);
  free(reading->rows);
}

/* Text and profiles are of no use here and could be bombs of their own. */
static void SetLimits(Reading *reading)
{
  png_set_user_limits(reading->png, CORDS_DECODE_SIDE_MAX, CORDS_DECODE_SIDE_MAX);
  png_set_chunk_malloc_max(reading->png, CHUNK_BYTES_MAX);
  png_set_chunk_cache_max(reading->png, CHUNK_COUNT_MAX);
  png_set_read_fn(reading->png, reading, Fetch);
}

PetscBool CordsPngSize(size_t length, const uint8_t *bytes, CordsDecodeSize *size, char problem[CORDS_DECODE_PROBLEM])
{
  static const uint8_t header[] = {0, 0, 0, 13, 'I', 'H', 'D', 'R'};
  const uint8_t *at = bytes + 8;
  uint32_t sides[2] = {0};

  if (length < 33 || memcmp(at, header, sizeof header) != 0) {
    snprintf(problem, CORDS_DECODE_PROBLEM, "is a PNG image without its header");
    return PETSC_FALSE;
  }
  for (int i = 0; i < 8; i++) sides[i / 4] = sides[i / 4] << 8 | at[8 + i];
  size->columns = (PetscInt)PetscMin(sides[0], (uint32_t)PETSC_MAX_INT);
  size->rows = (PetscInt)PetscMin(sides[1], (uint32_t)PETSC_MAX_INT);
  return PETSC_TRUE;
}

/* Every kind of pixel to 8 bits of grey or RGB without transparency; returns the channels of a row. */
static int SetPixels(Reading *reading, PetscInt channels)
{
  png_byte kind = png_get_color_type(reading->png, reading->info);
  PetscBool colour = (PetscBool)((kind & PNG_COLOR_MASK_COLOR) != 0);

  png_set_expand(reading->png); /* palettes, few bits, a transparent colour */
  png_set_scale_16(reading->png);
  png_set_strip_alpha(reading->png);
  if (!colour && channels == 3) png_set_gray_to_rgb(reading->png);
  png_set_interlace_handling(reading->png);
  png_read_update_info(reading->png, reading->info);
  return colour || channels == 3 ? 3 : 1;
}

/* Called under setjmp: it owns nothing. */
static void ReadPixels(Reading *reading, const CordsDecodeSize *size, PetscInt channels, uint8_t *pixels)
{
  size_t columns = (size_t)size->columns, count = (size_t)size->rows * columns;
  uint8_t *target = pixels;
  int read;

  SetLimits(reading);
  png_read_info(reading->png, reading->info);
  if (png_get_image_width(reading->png, reading->info) != columns ||
      png_get_image_height(reading->png, reading->info) != (png_uint_32)size->rows)
    png_error(reading->png, "its size has changed");
  read = SetPixels(reading, channels);
  if (png_get_rowbytes(reading->png, reading->info) != columns * (size_t)read)
    png_error(reading->png, "its pixels are of a kind that cords does not know");
  if (read > channels) target = reading->colour = malloc(3 * count);
  reading->rows = malloc((size_t)size->rows * sizeof *reading->rows);
  if (!target || !reading->rows) png_error(reading->png, "it does not fit into memory");
  for (PetscInt i = 0; i < size->rows; i++) reading->rows[i] = target + (size_t)i * columns * (size_t)read;
  png_read_image(reading->png, reading->rows);
  png_read_end(reading->png, NULL);
  if (read > channels) CordsDecodeGrey(count, reading->colour, pixels);
}

static PetscBool Guarded(Reading *reading, const CordsDecodeSize *size, PetscInt channels, uint8_t *pixels)
{
  if (setjmp(png_jmpbuf(reading->png))) return PETSC_FALSE;
  ReadPixels(reading, size, channels, pixels);
  return PETSC_TRUE;
}

PetscBool CordsPngDecode(size_t length, const uint8_t *bytes, const CordsDecodeSize *size, PetscInt channels,
                         uint8_t *pixels, char problem[CORDS_DECODE_PROBLEM])
{
  Reading reading;
  PetscBool good = (PetscBool)(Begin(length, bytes, problem, &reading) && Guarded(&reading, size, channels, pixels));

  End(&reading);
  return good;
}
