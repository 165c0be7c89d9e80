/* RANKS 1 2 4
   Sizes without a system are those of the system, in every grid. */
#include "train/state_sizes.h"

#include "support/domain.h"
#include "support/networks.h"

static void Check(const char *body, PetscInt rows)
{
  const CordsContextData context = SupportDomain(rows);
  CordsModel model = NetworkModel(body, "relu", CORDS_FORM_RECURRENT);
  CordsSystem system;
  CordsStateSizes sizes, same;

  SupportCall(CordsSystemCreateCut(&context, model, CORDS_F32, &system));
  sizes = CordsStateSizesOf(&model->architecture, CORDS_F32, context.grid_rows, context.grid_columns, context.rank);
  same = CordsStateSizesOfSystem(system);
  assert_memory_equal(&sizes, &same, sizeof sizes);
  assert_int_equal(sizes.area_count, model->architecture.area_count);
  assert_int_equal(sizes.largest, CordsSystemLargestArea(system));
  for (PetscInt i = 0; i < sizes.area_count; i++) {
    assert_int_equal(sizes.neurons[i], CordsSystemNeurons(system, i));
    assert_int_equal(sizes.mask_words[i], CordsSystemMaskWords(system, i));
  }
  SupportCall(CordsSystemDestroy(&system));
  SupportCall(CordsModelDestroy(&model));
}

static void TestSizes(void **state)
{
  for (int k = 0; k < NETWORK_COUNT; k++) {
    SUPPORT_FOR_GRIDS(rows) Check(network_texts[k], rows);
  }
}

static const struct CMUnitTest tests[] = {cmocka_unit_test(TestSizes)};
SUPPORT_MAIN(tests)
