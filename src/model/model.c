#include "model/model.h"

#include "core/random.h"
#include "core/registry.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

const char *const CordsFormNames[] = {"batchnorm", "folded", "recurrent"};

/* Counts and places tensors; with model->tensors NULL it only counts. */
typedef struct {
  CordsModel model;
  PetscInt tensor, value;
  PetscInt capacity;
} Builder;

static PetscErrorCode AddTensor(Builder *b, const char *name, const char *axes, const char *meaning,
                                PetscInt dimensions, const PetscInt sizes[])
{
  CordsTensor *t;
  char *owned;

  PetscFunctionBegin;
  PetscCheck(b->tensor < b->capacity, PETSC_COMM_SELF, PETSC_ERR_PLIB, "too many tensors");
  t = &b->model->tensors[b->tensor++];
  PetscCall(PetscStrallocpy(name, &owned));
  *t = (CordsTensor){.name = owned, .axes = axes, .unit = "1", .meaning = meaning, .dimensions = dimensions};
  for (PetscInt k = 0; k < dimensions; k++) t->sizes[k] = sizes[k];
  b->value += CordsTensorSize(t);
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode AddConnection(Builder *b, const CordsConnection *connection)
{
  const CordsConvShape *s = &connection->shape;
  PetscBool dense = (PetscBool)(strcmp(connection->name, "out_fc") == 0);
  PetscInt g_sizes[4] = {s->out_channels, 1, 1, 1};
  PetscInt v_sizes[4] = {s->out_channels, s->in_channels, s->kernel_rows, s->kernel_columns};
  const char *axes = dense ? "out,in" : "out,in,row,column";
  char name[128];

  PetscFunctionBegin;
  snprintf(name, sizeof name, "%s.parametrizations.weight.original0", connection->name);
  PetscCall(
      AddTensor(b, name, axes, "g of weight normalisation w = g v / |v|, one per output", dense ? 2 : 4, g_sizes));
  snprintf(name, sizeof name, "%s.parametrizations.weight.original1", connection->name);
  PetscCall(AddTensor(b, name, axes, "v of weight normalisation w = g v / |v|", dense ? 2 : 4, v_sizes));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode AddNorm(Builder *b, const char *name, PetscInt number, PetscInt channels, PetscBool statistics)
{
  static const char *const parts[2][2] = {{"weight", "bias"}, {"running_mean", "running_var"}};
  static const char *const meanings[2][2] = {
      {"scale of batch normalisation", "shift of batch normalisation"},
      {"running mean of batch normalisation", "running unbiased variance of batch normalisation"}};
  char full[128], place[16] = "";

  PetscFunctionBegin;
  if (number >= 0) snprintf(place, sizeof place, ".%" PetscInt_FMT, number);
  for (int k = 0; k < 2; k++) {
    snprintf(full, sizeof full, "%s%s.%s", name, place, parts[statistics][k]);
    PetscCall(AddTensor(b, full, "channel", meanings[statistics][k], 1, &channels));
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* All batch normalisations: their parameters, or their running statistics. */
static PetscErrorCode AddNorms(Builder *b, PetscBool statistics)
{
  const CordsArchitecture *a = &b->model->architecture;
  PetscInt skip_count = 0;

  PetscFunctionBegin;
  if (a->stem >= 0) PetscCall(AddNorm(b, "inp_norm", -1, a->stem_channels, statistics));
  for (PetscInt i = 0; i < a->area_count; i++) {
    PetscCall(AddNorm(b, "area_norm", i, a->areas[i].channels, statistics));
    PetscCall(AddNorm(b, "area_nrm2", i, a->areas[i].channels, statistics));
    if (a->skip[i] < 0) continue;
    PetscCall(AddNorm(b, "skip_norm", skip_count++, a->connections[a->skip[i]].shape.out_channels, statistics));
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode AddNeuronBiases(Builder *b, const char *name, const char *meaning)
{
  const CordsArchitecture *a = &b->model->architecture;
  char full[64];

  PetscFunctionBegin;
  for (PetscInt i = 0; i < a->area_count; i++) {
    PetscInt sizes[3] = {a->areas[i].channels, a->areas[i].rows, a->areas[i].columns};
    snprintf(full, sizeof full, "%s.%" PetscInt_FMT, name, i);
    PetscCall(AddTensor(b, full, "channel,row,column", meaning, 3, sizes));
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsModelCreate(const CordsArchitecture *architecture, CordsForm form, CordsModel *model)
{
  Builder b = {0};
  CordsModel m;

  PetscFunctionBegin;
  PetscCall(PetscNew(&m));
  m->architecture = *architecture;
  m->form = form;
  b.model = m;
  b.capacity = 2 * architecture->connection_count + 14 * architecture->area_count + 16;
  PetscCall(PetscCalloc1(b.capacity, &m->tensors));
  for (PetscInt k = 0; k < architecture->connection_count; k++) {
    PetscCall(AddConnection(&b, &architecture->connections[k]));
  }
  PetscCall(AddTensor(&b, "out_fc.bias", "class", "bias of the read-out", 1, &architecture->classes));
  if (form == CORDS_FORM_BATCHNORM) PetscCall(AddNorms(&b, PETSC_FALSE));
  if (form == CORDS_FORM_FOLDED) {
    PetscCall(AddNeuronBiases(&b, "area_bias", "bias between the two convolutions, from folded batch normalisation"));
  }
  if (form != CORDS_FORM_BATCHNORM) PetscCall(AddNeuronBiases(&b, "conv_bias", "bias of each neuron"));
  m->learnable_count = b.tensor;
  m->learnable_values = b.value;
  if (form == CORDS_FORM_BATCHNORM) PetscCall(AddNorms(&b, PETSC_TRUE));
  m->tensor_count = b.tensor;
  m->value_count = b.value;
  PetscCall(PetscCalloc1(m->value_count, &m->values));
  for (PetscInt k = 0, at = 0; k < m->tensor_count; at += CordsTensorSize(&m->tensors[k++])) {
    m->tensors[k].data = m->values + at;
  }
  *model = m;
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsModelDestroy(CordsModel *model)
{
  PetscFunctionBegin;
  if (!*model) PetscFunctionReturn(PETSC_SUCCESS);
  for (PetscInt k = 0; k < (*model)->tensor_count; k++) PetscCall(PetscFree((*model)->tensors[k].name));
  PetscCall(PetscFree((*model)->tensors));
  PetscCall(PetscFree((*model)->values));
  PetscCall(PetscFree(*model));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscInt CordsModelFind(CordsModel model, const char *name)
{
  for (PetscInt k = 0; k < model->tensor_count; k++) {
    if (strcmp(model->tensors[k].name, name) == 0) return k;
  }
  return -1;
}

float *CordsModelValues(CordsModel model, const char *name)
{
  PetscInt k = CordsModelFind(model, name);

  return k < 0 ? NULL : model->tensors[k].data;
}

PetscInt CordsModelConnectionTensor(CordsModel model, PetscInt connection)
{
  return 2 * connection;
}

/* FNV-1a of a name: the random stream of a tensor, so that adding a tensor changes no other. */
static uint64_t NameHash(const char *name)
{
  uint64_t hash = UINT64_C(0xcbf29ce484222325);

  for (; *name; name++) hash = (hash ^ (unsigned char)*name) * UINT64_C(0x100000001b3);
  return hash;
}

static void FillUniform(CordsTensor *tensor, uint64_t seed, double bound)
{
  CordsRandomKey key = {.seed = seed, .purpose = CORDS_RANDOM_INITIALISE, .sample = NameHash(tensor->name)};

  for (PetscInt k = 0; k < CordsTensorSize(tensor); k++) {
    tensor->data[k] = (float)(bound * (2 * CordsRandomUniform(key, (uint32_t)k) - 1));
  }
}

static PetscBool EndsWith(const char *name, const char *end)
{
  size_t a = strlen(name), b = strlen(end);

  return (PetscBool)(a >= b && strcmp(name + a - b, end) == 0);
}

PetscErrorCode CordsModelInitialise(CordsModel model, uint64_t seed)
{
  const CordsArchitecture *a = &model->architecture;

  PetscFunctionBegin;
  for (PetscInt k = 0; k < model->tensor_count; k++) {
    CordsTensor *t = &model->tensors[k];
    PetscBool one = (PetscBool)((strstr(t->name, "norm") || strstr(t->name, "nrm2")) &&
                                (EndsWith(t->name, ".weight") || EndsWith(t->name, ".running_var")));
    for (PetscInt j = 0; j < CordsTensorSize(t); j++) t->data[j] = one ? 1.0f : 0.0f;
  }
  for (PetscInt k = 0; k < a->connection_count; k++) {
    const CordsConvShape *s = &a->connections[k].shape;
    PetscInt row = s->in_channels * s->kernel_rows * s->kernel_columns;
    CordsTensor *g = &model->tensors[CordsModelConnectionTensor(model, k)], *v = g + 1;
    FillUniform(v, seed, 1 / sqrt((double)row));
    for (PetscInt o = 0; o < s->out_channels; o++) {
      double sum = 0;
      for (PetscInt j = 0; j < row; j++) sum += (double)v->data[o * row + j] * (double)v->data[o * row + j];
      g->data[o] = (float)sqrt(sum);
    }
  }
  FillUniform(&model->tensors[CordsModelFind(model, "out_fc.bias")], seed,
              1 / sqrt((double)a->connections[a->readout].shape.in_channels));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsModelCopyShared(CordsModel from, CordsModel to)
{
  PetscFunctionBegin;
  for (PetscInt k = 0; k < to->tensor_count; k++) {
    CordsTensor *t = &to->tensors[k];
    PetscInt source = CordsModelFind(from, t->name);
    if (source < 0 || CordsTensorSize(&from->tensors[source]) != CordsTensorSize(t)) continue;
    memcpy(t->data, from->tensors[source].data, (size_t)CordsTensorSize(t) * sizeof(float));
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsModelWrite(CordsModel model, CordsH5 file, const char *group)
{
  char *text;

  PetscFunctionBegin;
  PetscCall(CordsTensorsWrite(file, group, model->tensor_count, model->tensors));
  PetscCall(CordsArchitectureToText(&model->architecture, &text));
  PetscCall(CordsH5WriteText(file, group, "architecture", text));
  PetscCall(CordsH5WriteText(file, group, "form", CordsFormNames[model->form]));
  PetscCall(PetscFree(text));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* Architecture and form of the network stored in a group.  Errors (user): there is none. */
static PetscErrorCode ReadKind(CordsH5 file, const char *group, CordsArchitecture *architecture, CordsForm *form)
{
  char *text, *name;
  PetscInt index;

  PetscFunctionBegin;
  PetscCall(CordsH5ReadText(file, group, "architecture", &text));
  PetscCall(CordsH5ReadText(file, group, "form", &name));
  CordsCheckUser(text && name, PETSC_COMM_WORLD, "%s: holds no network (group %s with its architecture is missing)",
                 CordsH5Path(file), group);
  PetscCall(CordsArchitectureFromText(CordsH5Path(file), text, architecture));
  PetscCall(CordsRegistryFind("form of the network", CORDS_FORM_COUNT, CordsFormNames, name, &index));
  *form = (CordsForm)index;
  PetscCall(PetscFree(text));
  PetscCall(PetscFree(name));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsModelRead(CordsModel model, CordsH5 file, const char *group)
{
  CordsArchitecture stored;
  CordsForm form;
  char *text_stored, *text_here;
  PetscBool same;

  PetscFunctionBegin;
  PetscCall(ReadKind(file, group, &stored, &form));
  PetscCall(CordsArchitectureToText(&stored, &text_stored));
  PetscCall(CordsArchitectureToText(&model->architecture, &text_here));
  PetscCall(PetscStrcmp(text_stored, text_here, &same));
  CordsCheckUser(same && form == model->form, PETSC_COMM_WORLD,
                 "%s: holds a network of another architecture than the one asked for; `cords info %s` shows it",
                 CordsH5Path(file), CordsH5Path(file));
  PetscCall(PetscFree(text_stored));
  PetscCall(PetscFree(text_here));
  PetscCall(CordsTensorsRead(file, group, model->tensor_count, model->tensors));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsModelLoad(CordsContext context, const char *path, CordsModel *model)
{
  CordsArchitecture architecture;
  CordsForm form;
  CordsH5 file;

  PetscFunctionBegin;
  PetscCall(CordsH5Open(context, path, &file));
  PetscCall(ReadKind(file, "parameters", &architecture, &form));
  PetscCall(CordsModelCreate(&architecture, form, model));
  PetscCall(CordsTensorsRead(file, "parameters", (*model)->tensor_count, (*model)->tensors));
  PetscCall(CordsH5Close(&file));
  PetscFunctionReturn(PETSC_SUCCESS);
}
