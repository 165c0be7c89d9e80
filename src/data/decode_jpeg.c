/* JPEG by libjpeg-turbo's interface of scan lines, which decodes a part of an image, shrunk if wanted.  Every error and
   every warning but one returns through setjmp. */
#include "data/decode_private.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h> /* wants stdio.h before it */

#include <jerror.h>

enum {
  SCANS_MAX = 500, /* a progressive image of thousands of scans would take minutes */
  LINES = 16       /* that are asked for at once */
};

typedef struct {
  struct jpeg_decompress_struct jpeg;
  struct jpeg_error_mgr errors;
  struct jpeg_progress_mgr progress;
  jmp_buf back;
  char *problem;
  uint8_t *colour; /* where the region goes */
  uint8_t *inks;   /* of the region, where the image has four */
} Reading;

static void Fail(j_common_ptr jpeg)
{
  Reading *reading = jpeg->client_data;
  char text[JMSG_LENGTH_MAX];

  jpeg->err->format_message(jpeg, text);
  snprintf(reading->problem, CORDS_DECODE_PROBLEM, "is a JPEG image that cannot be decoded: %s", text);
  longjmp(reading->back, 1);
}

/* Level −1 is a warning: the image is damaged.  Bytes between segments do not touch the pixels, and other readers pass
   over them. */
static void Tell(j_common_ptr jpeg, int level)
{
  if (level < 0 && jpeg->err->msg_code != JWRN_EXTRANEOUS_DATA) Fail(jpeg);
}

static void CountScans(j_common_ptr jpeg)
{
  Reading *reading = jpeg->client_data;

  if (reading->jpeg.input_scan_number <= SCANS_MAX) return;
  snprintf(reading->problem, CORDS_DECODE_PROBLEM, "is a JPEG image of more than %d scans", SCANS_MAX);
  longjmp(reading->back, 1);
}

static void Begin(char *problem, Reading *reading)
{
  memset(reading, 0, sizeof *reading);
  reading->problem = problem;
  reading->jpeg.client_data = reading;
  reading->jpeg.err = jpeg_std_error(&reading->errors);
  reading->errors.error_exit = Fail;
  reading->errors.emit_message = Tell;
  reading->progress.progress_monitor = CountScans;
}

static void End(Reading *reading)
{
  jpeg_destroy_decompress(&reading->jpeg);
  free(reading->inks);
}

/* Called under setjmp, as all Read... */
static void ReadHeader(Reading *reading, size_t length, const uint8_t *bytes)
{
  jpeg_create_decompress(&reading->jpeg);
  reading->jpeg.progress = &reading->progress;
  jpeg_mem_src(&reading->jpeg, bytes, length);
  jpeg_read_header(&reading->jpeg, TRUE);
}

/* libjpeg-turbo cuts lines at the columns of its blocks (those of all colours together). */
static PetscInt ColumnsStep(const struct jpeg_decompress_struct *jpeg)
{
  return DCTSIZE * (jpeg->num_components > 1 ? jpeg->max_h_samp_factor : 1);
}

static void ReadSize(Reading *reading, size_t length, const uint8_t *bytes, CordsDecodeSize *size)
{
  ReadHeader(reading, length, bytes);
  size->rows = (PetscInt)reading->jpeg.image_height;
  size->columns = (PetscInt)reading->jpeg.image_width;
  size->columns_step = ColumnsStep(&reading->jpeg);
}

static PetscBool SizeGuarded(Reading *reading, size_t length, const uint8_t *bytes, CordsDecodeSize *size)
{
  if (setjmp(reading->back)) return PETSC_FALSE;
  ReadSize(reading, length, bytes, size);
  return PETSC_TRUE;
}

PetscBool CordsJpegSize(size_t length, const uint8_t *bytes, CordsDecodeSize *size, char problem[CORDS_DECODE_PROBLEM])
{
  Reading reading;
  PetscBool good;

  Begin(problem, &reading);
  good = SizeGuarded(&reading, length, bytes, size);
  End(&reading);
  return good;
}

/* Adobe's programs store CMYK inverted and say who they are in segment APP14.  Segments in front of the first scan: FF,
   marker, length with its own two bytes. */
static PetscBool IsAdobe(size_t length, const uint8_t *bytes)
{
  for (size_t at = 2; at + 9 <= length && bytes[at] == 0xff;) {
    size_t segment = (size_t)bytes[at + 2] << 8 | bytes[at + 3];
    if (bytes[at + 1] == 0xff) {
      at++; /* padding */
      continue;
    }
    if (bytes[at + 1] == 0xda) break;
    if (bytes[at + 1] == 0xee && segment >= 12 && !memcmp(bytes + at + 4, "Adobe", 5)) return PETSC_TRUE;
    at += 2 + segment;
  }
  return PETSC_FALSE;
}

/* The image ends with FF D9, which the numbers of a scan cannot contain; something may follow. */
static PetscBool HasEnd(size_t length, const uint8_t *bytes)
{
  for (size_t at = length; at >= 4; at--)
    if (bytes[at - 2] == 0xff && bytes[at - 1] == 0xd9) return PETSC_TRUE;
  return PETSC_FALSE;
}

static PetscBool HasInks(const struct jpeg_decompress_struct *jpeg)
{
  return (PetscBool)(jpeg->jpeg_color_space == JCS_CMYK || jpeg->jpeg_color_space == JCS_YCCK);
}

/* Lines of `channels` bytes a pixel, those of the region. */
static void ReadLines(Reading *reading, const CordsBox *region, size_t channels, uint8_t *pixels)
{
  struct jpeg_decompress_struct *jpeg = &reading->jpeg;
  size_t line = (size_t)region->column_count * channels;

  if (region->row_start > 0) jpeg_skip_scanlines(jpeg, (JDIMENSION)region->row_start);
  for (PetscInt row = 0; row < region->row_count;) {
    JSAMPROW lines[LINES];
    PetscInt count = PetscMin(LINES, region->row_count - row);
    for (PetscInt i = 0; i < count; i++) lines[i] = pixels + (size_t)(row + i) * line;
    row += (PetscInt)jpeg_read_scanlines(jpeg, lines, (JDIMENSION)count);
  }
}

static void Refuse(Reading *reading, const char *sentence)
{
  snprintf(reading->problem, CORDS_DECODE_PROBLEM, "%s", sentence);
  longjmp(reading->back, 1);
}

/* The region as RGB, or four inks; a grey image has three equal channels. */
static void ReadPixels(Reading *reading, const CordsDecodeSize *size, uint8_t *pixels)
{
  struct jpeg_decompress_struct *jpeg = &reading->jpeg;
  const CordsBox *region = &size->region;
  JDIMENSION start = (JDIMENSION)region->column_start, count = (JDIMENSION)region->column_count;

  jpeg->out_color_space = HasInks(jpeg) ? JCS_CMYK : JCS_RGB;
  jpeg->dct_method = JDCT_ISLOW;
  jpeg->scale_num = 1;
  jpeg->scale_denom = (unsigned)size->shrink;
  jpeg_start_decompress(jpeg);
  if (count < jpeg->output_width) jpeg_crop_scanline(jpeg, &start, &count);
  if (start != (JDIMENSION)region->column_start || count != (JDIMENSION)region->column_count ||
      count != jpeg->output_width || (JDIMENSION)(region->row_start + region->row_count) > jpeg->output_height)
    Refuse(reading, "has changed its size");
  ReadLines(reading, region, HasInks(jpeg) ? 4 : 3, pixels);
}

static void CheckHeader(Reading *reading, size_t length, const uint8_t *bytes, const CordsDecodeSize *size)
{
  ReadHeader(reading, length, bytes);
  if ((PetscInt)reading->jpeg.image_width != size->columns || (PetscInt)reading->jpeg.image_height != size->rows ||
      ColumnsStep(&reading->jpeg) != size->columns_step)
    Refuse(reading, "has changed its size");
  if (!HasEnd(length, bytes)) Refuse(reading, "is a truncated JPEG image: its end is missing");
}

static void ConvertCmyk(size_t pixels, PetscBool inverted, const uint8_t *cmyk, uint8_t *colour)
{
  for (size_t i = 0; i < pixels; i++, cmyk += 4)
    for (int c = 0; c < 3; c++) {
      unsigned light = inverted ? cmyk[c] : 255u - cmyk[c], white = inverted ? cmyk[3] : 255u - cmyk[3];
      *colour++ = (uint8_t)((light * white + 127) / 255);
    }
}

static void ReadColour(Reading *reading, size_t length, const uint8_t *bytes, const CordsDecodeSize *size)
{
  size_t pixels = (size_t)CordsBoxPixels(&size->region);

  CheckHeader(reading, length, bytes, size);
  if (!HasInks(&reading->jpeg)) {
    ReadPixels(reading, size, reading->colour);
    return;
  }
  reading->inks = malloc(4 * pixels);
  if (!reading->inks) Refuse(reading, "does not fit into memory");
  ReadPixels(reading, size, reading->inks);
  ConvertCmyk(pixels, IsAdobe(length, bytes), reading->inks, reading->colour);
}

static PetscBool ColourGuarded(Reading *reading, size_t length, const uint8_t *bytes, const CordsDecodeSize *size)
{
  if (setjmp(reading->back)) return PETSC_FALSE;
  ReadColour(reading, length, bytes, size);
  return PETSC_TRUE;
}

static PetscBool DecodeColour(size_t length, const uint8_t *bytes, const CordsDecodeSize *size, uint8_t *colour,
                              char problem[CORDS_DECODE_PROBLEM])
{
  Reading reading;
  PetscBool good;

  Begin(problem, &reading);
  reading.colour = colour;
  good = ColourGuarded(&reading, length, bytes, size);
  End(&reading);
  return good;
}

static PetscBool DecodeGrey(size_t length, const uint8_t *bytes, const CordsDecodeSize *size, uint8_t *grey,
                            char problem[CORDS_DECODE_PROBLEM])
{
  size_t pixels = (size_t)CordsBoxPixels(&size->region);
  uint8_t *colour = malloc(3 * pixels);
  PetscBool good = PETSC_FALSE;

  if (!colour)
    snprintf(problem, CORDS_DECODE_PROBLEM, "does not fit into memory");
  else
    good = DecodeColour(length, bytes, size, colour, problem);
  if (good) CordsDecodeGrey(pixels, colour, grey);
  free(colour);
  return good;
}

PetscBool CordsJpegDecode(size_t length, const uint8_t *bytes, const CordsDecodeSize *size, PetscInt channels,
                          uint8_t *pixels, char problem[CORDS_DECODE_PROBLEM])
{
  return (channels == 1 ? DecodeGrey : DecodeColour)(length, bytes, size, pixels, problem);
}
