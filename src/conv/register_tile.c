#include "conv/register_tile.h"

#include "conv/vector_types.h"

#include <omp.h>

const PetscInt cords_tile_pixels[3] = {10, 10, CORDS_TILE_PIXELS_WIDEST};

static inline unsigned PositiveF32(FloatVector v)
{
#if defined(__AVX512F__)
  return _mm512_cmp_ps_mask((__m512)v, _mm512_setzero_ps(), _CMP_GT_OQ);
#else
  unsigned bits = 0;
  for (int k = 0; k < 16; k++) bits |= (unsigned)(v[k] > 0) << k;
  return bits;
#endif
}

static inline unsigned PositiveF64(DoubleVector v)
{
  unsigned bits = 0;

  for (int k = 0; k < 8; k++) bits |= (unsigned)(v[k] > 0) << k;
  return bits;
}

static inline FloatVector PhiF32(FloatVector u, float slope)
{
  const IntVector above = u > 0;
  const FloatVector below = slope * u;

  return (FloatVector)(((IntVector)u & above) | ((IntVector)below & ~above));
}

static inline DoubleVector PhiF64(DoubleVector u, double slope)
{
  const LongVector above = u > 0;
  const DoubleVector below = slope * u;

  return (DoubleVector)(((LongVector)u & above) | ((LongVector)below & ~above));
}

static inline FloatVector SelectF32(unsigned bits, float set, float clear)
{
#if defined(__AVX512F__)
  return (FloatVector)_mm512_mask_blend_ps((__mmask16)bits, _mm512_set1_ps(clear), _mm512_set1_ps(set));
#else
  FloatVector v;
  for (int k = 0; k < 16; k++) v[k] = bits >> k & 1 ? set : clear;
  return v;
#endif
}

static inline DoubleVector SelectF64(unsigned bits, double set, double clear)
{
  DoubleVector v;

  for (int k = 0; k < 8; k++) v[k] = bits >> k & 1 ? set : clear;
  return v;
}

#define PositiveBF16 PositiveF32
#define PhiBF16 PhiF32
#define SelectBF16 SelectF32

#define TEMPLATE "conv/register_tile.inc"
#include "conv/vector_types.inc"

const CordsTileOperations *CordsTileOperationsOf(CordsType type)
{
  return type == CORDS_F64 ? &operationsF64 : type == CORDS_BF16 ? &operationsBF16 : &operationsF32;
}

int CordsTileThreads(double operations)
{
  const double operations_per_thread = 1e6; /* below it, starting a thread takes longer than its work */

  return (int)PetscMax(1, PetscMin(omp_get_max_threads(), operations / operations_per_thread));
}
