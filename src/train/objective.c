#include "train/objective.h"

#include <math.h>

static double Get(CordsType type, const void *a, size_t k)
{
  return type == CORDS_F64 ? ((const double *)a)[k] : (double)((const float *)a)[k];
}

void CordsCrossEntropy(CordsType type, PetscInt n, PetscInt classes, const void *logits, const float *labels,
                       PetscInt total, double weight, double *loss, double *accuracy, void *dlogits)
{
  for (PetscInt item = 0; item < n; item++) {
    size_t at = (size_t)item * classes;
    double largest = -INFINITY, sum = 0, mass = 0, item_loss = 0;
    PetscInt guess = 0, truth = 0;
    for (PetscInt k = 0; k < classes; k++) {
      double logit = Get(type, logits, at + k);
      if (logit > largest) largest = logit, guess = k;
      if (labels[at + k] > labels[at + truth]) truth = k;
      mass += (double)labels[at + k];
    }
    for (PetscInt k = 0; k < classes; k++) sum += exp(Get(type, logits, at + k) - largest);
    for (PetscInt k = 0; k < classes; k++) {
      double log_probability = Get(type, logits, at + k) - largest - log(sum);
      double derivative = weight * (mass * exp(log_probability) - (double)labels[at + k]) / total;
      item_loss -= (double)labels[at + k] * log_probability;
      if (!dlogits) continue;
      if (type == CORDS_F64)
        ((double *)dlogits)[at + k] = derivative;
      else
        ((float *)dlogits)[at + k] = (float)derivative;
    }
    *loss += item_loss / total;
    *accuracy += (double)(guess == truth) / total;
  }
}

void CordsRampWeights(PetscInt count, double weights[])
{
  for (PetscInt k = 0; k < count; k++) weights[k] = count > 1 ? pow(10, -3 + 3.0 * (double)k / (double)(count - 1)) : 1;
}
