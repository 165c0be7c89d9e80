/* The layout of a packed dataset: one HDF5 file for all images of a split.

     images/data     the files of all images as they are, one after the other; of a dataset of one size the pixels
                     [row][column][channel]
     images/offset   [image + 1] where each begins
     images/label    [image]
     images/name     where each came from, in lines
     images/classes  names of the classes, in lines
     images/written  how many images are in their place; all of them in a file that is complete
     images/digest   SHA-256 of images/data, 64 hexadecimal digits; zeros in a file that is not complete
     images          attributes dataset, split, rows, columns (0: files of any size), channels

   Data are read and written at their place in the file, past HDF5, from any rank and thread. */
#ifndef CORDS_DATA_PACK_FILE_H
#define CORDS_DATA_PACK_FILE_H

#include "data/dataset.h"
#include "io/digest.h"
#include "io/h5.h"

enum { CORDS_PACK_DIGEST = sizeof(CordsDigestText) }; /* 64 hexadecimal digits and a zero */

typedef struct {
  char dataset[64], split[16];
  PetscInt64 count, rows, columns, channels;
  PetscInt64 *offsets; /* [count + 1], the first is 0, the last is bytes */
  PetscInt64 *labels;  /* [count] */
  char *names;         /* lines */
  PetscInt64 names_length;
  char *classes; /* lines */
  PetscInt64 classes_length, class_count;
} CordsPackIndex;

/* Where in the file what is written past HDF5 is. */
typedef struct {
  PetscInt64 data, written, digest;
} CordsPackPlaces;

/* What a dataset looks like packed.  Collective.  Errors (user): an image whose file cannot be looked at. */
PetscErrorCode CordsPackIndexOf(CordsContext context, CordsDataset dataset, CordsSplit split, CordsPackIndex *index);
PetscErrorCode CordsPackIndexFree(CordsPackIndex *index);
PetscBool CordsPackIndexEqual(const CordsPackIndex *a, const CordsPackIndex *b);

/* Write a file that is complete but for its data.  Collective. */
PetscErrorCode CordsPackIndexWrite(CordsContext context, const char *path, const CordsPackIndex *index);

/* Read and check everything but the data.  Collective.  Errors (user): no packed dataset, damaged. */
PetscErrorCode CordsPackIndexRead(CordsContext context, const char *path, CordsPackIndex *index,
                                  CordsPackPlaces *places, PetscInt64 *written, char digest[CORDS_PACK_DIGEST]);

/* Exactly `length` bytes at `offset` of an open file: 0, or the errno; EIO: the file ends. */
int CordsPackReadAt(int descriptor, PetscInt64 offset, size_t length, void *bytes);
int CordsPackWriteAt(int descriptor, PetscInt64 offset, size_t length, const void *bytes);

#endif
