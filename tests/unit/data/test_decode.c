/* JPEG and PNG of every kind give the pixels that were put in; anything else gives a sentence. */
#include "support/images.h"

#include "data/decode.h"

enum { ROWS = 37, COLUMNS = 53 };

/* Pixels of an image, to be freed; fails the test if it is refused. */
static uint8_t *Decode(const char *what, const SupportImage *image, PetscInt side_min, PetscInt channels,
                       CordsDecodeSize *size)
{
  char problem[CORDS_DECODE_PROBLEM];
  uint8_t *pixels;

  if (!CordsDecodeSizes(image->length, image->bytes, side_min, size, problem)) fail_msg("%s %s", what, problem);
  pixels = malloc((size_t)(size->rows_scaled * size->columns_scaled * channels));
  if (!CordsDecode(image->length, image->bytes, size, channels, pixels, problem)) fail_msg("%s %s", what, problem);
  return pixels;
}

static int Expected(int kind_channels, PetscInt channels, int row, int column, int channel)
{
  int v[4];

  for (int c = 0; c < 4; c++) v[c] = SupportImagePixel(5, row, column, c);
  if (kind_channels <= 2) v[1] = v[2] = v[0];
  if (channels == 3) return v[channel];
  return kind_channels <= 2 ? v[0] : (19595 * v[0] + 38470 * v[1] + 7471 * v[2] + 0x8000) >> 16;
}

static void CheckPixels(const char *what, SupportImage image, int kind_channels, int tolerance)
{
  for (PetscInt channels = 1; channels <= 3; channels += 2) {
    CordsDecodeSize size;
    uint8_t *pixels = Decode(what, &image, 0, channels, &size);
    assert_int_equal(size.rows, ROWS);
    assert_int_equal(size.columns, COLUMNS);
    for (int k = 0; k < ROWS * COLUMNS * channels; k++) {
      int at = k / (int)channels,
          want = Expected(kind_channels, channels, at / COLUMNS, at % COLUMNS, k % (int)channels);
      if (abs(pixels[k] - want) > tolerance) fail_msg("%s: number %d is %d, expected %d", what, k, pixels[k], want);
    }
    free(pixels);
  }
  SupportImageFree(&image);
}

static void TestKinds(void **state)
{
  CheckPixels("grey JPEG", SupportJpeg(5, ROWS, COLUMNS, 1, 0), 1, 2);
  CheckPixels("JPEG", SupportJpeg(5, ROWS, COLUMNS, 3, 0), 3, 4);
  CheckPixels("progressive JPEG", SupportJpeg(5, ROWS, COLUMNS, 3, TJFLAG_PROGRESSIVE), 3, 4);
  for (int interlace = 0; interlace <= 1; interlace++)
    for (int depth = 8; depth <= 16; depth += 8) {
      CheckPixels("grey PNG", SupportPng(5, ROWS, COLUMNS, PNG_COLOR_TYPE_GRAY, depth, interlace), 1, 0);
      CheckPixels("PNG", SupportPng(5, ROWS, COLUMNS, PNG_COLOR_TYPE_RGB, depth, interlace), 3, 0);
      CheckPixels("grey transparent PNG", SupportPng(5, ROWS, COLUMNS, PNG_COLOR_TYPE_GRAY_ALPHA, depth, interlace), 2,
                  0);
      CheckPixels("transparent PNG", SupportPng(5, ROWS, COLUMNS, PNG_COLOR_TYPE_RGB_ALPHA, depth, interlace), 4, 0);
    }
}

static void TestPalette(void **state)
{
  SupportImage image = SupportPng(5, ROWS, COLUMNS, PNG_COLOR_TYPE_PALETTE, 8, 0);
  CordsDecodeSize size;
  uint8_t *pixels = Decode("palette", &image, 0, 3, &size);

  for (int k = 0; k < ROWS * COLUMNS; k++) {
    int index = SupportImagePixel(5, k / COLUMNS, k % COLUMNS, 0);
    assert_int_equal(pixels[3 * k], index);
    assert_int_equal(pixels[3 * k + 1], 255 - index);
  }
  free(pixels);
  SupportImageFree(&image);
}

/* Adobe's inks are stored inverted: light · white / 255.  Without Adobe's segment they are not. */
static void TestInks(void **state)
{
  SupportImage image = SupportJpeg(5, ROWS, COLUMNS, 4, 0);
  CordsDecodeSize size;
  uint8_t *pixels = Decode("CMYK", &image, 0, 3, &size);

  for (int k = 0; k < ROWS * COLUMNS * 3; k++) {
    int row = k / 3 / COLUMNS, column = k / 3 % COLUMNS;
    int want = SupportImagePixel(5, row, column, k % 3) * SupportImagePixel(5, row, column, 3) / 255;
    if (abs(pixels[k] - want) > 5) fail_msg("CMYK: number %d is %d, expected %d", k, pixels[k], want);
  }
  free(pixels);
  SupportImageFree(&image);
}

/* The smallest size that keeps the shorter side; about the picture's colours. */
static void TestScaled(void **state)
{
  SupportImage image = SupportJpeg(5, 80, 120, 3, 0), png = SupportPng(5, 80, 120, PNG_COLOR_TYPE_RGB, 8, 0);
  CordsDecodeSize size;

  for (int side = 1; side <= 80; side++) {
    uint8_t *pixels = Decode("scaled", &image, side, 3, &size);
    int eighths = side <= 10 ? 1 : (side + 9) / 10;
    assert_int_equal(size.rows, 80);
    assert_int_equal(size.rows_scaled, 10 * eighths);
    assert_int_equal(size.columns_scaled, 15 * eighths);
    for (int c = 0; c < 3; c++) {
      int middle = ((int)size.rows_scaled / 2 * (int)size.columns_scaled + (int)size.columns_scaled / 2) * 3 + c;
      assert_in_range(pixels[middle], SupportImagePixel(5, 40, 60, c) - 9, SupportImagePixel(5, 40, 60, c) + 9);
    }
    free(pixels);
  }
  free(Decode("PNG", &png, 10, 3, &size));
  assert_int_equal(size.rows_scaled, 80); /* PNG has one size only */
  SupportImageFree(&image);
  SupportImageFree(&png);
}

static void ExpectRefusal(const char *what, size_t length, const uint8_t *bytes, const char *words)
{
  char problem[CORDS_DECODE_PROBLEM] = "";
  CordsDecodeSize size;
  uint8_t *pixels;

  if (CordsDecodeSizes(length, bytes, 0, &size, problem)) {
    pixels = malloc((size_t)size.rows * (size_t)size.columns * 3);
    if (CordsDecode(length, bytes, &size, 3, pixels, problem)) fail_msg("%s was decoded", what);
    free(pixels);
  }
  if (!strstr(problem, words)) fail_msg("%s: '%s' has not '%s'", what, problem, words);
  assert_null(strchr(problem, '\n'));
}

static void TestNoImages(void **state)
{
  ExpectRefusal("nothing", 0, (const uint8_t *)"", "is empty");
  ExpectRefusal("GIF", 6, (const uint8_t *)"GIF89a", "but a GIF image");
  ExpectRefusal("WebP", 6, (const uint8_t *)"RIFFxx", "but a WebP image");
  ExpectRefusal("noise", 3, (const uint8_t *)"\x01\x02\x03", "starts with the byte 0x01");
  ExpectRefusal("JPEG's first bytes", 4, (const uint8_t *)"\xff\xd8\xff\xe0", "JPEG image that cannot be decoded");
  ExpectRefusal("PNG's first bytes", 8, (const uint8_t *)"\x89PNG\r\n\x1a\n", "PNG image without its header");
  ExpectRefusal("a pointer to nowhere", CORDS_DECODE_BYTES_MAX + (size_t)1, NULL, "bytes, at most");
}

/* Cut anywhere: refused, and never with pixels. */
static void CheckTruncated(SupportImage image, size_t last)
{
  for (size_t length = 0; length + last < image.length; length++) {
    uint8_t *cut = malloc(length + 1); /* of its own, so that a sanitizer sees reads past the end */
    memcpy(cut, image.bytes, length);
    ExpectRefusal("a cut image", length, cut, "is ");
    free(cut);
  }
  SupportImageFree(&image);
}

static void TestTruncated(void **state)
{
  CheckTruncated(SupportJpeg(1, ROWS, COLUMNS, 3, 0), 0);
  CheckTruncated(SupportJpeg(1, ROWS, COLUMNS, 3, TJFLAG_PROGRESSIVE), 0);
  CheckTruncated(SupportPng(1, ROWS, COLUMNS, PNG_COLOR_TYPE_RGB, 8, 0), 0);
}

/* Any byte changed: pixels or a sentence, but no crash and no other size of memory. */
static void CheckSpoilt(SupportImage image)
{
  for (size_t at = 0; at < image.length; at++) {
    uint8_t kept = image.bytes[at];
    char problem[CORDS_DECODE_PROBLEM] = "";
    CordsDecodeSize size;
    image.bytes[at] ^= (uint8_t)(1 + at % 255);
    if (CordsDecodeSizes(image.length, image.bytes, 0, &size, problem) && size.rows * size.columns < 1000000) {
      uint8_t *pixels = malloc((size_t)(size.rows * size.columns * 3));
      if (!CordsDecode(image.length, image.bytes, &size, 3, pixels, problem)) assert_true(problem[0]);
      free(pixels);
    }
    image.bytes[at] = kept;
  }
  SupportImageFree(&image);
}

static void TestSpoilt(void **state)
{
  CheckSpoilt(SupportJpeg(2, ROWS, COLUMNS, 3, 0));
  CheckSpoilt(SupportJpeg(2, ROWS, COLUMNS, 4, TJFLAG_PROGRESSIVE));
  CheckSpoilt(SupportPng(2, ROWS, COLUMNS, PNG_COLOR_TYPE_RGB_ALPHA, 16, 1));
}

static void PutSides(uint8_t *at, unsigned columns, unsigned rows)
{
  for (int i = 0; i < 4; i++) at[i] = (uint8_t)(columns >> (24 - 8 * i)), at[4 + i] = (uint8_t)(rows >> (24 - 8 * i));
}

/* A small file that promises a huge image. */
static void TestBombs(void **state)
{
  SupportImage png = SupportPng(3, ROWS, COLUMNS, PNG_COLOR_TYPE_GRAY, 8, 0),
               jpeg = SupportJpeg(3, ROWS, COLUMNS, 1, 0);
  size_t frame = 0;

  PutSides(png.bytes + 16, 30000, 30000);
  ExpectRefusal("a PNG bomb", png.length, png.bytes, "30000 x 30000 pixels");
  PutSides(png.bytes + 16, 0x7fffffff, 1);
  ExpectRefusal("a wide PNG", png.length, png.bytes, "pixels");
  PutSides(png.bytes + 16, 0, 5);
  ExpectRefusal("an empty PNG", png.length, png.bytes, "5 x 0 pixels");
  while (!(jpeg.bytes[frame] == 0xff && jpeg.bytes[frame + 1] == 0xc0)) frame++;
  memset(jpeg.bytes + frame + 5, 0xff, 4);
  ExpectRefusal("a JPEG bomb", jpeg.length, jpeg.bytes, "");
  SupportImageFree(&png);
  SupportImageFree(&jpeg);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(TestKinds),  cmocka_unit_test(TestPalette),  cmocka_unit_test(TestInks),
    cmocka_unit_test(TestScaled), cmocka_unit_test(TestNoImages), cmocka_unit_test(TestTruncated),
    cmocka_unit_test(TestSpoilt), cmocka_unit_test(TestBombs),
};

SUPPORT_MAIN(tests)
