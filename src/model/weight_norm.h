/* Weight normalisation, w_o = g_o v_o / |v_o| for each output row o (Salimans, Kingma, "Weight normalization", 2016),
   computed in float64. */
#ifndef CORDS_MODEL_WEIGHT_NORM_H
#define CORDS_MODEL_WEIGHT_NORM_H

#include "core/array.h"

/* w [rows][columns] in `type`, g [rows], v [rows][columns]. */
void CordsWeightNormForward(PetscInt rows, PetscInt columns, const float *g, const float *v, CordsType type, void *w);

/* dg += ⟨dw_o, v_o⟩/|v_o|;  dv += g_o/|v_o| (dw_o − ⟨dw_o, v_o⟩ v_o/|v_o|²) */
void CordsWeightNormAdjoint(PetscInt rows, PetscInt columns, const float *g, const float *v, CordsType type,
                            const void *dw, float *dg, float *dv);

#endif
