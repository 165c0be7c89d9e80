/* SHA-256 in parts: the values of FIPS 180-2's examples. */
#include "io/digest.h"
#include "support/support.h"

static void Expect(size_t part, const char *message, const char *expected)
{
  CordsDigestText text;
  CordsDigest digest;
  size_t length = strlen(message);

  SupportCall(CordsDigestCreate(&digest));
  for (size_t done = 0; done < length; done += part)
    SupportCall(CordsDigestAdd(digest, PetscMin(part, length - done), message + done));
  SupportCall(CordsDigestGet(digest, text));
  SupportCall(CordsDigestDestroy(&digest));
  assert_null(digest);
  assert_string_equal(text, expected);
}

static void TestExamples(void **state)
{
  const char *longer = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";

  Expect(1, "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  for (size_t part = 1; part < 70; part += 23) {
    Expect(part, "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    Expect(part, longer, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  }
}

static const struct CMUnitTest tests[] = {cmocka_unit_test(TestExamples)};
SUPPORT_MAIN(tests)
