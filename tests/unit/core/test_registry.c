/* Names looked up in tables, and what is said about unknown ones. */
#include "support/support.h"

#include "core/registry.h"

static const char *const names[] = {"mnist", "fashionmnist", "cifar10", "cifar100"};
enum { COUNT = 4 };

static void TestClosest(void **state)
{
  assert_string_equal(CordsRegistryClosest(COUNT, names, "cifar11"), "cifar10");
  assert_string_equal(CordsRegistryClosest(COUNT, names, "minst"), "mnist");
  assert_string_equal(CordsRegistryClosest(COUNT, names, "fashion_mnist"), "fashionmnist");
  assert_string_equal(CordsRegistryClosest(COUNT, names, "cifar1000"), "cifar100");
  assert_null(CordsRegistryClosest(COUNT, names, "imagenet-of-another-kind"));
  assert_null(CordsRegistryClosest(COUNT, names, "zzzz"));
  assert_null(CordsRegistryClosest(0, names, "mnist"));
}

/* A name longer than any table's must not write past the end of the row. */
static void TestLongNames(void **state)
{
  char name[4000];

  memset(name, 'm', sizeof name);
  name[sizeof name - 1] = '\0';
  CordsRegistryClosest(COUNT, names, name);
}

static void TestFind(void **state)
{
  PetscInt index = -1;
  const char *sentence;

  for (PetscInt k = 0; k < COUNT; k++) {
    SupportCall(CordsRegistryFind("dataset", COUNT, names, names[k], &index));
    assert_int_equal(index, k);
  }
  sentence = SupportExpectUserError(CordsRegistryFind("dataset", COUNT, names, "cifar11", &index));
  assert_non_null(strstr(sentence, "dataset 'cifar11'"));
  assert_non_null(strstr(sentence, "did you mean 'cifar10'"));
  sentence = SupportExpectUserError(CordsRegistryFind("dataset", COUNT, names, "zzzz", &index));
  assert_null(strstr(sentence, "did you mean"));
  for (PetscInt k = 0; k < COUNT; k++) assert_non_null(strstr(sentence, names[k]));
}

static const struct CMUnitTest tests[] = {cmocka_unit_test(TestClosest), cmocka_unit_test(TestLongNames),
                                          cmocka_unit_test(TestFind)};
SUPPORT_MAIN(tests)
