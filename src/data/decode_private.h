/* The two kinds of images behind data/decode.h.  Sizes fill rows, columns and columns_step from the header; decoding
   checks that the image still has the size that was agreed on.  False: problem says why. */
#ifndef CORDS_DATA_DECODE_PRIVATE_H
#define CORDS_DATA_DECODE_PRIVATE_H

#include "data/decode.h"

PetscBool CordsJpegSize(size_t length, const uint8_t *bytes, CordsDecodeSize *size, char problem[CORDS_DECODE_PROBLEM]);
PetscBool CordsJpegDecode(size_t length, const uint8_t *bytes, const CordsDecodeSize *size, PetscInt channels,
                          uint8_t *pixels, char problem[CORDS_DECODE_PROBLEM]);

PetscBool CordsPngSize(size_t length, const uint8_t *bytes, CordsDecodeSize *size, char problem[CORDS_DECODE_PROBLEM]);
PetscBool CordsPngDecode(size_t length, const uint8_t *bytes, const CordsDecodeSize *size, PetscInt channels,
                         uint8_t *pixels, char problem[CORDS_DECODE_PROBLEM]);

/* Grey of RGB pixels; may work in place. */
void CordsDecodeGrey(size_t pixels, const uint8_t *colour, uint8_t *grey);

#endif
