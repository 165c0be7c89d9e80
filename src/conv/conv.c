#include "conv/conv.h"

#include "conv/backend.h"
#include "conv/choice.h"
#include "conv/cut_conv.h"
#include "conv/step.h"
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

const char *const CordsConvOperationNames[] = {"forward", "backward_data", "backward_weights"};

/* An operation for few images or for many; those that multiply with weights come first. */
enum {
  SLOT_COUNT = CORDS_CONV_OPERATION_COUNT * CORDS_CONV_IMAGES_COUNT,
  MULTIPLYING_SLOT_COUNT = CORDS_CONV_BACKWARD_WEIGHTS * CORDS_CONV_IMAGES_COUNT
};

typedef struct {
  const CordsConvBackendType *backend;
  void *data; /* the backend's; the same in all slots of one backend */
} Kernel;

struct _p_CordsConv {
  CordsCutConv cut;             /* does everything where maps are cut; NULL: the rest of this does */
  CordsConvArrival arrivals[2]; /* forward, adjoint; wait NULL: images are there */
  CordsConvShape shape;
  CordsType type;
  Kernel kernels[SLOT_COUNT];
  CordsArray synaptic; /* u of CordsConvStep where a backend has no run */
};

static const Kernel *KernelFor(CordsConv conv, CordsConvOperation operation, PetscInt n)
{
  return &conv->kernels[(PetscInt)operation * CORDS_CONV_IMAGES_COUNT + (PetscInt)CordsConvImagesOf(n)];
}

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
  PetscFunctionBegin;
  CORDS_REGISTRY_LIST(backends, count, names, abouts);
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode Find(const char *name, const CordsConvBackendType **backend)
{
  const char *const *names;
  PetscInt count, index;

  PetscFunctionBegin;
  PetscCall(CordsConvBackendList(&count, &names, NULL));
  PetscCall(CordsRegistryFind("convolution backend", count, names, name, &index));
  *backend = backends[index];
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsConvBackendSupports(const char *name, const CordsConvShape *shape, CordsType type,
                                        PetscBool *supports, PetscBool *lean)
{
  const CordsConvBackendType *backend;

  PetscFunctionBegin;
  PetscCall(Find(name, &backend));
  *supports = backend->supports(shape, type);
  if (lean) *lean = backend->lean;
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode FindNamed(const CordsConvShape *shape, CordsType type, const char *name,
                                const CordsConvBackendType **backend)
{
  PetscFunctionBegin;
  PetscCall(Find(name, backend));
  CordsCheckUser((*backend)->supports(shape, type), PETSC_COMM_WORLD,
                 "convolution backend '%s' cannot do this shape or number type; leave the choice to cords", name);
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode FindChosen(const CordsConvShape *shape, CordsType type, PetscInt slot,
                                 const CordsConvBackendType **backend)
{
  PetscInt index = CordsConvChoiceFind(shape, type, (CordsConvOperation)(slot / CORDS_CONV_IMAGES_COUNT),
                                       (CordsConvImages)(slot % CORDS_CONV_IMAGES_COUNT));

  PetscFunctionBegin;
  for (PetscInt i = 0; i < BACKEND_COUNT && index < 0; i++)
    if (backends[i]->supports(shape, type)) index = i;
  PetscCheck(index >= 0, PETSC_COMM_SELF, PETSC_ERR_PLIB, "the reference backend supports everything");
  *backend = backends[index];
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* The slot before this one that has the same backend, or −1. */
static PetscInt SharedWith(CordsConv conv, PetscInt slot)
{
  for (PetscInt other = 0; other < slot; other++) {
    if (conv->kernels[other].backend == conv->kernels[slot].backend) return other;
  }
  return -1;
}

PetscErrorCode CordsConvCreate(const CordsConvShape *shape, CordsType type, const char *backend, CordsConv *conv)
{
  CordsConv c;

  PetscFunctionBegin;
  PetscCall(PetscNew(&c));
  c->shape = *shape;
  c->type = type;
  for (PetscInt slot = 0; slot < SLOT_COUNT; slot++) {
    Kernel *k = &c->kernels[slot];
    if (backend)
      PetscCall(FindNamed(shape, type, backend, &k->backend));
    else
      PetscCall(FindChosen(shape, type, slot, &k->backend));
    if (SharedWith(c, slot) >= 0)
      k->data = c->kernels[SharedWith(c, slot)].data;
    else
      PetscCall(k->backend->create(shape, type, &k->data));
  }
  *conv = c;
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsConvCreateCut(CordsContext context, const CordsConvShape *shape, CordsType type, CordsConv *conv)
{
  PetscFunctionBegin;
  if (!CordsContextIsCut(context)) {
    PetscCall(CordsConvCreate(shape, type, NULL, conv));
    PetscFunctionReturn(PETSC_SUCCESS);
  }
  PetscCall(PetscNew(conv));
  PetscCall(CordsCutConvCreate(context, shape, type, &(*conv)->cut));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsConvDestroy(CordsConv *conv)
{
  CordsConv c = *conv;

  PetscFunctionBegin;
  if (!c) PetscFunctionReturn(PETSC_SUCCESS);
  PetscCall(CordsCutConvDestroy(&c->cut));
  for (PetscInt slot = 0; slot < SLOT_COUNT && c->kernels[slot].backend; slot++) {
    const Kernel *k = &c->kernels[slot];
    if (SharedWith(c, slot) < 0) PetscCall(k->backend->destroy(k->data));
  }
  PetscCall(CordsArrayDestroy(&c->synaptic));
  PetscCall(PetscFree(c));
  *conv = NULL;
  PetscFunctionReturn(PETSC_SUCCESS);
}

const CordsConvShape *CordsConvGetShape(CordsConv conv)
{
  return conv->cut ? CordsCutConvGetShape(conv->cut) : &conv->shape;
}

const char *CordsConvBackend(CordsConv conv, CordsConvOperation operation)
{
  const CordsConv part = conv->cut ? CordsCutConvPart(conv->cut, operation) : conv;

  return part ? KernelFor(part, operation, PETSC_MAX_INT)->backend->name : "none";
}

PetscErrorCode CordsConvSetArrival(CordsConv conv, PetscBool adjoint, const CordsConvArrival *arrival)
{
  PetscFunctionBegin;
  conv->arrivals[adjoint] = *arrival;
  for (PetscInt slot = 0; slot < SLOT_COUNT; slot++) {
    const Kernel *k = &conv->kernels[slot];
    if (SharedWith(conv, slot) < 0 && k->backend->divide)
      PetscCall(k->backend->divide(k->data, adjoint, &arrival->box));
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscBool CordsConvReadsEarly(CordsConv conv, CordsConvOperation operation, PetscInt n)
{
  const PetscBool adjoint = (PetscBool)(operation == CORDS_CONV_BACKWARD_DATA);
  const CordsConvBackendType *backend = KernelFor(conv, operation, n)->backend;
  const PetscBool can = (PetscBool)(operation == CORDS_CONV_BACKWARD_WEIGHTS ? backend->divided_weights != NULL
                                                                             : backend->divide != NULL);

  return (PetscBool)(can && conv->arrivals[adjoint].wait);
}

PetscInt CordsConvReach(const CordsConvShape *shape)
{
  return PetscMax(PetscMax(shape->kernel_rows, shape->kernel_columns), 5);
}

PetscErrorCode CordsConvSetWeights(CordsConv conv, const void *weights)
{
  PetscFunctionBegin;
  if (conv->cut) PetscCall(CordsCutConvSetWeights(conv->cut, weights));
  for (PetscInt slot = 0; slot < MULTIPLYING_SLOT_COUNT && !conv->cut; slot++) {
    const Kernel *k = &conv->kernels[slot];
    if (SharedWith(conv, slot) < 0) PetscCall(k->backend->pack(k->data, weights));
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

void CordsConvLaterBytes(CordsConv conv, PetscInt most, double *own, double *shared)
{
  *own = *shared = 0;
  if (conv->cut) {
    CordsCutConvLaterBytes(conv->cut, most, own, shared);
    return;
  }
  for (int operation = 0; operation < CORDS_CONV_OPERATION_COUNT; operation++) {
    const Kernel *few = KernelFor(conv, (CordsConvOperation)operation, 1);
    const Kernel *many = KernelFor(conv, (CordsConvOperation)operation, most);
    for (const Kernel *k = few; k <= many; k++) { /* neighbours, or the same */
      const PetscBool counted = (PetscBool)(k > few && k->backend == few->backend);
      double its_own = 0, its_shared = 0;
      if (counted || !k->backend->later_bytes) continue;
      k->backend->later_bytes(k->data, (CordsConvOperation)operation, &its_own, &its_shared);
      *own += its_own;
      *shared = PetscMax(*shared, its_shared);
    }
  }
}

void CordsConvFill(const CordsConvShape *s, CordsType type, PetscInt n, const void *start, PetscInt period, void *y)
{
  size_t bytes = (size_t)s->out_rows * s->out_columns * s->out_channels * CordsTypeSize(type);

  if (start == y) return;
  for (PetscInt k = 0; k < n; k++) {
    if (start)
      memcpy((char *)y + (size_t)k * bytes, (const char *)start + (size_t)(k % period) * bytes, bytes);
    else
      memset((char *)y + (size_t)k * bytes, 0, bytes);
  }
}

static PetscErrorCode Wait(CordsConv conv, PetscBool adjoint)
{
  const CordsConvArrival *a = &conv->arrivals[adjoint];

  return a->wait ? a->wait(a->context) : PETSC_SUCCESS;
}

/* What needs no waiting first. */
static PetscErrorCode Run(CordsConv conv, const Kernel *k, PetscBool adjoint, PetscInt n, const void *x,
                          const CordsFinish *finish)
{
  const CordsConvArrival *a = &conv->arrivals[adjoint];
  const PetscBool early = (PetscBool)(a->wait && k->backend->divide);

  PetscFunctionBegin;
  if (early) PetscCall(k->backend->run(k->data, adjoint, CORDS_PART_EARLY, n, *a->early, finish));
  PetscCall(Wait(conv, adjoint));
  PetscCall(k->backend->run(k->data, adjoint, early ? CORDS_PART_LATE : CORDS_PART_WHOLE, n, x, finish));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsConvForwardFrom(CordsConv conv, PetscInt n, const void *x, const void *start, PetscInt period,
                                    void *y)
{
  const Kernel *k = KernelFor(conv, CORDS_CONV_FORWARD, n);
  CordsFinish finish = CordsFinishPlain(start, period, y);

  PetscFunctionBegin;
  if (n == 0) PetscFunctionReturn(PETSC_SUCCESS); /* a rank without images, here and below */
  if (conv->cut) {
    PetscCall(CordsCutConvForwardFrom(conv->cut, n, x, start, period, y));
  } else if (k->backend->run) {
    PetscCall(Run(conv, k, PETSC_FALSE, n, x, &finish));
  } else {
    PetscCall(Wait(conv, PETSC_FALSE));
    PetscCall(k->backend->forward(k->data, n, x, start, period, y));
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsConvForward(CordsConv conv, PetscInt n, const void *x, void *y, PetscBool accumulate)
{
  return CordsConvForwardFrom(conv, n, x, accumulate ? y : NULL, n, y);
}

PetscErrorCode CordsConvBackwardData(CordsConv conv, PetscInt n, const void *dy, void *dx, PetscBool accumulate)
{
  const Kernel *k = KernelFor(conv, CORDS_CONV_BACKWARD_DATA, n);
  CordsFinish finish = CordsFinishPlain(accumulate ? dx : NULL, n, dx);

  PetscFunctionBegin;
  if (n == 0) PetscFunctionReturn(PETSC_SUCCESS);
  if (conv->cut) {
    PetscCall(CordsCutConvBackwardData(conv->cut, n, dy, dx, accumulate));
  } else if (k->backend->run) {
    PetscCall(Run(conv, k, PETSC_TRUE, n, dy, &finish));
  } else {
    PetscCall(Wait(conv, PETSC_TRUE));
    PetscCall(k->backend->backward_data(k->data, n, dy, dx, accumulate));
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsConvBackwardWeights(CordsConv conv, PetscInt n, const void *x, const void *dy, void *dw)
{
  const Kernel *k = KernelFor(conv, CORDS_CONV_BACKWARD_WEIGHTS, n);

  PetscFunctionBegin;
  if (n == 0) PetscFunctionReturn(PETSC_SUCCESS);
  if (conv->cut) {
    PetscCall(CordsCutConvBackwardWeights(conv->cut, n, x, dy, dw));
  } else {
    PetscCall(Wait(conv, PETSC_FALSE));
    if (CordsConvReadsEarly(conv, CORDS_CONV_BACKWARD_WEIGHTS, n))
      PetscCall(k->backend->divided_weights(k->data, n, *conv->arrivals[PETSC_FALSE].early, x, dy, dw));
    else
      PetscCall(k->backend->backward_weights(k->data, n, x, dy, dw));
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* Room for n items of the output, in T. */
static PetscErrorCode SynapticWork(CordsConv conv, PetscInt n)
{
  const CordsConvShape *s = &conv->shape;

  PetscFunctionBegin;
  if (conv->synaptic.items >= n) PetscFunctionReturn(PETSC_SUCCESS);
  PetscCall(CordsArrayDestroy(&conv->synaptic));
  PetscCall(CordsArrayCreate(conv->type, n, s->out_rows * s->out_columns * s->out_channels, &conv->synaptic));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsConvStep(CordsConv conv, PetscInt n, const CordsConvLaw *law, const void *x, const void *z,
                             PetscInt period, const void *r, void *r_next, void *x_next, uint16_t *mask)
{
  const Kernel *k = KernelFor(conv, CORDS_CONV_FORWARD, n);
  CordsFinish finish = CordsFinishStep(conv->shape.out_channels, law, z, period, r, r_next, x_next, mask);

  PetscFunctionBegin;
  if (n == 0) PetscFunctionReturn(PETSC_SUCCESS);
  if (conv->cut) {
    PetscCall(CordsCutConvStep(conv->cut, n, law, x, z, period, r, r_next, x_next, mask));
  } else if (k->backend->run) {
    PetscCall(Run(conv, k, PETSC_FALSE, n, x, &finish));
  } else {
    PetscCall(SynapticWork(conv, n));
    PetscCall(Wait(conv, PETSC_FALSE));
    PetscCall(k->backend->forward(k->data, n, x, z, period, conv->synaptic.data));
    CordsStepPointwise(&conv->shape, conv->type, n, law, conv->synaptic.data, r, r_next, x_next, mask);
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsConvStepAdjoint(CordsConv conv, PetscInt n, const CordsConvLaw *law, const void *du, const void *g,
                                    const void *later, const uint16_t *mask, void *lambda, void *du_before)
{
  const Kernel *k = KernelFor(conv, CORDS_CONV_BACKWARD_DATA, n);
  CordsFinish finish = CordsFinishStepAdjoint(conv->shape.in_channels, n, law, g, later, mask, lambda, du_before);

  PetscFunctionBegin;
  if (n == 0) PetscFunctionReturn(PETSC_SUCCESS);
  if (conv->cut) {
    PetscCall(CordsCutConvStepAdjoint(conv->cut, n, law, du, g, later, mask, lambda, du_before));
  } else if (k->backend->run) {
    PetscCall(Run(conv, k, PETSC_TRUE, n, du, &finish));
  } else {
    PetscCall(SynapticWork(conv, n));
    PetscCall(Wait(conv, PETSC_TRUE));
    PetscCall(k->backend->backward_data(k->data, n, du, conv->synaptic.data, PETSC_FALSE));
    CordsStepAdjointPointwise(&conv->shape, conv->type, n, law, conv->synaptic.data, g, later, lambda);
    if (mask) CordsConvMaskMultiply(&conv->shape, conv->type, n, law, mask, lambda, du_before);
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}
