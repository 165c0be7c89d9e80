/* A network small enough for dense linear algebra in every test: three areas of different size and time constant, a
   stem with pooling, both kinds of skip. */
#ifndef CORDS_TESTS_TINY_H
#define CORDS_TESTS_TINY_H

#include "model/model.h"
#include "support/support.h"

#include <stdio.h>

enum { TINY_CLASSES = 10, TINY_IMAGE_ROWS = 12, TINY_IMAGE_COLUMNS = 8 };

/* Numbers in ±size, a function of (stream, position). */
static inline void TinyFill(uint64_t stream, PetscInt n, float size, float *values)
{
  SupportFillF32(stream, n, values);
  for (PetscInt k = 0; k < n; k++) values[k] *= size;
}

/* gain multiplies the recurrent weights of PyTorch's initialisation: 1 gives a stable network, 4 one without a stable
   fixed point.  phi: a name of CordsPhiNames. */
static inline CordsModel TinyModel(const char *phi, float gain)
{
  char text[512], name[64];
  CordsArchitecture architecture;
  CordsModel model;

  snprintf(text, sizeof text,
           "classes: %d\nimage_channels: 1\narchitecture:\n  image_rows: %d\n  image_columns: %d\n  stem_kernel: 3\n"
           "  stem_channels: 4\n  stem_stride: 1\n  pool_kernel: 3\n  pool_stride: 2\n  channels: [4, 6, 6]\n"
           "  strides: [1, 2, 1]\n  tau: [10, 20, 5]\n  phi: %s\n",
           TINY_CLASSES, TINY_IMAGE_ROWS, TINY_IMAGE_COLUMNS, phi);
  SupportCall(CordsArchitectureFromText("tiny", text, &architecture));
  SupportCall(CordsModelCreate(&architecture, CORDS_FORM_RECURRENT, &model));
  SupportCall(CordsModelInitialise(model, 1));
  for (PetscInt i = 0; i < architecture.area_count; i++) {
    float *g = model->tensors[CordsModelConnectionTensor(model, architecture.recurrent[i])].data;
    for (PetscInt k = 0; k < architecture.areas[i].channels; k++) g[k] *= gain;
    snprintf(name, sizeof name, "conv_bias.%d", (int)i);
    TinyFill(100 + (uint64_t)i, CordsAreaNeurons(&architecture.areas[i]), 0.5F, CordsModelValues(model, name));
  }
  return model;
}

/* The model and its architecture are the caller's to destroy with CordsModelDestroy. */
static inline void TinyImage(uint64_t stream, float image[TINY_IMAGE_ROWS * TINY_IMAGE_COLUMNS])
{
  TinyFill(stream, TINY_IMAGE_ROWS * TINY_IMAGE_COLUMNS, 2, image);
}

#endif
