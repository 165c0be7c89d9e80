/* Weights, images and labels from the formula of the reference files, so that any language can rebuild them. */
#ifndef CORDS_TESTS_REFERENCE_FORMULA_H
#define CORDS_TESTS_REFERENCE_FORMULA_H

#include "model/model.h"

/* u in [-1, 1) for element i of the tensor NAME. */
double FormulaUniform(uint64_t seed, const char *name, uint64_t i);

/* One tensor of a model, by the rule for its name. */
void FormulaFillTensor(CordsTensor *tensor, uint64_t seed);
void FormulaFillModel(CordsModel model, uint64_t seed);

/* Images start .. start + count - 1 of the formula's batch as [image][row][column][channel]. */
void FormulaImages(const CordsArchitecture *architecture, uint64_t seed, PetscInt start, PetscInt count, float *images);
/* Their labels [image][class]. */
void FormulaLabels(const CordsArchitecture *architecture, uint64_t seed, PetscInt start, PetscInt count, float *labels);

#endif
