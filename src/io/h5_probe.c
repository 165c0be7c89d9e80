/* Does HDF5 survive this file?

   HDF5 1.10 may crash on damaged files where the format has no checksums (files in the older format, texts of variable
   length).  So a copy of this process looks at everything first: if the copy dies, the file is damaged.  It looks at
   all names, attributes, indices of chunks and one number of each array, and at all numbers only of compressed arrays
   (HDF5 trusts the length that comes out), for a while.  cords compresses nothing. */
#include "io/h5_private.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { SECONDS_MAX = 60, READING_SECONDS_MAX = 20, NUMBER_BYTES_MAX = 1 << 20, BLOCK_BYTES_MAX = 1 << 28 };

static herr_t ProbeAttribute(hid_t object, const char *name, const H5A_info_t *info, void *context)
{
  hid_t id = H5Aopen(object, name, H5P_DEFAULT), type = H5Aget_type(id), memory;
  void *value = calloc(1, (size_t)PetscMin(H5Aget_storage_size(id), 1 << 26) + NUMBER_BYTES_MAX);

  memory = H5Tget_native_type(type, H5T_DIR_ASCEND);
  if (value && H5Aget_storage_size(id) <= 1 << 26) H5Aread(id, memory, value);
  free(value);
  CordsH5CloseIdHere(memory);
  CordsH5CloseIdHere(type);
  CordsH5CloseIdHere(id);
  return 0;
}

/* Rows in a chunk if there are filters other than a checksum, else 0. */
static hsize_t CompressedRows(hid_t array, int rank)
{
  hid_t layout = H5Dget_create_plist(array);
  hsize_t chunk[H5S_MAX_RANK] = {0};
  PetscBool compressed = PETSC_FALSE;

  for (int i = 0; i < H5Pget_nfilters(layout); i++) {
    size_t values = 0;

    if (H5Pget_filter2(layout, (unsigned)i, NULL, &values, NULL, 0, NULL, NULL) != H5Z_FILTER_FLETCHER32)
      compressed = PETSC_TRUE;
  }
  if (compressed) H5Pget_chunk(layout, rank, chunk);
  CordsH5CloseIdHere(layout);
  return chunk[0];
}

/* All numbers of a compressed array, a row of chunks at a time. */
static void ProbeCompressed(hid_t array, hid_t memory, hid_t space, int rank)
{
  hsize_t shape[H5S_MAX_RANK], start[H5S_MAX_RANK] = {0}, bytes = H5Tget_size(memory);
  hsize_t rows = rank > 0 ? CompressedRows(array, rank) : 0, all_rows;
  time_t begin = time(NULL);
  hid_t block;
  void *data;

  if (!rows || H5Sget_simple_extent_dims(space, shape, NULL) < 1) return;
  all_rows = shape[0];
  shape[0] = PetscMin(rows, all_rows);
  for (int i = 0; i < rank && bytes <= BLOCK_BYTES_MAX; i++) bytes *= PetscMin(shape[i], (hsize_t)1 << 32);
  data = bytes && bytes <= BLOCK_BYTES_MAX ? malloc(bytes) : NULL;
  block = H5Screate_simple(rank, shape, NULL);
  for (; data && start[0] + shape[0] <= all_rows && time(NULL) - begin < READING_SECONDS_MAX; start[0] += shape[0]) {
    H5Sselect_hyperslab(space, H5S_SELECT_SET, start, NULL, shape, NULL);
    if (H5Dread(array, memory, block, space, H5P_DEFAULT, data) < 0) break; /* an error is not a crash */
  }
  free(data);
  CordsH5CloseIdHere(block);
}

/* The first number and the index of all chunks. */
static void ProbeArray(hid_t array)
{
  hsize_t start[H5S_MAX_RANK] = {0}, one[H5S_MAX_RANK], chunks;
  hid_t space = H5Dget_space(array), type = H5Dget_type(array), memory = H5Tget_native_type(type, H5T_DIR_ASCEND);
  hid_t single = H5Screate(H5S_SCALAR);
  void *number = calloc(1, NUMBER_BYTES_MAX);
  int rank = H5Sget_simple_extent_ndims(space);

  for (int i = 0; i < rank; i++) one[i] = 1;
  H5Dget_num_chunks(array, space, &chunks);
  if (rank > 0) H5Sselect_hyperslab(space, H5S_SELECT_SET, start, NULL, one, NULL);
  if (number && H5Tget_size(memory) <= NUMBER_BYTES_MAX)
    H5Dread(array, memory, single, rank > 0 ? space : H5S_ALL, H5P_DEFAULT, number);
  free(number);
  ProbeCompressed(array, memory, space, rank);
  CordsH5CloseIdHere(single);
  CordsH5CloseIdHere(memory);
  CordsH5CloseIdHere(type);
  CordsH5CloseIdHere(space);
}

static herr_t ProbeObject(hid_t root, const char *name, const H5O_info_t *info, void *context)
{
  hid_t object = H5Oopen(root, name, H5P_DEFAULT);

  if (object < 0) return 0;
  H5Aiterate2(object, H5_INDEX_NAME, H5_ITER_INC, NULL, ProbeAttribute, NULL);
  if (info->type == H5O_TYPE_DATASET) ProbeArray(object);
  CordsH5CloseIdHere(object);
  return 0;
}

/* In the copy: a crash ends it quietly. */
static void Probe(const char *path, hid_t access)
{
  static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGALRM};
  struct rlimit no_core = {0, 0};
  int silence = open("/dev/null", O_WRONLY);
  hid_t file;

  for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) signal(signals[i], SIG_DFL);
  setrlimit(RLIMIT_CORE, &no_core);
  if (silence >= 0) dup2(silence, STDERR_FILENO);
  alarm(SECONDS_MAX);
  file = H5Fopen(path, H5F_ACC_RDONLY, access);
  if (file >= 0) H5Ovisit2(file, H5_INDEX_NAME, H5_ITER_INC, ProbeObject, NULL, H5O_INFO_BASIC);
  if (file >= 0) H5Fclose(file);
}

PetscBool CordsH5ProbeHere(const char *path, hid_t access)
{
  pid_t copy = fork();
  int status = 0;

  if (copy < 0) return PETSC_TRUE; /* no room for a copy: then without this safety */
  if (copy == 0) {
    Probe(path, access);
    _exit(0);
  }
  if (waitpid(copy, &status, 0) != copy) return PETSC_TRUE;
  return (PetscBool)(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}
