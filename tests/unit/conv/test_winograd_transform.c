/* The maps of Winograd's convolution: one tile against the sums written out, and weight gradients as the adjoint. */
#include "conv/winograd_transform.h"
#include "conv/pointwise.h"
#include "support/networks.h"

#include <string.h>

enum { CHANNELS = 16, PLACES = CORDS_WINOGRAD_PLACES, OUTPUTS = CORDS_WINOGRAD_OUTPUTS, TAPS = CORDS_WINOGRAD_TAPS };

static CordsArray Random(CordsType type, size_t n, uint64_t stream)
{
  CordsArray wide = NetworkRandom(CORDS_F64, n, stream), a;

  SupportCall(CordsArrayCreate(type, 1, (PetscInt)n, &a));
  CordsConvert(CORDS_F64, type, n, wide.data, a.data);
  SupportCall(CordsArrayDestroy(&wide));
  return a;
}

static double Get(CordsType type, const void *data, size_t k)
{
  double number;

  CordsConvert(type, CORDS_F64, 1, (const char *)data + k * CordsTypeSize(type), &number);
  return number;
}

static size_t UnitSize(CordsType type)
{
  return type == CORDS_F64 ? 8 : 4;
}

/* Number of channel c in units: of half `half` where a unit is a pair. */
static double UnitNumber(CordsType type, const void *units, size_t c, size_t half)
{
  return type == CORDS_BF16 ? Get(type, units, 2 * c + half) : Get(type, units, c);
}

/* y[i][j][c] = Σ_ab w[c][a][b] x[i + a][j + b][c], every channel for itself, for one tile; a vector of channels. */
static void CheckTile(CordsType type, double tolerance)
{
  const CordsWinogradTransform *transform = CordsWinogradTransformOf(type);
  const CordsType master = CordsTypeMaster(type);
  const PetscInt lanes = type == CORDS_F64 ? 8 : 16;
  const size_t size = CordsTypeSize(type), place = (size_t)lanes * 8;
  CordsArray x = Random(type, 16 * CHANNELS, 1), w = Random(master, CHANNELS * TAPS, 2);
  _Alignas(64) char input[PLACES * CHANNELS * 8], units[PLACES * CHANNELS * 8], products[PLACES * CHANNELS * 8];
  _Alignas(64) char y[OUTPUTS * CHANNELS * 8];
  const void *pixels[PLACES];
  void *rows[PLACES];

  for (int k = 0; k < PLACES; k++) {
    pixels[k] = (char *)x.data + (size_t)k * CHANNELS * size;
    rows[k] = units + (size_t)k * place;
  }
  transform->input(pixels, lanes, input, place);
  transform->weights(w.data, 1, 0, 0, 0, rows);
  for (int k = 0; k < PLACES; k++) {
    for (PetscInt c = 0; c < lanes; c++) {
      double product =
          Get(type, input + (size_t)k * place, (size_t)c) * UnitNumber(type, units + (size_t)k * place, (size_t)c, 0);
      if (master == CORDS_F64)
        ((double *)(products + (size_t)k * place))[c] = product;
      else
        ((float *)(products + (size_t)k * place))[c] = (float)product;
    }
  }
  transform->output(products, place, 1, y);
  for (int p = 0; p < OUTPUTS; p++) {
    for (PetscInt c = 0; c < lanes; c++) {
      double sum = 0;
      for (int k = 0; k < TAPS; k++) {
        size_t pixel = (size_t)(p / 2 + k / 3) * 4 + (size_t)(p % 2 + k % 3);
        sum += Get(type, x.data, pixel * CHANNELS + (size_t)c) * Get(master, w.data, (size_t)c * TAPS + (size_t)k);
      }
      NetworkClose("output", Get(master, y, (size_t)(p * lanes + c)), sum, 1, tolerance);
    }
  }
  SupportCall(CordsArrayDestroy(&x));
  SupportCall(CordsArrayDestroy(&w));
}

static void TestTile(void **state)
{
  CheckTile(CORDS_F32, 1e-5);
  CheckTile(CORDS_F64, 1e-13);
  CheckTile(CORDS_BF16, 0.1);
}

/* dw = Gᵀ [(Bᵀ x B) ⊙ (A dy Aᵀ)] G against Σ x dy, two tiles in a unit where it is a pair. */
static void CheckGradient(CordsType type, double tolerance)
{
  const CordsWinogradTransform *transform = CordsWinogradTransformOf(type);
  const CordsType master = CordsTypeMaster(type);
  const PetscInt lanes = type == CORDS_F64 ? 8 : 16, tiles = type == CORDS_BF16 ? 2 : 1;
  const size_t size = CordsTypeSize(type), place = (size_t)lanes * UnitSize(type);
  CordsArray x = Random(type, 2 * 16 * CHANNELS, 1), dy = Random(type, 2 * 4 * CHANNELS, 2);
  char input[PLACES * CHANNELS * 8], gradient[PLACES * CHANNELS * 8];
  char du[PLACES * CHANNELS * 8] __attribute__((aligned(64)));
  char dw[TAPS * CHANNELS * 8];

  for (PetscInt t = 0; t < tiles; t++) {
    const void *pixels[PLACES], *outputs[OUTPUTS];
    for (int k = 0; k < PLACES; k++) pixels[k] = (char *)x.data + (size_t)(t * PLACES + k) * CHANNELS * size;
    for (int k = 0; k < OUTPUTS; k++) outputs[k] = (char *)dy.data + (size_t)(t * OUTPUTS + k) * CHANNELS * size;
    transform->input_units(pixels, 0, lanes, (int)t, input, 0, place);
    transform->gradient_units(outputs, 0, lanes, (int)t, gradient, place);
  }
  for (int k = 0; k < PLACES; k++) {
    for (PetscInt c = 0; c < lanes; c++) {
      const char *a = input + (size_t)k * place, *b = gradient + (size_t)k * place;
      const size_t at = (size_t)(k * lanes + c);
      double product = 0;
      for (PetscInt t = 0; t < tiles; t++)
        product += UnitNumber(type, a, (size_t)c, (size_t)t) * UnitNumber(type, b, (size_t)c, (size_t)t);
      if (master == CORDS_F64)
        ((double *)du)[at] = product;
      else
        ((float *)du)[at] = (float)product;
    }
  }
  memset(dw, 0, sizeof dw);
  transform->weights_gradient(du, (size_t)lanes * CordsTypeSize(master), lanes, dw, (size_t)lanes);
  for (int k = 0; k < TAPS; k++) {
    for (PetscInt c = 0; c < lanes; c++) {
      double sum = 0;
      for (PetscInt t = 0; t < tiles; t++) {
        for (int p = 0; p < OUTPUTS; p++) {
          size_t pixel = (size_t)(p / 2 + k / 3) * 4 + (size_t)(p % 2 + k % 3);
          sum += Get(type, x.data, ((size_t)t * PLACES + pixel) * CHANNELS + (size_t)c) *
                 Get(type, dy.data, (size_t)(t * OUTPUTS + p) * CHANNELS + (size_t)c);
        }
      }
      NetworkClose("weight gradient", Get(master, dw, (size_t)(k * lanes + c)), sum, 1, tolerance);
    }
  }
  SupportCall(CordsArrayDestroy(&x));
  SupportCall(CordsArrayDestroy(&dy));
}

static void TestGradient(void **state)
{
  CheckGradient(CORDS_F32, 1e-5);
  CheckGradient(CORDS_F64, 1e-13);
  CheckGradient(CORDS_BF16, 0.1);
}

static const struct CMUnitTest tests[] = {cmocka_unit_test(TestTile), cmocka_unit_test(TestGradient)};
SUPPORT_MAIN(tests)
