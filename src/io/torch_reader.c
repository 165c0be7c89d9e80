#include "io/torch_reader.h"

#include "io/pickle.h"
#include "io/torch_private.h"
#include "io/torch_types.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
  EXTRA_MAX = 65536,      /* bytes of an entry that a program has added */
  REPEATED_MAX = 1 << 20, /* most elements of a tensor that shows elements of its storage more than once */
  TENSORS_MAX = 100000,
  NAMES_MAX = 32,
  DESCRIPTION_MAX = 400
};

/* Where the numbers of a tensor are. */
typedef struct {
  const CordsTorchType *type;
  PetscInt entry; /* of the archive */
  PetscInt64 offset, strides[CORDS_TORCH_DIMENSIONS_MAX];
} View;

struct _p_CordsTorchReader {
  CordsTorchArchive archive;
  unsigned char *pickle_bytes;
  CordsPickle pickle;
  char key[CORDS_TORCH_NAME_MAX];
  PetscInt other_count;
  char **others;
  PetscInt count;
  CordsTorchTensor *tensors;
  View *views;
  PetscInt cached; /* the entry in `storage`, −1: none */
  unsigned char *storage;
};

/* What may be named beside the storages.  The second group stands in the state of optimisers and schedules, which is
   not looked at. */
static const char *const functions[] = {"collections OrderedDict",
                                        "torch._utils _rebuild_tensor_v2",
                                        "torch._utils _rebuild_tensor",
                                        "torch._utils _rebuild_parameter",

                                        "torch Size",
                                        "torch device",
                                        "numpy.core.multiarray scalar",
                                        "numpy._core.multiarray scalar",
                                        "numpy dtype",
                                        "_codecs encode"};

static const char *const usual_keys[] = {"state_dict", "model_state_dict", "model_state", "model",  "net",
                                         "network",    "module",           "params",      "weights"};

#define CheckTorch(r, ...) CordsTorchCheck(&(r)->archive, __VA_ARGS__)

static const CordsPickleValue *Value(CordsTorchReader r, PetscInt value)
{
  return &r->pickle.values[value];
}

/* Item k of a container. */
static const CordsPickleValue *Item(CordsTorchReader r, const CordsPickleValue *container, PetscInt k)
{
  return Value(r, container->is.items[k]);
}

/* ---- the pickle ---- */

static PetscErrorCode ReadPickle(CordsTorchReader r)
{
  const char *allowed[NAMES_MAX];
  PetscInt entry = CordsTorchArchiveFind(&r->archive, "data.pkl"), count = 0;
  PetscInt64 bytes = CordsTorchArchiveBytes(&r->archive, entry);

  PetscFunctionBegin;
  PetscCheck(PETSC_STATIC_ARRAY_LENGTH(functions) + (size_t)cords_torch_type_count <= NAMES_MAX, PETSC_COMM_SELF,
             PETSC_ERR_PLIB, "too many names");
  for (size_t k = 0; k < PETSC_STATIC_ARRAY_LENGTH(functions); k++) allowed[count++] = functions[k];
  for (PetscInt k = 0; k < cords_torch_type_count; k++) allowed[count++] = cords_torch_types[k].storage;
  CheckTorch(r, bytes <= CORDS_PICKLE_BYTES_MAX,
             "its pickle has %" PetscInt64_FMT " bytes; files of tensors need less than %d", bytes,
             CORDS_PICKLE_BYTES_MAX);
  PetscCall(PetscMalloc1((size_t)bytes + 1, &r->pickle_bytes));
  PetscCall(CordsZipRead(r->archive.zip, entry, r->pickle_bytes));
  PetscCall(CordsPickleRead(r->archive.path, (size_t)bytes, r->pickle_bytes, count, allowed, &r->pickle));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* ---- which dictionary ---- */

static PetscBool Calls(CordsTorchReader r, PetscInt value, const char *function)
{
  const CordsPickleValue *v = Value(r, value);

  return (PetscBool)(v->kind == CORDS_PICKLE_CALL &&
                     CordsPickleIs(&r->pickle, v->is.items[0], CORDS_PICKLE_NAME, function));
}

static PetscBool IsTensor(CordsTorchReader r, PetscInt value)
{
  return (PetscBool)(Calls(r, value, "torch._utils _rebuild_tensor_v2") ||
                     Calls(r, value, "torch._utils _rebuild_tensor") ||
                     Calls(r, value, "torch._utils _rebuild_parameter"));
}

/* Tensors directly in a dictionary; 0 for anything else. */
static PetscInt TensorsIn(CordsTorchReader r, PetscInt value)
{
  const CordsPickleValue *v = Value(r, value);
  PetscInt count = 0;

  if (v->kind != CORDS_PICKLE_DICT) return 0;
  for (int32_t k = 1; k < v->count; k += 2) count += IsTensor(r, v->is.items[k]);
  return count;
}

/* What a value is, in a few words. */
static void Describe(CordsTorchReader r, PetscInt value, size_t length, char *text)
{
  const CordsPickleValue *v = Value(r, value);
  char some[64];

  switch (v->kind) {
  case CORDS_PICKLE_DICT:
    if (TensorsIn(r, value) > 0)
      snprintf(text, length, "dictionary of %" PetscInt_FMT " tensors", TensorsIn(r, value));
    else
      snprintf(text, length, "dictionary of %d", (int)v->count / 2);
    break;
  case CORDS_PICKLE_LIST:
  case CORDS_PICKLE_TUPLE:
    snprintf(text, length, "list of %d", (int)v->count);
    break;
  case CORDS_PICKLE_INT:
    snprintf(text, length, "%lld", (long long)v->is.integer);
    break;
  case CORDS_PICKLE_BOOL:
    snprintf(text, length, v->is.integer ? "true" : "false");
    break;
  case CORDS_PICKLE_REAL:
    snprintf(text, length, "%g", v->is.real);
    break;
  case CORDS_PICKLE_TEXT:
    CordsPicklePrintable((size_t)v->count, v->is.text, sizeof some, some);
    snprintf(text, length, "'%s'", some);
    break;
  default:
    snprintf(text, length, IsTensor(r, value) ? "tensor" : "value");
  }
}

static void DescribePair(CordsTorchReader r, PetscInt key, PetscInt value, char text[DESCRIPTION_MAX])
{
  const CordsPickleValue *k = Value(r, key);
  char name[CORDS_TORCH_NAME_MAX], what[96];

  if (k->kind == CORDS_PICKLE_TEXT)
    CordsPicklePrintable((size_t)k->count, k->is.text, sizeof name, name);
  else
    Describe(r, key, sizeof name, name);
  Describe(r, value, sizeof what, what);
  snprintf(text, DESCRIPTION_MAX, "%s: %s", name, what);
}

/* The only dictionary of tensors in the outermost one, as index of its key among the items. */
static PetscErrorCode FindOnly(CordsTorchReader r, const CordsPickleValue *root, PetscInt *place)
{
  PetscInt found = 0;
  char text[DESCRIPTION_MAX], all[768] = "";

  PetscFunctionBegin;
  for (int32_t k = 0; k < root->count; k += 2) {
    if (TensorsIn(r, root->is.items[k + 1]) == 0) continue;
    *place = k;
    DescribePair(r, root->is.items[k], root->is.items[k + 1], text);
    snprintf(all + strlen(all), sizeof all - strlen(all), "%s%s", found++ ? "; " : "", text);
  }
  CheckTorch(r, found > 0, "has no dictionary of tensors; save model.state_dict()");
  CheckTorch(r, found == 1, "has several dictionaries of tensors (%s); choose one by -state_dict KEY", all);
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* *place: index of the key of the state dict among the items of the outermost dictionary; −1: the outermost itself. */
static PetscErrorCode ChooseDict(CordsTorchReader r, const char *key, PetscInt *place)
{
  const CordsPickleValue *root = Value(r, r->pickle.root);
  PetscInt count = key[0] ? 1 : (PetscInt)PETSC_STATIC_ARRAY_LENGTH(usual_keys);
  const char *const *keys = key[0] ? &key : usual_keys;

  PetscFunctionBegin;
  CheckTorch(r, root->kind == CORDS_PICKLE_DICT, "holds no dictionary but a %s; save model.state_dict()",
             IsTensor(r, r->pickle.root) ? "single tensor" : "list or number");
  *place = -1;
  for (PetscInt j = 0; j < count; j++) {
    for (int32_t k = 0; k < root->count; k += 2) {
      if (!CordsPickleIs(&r->pickle, root->is.items[k], CORDS_PICKLE_TEXT, keys[j])) continue;
      if (TensorsIn(r, root->is.items[k + 1]) == 0) continue;
      *place = k;
      PetscFunctionReturn(PETSC_SUCCESS);
    }
  }
  CheckTorch(r, !key[0], "has no dictionary of tensors under '%s' (-state_dict)", key);
  if (TensorsIn(r, r->pickle.root) == 0) PetscCall(FindOnly(r, root, place));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* ---- tensors ---- */

/* Numbers of a tuple: sizes or strides. */
static PetscErrorCode Numbers(CordsTorchReader r, const char *name, const CordsPickleValue *tuple, PetscInt *count,
                              PetscInt64 numbers[CORDS_TORCH_DIMENSIONS_MAX])
{
  PetscFunctionBegin;
  CheckTorch(r, tuple->kind == CORDS_PICKLE_TUPLE && tuple->count <= CORDS_TORCH_DIMENSIONS_MAX,
             "tensor '%s' has no sizes, or more than %d dimensions", name, CORDS_TORCH_DIMENSIONS_MAX);
  *count = tuple->count;
  for (PetscInt k = 0; k < tuple->count; k++) {
    const CordsPickleValue *item = Item(r, tuple, k);
    CheckTorch(r, item->kind == CORDS_PICKLE_INT && item->is.integer >= 0 && item->is.integer <= INT64_MAX / 16,
               "tensor '%s' has a size or stride that is negative or no number", name);
    numbers[k] = item->is.integer;
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* ('storage', type, key, location, elements) */
static PetscErrorCode ReadStorage(CordsTorchReader r, const char *name, const CordsPickleValue *storage, View *view,
                                  PetscInt64 *elements)
{
  const CordsPickleValue *id = storage->kind == CORDS_PICKLE_PERSISTENT ? Item(r, storage, 0) : storage, *key, *number;
  char text[CORDS_TORCH_NAME_MAX], entry_name[CORDS_TORCH_NAME_MAX + 8];
  PetscInt64 bytes;

  PetscFunctionBegin;
  CheckTorch(r,
             storage->kind == CORDS_PICKLE_PERSISTENT && id->kind == CORDS_PICKLE_TUPLE && id->count >= 5 &&
                 CordsPickleIs(&r->pickle, id->is.items[0], CORDS_PICKLE_TEXT, "storage"),
             "tensor '%s' has no storage", name);
  view->type = NULL;
  for (PetscInt k = 0; k < cords_torch_type_count; k++) {
    if (CordsPickleIs(&r->pickle, id->is.items[1], CORDS_PICKLE_NAME, cords_torch_types[k].storage))
      view->type = &cords_torch_types[k];
  }
  key = Item(r, id, 2);
  number = Item(r, id, 4);
  CheckTorch(r, view->type && key->kind == CORDS_PICKLE_TEXT && number->kind == CORDS_PICKLE_INT,
             "the storage of tensor '%s' has no type, key or size", name);
  CheckTorch(r, key->count < CORDS_TORCH_NAME_MAX, "the storage of tensor '%s' has too long a key", name);
  CordsPicklePrintable((size_t)key->count, key->is.text, sizeof text, text);
  snprintf(entry_name, sizeof entry_name, "data/%s", text);
  view->entry = CordsTorchArchiveFind(&r->archive, entry_name);
  CheckTorch(r, view->entry >= 0, "the archive has no entry '%s', the storage of tensor '%s'", entry_name, name);
  bytes = CordsTorchArchiveBytes(&r->archive, view->entry);
  *elements = number->is.integer;
  CheckTorch(r, *elements >= 0 && *elements <= bytes && *elements * (PetscInt64)view->type->bytes == bytes,
             "the storage of tensor '%s' should have %" PetscInt64_FMT
             " numbers of type %s, its entry has %" PetscInt64_FMT " bytes",
             name, *elements, view->type->name, bytes);
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* The last element lies in the storage, and elements that are shown repeatedly are not made into a flood of numbers. */
static PetscErrorCode CheckView(CordsTorchReader r, CordsTorchTensor *t, const View *view, PetscInt64 elements)
{
  PetscInt64 last = view->offset;
  PetscBool inside = (PetscBool)(view->offset >= 0), few = PETSC_TRUE;

  PetscFunctionBegin;
  t->count = 1;
  for (PetscInt k = 0; k < t->dimensions; k++) {
    if (t->sizes[k] == 0) t->count = 0;
  }
  CheckTorch(r, view->offset <= elements && inside, "tensor '%s' begins outside its storage", t->name);
  for (PetscInt k = 0; k < t->dimensions && t->count > 0 && inside && few; k++) {
    PetscInt64 most = PetscMax(elements, (PetscInt64)REPEATED_MAX);
    few = (PetscBool)(t->sizes[k] <= most / t->count);
    if (!few) break;
    t->count *= t->sizes[k];
    inside = (PetscBool)(t->sizes[k] == 1 || view->strides[k] <= (elements - last) / (t->sizes[k] - 1));
    if (inside && t->sizes[k] > 1) last += (t->sizes[k] - 1) * view->strides[k];
  }
  CheckTorch(r, few, "tensor '%s' has more elements than its storage", t->name);
  CheckTorch(r, inside && (t->count == 0 || last < elements), "tensor '%s' reaches beyond the end of its storage",
             t->name);
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* Sizes and place of the tensor that a value is. */
static PetscErrorCode ReadTensor(CordsTorchReader r, PetscInt value, CordsTorchTensor *t, View *view)
{
  const CordsPickleValue *arguments;
  PetscInt strides;
  PetscInt64 elements = 0;

  PetscFunctionBegin;
  if (Calls(r, value, "torch._utils _rebuild_parameter")) { /* (tensor, requires_grad, hooks) */
    arguments = Item(r, Value(r, value), 1);
    CheckTorch(r, arguments->count > 0, "parameter '%s' has no tensor", t->name);
    value = arguments->is.items[0];
  }
  CheckTorch(r, IsTensor(r, value) && !Calls(r, value, "torch._utils _rebuild_parameter"),
             "parameter '%s' has no tensor", t->name);
  arguments = Item(r, Value(r, value), 1); /* (storage, offset, sizes, strides, ...) */
  CheckTorch(r, arguments->count >= 4 && Item(r, arguments, 1)->kind == CORDS_PICKLE_INT,
             "tensor '%s' lacks storage, offset, sizes or strides", t->name);
  PetscCall(ReadStorage(r, t->name, Item(r, arguments, 0), view, &elements));
  t->type = view->type->name;
  view->offset = Item(r, arguments, 1)->is.integer;
  PetscCall(Numbers(r, t->name, Item(r, arguments, 2), &t->dimensions, t->sizes));
  PetscCall(Numbers(r, t->name, Item(r, arguments, 3), &strides, view->strides));
  CheckTorch(r, strides == t->dimensions, "tensor '%s' has %" PetscInt_FMT " sizes and %" PetscInt_FMT " strides",
             t->name, t->dimensions, strides);
  PetscCall(CheckView(r, t, view, elements));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static int ByName(const void *a, const void *b)
{
  return strcmp(*(char *const *)a, *(char *const *)b);
}

static PetscErrorCode CheckNamesDiffer(CordsTorchReader r)
{
  char **names;

  PetscFunctionBegin;
  PetscCall(PetscMalloc1((size_t)r->count, &names));
  for (PetscInt k = 0; k < r->count; k++) names[k] = r->tensors[k].name;
  qsort(names, (size_t)r->count, sizeof *names, ByName);
  for (PetscInt k = 1; k < r->count; k++) {
    CheckTorch(r, strcmp(names[k], names[k - 1]) != 0, "has two tensors of the name '%s'", names[k]);
  }
  PetscCall(PetscFree(names));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode AddOther(CordsTorchReader r, PetscInt key, PetscInt value)
{
  char text[DESCRIPTION_MAX];

  PetscFunctionBegin;
  DescribePair(r, key, value, text);
  PetscCall(PetscStrallocpy(text, &r->others[r->other_count++]));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* All tensors of the dictionary; what else is in it is listed with the others. */
static PetscErrorCode ReadTensors(CordsTorchReader r, const CordsPickleValue *dict)
{
  char name[CORDS_TORCH_NAME_MAX];

  PetscFunctionBegin;
  CheckTorch(r, dict->count / 2 <= TENSORS_MAX, "has more than %d tensors", TENSORS_MAX);
  PetscCall(PetscCalloc1((size_t)dict->count / 2 + 1, &r->tensors));
  PetscCall(PetscCalloc1((size_t)dict->count / 2, &r->views));
  for (int32_t k = 0; k < dict->count; k += 2) {
    const CordsPickleValue *key = Item(r, dict, k);
    if (!IsTensor(r, dict->is.items[k + 1])) {
      PetscCall(AddOther(r, dict->is.items[k], dict->is.items[k + 1]));
      continue;
    }
    CheckTorch(r, key->kind == CORDS_PICKLE_TEXT && key->count > 0 && key->count < CORDS_TORCH_NAME_MAX,
               "has a tensor whose name is no text of 1 to %d letters", CORDS_TORCH_NAME_MAX - 1);
    CordsPicklePrintable((size_t)key->count, key->is.text, sizeof name, name);
    CheckTorch(r, memcmp(name, key->is.text, (size_t)key->count) == 0 && !strchr(name, '/'),
               "the name of tensor '%s' has letters that names in PyTorch do not have", name);
    PetscCall(PetscStrallocpy(name, &r->tensors[r->count].name));
    PetscCall(ReadTensor(r, dict->is.items[k + 1], &r->tensors[r->count], &r->views[r->count]));
    r->count++;
  }
  PetscCall(CheckNamesDiffer(r));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode FindTensors(CordsTorchReader r, const char *key)
{
  const CordsPickleValue *root, *dict;
  PetscInt place;

  PetscFunctionBegin;
  PetscCall(ChooseDict(r, key, &place));
  root = Value(r, r->pickle.root);
  dict = place < 0 ? root : Item(r, root, place + 1);
  PetscCall(PetscCalloc1((size_t)(root->count + dict->count) / 2 + 1, &r->others));
  if (place >= 0) {
    const CordsPickleValue *text = Item(r, root, place);
    if (text->kind == CORDS_PICKLE_TEXT)
      CordsPicklePrintable((size_t)text->count, text->is.text, sizeof r->key, r->key);
    else
      Describe(r, root->is.items[place], sizeof r->key, r->key);
    for (int32_t k = 0; k < root->count; k += 2) {
      if (k != place) PetscCall(AddOther(r, root->is.items[k], root->is.items[k + 1]));
    }
  }
  PetscCall(ReadTensors(r, dict));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode Load(CordsTorchReader r, const char *path, const char *key)
{
  PetscFunctionBegin;
  PetscCall(CordsTorchArchiveOpen(path, &r->archive));
  PetscCall(ReadPickle(r));
  PetscCall(FindTensors(r, key));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsTorchClose(CordsTorchReader *reader)
{
  CordsTorchReader r = *reader;

  PetscFunctionBegin;
  if (!r) PetscFunctionReturn(PETSC_SUCCESS);
  for (PetscInt k = 0; r->tensors && r->tensors[k].name; k++) PetscCall(PetscFree(r->tensors[k].name));
  for (PetscInt k = 0; k < r->other_count; k++) PetscCall(PetscFree(r->others[k]));
  PetscCall(PetscFree(r->tensors));
  PetscCall(PetscFree(r->views));
  PetscCall(PetscFree(r->others));
  PetscCall(PetscFree(r->storage));
  PetscCall(CordsPickleFree(&r->pickle));
  PetscCall(PetscFree(r->pickle_bytes));
  PetscCall(CordsZipClose(&r->archive.zip));
  PetscCall(PetscFree(*reader));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsTorchOpen(const char *path, const char *key, CordsTorchReader *reader)
{
  CordsTorchReader r;
  PetscErrorCode ierr;

  PetscFunctionBegin;
  PetscCall(PetscNew(&r));
  r->cached = -1;
  ierr = Load(r, path, key);
  if (ierr) PetscCall(CordsTorchClose(&r));
  PetscCall(ierr);
  *reader = r;
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsTorchTensors(CordsTorchReader r, PetscInt *count, const CordsTorchTensor **tensors)
{
  PetscFunctionBegin;
  *count = r->count;
  *tensors = r->tensors;
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsTorchPlace(CordsTorchReader r, const char **key, PetscInt *other_count, const char *const **others)
{
  PetscFunctionBegin;
  *key = r->key;
  *other_count = r->other_count;
  *others = (const char *const *)r->others;
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* The last storage is kept, since tensors that share one usually follow each other. */
static PetscErrorCode LoadStorage(CordsTorchReader r, PetscInt entry)
{
  PetscFunctionBegin;
  if (r->cached == entry) PetscFunctionReturn(PETSC_SUCCESS);
  PetscCall(PetscFree(r->storage));
  r->cached = -1;
  PetscCall(PetscMalloc1((size_t)CordsTorchArchiveBytes(&r->archive, entry) + 1, &r->storage));
  PetscCall(CordsZipRead(r->archive.zip, entry, r->storage));
  r->cached = entry;
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsTorchRead(CordsTorchReader r, PetscInt tensor, float *values)
{
  const CordsTorchTensor *t = &r->tensors[tensor];
  const View *view = &r->views[tensor];
  PetscInt64 place[CORDS_TORCH_DIMENSIONS_MAX] = {0}, at = view->offset;

  PetscFunctionBegin;
  PetscCall(LoadStorage(r, view->entry));
  for (PetscInt64 k = 0; k < t->count; k++) {
    values[k] = view->type->to_float(r->storage + (size_t)at * view->type->bytes);
    CheckTorch(r, isfinite(values[k]), "tensor '%s' holds a number that is not finite (element %" PetscInt64_FMT ")",
               t->name, k);
    for (PetscInt d = t->dimensions - 1; d >= 0; d--) { /* to the next element in C order */
      at += view->strides[d];
      if (++place[d] < t->sizes[d]) break;
      at -= view->strides[d] * t->sizes[d];
      place[d] = 0;
    }
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsTorchExtra(CordsTorchReader r, const char *name, char **text)
{
  char entry[CORDS_TORCH_NAME_MAX];

  PetscFunctionBegin;
  snprintf(entry, sizeof entry, "extra/%s", name);
  PetscCall(CordsTorchArchiveText(&r->archive, entry, EXTRA_MAX, text));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsTorchConfirm(CordsTorchReader r)
{
  PetscFunctionBegin;
  PetscCall(CordsZipConfirm(r->archive.zip));
  PetscFunctionReturn(PETSC_SUCCESS);
}
