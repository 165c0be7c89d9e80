/* Linux, Documentation/x86/xstate.rst: a process asks for the registers before it uses them. */
#include "conv/matrix_unit.h"

#include "conv/precision.h"

#if defined(__AMX_BF16__)
#include <immintrin.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { REQUEST_PERMISSION = 0x1023, TILE_DATA = 18, REGISTERS = 8 };

/* What LDTILECFG reads. */
typedef struct {
  uint8_t palette, start_row, reserved[14];
  uint16_t row_bytes[16];
  uint8_t rows[16];
} Configuration;

PetscBool CordsMatrixUnitHas(void)
{
  static int granted = -1;

  if (granted < 0) granted = syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) == 0;
  return (PetscBool)(granted && CordsPrecisionHas(CORDS_BF16));
}

void CordsMatrixUnitBegin(void)
{
  _Alignas(64) Configuration all = {.palette = 1};

  for (int k = 0; k < REGISTERS; k++) all.rows[k] = CORDS_MATRIX_SIDE, all.row_bytes[k] = CORDS_MATRIX_ROW_BYTES;
  CordsMatrixUnitSeesMemory();
  _tile_loadconfig(&all);
}

void CordsMatrixUnitEnd(void)
{
  _tile_release();
}
#else
PetscBool CordsMatrixUnitHas(void)
{
  return PETSC_FALSE;
}

void CordsMatrixUnitBegin(void)
{
}

void CordsMatrixUnitEnd(void)
{
}
#endif
