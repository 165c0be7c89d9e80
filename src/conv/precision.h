#ifndef CORDS_CONV_PRECISION_H
#define CORDS_CONV_PRECISION_H

#include "core/array.h"
#include "core/context.h"

/* Declare and read -precision (f32 or bf16) and -precision_strict.  Where the machine cannot multiply bf16 it is f32,
   said in one sentence; with -precision_strict it is an error.  Collective.  Errors (user): another word. */
PetscErrorCode CordsPrecisionFromOptions(CordsType *type);

/* Whether the processor of this rank, and the compiler's choice of instructions, multiply in a type.  The environment
   variable CORDS_TEST_NO_BF16 hides bf16, for tests. */
PetscBool CordsPrecisionHas(CordsType type);

#endif
