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

#include "core/box.h"
#include "data/image.h"

#include <stdint.h>

enum {
  CORDS_DECODE_BYTES_MAX = 1 << 26,  /* of an encoded image */
  CORDS_DECODE_PIXELS_MAX = 1 << 26, /* of an image in its file */
  CORDS_DECODE_SIDE_MAX = 1 << 15,
  CORDS_DECODE_PROBLEM = 192 /* characters of a sentence */
};

typedef struct {
  PetscInt rows, columns; /* in the file */
  PetscInt shrink;        /* 1, 2, 4 or 8: sides are decoded to 1/shrink of that, rounded up */
  CordsBox region;        /* of the shrunk image: what is decoded */
  PetscInt columns_step;  /* of the file, a region begins at a multiple of it; 0: the image is decoded as a whole */
} CordsDecodeSize;

/* The size of an image, from its header: the region is the whole image.
   False: problem says why the image is refused. */
PetscBool CordsDecodeSizes(size_t length, const uint8_t *bytes, CordsDecodeSize *size,
                           char problem[CORDS_DECODE_PROBLEM]);

/* Decode no more than a box of the image (in pixels of the file) needs for a picture of out_rows × out_columns: a
   region with a little more on each side, so that the pixels of the box are those of the whole image; JPEG only, the
   rest of the image is then neither looked at nor checked but for its end.  scaled: shrunk to 1/2, 1/4 or 1/8, the
   smallest at which the box still has at least out_rows × out_columns pixels.  Shrinking takes means of blocks of
   pixels (by their low cosines), so what is resized from it differs a little: on photographs by about 1 of 255 in the
   mean, more at hard edges.  part: where the box is in the region, in its pixels. */
void CordsDecodeRestrict(const CordsBox *box, PetscInt out_rows, PetscInt out_columns, PetscBool scaled,
                         CordsDecodeSize *size, CordsImagePart *part);

/* The pixels [row][column][channel] of the region (size is what CordsDecodeSizes has returned, restricted or not);
   channels: 1 (grey) or 3 (RGB).  False: problem says why, and the pixels hold anything. */
PetscBool CordsDecode(size_t length, const uint8_t *bytes, const CordsDecodeSize *size, PetscInt channels,
                      uint8_t *pixels, char problem[CORDS_DECODE_PROBLEM]);

#endif
