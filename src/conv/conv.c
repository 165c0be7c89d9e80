#include "conv/conv.h"

#include "conv/backend.h"
#include "core/registry.h"

#include <string.h>

#define CORDS_CONV_BACKEND(name) extern const CordsConvBackendType cords_conv_backend_##name;
#include "conv/backends.def"
#undef CORDS_CONV_BACKEND

#define CORDS_CONV_BACKEND(name) &cords_conv_backend_##name,
static const CordsConvBackendType *const backends[] = {
#include "conv/backends.def"
};
#undef CORDS_CONV_BACKEND

enum { BACKEND_COUNT = PETSC_STATIC_ARRAY_LENGTH(backends) };

struct _p_CordsConv {
  CordsConvShape shape;
  CordsType type;
  const CordsConvBackendType *backend;
  void *data; /* the backend's */
};

CordsConvShape CordsConvShapeSame(PetscInt in_rows, PetscInt in_columns, PetscInt in_channels, PetscInt out_channels,
                                  PetscInt kernel, PetscInt stride)
{
  PetscInt pad = (kernel - 1) / 2;
  PetscInt out_rows = (in_rows + 2 * pad - kernel) / stride + 1;
  PetscInt out_columns = (in_columns + 2 * pad - kernel) / stride + 1;

  return (CordsConvShape){.in_rows = in_rows,
                          .in_columns = in_columns,
                          .in_channels = in_channels,
                          .out_rows = out_rows,
                          .out_columns = out_columns,
                          .out_channels = out_channels,
                          .kernel_rows = kernel,
                          .kernel_columns = kernel,
                          .stride = stride,
                          .pad_top = pad,
                          .pad_left = pad,
                          /* what the last window reaches beyond the image; less than pad where the stride skips it */
                          .pad_bottom = PetscMax((out_rows - 1) * stride + kernel - in_rows - pad, 0),
                          .pad_right = PetscMax((out_columns - 1) * stride + kernel - in_columns - pad, 0)};
}

double CordsConvFlops(const CordsConvShape *s)
{
  return 2.0 * s->out_rows * s->out_columns * s->out_channels * s->in_channels * s->kernel_rows * s->kernel_columns;
}

PetscErrorCode CordsConvBackendList(PetscInt *count, const char *const **names, const char *const **abouts)
{
  static const char *name_list[BACKEND_COUNT], *about_list[BACKEND_COUNT];

  PetscFunctionBegin;
  for (PetscInt i = 0; i < BACKEND_COUNT; i++) {
    name_list[i] = backends[i]->name;
    about_list[i] = backends[i]->about;
  }
  *count = BACKEND_COUNT;
  *names = name_list;
  if (abouts) *abouts = about_list;
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode FindBackend(const CordsConvShape *shape, CordsType type, const char *name,
                                  const CordsConvBackendType **backend)
{
  const char *const *names;
  PetscInt count, index;

  PetscFunctionBegin;
  if (name) {
    PetscCall(CordsConvBackendList(&count, &names, NULL));
    PetscCall(CordsRegistryFind("convolution backend", count, names, name, &index));
    *backend = backends[index];
    CordsCheckUser((*backend)->supports(shape, type), PETSC_COMM_WORLD,
                   "convolution backend '%s' cannot do this shape or number type; leave the choice to cords", name);
    PetscFunctionReturn(PETSC_SUCCESS);
  }
  for (PetscInt i = 0; i < BACKEND_COUNT; i++) {
    if (!backends[i]->supports(shape, type)) continue;
    *backend = backends[i];
    PetscFunctionReturn(PETSC_SUCCESS);
  }
  SETERRQ(PETSC_COMM_SELF, PETSC_ERR_PLIB, "the reference backend supports everything");
}

PetscErrorCode CordsConvCreate(const CordsConvShape *shape, CordsType type, const char *backend, CordsConv *conv)
{
  PetscFunctionBegin;
  PetscCall(PetscNew(conv));
  (*conv)->shape = *shape;
  (*conv)->type = type;
  PetscCall(FindBackend(shape, type, backend, &(*conv)->backend));
  PetscCall((*conv)->backend->create(shape, type, &(*conv)->data));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsConvDestroy(CordsConv *conv)
{
  PetscFunctionBegin;
  if (!*conv) PetscFunctionReturn(PETSC_SUCCESS);
  PetscCall((*conv)->backend->destroy((*conv)->data));
  PetscCall(PetscFree(*conv));
  PetscFunctionReturn(PETSC_SUCCESS);
}

const CordsConvShape *CordsConvGetShape(CordsConv conv)
{
  return &conv->shape;
}

const char *CordsConvBackend(CordsConv conv)
{
  return conv->backend->name;
}

PetscErrorCode CordsConvSetWeights(CordsConv conv, const void *weights)
{
  return conv->backend->pack(conv->data, weights);
}

PetscErrorCode CordsConvForward(CordsConv conv, PetscInt n, const void *x, void *y, PetscBool accumulate)
{
  if (n == 0) return PETSC_SUCCESS;
  return conv->backend->forward(conv->data, n, x, y, accumulate);
}

PetscErrorCode CordsConvBackwardData(CordsConv conv, PetscInt n, const void *dy, void *dx, PetscBool accumulate)
{
  if (n == 0) return PETSC_SUCCESS;
  return conv->backend->backward_data(conv->data, n, dy, dx, accumulate);
}

PetscErrorCode CordsConvBackwardWeights(CordsConv conv, PetscInt n, const void *x, const void *dy, void *dw)
{
  if (n == 0) return PETSC_SUCCESS;
  return conv->backend->backward_weights(conv->data, n, x, dy, dw);
}
