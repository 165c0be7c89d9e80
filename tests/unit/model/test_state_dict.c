/* Names of PyTorch's files under the names that a network has here. */
#include "model/state_dict.h"
#include "support/support.h"

#include <stdio.h>

static CordsStateEntry entries[8];

static CordsStateDict Dict(PetscInt count, const char *const keys[])
{
  for (PetscInt k = 0; k < count; k++) entries[k] = (CordsStateEntry){.key = keys[k], .number = k};
  return (CordsStateDict){.count = count, .entries = entries};
}

static void Renamed(PetscInt count, const char *const keys[], const char *const names[])
{
  CordsStateDict dict = Dict(count, keys);

  SupportCall(CordsStateDictRename("the test", &dict));
  for (PetscInt k = 0; k < count; k++) assert_string_equal(entries[k].name, names[k]);
}

static void Names(void **state)
{
  static const char *const keys[] = {"module._orig_mod.conv_bias.0", "_orig_mod.module.area_conv.1.weight_g",
                                     "area_conv.1.weight_v", "inp_norm.weight",
                                     "out_fc.parametrizations.weight.original0"};
  static const char *const names[] = {"conv_bias.0", "area_conv.1.parametrizations.weight.original0",
                                      "area_conv.1.parametrizations.weight.original1", "inp_norm.weight",
                                      "out_fc.parametrizations.weight.original0"};

  Renamed(5, keys, names);
}

static void Resnet(void **state)
{
  static const char *const keys[] = {
      "conv1.weight",      "module.bn1.running_var",       "layer1.0.conv1.weight",
      "layer4.1.bn2.bias", "layer3.0.downsample.0.weight", "layer2.0.downsample.1.weight",
      "fc.bias",           "layer2.1.conv2.weight"};
  static const char *const names[] = {"inp_conv.weight",  "inp_norm.running_var", "area_area.0.weight",
                                      "area_nrm2.7.bias", "skip_area.1.weight",   "skip_norm.0.weight",
                                      "out_fc.bias",      "area_conv.3.weight"};

  /* without a prefix on some only, as real files have it */
  Renamed(8, keys, names);
}

static PetscErrorCode Rename(PetscInt count, const char *const keys[])
{
  CordsStateDict dict = Dict(count, keys);

  PetscFunctionBegin;
  PetscCall(CordsStateDictRename("the test", &dict));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static void Refused(void **state)
{
  static const char *const same[] = {"module.out_fc.bias", "out_fc.bias"};
  static const char *const deeper[] = {"conv1.weight", "layer1.0.conv1.weight", "layer1.2.conv1.weight"};
  static const char *const bottleneck[] = {"conv1.weight", "layer1.0.conv1.weight", "layer1.0.conv3.weight"};

  assert_non_null(strstr(SupportExpectUserError(Rename(2, same)), "'module.out_fc.bias' and 'out_fc.bias'"));
  assert_non_null(strstr(SupportExpectUserError(Rename(3, deeper)), "'layer1.2.conv1.weight'"));
  assert_non_null(strstr(SupportExpectUserError(Rename(3, bottleneck)), "ResNet-18"));
}

static void Kernels(void **state)
{
  static const char *const keys[] = {"inp_conv.weight", "out_fc.weight", "out_fc.weight_v"};
  CordsStateDict dict = Dict(3, keys);

  SupportCall(CordsStateDictRename("the test", &dict));
  assert_ptr_equal(CordsStateDictKernel(&dict, "inp_conv"), &entries[0]);
  assert_ptr_equal(CordsStateDictKernel(&dict, "out_fc"), &entries[2]);
  assert_null(CordsStateDictKernel(&dict, "inp_skip"));
  assert_null(CordsStateDictFind(&dict, "out_fc"));
}

static const struct CMUnitTest tests[] = {cmocka_unit_test(Names), cmocka_unit_test(Resnet), cmocka_unit_test(Refused),
                                          cmocka_unit_test(Kernels)};
SUPPORT_MAIN(tests)
