#include "conv/precision.h"

#include "core/config.h"

#include <stdio.h>
#include <stdlib.h>

PetscBool CordsPrecisionHas(CordsType type)
{
  if (type != CORDS_BF16) return PETSC_TRUE;
  if (getenv("CORDS_TEST_NO_BF16")) return PETSC_FALSE;
#if defined(__AVX512BF16__)
  return (PetscBool)(__builtin_cpu_supports("avx512bf16") != 0);
#else
  return PETSC_FALSE;
#endif
}

PetscErrorCode CordsPrecisionFromOptions(CordsType *type)
{
  static const char *const names[] = {"f32", "bf16"};
  static const CordsType types[] = {CORDS_F32, CORDS_BF16};
  PetscInt choice = 0;
  PetscBool strict = PETSC_FALSE, has;

  PetscFunctionBegin;
  PetscCall(CordsOptionChoice("-precision", "numbers that convolutions multiply; sums and parameters are float32",
                              PETSC_STATIC_ARRAY_LENGTH(names), names, &choice));
  PetscCall(CordsOptionBool("-precision_strict", "stop where the machine lacks the precision, instead of using f32",
                            &strict));
  *type = types[choice];
  has = CordsPrecisionHas(*type);
  PetscCallMPI(MPI_Allreduce(MPI_IN_PLACE, &has, 1, MPIU_BOOL, MPI_LAND, PETSC_COMM_WORLD));
  if (has || CordsConfigHelp()) PetscFunctionReturn(PETSC_SUCCESS);
  CordsCheckUser(!strict, PETSC_COMM_WORLD, "-precision %s: this processor cannot multiply bf16; use f32",
                 names[choice]);
  *type = CORDS_F32;
  PetscCall(PetscFPrintf(PETSC_COMM_WORLD, stderr,
                         "cords: -precision %s: this processor cannot multiply bf16, f32 is used\n", names[choice]));
  PetscFunctionReturn(PETSC_SUCCESS);
}
