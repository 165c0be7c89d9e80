/* SHA-256 of numbers that come in parts. */
#ifndef CORDS_IO_DIGEST_H
#define CORDS_IO_DIGEST_H

#include "core/error.h"

typedef struct _p_CordsDigest *CordsDigest;
typedef char CordsDigestText[65]; /* 64 hexadecimal digits */

/* None of these is collective. */
PetscErrorCode CordsDigestCreate(CordsDigest *digest);
PetscErrorCode CordsDigestAdd(CordsDigest digest, size_t bytes, const void *data);
/* text: of everything that was added.  Nothing can be added any more. */
PetscErrorCode CordsDigestGet(CordsDigest digest, CordsDigestText text);
PetscErrorCode CordsDigestDestroy(CordsDigest *digest);

#endif
