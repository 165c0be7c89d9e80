/* The number types of PyTorch's storages, and their conversion to float32. */
#ifndef CORDS_IO_TORCH_TYPES_H
#define CORDS_IO_TORCH_TYPES_H

#include "core/error.h"

typedef struct {
  const char *storage; /* name in the pickle: "torch FloatStorage" */
  const char *name;    /* as PyTorch prints it: "float32" */
  size_t bytes;        /* of a number */
  float (*to_float)(const unsigned char *bytes);
} CordsTorchType;

extern const CordsTorchType cords_torch_types[];
extern const PetscInt cords_torch_type_count;

#endif
