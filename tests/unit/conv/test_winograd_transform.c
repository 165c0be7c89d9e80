/* The maps of Winograd's convolution: one tile against the sums written out, and weight gradients as the adjoint. */
#include "conv/winograd_transform.h"
#include "conv/pointwise.h"
#include "support/networks.h"

enum {
  CHANNELS = 32, /* two vectors, or four */
  PANELS = CORDS_WINOGRAD_PANELS_MAX,
  PLACES = CORDS_WINOGRAD_PLACES_MAX,
  INPUTS = CORDS_WINOGRAD_INPUTS_MAX,
  OUTPUTS = CORDS_WINOGRAD_OUTPUTS_MAX,
  TAPS = CORDS_WINOGRAD_TAPS
};

static const CordsWinogradKind kinds[] = {CORDS_WINOGRAD_F2, CORDS_WINOGRAD_F4, CORDS_WINOGRAD_STRIDE2};

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

/* Number of channel c in units: of half `half` where a unit is a pair. */
static double UnitNumber(CordsType type, const void *units, size_t c, size_t half)
{
  return type == CORDS_BF16 ? Get(type, units, 2 * c + half) : Get(type, units, c);
}

static void Put(CordsType type, void *data, size_t k, double number)
{
  CordsConvert(CORDS_F64, type, 1, &number, (char *)data + k * CordsTypeSize(type));
}

/* The tap between input `in` and output `out` of a tile's side, negative or above 2 where there is none: y[i] has tap a
   of d[stride · i + a]; back with stride 1 is the same, and with stride 2 pixel i of the tile, which starts at one that
   the middle tap alone reads, has tap a of d[(i + 1 − a) / 2]. */
static PetscInt TapBetween(const CordsWinogradSize *side, PetscBool adjoint, PetscInt in, PetscInt out)
{
  return adjoint && side->stride == 2 ? out + 1 - 2 * in : in - side->stride * out;
}

/* y[output][c] = Σ_tap w[c][tap] d[input][c], every channel for itself, for one tile.  Panels are those of the kernel
   turned by half a turn where `turned`: backwards with stride 1. */
static void CheckTile(CordsType type, CordsWinogradKind kind, PetscBool adjoint, double tolerance)
{
  const CordsWinogradTransform *forward = CordsWinogradTransformOf(type, kind, PETSC_FALSE);
  const CordsWinogradTransform *transform = CordsWinogradTransformOf(type, kind, adjoint);
  const CordsWinogradSize *side = transform->size;
  const CordsType master = CordsTypeMaster(type);
  const PetscInt lanes = type == CORDS_F64 ? 8 : 16, vectors = CHANNELS / lanes;
  const size_t size = CordsTypeSize(type), place = CHANNELS * 8;
  CordsArray x = Random(type, INPUTS * CHANNELS, 1), w = Random(master, CHANNELS * TAPS, 2);
  _Alignas(64) char input[PLACES * CHANNELS * 8], units[PANELS * CHANNELS * 8], products[PLACES * CHANNELS * 8];
  _Alignas(64) char y[OUTPUTS * CHANNELS * 8];
  const void *pixels[INPUTS];

  for (int k = 0; k < side->inputs; k++) pixels[k] = (char *)x.data + (size_t)k * CHANNELS * size;
  transform->input(pixels, CHANNELS, input, place);
  for (PetscInt v = 0; v < vectors; v++) forward->weights(w.data, 1, v * lanes, 0, 0, units + (size_t)v * 64, place);
  for (int k = 0; k < side->places; k++) {
    const PetscInt panel = adjoint ? side->turned[side->panel[k]] : side->panel[k];
    for (size_t c = 0; c < CHANNELS; c++) {
      Put(master, products + (size_t)k * place, c,
          Get(type, input + (size_t)k * place, c) * UnitNumber(type, units + (size_t)panel * place, c, 0));
    }
  }
  transform->output(products, place, vectors, y);
  for (PetscInt p = 0; p < side->outputs; p++) {
    for (size_t c = 0; c < CHANNELS; c++) {
      double sum = 0;
      for (PetscInt d = 0; d < side->inputs; d++) {
        PetscInt a = TapBetween(side, adjoint, d / side->input, p / side->output);
        PetscInt b = TapBetween(side, adjoint, d % side->input, p % side->output);
        if (a < 0 || a > 2 || b < 0 || b > 2) continue;
        if (adjoint && side->stride == 1) a = 2 - a, b = 2 - b;
        sum += Get(type, x.data, (size_t)d * CHANNELS + c) * Get(master, w.data, c * TAPS + (size_t)(3 * a + b));
      }
      NetworkClose("output", Get(master, y, (size_t)p * CHANNELS + c), sum, 1, tolerance);
    }
  }
  SupportCall(CordsArrayDestroy(&x));
  SupportCall(CordsArrayDestroy(&w));
}

static void TestTile(void **state)
{
  for (size_t k = 0; k < PETSC_STATIC_ARRAY_LENGTH(kinds); k++) {
    for (int adjoint = 0; adjoint < 2; adjoint++) {
      CheckTile(CORDS_F32, kinds[k], (PetscBool)adjoint, 1e-5);
      CheckTile(CORDS_F64, kinds[k], (PetscBool)adjoint, 1e-13);
      CheckTile(CORDS_BF16, kinds[k], (PetscBool)adjoint, 0.1);
    }
  }
}

/* dw = Gᵀ [(Bᵀ x B) ⊙ (A dy Aᵀ)] G against Σ x dy for the channels from the second vector on, two tiles in a unit
   where it is a pair. */
static void CheckGradient(CordsType type, CordsWinogradKind kind, double tolerance)
{
  const CordsWinogradTransform *transform = CordsWinogradTransformOf(type, kind, PETSC_FALSE);
  const CordsWinogradSize *side = transform->size;
  const CordsType master = CordsTypeMaster(type);
  const PetscInt lanes = type == CORDS_F64 ? 8 : 16, tiles = type == CORDS_BF16 ? 2 : 1, count = CHANNELS - lanes;
  const size_t size = CordsTypeSize(type), vector = 128, place = (size_t)(CHANNELS / lanes) * vector;
  CordsArray x = Random(type, 2 * INPUTS * CHANNELS, 1), dy = Random(type, 2 * OUTPUTS * CHANNELS, 2);
  char input[PLACES * CHANNELS * 16], gradient[PLACES * CHANNELS * 16], dw[TAPS * CHANNELS * 8] = {0};
  _Alignas(64) char du[PANELS * CHANNELS * 8] = {0};

  for (PetscInt t = 0; t < tiles; t++) {
    const void *pixels[INPUTS], *outputs[OUTPUTS];
    for (int k = 0; k < side->inputs; k++) pixels[k] = (char *)x.data + (size_t)(t * INPUTS + k) * CHANNELS * size;
    for (int k = 0; k < side->outputs; k++) outputs[k] = (char *)dy.data + (size_t)(t * OUTPUTS + k) * CHANNELS * size;
    transform->input_units(pixels, lanes, count, (int)t, input, vector, place);
    transform->gradient_units(outputs, lanes, count, (int)t, gradient, vector, place);
  }
  for (int k = 0; k < side->places; k++) {
    for (PetscInt c = 0; c < count; c++) {
      const size_t at = (size_t)(side->panel[k] * count + c), lane = (size_t)(c % lanes);
      const size_t of_vector = (size_t)k * place + (size_t)(c / lanes) * vector;
      double product = Get(master, du, at);
      for (PetscInt t = 0; t < tiles; t++) {
        product += UnitNumber(type, input + of_vector, lane, (size_t)t) *
                   UnitNumber(type, gradient + of_vector, lane, (size_t)t);
      }
      Put(master, du, at, product);
    }
  }
  transform->weights_gradient(du, (size_t)count * CordsTypeSize(master), count, dw, (size_t)count);
  for (int k = 0; k < TAPS; k++) {
    for (size_t c = 0; c < (size_t)count; c++) {
      double sum = 0;
      for (PetscInt t = 0; t < tiles; t++) {
        for (int p = 0; p < side->outputs; p++) {
          const PetscInt row = p / side->output * side->stride + k / 3,
                         column = p % side->output * side->stride + k % 3;
          sum += Get(type, x.data, (size_t)((t * INPUTS + row * side->input + column) * CHANNELS + lanes) + c) *
                 Get(type, dy.data, (size_t)((t * OUTPUTS + p) * CHANNELS + lanes) + c);
        }
      }
      NetworkClose("weight gradient", Get(master, dw, (size_t)(k * count) + c), sum, 1, tolerance);
    }
  }
  SupportCall(CordsArrayDestroy(&x));
  SupportCall(CordsArrayDestroy(&dy));
}

static void TestGradient(void **state)
{
  for (size_t k = 0; k < PETSC_STATIC_ARRAY_LENGTH(kinds); k++) {
    CheckGradient(CORDS_F32, kinds[k], 1e-5);
    CheckGradient(CORDS_F64, kinds[k], 1e-13);
    if (kinds[k] != CORDS_WINOGRAD_F4) CheckGradient(CORDS_BF16, kinds[k], 0.1); /* nor used */
  }
}

static const struct CMUnitTest tests[] = {cmocka_unit_test(TestTile), cmocka_unit_test(TestGradient)};
SUPPORT_MAIN(tests)
