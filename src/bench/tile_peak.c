/* Four independent sums of 16 × 16 from tiles of 16 × 32: as many as hide the time of one product.
   Intel, "Architecture Instruction Set Extensions Programming Reference", chapter 3 (AMX); Linux,
   Documentation/x86/xstate.rst: a process asks for tiles before it uses them. */
#include "bench/tile_peak.h"

#if defined(__AMX_BF16__)
#include <immintrin.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { TURNS = 200000, SUMS = 4, ROWS = 16, ROW_BYTES = 64, REQUEST_PERMISSION = 0x1023, TILE_DATA = 18 };

/* What LDTILECFG reads. */
typedef struct {
  uint8_t palette, start_row, reserved[14];
  uint16_t row_bytes[16];
  uint8_t rows[16];
} TileConfiguration;

double CordsBenchTileOperations(void)
{
  static const double multiply_adds = 16.0 * 16 * 32;

  if (syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA)) return 0;
  return 2 * multiply_adds * SUMS * TURNS;
}

void CordsBenchTilePeak(void)
{
#pragma omp parallel
  {
    _Alignas(64) TileConfiguration all = {.palette = 1};
    _Alignas(64) uint16_t numbers[ROWS * ROW_BYTES / sizeof(uint16_t)];
    _Alignas(64) float sums[ROWS * ROW_BYTES / sizeof(float)];
    for (int k = 0; k < 8; k++) all.rows[k] = ROWS, all.row_bytes[k] = ROW_BYTES;
    for (size_t k = 0; k < sizeof numbers / sizeof numbers[0]; k++) numbers[k] = 0x3000; /* so small that sums stay */
    _tile_loadconfig(&all);
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    _tile_loadd(4, numbers, ROW_BYTES);
    _tile_loadd(5, numbers, ROW_BYTES);
    for (int turn = 0; turn < TURNS; turn++) {
      _tile_dpbf16ps(0, 4, 5);
      _tile_dpbf16ps(1, 4, 5);
      _tile_dpbf16ps(2, 4, 5);
      _tile_dpbf16ps(3, 4, 5);
    }
    _tile_stored(0, sums, ROW_BYTES);
    __asm__ volatile("" : : "m"(sums));
    _tile_release();
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
