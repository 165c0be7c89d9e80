#include "model/import.h"

#include "core/config.h"
#include "core/log.h"
#include "io/torch_reader.h"
#include "model/recognise.h"

#include <fnmatch.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

const char cords_import_architecture[] = "cords_architecture";

/* Where a tensor of the network comes from. */
typedef enum {
  FROM_FILE,
  FROM_PLAIN, /* the v of a kernel without weight normalisation, or the g that follows from it */
  FROM_NOTHING
} Source;

typedef struct {
  CordsContext context;
  const char *path;
  const CordsImportSettings *settings;
  CordsTorchReader reader;
  CordsStateDict dict;
  CordsModel model;
  Source *sources;                 /* [tensor of the model] */
  const CordsStateEntry **entries; /* [tensor of the model] */
  PetscBool *used;                 /* [entry of the file] */
  PetscBool new_stem, new_readout; /* start anew because the network has other channels or classes */
} Import;

PetscErrorCode CordsImportSettingsFromOptions(CordsImportSettings *s)
{
  PetscFunctionBegin;
  memset(s, 0, sizeof *s);
  PetscCall(CordsOptionString("-state_dict", "key of the state dict in the .pth file, if there are several",
                              sizeof s->state_dict, s->state_dict));
  PetscCall(CordsOptionString("-allow_unused", "tensors of the .pth file that may be left out; names or patterns (a.*)",
                              sizeof s->allow_unused, s->allow_unused));
  PetscCall(CordsOptionString("-allow_missing", "tensors of the network that may start anew; names or patterns",
                              sizeof s->allow_missing, s->allow_missing));
  PetscCall(CordsOptionInt("-classes", "classes of the network; others than the file's: out_fc starts anew", "", 0,
                           1000000, &s->classes));
  PetscCall(CordsOptionInt("-image_channels", "channels of its images; others than the file's: inp_conv starts anew",
                           "", 0, 4096, &s->image_channels));
  PetscCall(CordsArchitectureDeclareOptions());
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscBool IsIn(const char *list, const char *name)
{
  char copy[1024], *item, *rest = copy;

  snprintf(copy, sizeof copy, "%s", list);
  while ((item = strsep(&rest, ","))) {
    if (item[0] && fnmatch(item, name, 0) == 0) return PETSC_TRUE;
  }
  return PETSC_FALSE;
}

static PetscBool StartsWith(const char *name, const char *start)
{
  return (PetscBool)(strncmp(name, start, strlen(start)) == 0);
}

static PetscBool EndsWith(const char *name, const char *end)
{
  size_t a = strlen(name), b = strlen(end);

  return (PetscBool)(a >= b && strcmp(name + a - b, end) == 0);
}

/* ---- names and shapes ---- */

static PetscErrorCode ReadNames(Import *m)
{
  const CordsTorchTensor *tensors;
  PetscInt count;

  PetscFunctionBegin;
  PetscCall(CordsTorchTensors(m->reader, &count, &tensors));
  m->dict.count = count;
  PetscCall(PetscCalloc1(count, &m->dict.entries));
  PetscCall(PetscCalloc1(count, &m->used));
  for (PetscInt k = 0; k < count; k++) {
    CordsStateEntry *e = &m->dict.entries[k];
    e->key = tensors[k].name;
    e->number = k;
    e->dimensions = tensors[k].dimensions;
    memcpy(e->sizes, tensors[k].sizes, sizeof e->sizes);
  }
  PetscCall(CordsStateDictRename(m->path, &m->dict));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* An architecture that wants far more numbers than the file has is refused before anything is allocated for it. */
static PetscErrorCode CheckSize(const Import *m, const CordsArchitecture *a)
{
  const CordsTorchTensor *tensors;
  PetscInt count;
  double wanted = 0, there = 0, largest = 0;

  PetscFunctionBegin;
  PetscCall(CordsTorchTensors(m->reader, &count, &tensors));
  for (PetscInt k = 0; k < count; k++) there += (double)tensors[k].count;
  for (PetscInt k = 0; k < a->connection_count; k++) {
    const CordsConvShape *s = &a->connections[k].shape;
    double numbers = (double)s->out_channels * s->in_channels * s->kernel_rows * s->kernel_columns;
    wanted += numbers;
    largest = PetscMax(largest, numbers);
  }
  for (PetscInt i = 0; i < a->area_count; i++)
    wanted += (double)a->areas[i].channels * a->areas[i].rows * a->areas[i].columns;
  /* a batch-normalised network has no tensors of the areas' sizes */
  CordsCheckUser(largest < 2 * there + 1e6 && wanted < INT32_MAX / 4.0, PETSC_COMM_WORLD,
                 "'%s': has %.0f numbers, but a network of this architecture has %.0f", m->path, there, wanted);
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* What the file itself says, if cords wrote it, else what its shapes tell. */
static PetscErrorCode MakeModel(Import *m)
{
  const CordsImportSettings *s = m->settings;
  CordsArchitecture a;
  CordsForm form;
  char *text;

  PetscFunctionBegin;
  PetscCall(CordsTorchExtra(m->reader, cords_import_architecture, &text));
  if (text) {
    PetscCall(CordsArchitectureFromText(m->path, text, &a));
    if (s->classes > 0) a.classes = s->classes;
    if (s->image_channels > 0) a.image_channels = s->image_channels;
    PetscCall(CordsArchitectureChangeByOptions(&a));
    form = CordsRecogniseForm(&m->dict);
    PetscCall(PetscFree(text));
  } else {
    PetscCall(CordsRecognise(m->path, &m->dict, s->image_channels, s->classes, &a, &form));
  }
  PetscCall(CheckSize(m, &a));
  PetscCall(CordsModelCreate(&a, form, &m->model));
  PetscCall(CordsModelInitialise(m->model, m->context->seed));
  PetscCall(PetscCalloc1(m->model->tensor_count, &m->sources));
  PetscCall(PetscCalloc1(m->model->tensor_count, &m->entries));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* ---- matching ---- */

/* Layers that start anew because the user wants other image channels or classes than the file has. */
static void FindNewLayers(Import *m)
{
  const CordsArchitecture *a = &m->model->architecture;
  const CordsStateEntry *stem = CordsStateDictKernel(&m->dict, "inp_conv");
  const CordsStateEntry *readout = CordsStateDictKernel(&m->dict, "out_fc");

  m->new_stem = (PetscBool)(m->settings->image_channels > 0 && stem && stem->dimensions == 4 &&
                            stem->sizes[1] != a->image_channels);
  m->new_readout = (PetscBool)(m->settings->classes > 0 && readout && readout->sizes[0] != a->classes);
}

static PetscBool StartsAnew(const Import *m, const char *name)
{
  return (PetscBool)((m->new_stem && StartsWith(name, "inp_conv.")) || (m->new_readout && StartsWith(name, "out_fc.")));
}

static PetscBool MayMiss(const Import *m, const char *name)
{
  if (StartsAnew(m, name) || IsIn(m->settings->allow_missing, name)) return PETSC_TRUE;
  return (PetscBool)(m->dict.resnet && StartsWith(name, "inp_skip.")); /* a ResNet has nothing like it */
}

static PetscBool MayBeUnused(const Import *m, const CordsStateEntry *e)
{
  if (StartsAnew(m, e->name) || EndsWith(e->name, ".num_batches_tracked")) return PETSC_TRUE;
  return (PetscBool)(IsIn(m->settings->allow_unused, e->name) || IsIn(m->settings->allow_unused, e->key));
}

static void ShapeText(PetscInt dimensions, const PetscInt64 sizes[], size_t length, char *text)
{
  size_t at = (size_t)snprintf(text, length, "[");

  for (PetscInt k = 0; k < dimensions && at < length; k++)
    at += (size_t)snprintf(text + at, length - at, "%s%" PetscInt64_FMT, k ? "," : "", sizes[k]);
  if (at < length) snprintf(text + at, length - at, "]");
}

static void TensorShapeText(const CordsTensor *t, size_t length, char *text)
{
  PetscInt64 sizes[4];

  for (PetscInt k = 0; k < t->dimensions; k++) sizes[k] = t->sizes[k];
  ShapeText(t->dimensions, sizes, length, text);
}

static PetscErrorCode CheckShape(const Import *m, const CordsTensor *t, const CordsStateEntry *e)
{
  char here[96], there[128];
  PetscBool same = (PetscBool)(t->dimensions == e->dimensions);

  PetscFunctionBegin;
  for (PetscInt k = 0; k < t->dimensions && same; k++) same = (PetscBool)(t->sizes[k] == e->sizes[k]);
  TensorShapeText(t, sizeof here, here);
  ShapeText(e->dimensions, e->sizes, sizeof there, there);
  CordsCheckUser(same, PETSC_COMM_WORLD,
                 "'%s': tensor '%s' has shape %s where the network has %s; what shapes do not tell (images, stem, "
                 "pooling) is given by -architecture_image_rows, -architecture_stem_stride, ...",
                 m->path, e->key, there, here);
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* The kernel without weight normalisation that both g and v of a connection come from; NULL if there is none. */
static const CordsStateEntry *FindPlain(const Import *m, const char *name, PetscBool *is_v)
{
  const char *part = strstr(name, ".parametrizations.weight.original");
  char plain[CORDS_STATE_NAME_MAX];

  if (!part) return NULL;
  *is_v = EndsWith(name, "original1");
  snprintf(plain, sizeof plain, "%.*s.weight", (int)(part - name), name);
  return CordsStateDictFind(&m->dict, plain);
}

static PetscErrorCode MatchTensor(Import *m, PetscInt k)
{
  const CordsTensor *t = &m->model->tensors[k];
  const CordsStateEntry *e = CordsStateDictFind(&m->dict, t->name);
  PetscBool is_v = PETSC_TRUE;

  PetscFunctionBegin;
  m->sources[k] = FROM_NOTHING;
  if (StartsAnew(m, t->name)) PetscFunctionReturn(PETSC_SUCCESS);
  if (e) {
    m->sources[k] = FROM_FILE;
  } else {
    e = FindPlain(m, t->name, &is_v);
    if (e) m->sources[k] = FROM_PLAIN;
  }
  if (!e) PetscFunctionReturn(PETSC_SUCCESS);
  if (is_v) PetscCall(CheckShape(m, t, e));
  m->entries[k] = e;
  m->used[e - m->dict.entries] = PETSC_TRUE;
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* Add a name to a list in a sentence, as long as there is room. */
static void Append(char list[1024], PetscInt *count, const char *name)
{
  size_t length = strlen(list);

  if (length + strlen(name) + 8 < 1024)
    snprintf(list + length, 1024 - length, "%s%s", *count ? ", " : "", name);
  else if (!EndsWith(list, " ..."))
    snprintf(list + length, 1024 - length, " ...");
  (*count)++;
}

static PetscErrorCode CheckMatches(const Import *m)
{
  char missing[1024] = "", unused[1024] = "";
  PetscInt missing_count = 0, unused_count = 0;

  PetscFunctionBegin;
  for (PetscInt k = 0; k < m->model->tensor_count; k++) {
    const char *name = m->model->tensors[k].name;
    if (m->sources[k] == FROM_NOTHING && !MayMiss(m, name)) Append(missing, &missing_count, name);
  }
  for (PetscInt k = 0; k < m->dict.count; k++) {
    const CordsStateEntry *e = &m->dict.entries[k];
    if (!m->used[k] && !MayBeUnused(m, e)) Append(unused, &unused_count, e->key);
  }
  CordsCheckUser(missing_count == 0, PETSC_COMM_WORLD,
                 "'%s': %" PetscInt_FMT " tensors of the network are missing (allow by -allow_missing): %s%s%s",
                 m->path, missing_count, missing, unused_count ? "; not used: " : "", unused);
  CordsCheckUser(unused_count == 0, PETSC_COMM_WORLD,
                 "'%s': %" PetscInt_FMT " tensors belong to nothing in the network (allow by -allow_unused): %s",
                 m->path, unused_count, unused);
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* ---- numbers ---- */

static double RowNorm(PetscInt count, const float *row)
{
  double sum = 0;

  for (PetscInt j = 0; j < count; j++) sum += (double)row[j] * (double)row[j];
  return sqrt(sum);
}

/* g = |v| of each output; v is the tensor after g.  A kernel of zeros has no direction: any will do, with g = 0. */
static void PlainScales(CordsTensor *g)
{
  CordsTensor *v = g + 1;
  PetscInt rows = CordsTensorSize(g), row = CordsTensorSize(v) / PetscMax(rows, 1);

  for (PetscInt o = 0; o < rows; o++) {
    g->data[o] = (float)RowNorm(row, v->data + o * row);
    if (g->data[o] == 0) v->data[o * row] = 1;
  }
}

/* relu would turn a number that is none into 0, so that the self-check could not see it. */
static PetscErrorCode CheckNumbers(const Import *m)
{
  PetscFunctionBegin;
  for (PetscInt k = 0; k < m->model->tensor_count; k++) {
    const CordsTensor *t = &m->model->tensors[k];
    PetscInt rows = EndsWith(t->name, "original1") ? t->sizes[0] : 0;
    for (PetscInt o = 0; o < rows; o++) {
      CordsCheckUser(RowNorm(CordsTensorSize(t) / rows, t->data + o * (CordsTensorSize(t) / rows)) > 0,
                     PETSC_COMM_WORLD, "'%s': output %" PetscInt_FMT " of tensor '%s' is zero, and g v/|v| no number",
                     m->path, o, t->name);
    }
    for (PetscInt j = 0; EndsWith(t->name, ".running_var") && j < CordsTensorSize(t); j++) {
      CordsCheckUser(t->data[j] >= 0, PETSC_COMM_WORLD, "'%s': tensor '%s' has a negative variance", m->path, t->name);
    }
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode ReadNumbers(Import *m)
{
  PetscFunctionBegin;
  for (PetscInt k = 0; k < m->model->tensor_count; k++) {
    CordsTensor *t = &m->model->tensors[k];
    PetscBool scale = (PetscBool)(m->sources[k] == FROM_PLAIN && EndsWith(t->name, "original0"));
    if (m->sources[k] != FROM_NOTHING && !scale) PetscCall(CordsTorchRead(m->reader, m->entries[k]->number, t->data));
  }
  for (PetscInt k = 0; k < m->model->tensor_count; k++) {
    if (m->sources[k] == FROM_PLAIN && EndsWith(m->model->tensors[k].name, "original0"))
      PlainScales(&m->model->tensors[k]);
  }
  PetscCall(CheckNumbers(m));
  PetscCall(CordsTorchConfirm(m->reader));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* ---- report ---- */

static PetscErrorCode ReportPlace(const Import *m)
{
  const char *key, *const *others;
  PetscInt count;

  PetscFunctionBegin;
  PetscCall(CordsTorchPlace(m->reader, &key, &count, &others));
  if (key[0]) PetscCall(CordsLog(m->context, "state dict: '%s' of %s\n", key, m->path));
  for (PetscInt k = 0; k < count; k++) PetscCall(CordsLog(m->context, "not read: %s\n", others[k]));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode ReportTensor(const Import *m, PetscInt k)
{
  const CordsTensor *t = &m->model->tensors[k];
  const CordsTorchTensor *tensors;
  const CordsStateEntry *e = m->entries[k];
  PetscInt count;
  char shape[96], from[CORDS_STATE_NAME_MAX] = "";

  PetscFunctionBegin;
  PetscCall(CordsTorchTensors(m->reader, &count, &tensors));
  TensorShapeText(t, sizeof shape, shape);
  if (e && strcmp(e->key, t->name) != 0) snprintf(from, sizeof from, " from %s", e->key);
  if (e)
    PetscCall(CordsLog(m->context, "matched: %s %s %s%s\n", t->name, shape, tensors[e->number].type, from));
  else
    PetscCall(CordsLog(m->context, "missing: %s %s, starts anew\n", t->name, shape));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode Report(const Import *m)
{
  const CordsArchitecture *a = &m->model->architecture;
  PetscInt matched = 0, unused = 0;

  PetscFunctionBegin;
  PetscCall(ReportPlace(m));
  for (PetscInt k = 0; k < m->model->tensor_count; k++) {
    PetscCall(ReportTensor(m, k));
    if (m->entries[k]) matched++;
  }
  for (PetscInt k = 0; k < m->dict.count; k++) {
    if (m->used[k]) continue;
    PetscCall(CordsLog(m->context, "unused: %s\n", m->dict.entries[k].key));
    unused++;
  }
  PetscCall(CordsLog(m->context,
                     "tensors: %" PetscInt_FMT " matched, %" PetscInt_FMT " missing, %" PetscInt_FMT
                     " unused; %" PetscInt_FMT " parameters\n",
                     matched, m->model->tensor_count - matched, unused, m->model->learnable_values));
  PetscCall(CordsLog(m->context,
                     "network: %s, %s form, %" PetscInt_FMT " areas, images %" PetscInt_FMT " x %" PetscInt_FMT
                     " x %" PetscInt_FMT ", %" PetscInt_FMT " classes\n",
                     a->preset, CordsFormNames[m->model->form], a->area_count, a->image_rows, a->image_columns,
                     a->image_channels, a->classes));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsImport(CordsContext context, const char *path, const CordsImportSettings *settings,
                           CordsModel *model)
{
  Import m = {.context = context, .path = path, .settings = settings};

  PetscFunctionBegin;
  PetscCall(CordsTorchOpen(path, settings->state_dict, &m.reader));
  PetscCall(ReadNames(&m));
  PetscCall(MakeModel(&m));
  FindNewLayers(&m);
  for (PetscInt k = 0; k < m.model->tensor_count; k++) PetscCall(MatchTensor(&m, k));
  PetscCall(CheckMatches(&m));
  PetscCall(ReadNumbers(&m));
  PetscCall(Report(&m));
  *model = m.model;
  PetscCall(CordsTorchClose(&m.reader));
  PetscCall(PetscFree(m.dict.entries));
  PetscCall(PetscFree(m.used));
  PetscCall(PetscFree(m.sources));
  PetscCall(PetscFree(m.entries));
  PetscFunctionReturn(PETSC_SUCCESS);
}
