/* Folding batch normalisation: the same logits, on maps with borders that matter. */
#include "model/fold.h"
#include "model/cnn.h"
#include "model/weights.h"
#include "support/networks.h"

enum { BATCH = 3 };

/* Strides everywhere, an even side, a large stem without pooling. */
static const char strided[] = "  image_rows: 14\n  image_columns: 9\n  stem_kernel: 5\n  stem_channels: 3\n"
                              "  stem_stride: 2\n  pool_kernel: 0\n  channels: [4, 3, 5, 5]\n  strides: [1, 2, 1, 1]\n"
                              "  kernels: [5, 3, 3, 1]\n";
/* Pooling of the bare image. */
static const char pooled[] = "  image_rows: 9\n  image_columns: 10\n  stem_kernel: 0\n  pool_kernel: 3\n"
                             "  pool_stride: 2\n  channels: [4, 4]\n";

static void Logits(CordsModel model, const float *images, float *logits)
{
  CordsCnn cnn;

  SupportCall(CordsCnnCreate(&support_context, model, CORDS_F32, BATCH, &cnn));
  SupportCall(CordsCnnForward(cnn, BATCH, images, PETSC_FALSE, logits));
  SupportCall(CordsCnnDestroy(&cnn));
}

static void CheckFold(const char *body)
{
  CordsModel model = NetworkModel(body, "relu", CORDS_FORM_BATCHNORM), folded;
  float *images = NetworkImages(model, BATCH, 3), logits[2][BATCH * NETWORK_CLASSES];

  SupportCall(CordsModelCreate(&model->architecture, CORDS_FORM_FOLDED, &folded));
  NetworkFill(folded, 99); /* to be overwritten */
  SupportCall(CordsFoldBatchNorm(model, folded));
  Logits(model, images, logits[0]);
  Logits(folded, images, logits[1]);
  SupportCompareF32("logits of the folded network", BATCH * NETWORK_CLASSES, logits[1], logits[0], 1e-5);
  SupportCall(PetscFree(images));
  SupportCall(CordsModelDestroy(&model));
  SupportCall(CordsModelDestroy(&folded));
}

static void TestLogits(void **state)
{
  for (int k = 0; k < NETWORK_COUNT; k++) CheckFold(network_texts[k]);
  CheckFold(strided);
  CheckFold(pooled);
}

/* What the inverse stage learns from: drive and response of each area as SPEC section 2 says, T = W (z + bias) + b. */
static void TestTarget(void **state)
{
  CordsModel model = NetworkModel(NETWORK_STEM, "relu", CORDS_FORM_FOLDED);
  float *images = NetworkImages(model, BATCH, 3), logits[BATCH * NETWORK_CLASSES];
  const CordsAreaShape *area = &model->architecture.areas[1];
  PetscInt neurons = CordsAreaNeurons(area), pixels = area->rows * area->columns;
  const void *drive, *response;
  double *between = calloc(2 * (size_t)neurons, sizeof *between), *expected = between + neurons;
  CordsCnn cnn;
  CordsWeights weights;

  SupportCall(CordsCnnCreate(&support_context, model, CORDS_F32, BATCH, &cnn));
  SupportCall(CordsCnnForward(cnn, BATCH, images, PETSC_FALSE, logits));
  SupportCall(CordsCnnTarget(cnn, 1, &drive, &response));
  SupportCall(CordsWeightsCreate(model, CORDS_F64, &weights));
  for (PetscInt c = 0; c < area->channels; c++) {
    for (PetscInt p = 0; p < pixels; p++) {
      PetscInt at = p * area->channels + c, bias = c * pixels + p;
      between[at] =
          (double)((const float *)drive)[2 * neurons + at] + (double)CordsModelValues(model, "area_bias.1")[bias];
      expected[at] = (double)CordsModelValues(model, "conv_bias.1")[bias];
    }
  }
  SupportCall(
      CordsConvForward(CordsWeightsConv(weights, model->architecture.recurrent[1]), 1, between, expected, PETSC_TRUE));
  for (PetscInt k = 0; k < neurons; k++) {
    NetworkClose("target response", (double)((const float *)response)[2 * neurons + k], expected[k], 10, 1e-6);
  }
  free(between);
  SupportCall(PetscFree(images));
  SupportCall(CordsWeightsDestroy(&weights));
  SupportCall(CordsCnnDestroy(&cnn));
  SupportCall(CordsModelDestroy(&model));
}

static const struct CMUnitTest tests[] = {cmocka_unit_test(TestLogits), cmocka_unit_test(TestTarget)};
SUPPORT_MAIN(tests)
