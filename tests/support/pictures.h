/* The images of tests/augmentation (see make.py there) and what torchvision and PIL made of them. */
#ifndef CORDS_TESTS_SUPPORT_PICTURES_H
#define CORDS_TESTS_SUPPORT_PICTURES_H

#include "support/support.h"

#include "data/image.h"
#include "io/h5.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct {
  char object[64];       /* in the file */
  CordsImageShape shape; /* of the result */
  CordsImageShape input_shape;
  uint8_t *input;
  void *expected; /* bytes, or floats in the group "floats" */
} SupportPicture;

static inline CordsH5 SupportPicturesOpen(void)
{
  const char *path = getenv("CORDS_AUGMENTATION_NUMBERS"), *source = getenv("CORDS_SOURCE");
  char usual[PETSC_MAX_PATH_LEN];
  CordsH5 file;

  snprintf(usual, sizeof usual, "%s/tests/augmentation/numbers.h5", source ? source : ".");
  SupportCall(CordsH5Open(&support_context, path ? path : usual, &file));
  return file;
}

/* The caller frees. */
static inline void *SupportPicturesArray(CordsH5 file, const char *object, CordsFileType type, CordsImageShape *shape)
{
  PetscInt dimensions;
  PetscInt64 sizes[CORDS_H5_DIMENSIONS_MAX];
  void *array;

  SupportCall(CordsH5GetShape(file, object, NULL, &dimensions, sizes));
  assert_int_equal(dimensions, 3);
  *shape = (CordsImageShape){(PetscInt)sizes[0], (PetscInt)sizes[1], (PetscInt)sizes[2]};
  array = malloc(CordsImageSize(*shape) * CordsFileTypeSize(type));
  SupportCall(CordsH5ReadArray(file, object, type, 3, sizes, array));
  return array;
}

static inline PetscInt SupportPicturesInt(CordsH5 file, const SupportPicture *picture, const char *attribute)
{
  PetscInt64 value;

  SupportCall(CordsH5ReadInt(file, picture->object, attribute, NULL, &value));
  return (PetscInt)value;
}

static inline double SupportPicturesReal(CordsH5 file, const SupportPicture *picture, const char *attribute)
{
  double value;

  SupportCall(CordsH5ReadReal(file, picture->object, attribute, NULL, &value));
  return value;
}

/* Call `check` with each case of a group. */
static inline void SupportPicturesEach(const char *group, CordsFileType type,
                                       void (*check)(CordsH5 file, const SupportPicture *picture))
{
  CordsH5 file = SupportPicturesOpen();
  PetscInt count;
  char **names;

  SupportCall(CordsH5List(file, group, &count, &names));
  assert_true(count > 0);
  for (PetscInt i = 0; i < count; i++) {
    SupportPicture picture;
    char input[64];

    snprintf(picture.object, sizeof picture.object, "%s/%s", group, names[i]);
    snprintf(input, sizeof input, "images/%d", (int)SupportPicturesInt(file, &picture, "image"));
    picture.input = SupportPicturesArray(file, input, CORDS_FILE_U8, &picture.input_shape);
    picture.expected = SupportPicturesArray(file, picture.object, type, &picture.shape);
    check(file, &picture);
    free(picture.input);
    free(picture.expected);
  }
  SupportCall(CordsH5FreeNames(count, &names));
  SupportCall(CordsH5Close(&file));
}

/* Bytes that differ from what is expected; fails if one differs by more than `most`. */
static inline size_t SupportPicturesCompare(const SupportPicture *picture, int most, const uint8_t *found)
{
  const uint8_t *expected = picture->expected;
  size_t different = 0;

  for (size_t i = 0; i < CordsImageSize(picture->shape); i++) {
    int difference = abs(found[i] - expected[i]);
    different += difference > 0;
    if (difference > most)
      fail_msg("%s: byte %zu is %d, should be %d", picture->object, i, (int)found[i], (int)expected[i]);
  }
  return different;
}

#endif
