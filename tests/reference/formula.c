#include "formula.h"

#include <math.h>
#include <string.h>

static uint64_t NameHash(const char *name)
{
  uint64_t hash = UINT64_C(0xcbf29ce484222325);

  for (; *name; name++) hash = (hash ^ (unsigned char)*name) * UINT64_C(0x100000001b3);
  return hash;
}

double FormulaUniform(uint64_t seed, const char *name, uint64_t i)
{
  uint64_t z = i + NameHash(name) + seed * UINT64_C(0x9E3779B97F4A7C15);

  z = (z + 1) * UINT64_C(0x9E3779B97F4A7C15);
  z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
  z ^= z >> 31;
  return (double)(z >> 40) * 0x1p-24 * 2 - 1;
}

static int EndsWith(const char *name, const char *end)
{
  size_t a = strlen(name), b = strlen(end);

  return a >= b && strcmp(name + a - b, end) == 0;
}

static int StartsWith(const char *name, const char *start)
{
  return strncmp(name, start, strlen(start)) == 0;
}

/* value = offset + scale · u */
static void Rule(const char *name, double *offset, double *scale)
{
  double gain = StartsWith(name, "area_conv")                                   ? 0.55
                : StartsWith(name, "inp_skip") || StartsWith(name, "skip_area") ? 0.7
                                                                                : 1;

  *offset = 0;
  *scale = 1;
  if (EndsWith(name, "original1")) return;
  *scale = 0.1;
  if (EndsWith(name, "original0"))
    *offset = gain, *scale = 0.2 * gain;
  else if (EndsWith(name, "running_mean"))
    *scale = 0.2;
  else if (EndsWith(name, "running_var"))
    *offset = 1, *scale = 0.5;
  else if (EndsWith(name, ".weight"))
    *offset = 1, *scale = 0.3;
}

void FormulaFillTensor(CordsTensor *tensor, uint64_t seed)
{
  double offset, scale;

  Rule(tensor->name, &offset, &scale);
  for (PetscInt i = 0; i < CordsTensorSize(tensor); i++) {
    tensor->data[i] = (float)(offset + scale * FormulaUniform(seed, tensor->name, (uint64_t)i));
  }
}

void FormulaFillModel(CordsModel model, uint64_t seed)
{
  for (PetscInt k = 0; k < model->tensor_count; k++) FormulaFillTensor(&model->tensors[k], seed);
}

void FormulaImages(const CordsArchitecture *a, uint64_t seed, PetscInt start, PetscInt count, float *images)
{
  PetscInt pixels = a->image_rows * a->image_columns, channels = a->image_channels;

  for (PetscInt n = 0; n < count; n++) {
    for (PetscInt c = 0; c < channels; c++) {
      for (PetscInt p = 0; p < pixels; p++) {
        uint64_t i = ((uint64_t)(start + n) * (uint64_t)channels + (uint64_t)c) * (uint64_t)pixels + (uint64_t)p;
        images[((size_t)n * pixels + p) * channels + c] = (float)(2 * FormulaUniform(seed, "images", i));
      }
    }
  }
}

void FormulaLabels(const CordsArchitecture *a, uint64_t seed, PetscInt start, PetscInt count, float *labels)
{
  for (PetscInt n = 0; n < count; n++) {
    uint64_t row = (uint64_t)(start + n) * (uint64_t)a->classes;
    double sum = 0;
    for (PetscInt k = 0; k < a->classes; k++) sum += fabs(FormulaUniform(seed, "labels", row + (uint64_t)k));
    for (PetscInt k = 0; k < a->classes; k++) {
      labels[(size_t)n * a->classes + k] = (float)(fabs(FormulaUniform(seed, "labels", row + (uint64_t)k)) / sum);
    }
  }
}
