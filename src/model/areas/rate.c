/* The rate area of CordsNet: τ dr/dt = −r + φ(u), u = synaptic input + bias + drive (SPEC section 1). */
#include "model/area_type.h"

#include <math.h>

/* Apply `body` to every number, once per φ, so that the compiler sees a branch-free loop; u is the argument, value and
   gradient are φ(u) and φ'(u).  φ'(0) = 0 for relu and the slope for PReLU, as in PyTorch. */
#define FOR_EACH(T, body)                                                                                              \
  switch (law->phi) {                                                                                                  \
  case CORDS_PHI_RELU:                                                                                                 \
    LOOP(T, x > 0 ? x : 0, x > 0 ? 1 : 0, body) break;                                                                 \
  case CORDS_PHI_PRELU:                                                                                                \
    LOOP(T, x > 0 ? x : s * x, x > 0 ? 1 : s, body) break;                                                             \
  case CORDS_PHI_TANH:                                                                                                 \
    LOOP(T, (T)tanh((double)x), 1 - (T)tanh((double)x) * (T)tanh((double)x), body) break;                              \
  case CORDS_PHI_SOFTPLUS:                                                                                             \
    LOOP(T, (T)(fmax((double)x, 0) + log1p(exp(-fabs((double)x)))), (T)(1 / (1 + exp(-(double)x))), body) break;       \
  case CORDS_PHI_IDENTITY:                                                                                             \
    LOOP(T, x, 1, body) break;                                                                                         \
  }

#define LOOP(T, value_of_x, gradient_of_x, body)                                                                       \
  {                                                                                                                    \
    _Pragma("omp parallel for simd schedule(static)") for (size_t k = 0; k < n; k++)                                   \
    {                                                                                                                  \
      const T x = u[k];                                                                                                \
      const T value = value_of_x, gradient = gradient_of_x;                                                            \
      (void)value;                                                                                                     \
      (void)gradient;                                                                                                  \
      body;                                                                                                            \
    }                                                                                                                  \
  }

#define DEFINE_RATE(T, suffix)                                                                                         \
  static void Step##suffix(const CordsAreaLaw *law, size_t n, const T *u, const T *r, T *r_next)                       \
  {                                                                                                                    \
    const T s = (T)law->slope, alpha = (T)law->alpha, keep = 1 - alpha;                                                \
    (void)s;                                                                                                           \
    FOR_EACH(T, r_next[k] = keep * r[k] + alpha * value)                                                               \
  }                                                                                                                    \
  static void Rhs##suffix(const CordsAreaLaw *law, size_t n, const T *u, const T *r, T *f)                             \
  {                                                                                                                    \
    const T s = (T)law->slope;                                                                                         \
    (void)s;                                                                                                           \
    FOR_EACH(T, f[k] = value - r[k])                                                                                   \
  }                                                                                                                    \
  static void Slope##suffix(const CordsAreaLaw *law, size_t n, const T *u, T *slope)                                   \
  {                                                                                                                    \
    const T s = (T)law->slope;                                                                                         \
    (void)s;                                                                                                           \
    FOR_EACH(T, slope[k] = gradient)                                                                                   \
  }

DEFINE_RATE(float, F32)
DEFINE_RATE(double, F64)

static void Step(const CordsAreaLaw *law, CordsType type, size_t n, const void *u, const void *r, void *r_next)
{
  if (type == CORDS_F64)
    StepF64(law, n, u, r, r_next);
  else
    StepF32(law, n, u, r, r_next);
}

static void Rhs(const CordsAreaLaw *law, CordsType type, size_t n, const void *u, const void *r, void *f)
{
  if (type == CORDS_F64)
    RhsF64(law, n, u, r, f);
  else
    RhsF32(law, n, u, r, f);
}

static void Slope(const CordsAreaLaw *law, CordsType type, size_t n, const void *u, void *slope)
{
  if (type == CORDS_F64)
    SlopeF64(law, n, u, slope);
  else
    SlopeF32(law, n, u, slope);
}

static PetscBool Fused(const CordsAreaLaw *law, CordsConvLaw *fused)
{
  *fused = (CordsConvLaw){.keep = 1 - law->alpha, .gain = law->alpha};
  switch (law->phi) {
  case CORDS_PHI_RELU:
    fused->slope = 0;
    return PETSC_TRUE;
  case CORDS_PHI_PRELU:
    fused->slope = law->slope;
    return PETSC_TRUE;
  case CORDS_PHI_IDENTITY:
    fused->slope = 1;
    return PETSC_TRUE;
  default:
    return PETSC_FALSE;
  }
}

const CordsAreaType cords_area_rate = {.name = "rate",
                                       .about = "tau dr/dt = -r + phi(recurrent input + bias + drive)",
                                       .step = Step,
                                       .rhs = Rhs,
                                       .slope = Slope,
                                       .fused = Fused};
