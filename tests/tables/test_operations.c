/* Every line of operations.def against torchvision's operation of that name, on images of several shapes, at the
   magnitudes of torchvision's table. */
#include "support/pictures.h"

#include "data/random_augment.h"

enum { OPERATIONS_MAX = 64 };

/* Of each operation: cases seen, bytes, bytes that differ. */
static size_t cases[OPERATIONS_MAX], bytes[OPERATIONS_MAX], different[OPERATIONS_MAX];

static PetscInt Find(const char *name)
{
  for (PetscInt i = 0; i < CordsOperationCount(); i++)
    if (strcmp(CordsOperationGet(i)->name, name) == 0) return i;
  fail_msg("torchvision's operation %s is no line of operations.def", name);
  return -1;
}

static void Check(CordsH5 file, const SupportPicture *picture)
{
  uint8_t *work = malloc(CordsRandomAugmentWorkBytes(picture->shape));
  const CordsOperationType *operation;
  double magnitude;
  PetscInt i;
  char *name;

  SupportCall(CordsH5ReadText(file, picture->object, "operation", &name));
  i = Find(name);
  operation = CordsOperationGet(i);
  magnitude = SupportPicturesInt(file, picture, "sign") *
              CordsOperationMagnitude(operation, SupportPicturesInt(file, picture, "level"),
                                      SupportPicturesInt(file, picture, "levels"));
  if (SupportPicturesInt(file, picture, "sign") < 0) assert_true(operation->is_signed);
  operation->apply(picture->shape, magnitude, picture->input, work);
  cases[i]++;
  bytes[i] += CordsImageSize(picture->shape);
  different[i] += SupportPicturesCompare(picture, 1, picture->input);
  SupportCall(PetscFree(name));
  free(work);
}

/* At most 1 of 255 away, and that in few places: rounding, not another operation. */
static void TestAgainstTorchvision(void **state)
{
  SupportPicturesEach("operations", CORDS_FILE_U8, Check);
  for (PetscInt i = 0; i < CordsOperationCount(); i++) {
    print_message("%-12s %3zu images, %zu of %zu bytes differ by 1\n", CordsOperationGet(i)->name, cases[i],
                  different[i], bytes[i]);
    if (cases[i] == 0) fail_msg("%s has no cases in tests/augmentation", CordsOperationGet(i)->name);
    assert_true(100 * different[i] <= bytes[i]);
  }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(TestAgainstTorchvision),
};

SUPPORT_MAIN(tests)
