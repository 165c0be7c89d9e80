/* JPEG by libjpeg-turbo's own interface (TurboJPEG), which returns from every error. */
#include "data/decode_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <turbojpeg.h>

static void Refuse(tjhandle handle, char problem[CORDS_DECODE_PROBLEM])
{
  snprintf(problem, CORDS_DECODE_PROBLEM, "is a JPEG image that cannot be decoded: %s",
           handle ? tjGetErrorStr2(handle) : "out of memory");
}

static PetscBool ReadHeader(tjhandle handle, size_t length, const uint8_t *bytes, int *columns, int *rows, int *colours)
{
  int sampling;

  *columns = *rows = 0;
  return (PetscBool)(handle && !tjDecompressHeader3(handle, bytes, length, columns, rows, &sampling, colours));
}

PetscBool CordsJpegSize(size_t length, const uint8_t *bytes, CordsDecodeSize *size, char problem[CORDS_DECODE_PROBLEM])
{
  tjhandle handle = tjInitDecompress();
  int columns, rows, colours;
  PetscBool good = ReadHeader(handle, length, bytes, &columns, &rows, &colours);

  if (!good) Refuse(handle, problem);
  if (good && columns < 1 && rows < 1) {
    snprintf(problem, CORDS_DECODE_PROBLEM, "is a JPEG image that cannot be decoded: it ends before its size");
    good = PETSC_FALSE;
  }
  size->rows = rows;
  size->columns = columns;
  if (handle) tjDestroy(handle);
  return good;
}

void CordsJpegScale(PetscInt side_min, CordsDecodeSize *size)
{
  int count = 0;
  tjscalingfactor *factors = tjGetScalingFactors(&count);

  for (int i = 0; factors && i < count; i++) {
    PetscInt rows = TJSCALED(size->rows, factors[i]), columns = TJSCALED(size->columns, factors[i]);
    if (rows >= size->rows_scaled || PetscMin(rows, columns) < side_min) continue;
    size->rows_scaled = rows;
    size->columns_scaled = columns;
  }
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

/* Warnings that do not touch the pixels, and that other readers pass over. */
static PetscBool IsHarmless(tjhandle handle)
{
  return (PetscBool)(tjGetErrorCode(handle) == TJERR_WARNING && strstr(tjGetErrorStr2(handle), "extraneous bytes"));
}

/* LIMITSCANS: a progressive image of thousands of scans would take minutes. */
static PetscBool Decompress(tjhandle handle, size_t length, const uint8_t *bytes, const CordsDecodeSize *size,
                            int format, uint8_t *pixels, char problem[CORDS_DECODE_PROBLEM])
{
  int failed = tjDecompress2(handle, bytes, length, pixels, (int)size->columns_scaled, 0, (int)size->rows_scaled,
                             format, TJFLAG_LIMITSCANS | TJFLAG_ACCURATEDCT);

  if (failed && !IsHarmless(handle)) {
    Refuse(handle, problem);
    return PETSC_FALSE;
  }
  return PETSC_TRUE;
}

static void ConvertCmyk(size_t pixels, PetscBool inverted, const uint8_t *cmyk, uint8_t *colour)
{
  for (size_t i = 0; i < pixels; i++, cmyk += 4)
    for (int c = 0; c < 3; c++) {
      unsigned light = inverted ? cmyk[c] : 255u - cmyk[c], white = inverted ? cmyk[3] : 255u - cmyk[3];
      *colour++ = (uint8_t)((light * white + 127) / 255);
    }
}

/* Colours in four inks: decoded beside the pixels. */
static PetscBool DecodeCmyk(tjhandle handle, size_t length, const uint8_t *bytes, const CordsDecodeSize *size,
                            uint8_t *colour, char problem[CORDS_DECODE_PROBLEM])
{
  size_t pixels = (size_t)size->rows_scaled * (size_t)size->columns_scaled;
  uint8_t *cmyk = malloc(4 * pixels);
  PetscBool good = PETSC_FALSE;

  if (!cmyk)
    snprintf(problem, CORDS_DECODE_PROBLEM, "does not fit into memory");
  else
    good = Decompress(handle, length, bytes, size, TJPF_CMYK, cmyk, problem);
  if (good) ConvertCmyk(pixels, IsAdobe(length, bytes), cmyk, colour);
  free(cmyk);
  return good;
}

/* As RGB; a grey image has three equal channels. */
static PetscBool DecodeColour(tjhandle handle, size_t length, const uint8_t *bytes, const CordsDecodeSize *size,
                              uint8_t *colour, char problem[CORDS_DECODE_PROBLEM])
{
  int columns, rows, colours;

  if (!ReadHeader(handle, length, bytes, &columns, &rows, &colours)) {
    Refuse(handle, problem);
    return PETSC_FALSE;
  }
  if (columns != size->columns || rows != size->rows) {
    snprintf(problem, CORDS_DECODE_PROBLEM, "has changed its size");
    return PETSC_FALSE;
  }
  if (!HasEnd(length, bytes)) {
    snprintf(problem, CORDS_DECODE_PROBLEM, "is a truncated JPEG image: its end is missing");
    return PETSC_FALSE;
  }
  if (colours == TJCS_CMYK || colours == TJCS_YCCK) return DecodeCmyk(handle, length, bytes, size, colour, problem);
  return Decompress(handle, length, bytes, size, TJPF_RGB, colour, problem);
}

static PetscBool DecodeGrey(tjhandle handle, size_t length, const uint8_t *bytes, const CordsDecodeSize *size,
                            uint8_t *grey, char problem[CORDS_DECODE_PROBLEM])
{
  size_t pixels = (size_t)size->rows_scaled * (size_t)size->columns_scaled;
  uint8_t *colour = malloc(3 * pixels);
  PetscBool good = PETSC_FALSE;

  if (!colour)
    snprintf(problem, CORDS_DECODE_PROBLEM, "does not fit into memory");
  else
    good = DecodeColour(handle, length, bytes, size, colour, problem);
  if (good) CordsDecodeGrey(pixels, colour, grey);
  free(colour);
  return good;
}

PetscBool CordsJpegDecode(size_t length, const uint8_t *bytes, const CordsDecodeSize *size, PetscInt channels,
                          uint8_t *pixels, char problem[CORDS_DECODE_PROBLEM])
{
  tjhandle handle = tjInitDecompress();
  PetscBool good = PETSC_FALSE;

  if (!handle)
    Refuse(NULL, problem);
  else
    good = (channels == 1 ? DecodeGrey : DecodeColour)(handle, length, bytes, size, pixels, problem);
  if (handle) tjDestroy(handle);
  return good;
}
