/* What a CordsNet consists of: areas, connections, sizes.  SPEC sections 1 and 8. */
#ifndef CORDS_MODEL_ARCHITECTURE_H
#define CORDS_MODEL_ARCHITECTURE_H

#include "conv/conv.h"
#include "core/context.h"

enum { CORDS_AREAS_MAX = 32, CORDS_CONNECTIONS_MAX = 3 * CORDS_AREAS_MAX + 3 };

/* φ of the areas.  PReLU has one slope for negative arguments, the same for all neurons. */
typedef enum { CORDS_PHI_RELU, CORDS_PHI_PRELU, CORDS_PHI_TANH, CORDS_PHI_SOFTPLUS, CORDS_PHI_IDENTITY } CordsPhi;
extern const char *const CordsPhiNames[];
enum { CORDS_PHI_COUNT = 5 };

typedef struct {
  PetscInt channels, rows, columns; /* rows and columns follow from the image and the strides */
  PetscInt kernel;                  /* of the recurrent convolution; odd */
  PetscInt feedforward_kernel;      /* odd */
  PetscInt stride;                  /* of the feed-forward convolution */
  PetscReal tau_ms;
} CordsAreaShape;

/* One weight-normalised convolution.  out_fc is one of 1 × 1 on 1 × 1 maps. */
typedef struct {
  char name[48]; /* state-dict name: "area_conv.0" */
  CordsConvShape shape;
} CordsConnection;

typedef struct {
  char preset[16]; /* R2, R4, R6, R8 or custom */
  PetscInt image_channels, image_rows, image_columns, classes;
  PetscInt stem_channels, stem_kernel, stem_stride; /* inp_conv; kernel 0: none, `inp` is the image */
  PetscInt pool_kernel, pool_stride;                /* average pooling after it; kernel 0: none */
  PetscInt area_count;
  CordsAreaShape areas[CORDS_AREAS_MAX];
  CordsPhi phi;
  PetscReal time_step_ms; /* dt of explicit Euler; α of an area is dt/τ */
  PetscInt spontaneous_steps, stimulus_steps, return_steps;

  /* derived: sizes of `inp`, and the connections with their places in the list (−1: there is none) */
  PetscInt stem_rows, stem_columns;   /* after inp_conv */
  PetscInt input_rows, input_columns; /* after pooling: size of `inp` */
  PetscInt connection_count;
  CordsConnection connections[CORDS_CONNECTIONS_MAX];
  PetscInt stem, input_skip, readout;
  PetscInt feedforward[CORDS_AREAS_MAX], recurrent[CORDS_AREAS_MAX];
  PetscInt skip[CORDS_AREAS_MAX]; /* into area i from area i−2; −1 with i ≥ 2: the identity */
} CordsArchitecture;

/* Neurons of one area, of all areas. */
static inline PetscInt CordsAreaNeurons(const CordsAreaShape *area)
{
  return area->channels * area->rows * area->columns;
}
PetscInt CordsArchitectureNeurons(const CordsArchitecture *architecture);

/* The pooling after the stem, as a convolution would have it; of pool_kernel 0, one that does nothing. */
CordsConvShape CordsArchitecturePool(const CordsArchitecture *architecture);

/* α = dt/τ of an area. */
static inline PetscReal CordsArchitectureAlpha(const CordsArchitecture *architecture, PetscInt area)
{
  return architecture->time_step_ms / architecture->areas[area].tau_ms;
}

/* One of the paper's networks ("R2", "R4", "R6", "R8") for images of 224 × 224.
   Errors (user): unknown preset. */
PetscErrorCode CordsArchitecturePreset(const char *preset, PetscInt image_channels, PetscInt classes,
                                       CordsArchitecture *architecture);

/* Declare and read the -architecture_* options.  image_channels and classes come from the dataset.
   Errors (user): even kernels, sizes that vanish, lists of other length than the number of areas, ... */
PetscErrorCode CordsArchitectureFromOptions(PetscInt image_channels, PetscInt classes, CordsArchitecture *architecture);

/* The same over what *architecture holds instead of the paper's values; a preset that is named replaces all but the
   image's channels and the classes. */
PetscErrorCode CordsArchitectureChangeByOptions(CordsArchitecture *architecture);
/* Declare the options in configure; they are read in run, by the function above. */
PetscErrorCode CordsArchitectureDeclareOptions(void);

/* As YAML text, and back.  `where` names the source in error messages.  PetscFree(*text) by the caller. */
PetscErrorCode CordsArchitectureToText(const CordsArchitecture *architecture, char **text);
PetscErrorCode CordsArchitectureFromText(const char *where, const char *text, CordsArchitecture *architecture);

#endif
