/* What the author of a new kind of area fills in: the pointwise law between the synaptic input u of a neuron and its
   rate r.  Convolutions, wiring and time stepping are the same for all kinds (model/system).  Add a line to areas.def.

   n numbers each; `type` is the type of all arrays; slope is PReLU's. */
#ifndef CORDS_MODEL_AREA_TYPE_H
#define CORDS_MODEL_AREA_TYPE_H

#include "conv/conv.h"
#include "model/architecture.h"

typedef struct {
  CordsPhi phi;
  double slope; /* of PReLU for negative arguments */
  double alpha; /* dt/τ of the area */
} CordsAreaLaw;

typedef struct {
  const char *name;
  const char *about;
  /* r_next = r + α f(u, r); may be in place */
  void (*step)(const CordsAreaLaw *law, CordsType type, size_t n, const void *u, const void *r, void *r_next);
  /* f(u, r), the right-hand side of τ dr/dt */
  void (*rhs)(const CordsAreaLaw *law, CordsType type, size_t n, const void *u, const void *r, void *f);
  /* ∂f/∂u; ∂f/∂r is −1 for every kind so far */
  void (*slope)(const CordsAreaLaw *law, CordsType type, size_t n, const void *u, void *slope);
  /* The step as one that convolutions can do on their way (conv/conv.h); false if the law is not of that form. */
  PetscBool (*fused)(const CordsAreaLaw *law, CordsConvLaw *fused);
} CordsAreaType;

/* By name.  Errors: PETSC_ERR_PLIB. */
PetscErrorCode CordsAreaTypeFind(const char *name, const CordsAreaType **type);
PetscErrorCode CordsAreaTypeList(PetscInt *count, const char *const **names, const char *const **abouts);

#endif
