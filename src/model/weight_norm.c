#include "model/weight_norm.h"

#include <math.h>

static double RowNorm(PetscInt columns, const float *row)
{
  double sum = 0;

  for (PetscInt c = 0; c < columns; c++) sum += (double)row[c] * (double)row[c];
  return sqrt(sum);
}

static double Get(CordsType type, const void *a, size_t k)
{
  return type == CORDS_F64 ? ((const double *)a)[k] : (double)((const float *)a)[k];
}

void CordsWeightNormForward(PetscInt rows, PetscInt columns, const float *g, const float *v, CordsType type, void *w)
{
#pragma omp parallel for schedule(static)
  for (PetscInt o = 0; o < rows; o++) {
    const float *row = v + (size_t)o * columns;
    double scale = (double)g[o] / RowNorm(columns, row);
    for (PetscInt c = 0; c < columns; c++) {
      if (type == CORDS_F64)
        ((double *)w)[(size_t)o * columns + c] = scale * (double)row[c];
      else
        ((float *)w)[(size_t)o * columns + c] = (float)(scale * (double)row[c]);
    }
  }
}

void CordsWeightNormAdjoint(PetscInt rows, PetscInt columns, const float *g, const float *v, CordsType type,
                            const void *dw, float *dg, float *dv)
{
#pragma omp parallel for schedule(static)
  for (PetscInt o = 0; o < rows; o++) {
    const size_t at = (size_t)o * columns;
    double norm = RowNorm(columns, v + at), product = 0;
    for (PetscInt c = 0; c < columns; c++) product += Get(type, dw, at + c) * (double)v[at + c];
    dg[o] += (float)(product / norm);
    for (PetscInt c = 0; c < columns; c++) {
      dv[at + c] +=
          (float)((double)g[o] / norm * (Get(type, dw, at + c) - product * (double)v[at + c] / (norm * norm)));
    }
  }
}
