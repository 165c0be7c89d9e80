/* CIFAR-10 and CIFAR-100, the binary version (A. Krizhevsky, "Learning multiple layers of features from tiny images",
   2009), from its directory or from the .tar.gz as distributed.

   A file is a row of records: the label (CIFAR-100: a coarse one and a fine one, which is used), then 1,024 bytes of
   red, of green and of blue, each row by row. */
#include "data/archive_file.h"
#include "data/dataset_type.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { SIDE = 32, PLANE = SIDE * SIDE, FILES_MAX = 5, FILE_BYTES_MAX = 1 << 29 };

typedef struct {
  const char *folder, *archive; /* as distributed */
  size_t label_bytes;           /* in front of the pixels; the last is the label */
  PetscInt file_count[2];       /* of a split */
  const char *files[2][FILES_MAX];
} Version;

static const Version cifar10 = {
    "cifar-10-batches-bin",
    "cifar-10-binary.tar.gz",
    1,
    {5, 1},
    {{"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin"},
     {"test_batch.bin"}}};
static const Version cifar100 = {
    "cifar-100-binary", "cifar-100-binary.tar.gz", 2, {1, 1}, {{"train.bin"}, {"test.bin"}}};

/* The records of all files, one after the other. */
typedef struct {
  uint8_t *records;
  size_t record_bytes, label_bytes;
} Cifar;

static PetscErrorCode Append(CordsDataset dataset, const Version *version, const char *where, PetscInt64 length,
                             const uint8_t *bytes)
{
  Cifar *cifar = dataset->data;
  MPI_Comm comm = dataset->context->comm;
  PetscInt64 record = (PetscInt64)cifar->record_bytes, had = dataset->facts.count, count = length / record;

  PetscFunctionBegin;
  CordsCheckUser(length > 0, comm, "%s: is empty, records of %" PetscInt64_FMT " bytes are expected", where, record);
  CordsCheckUser(length % record == 0, comm,
                 "%s: has %" PetscInt64_FMT " bytes, which are not whole records of %" PetscInt64_FMT
                 " bytes; is it truncated, or of the other CIFAR?",
                 where, length, record);
  PetscCall(PetscRealloc((size_t)((had + count) * record), &cifar->records));
  PetscCall(PetscArraycpy(cifar->records + had * record, bytes, (size_t)length));
  for (PetscInt64 i = 0; i < count; i++) {
    uint8_t label = bytes[i * record + (PetscInt64)version->label_bytes - 1];
    CordsCheckUser(label < dataset->facts.classes, comm,
                   "%s: record %" PetscInt64_FMT " has label %d, the labels of %s are 0 to %" PetscInt_FMT, where, i,
                   label, dataset->facts.name, dataset->facts.classes - 1);
  }
  dataset->facts.count = had + count;
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* The file that is open, up to its end. */
static PetscErrorCode ReadOpenFile(CordsDataset dataset, const Version *version)
{
  const char *path = dataset->paths[dataset->path_count - 1];
  PetscInt64 bytes_max;
  PetscBool exact;
  uint8_t *bytes;
  size_t got;
  PetscErrorCode ierr;

  PetscFunctionBegin;
  PetscCall(CordsDatasetFileLength(dataset->file, &bytes_max, &exact));
  CordsCheckUser(!exact || bytes_max <= FILE_BYTES_MAX, dataset->context->comm,
                 "%s: has %" PetscInt64_FMT " bytes, at most %d are allowed", path, bytes_max, FILE_BYTES_MAX);
  PetscCall(PetscMalloc1((size_t)PetscMin(bytes_max, FILE_BYTES_MAX) + 1, &bytes));
  ierr = CordsDatasetFileRead(dataset->file, (size_t)PetscMin(bytes_max, FILE_BYTES_MAX) + 1, bytes, &got);
  if (!ierr) ierr = Append(dataset, version, path, (PetscInt64)got, bytes);
  PetscCall(PetscFree(bytes));
  PetscCall(ierr);
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode ReadFolder(CordsDataset dataset, const Version *version, const char *folder, CordsSplit split)
{
  PetscFunctionBegin;
  for (PetscInt i = 0; i < version->file_count[split]; i++) {
    PetscCall(CordsDatasetOpenFile(dataset, folder, 1, &version->files[split][i]));
    PetscCall(ReadOpenFile(dataset, version));
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode AppendAll(CordsDataset dataset, const Version *version, const char *path, PetscInt count,
                                const CordsArchiveFile files[])
{
  char where[PETSC_MAX_PATH_LEN];

  PetscFunctionBegin;
  for (PetscInt i = 0; i < count; i++) {
    snprintf(where, sizeof where, "%s: %s", path, files[i].name);
    CordsCheckUser(files[i].bytes, dataset->context->comm, "%s: does not hold %s; is it of the other CIFAR?", path,
                   files[i].name);
    PetscCall(Append(dataset, version, where, files[i].length, files[i].bytes));
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode ReadArchive(CordsDataset dataset, const Version *version, const char *path, CordsSplit split)
{
  CordsArchiveFile files[FILES_MAX];
  PetscInt count = version->file_count[split];
  PetscErrorCode ierr;

  PetscFunctionBegin;
  for (PetscInt i = 0; i < count; i++)
    files[i] = (CordsArchiveFile){.name = version->files[split][i], .bytes_max = FILE_BYTES_MAX};
  PetscCall(CordsDatasetAddPath(dataset, path));
  PetscCall(CordsArchiveRead(dataset->context, path, count, files));
  ierr = AppendAll(dataset, version, path, count, files);
  for (PetscInt i = 0; i < count; i++) PetscCall(PetscFree(files[i].bytes));
  PetscCall(ierr);
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* Where the files are: in `path`, in the folder as distributed, or in the archive, in this order. */
static PetscErrorCode OpenVersion(CordsDataset dataset, const Version *version, const char *path, CordsSplit split)
{
  const char *names[] = {version->files[split][0], version->folder, version->archive};
  char found[PETSC_MAX_PATH_LEN];
  Cifar *cifar;
  size_t length;

  PetscFunctionBegin;
  PetscCall(PetscNew(&cifar));
  dataset->data = cifar;
  cifar->label_bytes = version->label_bytes;
  cifar->record_bytes = version->label_bytes + 3 * PLANE;
  PetscCall(CordsDatasetFileFind(dataset->context, path, 3, names, found));
  length = strlen(found);
  if (!strcmp(found + length - strlen(names[0]), names[0]))
    PetscCall(ReadFolder(dataset, version, path, split));
  else if (!strcmp(found + length - strlen(names[1]), names[1]))
    PetscCall(ReadFolder(dataset, version, found, split));
  else
    PetscCall(ReadArchive(dataset, version, found, split));
  dataset->facts.rows = dataset->facts.columns = SIDE;
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode Open10(CordsDataset dataset, const char *path, CordsSplit split)
{
  PetscFunctionBegin;
  PetscCall(OpenVersion(dataset, &cifar10, path, split));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode Open100(CordsDataset dataset, const char *path, CordsSplit split)
{
  PetscFunctionBegin;
  PetscCall(OpenVersion(dataset, &cifar100, path, split));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscBool Read(CordsDataset dataset, CordsSample i, uint8_t *pixels, PetscInt *label,
                      char problem[CORDS_DECODE_PROBLEM])
{
  const Cifar *cifar = dataset->data;
  const uint8_t *record = cifar->records + (size_t)i * cifar->record_bytes, *planes = record + cifar->label_bytes;

  *label = planes[-1];
  for (PetscInt k = 0; k < PLANE; k++)
    for (PetscInt c = 0; c < 3; c++) pixels[3 * k + c] = planes[c * PLANE + k];
  return PETSC_TRUE;
}

static PetscErrorCode Close(CordsDataset dataset)
{
  Cifar *cifar = dataset->data;

  PetscFunctionBegin;
  if (!cifar) PetscFunctionReturn(PETSC_SUCCESS);
  PetscCall(PetscFree(cifar->records));
  PetscCall(PetscFree(dataset->data));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static const char *const names10[] = {"airplane", "automobile", "bird",  "cat",  "deer",
                                      "dog",      "frog",       "horse", "ship", "truck"};
static const char *const names100[] = {
    "apple",      "aquarium_fish", "baby",         "bear",       "beaver",      "bed",         "bee",
    "beetle",     "bicycle",       "bottle",       "bowl",       "boy",         "bridge",      "bus",
    "butterfly",  "camel",         "can",          "castle",     "caterpillar", "cattle",      "chair",
    "chimpanzee", "clock",         "cloud",        "cockroach",  "couch",       "crab",        "crocodile",
    "cup",        "dinosaur",      "dolphin",      "elephant",   "flatfish",    "forest",      "fox",
    "girl",       "hamster",       "house",        "kangaroo",   "keyboard",    "lamp",        "lawn_mower",
    "leopard",    "lion",          "lizard",       "lobster",    "man",         "maple_tree",  "motorcycle",
    "mountain",   "mouse",         "mushroom",     "oak_tree",   "orange",      "orchid",      "otter",
    "palm_tree",  "pear",          "pickup_truck", "pine_tree",  "plain",       "plate",       "poppy",
    "porcupine",  "possum",        "rabbit",       "raccoon",    "ray",         "road",        "rocket",
    "rose",       "sea",           "seal",         "shark",      "shrew",       "skunk",       "skyscraper",
    "snail",      "snake",         "spider",       "squirrel",   "streetcar",   "sunflower",   "sweet_pepper",
    "table",      "tank",          "telephone",    "television", "tiger",       "tractor",     "train",
    "trout",      "tulip",         "turtle",       "wardrobe",   "whale",       "willow_tree", "wolf",
    "woman",      "worm"};
_Static_assert(sizeof names100 / sizeof *names100 == 100, "CIFAR-100 has 100 classes");

extern const CordsDatasetType cords_dataset_cifar10;
const CordsDatasetType cords_dataset_cifar10 = {
    .name = "cifar10",
    .about = "CIFAR-10: 50,000 + 10,000 photographs, 32 x 32, colour, 10 classes; binary version, folder or .tar.gz",
    .channels = 3,
    .classes = 10,
    .class_names = names10,
    .mean = {.4914f, .4822f, .4465f},
    .deviation = {.2470f, .2435f, .2616f},
    .augmentation = {.flip = PETSC_TRUE, .operations = {.count = 2, .level = 9, .levels = 31}, .mix = PETSC_TRUE},
    .open = Open10,
    .read = Read,
    .close = Close,
};

extern const CordsDatasetType cords_dataset_cifar100;
const CordsDatasetType cords_dataset_cifar100 = {
    .name = "cifar100",
    .about = "CIFAR-100: the same in 100 classes (the fine labels); binary version, folder or .tar.gz",
    .channels = 3,
    .classes = 100,
    .class_names = names100,
    .mean = {.5071f, .4865f, .4409f},
    .deviation = {.2673f, .2564f, .2762f},
    .augmentation = {.flip = PETSC_TRUE, .operations = {.count = 2, .level = 9, .levels = 31}, .mix = PETSC_TRUE},
    .open = Open100,
    .read = Read,
    .close = Close,
};
