/* The processor's unit for products of whole matrices (Intel AMX): eight registers of 16 rows of 64 bytes, and
   C += A B for C of 16 × 16 float32, A of 16 × 32 bfloat16 and B of 32 × 16 bfloat16, two rows of which lie in one of
   its registers' rows as pairs.  Intel, "Architecture Instruction Set Extensions Programming Reference", chapter 3. */
#ifndef CORDS_CONV_MATRIX_UNIT_H
#define CORDS_CONV_MATRIX_UNIT_H

#include <petscsys.h>

enum { CORDS_MATRIX_SIDE = 16, CORDS_MATRIX_DEPTH = 32, CORDS_MATRIX_ROW_BYTES = 64, CORDS_MATRIX_BYTES = 1024 };

/* Whether the processor and the compiler's choice of instructions have it and the system lets this process use it,
   which is asked for the first time.  CORDS_TEST_NO_BF16 hides it, for tests.  Not collective. */
PetscBool CordsMatrixUnitHas(void);

/* Around what a thread does with it: all registers whole; free for others, and quick to switch, afterwards. */
void CordsMatrixUnitBegin(void);
void CordsMatrixUnitEnd(void);

/* To be said before registers are loaded: GCC 12's intrinsics do not tell the compiler which memory they read. */
#define CordsMatrixUnitSeesMemory() __asm__ volatile("" : : : "memory")

#endif
