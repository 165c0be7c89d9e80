/* RANKS 1 2 4
   The pieces of a gradient are all of it, each once, a tensor never in two areas; and summed piece by piece, whoever
   announces them, it is bit by bit what it is summed as a whole. */
#include "core/reduce.h"
#include "train/gradient_sum.h"

#include "support/networks.h"

static PetscInt Learnable(CordsModel model, PetscInt tensor)
{
  return tensor < model->learnable_count ? CordsTensorSize(&model->tensors[tensor]) : 0;
}

/* The area of each number, counted from 1. */
static void MarkPieces(CordsModel model, PetscInt *marks)
{
  for (PetscInt i = 0; i < model->architecture.area_count; i++) {
    CordsGradientPiece *pieces;
    PetscInt count, end = 0;
    SupportCall(CordsGradientPieces(model, i, &count, &pieces));
    for (PetscInt k = 0; k < count; k++) {
      assert_true(pieces[k].count > 0 && (k == 0 || pieces[k].start > end));
      end = pieces[k].start + pieces[k].count;
      for (PetscInt j = pieces[k].start; j < end; j++) {
        assert_int_equal(marks[j], 0);
        marks[j] = i + 1;
      }
    }
    SupportCall(PetscFree(pieces));
  }
}

static void CheckPieces(CordsModel model)
{
  PetscInt *marks;

  SupportCall(PetscCalloc1(model->learnable_values, &marks));
  MarkPieces(model, marks);
  for (PetscInt k = 0, at = 0; k < model->learnable_count; at += Learnable(model, k++)) {
    int area = 1;
    assert_true(marks[at] > 0);
    if (sscanf(model->tensors[k].name, "conv_bias.%d", &area) == 1) assert_int_equal(marks[at], area + 1);
    for (PetscInt j = 0; j < Learnable(model, k); j++) assert_int_equal(marks[at + j], marks[at]);
  }
  SupportCall(PetscFree(marks));
}

static void CheckSum(CordsModel model)
{
  const PetscInt count = model->learnable_values, last = model->architecture.area_count - 1;
  float *whole, *parts;
  CordsGradientSum sum;

  SupportCall(PetscMalloc2(count, &whole, count, &parts));
  SupportCall(CordsGradientSumCreate(&support_context, model, &sum));
  for (int round = 0; round < 3; round++) {
    SupportFillF32((uint64_t)(10 * round + support_context.rank), count, whole);
    SupportFillF32((uint64_t)(10 * round + support_context.rank), count, parts);
    SupportCall(CordsReduceSumF32(&support_context, count, whole));
    CordsGradientSumBegin(sum, parts);
    for (PetscInt i = last; i > 0 && i > support_context.rank; i--) SupportCall(CordsGradientSumArea(sum, i));
    SupportCall(CordsGradientSumEnd(sum));
    assert_memory_equal(whole, parts, (size_t)count * sizeof(float));
  }
  SupportCall(CordsGradientSumDestroy(&sum));
  SupportCall(PetscFree2(whole, parts));
}

static void TestForms(void **state)
{
  for (int k = 0; k < NETWORK_COUNT; k++) {
    for (CordsForm form = CORDS_FORM_BATCHNORM; form <= CORDS_FORM_RECURRENT; form++) {
      CordsModel model = NetworkModel(network_texts[k], "relu", form);
      CheckPieces(model);
      CheckSum(model);
      SupportCall(CordsModelDestroy(&model));
    }
  }
}

static const struct CMUnitTest tests[] = {cmocka_unit_test(TestForms)};
SUPPORT_MAIN(tests)
