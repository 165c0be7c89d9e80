#include "io/run_info.h"

#include "core/config.h"
#include "core/version.h"

#include <dlfcn.h>
#include <dnnl.h>
#include <errno.h>
#include <omp.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <slepcsys.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

/* ---- digests ---- */

/* Digest of an open file; false if it cannot be read (errno). */
static PetscBool DigestStream(FILE *stream, EVP_MD_CTX *hash, unsigned char result[EVP_MAX_MD_SIZE])
{
  static unsigned char block[1 << 16];
  size_t length;

  if (!EVP_DigestInit_ex(hash, EVP_sha256(), NULL)) return PETSC_FALSE;
  while ((length = fread(block, 1, sizeof block, stream)) > 0)
    if (!EVP_DigestUpdate(hash, block, length)) return PETSC_FALSE;
  return (PetscBool)(!ferror(stream) && EVP_DigestFinal_ex(hash, result, NULL));
}

/* 0, or the errno of what went wrong. */
static int Digest(const char *path, char digest[65])
{
  unsigned char result[EVP_MAX_MD_SIZE];
  EVP_MD_CTX *hash;
  FILE *stream = fopen(path, "rb");
  int failure = 0;

  digest[0] = '\0';
  if (!stream) return errno;
  errno = 0;
  hash = EVP_MD_CTX_new();
  if (!hash || !DigestStream(stream, hash, result)) failure = errno ? errno : EIO;
  for (int i = 0; i < 32 && !failure; i++) snprintf(digest + 2 * i, 3, "%02x", result[i]);
  EVP_MD_CTX_free(hash);
  fclose(stream);
  return failure;
}

PetscErrorCode CordsRunInfoDigestBytes(size_t bytes, const void *data, char digest[65])
{
  unsigned char result[EVP_MAX_MD_SIZE];

  PetscFunctionBegin;
  PetscCheck(EVP_Digest(data, bytes, result, NULL, EVP_sha256(), NULL), PETSC_COMM_SELF, PETSC_ERR_LIB,
             "no SHA-256 from OpenSSL");
  for (int i = 0; i < 32; i++) snprintf(digest + 2 * i, 3, "%02x", result[i]);
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* ---- libraries ---- */

/* OpenBLAS says how it was built; other BLAS libraries have no such function. */
static void AddBlas(size_t length, char *text)
{
  char *(*configuration)(void);

  *(void **)&configuration = dlsym(RTLD_DEFAULT, "openblas_get_config");
  if (configuration) snprintf(text, length, "%s\n", configuration());
}

PetscErrorCode CordsRunInfoLibraries(char **text)
{
  char mpi[MPI_MAX_LIBRARY_VERSION_STRING], hdf5[32], blas[256] = "", all[2048];
  PetscInt petsc[3], slepc[3];
  const dnnl_version_t *dnnl = dnnl_version();
  int length;

  PetscFunctionBegin;
  PetscCallMPI(MPI_Get_library_version(mpi, &length));
  mpi[strcspn(mpi, "\n")] = '\0';
  PetscCall(PetscGetVersionNumber(&petsc[0], &petsc[1], &petsc[2], NULL));
  PetscCall(SlepcGetVersionNumber(&slepc[0], &slepc[1], &slepc[2], NULL));
  PetscCall(CordsH5LibraryVersion(sizeof hdf5, hdf5));
  AddBlas(sizeof blas, blas);
  snprintf(all, sizeof all,
           "cords %s (%s)\n%s\nPETSc %" PetscInt_FMT ".%" PetscInt_FMT ".%" PetscInt_FMT "\nSLEPc %" PetscInt_FMT
           ".%" PetscInt_FMT ".%" PetscInt_FMT "\nHDF5 %s\noneDNN %d.%d.%d\n%szlib %s\n%s",
           cords_version, cords_commit, mpi, petsc[0], petsc[1], petsc[2], slepc[0], slepc[1], slepc[2], hdf5,
           dnnl->major, dnnl->minor, dnnl->patch, blas, zlibVersion(), OpenSSL_version(OPENSSL_VERSION));
  PetscCall(PetscStrallocpy(all, text));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* ---- the group ---- */

static PetscErrorCode WriteOptions(CordsH5 file)
{
  char *options;

  PetscFunctionBegin;
  PetscCall(CordsConfigUsed(&options));
  for (char *c = options; *c; c++)
    if (*c == '\n') *c = ' ';
  PetscCall(CordsH5WriteText(file, "run", "options", options));
  PetscCall(PetscFree(options));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode WriteProgram(CordsH5 file)
{
  char *libraries;

  PetscFunctionBegin;
  PetscCall(CordsH5WriteText(file, "run", "version", cords_version));
  PetscCall(CordsH5WriteText(file, "run", "commit", cords_commit));
  PetscCall(CordsH5WriteText(file, "run", "compiler", cords_compiler));
  PetscCall(CordsH5WriteText(file, "run", "build_type", cords_build_type));
  PetscCall(CordsRunInfoLibraries(&libraries));
  PetscCall(CordsH5WriteText(file, "run", "libraries", libraries));
  PetscCall(PetscFree(libraries));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode WritePlace(CordsContext context, CordsH5 file)
{
  char host[256] = "", date[32];
  time_t now = time(NULL);
  struct tm utc;

  PetscFunctionBegin;
  gethostname(host, sizeof host - 1);
  strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &utc));
  PetscCall(CordsH5WriteText(file, "run", "host", host));
  PetscCall(CordsH5WriteText(file, "run", "date", date));
  PetscCall(CordsH5WriteInt(file, "run", "ranks", context->size));
  PetscCall(CordsH5WriteInt(file, "run", "threads", omp_get_max_threads()));
  PetscCall(CordsH5WriteInt(file, "run", "seed", (PetscInt64)context->seed));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* Rank 0 reads the file; all ranks learn whether it could. */
static PetscErrorCode WriteInput(CordsContext context, CordsH5 file, PetscInt index, const char *path)
{
  char name[32], digest[65], text[PETSC_MAX_PATH_LEN + 80];
  int failure = 0;

  PetscFunctionBegin;
  if (context->rank == 0) failure = Digest(path, digest);
  PetscCallMPI(MPI_Bcast(&failure, 1, MPI_INT, 0, context->comm));
  CordsCheckUser(!failure, context->comm, "cannot read '%s' for its digest: %s", path, strerror(failure));
  snprintf(name, sizeof name, "input_%" PetscInt_FMT, index);
  snprintf(text, sizeof text, "sha256:%s %s", context->rank == 0 ? digest : "", path);
  PetscCall(CordsH5WriteText(file, "run", name, text));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsRunInfoWrite(CordsContext context, CordsH5 file, const char *command, PetscInt input_count,
                                 const char *const inputs[])
{
  PetscFunctionBegin;
  PetscCall(CordsH5WriteText(file, "run", "command", command));
  PetscCall(WriteOptions(file));
  PetscCall(WriteProgram(file));
  PetscCall(WritePlace(context, file));
  for (PetscInt i = 0; i < input_count; i++) PetscCall(WriteInput(context, file, i, inputs[i]));
  PetscFunctionReturn(PETSC_SUCCESS);
}
