/* Four independent sums of 16 × 16 from registers of 16 × 32: as many as hide the time of one product. */
#include "bench/tile_peak.h"

#include "conv/matrix_unit.h"

#if defined(__AMX_BF16__)
#include <immintrin.h>
#include <stdint.h>

enum { TURNS = 200000, SUMS = 4, NUMBERS = CORDS_MATRIX_SIDE * CORDS_MATRIX_DEPTH };

double CordsBenchTileOperations(void)
{
  static const double multiply_adds = 16.0 * 16 * 32;

  return CordsMatrixUnitHas() ? 2 * multiply_adds * SUMS * TURNS : 0;
}

void CordsBenchTilePeak(void)
{
#pragma omp parallel
  {
    _Alignas(64) uint16_t numbers[NUMBERS];
    _Alignas(64) float sums[CORDS_MATRIX_SIDE * CORDS_MATRIX_SIDE];
    for (int k = 0; k < NUMBERS; k++) numbers[k] = 0x3000; /* so small that sums stay */
    CordsMatrixUnitBegin();
    CordsMatrixUnitSeesMemory();
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    _tile_loadd(4, numbers, CORDS_MATRIX_ROW_BYTES);
    _tile_loadd(5, numbers, CORDS_MATRIX_ROW_BYTES);
    for (int turn = 0; turn < TURNS; turn++) {
      _tile_dpbf16ps(0, 4, 5);
      _tile_dpbf16ps(1, 4, 5);
      _tile_dpbf16ps(2, 4, 5);
      _tile_dpbf16ps(3, 4, 5);
    }
    _tile_stored(0, sums, CORDS_MATRIX_ROW_BYTES);
    __asm__ volatile("" : : "m"(sums));
    CordsMatrixUnitEnd();
  }
}
#else
double CordsBenchTileOperations(void)
{
  return 0;
}

void CordsBenchTilePeak(void)
{
}
#endif
