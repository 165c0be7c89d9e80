/* The tensors of a PyTorch file (.pth, .pt, .pth.tar: torch.save of torch 1.6 or later), without Python.

   The file is a ZIP archive (io/zip_reader.h) with a pickle (io/pickle.h) that says which tensors there are, and one
   entry of numbers per storage.  A tensor is a view of a storage: offset, sizes and strides, in elements; several may
   share one.  All of that is checked against the file before a number is read.  Nothing here is collective. */
#ifndef CORDS_IO_TORCH_READER_H
#define CORDS_IO_TORCH_READER_H

#include "core/error.h"

typedef struct _p_CordsTorchReader *CordsTorchReader;

enum { CORDS_TORCH_DIMENSIONS_MAX = 8, CORDS_TORCH_NAME_MAX = 256 };

typedef struct {
  char *name;       /* the key in the state dict, as it is there */
  const char *type; /* "float32", "bfloat16", "int64" ... */
  PetscInt dimensions;
  PetscInt64 sizes[CORDS_TORCH_DIMENSIONS_MAX];
  PetscInt64 count; /* elements */
} CordsTorchTensor;

/* Open a file and find its state dict: what stands under `key` in the outermost dictionary; where key is "", the whole
   file if its values are tensors, else what stands under state_dict, model_state_dict, model, ..., else the only
   dictionary of tensors.  Errors (user): missing, written by torch before 1.6 (with what to do), TorchScript, anything
   damaged or hostile, no or several state dicts, two tensors of one name. */
PetscErrorCode CordsTorchOpen(const char *path, const char *key, CordsTorchReader *reader);
PetscErrorCode CordsTorchClose(CordsTorchReader *reader);

/* The tensors in the order of the file; borrowed. */
PetscErrorCode CordsTorchTensors(CordsTorchReader reader, PetscInt *count, const CordsTorchTensor **tensors);

/* Where the state dict was ("" if it is all of the file), and what else stands beside it, one text each; borrowed. */
PetscErrorCode CordsTorchPlace(CordsTorchReader reader, const char **key, PetscInt *other_count,
                               const char *const **others);

/* The numbers of a tensor as float32, in C order whatever its strides, into values [count].  Errors (user): wrong
   checksum, a number that float32 cannot hold (infinite or not a number). */
PetscErrorCode CordsTorchRead(CordsTorchReader reader, PetscInt tensor, float *values);

/* Text of an entry PREFIX/extra/NAME that a program has added; NULL if there is none.  PetscFree by the caller.
   Errors (user): longer than 64 KiB. */
PetscErrorCode CordsTorchExtra(CordsTorchReader reader, const char *name, char **text);

/* Compute the checksum of all that was not read.  Errors (user): one is wrong. */
PetscErrorCode CordsTorchConfirm(CordsTorchReader reader);

#endif
