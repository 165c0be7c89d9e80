#include "model/recognise.h"

#include <stdio.h>
#include <string.h>

enum { SIZE_MAX_HERE = 65536, STRIDE_MAX = 99 };

static PetscBool HasPart(const CordsStateDict *dict, const char *part)
{
  for (PetscInt k = 0; k < dict->count; k++) {
    if (strncmp(dict->entries[k].name, part, strlen(part)) == 0) return PETSC_TRUE;
  }
  return PETSC_FALSE;
}

CordsForm CordsRecogniseForm(const CordsStateDict *dict)
{
  if (HasPart(dict, "area_norm.") || HasPart(dict, "area_nrm2.")) return CORDS_FORM_BATCHNORM;
  return HasPart(dict, "area_bias.") ? CORDS_FORM_FOLDED : CORDS_FORM_RECURRENT;
}

/* Kernel of NAME.number (NAME alone where number < 0): [out][in][kernel][kernel]; *found false if there is none. */
static PetscErrorCode Kernel(const char *where, const CordsStateDict *dict, const char *name, PetscInt number,
                             PetscBool *found, PetscInt sizes[3])
{
  char full[64];
  const CordsStateEntry *e;

  PetscFunctionBegin;
  if (number < 0)
    snprintf(full, sizeof full, "%s", name);
  else
    snprintf(full, sizeof full, "%s.%" PetscInt_FMT, name, number);
  e = CordsStateDictKernel(dict, full);
  *found = (PetscBool)(e != NULL);
  if (!e) PetscFunctionReturn(PETSC_SUCCESS);
  CordsCheckUser(e->dimensions == 4 && e->sizes[2] == e->sizes[3] && e->sizes[2] % 2 == 1 && e->sizes[2] <= STRIDE_MAX,
                 PETSC_COMM_WORLD, "'%s': tensor '%s' is no kernel of a square of odd side", where, e->key);
  for (int k = 0; k < 3; k++) {
    CordsCheckUser(e->sizes[k] >= 1 && e->sizes[k] <= SIZE_MAX_HERE, PETSC_COMM_WORLD,
                   "'%s': tensor '%s' has %" PetscInt64_FMT " channels", where, e->key, e->sizes[k]);
    sizes[k] = (PetscInt)e->sizes[k];
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode FindAreas(const char *where, const CordsStateDict *dict, CordsArchitecture *a)
{
  PetscInt recurrent[3], feedforward[3];
  PetscBool found = PETSC_TRUE;

  PetscFunctionBegin;
  for (a->area_count = 0; found; a->area_count++) {
    CordsAreaShape *area = &a->areas[a->area_count];
    PetscCall(Kernel(where, dict, "area_conv", a->area_count, &found, recurrent));
    if (!found) break;
    CordsCheckUser(a->area_count < CORDS_AREAS_MAX, PETSC_COMM_WORLD, "'%s': has more than %d areas", where,
                   CORDS_AREAS_MAX);
    PetscCall(Kernel(where, dict, "area_area", a->area_count, &found, feedforward));
    CordsCheckUser(found, PETSC_COMM_WORLD, "'%s': has area_conv.%" PetscInt_FMT " but no area_area.%" PetscInt_FMT,
                   where, a->area_count, a->area_count);
    *area = (CordsAreaShape){.channels = recurrent[0],
                             .kernel = recurrent[2],
                             .feedforward_kernel = feedforward[2],
                             .stride = 1,
                             .tau_ms = 10};
    if (a->area_count == 0) a->stem_channels = feedforward[1];
  }
  CordsCheckUser(a->area_count >= 2, PETSC_COMM_WORLD,
                 "'%s': is no CordsNet: it has no convolutions area_conv.0, area_conv.1, ... (and is no ResNet-18)",
                 where);
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* Sizes of an area from its biases; false if the file has none. */
static PetscBool FindSize(const CordsStateDict *dict, PetscInt area, PetscInt *rows, PetscInt *columns)
{
  char name[64];
  const CordsStateEntry *e;

  snprintf(name, sizeof name, "conv_bias.%" PetscInt_FMT, area);
  e = CordsStateDictFind(dict, name);
  if (!e || e->dimensions != 3) return PETSC_FALSE;
  for (int k = 1; k < 3; k++) {
    if (e->sizes[k] < 1 || e->sizes[k] > SIZE_MAX_HERE) return PETSC_FALSE;
  }
  *rows = (PetscInt)e->sizes[1];
  *columns = (PetscInt)e->sizes[2];
  return PETSC_TRUE;
}

/* The stride that makes `to` of `from` pixels in both directions, when padding keeps sizes; 0 if there is none. */
static PetscInt FindStride(const PetscInt from[2], const PetscInt to[2])
{
  for (PetscInt s = 1; s <= STRIDE_MAX; s++) {
    if ((from[0] + s - 1) / s == to[0] && (from[1] + s - 1) / s == to[1]) return s;
  }
  return 0;
}

/* *first: rows and columns of area 0; 0 if the file does not tell sizes. */
static PetscErrorCode FindStrides(const char *where, const CordsStateDict *dict, CordsArchitecture *a,
                                  PetscInt first[2])
{
  PetscInt before[2] = {0, 0}, now[2];

  PetscFunctionBegin;
  first[0] = first[1] = 0;
  for (PetscInt i = 0; i < a->area_count; i++) {
    if (!FindSize(dict, i, &now[0], &now[1])) {
      /* as in the paper: a new scale begins where the channels change */
      a->areas[i].stride = i > 0 && a->areas[i].channels != a->areas[i - 1].channels ? 2 : 1;
      before[0] = 0;
      continue;
    }
    if (i == 0) memcpy(first, now, sizeof now);
    a->areas[i].stride = before[0] > 0 ? FindStride(before, now) : 1;
    CordsCheckUser(a->areas[i].stride > 0, PETSC_COMM_WORLD,
                   "'%s': no stride makes the %" PetscInt_FMT " x %" PetscInt_FMT " pixels of area %" PetscInt_FMT
                   " of the %" PetscInt_FMT " x %" PetscInt_FMT " of the area before",
                   where, now[0], now[1], i, before[0], before[1]);
    memcpy(before, now, sizeof now);
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode FindEnds(const char *where, const CordsStateDict *dict, PetscInt image_channels, PetscInt classes,
                               CordsArchitecture *a)
{
  const CordsStateEntry *readout = CordsStateDictKernel(dict, "out_fc");
  PetscInt stem[3];
  PetscBool found;

  PetscFunctionBegin;
  PetscCall(Kernel(where, dict, "inp_conv", -1, &found, stem));
  a->stem_kernel = found ? stem[2] : 0;
  a->stem_stride = found ? 2 : 1;
  a->pool_kernel = found ? 3 : 0;
  a->pool_stride = found ? 2 : 1;
  a->image_channels = image_channels > 0 ? image_channels : found ? stem[1] : a->stem_channels;
  CordsCheckUser(
      classes > 0 || (readout && readout->dimensions == 2 && readout->sizes[0] >= 1 && readout->sizes[0] <= 1000000),
      PETSC_COMM_WORLD, "'%s': has no read-out out_fc that tells the number of classes; give -classes", where);
  a->classes = classes > 0 ? classes : (PetscInt)readout->sizes[0];
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* A network that is one of the paper's has its name. */
static PetscErrorCode NamePreset(CordsArchitecture *a)
{
  static const char *const presets[] = {"R2", "R4", "R6", "R8"};
  CordsArchitecture other;
  char *text, *text_other;
  PetscBool same = PETSC_FALSE;

  PetscFunctionBegin;
  for (size_t k = 0; k < PETSC_STATIC_ARRAY_LENGTH(presets) && !same; k++) {
    PetscCall(CordsArchitecturePreset(presets[k], a->image_channels, a->classes, &other));
    snprintf(a->preset, sizeof a->preset, "%s", presets[k]);
    PetscCall(CordsArchitectureToText(a, &text));
    PetscCall(CordsArchitectureToText(&other, &text_other));
    PetscCall(PetscStrcmp(text, text_other, &same));
    PetscCall(PetscFree(text));
    PetscCall(PetscFree(text_other));
  }
  if (!same) snprintf(a->preset, sizeof a->preset, "custom");
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsRecognise(const char *where, const CordsStateDict *dict, PetscInt image_channels, PetscInt classes,
                              CordsArchitecture *a, CordsForm *form)
{
  PetscInt first[2];
  CordsArchitecture base;

  PetscFunctionBegin;
  *form = CordsRecogniseForm(dict);
  PetscCall(CordsArchitecturePreset("R2", 1, 1, &base)); /* what shapes do not tell is the paper's */
  PetscCall(FindAreas(where, dict, &base));
  PetscCall(FindEnds(where, dict, image_channels, classes, &base));
  PetscCall(FindStrides(where, dict, &base, first));
  *a = base;
  PetscCall(CordsArchitectureChangeByOptions(a)); /* for the strides of stem and pooling */
  if (first[0] > 0) {
    PetscInt stride = a->areas[0].stride;
    if (a->stem_kernel > 0) stride *= a->stem_stride;
    if (a->pool_kernel > 0) stride *= a->pool_stride;
    base.image_rows = first[0] * stride;
    base.image_columns = first[1] * stride;
    *a = base;
    PetscCall(CordsArchitectureChangeByOptions(a));
  }
  PetscCall(NamePreset(a));
  PetscFunctionReturn(PETSC_SUCCESS);
}
