/* RANKS 1 2 4
   Gradient and metrics of all ranks are the sum of theirs; the pieces of a gradient cover it once. */
#include "train/gradient_sum.h"

#include "support/networks.h"

static void TestPieces(void **state)
{
  for (int form = 0; form < CORDS_FORM_COUNT; form++) {
    CordsModel model = NetworkModel(NETWORK_STEM, "relu", (CordsForm)form);
    CordsGradientPiece *pieces;
    PetscInt count, *covered;

    SupportCall(PetscMalloc1(model->learnable_count, &pieces));
    SupportCall(PetscCalloc1(model->learnable_values, &covered));
    count = CordsGradientPieces(model, pieces);
    assert_in_range(count, 1, model->learnable_count);
    for (PetscInt k = 0; k < count; k++) {
      assert_true(pieces[k].start >= 0 && pieces[k].start + pieces[k].count <= model->learnable_values);
      for (PetscInt j = 0; j < pieces[k].count; j++) covered[pieces[k].start + j]++;
    }
    for (PetscInt k = 0; k < model->learnable_values; k++) assert_int_equal(covered[k], 1);
    SupportCall(PetscFree(pieces));
    SupportCall(PetscFree(covered));
    SupportCall(CordsModelDestroy(&model));
  }
}

static void TestSum(void **state)
{
  CordsModel model = NetworkModel(NETWORK_BARE, "relu", CORDS_FORM_RECURRENT);
  const PetscInt count = model->learnable_values, ranks = support_context.size;
  const float rank = (float)support_context.rank;
  CordsMetrics metrics = {.loss = 1 + (double)rank};
  float *gradient;

  SupportCall(PetscMalloc1(count, &gradient));
  for (PetscInt k = 0; k < count; k++) gradient[k] = (float)(k % 100) + rank;
  SupportCall(CordsGradientSum(&support_context, model, gradient, &metrics));
  for (PetscInt k = 0; k < count; k++) assert_true(gradient[k] == (float)(ranks * (k % 100) + ranks * (ranks - 1) / 2));
  assert_true(metrics.loss == (double)(ranks + ranks * (ranks - 1) / 2));
  SupportCall(PetscFree(gradient));
  SupportCall(CordsModelDestroy(&model));
}

static const struct CMUnitTest tests[] = {cmocka_unit_test(TestPieces), cmocka_unit_test(TestSum)};
SUPPORT_MAIN(tests)
