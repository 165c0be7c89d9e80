/* Small JPEG and PNG images for tests, made in memory. */
#ifndef CORDS_TESTS_SUPPORT_IMAGES_H
#define CORDS_TESTS_SUPPORT_IMAGES_H

#include "support/support.h"

#include <png.h>
#include <stdio.h>
#include <stdlib.h>
#include <turbojpeg.h>

typedef struct {
  uint8_t *bytes;
  size_t length;
} SupportImage;

/* A smooth picture: it changes little from pixel to pixel, so that JPEG keeps it. */
static inline uint8_t SupportImagePixel(int image, int row, int column, int channel)
{
  return (uint8_t)(40 + (image * 13) % 60 + row + 2 * column / 3 + channel * 25);
}

static inline uint8_t *SupportImagePixels(int image, int rows, int columns, int channels)
{
  uint8_t *pixels = malloc((size_t)(rows * columns * channels));

  for (int k = 0; k < rows * columns * channels; k++)
    pixels[k] = SupportImagePixel(image, k / channels / columns, k / channels % columns, k % channels);
  return pixels;
}

/* Pixels [row][column][channel] as JPEG; channels: 1 grey, 3 colour, 4 inks as Adobe stores them; sampling of the
   colours: TJSAMP_... */
static inline SupportImage SupportJpegOf(const uint8_t *pixels, int rows, int columns, int channels, int sampling,
                                         int quality, int flags)
{
  const int formats[] = {0, TJPF_GRAY, 0, TJPF_RGB, TJPF_CMYK};
  uint8_t *packed = NULL;
  tjhandle handle = tjInitCompress();
  unsigned long length = 0;
  SupportImage made;

  assert_int_equal(
      tjCompress2(handle, pixels, columns, 0, rows, formats[channels], &packed, &length, sampling, quality, flags), 0);
  made = (SupportImage){malloc(length), length};
  memcpy(made.bytes, packed, length);
  tjFree(packed);
  tjDestroy(handle);
  return made;
}

static inline SupportImage SupportJpeg(int image, int rows, int columns, int channels, int flags)
{
  uint8_t *pixels = SupportImagePixels(image, rows, columns, channels);
  SupportImage made =
      SupportJpegOf(pixels, rows, columns, channels, channels == 1 ? TJSAMP_GRAY : TJSAMP_444, 98, flags);

  free(pixels);
  return made;
}

static inline void SupportPngStore(png_structp png, png_bytep data, size_t length)
{
  SupportImage *made = png_get_io_ptr(png);

  made->bytes = realloc(made->bytes, made->length + length);
  memcpy(made->bytes + made->length, data, length);
  made->length += length;
}

/* kind: PNG_COLOR_TYPE_...; a palette has the 256 colours (k, 255 − k, k); depth 8 or 16 (the low byte is noise). */
static inline SupportImage SupportPng(int image, int rows, int columns, int kind, int depth, int interlace)
{
  const int channels_of[] = {1, 0, 3, 1, 2, 0, 4};
  int channels = channels_of[kind], bytes = depth / 8;
  size_t row_bytes = (size_t)(columns * channels * bytes);
  uint8_t *row = malloc(row_bytes), *all = malloc(row_bytes * (size_t)rows);
  png_bytep *row_list = malloc((size_t)rows * sizeof *row_list);
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
  png_infop info = png_create_info_struct(png);
  SupportImage made = {0};

  png_set_write_fn(png, &made, SupportPngStore, NULL);
  png_set_IHDR(png, info, (png_uint_32)columns, (png_uint_32)rows, depth, kind, interlace, PNG_COMPRESSION_TYPE_DEFAULT,
               PNG_FILTER_TYPE_DEFAULT);
  if (kind == PNG_COLOR_TYPE_PALETTE) {
    png_color palette[256];
    for (int k = 0; k < 256; k++) palette[k] = (png_color){(uint8_t)k, (uint8_t)(255 - k), (uint8_t)k};
    png_set_PLTE(png, info, palette, 256);
  }
  for (int r = 0; r < rows; r++) {
    row_list[r] = all + (size_t)r * row_bytes;
    for (int k = 0; k < columns * channels; k++) {
      row_list[r][k * bytes] = SupportImagePixel(image, r, k / channels, k % channels);
      if (bytes == 2) row_list[r][k * 2 + 1] = row_list[r][k * 2]; /* 257 v: exactly v in 8 bits */
    }
  }
  png_set_rows(png, info, row_list);
  png_write_png(png, info, PNG_TRANSFORM_IDENTITY, NULL);
  png_destroy_write_struct(&png, &info);
  free(row);
  free(all);
  free(row_list);
  return made;
}

static inline void SupportImageFree(SupportImage *image)
{
  free(image->bytes);
  *image = (SupportImage){0};
}

/* Write bytes to a file; on rank 0. */
static inline void SupportWriteFile(const char *path, size_t length, const void *bytes)
{
  FILE *stream = fopen(path, "wb");

  if (!stream) fail_msg("cannot write %s", path);
  assert_int_equal(fwrite(bytes, 1, length, stream), length);
  assert_int_equal(fclose(stream), 0);
}

#endif
