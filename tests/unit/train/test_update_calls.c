/* The calls of an update: counted by hand, and operations that add up over ranks.  That they are the ones which are
   made is what test_traffic_model proves. */
#include "train/update_calls.h"

#include "support/networks.h"

enum { IMAGES = 5, LOSS_STEPS = 2 };

static CordsStageSettings settings;

static PetscInt StageIndex(const char *stage)
{
  const char *const *names;
  PetscInt count, k;

  SupportCall(CordsStageList(&count, &names, NULL));
  for (k = 0; k < count && strcmp(names[k], stage); k++) continue;
  return k;
}

static CordsCalls Calls(const char *stage, const CordsArchitecture *a, CordsPlan plan)
{
  const CordsUpdateTask task = {.architecture = a, .settings = &settings, .plan = plan, .images = IMAGES};
  CordsCalls calls = {0};

  SupportCall(CordsStageSettingsDefault(StageIndex(stage), &settings));
  settings.loss_steps = LOSS_STEPS;
  SupportCall(CordsStageCalls(StageIndex(stage), &task, &calls));
  return calls;
}

/* Images that go through an operation of a connection, and in how many calls. */
static PetscInt64 Through(const CordsCalls *calls, PetscInt connection, CordsConvOperation operation, PetscInt64 *times)
{
  PetscInt64 images = 0;

  *times = 0;
  for (PetscInt k = 0; k < calls->count; k++) {
    const CordsCall *call = &calls->list[k];
    if (call->kind != CORDS_CALL_CONV || call->connection != connection || call->operation != operation) continue;
    images += call->times * call->items;
    *times += call->times;
  }
  return images;
}

static void Expect(const CordsCalls *calls, PetscInt connection, CordsConvOperation operation, PetscInt64 images,
                   PetscInt64 times)
{
  PetscInt64 found_times, found = Through(calls, connection, operation, &found_times);

  assert_int_equal(found, images);
  assert_int_equal(found_times, times);
}

/* 6 spontaneous steps of one image, 8 + 7 recorded of five in parts of 2, 2, 1; blocks of 3 steps; 5 steps kept, so
   that blocks are 3 3 2 | 2, 3 2 with the first ten steps computed again. */
static void TestTrial(void **state)
{
  const CordsArchitecture a = NetworkArchitecture(NETWORK_BARE, "relu");
  CordsCalls calls = Calls("finetune", &a, (CordsPlan){.images = 2, .block = 3, .kept = 5});

  assert_int_equal(a.spontaneous_steps, 6);
  assert_int_equal(a.stimulus_steps + a.return_steps, 15);
  /* a block of six steps of one image has room */
  Expect(&calls, a.recurrent[1], CORDS_CONV_FORWARD, 6 + 5 * (15 + 10), 6 + 3 * (15 + 10));
  Expect(&calls, a.recurrent[1], CORDS_CONV_BACKWARD_DATA, 5 * 14, 3 * 14);
  Expect(&calls, a.recurrent[1], CORDS_CONV_BACKWARD_WEIGHTS, 5 * 15, 3 * 6);
  Expect(&calls, a.feedforward[1], CORDS_CONV_FORWARD, 6 + 5 * (15 + 10), 1 + 3 * (6 + 4));
  Expect(&calls, a.feedforward[1], CORDS_CONV_BACKWARD_DATA, 5 * 15, 3 * 6);
  Expect(&calls, a.skip[3], CORDS_CONV_FORWARD, 6 + 5 * (15 + 10 + 15), 1 + 3 * (6 + 4 + 6));
  Expect(&calls, a.feedforward[0], CORDS_CONV_FORWARD, 5, 3);
  Expect(&calls, a.readout, CORDS_CONV_FORWARD, 5 * LOSS_STEPS, 3);
  SupportCall(PetscFree(calls.list));
}

/* The stimulus alone, all of it kept. */
static void TestStimulus(void **state)
{
  const CordsArchitecture a = NetworkArchitecture(NETWORK_STEM, "relu");
  CordsCalls calls = Calls("linear", &a, (CordsPlan){.images = 5, .block = 8, .kept = 8});

  Expect(&calls, a.recurrent[0], CORDS_CONV_FORWARD, 5 * 8, 8);
  Expect(&calls, a.recurrent[0], CORDS_CONV_BACKWARD_DATA, 5 * 7, 7);
  Expect(&calls, a.stem, CORDS_CONV_FORWARD, 5, 1);
  Expect(&calls, a.stem, CORDS_CONV_BACKWARD_DATA, 0, 0);
  Expect(&calls, a.stem, CORDS_CONV_BACKWARD_WEIGHTS, 5, 1);
  SupportCall(PetscFree(calls.list));
}

/* The two stages without time: the CNN there and back; the target, and three powers of W there and back. */
static void TestOthers(void **state)
{
  const CordsArchitecture a = NetworkArchitecture(NETWORK_STEM, "relu");
  CordsCalls calls = Calls("compatibility", &a, (CordsPlan){0});
  PetscInt norms = 0;

  Expect(&calls, a.recurrent[0], CORDS_CONV_FORWARD, 5, 1);
  Expect(&calls, a.recurrent[0], CORDS_CONV_BACKWARD_DATA, 5, 1);
  for (PetscInt k = 0; k < calls.count; k++)
    norms += calls.list[k].kind == CORDS_CALL_STATISTICS ? (PetscInt)calls.list[k].times : 0;
  assert_int_equal(norms, 1 + 2 * 3 + 1); /* stem, areas, the skip into area 2 */
  SupportCall(PetscFree(calls.list));
  calls = Calls("inverse", &a, (CordsPlan){0});
  Expect(&calls, a.recurrent[0], CORDS_CONV_FORWARD, 4 * 5, 4);
  Expect(&calls, a.recurrent[0], CORDS_CONV_BACKWARD_WEIGHTS, 3 * 5, 3);
  Expect(&calls, a.feedforward[1], CORDS_CONV_BACKWARD_DATA, 0, 0);
  SupportCall(PetscFree(calls.list));
}

static void TestOperations(void **state)
{
  const CordsArchitecture a = NetworkArchitecture(NETWORK_STEM, "relu");
  CordsCalls calls = Calls("parametric", &a, (CordsPlan){.images = 2, .block = 4, .kept = 15});
  const double whole = CordsCallsOperations(&calls, &a, 1, 1, 0, CORDS_F32);
  double readout = 0, sum = 0;

  for (PetscInt k = 0; k < calls.count; k++) {
    const CordsCall *call = &calls.list[k];
    if (call->kind == CORDS_CALL_CONV && call->connection == a.readout)
      readout += CordsConvFlops(&a.connections[a.readout].shape) * call->items * (double)call->times;
  }
  assert_true(readout > 0 && readout < whole);
  for (PetscInt rank = 0; rank < 6; rank++) sum += CordsCallsOperations(&calls, &a, 3, 2, rank, CORDS_F32);
  NetworkClose("operations", sum, whole + 5 * readout, whole, 1e-13);
  assert_true(CordsCallsOperations(&calls, &a, 1, 1, 0, CORDS_BF16) == 0);
  SupportCall(PetscFree(calls.list));
}

static const struct CMUnitTest tests[] = {cmocka_unit_test(TestTrial), cmocka_unit_test(TestStimulus),
                                          cmocka_unit_test(TestOthers), cmocka_unit_test(TestOperations)};
SUPPORT_MAIN(tests)
