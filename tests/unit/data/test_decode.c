/* JPEG and PNG of every kind give the pixels that were put in; anything else gives a sentence. */
#include "support/images.h"

#include "data/decode.h"
#include "data/resized_crop.h"

#include <math.h>

enum { ROWS = 37, COLUMNS = 53 };

/* Pixels of an image, to be freed; fails the test if it is refused. */
static uint8_t *Decode(const char *what, const SupportImage *image, PetscInt channels, CordsDecodeSize *size)
{
  char problem[CORDS_DECODE_PROBLEM];
  uint8_t *pixels;

  if (!CordsDecodeSizes(image->length, image->bytes, size, problem)) fail_msg("%s %s", what, problem);
  pixels = malloc((size_t)(CordsBoxPixels(&size->region) * channels));
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
    uint8_t *pixels = Decode(what, &image, channels, &size);
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
  uint8_t *pixels = Decode("palette", &image, 3, &size);

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
  uint8_t *pixels = Decode("CMYK", &image, 3, &size);

  for (int k = 0; k < ROWS * COLUMNS * 3; k++) {
    int row = k / 3 / COLUMNS, column = k / 3 % COLUMNS;
    int want = SupportImagePixel(5, row, column, k % 3) * SupportImagePixel(5, row, column, 3) / 255;
    if (abs(pixels[k] - want) > 5) fail_msg("CMYK: number %d is %d, expected %d", k, pixels[k], want);
  }
  free(pixels);
  SupportImageFree(&image);
}

/* Something of a photograph: edges, a gradient, fine noise, colours. */
static uint8_t *Photograph(int rows, int columns, int channels)
{
  uint8_t *pixels = malloc((size_t)(rows * columns * channels));

  for (int k = 0; k < rows * columns * channels; k++) {
    int row = k / channels / columns, column = k / channels % columns, c = k % channels;
    double wave = 50 * sin(row * .051 + c) * cos(column * .033 - c), noise = 12 * SupportRandom(9, (uint32_t)(k / 2));
    double edge = (row / 37 + column / 53) % 3 * 25;
    pixels[k] = (uint8_t)(90 + wave + edge + noise);
  }
  return pixels;
}

static const CordsBox boxes[] = {{0, 75, 0, 101},  {0, 1, 0, 1},   {74, 1, 100, 1}, {16, 16, 32, 32}, {17, 30, 33, 40},
                                 {15, 33, 31, 5},  {1, 73, 1, 99}, {40, 35, 0, 50}, {40, 35, 60, 41}, {0, 20, 60, 41},
                                 {31, 17, 48, 16}, {8, 8, 8, 8},   {63, 12, 96, 5}, {33, 1, 5, 90}};

/* The pixels of a box do not depend on what else is decoded, whatever the sampling of the colours. */
static void CheckBoxes(const char *what, SupportImage image, PetscInt channels)
{
  CordsDecodeSize whole;
  uint8_t *all = Decode(what, &image, channels, &whole);

  for (size_t k = 0; k < sizeof boxes / sizeof *boxes; k++) {
    const CordsBox *box = &boxes[k];
    char problem[CORDS_DECODE_PROBLEM];
    CordsDecodeSize size = whole;
    CordsImagePart part;
    uint8_t *pixels;
    CordsDecodeRestrict(box, 1000, 1000, PETSC_TRUE, &size, &part);
    assert_int_equal(size.shrink, 1); /* there are not enough pixels for less */
    assert_true(part.row_count == box->row_count && part.column_count == box->column_count);
    assert_true(size.columns_step == 0 || size.region.row_count <= box->row_count + 4);
    assert_true(size.columns_step == 0 || size.region.column_count <= box->column_count + 4 + 32);
    pixels = malloc((size_t)(CordsBoxPixels(&size.region) * channels));
    if (!CordsDecode(image.length, image.bytes, &size, channels, pixels, problem)) fail_msg("%s %s", what, problem);
    for (PetscInt i = 0; i < box->row_count; i++) {
      PetscInt from = ((PetscInt)part.row_start + i) * size.region.column_count + (PetscInt)part.column_start;
      PetscInt want = (box->row_start + i) * whole.columns + box->column_start;
      if (memcmp(pixels + from * channels, all + want * channels, (size_t)(box->column_count * channels)))
        fail_msg("%s, %d channels, box %d: row %d differs", what, (int)channels, (int)k, (int)i);
    }
    free(pixels);
  }
  free(all);
  SupportImageFree(&image);
}

static void TestBoxes(void **state)
{
  static const int samplings[] = {TJSAMP_444, TJSAMP_422, TJSAMP_420, TJSAMP_440, TJSAMP_411};
  uint8_t *colours = Photograph(75, 101, 3), *grey = Photograph(75, 101, 1), *inks = Photograph(75, 101, 4);

  for (int progressive = 0; progressive < 2; progressive++) {
    int flags = progressive ? TJFLAG_PROGRESSIVE : 0;
    for (PetscInt channels = 1; channels <= 3; channels += 2) {
      for (size_t k = 0; k < sizeof samplings / sizeof *samplings; k++)
        CheckBoxes("colours", SupportJpegOf(colours, 75, 101, 3, samplings[k], 90, flags), channels);
      CheckBoxes("grey", SupportJpegOf(grey, 75, 101, 1, TJSAMP_GRAY, 90, flags), channels);
      CheckBoxes("inks", SupportJpegOf(inks, 75, 101, 4, TJSAMP_420, 90, flags), channels);
    }
  }
  CheckBoxes("PNG", SupportPng(3, 75, 101, PNG_COLOR_TYPE_RGB, 8, 0), 3);
  free(colours);
  free(grey);
  free(inks);
}

/* The smallest size at which the box still has the picture's pixels. */
static void TestShrink(void **state)
{
  static const struct {
    PetscInt rows, columns, shrink;
  } cases[] = {{40, 60, 1},   {79, 60, 1},   {80, 59, 1},   {80, 60, 2},
               {159, 400, 2}, {160, 120, 4}, {320, 240, 8}, {640, 480, 8}};
  SupportImage png = SupportPng(5, 80, 120, PNG_COLOR_TYPE_RGB, 8, 0);
  CordsDecodeSize size;
  CordsImagePart part;

  for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
    for (int scaled = 0; scaled < 2; scaled++) {
      CordsBox box = {11, cases[k].rows, 37, cases[k].columns};
      PetscInt shrink = scaled ? cases[k].shrink : 1;
      size = (CordsDecodeSize){.rows = 700, .columns = 900, .shrink = 1, .columns_step = 16};
      size.region = (CordsBox){0, 700, 0, 900};
      CordsDecodeRestrict(&box, 40, 30, (PetscBool)scaled, &size, &part);
      assert_int_equal(size.shrink, shrink);
      assert_int_equal(size.region.column_start % (16 / shrink), 0);
      assert_true(part.row_count * shrink == box.row_count && part.column_count * shrink == box.column_count);
      assert_true((size.region.row_start + part.row_start) * shrink == 11);
      assert_true((size.region.column_start + part.column_start) * shrink == 37);
      assert_true(part.row_start >= 2 || size.region.row_start == 0);
      assert_true(part.column_start >= 2 || size.region.column_start == 0);
    }
  }
  free(Decode("PNG", &png, 3, &size));
  CordsDecodeRestrict(&(CordsBox){0, 80, 0, 120}, 10, 10, PETSC_TRUE, &size, &part);
  assert_int_equal(size.shrink, 1); /* PNG has one size only */
  assert_int_equal(size.region.row_count, 80);
  SupportImageFree(&png);
}

/* A picture from a shrunk image is that from the whole but for a little: mean and largest difference of 255. */
static void CheckShrunk(const SupportImage *image, CordsBox box, PetscInt side, double mean_max, int most)
{
  CordsDecodeSize whole, size;
  CordsImagePart part;
  char problem[CORDS_DECODE_PROBLEM];
  size_t count = (size_t)(side * side * 3);
  uint8_t *all = Decode("whole", image, 3, &whole), *want = malloc(count), *got = malloc(count), *pixels;
  void *work = malloc(CordsResizedCropWorkBytes(whole.rows, whole.columns, 3, side, side));
  double sum = 0;
  int largest = 0;

  CordsResizedCrop(all, whole.rows, whole.columns, 3, box, side, side, want, work);
  size = whole;
  CordsDecodeRestrict(&box, side, side, PETSC_TRUE, &size, &part);
  pixels = malloc((size_t)(CordsBoxPixels(&size.region) * 3));
  if (!CordsDecode(image->length, image->bytes, &size, 3, pixels, problem)) fail_msg("%s", problem);
  CordsResizedPart(pixels, size.region.row_count, size.region.column_count, 3, &part, side, side, got, work);
  for (size_t k = 0; k < count; k++) {
    sum += abs(got[k] - want[k]);
    largest = PetscMax(largest, abs(got[k] - want[k]));
  }
  assert_true(size.shrink > 1 && sum / (double)count <= mean_max && largest <= most);
  free(all);
  free(want);
  free(got);
  free(pixels);
  free(work);
}

static void TestShrunk(void **state)
{
  uint8_t *pixels = Photograph(600, 800, 3);

  for (int progressive = 0; progressive < 2; progressive++) {
    for (int sampling = TJSAMP_444; sampling <= TJSAMP_420; sampling++) {
      SupportImage image = SupportJpegOf(pixels, 600, 800, 3, sampling, 90, progressive ? TJFLAG_PROGRESSIVE : 0);
      CheckShrunk(&image, (CordsBox){0, 600, 0, 800}, 224, 1.3, 20);
      CheckShrunk(&image, (CordsBox){37, 451, 101, 557}, 224, 1.3, 20);
      CheckShrunk(&image, (CordsBox){101, 499, 203, 597}, 112, 1.3, 20);
      CheckShrunk(&image, (CordsBox){3, 597, 7, 793}, 64, 1.3, 20);
      SupportImageFree(&image);
    }
  }
  free(pixels);
}

static void ExpectRefusal(const char *what, size_t length, const uint8_t *bytes, const char *words)
{
  char problem[CORDS_DECODE_PROBLEM] = "";
  CordsDecodeSize size;
  uint8_t *pixels;

  if (CordsDecodeSizes(length, bytes, &size, problem)) {
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
    if (CordsDecodeSizes(image.length, image.bytes, &size, problem) && size.rows * size.columns < 1000000) {
      uint8_t *pixels;
      CordsImagePart part;
      CordsBox box = {size.rows / 3, size.rows - size.rows / 3, size.columns / 2, size.columns - size.columns / 2};
      if (at % 2) CordsDecodeRestrict(&box, 4, 4, PETSC_TRUE, &size, &part);
      pixels = malloc((size_t)(CordsBoxPixels(&size.region) * 3));
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
    cmocka_unit_test(TestKinds),    cmocka_unit_test(TestPalette),   cmocka_unit_test(TestInks),
    cmocka_unit_test(TestBoxes),    cmocka_unit_test(TestShrink),    cmocka_unit_test(TestShrunk),
    cmocka_unit_test(TestNoImages), cmocka_unit_test(TestTruncated), cmocka_unit_test(TestSpoilt),
    cmocka_unit_test(TestBombs),
};

SUPPORT_MAIN(tests)
