/* Architectures from shapes: everything that shapes tell is as it was, and the rest is the paper's. */
#include "model/recognise.h"
#include "support/networks.h"
#include "support/state_dict.h"

static void Presets(void **state)
{
  static const char *const presets[] = {"R2", "R4", "R6", "R8"};

  for (int p = 0; p < 4; p++) {
    for (int form = 0; form < CORDS_FORM_COUNT; form++) {
      CordsArchitecture a, b;
      CordsForm form_found;
      CordsModel model;
      CordsStateDict dict;
      char *text, *text_found;
      SupportCall(CordsArchitecturePreset(presets[p], 1, 7, &a));
      SupportCall(CordsModelCreate(&a, (CordsForm)form, &model));
      dict = StateDictOf(model);
      SupportCall(CordsRecognise("the test", &dict, 0, 0, &b, &form_found));
      assert_int_equal(form_found, form);
      SupportCall(CordsArchitectureToText(&a, &text));
      SupportCall(CordsArchitectureToText(&b, &text_found));
      assert_string_equal(text_found, text); /* with its name */
      SupportCall(PetscFree(text));
      SupportCall(PetscFree(text_found));
      free(dict.entries);
      SupportCall(CordsModelDestroy(&model));
    }
  }
}

/* Odd networks: what their areas look like is found, for all forms that tell sizes. */
static void Networks(void **state)
{
  for (int n = 0; n < NETWORK_COUNT; n++) {
    for (int form = CORDS_FORM_FOLDED; form <= CORDS_FORM_RECURRENT; form++) {
      CordsModel model = NetworkModel(network_texts[n], "relu", (CordsForm)form);
      const CordsArchitecture *a = &model->architecture;
      CordsStateDict dict = StateDictOf(model);
      CordsArchitecture b;
      CordsForm form_found;
      SupportCall(CordsRecognise("the test", &dict, 0, 0, &b, &form_found));
      assert_int_equal(form_found, form);
      assert_string_equal(b.preset, "custom");
      assert_int_equal(b.area_count, a->area_count);
      assert_int_equal(b.classes, a->classes);
      assert_int_equal(b.image_channels, a->image_channels);
      assert_int_equal(b.stem_kernel, a->stem_kernel);
      for (PetscInt i = 0; i < a->area_count; i++) {
        assert_int_equal(b.areas[i].channels, a->areas[i].channels);
        assert_int_equal(b.areas[i].rows, a->areas[i].rows);
        assert_int_equal(b.areas[i].columns, a->areas[i].columns);
        assert_int_equal(b.areas[i].kernel, a->areas[i].kernel);
        assert_int_equal(b.areas[i].feedforward_kernel, a->areas[i].feedforward_kernel);
        assert_int_equal(b.areas[i].stride, a->areas[i].stride);
      }
      free(dict.entries);
      SupportCall(CordsModelDestroy(&model));
    }
  }
}

/* What shapes do not tell comes from options, and what they tell can be replaced. */
static void Options(void **state)
{
  static const char *const options[][2] = {{"-architecture_stem_stride", "1"},
                                           {"-architecture_tau", "10,20,5"},
                                           {"-architecture_image_rows", "11"},
                                           {"-architecture_stimulus_steps", "33"}};
  CordsModel model = NetworkModel(NETWORK_STEM, "relu", CORDS_FORM_RECURRENT);
  CordsStateDict dict = StateDictOf(model);
  CordsArchitecture b;
  CordsForm form;

  for (int k = 0; k < 4; k++) SupportCall(PetscOptionsSetValue(NULL, options[k][0], options[k][1]));
  SupportCall(CordsRecognise("the test", &dict, 4, 3, &b, &form));
  for (int k = 0; k < 4; k++) SupportCall(PetscOptionsClearValue(NULL, options[k][0]));
  assert_int_equal(b.image_rows, 11);
  assert_int_equal(b.image_columns, 10); /* twice the 5 of area 0 */
  assert_int_equal(b.areas[0].rows, 6);
  assert_int_equal(b.areas[0].columns, 5);
  assert_int_equal(b.stimulus_steps, 33);
  assert_int_equal(b.image_channels, 4);
  assert_int_equal(b.classes, 3);
  assert_true(b.areas[1].tau_ms == 20);
  free(dict.entries);
  SupportCall(CordsModelDestroy(&model));
}

/* Change one size of one tensor, or its name, and expect a sentence. */
static void Wrong(const char *name, const char *new_name, PetscInt dimension, PetscInt64 size, const char *expected)
{
  CordsModel model = NetworkModel(NETWORK_STEM, "relu", CORDS_FORM_RECURRENT);
  CordsStateDict dict = StateDictOf(model);
  CordsStateEntry *e = (CordsStateEntry *)CordsStateDictFind(&dict, name);
  CordsArchitecture a;
  CordsForm form;
  const char *sentence;

  assert_non_null(e);
  if (new_name) snprintf(e->name, sizeof e->name, "%s", new_name);
  e->sizes[dimension] = size;
  sentence = SupportExpectUserError(CordsRecognise("the test", &dict, 0, 0, &a, &form));
  if (!strstr(sentence, expected)) fail_msg("'%s' is not in '%s'", expected, sentence);
  free(dict.entries);
  SupportCall(CordsModelDestroy(&model));
}

#define V(name) name ".parametrizations.weight.original1"

static void Refused(void **state)
{
  Wrong(V("area_conv.0"), "other", 0, 1, "no CordsNet");
  Wrong(V("area_area.2"), "other", 0, 1, "no area_area.2");
  Wrong(V("area_conv.1"), NULL, 3, 5, "no kernel of a square");
  Wrong(V("area_conv.1"), NULL, 0, 0, "0 channels");
  Wrong(V("area_conv.1"), NULL, 0, 1000000000, "1000000000 channels");
  Wrong(V("out_fc"), "other", 0, 1, "give -classes");
  Wrong("conv_bias.1", NULL, 1, 5, "no stride makes");
}

static const struct CMUnitTest tests[] = {cmocka_unit_test(Presets), cmocka_unit_test(Networks),
                                          cmocka_unit_test(Options), cmocka_unit_test(Refused)};
SUPPORT_MAIN(tests)
