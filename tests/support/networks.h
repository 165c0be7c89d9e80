/* Small networks for tests of the model and of training: every kind of connection, odd and rectangular maps, strides;
   with and without stem; values with no accidental zeros. */
#ifndef CORDS_TESTS_SUPPORT_NETWORKS_H
#define CORDS_TESTS_SUPPORT_NETWORKS_H

#include "model/model.h"
#include "support/support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* Three areas, stem with pooling, inp_skip, a skip convolution into area 2. */
#define NETWORK_STEM                                                                                                   \
  "  image_rows: 11\n  image_columns: 9\n  stem_kernel: 3\n  stem_channels: 3\n  stem_stride: 1\n  pool_kernel: 3\n"   \
  "  pool_stride: 2\n  channels: [3, 4, 4]\n  strides: [1, 2, 1]\n  tau: [10, 20, 5]\n"
/* Four areas without stem, other kernels; the identity skips into area 2, a convolution into area 3. */
#define NETWORK_BARE                                                                                                   \
  "  image_rows: 7\n  image_columns: 5\n  stem_kernel: 0\n  pool_kernel: 0\n  channels: [3, 3, 4, 4]\n"                \
  "  strides: [1, 1, 2, 1]\n  kernels: [3, 1, 5, 3]\n  feedforward_kernels: [3, 5, 1, 3]\n  tau: [8, 10, 10, 25]\n"

enum { NETWORK_CLASSES = 5, NETWORK_CHANNELS = 2 };

static const char *const network_texts[] = {NETWORK_STEM, NETWORK_BARE};
enum { NETWORK_COUNT = 2 };

static inline CordsArchitecture NetworkArchitecture(const char *body, const char *phi)
{
  CordsArchitecture architecture;
  char text[1024];

  snprintf(text, sizeof text,
           "classes: %d\nimage_channels: %d\narchitecture:\n%s  phi: %s\n  spontaneous_steps: 6\n  stimulus_steps: 8\n"
           "  return_steps: 7\n",
           NETWORK_CLASSES, NETWORK_CHANNELS, body, phi);
  SupportCall(CordsArchitectureFromText("the test", text, &architecture));
  return architecture;
}

/* Random values of a sensible size for every tensor: scales near 1, biases and means near 0, v anything. */
static inline void NetworkFill(CordsModel model, uint64_t stream)
{
  for (PetscInt k = 0; k < model->tensor_count; k++) {
    CordsTensor *t = &model->tensors[k];
    int scale = strstr(t->name, "original0") || strstr(t->name, "running_var") ||
                (strstr(t->name, "norm") && strstr(t->name, ".weight")) ||
                (strstr(t->name, "nrm2") && strstr(t->name, ".weight"));
    SupportFillF32(stream + (uint64_t)k, CordsTensorSize(t), t->data);
    for (PetscInt j = 0; j < CordsTensorSize(t) && !strstr(t->name, "original1"); j++) {
      t->data[j] = scale ? 0.8F + 0.3F * t->data[j] : 0.4F * t->data[j];
    }
  }
}

static inline CordsModel NetworkModel(const char *body, const char *phi, CordsForm form)
{
  CordsArchitecture architecture = NetworkArchitecture(body, phi);
  CordsModel model;

  SupportCall(CordsModelCreate(&architecture, form, &model));
  NetworkFill(model, 1000);
  return model;
}

static inline PetscInt NetworkImageSize(CordsModel model)
{
  const CordsArchitecture *a = &model->architecture;

  return a->image_rows * a->image_columns * a->image_channels;
}

/* `count` images; PetscFree by the caller. */
static inline float *NetworkImages(CordsModel model, PetscInt count, uint64_t stream)
{
  float *images;

  SupportCall(PetscMalloc1(count * NetworkImageSize(model), &images));
  SupportFillF32(stream, count * NetworkImageSize(model), images);
  for (PetscInt k = 0; k < count * NetworkImageSize(model); k++) images[k] *= 2;
  return images;
}

/* Numbers as doubles, whatever the type. */
static inline double NetworkGet(CordsType type, const void *a, size_t k)
{
  return type == CORDS_F64 ? ((const double *)a)[k] : (double)((const float *)a)[k];
}

static inline void NetworkSet(CordsType type, void *a, size_t k, double value)
{
  if (type == CORDS_F64)
    ((double *)a)[k] = value;
  else
    ((float *)a)[k] = (float)value;
}

static inline double NetworkDot(CordsType type, size_t n, const void *a, const void *b)
{
  double sum = 0;

  for (size_t k = 0; k < n; k++) sum += NetworkGet(type, a, k) * NetworkGet(type, b, k);
  return sum;
}

/* An array of numbers in ±1. */
static inline CordsArray NetworkRandom(CordsType type, size_t n, uint64_t stream)
{
  CordsArray a;

  SupportCall(CordsArrayCreate(type, 1, (PetscInt)n, &a));
  for (size_t k = 0; k < n; k++) NetworkSet(type, a.data, k, SupportRandom(stream, (uint32_t)k));
  return a;
}

/* Numbers of either sign with 1/2 ≤ |x| ≤ 1: adding less than 1/2 changes no sign, so relu is linear around them. */
static inline CordsArray NetworkAwayFromZero(CordsType type, size_t n, uint64_t stream)
{
  CordsArray a = NetworkRandom(type, n, stream);

  for (size_t k = 0; k < n; k++) {
    double x = NetworkGet(type, a.data, k);
    NetworkSet(type, a.data, k, (x < 0 ? -0.5 : 0.5) + x / 2);
  }
  return a;
}

/* Two numbers that should be the same but for round-off of sums of `terms` numbers of size `scale`. */
static inline void NetworkClose(const char *what, double a, double b, double scale, double tolerance)
{
  if (!(fabs(a - b) <= tolerance * scale)) {
    print_error("%s: %.17g and %.17g differ by %g, allowed %g\n", what, a, b, fabs(a - b), tolerance * scale);
    fail();
  }
}

/* --- gradients against central differences --- */

/* A scalar function of the model's values. */
typedef double (*NetworkLoss)(void *context, CordsModel model);

/* Compare gradient [learnable_values] with (L(p + d) − L(p − d)) / |2d| for every tensor, along the gradient and along
   a random direction.  Parameters are float32: p ± d are rounded, and the differences that were really stored are
   used.  step: length of d relative to the tensor's largest value.  A tensor that has no influence (g in front of a
   normalisation) is compared with the whole gradient. */
static inline void NetworkCheckGradient(CordsModel model, const float *gradient, NetworkLoss loss, void *context,
                                        double step, double tolerance)
{
  double whole = 0;
  float *saved;

  for (PetscInt k = 0; k < model->learnable_values; k++) whole += (double)gradient[k] * (double)gradient[k];
  assert_true(whole > 0);
  SupportCall(PetscMalloc1(model->value_count, &saved));
  memcpy(saved, model->values, (size_t)model->value_count * sizeof(float));
  for (PetscInt t = 0; t < model->learnable_count; t++) {
    PetscInt n = CordsTensorSize(&model->tensors[t]), at = (PetscInt)(model->tensors[t].data - model->values);
    for (int random = 0; random < 2; random++) {
      double largest = 1e-300, length = 0, size = 0, expected = 0, losses[2];
      double *difference = calloc((size_t)n, sizeof *difference);
      for (PetscInt k = 0; k < n; k++) {
        largest = fmax(largest, random ? 1 : fabs((double)gradient[at + k]));
        size += (double)gradient[at + k] * (double)gradient[at + k];
      }
      for (int side = 0; side < 2; side++) {
        memcpy(model->values, saved, (size_t)model->value_count * sizeof(float));
        for (PetscInt k = 0; k < n; k++) {
          double d = random ? SupportRandom(77, (uint32_t)k) : (double)gradient[at + k] / largest;
          model->values[at + k] += (float)((side ? -step : step) * d);
          difference[k] += (side ? -1 : 1) * (double)model->values[at + k];
        }
        losses[side] = loss(context, model);
      }
      for (PetscInt k = 0; k < n; k++) {
        length += difference[k] * difference[k];
        expected += difference[k] * (double)gradient[at + k];
      }
      NetworkClose(model->tensors[t].name, losses[0] - losses[1], expected,
                   sqrt(length) * fmax(sqrt(size), 1e-4 * sqrt(whole)), tolerance);
      free(difference);
    }
  }
  memcpy(model->values, saved, (size_t)model->value_count * sizeof(float));
  SupportCall(PetscFree(saved));
}

#endif
