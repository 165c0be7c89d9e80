/* The fixed image and the network's answer to it, against the same network run by other parts. */
#include "model/self_check.h"

#include "model/cnn.h"
#include "model/fold.h"
#include "support/networks.h"

static void Image(void **state)
{
  float image[3 * 4 * 2];

  CordsSelfCheckImage(3, 4, 2, image);
  assert_true(image[0] == -2);
  assert_true(image[1] == 101.0F / 64 - 2);
  assert_true(image[2] == 17.0F / 64 - 2);
  assert_true(image[(2 * 4 + 3) * 2 + 1] == (float)((74 + 51 + 101) % 256) / 64 - 2);
}

/* A batch-normalised CNN and its folded form answer alike; float32 agrees to its precision. */
static void Cnn(void **state)
{
  CordsModel model = NetworkModel(NETWORK_STEM, "relu", CORDS_FORM_BATCHNORM), folded;
  const CordsArchitecture *a = &model->architecture;
  float logits[NETWORK_CLASSES], other[NETWORK_CLASSES], image[11 * 9 * NETWORK_CHANNELS];
  char digest[65], digest_other[65];
  CordsCnn cnn;

  SupportCall(CordsModelCreate(a, CORDS_FORM_FOLDED, &folded));
  SupportCall(CordsFoldBatchNorm(model, folded));
  SupportCall(CordsSelfCheck(&support_context, "the test", model, logits, digest));
  SupportCall(CordsSelfCheck(&support_context, "the test", folded, other, digest_other));
  SupportCompareF32("folded", NETWORK_CLASSES, other, logits, 1e-5);
  CordsSelfCheckImage(11, 9, NETWORK_CHANNELS, image);
  SupportCall(CordsCnnCreate(&support_context, model, CORDS_F32, 1, &cnn));
  SupportCall(CordsCnnForward(cnn, 1, image, PETSC_FALSE, other));
  SupportCompareF32("float32", NETWORK_CLASSES, other, logits, 1e-5);
  SupportCall(CordsCnnDestroy(&cnn));
  SupportCall(CordsModelDestroy(&model));
  SupportCall(CordsModelDestroy(&folded));
}

/* The digest is that of the logits, and any change of the network changes it. */
static void Digest(void **state)
{
  CordsModel model = NetworkModel(NETWORK_BARE, "relu", CORDS_FORM_RECURRENT);
  float logits[NETWORK_CLASSES], other[NETWORK_CLASSES];
  char digest[65], digest_other[65];

  SupportCall(CordsSelfCheck(&support_context, "the test", model, logits, digest));
  SupportCall(CordsSelfCheck(&support_context, "the test", model, other, digest_other));
  assert_string_equal(digest, digest_other);
  assert_memory_equal(logits, other, sizeof logits);
  assert_int_equal(strlen(digest), 64);
  CordsModelValues(model, "out_fc.bias")[3] += 0.01F;
  SupportCall(CordsSelfCheck(&support_context, "the test", model, other, digest_other));
  assert_string_not_equal(digest, digest_other);
  memset(CordsModelValues(model, "out_fc.parametrizations.weight.original1"), 0, 4 * sizeof(float));
  assert_non_null(strstr(SupportExpectUserError(CordsSelfCheck(&support_context, "this.pth", model, other, digest)),
                         "'this.pth': the network's answer"));
  SupportCall(CordsModelDestroy(&model));
}

static const struct CMUnitTest tests[] = {cmocka_unit_test(Image), cmocka_unit_test(Cnn), cmocka_unit_test(Digest)};
SUPPORT_MAIN(tests)
