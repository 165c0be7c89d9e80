/* Which kernels BLAS runs.  OpenBLAS has several and picks those of the processor it finds; an OpenBLAS that is older
   than the processor takes its oldest ones, several times slower, and says nothing.  That concerns what goes through
   BLAS: the backend gemm, dense spectra, the limit that `cords bench` compares with. */
#ifndef CORDS_CORE_BLAS_H
#define CORDS_CORE_BLAS_H

#include "core/error.h"

/* What OpenBLAS calls its kernels, such as "Prescott"; NULL if BLAS is another library.  Not to be freed. */
const char *CordsBlasKernels(void);

/* The value of OPENBLAS_CORETYPE that suits a processor with vectors of this many bytes better than `kernels` (NULL:
   not OpenBLAS); NULL if there is nothing to improve. */
const char *CordsBlasBetterKernels(const char *kernels, PetscInt vector_bytes);

/* A sentence that says what to set, for this processor; "" if there is nothing to set.  Not collective. */
void CordsBlasAdvice(size_t length, char *text);

#endif
