/* Images that are left out are counted once, over all ranks; -strict_images makes the first an error.  RANKS 1 2 4 */
#include "support/support.h"

#include "data/skipped.h"

static void TestGather(void **state)
{
  PetscMPIInt rank = support_context.rank, size = support_context.size;
  CordsSkipped skipped;
  PetscInt64 *images;
  PetscInt count;

  SupportCall(CordsSkippedFromOptions());
  SupportCall(CordsSkippedCreate(&skipped));
  SupportCall(CordsSkippedGather(skipped, &support_context, &count, &images));
  assert_int_equal(count, 0);
  SupportCall(PetscFree(images));
  for (int twice = 0; twice < 2; twice++) {
    SupportCall(CordsSkippedAdd(skipped, 1000 - rank, "file", "is a test of a message"));
    SupportCall(CordsSkippedAdd(skipped, 7, "file", "is a test of a message")); /* of every rank */
  }
  SupportCall(CordsSkippedGather(skipped, &support_context, &count, &images));
  assert_int_equal(count, size + 1);
  assert_int_equal(images[0], 7);
  for (PetscInt i = 1; i < count; i++) assert_int_equal(images[i], 1000 - size + i);
  SupportCall(PetscFree(images));
  SupportCall(CordsSkippedDestroy(&skipped));
}

static void TestStrict(void **state)
{
  CordsSkipped skipped;
  const char *sentence;

  SupportCall(PetscOptionsSetValue(NULL, "-strict_images", "true"));
  SupportCall(CordsSkippedFromOptions());
  SupportCall(CordsSkippedCreate(&skipped));
  sentence = SupportExpectUserError(CordsSkippedAdd(skipped, 3, "cat.jpg", "is empty"));
  assert_non_null(strstr(sentence, "image 3, cat.jpg, is empty"));
  SupportCall(CordsSkippedDestroy(&skipped));
  SupportCall(PetscOptionsClearValue(NULL, "-strict_images"));
  SupportCall(CordsSkippedFromOptions());
}

static const struct CMUnitTest tests[] = {cmocka_unit_test(TestGather), cmocka_unit_test(TestStrict)};

SUPPORT_MAIN(tests)
