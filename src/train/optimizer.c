#include "train/optimizer.h"

#include <math.h>
#include <string.h>

const char *const CordsOptimizerNames[] = {"sgd", "adamw"};

PetscErrorCode CordsOptimizerCreate(CordsModel model, CordsOptimizerKind kind, double weight_decay, double clip,
                                    PetscBool (*learns)(const char *tensor), CordsOptimizer *optimizer)
{
  CordsOptimizer o;

  PetscFunctionBegin;
  PetscCall(PetscNew(&o));
  o->kind = kind;
  o->weight_decay = weight_decay;
  o->momentum = 0.9;
  o->clip = clip;
  o->model = model;
  PetscCall(PetscCalloc1(model->learnable_count, &o->learns));
  for (PetscInt k = 0; k < model->learnable_count; k++) o->learns[k] = learns(model->tensors[k].name);
  for (int k = 0; k < 2; k++) PetscCall(PetscCalloc1(model->learnable_values, &o->moments[k]));
  *optimizer = o;
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsOptimizerDestroy(CordsOptimizer *optimizer)
{
  PetscFunctionBegin;
  if (!*optimizer) PetscFunctionReturn(PETSC_SUCCESS);
  PetscCall(PetscFree((*optimizer)->learns));
  for (int k = 0; k < 2; k++) PetscCall(PetscFree((*optimizer)->moments[k]));
  PetscCall(PetscFree(*optimizer));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsOptimizerReset(CordsOptimizer optimizer)
{
  PetscFunctionBegin;
  optimizer->steps = 0;
  for (int k = 0; k < 2; k++) {
    memset(optimizer->moments[k], 0, (size_t)optimizer->model->learnable_values * sizeof(float));
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

static void StepSgd(CordsOptimizer o, float rate, PetscInt n, float *p, const float *g, float *velocity)
{
  const float decay = (float)o->weight_decay, momentum = o->steps == 1 ? 0.0f : (float)o->momentum;

#pragma omp parallel for simd schedule(static)
  for (PetscInt k = 0; k < n; k++) {
    velocity[k] = momentum * velocity[k] + (g[k] + decay * p[k]);
    p[k] -= rate * velocity[k];
  }
}

/* Loshchilov, Hutter, "Decoupled weight decay regularization", 2019; ε outside the root of the corrected second moment.
 */
static void StepAdamW(CordsOptimizer o, double rate, PetscInt n, float *p, const float *g, float *first, float *second)
{
  const double beta1 = 0.9, beta2 = 0.999;
  const float epsilon = 1e-8f, keep = (float)(1 - rate * o->weight_decay);
  const float b1 = (float)beta1, b2 = (float)beta2, c1 = (float)(1 - beta1), c2 = (float)(1 - beta2);
  const float size = (float)(rate / (1 - pow(beta1, (double)o->steps)));
  const float root = (float)sqrt(1 - pow(beta2, (double)o->steps));

#pragma omp parallel for simd schedule(static)
  for (PetscInt k = 0; k < n; k++) {
    first[k] = b1 * first[k] + c1 * g[k];
    second[k] = b2 * second[k] + c2 * g[k] * g[k];
    p[k] = keep * p[k] - size * first[k] / (sqrtf(second[k]) / root + epsilon);
  }
}

/* Σ g², in parts whose sums are added in their order: the same on any number of threads. */
static double SumOfSquares(PetscInt n, const float *g)
{
  enum { PART = 1 << 14 };
  double sum = 0;

#pragma omp parallel for schedule(static, 1) ordered
  for (PetscInt start = 0; start < n; start += PART) {
    const PetscInt end = PetscMin(start + PART, n);
    double part = 0;
#pragma omp simd reduction(+ : part)
    for (PetscInt k = start; k < end; k++) part += (double)g[k] * (double)g[k];
#pragma omp ordered
    sum += part;
  }
  return sum;
}

PetscErrorCode CordsOptimizerStep(CordsOptimizer optimizer, double learning_rate, float *gradient, double *norm)
{
  CordsModel model = optimizer->model;
  double sum = 0, factor;

  PetscFunctionBegin;
  for (PetscInt t = 0; t < model->learnable_count; t++) {
    if (!optimizer->learns[t]) continue;
    sum += SumOfSquares(CordsTensorSize(&model->tensors[t]), gradient + (model->tensors[t].data - model->values));
  }
  *norm = sqrt(sum);
  factor = optimizer->clip > 0 ? fmin(optimizer->clip / (*norm + 1e-6), 1) : 1; /* as clip_grad_norm_ */
  optimizer->steps++;
  for (PetscInt t = 0; t < model->learnable_count; t++) {
    PetscInt at = (PetscInt)(model->tensors[t].data - model->values), n = CordsTensorSize(&model->tensors[t]);
    if (!optimizer->learns[t]) continue;
    for (PetscInt k = 0; k < n; k++) gradient[at + k] *= (float)factor;
    if (optimizer->kind == CORDS_OPTIMIZER_SGD) {
      StepSgd(optimizer, (float)learning_rate, n, model->values + at, gradient + at, optimizer->moments[0] + at);
    } else {
      StepAdamW(optimizer, learning_rate, n, model->values + at, gradient + at, optimizer->moments[0] + at,
                optimizer->moments[1] + at);
    }
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}
