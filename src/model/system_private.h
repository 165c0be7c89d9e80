/* The insides of a system, for the files that implement model/system.h: system.c (one area, all areas), drive.c,
   input.c, linearisation.c, readout.c. */
#ifndef CORDS_MODEL_SYSTEM_PRIVATE_H
#define CORDS_MODEL_SYSTEM_PRIVATE_H

#include "conv/cut_pool.h"
#include "conv/pointwise.h"
#include "core/layout.h"
#include "model/area_type.h"
#include "model/system.h"

#include <string.h>

/* Work arrays that grow on demand; each user of one is named here. */
typedef enum {
  CORDS_WORK_AREA_INPUT,   /* a_i */
  CORDS_WORK_AREA_ADJOINT, /* V_iᵀ dz */
  CORDS_WORK_SKIP,         /* ρ(r_{i−2}), skipᵀ da */
  CORDS_WORK_SYNAPSES,     /* u or D w of one area */
  CORDS_WORK_COUNT
} CordsWork;

struct _p_CordsSystem {
  CordsContext context;   /* borrowed */
  CordsContextData group; /* the ranks of the domain group, for sums over them */
  CordsModel model;       /* borrowed */
  CordsType type, master; /* T, M */
  CordsWeights weights;
  CordsCutPool pool; /* of the stem, M; NULL: none */
  const CordsAreaType *kind;
  CordsAreaLaw laws[CORDS_AREAS_MAX];
  CordsConvLaw fused_laws[CORDS_AREAS_MAX];
  PetscBool has_fused_step;
  CordsArray biases[CORDS_AREAS_MAX];         /* conv_bias as [row][column][channel], T */
  CordsArray bias_gradients[CORDS_AREAS_MAX]; /* the same order, M */
  CordsArray readout_bias, readout_bias_gradient;
  CordsLayout layouts[CORDS_AREAS_MAX];
  PetscInt offsets[CORDS_AREAS_MAX + 1];
  CordsArray work[CORDS_WORK_COUNT];
};

struct _p_CordsInput {
  CordsSystem system; /* borrowed */
  PetscInt batch;
  CordsArray images, stem, inp;             /* M; as given, after inp_conv, after pooling */
  CordsArray skip, drive;                   /* T: S inp, V_0 inp */
  CordsArray skip_gradient, drive_gradient; /* M: with respect to the last two */
};

/* Numbers in n items of an area. */
static inline size_t CordsSystemNumbers(CordsSystem system, PetscInt area, PetscInt n)
{
  return (size_t)n * (size_t)CordsSystemNeurons(system, area);
}

static inline CordsConv CordsSystemConv(CordsSystem system, PetscInt connection)
{
  return CordsWeightsConv(system->weights, connection);
}

/* At least `numbers` numbers of T of work space; contents undefined. */
PetscErrorCode CordsSystemWork(CordsSystem system, CordsWork which, size_t numbers, void **data);

/* The gradient of ⟨dy, W x⟩ with respect to the weights of a connection, collected. */
PetscErrorCode CordsSystemCollectWeights(CordsSystem system, PetscInt connection, PetscInt n, const void *x,
                                         const void *dy);

#endif
