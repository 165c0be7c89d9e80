#include "io/digest.h"

#include <openssl/evp.h>
#include <stdio.h>

struct _p_CordsDigest {
  EVP_MD_CTX *hash;
};

PetscErrorCode CordsDigestCreate(CordsDigest *digest)
{
  PetscFunctionBegin;
  PetscCall(PetscNew(digest));
  (*digest)->hash = EVP_MD_CTX_new();
  PetscCheck((*digest)->hash && EVP_DigestInit_ex((*digest)->hash, EVP_sha256(), NULL), PETSC_COMM_SELF, PETSC_ERR_LIB,
             "OpenSSL has no SHA-256");
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsDigestAdd(CordsDigest digest, size_t bytes, const void *data)
{
  PetscFunctionBegin;
  PetscCheck(EVP_DigestUpdate(digest->hash, data, bytes), PETSC_COMM_SELF, PETSC_ERR_LIB, "SHA-256 failed");
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsDigestGet(CordsDigest digest, CordsDigestText text)
{
  unsigned char result[EVP_MAX_MD_SIZE];

  PetscFunctionBegin;
  PetscCheck(EVP_DigestFinal_ex(digest->hash, result, NULL), PETSC_COMM_SELF, PETSC_ERR_LIB, "SHA-256 failed");
  for (int i = 0; i < 32; i++) snprintf(text + 2 * i, 3, "%02x", result[i]);
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsDigestDestroy(CordsDigest *digest)
{
  PetscFunctionBegin;
  if (!*digest) PetscFunctionReturn(PETSC_SUCCESS);
  EVP_MD_CTX_free((*digest)->hash);
  PetscCall(PetscFree(*digest));
  PetscFunctionReturn(PETSC_SUCCESS);
}
