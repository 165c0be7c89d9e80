#include "core/blas.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

/* Of OpenBLAS alone, hence looked up: cords runs with any BLAS. */
const char *CordsBlasKernels(void)
{
  char *(*name)(void);

  *(void **)&name = dlsym(RTLD_DEFAULT, "openblas_get_corename");
  return name ? name() : NULL;
}

/* Prescott is what OpenBLAS takes for an x86-64 processor that it does not know; other names were found or asked for.
 */
const char *CordsBlasBetterKernels(const char *kernels, PetscInt vector_bytes)
{
  if (!kernels || strcasecmp(kernels, "Prescott") != 0) return NULL;
  if (vector_bytes >= 64) return "SkylakeX";
  return vector_bytes >= 32 ? "Haswell" : NULL;
}

/* Of multiply-adds: 64 with what OpenBLAS' kernels for SkylakeX use of AVX-512, 32 with AVX2, 0 with less. */
static PetscInt VectorBytes(void)
{
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vl")) {
    return 64;
  }
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return 32;
#endif
  return 0;
}

void CordsBlasAdvice(size_t length, char *text)
{
  const char *kernels = CordsBlasKernels(), *better = CordsBlasBetterKernels(kernels, VectorBytes());

  text[0] = '\0';
  if (!better) return;
  snprintf(text, length,
           "OpenBLAS does not know this processor and takes its kernels for %s; set OPENBLAS_CORETYPE=%s "
           "for faster ones",
           kernels, better);
}
