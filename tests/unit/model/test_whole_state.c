/* States go to tiles and back on every grid; the place of every neuron is counted once. */
/* RANKS 1 2 4 */
#include "model/whole_state.h"
#include "support/domain.h"
#include "support/networks.h"

static void CheckGrid(CordsContext context, CordsModel model, CordsType type)
{
  CordsSystem system;
  CordsArray whole, tiles, back;
  const PetscInt neurons = CordsArchitectureNeurons(&model->architecture), areas = model->architecture.area_count;

  SupportCall(CordsSystemCreateCut(context, model, type, &system));
  assert_int_equal(CordsWholeStateOffset(system, areas), neurons);
  whole = NetworkRandom(type, (size_t)neurons, 4);
  SupportCall(CordsArrayCreate(type, 1, CordsSystemOffset(system, areas), &tiles));
  SupportCall(CordsArrayCreate(type, 1, neurons, &back));
  CordsWholeStateTake(system, whole.data, tiles.data);
  for (PetscInt i = 0; i < areas; i++) {
    const void *own = CordsSystemArea(system, 1, tiles.data, i);
    for (PetscInt k = 0; k < CordsSystemNeurons(system, i); k++) {
      const PetscInt place = CordsWholeStatePlace(system, i, k);
      assert_true(place >= 0 && place < CordsWholeStateNeurons(system, i));
      assert_true(NetworkGet(type, own, (size_t)k) ==
                  NetworkGet(type, whole.data, (size_t)(CordsWholeStateOffset(system, i) + place)));
    }
  }
  SupportCall(CordsWholeStateGather(system, tiles.data, context->domain_rank == 0 ? back.data : NULL));
  if (context->domain_rank == 0)
    assert_memory_equal(back.data, whole.data, (size_t)neurons * CordsTypeSize(type));
  else
    for (PetscInt k = 0; k < neurons; k++) assert_true(NetworkGet(type, back.data, (size_t)k) == 0);
  SupportCall(CordsArrayDestroy(&whole));
  SupportCall(CordsArrayDestroy(&tiles));
  SupportCall(CordsArrayDestroy(&back));
  SupportCall(CordsSystemDestroy(&system));
}

static void EveryGrid(void **state)
{
  for (int k = 0; k < NETWORK_COUNT; k++) {
    CordsModel model = NetworkModel(network_texts[k], "relu", CORDS_FORM_RECURRENT);
    SUPPORT_FOR_GRIDS(rows)
    {
      const CordsContextData context = SupportDomain(rows);
      CheckGrid(&context, model, CORDS_F64);
      CheckGrid(&context, model, CORDS_F32);
    }
    SupportCall(CordsModelDestroy(&model));
  }
}

static const struct CMUnitTest tests[] = {cmocka_unit_test(EveryGrid)};
SUPPORT_MAIN(tests)
