/* Which convolution backends did what was measured: names for the table. */
#ifndef CORDS_BENCH_USED_BACKENDS_H
#define CORDS_BENCH_USED_BACKENDS_H

#include "conv/choice.h"
#include "model/architecture.h"

enum { CORDS_BENCH_BACKENDS_LENGTH = 96 }; /* room for the names of all of them */

/* Name of the backend that CordsConvCreate takes for an operation with this many images: the choice that is known, else
   the first of backends.def that can do it.  Static. */
const char *CordsBenchBackend(const CordsConvShape *shape, CordsType type, CordsConvOperation operation,
                              PetscInt images);

/* How a network calls its convolutions. */
typedef struct {
  CordsType type;
  PetscInt operations;         /* the first so many of CordsConvOperation */
  PetscInt recurrent_images;   /* of a call of recurrent convolutions, forward or back to the images */
  PetscInt feedforward_images; /* of a call between areas; weight gradients always have many */
} CordsBenchCalls;

/* Distinct backends of all convolutions of an Euler step, in the order of backends.def: "direct, onednn". */
void CordsBenchBackends(const CordsArchitecture *architecture, const CordsBenchCalls *calls, size_t length, char *text);

#endif
