#include "model/architecture.h"

#include "core/config.h"
#include "core/registry.h"

#include <stdio.h>
#include <string.h>

const char *const CordsPhiNames[] = {"relu", "prelu", "tanh", "softplus", "identity"};

static const char *const preset_names[] = {"R2", "R4", "R6", "R8", "custom"};
enum { PRESET_CUSTOM = 4, PRESET_COUNT = 5 };

PetscInt CordsArchitectureNeurons(const CordsArchitecture *architecture)
{
  PetscInt neurons = 0;

  for (PetscInt i = 0; i < architecture->area_count; i++) neurons += CordsAreaNeurons(&architecture->areas[i]);
  return neurons;
}

/* What a custom network starts from: the paper's stem and first areas. */
CordsConvShape CordsArchitecturePool(const CordsArchitecture *a)
{
  const PetscBool pools = (PetscBool)(a->pool_kernel > 0);

  return CordsConvShapeSame(a->stem_rows, a->stem_columns, a->stem_channels, a->stem_channels,
                            pools ? a->pool_kernel : 1, pools ? a->pool_stride : 1);
}

static void SetDefaults(CordsArchitecture *a, PetscInt image_channels, PetscInt classes)
{
  memset(a, 0, sizeof *a);
  snprintf(a->preset, sizeof a->preset, "custom");
  a->image_channels = image_channels;
  a->classes = classes;
  a->image_rows = a->image_columns = 224;
  a->stem_channels = 64;
  a->stem_kernel = 7;
  a->stem_stride = 2;
  a->pool_kernel = 3;
  a->pool_stride = 2;
  a->phi = CORDS_PHI_RELU;
  a->time_step_ms = 2;
  a->spontaneous_steps = a->stimulus_steps = a->return_steps = 100;
}

/* SPEC section 1: two areas per scale, channels double and sides halve from one scale to the next. */
static void SetPreset(CordsArchitecture *a, PetscInt preset)
{
  snprintf(a->preset, sizeof a->preset, "%s", preset_names[preset]);
  a->area_count = 2 * (preset + 1);
  for (PetscInt i = 0; i < a->area_count; i++) {
    a->areas[i].channels = 64 << (i / 2);
    a->areas[i].kernel = a->areas[i].feedforward_kernel = 3;
    a->areas[i].stride = i >= 2 && i % 2 == 0 ? 2 : 1;
    a->areas[i].tau_ms = 10;
  }
}

static PetscInt AddConnection(CordsArchitecture *a, const char *name, PetscInt number, CordsConvShape shape)
{
  CordsConnection *connection = &a->connections[a->connection_count];

  if (number < 0)
    snprintf(connection->name, sizeof connection->name, "%s", name);
  else
    snprintf(connection->name, sizeof connection->name, "%s.%" PetscInt_FMT, name, number);
  connection->shape = shape;
  return a->connection_count++;
}

/* Sizes after the stem. */
static void DeriveStem(CordsArchitecture *a)
{
  CordsConvShape shape;

  a->stem = -1;
  a->stem_rows = a->input_rows = a->image_rows;
  a->stem_columns = a->input_columns = a->image_columns;
  if (a->stem_kernel == 0) a->stem_channels = a->image_channels;
  if (a->stem_kernel > 0) {
    shape = CordsConvShapeSame(a->image_rows, a->image_columns, a->image_channels, a->stem_channels, a->stem_kernel,
                               a->stem_stride);
    a->stem = AddConnection(a, "inp_conv", -1, shape);
    a->stem_rows = a->input_rows = shape.out_rows;
    a->stem_columns = a->input_columns = shape.out_columns;
  }
  if (a->pool_kernel > 0) {
    shape = CordsConvShapeSame(a->stem_rows, a->stem_columns, a->stem_channels, a->stem_channels, a->pool_kernel,
                               a->pool_stride);
    a->input_rows = shape.out_rows;
    a->input_columns = shape.out_columns;
  }
}

static PetscBool SameShape(const CordsAreaShape *a, const CordsAreaShape *b)
{
  return (PetscBool)(a->channels == b->channels && a->rows == b->rows && a->columns == b->columns);
}

/* Area i: its feed-forward and recurrent connections, and the skip into it. */
static PetscErrorCode DeriveArea(CordsArchitecture *a, PetscInt i, PetscInt *skip_count)
{
  CordsAreaShape *area = &a->areas[i], *below = i >= 1 ? area - 1 : NULL, *below2 = i >= 2 ? area - 2 : NULL;
  CordsConvShape shape;

  PetscFunctionBegin;
  shape = CordsConvShapeSame(below ? below->rows : a->input_rows, below ? below->columns : a->input_columns,
                             below ? below->channels : a->stem_channels, area->channels, area->feedforward_kernel,
                             area->stride);
  area->rows = shape.out_rows;
  area->columns = shape.out_columns;
  CordsCheckUser(area->rows > 0 && area->columns > 0, PETSC_COMM_WORLD,
                 "architecture: area %" PetscInt_FMT " has no pixel left; use larger images or smaller strides", i);
  a->feedforward[i] = AddConnection(a, "area_area", i, shape);
  a->recurrent[i] =
      AddConnection(a, "area_conv", i,
                    CordsConvShapeSame(area->rows, area->columns, area->channels, area->channels, area->kernel, 1));
  a->skip[i] = -1;
  if (i == 1) {
    a->input_skip = AddConnection(
        a, "inp_skip", -1,
        CordsConvShapeSame(a->input_rows, a->input_columns, a->stem_channels, below->channels, 3, below->stride));
  }
  if (below2 && !SameShape(below, below2)) {
    a->skip[i] = AddConnection(
        a, "skip_area", (*skip_count)++,
        CordsConvShapeSame(below2->rows, below2->columns, below2->channels, below->channels, 1, below->stride));
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* Fill everything that follows from the numbers a user gives. */
static PetscErrorCode Derive(CordsArchitecture *a)
{
  PetscInt skip_count = 0;
  const CordsAreaShape *last;

  PetscFunctionBegin;
  a->connection_count = 0;
  DeriveStem(a);
  for (PetscInt i = 0; i < a->area_count; i++) PetscCall(DeriveArea(a, i, &skip_count));
  last = &a->areas[a->area_count - 1];
  CordsCheckUser(
      SameShape(last, last - 1), PETSC_COMM_WORLD,
      "architecture: the last two areas are read out together and must have equal shapes, here %" PetscInt_FMT
      " x %" PetscInt_FMT " x %" PetscInt_FMT " and %" PetscInt_FMT " x %" PetscInt_FMT " x %" PetscInt_FMT,
      last[-1].channels, last[-1].rows, last[-1].columns, last->channels, last->rows, last->columns);
  a->readout = AddConnection(a, "out_fc", -1, CordsConvShapeSame(1, 1, last->channels, a->classes, 1, 1));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsArchitecturePreset(const char *preset, PetscInt image_channels, PetscInt classes,
                                       CordsArchitecture *architecture)
{
  PetscInt index;

  PetscFunctionBegin;
  PetscCall(CordsRegistryFind("architecture preset", PRESET_CUSTOM, preset_names, preset, &index));
  SetDefaults(architecture, image_channels, classes);
  SetPreset(architecture, index);
  PetscCall(Derive(architecture));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode OddKernel(const char *what, PetscInt kernel)
{
  PetscFunctionBegin;
  CordsCheckUser(kernel % 2 == 1 || kernel == 0, PETSC_COMM_WORLD, "%s %" PetscInt_FMT ": kernels must be odd", what,
                 kernel);
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* A per-area list: absent keeps what is there, one value serves all areas, else one value per area. */
static PetscErrorCode CheckListLength(const char *name, PetscInt count, PetscInt area_count)
{
  PetscFunctionBegin;
  CordsCheckUser(count == 0 || count == 1 || count == area_count, PETSC_COMM_WORLD,
                 "%s has %" PetscInt_FMT " values for %" PetscInt_FMT " areas; give one value or one for each area",
                 name, count, area_count);
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode IntPerArea(const char *name, const char *about, PetscInt maximum, PetscInt area_count,
                                 PetscInt standard, PetscInt values[])
{
  PetscInt count = CORDS_AREAS_MAX, given[CORDS_AREAS_MAX];

  PetscFunctionBegin;
  PetscCall(CordsOptionIntArray(name, about, "", 1, maximum, &count, given));
  PetscCall(CheckListLength(name, count, area_count));
  for (PetscInt i = 0; i < area_count; i++) {
    if (count > 0)
      values[i] = given[count == 1 ? 0 : i];
    else if (values[i] == 0)
      values[i] = standard;
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode ReadStem(CordsArchitecture *a)
{
  PetscFunctionBegin;
  PetscCall(CordsOptionInt("-architecture_image_rows", "rows of the images the network sees", "pixels", 1, 16384,
                           &a->image_rows));
  PetscCall(CordsOptionInt("-architecture_image_columns", "columns of the images the network sees", "pixels", 1, 16384,
                           &a->image_columns));
  PetscCall(CordsOptionInt("-architecture_stem_kernel", "side of the kernel of inp_conv, odd; 0: no stem", "pixels", 0,
                           99, &a->stem_kernel));
  PetscCall(OddKernel("-architecture_stem_kernel", a->stem_kernel));
  PetscCall(CordsOptionInt("-architecture_stem_channels", "channels of inp_conv", "", 1, 65536, &a->stem_channels));
  PetscCall(CordsOptionInt("-architecture_stem_stride", "stride of inp_conv", "pixels", 1, 99, &a->stem_stride));
  PetscCall(CordsOptionInt("-architecture_pool_kernel", "side of the average pooling after it, odd; 0: none", "pixels",
                           0, 99, &a->pool_kernel));
  PetscCall(OddKernel("-architecture_pool_kernel", a->pool_kernel));
  PetscCall(CordsOptionInt("-architecture_pool_stride", "stride of the pooling", "pixels", 1, 99, &a->pool_stride));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscBool SameChannels(const CordsArchitecture *a, PetscInt count, const PetscInt channels[])
{
  PetscBool same = (PetscBool)(count == a->area_count);

  for (PetscInt i = 0; i < count && same; i++) same = (PetscBool)(a->areas[i].channels == channels[i]);
  return same;
}

static PetscErrorCode ReadAreas(CordsArchitecture *a)
{
  PetscInt count = CORDS_AREAS_MAX, given[CORDS_AREAS_MAX], values[CORDS_AREAS_MAX];
  PetscReal taus[CORDS_AREAS_MAX];

  PetscFunctionBegin;
  PetscCall(CordsOptionIntArray("-architecture_channels", "channels of each area; sets the number of areas", "", 1,
                                65536, &count, given));
  CordsCheckUser(count == 0 || count >= 2, PETSC_COMM_WORLD,
                 "-architecture_channels: a network has at least 2 areas (the read-out takes the last two)");
  if (count > 0) {
    /* a file names the preset and lists its channels: it is still that preset */
    if (!SameChannels(a, count, given)) snprintf(a->preset, sizeof a->preset, "custom");
    a->area_count = count;
    for (PetscInt i = 0; i < count; i++) a->areas[i].channels = given[i];
  }
  PetscCall(CordsOptionRequire("-architecture_channels", a->area_count > 0 ? "given" : "",
                               "the channels of each area; or take -architecture_preset R2, R4, R6 or R8"));
#define PER_AREA(field, name, about, maximum, standard)                                                                \
  do {                                                                                                                 \
    for (PetscInt i = 0; i < a->area_count; i++) values[i] = a->areas[i].field;                                        \
    PetscCall(IntPerArea(name, about, maximum, a->area_count, standard, values));                                      \
    for (PetscInt i = 0; i < a->area_count; i++) a->areas[i].field = values[i];                                        \
  } while (0)
  PER_AREA(stride, "-architecture_strides", "stride of the feed-forward convolution into each area", 99, 1);
  PER_AREA(kernel, "-architecture_kernels", "side of the recurrent kernel of each area, odd", 99, 3);
  PER_AREA(feedforward_kernel, "-architecture_feedforward_kernels", "side of the feed-forward kernel of each area, odd",
           99, 3);
#undef PER_AREA
  count = CORDS_AREAS_MAX;
  PetscCall(CordsOptionRealArray("-architecture_tau", "time constant of each area (default 10)", "ms", 1e-3, 1e6,
                                 &count, taus));
  PetscCall(CheckListLength("-architecture_tau", count, a->area_count));
  for (PetscInt i = 0; i < a->area_count; i++) {
    CordsAreaShape *area = &a->areas[i];
    PetscCall(OddKernel("-architecture_kernels", area->kernel));
    PetscCall(OddKernel("-architecture_feedforward_kernels", area->feedforward_kernel));
    if (count > 0)
      area->tau_ms = taus[count == 1 ? 0 : i];
    else if (area->tau_ms == 0)
      area->tau_ms = 10;
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode ReadTime(CordsArchitecture *a)
{
  PetscInt phi = (PetscInt)a->phi;

  PetscFunctionBegin;
  PetscCall(CordsOptionChoice("-architecture_phi", "nonlinearity of the trained network", CORDS_PHI_COUNT,
                              CordsPhiNames, &phi));
  a->phi = (CordsPhi)phi;
  PetscCall(CordsOptionReal("-architecture_time_step", "dt of explicit Euler; alpha = dt/tau", "ms", 1e-6, 1e6,
                            &a->time_step_ms));
  PetscCall(CordsOptionInt("-architecture_spontaneous_steps", "time steps without an image before the stimulus",
                           "steps", 0, 1000000, &a->spontaneous_steps));
  PetscCall(CordsOptionInt("-architecture_stimulus_steps", "time steps with the image", "steps", 1, 1000000,
                           &a->stimulus_steps));
  PetscCall(CordsOptionInt("-architecture_return_steps", "time steps without an image after the stimulus", "steps", 0,
                           1000000, &a->return_steps));
  for (PetscInt i = 0; i < a->area_count; i++) {
    CordsCheckUser(a->time_step_ms <= a->areas[i].tau_ms, PETSC_COMM_WORLD,
                   "-architecture_time_step %g ms is longer than tau of area %" PetscInt_FMT " (%g ms)",
                   (double)a->time_step_ms, i, (double)a->areas[i].tau_ms);
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsArchitectureChangeByOptions(CordsArchitecture *architecture)
{
  PetscInt preset = PRESET_CUSTOM;

  PetscFunctionBegin;
  PetscCall(CordsOptionChoice("-architecture_preset", "a network of the paper to start from", PRESET_COUNT,
                              preset_names, &preset));
  if (preset != PRESET_CUSTOM) {
    SetDefaults(architecture, architecture->image_channels, architecture->classes);
    SetPreset(architecture, preset);
  }
  PetscCall(ReadStem(architecture));
  PetscCall(ReadAreas(architecture));
  PetscCall(ReadTime(architecture));
  if (!CordsConfigHelp()) PetscCall(Derive(architecture));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsArchitectureFromOptions(PetscInt image_channels, PetscInt classes, CordsArchitecture *architecture)
{
  PetscFunctionBegin;
  SetDefaults(architecture, image_channels, classes);
  PetscCall(CordsArchitectureChangeByOptions(architecture));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsArchitectureDeclareOptions(void)
{
  CordsArchitecture any;
  PetscOptions empty;

  PetscFunctionBegin;
  PetscCall(PetscOptionsCreate(&empty)); /* so that nobody's lists are compared with the areas of another network */
  PetscCall(PetscOptionsSetValue(empty, "-architecture_channels", "1,1"));
  PetscCall(PetscOptionsPush(empty));
  PetscCall(CordsArchitectureFromOptions(1, 1, &any));
  PetscCall(PetscOptionsPop());
  PetscCall(PetscOptionsDestroy(&empty));
  PetscCall(CordsConfigLater("-architecture_"));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static void AppendInts(char *text, size_t length, const char *key, const CordsArchitecture *a, size_t offset)
{
  snprintf(text + strlen(text), length - strlen(text), "  %s: [", key);
  for (PetscInt i = 0; i < a->area_count; i++) {
    PetscInt value = *(const PetscInt *)((const char *)&a->areas[i] + offset);
    snprintf(text + strlen(text), length - strlen(text), "%s%" PetscInt_FMT, i ? ", " : "", value);
  }
  snprintf(text + strlen(text), length - strlen(text), "]\n");
}

PetscErrorCode CordsArchitectureToText(const CordsArchitecture *a, char **text)
{
  enum { LENGTH = 8192 };

  PetscFunctionBegin;
  PetscCall(PetscCalloc1(LENGTH, text));
  snprintf(*text, LENGTH,
           "classes: %" PetscInt_FMT "\nimage_channels: %" PetscInt_FMT "\narchitecture:\n  preset: %s\n"
           "  image_rows: %" PetscInt_FMT "\n  image_columns: %" PetscInt_FMT "\n  stem_kernel: %" PetscInt_FMT
           "\n  stem_channels: %" PetscInt_FMT "\n  stem_stride: %" PetscInt_FMT "\n  pool_kernel: %" PetscInt_FMT
           "\n  pool_stride: %" PetscInt_FMT "\n",
           a->classes, a->image_channels, a->preset, a->image_rows, a->image_columns, a->stem_kernel, a->stem_channels,
           a->stem_stride, a->pool_kernel, a->pool_stride);
  AppendInts(*text, LENGTH, "channels", a, offsetof(CordsAreaShape, channels));
  AppendInts(*text, LENGTH, "strides", a, offsetof(CordsAreaShape, stride));
  AppendInts(*text, LENGTH, "kernels", a, offsetof(CordsAreaShape, kernel));
  AppendInts(*text, LENGTH, "feedforward_kernels", a, offsetof(CordsAreaShape, feedforward_kernel));
  snprintf(*text + strlen(*text), LENGTH - strlen(*text), "  tau: [");
  for (PetscInt i = 0; i < a->area_count; i++) {
    snprintf(*text + strlen(*text), LENGTH - strlen(*text), "%s%.17g", i ? ", " : "", (double)a->areas[i].tau_ms);
  }
  snprintf(*text + strlen(*text), LENGTH - strlen(*text),
           "]\n  phi: %s\n  time_step: %.17g\n  spontaneous_steps: %" PetscInt_FMT "\n  stimulus_steps: %" PetscInt_FMT
           "\n  return_steps: %" PetscInt_FMT "\n",
           CordsPhiNames[a->phi], (double)a->time_step_ms, a->spontaneous_steps, a->stimulus_steps, a->return_steps);
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode QuietHandler(MPI_Comm comm, int line, const char *function, const char *file, PetscErrorCode ierr,
                                   PetscErrorType type, const char *message, void *context)
{
  return ierr;
}

PetscErrorCode CordsArchitectureFromText(const char *where, const char *text, CordsArchitecture *architecture)
{
  PetscOptions options;
  PetscErrorCode ierr;
  PetscInt classes = 0, image_channels = 0;
  PetscBool has_channels;

  PetscFunctionBegin;
  PetscCall(PetscOptionsCreate(&options));
  PetscCall(PetscPushErrorHandler(QuietHandler, NULL));
  ierr = PetscOptionsInsertStringYAML(options, text);
  PetscCall(PetscPopErrorHandler());
  CordsCheckUser(!ierr, PETSC_COMM_WORLD, "%s: its architecture is not readable YAML; is it a file of cords?", where);
  /* The text goes through the same functions as the user's options, by making it the current options database. */
  PetscCall(PetscOptionsPush(options));
  PetscCall(PetscOptionsHasName(options, NULL, "-architecture_channels", &has_channels));
  CordsCheckUser(has_channels, PETSC_COMM_WORLD, "%s: its architecture names no channels; is it a file of cords?",
                 where);
  PetscCall(CordsOptionInt("-classes", "", "", 1, 1000000, &classes));
  PetscCall(CordsOptionInt("-image_channels", "", "", 1, 4096, &image_channels));
  CordsCheckUser(classes > 0 && image_channels > 0, PETSC_COMM_WORLD,
                 "%s: its architecture names no classes or image channels", where);
  PetscCall(CordsArchitectureFromOptions(image_channels, classes, architecture));
  PetscCall(PetscOptionsPop());
  PetscCall(PetscOptionsDestroy(&options));
  PetscFunctionReturn(PETSC_SUCCESS);
}
