/* PyTorch files of whole networks: what is matched, missing and unused, and the numbers. */
#include "model/import.h"

#include "io/torch_writer.h"
#include "support/networks.h"

/* The tensors of a model as a file, without number `left_out` (−1: all), with `extra` more (NULL: none). */
static const char *Write(CordsModel model, PetscInt left_out, const CordsTensor *extra, const char *architecture)
{
  const char *path = SupportPath("network.pth"), *const text[] = {cords_import_architecture, architecture, NULL};
  CordsTensor *tensors = calloc((size_t)PetscMax(1, model->tensor_count) + 1, sizeof *tensors);
  PetscInt count = 0;

  for (PetscInt k = 0; k < model->tensor_count; k++) {
    if (k != left_out) tensors[count++] = model->tensors[k];
  }
  if (extra) tensors[count++] = *extra;
  SupportCall(CordsTorchWrite(path, count, tensors, architecture ? text : NULL));
  free(tensors);
  return path;
}

/* PetscFree by the caller. */
static void Text(CordsModel model, char **text)
{
  SupportCall(CordsArchitectureToText(&model->architecture, text));
}

static CordsImportSettings settings;

/* With the architecture in the file everything comes back as it was, in each form. */
static void RoundTrip(void **state)
{
  settings = (CordsImportSettings){0};
  for (int form = 0; form < CORDS_FORM_COUNT; form++) {
    CordsModel model = NetworkModel(NETWORK_STEM, "tanh", (CordsForm)form), back;
    char *text, *text_back;
    Text(model, &text);
    SupportCall(CordsImport(&support_context, Write(model, -1, NULL, text), &settings, &back));
    Text(back, &text_back);
    assert_string_equal(text, text_back);
    assert_int_equal(back->form, form);
    assert_int_equal(back->value_count, model->value_count);
    assert_memory_equal(back->values, model->values, (size_t)model->value_count * sizeof(float));
    SupportCall(PetscFree(text));
    SupportCall(PetscFree(text_back));
    SupportCall(CordsModelDestroy(&model));
    SupportCall(CordsModelDestroy(&back));
  }
}

static PetscErrorCode Import(const char *path)
{
  CordsModel model;

  PetscFunctionBegin;
  PetscCall(CordsImport(&support_context, path, &settings, &model));
  PetscCall(CordsModelDestroy(&model));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static void Refused(const char *path, const char *expected)
{
  const char *sentence = SupportExpectUserError(Import(path));

  if (!strstr(sentence, expected)) fail_msg("'%s' is not in '%s'", expected, sentence);
}

static void Matching(void **state)
{
  CordsModel model = NetworkModel(NETWORK_STEM, "relu", CORDS_FORM_RECURRENT);
  float numbers[2] = {1, 2};
  CordsTensor more = {.name = "target_out_fc.bias", .dimensions = 1, .sizes = {2}, .data = numbers};
  PetscInt bias = CordsModelFind(model, "out_fc.bias");
  char *text;

  Text(model, &text);
  settings = (CordsImportSettings){0};
  Refused(Write(model, bias, NULL, text),
          "1 tensors of the network are missing (allow by -allow_missing): out_fc.bias");
  Refused(Write(model, -1, &more, text),
          "belong to nothing in the network (allow by -allow_unused): target_out_fc.bias");
  Refused(Write(model, bias, &more, text), "out_fc.bias; not used: target_out_fc.bias");
  snprintf(settings.allow_missing, sizeof settings.allow_missing, "inp_conv,out_fc.bias");
  snprintf(settings.allow_unused, sizeof settings.allow_unused, "target_*");
  SupportCall(Import(Write(model, bias, &more, text)));
  more.name = "target.bias";
  Refused(Write(model, bias, &more, text), "target.bias");
  more.name = "inp_norm.num_batches_tracked"; /* says nothing about the network */
  SupportCall(Import(Write(model, bias, &more, text)));
  SupportCall(PetscFree(text));
  SupportCall(CordsModelDestroy(&model));
}

static void Shapes(void **state)
{
  CordsModel model = NetworkModel(NETWORK_STEM, "relu", CORDS_FORM_RECURRENT);
  char *text, *place;

  Text(model, &text);
  place = strstr(text, "image_rows: 11");
  settings = (CordsImportSettings){0};
  memcpy(place, "image_rows: 19", 14);
  Refused(Write(model, -1, NULL, text), "tensor 'conv_bias.0' has shape [3,6,5] where the network has [3,10,5]");
  memcpy(place, "image_rows: 11", 14);
  memcpy(strstr(text, "channels: [3, 4, 4]"), "channels: [9999, 9 ", 19);
  Refused(Write(model, -1, NULL, text), "");
  SupportCall(PetscFree(text));
  SupportCall(CordsModelDestroy(&model));
}

/* Numbers that would take gigabytes are not asked of the system. */
static void Flood(void **state)
{
  CordsModel model = NetworkModel(NETWORK_STEM, "relu", CORDS_FORM_RECURRENT);

  settings = (CordsImportSettings){0};
  Refused(Write(model, -1, NULL,
                "classes: 5\nimage_channels: 2\narchitecture:\n  image_rows: 11\n  image_columns: 9\n"
                "  stem_channels: 3\n  channels: [65536, 65536]\n"),
          "but a network of this architecture has");
  SupportCall(CordsModelDestroy(&model));
}

/* What would become "not a number" and then, by relu, 0. */
static void NoNumbers(void **state)
{
  CordsModel model = NetworkModel(NETWORK_STEM, "relu", CORDS_FORM_BATCHNORM);
  float *variance = CordsModelValues(model, "area_nrm2.1.running_var");
  char *text;

  Text(model, &text);
  settings = (CordsImportSettings){0};
  variance[2] = -1e-6F;
  Refused(Write(model, -1, NULL, text), "'area_nrm2.1.running_var' has a negative variance");
  variance[2] = 0;
  SupportCall(Import(Write(model, -1, NULL, text)));
  memset(CordsModelValues(model, "area_conv.0.parametrizations.weight.original1") + 27, 0, 27 * sizeof(float));
  Refused(Write(model, -1, NULL, text), "output 1 of tensor 'area_conv.0.parametrizations.weight.original1' is zero");
  SupportCall(PetscFree(text));
  SupportCall(CordsModelDestroy(&model));
}

/* A kernel without weight normalisation: v is the kernel, g its norms.  Other classes: out_fc starts anew. */
static void PlainAndAnew(void **state)
{
  CordsModel model = NetworkModel(NETWORK_STEM, "relu", CORDS_FORM_RECURRENT), back;
  PetscInt g = CordsModelFind(model, "area_conv.1.parametrizations.weight.original0");
  const float *v = model->tensors[g + 1].data;
  float *g_back;
  char *text;

  Text(model, &text);
  settings = (CordsImportSettings){.classes = NETWORK_CLASSES + 1};
  memset(model->tensors[g + 1].data + 2 * 36, 0, 36 * sizeof(float)); /* a filter that was pruned */
  SupportCall(PetscFree(model->tensors[g + 1].name));
  SupportCall(PetscStrallocpy("module.area_conv.1.weight", (char **)&model->tensors[g + 1].name));
  SupportCall(CordsImport(&support_context, Write(model, g, NULL, text), &settings, &back));
  assert_memory_equal(CordsModelValues(back, "area_conv.1.parametrizations.weight.original1"), v, 72 * sizeof *v);
  g_back = CordsModelValues(back, "area_conv.1.parametrizations.weight.original0");
  for (int o = 0; o < 4; o++) {
    double norm = sqrt(NetworkDot(CORDS_F32, 36, v + o * 36, v + o * 36));
    assert_true(fabs((double)g_back[o] - norm) <= 1e-6 * norm);
  }
  assert_int_equal(back->architecture.classes, NETWORK_CLASSES + 1);
  assert_true(CordsModelValues(back, "out_fc.bias")[NETWORK_CLASSES] != 0);
  SupportCall(PetscFree(text));
  SupportCall(CordsModelDestroy(&model));
  SupportCall(CordsModelDestroy(&back));
}

static const struct CMUnitTest tests[] = {cmocka_unit_test(RoundTrip), cmocka_unit_test(Matching),
                                          cmocka_unit_test(Shapes),    cmocka_unit_test(Flood),
                                          cmocka_unit_test(NoNumbers), cmocka_unit_test(PlainAndAnew)};
SUPPORT_MAIN(tests)
