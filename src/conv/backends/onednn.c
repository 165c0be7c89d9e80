/* Convolution in float32 by oneDNN, plain NHWC in and out; oneDNN chooses its own form of the weights.

   A primitive is compiled for one number of images; a convolution keeps the ones it has used, because a run uses few
   numbers again and again (a batch, a block of time steps, the last part of each). */
#include "conv/backend.h"

#include <dnnl.h>
#include <string.h>

typedef enum { FORWARD, FORWARD_ACCUMULATE, BACKWARD_DATA, BACKWARD_WEIGHTS } Kind;

typedef struct {
  Kind kind;
  PetscInt n;
  dnnl_primitive_t primitive;
  dnnl_memory_t in, out;       /* image memories; their addresses are set at each call */
  dnnl_memory_t weights;       /* in the form the primitive wants */
  dnnl_primitive_t from_plain; /* reorder plain → weights (to plain for BACKWARD_WEIGHTS) */
  PetscInt64 weights_version;  /* which weights are packed */
} Primitive;

enum { PRIMITIVES_MAX = 24 };

typedef struct {
  CordsConvShape shape;
  size_t weight_count;
  float *plain, *plain_gradient; /* [out][in][row][column]; [row][column][in][out] */
  dnnl_memory_t plain_memory, gradient_memory;
  PetscInt64 weights_version;
  PetscInt primitive_count, primitive_next;
  Primitive primitives[PRIMITIVES_MAX];
  float *scratch; /* for accumulating backward_data */
  size_t scratch_count;
} Data;

static dnnl_engine_t engine;
static dnnl_stream_t stream;

#define DnnlCall(...)                                                                                                  \
  do {                                                                                                                 \
    dnnl_status_t status_ = (__VA_ARGS__);                                                                             \
    PetscCheck(status_ == dnnl_success, PETSC_COMM_SELF, PETSC_ERR_LIB, "oneDNN status %d", (int)status_);             \
  } while (0)

static PetscBool Supports(const CordsConvShape *shape, CordsType type)
{
  return (PetscBool)(type == CORDS_F32);
}

static PetscErrorCode StartEngine(void)
{
  PetscFunctionBegin;
  if (engine) PetscFunctionReturn(PETSC_SUCCESS);
  DnnlCall(dnnl_engine_create(&engine, dnnl_cpu, 0));
  DnnlCall(dnnl_stream_create(&stream, engine, dnnl_stream_default_flags));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static void WeightDims(const CordsConvShape *s, dnnl_dims_t dims)
{
  dims[0] = s->out_channels;
  dims[1] = s->in_channels;
  dims[2] = s->kernel_rows;
  dims[3] = s->kernel_columns;
}

static PetscErrorCode Create(const CordsConvShape *shape, CordsType type, void **data)
{
  Data *d;
  dnnl_dims_t dims;
  dnnl_memory_desc_t plain;

  PetscFunctionBegin;
  PetscCall(StartEngine());
  PetscCall(PetscNew(&d));
  d->shape = *shape;
  d->weight_count = (size_t)shape->out_channels * shape->in_channels * shape->kernel_rows * shape->kernel_columns;
  PetscCall(PetscCalloc1(d->weight_count, &d->plain));
  PetscCall(PetscCalloc1(d->weight_count, &d->plain_gradient));
  WeightDims(shape, dims);
  DnnlCall(dnnl_memory_desc_init_by_tag(&plain, 4, dims, dnnl_f32, dnnl_oihw));
  DnnlCall(dnnl_memory_create(&d->plain_memory, &plain, engine, d->plain));
  DnnlCall(dnnl_memory_desc_init_by_tag(&plain, 4, dims, dnnl_f32, dnnl_hwio));
  DnnlCall(dnnl_memory_create(&d->gradient_memory, &plain, engine, d->plain_gradient));
  *data = d;
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode PrimitiveDestroy(Primitive *p)
{
  PetscFunctionBegin;
  DnnlCall(dnnl_primitive_destroy(p->primitive));
  DnnlCall(dnnl_primitive_destroy(p->from_plain));
  DnnlCall(dnnl_memory_destroy(p->in));
  DnnlCall(dnnl_memory_destroy(p->out));
  DnnlCall(dnnl_memory_destroy(p->weights));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode Destroy(void *data)
{
  Data *d = data;

  PetscFunctionBegin;
  for (PetscInt i = 0; i < d->primitive_count; i++) PetscCall(PrimitiveDestroy(&d->primitives[i]));
  DnnlCall(dnnl_memory_destroy(d->plain_memory));
  DnnlCall(dnnl_memory_destroy(d->gradient_memory));
  PetscCall(PetscFree(d->plain));
  PetscCall(PetscFree(d->plain_gradient));
  PetscCall(PetscFree(d->scratch));
  PetscCall(PetscFree(d));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode Pack(void *data, const void *weights)
{
  Data *d = data;

  memcpy(d->plain, weights, d->weight_count * sizeof(float));
  d->weights_version++;
  return PETSC_SUCCESS;
}

/* The primitive descriptor of one kind; images NHWC, weights as oneDNN likes. */
static PetscErrorCode Describe(const CordsConvShape *s, Kind kind, PetscInt n, dnnl_primitive_desc_t *described)
{
  dnnl_dims_t x_dims = {n, s->in_channels, s->in_rows, s->in_columns};
  dnnl_dims_t y_dims = {n, s->out_channels, s->out_rows, s->out_columns};
  dnnl_dims_t w_dims, strides = {s->stride, s->stride};
  dnnl_dims_t before = {s->pad_top, s->pad_left}, after = {s->pad_bottom, s->pad_right};
  dnnl_memory_desc_t x, y, w;
  dnnl_convolution_desc_t convolution;
  dnnl_primitive_attr_t attributes = NULL;
  dnnl_primitive_desc_t hint = NULL;
  dnnl_post_ops_t post_ops;

  PetscFunctionBegin;
  WeightDims(s, w_dims);
  DnnlCall(dnnl_memory_desc_init_by_tag(&x, 4, x_dims, dnnl_f32, dnnl_nhwc));
  DnnlCall(dnnl_memory_desc_init_by_tag(&y, 4, y_dims, dnnl_f32, dnnl_nhwc));
  DnnlCall(dnnl_memory_desc_init_by_tag(&w, 4, w_dims, dnnl_f32, dnnl_format_tag_any));
  DnnlCall(dnnl_convolution_forward_desc_init(&convolution, dnnl_forward_training, dnnl_convolution_direct, &x, &w,
                                              NULL, &y, strides, before, after));
  if (kind == FORWARD_ACCUMULATE) {
    DnnlCall(dnnl_primitive_attr_create(&attributes));
    DnnlCall(dnnl_post_ops_create(&post_ops));
    DnnlCall(dnnl_post_ops_append_sum(post_ops, 1.0f));
    DnnlCall(dnnl_primitive_attr_set_post_ops(attributes, post_ops));
    DnnlCall(dnnl_post_ops_destroy(post_ops));
  }
  DnnlCall(dnnl_primitive_desc_create(&hint, &convolution, attributes, engine, NULL));
  if (attributes) DnnlCall(dnnl_primitive_attr_destroy(attributes));
  if (kind == FORWARD || kind == FORWARD_ACCUMULATE) {
    *described = hint;
    PetscFunctionReturn(PETSC_SUCCESS);
  }
  if (kind == BACKWARD_DATA) {
    DnnlCall(dnnl_convolution_backward_data_desc_init(&convolution, dnnl_convolution_direct, &x, &w, &y, strides,
                                                      before, after));
  } else {
    DnnlCall(dnnl_convolution_backward_weights_desc_init(&convolution, dnnl_convolution_direct, &x, &w, NULL, &y,
                                                         strides, before, after));
  }
  DnnlCall(dnnl_primitive_desc_create(described, &convolution, NULL, engine, hint));
  DnnlCall(dnnl_primitive_desc_destroy(hint));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode MakeMemory(dnnl_primitive_desc_t described, dnnl_query_t what, void *address,
                                 dnnl_memory_t *memory)
{
  PetscFunctionBegin;
  DnnlCall(dnnl_memory_create(memory, dnnl_primitive_desc_query_md(described, what, 0), engine, address));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode PrimitiveCreate(Data *d, Kind kind, PetscInt n, Primitive *p)
{
  dnnl_primitive_desc_t described, reorder;
  const dnnl_memory_desc_t *plain, *packed;

  PetscFunctionBegin;
  p->kind = kind;
  p->n = n;
  p->weights_version = -1;
  PetscCall(Describe(&d->shape, kind, n, &described));
  DnnlCall(dnnl_primitive_create(&p->primitive, described));
  PetscCall(MakeMemory(described, kind == BACKWARD_DATA ? dnnl_query_diff_src_md : dnnl_query_src_md, DNNL_MEMORY_NONE,
                       &p->in));
  PetscCall(MakeMemory(described,
                       kind == BACKWARD_DATA || kind == BACKWARD_WEIGHTS ? dnnl_query_diff_dst_md : dnnl_query_dst_md,
                       DNNL_MEMORY_NONE, &p->out));
  PetscCall(MakeMemory(described, kind == BACKWARD_WEIGHTS ? dnnl_query_diff_weights_md : dnnl_query_weights_md,
                       DNNL_MEMORY_ALLOCATE, &p->weights));
  DnnlCall(dnnl_memory_get_memory_desc(kind == BACKWARD_WEIGHTS ? d->gradient_memory : d->plain_memory, &plain));
  DnnlCall(dnnl_memory_get_memory_desc(p->weights, &packed));
  if (kind == BACKWARD_WEIGHTS)
    DnnlCall(dnnl_reorder_primitive_desc_create(&reorder, packed, engine, plain, engine, NULL));
  else
    DnnlCall(dnnl_reorder_primitive_desc_create(&reorder, plain, engine, packed, engine, NULL));
  DnnlCall(dnnl_primitive_create(&p->from_plain, reorder));
  DnnlCall(dnnl_primitive_desc_destroy(reorder));
  DnnlCall(dnnl_primitive_desc_destroy(described));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* The primitive for a kind and a number of images; the oldest makes room. */
static PetscErrorCode PrimitiveFor(Data *d, Kind kind, PetscInt n, Primitive **found)
{
  PetscFunctionBegin;
  for (PetscInt i = 0; i < d->primitive_count; i++) {
    *found = &d->primitives[i];
    if ((*found)->kind == kind && (*found)->n == n) PetscFunctionReturn(PETSC_SUCCESS);
  }
  if (d->primitive_count < PRIMITIVES_MAX) {
    *found = &d->primitives[d->primitive_count++];
  } else {
    *found = &d->primitives[d->primitive_next++ % PRIMITIVES_MAX];
    PetscCall(PrimitiveDestroy(*found));
  }
  PetscCall(PrimitiveCreate(d, kind, n, *found));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode Reorder(Primitive *p, dnnl_memory_t from, dnnl_memory_t to)
{
  dnnl_exec_arg_t arguments[] = {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}};

  PetscFunctionBegin;
  DnnlCall(dnnl_primitive_execute(p->from_plain, stream, 2, arguments));
  DnnlCall(dnnl_stream_wait(stream));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode Execute(Data *d, Primitive *p, const void *x, const void *y)
{
  const Kind kind = p->kind;
  dnnl_exec_arg_t arguments[] = {
      {kind == BACKWARD_DATA ? DNNL_ARG_DIFF_SRC : DNNL_ARG_SRC, p->in},
      {kind == BACKWARD_DATA || kind == BACKWARD_WEIGHTS ? DNNL_ARG_DIFF_DST : DNNL_ARG_DST, p->out},
      {kind == BACKWARD_WEIGHTS ? DNNL_ARG_DIFF_WEIGHTS : DNNL_ARG_WEIGHTS, p->weights}};

  PetscFunctionBegin;
  if (kind != BACKWARD_WEIGHTS && p->weights_version != d->weights_version) {
    PetscCall(Reorder(p, d->plain_memory, p->weights));
    p->weights_version = d->weights_version;
  }
  DnnlCall(dnnl_memory_set_data_handle(p->in, (void *)x));
  DnnlCall(dnnl_memory_set_data_handle(p->out, (void *)y));
  DnnlCall(dnnl_primitive_execute(p->primitive, stream, 3, arguments));
  DnnlCall(dnnl_stream_wait(stream));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode Forward(void *data, PetscInt n, const void *x, const void *start, PetscInt period, void *y)
{
  Primitive *p;

  PetscFunctionBegin;
  if (start) CordsConvFill(&((Data *)data)->shape, CORDS_F32, n, start, period, y);
  PetscCall(PrimitiveFor(data, start ? FORWARD_ACCUMULATE : FORWARD, n, &p));
  PetscCall(Execute(data, p, x, y));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode BackwardData(void *data, PetscInt n, const void *dy, void *dx, PetscBool accumulate)
{
  Data *d = data;
  size_t count = (size_t)n * d->shape.in_rows * d->shape.in_columns * d->shape.in_channels;
  float *target = dx;
  Primitive *p;

  PetscFunctionBegin;
  if (accumulate) {
    if (d->scratch_count < count) {
      PetscCall(PetscFree(d->scratch));
      PetscCall(PetscMalloc1(count, &d->scratch));
      d->scratch_count = count;
    }
    target = d->scratch;
  }
  PetscCall(PrimitiveFor(d, BACKWARD_DATA, n, &p));
  PetscCall(Execute(d, p, target, dy));
  if (accumulate) {
    float *restrict sum = dx;
    const float *restrict term = target;
#pragma omp parallel for simd schedule(static)
    for (size_t k = 0; k < count; k++) sum[k] += term[k];
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode BackwardWeights(void *data, PetscInt n, const void *x, const void *dy, void *dw)
{
  Data *d = data;
  Primitive *p;

  PetscFunctionBegin;
  PetscCall(PrimitiveFor(d, BACKWARD_WEIGHTS, n, &p));
  PetscCall(Execute(d, p, x, dy));
  PetscCall(Reorder(p, p->weights, d->gradient_memory));
  for (size_t k = 0; k < d->weight_count; k++) ((float *)dw)[k] += d->plain_gradient[k];
  PetscFunctionReturn(PETSC_SUCCESS);
}

const CordsConvBackendType cords_conv_backend_onednn = {.name = "onednn",
                                                        .about = "oneDNN, f32",
                                                        .supports = Supports,
                                                        .create = Create,
                                                        .destroy = Destroy,
                                                        .pack = Pack,
                                                        .forward = Forward,
                                                        .backward_data = BackwardData,
                                                        .backward_weights = BackwardWeights};
