/* JPEG and PNG images in memory to pixels.  The bytes decide what an image is, not the name of its file.

   Images come from anywhere, so every byte is doubted: sizes are checked before memory is allocated, truncated and
   damaged images are refused, and so are images that unfold to more than the limits.  A refusal is an answer, not an
   error of PETSc's: a sentence about the image (without the name of its file), and the caller decides whether to leave
   the image out or to stop.

     JPEG   baseline and progressive, 8 bits; grey, colour, CMYK and YCCK (Adobe's are stored inverted)
     PNG    all kinds; 16 bits are rounded to 8, transparency is dropped, palettes are looked up

   Colours become grey and CMYK becomes RGB as in Pillow: (19595 R + 38470 G + 7471 B) / 65536 and (255 − C)(255 − K)
   / 255.  Orientation (EXIF), colour profiles and gamma are ignored, as is the custom with ImageNet.

   Everything here may be called from several threads at once. */
#ifndef CORDS_DATA_DECODE_H
#define CORDS_DATA_DECODE_H

#include <petscsys.h>

#include <stdint.h>

enum {
  CORDS_DECODE_BYTES_MAX = 1 << 26,  /* of an encoded image */
  CORDS_DECODE_PIXELS_MAX = 1 << 26, /* of an image in its file */
  CORDS_DECODE_SIDE_MAX = 1 << 15,
  CORDS_DECODE_PROBLEM = 192 /* characters of a sentence */
};

typedef struct {
  PetscInt rows, columns; /* in the file */
  PetscInt rows_scaled, columns_scaled;
} CordsDecodeSize;

/* The size of an image, from its header.  scaled: the size in which CordsDecode gives it when its shorter side must
   keep at least side_min pixels (0: full size): JPEG decodes to 1/8 .. 7/8 in less time.
   False: problem says why the image is refused. */
PetscBool CordsDecodeSizes(size_t length, const uint8_t *bytes, PetscInt side_min, CordsDecodeSize *size,
                           char problem[CORDS_DECODE_PROBLEM]);

/* The pixels [row][column][channel] of rows_scaled × columns_scaled (size is what CordsDecodeSizes has returned);
   channels: 1 (grey) or 3 (RGB).  False: problem says why, and the pixels hold anything. */
PetscBool CordsDecode(size_t length, const uint8_t *bytes, const CordsDecodeSize *size, PetscInt channels,
                      uint8_t *pixels, char problem[CORDS_DECODE_PROBLEM]);

#endif
