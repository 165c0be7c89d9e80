/* MNIST and Fashion-MNIST: IDX files.

   Format (Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits"), numbers big-endian, 32 bits:
     images: 0x00000803, count, rows, columns, then count · rows · columns bytes
     labels: 0x00000801, count, then count bytes
   Either may be packed with gzip. */
#include "data/dataset_type.h"

#include <stdio.h>
#include <string.h>

enum { IMAGE_MAGIC = 0x803, LABEL_MAGIC = 0x801, SIDE_MAX = 4096 };
#define PIXEL_BYTES_MAX ((PetscInt64)8 << 30)

typedef struct {
  uint8_t *pixels; /* [image][row][column] */
  uint8_t *labels; /* [image] */
} Idx;

static const char *const image_names[2][4] = {
    {"train-images-idx3-ubyte", "train-images.idx3-ubyte", "train-images-idx3-ubyte.gz", "train-images.idx3-ubyte.gz"},
    {"t10k-images-idx3-ubyte", "t10k-images.idx3-ubyte", "t10k-images-idx3-ubyte.gz", "t10k-images.idx3-ubyte.gz"}};
static const char *const label_names[2][4] = {
    {"train-labels-idx1-ubyte", "train-labels.idx1-ubyte", "train-labels-idx1-ubyte.gz", "train-labels.idx1-ubyte.gz"},
    {"t10k-labels-idx1-ubyte", "t10k-labels.idx1-ubyte", "t10k-labels-idx1-ubyte.gz", "t10k-labels.idx1-ubyte.gz"}};

/* The path of the file that is open, for messages. */
static const char *OpenPath(CordsDataset dataset)
{
  return dataset->paths[dataset->path_count - 1];
}

/* Read the magic number and `count` sizes after it. */
static PetscErrorCode ReadHeader(CordsDataset dataset, uint32_t magic, PetscInt count, PetscInt64 sizes[])
{
  MPI_Comm comm = dataset->context->comm;
  const char *path = OpenPath(dataset), *kind = magic == IMAGE_MAGIC ? "image" : "label";
  uint8_t bytes[16];
  size_t length = 4 * ((size_t)count + 1), got;
  uint32_t numbers[4] = {0};

  PetscFunctionBegin;
  PetscCall(CordsDatasetFileRead(dataset->file, length, bytes, &got));
  CordsCheckUser(got > 0, comm, "%s: is empty, an IDX %s file was expected", path, kind);
  for (size_t i = 0; i < got; i++) numbers[i / 4] = numbers[i / 4] << 8 | bytes[i];
  CordsCheckUser(got < 4 || numbers[0] != (magic ^ IMAGE_MAGIC ^ LABEL_MAGIC), comm,
                 "%s: is %s file (magic 0x%08x), %ss were expected (magic 0x%08x); are the files swapped?", path,
                 magic == IMAGE_MAGIC ? "a label" : "an image", numbers[0], kind, magic);
  CordsCheckUser(got < 4 || numbers[0] == magic, comm,
                 "%s: is not an IDX %s file: it starts with 0x%08x, expected 0x%08x", path, kind, numbers[0], magic);
  CordsCheckUser(got == length, comm, "%s: ends inside its header, after %zu bytes of %zu", path, got, length);
  for (PetscInt i = 0; i < count; i++) sizes[i] = numbers[i + 1];
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* Does the file hold the `bytes` bytes that its header of `header` bytes promises?  Asked before allocating them; for
   a gzip file the answer is only whether it can. */
static PetscErrorCode CheckLength(CordsDataset dataset, PetscInt64 header, PetscInt64 bytes)
{
  PetscInt64 held;
  PetscBool exact;

  PetscFunctionBegin;
  PetscCall(CordsDatasetFileLength(dataset->file, &held, &exact));
  held -= header;
  CordsCheckUser(exact ? held == bytes : held >= bytes, dataset->context->comm,
                 "%s: holds %s%" PetscInt64_FMT " bytes after its header, which promises %" PetscInt64_FMT
                 "; is it %s?",
                 OpenPath(dataset), exact ? "" : "at most ", held, bytes, held < bytes ? "truncated" : "damaged");
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* Read exactly `bytes` bytes up to the end of the file, and compare the checksum of a gzip file by reaching it. */
static PetscErrorCode ReadBody(CordsDataset dataset, PetscInt64 bytes, uint8_t *body)
{
  MPI_Comm comm = dataset->context->comm;
  uint8_t more;
  size_t got;

  PetscFunctionBegin;
  PetscCall(CordsDatasetFileRead(dataset->file, (size_t)bytes, body, &got));
  CordsCheckUser((PetscInt64)got == bytes, comm,
                 "%s: ends %zu bytes after its header, which promises %" PetscInt64_FMT "; is it truncated?",
                 OpenPath(dataset), got, bytes);
  PetscCall(CordsDatasetFileRead(dataset->file, 1, &more, &got));
  CordsCheckUser(got == 0, comm, "%s: goes on after the %" PetscInt64_FMT " bytes that its header promises",
                 OpenPath(dataset), bytes);
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode ReadImages(CordsDataset dataset, const char *path, CordsSplit split)
{
  Idx *idx = dataset->data;
  PetscInt64 sizes[3], bytes;
  MPI_Comm comm = dataset->context->comm;

  PetscFunctionBegin;
  PetscCall(CordsDatasetOpenFile(dataset, path, 4, image_names[split]));
  PetscCall(ReadHeader(dataset, IMAGE_MAGIC, 3, sizes));
  CordsCheckUser(sizes[0] > 0, comm, "%s: holds no images, at least one is needed", OpenPath(dataset));
  CordsCheckUser(sizes[1] > 0 && sizes[1] <= SIDE_MAX && sizes[2] > 0 && sizes[2] <= SIDE_MAX, comm,
                 "%s: says that its images have %" PetscInt64_FMT " rows and %" PetscInt64_FMT
                 " columns, 1 to %d are allowed",
                 OpenPath(dataset), sizes[1], sizes[2], SIDE_MAX);
  bytes = sizes[0] * sizes[1] * sizes[2]; /* below 2^56 */
  CordsCheckUser(bytes <= PIXEL_BYTES_MAX, comm,
                 "%s: says that it holds %" PetscInt64_FMT " bytes of pixels, at most %" PetscInt64_FMT " are allowed",
                 OpenPath(dataset), bytes, PIXEL_BYTES_MAX);
  PetscCall(CheckLength(dataset, 16, bytes));
  PetscCall(PetscMalloc1((size_t)bytes, &idx->pixels));
  PetscCall(ReadBody(dataset, bytes, idx->pixels));
  dataset->facts.count = sizes[0];
  dataset->facts.rows = (PetscInt)sizes[1];
  dataset->facts.columns = (PetscInt)sizes[2];
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode ReadLabels(CordsDataset dataset, const char *path, CordsSplit split)
{
  Idx *idx = dataset->data;
  MPI_Comm comm = dataset->context->comm;
  PetscInt64 count;

  PetscFunctionBegin;
  PetscCall(CordsDatasetOpenFile(dataset, path, 4, label_names[split]));
  PetscCall(ReadHeader(dataset, LABEL_MAGIC, 1, &count));
  CordsCheckUser(count == dataset->facts.count, comm,
                 "%s: holds %" PetscInt64_FMT " labels, but %s holds %" PetscInt64_FMT " images", OpenPath(dataset),
                 count, dataset->paths[dataset->path_count - 2], dataset->facts.count);
  PetscCall(CheckLength(dataset, 8, count));
  PetscCall(PetscMalloc1((size_t)count, &idx->labels));
  PetscCall(ReadBody(dataset, count, idx->labels));
  for (PetscInt64 i = 0; i < count; i++)
    CordsCheckUser(idx->labels[i] < dataset->facts.classes, comm,
                   "%s: image %" PetscInt64_FMT " has label %d, the labels of %s are 0 to %" PetscInt_FMT,
                   OpenPath(dataset), i, idx->labels[i], dataset->facts.name, dataset->facts.classes - 1);
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode Open(CordsDataset dataset, const char *path, CordsSplit split)
{
  Idx *idx;

  PetscFunctionBegin;
  PetscCall(PetscNew(&idx));
  dataset->data = idx;
  PetscCall(ReadImages(dataset, path, split));
  PetscCall(ReadLabels(dataset, path, split));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscBool Read(CordsDataset dataset, CordsSample i, uint8_t *pixels, PetscInt *label,
                      char problem[CORDS_DECODE_PROBLEM])
{
  const Idx *idx = dataset->data;
  size_t size = (size_t)dataset->facts.rows * (size_t)dataset->facts.columns;

  memcpy(pixels, idx->pixels + (size_t)i * size, size);
  *label = idx->labels[i];
  return PETSC_TRUE;
}

static PetscErrorCode Close(CordsDataset dataset)
{
  Idx *idx = dataset->data;

  PetscFunctionBegin;
  if (!idx) PetscFunctionReturn(PETSC_SUCCESS);
  PetscCall(PetscFree(idx->pixels));
  PetscCall(PetscFree(idx->labels));
  PetscCall(PetscFree(dataset->data));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static const char *const digit_names[] = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"};
static const char *const fashion_names[] = {"T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
                                            "Sandal",      "Shirt",   "Sneaker",  "Bag",   "Ankle boot"};

extern const CordsDatasetType cords_dataset_mnist;
const CordsDatasetType cords_dataset_mnist = {
    .name = "mnist",
    .about = "MNIST: 60,000 + 10,000 handwritten digits, 28 x 28, grey, 10 classes; IDX files, plain or gzip",
    .channels = 1,
    .classes = 10,
    .class_names = digit_names,
    .mean = {.1307f},
    .deviation = {.3081f},
    .augmentation = {.affine = PETSC_TRUE,
                     .angle_deg = 5,
                     .translate = .05,
                     .scale_min = .95,
                     .scale_max = 1.05,
                     .shear_deg = 5,
                     .brightness = .1,
                     .contrast = .1,
                     .elastic_alpha = 20,
                     .elastic_sigma_pixels = 5},
    .open = Open,
    .read = Read,
    .close = Close,
};

extern const CordsDatasetType cords_dataset_fashion_mnist;
const CordsDatasetType cords_dataset_fashion_mnist = {
    .name = "fashion_mnist",
    .about = "Fashion-MNIST: 60,000 + 10,000 articles of clothing, 28 x 28, grey, 10 classes; IDX files, plain or gzip",
    .channels = 1,
    .classes = 10,
    .class_names = fashion_names,
    .mean = {.2860f},
    .deviation = {.3530f},
    .augmentation = {.flip = PETSC_TRUE,
                     .affine = PETSC_TRUE,
                     .angle_deg = 5,
                     .translate = .05,
                     .scale_min = .95,
                     .scale_max = 1.05,
                     .shear_deg = 5,
                     .brightness = .1,
                     .contrast = .1,
                     .mix = PETSC_TRUE},
    .open = Open,
    .read = Read,
    .close = Close,
};
