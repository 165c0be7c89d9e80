#include "io/torch_writer.h"

#include "io/zip_writer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A pickle of protocol 2 in the making; io/pickle.c has the operations by name. */
typedef struct {
  size_t length, capacity;
  char *bytes;
} Pickle;

static PetscErrorCode Put(Pickle *p, size_t count, const void *bytes)
{
  PetscFunctionBegin;
  if (p->length + count > p->capacity) {
    p->capacity = 2 * (p->length + count);
    PetscCall(PetscRealloc(p->capacity, &p->bytes));
  }
  memcpy(p->bytes + p->length, bytes, count);
  p->length += count;
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode PutWords(Pickle *p, const char *words)
{
  PetscFunctionBegin;
  PetscCall(Put(p, strlen(words), words));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* An operation with a little-endian number of 4 bytes after it. */
static PetscErrorCode PutNumber(Pickle *p, char operation, PetscInt64 number)
{
  unsigned char bytes[5] = {(unsigned char)operation};

  PetscFunctionBegin;
  PetscCheck(number >= 0 && number <= INT32_MAX, PETSC_COMM_SELF, PETSC_ERR_ARG_OUTOFRANGE, "too large a tensor");
  for (int k = 0; k < 4; k++) bytes[1 + k] = (unsigned char)(number >> (8 * k));
  PetscCall(Put(p, sizeof bytes, bytes));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode PutText(Pickle *p, const char *text)
{
  PetscFunctionBegin;
  PetscCall(PutNumber(p, 'X', (PetscInt64)strlen(text)));
  PetscCall(PutWords(p, text));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* name: _rebuild_tensor_v2(storage, 0, sizes, strides, False, OrderedDict()) */
static PetscErrorCode PutTensor(Pickle *p, PetscInt number, const CordsTensor *tensor)
{
  PetscInt64 stride[4] = {1, 1, 1, 1};
  char key[16];

  PetscFunctionBegin;
  for (PetscInt k = tensor->dimensions - 2; k >= 0; k--) stride[k] = stride[k + 1] * tensor->sizes[k + 1];
  snprintf(key, sizeof key, "%" PetscInt_FMT, number);
  PetscCall(PutText(p, tensor->name));
  PetscCall(PutWords(p, "ctorch._utils\n_rebuild_tensor_v2\n(("));
  PetscCall(PutText(p, "storage"));
  PetscCall(PutWords(p, "ctorch\nFloatStorage\n"));
  PetscCall(PutText(p, key));
  PetscCall(PutText(p, "cpu"));
  PetscCall(PutNumber(p, 'J', CordsTensorSize(tensor)));
  PetscCall(PutWords(p, "tQ"));
  PetscCall(PutNumber(p, 'J', 0));
  PetscCall(PutWords(p, "("));
  for (PetscInt k = 0; k < tensor->dimensions; k++) PetscCall(PutNumber(p, 'J', tensor->sizes[k]));
  PetscCall(PutWords(p, "t("));
  for (PetscInt k = 0; k < tensor->dimensions; k++) PetscCall(PutNumber(p, 'J', stride[k]));
  PetscCall(PutWords(p, "t\x89"
                        "ccollections\nOrderedDict\n)RtR"));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode MakePickle(PetscInt count, const CordsTensor tensors[], Pickle *p)
{
  PetscFunctionBegin;
  PetscCall(PutWords(p, "\x80\x02"
                        "ccollections\nOrderedDict\n)R("));
  for (PetscInt k = 0; k < count; k++) PetscCall(PutTensor(p, k, &tensors[k]));
  PetscCall(PutWords(p, "u."));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* The folder of all entries: the file's name without its ending, as torch.save has it. */
static void Prefix(const char *path, size_t length, char *prefix)
{
  const char *name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path, *dot = strrchr(name, '.');
  size_t count = dot && dot > name ? (size_t)(dot - name) : strlen(name);

  if (name[0] == '.') count = 0;
  for (size_t k = 0; k < count; k++) {
    if (name[k] < 0x21 || name[k] > 0x7e || name[k] == '\\' || name[k] == ':') count = 0;
  }
  snprintf(prefix, length, "%.*s", count > 0 ? (int)count : 7, count > 0 ? name : "archive");
}

static PetscErrorCode AddEntry(CordsZipWriter zip, const char *prefix, const char *folder, const char *name,
                               size_t bytes, const void *data)
{
  char full[512];

  PetscFunctionBegin;
  snprintf(full, sizeof full, "%s/%s%s", prefix, folder, name);
  PetscCall(CordsZipAdd(zip, full, bytes, data));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsTorchWrite(const char *path, PetscInt count, const CordsTensor tensors[], const char *const extra[])
{
  Pickle pickle = {0};
  CordsZipWriter zip;
  char prefix[256], key[16];

  PetscFunctionBegin;
  Prefix(path, sizeof prefix, prefix);
  PetscCall(MakePickle(count, tensors, &pickle));
  PetscCall(CordsZipCreate(path, &zip));
  PetscCall(AddEntry(zip, prefix, "", "data.pkl", pickle.length, pickle.bytes));
  PetscCall(AddEntry(zip, prefix, "", "byteorder", 6, "little"));
  for (PetscInt k = 0; k < count; k++) {
    snprintf(key, sizeof key, "%" PetscInt_FMT, k);
    PetscCall(
        AddEntry(zip, prefix, "data/", key, sizeof(float) * (size_t)CordsTensorSize(&tensors[k]), tensors[k].data));
  }
  for (PetscInt k = 0; extra && extra[k]; k += 2)
    PetscCall(AddEntry(zip, prefix, "extra/", extra[k], strlen(extra[k + 1]), extra[k + 1]));
  PetscCall(AddEntry(zip, prefix, "", "version", 2, "3\n"));
  PetscCall(CordsZipCommit(&zip));
  PetscCall(PetscFree(pickle.bytes));
  PetscFunctionReturn(PETSC_SUCCESS);
}
