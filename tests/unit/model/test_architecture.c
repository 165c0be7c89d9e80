/* Architectures: the paper's networks, text and back, and what users get wrong. */
#include "model/model.h"
#include "support/networks.h"

static PetscInt Parameters(const CordsArchitecture *a, CordsForm form, PetscInt *tensors)
{
  CordsModel model;
  PetscInt count;

  SupportCall(CordsModelCreate(a, form, &model));
  count = model->learnable_values;
  *tensors = model->tensor_count;
  SupportCall(CordsModelDestroy(&model));
  return count;
}

/* Neurons of SPEC section 1: 64·56² per area of the first scale, half of it at each scale after. */
static void TestPresets(void **state)
{
  static const struct {
    const char *name;
    PetscInt areas, neurons;
  } presets[] = {{"R2", 2, 401408}, {"R4", 4, 602112}, {"R6", 6, 702464}, {"R8", 8, 752640}};
  CordsArchitecture a;
  PetscInt tensors;

  for (int p = 0; p < 4; p++) {
    SupportCall(CordsArchitecturePreset(presets[p].name, 3, 1000, &a));
    assert_string_equal(a.preset, presets[p].name);
    assert_int_equal(a.area_count, presets[p].areas);
    assert_int_equal(CordsArchitectureNeurons(&a), presets[p].neurons);
    assert_int_equal(a.stem_rows, 112);
    assert_int_equal(a.input_rows, 56);
    for (PetscInt i = 0; i < a.area_count; i++) {
      assert_int_equal(a.areas[i].channels, 64 << (i / 2));
      assert_int_equal(a.areas[i].rows, 56 >> (i / 2));
      assert_int_equal(a.areas[i].columns, 56 >> (i / 2));
      assert_int_equal(a.areas[i].stride, i == 2 || i == 4 || i == 6 ? 2 : 1);
      assert_true(a.skip[i] < 0 || (i >= 3 && i % 2 == 1));
      assert_true(fabs((double)CordsArchitectureAlpha(&a, i) - 0.2) < 1e-15);
    }
  }
  assert_int_equal(Parameters(&a, CORDS_FORM_RECURRENT, &tensors), 12475280);
  assert_int_equal(tensors, 53);
  assert_string_equal(a.connections[a.skip[7]].name, "skip_area.2");
  assert_int_equal(a.spontaneous_steps + a.stimulus_steps + a.return_steps, 300);
  SupportExpectUserError(CordsArchitecturePreset("R3", 3, 10, &a));
}

static void CheckRoundTrip(const CordsArchitecture *a)
{
  CordsArchitecture back;
  char *text, *again;

  SupportCall(CordsArchitectureToText(a, &text));
  SupportCall(CordsArchitectureFromText("the test", text, &back));
  SupportCall(CordsArchitectureToText(&back, &again));
  assert_string_equal(text, again);
  assert_memory_equal(&back.areas, &a->areas, sizeof a->areas);
  assert_int_equal(back.connection_count, a->connection_count);
  for (PetscInt k = 0; k < a->connection_count; k++) {
    assert_string_equal(back.connections[k].name, a->connections[k].name);
    assert_memory_equal(&back.connections[k].shape, &a->connections[k].shape, sizeof back.connections[k].shape);
  }
  assert_true(back.time_step_ms == a->time_step_ms);
  assert_int_equal(back.phi, a->phi);
  SupportCall(PetscFree(text));
  SupportCall(PetscFree(again));
}

static void TestRoundTrip(void **state)
{
  CordsArchitecture a;

  for (int k = 0; k < NETWORK_COUNT; k++) {
    a = NetworkArchitecture(network_texts[k], "softplus");
    a.areas[1].tau_ms = 10.0 / 3; /* every digit is kept */
    a.time_step_ms = 1.0 / 7;
    CheckRoundTrip(&a);
  }
  SupportCall(CordsArchitecturePreset("R8", 3, 1000, &a));
  CheckRoundTrip(&a);
}

/* Reading a file's architecture must not see or use up the options of the command line. */
static void TestOptionsUntouched(void **state)
{
  CordsArchitecture a;
  PetscInt left;
  char **names, **values;

  SupportCall(PetscOptionsClear(NULL));
  SupportCall(PetscOptionsInsertString(NULL, "-architecture_stem_channels 17"));
  a = NetworkArchitecture(NETWORK_STEM, "relu");
  assert_int_equal(a.stem_channels, 3);
  SupportCall(PetscOptionsLeftGet(NULL, &left, &names, &values));
  assert_int_equal(left, 1);
  SupportCall(PetscOptionsLeftRestore(NULL, &left, &names, &values));
  SupportCall(PetscOptionsClear(NULL));
}

static void TestSizes(void **state)
{
  CordsArchitecture a = NetworkArchitecture(NETWORK_STEM, "relu");

  assert_int_equal(a.input_rows, 6);
  assert_int_equal(a.input_columns, 5);
  assert_int_equal(a.areas[0].rows, 6);
  assert_int_equal(a.areas[1].rows, 3);
  assert_int_equal(a.areas[2].columns, 3);
  assert_string_equal(a.connections[a.skip[2]].name, "skip_area.0");
  assert_int_equal(a.connections[a.skip[2]].shape.stride, 2);
  a = NetworkArchitecture(NETWORK_BARE, "relu");
  assert_int_equal(a.stem, -1);
  assert_int_equal(a.stem_channels, NETWORK_CHANNELS);
  assert_int_equal(a.skip[2], -1);
  assert_int_equal(a.connections[a.skip[3]].shape.in_channels, 3);
  assert_int_equal(a.connections[a.skip[3]].shape.out_channels, 4);
}

static PetscErrorCode FromOptions(const char *options)
{
  CordsArchitecture a;

  SupportCall(PetscOptionsClear(NULL));
  SupportCall(PetscOptionsInsertString(NULL, options));
  return CordsArchitectureFromOptions(1, 10, &a);
}

static void TestMistakes(void **state)
{
  static const struct {
    const char *options, *sentence;
  } cases[] = {
      {"", "-architecture_channels is missing"},
      {"-architecture_channels 4", "at least 2 areas"},
      {"-architecture_channels 4,4 -architecture_kernels 4", "-architecture_kernels 4"},
      {"-architecture_channels 4,4 -architecture_feedforward_kernels 3,2", "-architecture_feedforward_kernels 2"},
      {"-architecture_channels 4,4 -architecture_stem_kernel 6", "-architecture_stem_kernel 6"},
      {"-architecture_channels 4,4 -architecture_pool_kernel 2", "-architecture_pool_kernel 2"},
      {"-architecture_channels 4,6", "last two areas"},
      {"-architecture_channels 4,4 -architecture_strides 1,2", "last two areas"},
      {"-architecture_channels 4,4,4 -architecture_strides 1,2", "2 values for 3 areas"},
      {"-architecture_channels 4,4 -architecture_tau 1,2,3", "3 values for 2 areas"},
      {"-architecture_channels 4,4 -architecture_tau 1", "longer than tau of area 0"},
      {"-architecture_channels 4,4 -architecture_time_step 11", "longer than tau of area 0"},
      {"-architecture_channels 4,0", "-architecture_channels"},
      {"-architecture_channels 4,4 -architecture_phi rely", "'relu'"},
      {"-architecture_preset R5", "'R5'"}};

  for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
    const char *sentence = SupportExpectUserError(FromOptions(cases[k].options));
    if (!strstr(sentence, cases[k].sentence)) print_error("%s: %s\n", cases[k].options, sentence);
    assert_non_null(strstr(sentence, cases[k].sentence));
  }
  SupportCall(FromOptions("-architecture_channels 4,4 -architecture_strides 3,1 -architecture_tau 2"));
  SupportCall(FromOptions("-architecture_preset R4 -architecture_image_rows 31"));
  SupportCall(PetscOptionsClear(NULL));
}

/* Text that is no architecture: the sentence names where it was found; afterwards the options are as before. */
static void TestBadText(void **state)
{
  static const char *const bad[] = {"",
                                    "\t: [",
                                    "architecture:\n\tchannels: [4, 4]\n",
                                    "classes: 3\n",
                                    "classes: 3\nimage_channels: 1\narchitecture: 5\n",
                                    "architecture:\n  channels: [4, 4]\n",
                                    "[1, 2",
                                    "classes: 3\nimage_channels: 1\narchitecture:\n  channels: [4, x]\n"};
  CordsArchitecture a;

  for (size_t k = 0; k < sizeof bad / sizeof bad[0]; k++) {
    const char *sentence = SupportExpectUserError(CordsArchitectureFromText("model.h5", bad[k], &a));
    if (k + 1 < sizeof bad / sizeof bad[0]) assert_non_null(strstr(sentence, "model.h5"));
  }
}

/* Lists too long for the arrays. */
static void TestManyAreas(void **state)
{
  char options[512] = "-architecture_channels 2";

  for (int k = 1; k < CORDS_AREAS_MAX; k++) strcat(options, ",2");
  SupportCall(FromOptions(options));
  strcat(options, ",2");
  SupportExpectUserError(FromOptions(options));
  SupportCall(PetscOptionsClear(NULL));
}

static const struct CMUnitTest tests[] = {cmocka_unit_test(TestPresets),          cmocka_unit_test(TestRoundTrip),
                                          cmocka_unit_test(TestOptionsUntouched), cmocka_unit_test(TestSizes),
                                          cmocka_unit_test(TestMistakes),         cmocka_unit_test(TestManyAreas),
                                          cmocka_unit_test(TestBadText)};
SUPPORT_MAIN(tests)
