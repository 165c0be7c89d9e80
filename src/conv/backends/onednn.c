/* Convolution in float32 and bfloat16 by oneDNN, plain NHWC in and out; oneDNN chooses its own forms of the weights.

   A primitive is compiled for one number of images; a convolution keeps the ones it has used, because a run uses few
   numbers again and again (a batch, a block of time steps, the last part of each).

   What is more than a bare convolution is done here with its float32 sums, a few images at a time: as operations of
   oneDNN that follow a convolution it is slower, most of all in bfloat16 on processors that multiply whole tiles (AMX).
 */
#include "conv/backend.h"
#include "conv/pointwise.h"
#include "conv/precision.h"
#include "conv/register_tile.h"
#include "conv/scratch.h"

#include <dnnl.h>
#include <string.h>

/* _SUMS: what a convolution gives is float32 whatever the images are */
typedef enum { FORWARD, FORWARD_SUMS, BACKWARD_DATA, BACKWARD_DATA_SUMS, BACKWARD_WEIGHTS } Kind;

/* Weights in one form; all forms hold the same numbers of type T. */
typedef struct {
  dnnl_memory_t memory;
  PetscBool used; /* by a primitive */
} Form;

typedef struct {
  Kind kind;
  PetscInt n;
  dnnl_primitive_t primitive;
  dnnl_memory_t in, out;     /* image memories; their addresses are set at each call */
  dnnl_memory_t weights;     /* of a Form; BACKWARD_WEIGHTS: its own, in shared memory */
  dnnl_primitive_t to_plain; /* BACKWARD_WEIGHTS: reorder to [row][column][in][out] */
} Primitive;

enum { PRIMITIVES_MAX = 24, FORMS_MAX = 16 };

typedef struct {
  CordsConvShape shape;
  CordsType type;
  size_t weight_count;
  PetscInt form_count;
  Form forms[FORMS_MAX];
  dnnl_memory_t plain_gradient; /* [row][column][in][out], in shared memory */
  PetscInt primitive_count, primitive_next;
  Primitive primitives[PRIMITIVES_MAX];
} Data;

/* Room that is used only inside a call, so all convolutions of the process share it. */
enum { PACKED_GRADIENT, PLAIN_GRADIENT, ROOMS };
static CordsArray rooms[ROOMS];

/* Sums of the images at a time: what stays in the second-level caches until it is finished. */
static const size_t sums_bytes = (size_t)2 << 20;

static dnnl_engine_t engine;
static dnnl_stream_t stream;

#define DnnlCall(...)                                                                                                  \
  do {                                                                                                                 \
    dnnl_status_t status_ = (__VA_ARGS__);                                                                             \
    PetscCheck(status_ == dnnl_success, PETSC_COMM_SELF, PETSC_ERR_LIB, "oneDNN status %d", (int)status_);             \
  } while (0)

static PetscErrorCode Room(int which, size_t bytes, void **room)
{
  const size_t line = 4096; /* counted in lines, since a CordsArray counts in PetscInt */

  PetscFunctionBegin;
  if ((size_t)rooms[which].items * line < bytes) {
    PetscCall(CordsArrayDestroy(&rooms[which]));
    PetscCall(CordsArrayCreate(CORDS_F32, (PetscInt)((bytes + line - 1) / line), (PetscInt)(line / sizeof(float)),
                               &rooms[which]));
  }
  *room = rooms[which].data;
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscBool Supports(const CordsConvShape *shape, CordsType type)
{
  return (PetscBool)(type == CORDS_F32 || (type == CORDS_BF16 && CordsPrecisionHas(CORDS_BF16)));
}

static dnnl_data_type_t ImageType(CordsType type)
{
  return type == CORDS_BF16 ? dnnl_bf16 : dnnl_f32;
}

static PetscBool IsForward(Kind kind)
{
  return (PetscBool)(kind == FORWARD || kind == FORWARD_SUMS);
}

static PetscBool IsBackwardData(Kind kind)
{
  return (PetscBool)(kind == BACKWARD_DATA || kind == BACKWARD_DATA_SUMS);
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

static PetscErrorCode Reorder(dnnl_memory_t from, dnnl_memory_t to)
{
  dnnl_exec_arg_t arguments[] = {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}};
  const dnnl_memory_desc_t *from_form, *to_form;
  dnnl_primitive_desc_t described;
  dnnl_primitive_t reorder;

  PetscFunctionBegin;
  DnnlCall(dnnl_memory_get_memory_desc(from, &from_form));
  DnnlCall(dnnl_memory_get_memory_desc(to, &to_form));
  DnnlCall(dnnl_reorder_primitive_desc_create(&described, from_form, engine, to_form, engine, NULL));
  DnnlCall(dnnl_primitive_create(&reorder, described));
  DnnlCall(dnnl_primitive_desc_destroy(described));
  DnnlCall(dnnl_primitive_execute(reorder, stream, 2, arguments));
  DnnlCall(dnnl_stream_wait(stream));
  DnnlCall(dnnl_primitive_destroy(reorder));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* The weights start plain, [out][in][row][column], and take the forms that primitives want; the plain form goes then.
 */
static PetscErrorCode Create(const CordsConvShape *shape, CordsType type, void **data)
{
  Data *d;
  dnnl_dims_t dims;
  dnnl_memory_desc_t plain;
  void *address;

  PetscFunctionBegin;
  PetscCall(StartEngine());
  PetscCall(PetscNew(&d));
  d->shape = *shape;
  d->type = type;
  d->weight_count = (size_t)shape->out_channels * shape->in_channels * shape->kernel_rows * shape->kernel_columns;
  WeightDims(shape, dims);
  DnnlCall(dnnl_memory_desc_init_by_tag(&plain, 4, dims, ImageType(type), dnnl_oihw));
  DnnlCall(dnnl_memory_create(&d->forms[0].memory, &plain, engine, DNNL_MEMORY_ALLOCATE));
  d->form_count = 1;
  CordsScratchHold();
  DnnlCall(dnnl_memory_get_data_handle(d->forms[0].memory, &address));
  memset(address, 0, d->weight_count * CordsTypeSize(type));
  DnnlCall(dnnl_memory_desc_init_by_tag(&plain, 4, dims, dnnl_f32, dnnl_hwio));
  DnnlCall(dnnl_memory_create(&d->plain_gradient, &plain, engine, DNNL_MEMORY_NONE));
  *data = d;
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* The weights in the form that a primitive wants. */
static PetscErrorCode FormFor(Data *d, const dnnl_memory_desc_t *wanted, dnnl_memory_t *memory)
{
  const dnnl_memory_desc_t *form;
  Form *f = NULL;

  PetscFunctionBegin;
  for (PetscInt k = 0; k < d->form_count && !f; k++) {
    DnnlCall(dnnl_memory_get_memory_desc(d->forms[k].memory, &form));
    if (dnnl_memory_desc_equal(form, wanted)) f = &d->forms[k];
  }
  if (!f) {
    PetscCheck(d->form_count < FORMS_MAX, PETSC_COMM_SELF, PETSC_ERR_PLIB, "more than %d forms of weights", FORMS_MAX);
    f = &d->forms[d->form_count];
    DnnlCall(dnnl_memory_create(&f->memory, wanted, engine, DNNL_MEMORY_ALLOCATE));
    PetscCall(Reorder(d->forms[0].memory, f->memory));
    if (d->forms[0].used) {
      d->form_count++;
    } else {
      DnnlCall(dnnl_memory_destroy(d->forms[0].memory));
      d->forms[0] = *f;
      f = &d->forms[0];
    }
  }
  f->used = PETSC_TRUE;
  *memory = f->memory;
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode PrimitiveDestroy(Primitive *p)
{
  PetscFunctionBegin;
  DnnlCall(dnnl_primitive_destroy(p->primitive));
  DnnlCall(dnnl_memory_destroy(p->in));
  DnnlCall(dnnl_memory_destroy(p->out));
  if (p->kind == BACKWARD_WEIGHTS) {
    DnnlCall(dnnl_primitive_destroy(p->to_plain));
    DnnlCall(dnnl_memory_destroy(p->weights));
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode Destroy(void *data)
{
  Data *d = data;

  PetscFunctionBegin;
  for (PetscInt i = 0; i < d->primitive_count; i++) PetscCall(PrimitiveDestroy(&d->primitives[i]));
  for (PetscInt i = 0; i < d->form_count; i++) DnnlCall(dnnl_memory_destroy(d->forms[i].memory));
  DnnlCall(dnnl_memory_destroy(d->plain_gradient));
  CordsScratchRelease();
  PetscCall(PetscFree(d));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode Pack(void *data, const void *weights)
{
  Data *d = data;
  dnnl_dims_t dims;
  dnnl_memory_desc_t plain;
  dnnl_memory_t given;

  PetscFunctionBegin;
  WeightDims(&d->shape, dims);
  DnnlCall(dnnl_memory_desc_init_by_tag(&plain, 4, dims, dnnl_f32, dnnl_oihw));
  DnnlCall(dnnl_memory_create(&given, &plain, engine, (void *)weights));
  for (PetscInt i = 0; i < d->form_count; i++) PetscCall(Reorder(given, d->forms[i].memory));
  DnnlCall(dnnl_memory_destroy(given));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* The primitive descriptor of one kind; images NHWC, weights as oneDNN likes. */
static PetscErrorCode Describe(const CordsConvShape *s, CordsType type, Kind kind, PetscInt n,
                               dnnl_primitive_desc_t *described)
{
  const dnnl_data_type_t x_type = kind == BACKWARD_DATA_SUMS ? dnnl_f32 : ImageType(type);
  const dnnl_data_type_t y_type = kind == FORWARD_SUMS ? dnnl_f32 : ImageType(type);
  dnnl_dims_t x_dims = {n, s->in_channels, s->in_rows, s->in_columns};
  dnnl_dims_t y_dims = {n, s->out_channels, s->out_rows, s->out_columns};
  dnnl_dims_t w_dims, strides = {s->stride, s->stride};
  dnnl_dims_t before = {s->pad_top, s->pad_left}, after = {s->pad_bottom, s->pad_right};
  dnnl_memory_desc_t x, x_hint, y, w;
  dnnl_convolution_desc_t convolution;
  dnnl_primitive_desc_t hint = NULL;

  PetscFunctionBegin;
  WeightDims(s, w_dims);
  DnnlCall(dnnl_memory_desc_init_by_tag(&x, 4, x_dims, x_type, dnnl_nhwc));
  DnnlCall(dnnl_memory_desc_init_by_tag(&x_hint, 4, x_dims, ImageType(type), dnnl_nhwc));
  DnnlCall(dnnl_memory_desc_init_by_tag(&y, 4, y_dims, y_type, dnnl_nhwc));
  DnnlCall(dnnl_memory_desc_init_by_tag(&w, 4, w_dims, ImageType(type), dnnl_format_tag_any));
  DnnlCall(dnnl_convolution_forward_desc_init(&convolution, dnnl_forward_training, dnnl_convolution_direct, &x_hint, &w,
                                              NULL, &y, strides, before, after));
  DnnlCall(dnnl_primitive_desc_create(&hint, &convolution, NULL, engine, NULL));
  if (IsForward(kind)) {
    *described = hint;
    PetscFunctionReturn(PETSC_SUCCESS);
  }
  if (IsBackwardData(kind)) {
    DnnlCall(dnnl_convolution_backward_data_desc_init(&convolution, dnnl_convolution_direct, &x, &w, &y, strides,
                                                      before, after));
  } else {
    DnnlCall(dnnl_memory_desc_init_by_tag(&w, 4, w_dims, dnnl_f32, dnnl_format_tag_any)); /* sums stay float32 */
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

/* The memory for a weight gradient as the primitive wants it, and the way from there to the plain form. */
static PetscErrorCode GradientCreate(Data *d, dnnl_primitive_desc_t described, Primitive *p)
{
  const dnnl_memory_desc_t *plain, *packed = dnnl_primitive_desc_query_md(described, dnnl_query_diff_weights_md, 0);
  dnnl_primitive_desc_t reorder;

  PetscFunctionBegin;
  DnnlCall(dnnl_memory_get_memory_desc(d->plain_gradient, &plain));
  DnnlCall(dnnl_memory_create(&p->weights, packed, engine, DNNL_MEMORY_NONE));
  DnnlCall(dnnl_reorder_primitive_desc_create(&reorder, packed, engine, plain, engine, NULL));
  DnnlCall(dnnl_primitive_create(&p->to_plain, reorder));
  DnnlCall(dnnl_primitive_desc_destroy(reorder));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode PrimitiveCreate(Data *d, Kind kind, PetscInt n, Primitive *p)
{
  dnnl_primitive_desc_t described;

  PetscFunctionBegin;
  p->kind = kind;
  p->n = n;
  PetscCall(Describe(&d->shape, d->type, kind, n, &described));
  DnnlCall(dnnl_primitive_create(&p->primitive, described));
  PetscCall(MakeMemory(described, IsBackwardData(kind) ? dnnl_query_diff_src_md : dnnl_query_src_md, DNNL_MEMORY_NONE,
                       &p->in));
  PetscCall(
      MakeMemory(described, IsForward(kind) ? dnnl_query_dst_md : dnnl_query_diff_dst_md, DNNL_MEMORY_NONE, &p->out));
  if (kind == BACKWARD_WEIGHTS)
    PetscCall(GradientCreate(d, described, p));
  else
    PetscCall(FormFor(d, dnnl_primitive_desc_query_md(described, dnnl_query_weights_md, 0), &p->weights));
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

static PetscErrorCode Execute(Primitive *p, const void *x, const void *y)
{
  const Kind kind = p->kind;
  dnnl_exec_arg_t arguments[] = {{IsBackwardData(kind) ? DNNL_ARG_DIFF_SRC : DNNL_ARG_SRC, p->in},
                                 {IsForward(kind) ? DNNL_ARG_DST : DNNL_ARG_DIFF_DST, p->out},
                                 {kind == BACKWARD_WEIGHTS ? DNNL_ARG_DIFF_WEIGHTS : DNNL_ARG_WEIGHTS, p->weights}};

  PetscFunctionBegin;
  DnnlCall(dnnl_memory_set_data_handle(p->in, (void *)x));
  DnnlCall(dnnl_memory_set_data_handle(p->out, (void *)y));
  DnnlCall(dnnl_primitive_execute(p->primitive, stream, 3, arguments));
  DnnlCall(dnnl_stream_wait(stream));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* The images that sums come from or go to, in the direction of a kind. */
typedef struct {
  size_t in_bytes;           /* of an image that is multiplied */
  PetscInt pixels, channels; /* of its sums */
} Direction;

static Direction DirectionOf(const Data *d, PetscBool adjoint)
{
  const CordsConvShape *s = &d->shape;
  const PetscInt x_pixels = s->in_rows * s->in_columns, y_pixels = s->out_rows * s->out_columns;
  const size_t size = CordsTypeSize(d->type);

  return adjoint ? (Direction){(size_t)y_pixels * s->out_channels * size, x_pixels, s->in_channels}
                 : (Direction){(size_t)x_pixels * s->in_channels * size, y_pixels, s->out_channels};
}

/* Images whose sums are there at a time. */
static PetscInt Together(const Direction *direction)
{
  const size_t image_bytes = (size_t)direction->pixels * direction->channels * sizeof(float);

  return (PetscInt)PetscMax(sums_bytes / image_bytes, 1);
}

/* One pixel, whose sums need not begin where a vector may. */
static void FinishPixel(const CordsTileOperations *tile, const CordsFinish *finish, const CordsTilePixel *where,
                        PetscInt channels, const float *sums)
{
  enum { LANES = 16, WIDTH = CORDS_TILE_VECTORS_MAX };

  for (PetscInt first = 0; first < channels; first += WIDTH * LANES) {
    const PetscInt count = PetscMin(channels - first, WIDTH * LANES);
    _Alignas(64) float aligned[WIDTH * LANES] = {0}; /* nothing is active beyond the last channel */
    memcpy(aligned, sums + first, (size_t)count * sizeof(float));
    tile->finish(finish, 1, (count + LANES - 1) / LANES, where, channels, first, aligned);
  }
}

/* What becomes of the sums of `count` images from image `first` on. */
static void FinishSums(const Data *d, const Direction *direction, const CordsFinish *finish, PetscInt first,
                       PetscInt count, const float *sums)
{
  const CordsTileOperations *tile = CordsTileOperationsOf(d->type);
  const PetscInt pixels = direction->pixels, channels = direction->channels;
  const int threads = CordsTileThreads(16.0 * count * pixels * channels); /* a number is worth as many operations */

#pragma omp parallel for schedule(static) num_threads(threads) if (threads > 1)
  for (PetscInt p = 0; p < count * pixels; p++) {
    const PetscInt image = first + p / pixels;
    const size_t pixel = (size_t)(p % pixels);
    const CordsTilePixel where = {(size_t)image * pixels + pixel, (size_t)(image % finish->period) * pixels + pixel};
    const float *from = sums + (size_t)p * channels;
    if (channels % 16 == 0)
      tile->finish(finish, 1, channels / 16, &where, channels, 0, from);
    else
      FinishPixel(tile, finish, &where, channels, from);
  }
}

/* A few images at a time, since their sums have to be kept until they are finished. */
static PetscErrorCode RunWithSums(Data *d, PetscBool adjoint, PetscInt n, const void *x, const CordsFinish *finish)
{
  const Direction direction = DirectionOf(d, adjoint);
  const PetscInt together = PetscMin(Together(&direction), n);
  float *sums;

  PetscFunctionBegin;
  PetscCall(CordsScratchGet((size_t)together * direction.pixels * direction.channels * sizeof(float), &sums));
  for (PetscInt first = 0; first < n; first += together) {
    const PetscInt count = PetscMin(together, n - first);
    const char *images = (const char *)x + (size_t)first * direction.in_bytes;
    Primitive *p;
    PetscCall(PrimitiveFor(d, adjoint ? BACKWARD_DATA_SUMS : FORWARD_SUMS, count, &p));
    PetscCall(Execute(p, adjoint ? (void *)sums : images, adjoint ? images : (void *)sums));
    FinishSums(d, &direction, finish, first, count, sums);
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode Run(void *data, PetscBool adjoint, CordsConvPart part, PetscInt n, const void *x,
                          const CordsFinish *finish)
{
  Primitive *p;

  PetscFunctionBegin;
  if (finish->kind == CORDS_FINISH_PLAIN && !finish->start) { /* a bare convolution */
    PetscCall(PrimitiveFor(data, adjoint ? BACKWARD_DATA : FORWARD, n, &p));
    PetscCall(Execute(p, adjoint ? finish->y : x, adjoint ? x : finish->y));
  } else {
    PetscCall(RunWithSums(data, adjoint, n, x, finish));
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

static void LaterBytes(void *data, CordsConvOperation operation, double *own, double *shared)
{
  const Direction direction = DirectionOf(data, (PetscBool)(operation == CORDS_CONV_BACKWARD_DATA));

  *own = *shared = 0;
  if (operation != CORDS_CONV_BACKWARD_WEIGHTS)
    *shared = (double)Together(&direction) * direction.pixels * direction.channels * (double)sizeof(float);
}

static PetscErrorCode BackwardWeights(void *data, PetscInt n, const void *x, const void *dy, void *dw)
{
  Data *d = data;
  const dnnl_memory_desc_t *packed_form;
  Primitive *p;
  void *packed, *plain;

  PetscFunctionBegin;
  PetscCall(PrimitiveFor(d, BACKWARD_WEIGHTS, n, &p));
  DnnlCall(dnnl_memory_get_memory_desc(p->weights, &packed_form));
  PetscCall(Room(PACKED_GRADIENT, dnnl_memory_desc_get_size(packed_form), &packed));
  PetscCall(Room(PLAIN_GRADIENT, d->weight_count * sizeof(float), &plain));
  DnnlCall(dnnl_memory_set_data_handle(p->weights, packed));
  DnnlCall(dnnl_memory_set_data_handle(d->plain_gradient, plain));
  PetscCall(Execute(p, x, dy));
  {
    dnnl_exec_arg_t arguments[] = {{DNNL_ARG_FROM, p->weights}, {DNNL_ARG_TO, d->plain_gradient}};
    DnnlCall(dnnl_primitive_execute(p->to_plain, stream, 2, arguments));
    DnnlCall(dnnl_stream_wait(stream));
  }
  CordsAxpy(CORDS_F32, d->weight_count, 1, plain, dw);
  PetscFunctionReturn(PETSC_SUCCESS);
}

const CordsConvBackendType cords_conv_backend_onednn = {.name = "onednn",
                                                        .about = "oneDNN, f32 and bf16",
                                                        .supports = Supports,
                                                        .create = Create,
                                                        .destroy = Destroy,
                                                        .pack = Pack,
                                                        .later_bytes = LaterBytes,
                                                        .run = Run,
                                                        .backward_weights = BackwardWeights};
