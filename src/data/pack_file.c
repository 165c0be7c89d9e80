#include "data/pack_file.h"

#include "data/dataset_file.h"
#include "io/run_info.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { CLASSES_MAX = 1000000, DIGITS = CORDS_PACK_DIGEST - 1 };

static const CordsSchema data_schema = {"images/data", "byte", "1",
                                        "the images one after the other, see images/offset"},
                         offset_schema = {"images/offset", "image", "byte",
                                          "where each image begins in images/data; one more: where the last ends"},
                         label_schema = {"images/label", "image", "1", "class of each image, 0 is the first"},
                         name_schema = {"images/name", "character", "1", "where each image came from, one line each"},
                         class_schema = {"images/classes", "character", "1", "names of the classes, one line each"},
                         written_schema = {"images/written", "number", "images", "images that are in their place"},
                         digest_schema = {"images/digest", "character", "1",
                                          "SHA-256 of images/data in hexadecimal digits; zeros until all is there"};

/* ---- the index of a dataset ---- */

/* A growing text of lines. */
typedef struct {
  char *text;
  PetscInt64 length, capacity;
} Lines;

static PetscErrorCode AddLine(Lines *lines, const char *line)
{
  PetscInt64 length = (PetscInt64)strlen(line) + 1;

  PetscFunctionBegin;
  if (lines->length + length >= lines->capacity) {
    lines->capacity = 2 * lines->capacity + length + 1024;
    PetscCall(PetscRealloc((size_t)lines->capacity, &lines->text));
  }
  for (PetscInt64 i = 0; i < length; i++) {
    char letter = i == length - 1 ? '\n' : line[i];
    if (i < length - 1 && letter == '\n') letter = ' '; /* a name with a line end stays one line */
    lines->text[lines->length++] = letter;
  }
  lines->text[lines->length] = '\0';
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode AddImages(CordsContext context, CordsDataset dataset, CordsPackIndex *index, Lines *names)
{
  const CordsDatasetFacts *facts = CordsDatasetGetFacts(dataset);
  PetscInt64 size = index->rows * index->columns * index->channels;
  char where[PETSC_MAX_PATH_LEN];
  uint8_t *pixels;

  PetscFunctionBegin;
  PetscCall(PetscMalloc1((size_t)size + 1, &pixels));
  for (PetscInt64 i = 0; i < facts->count; i++) {
    PetscInt64 length = size;
    PetscInt label;
    if (size > 0)
      PetscCall(CordsDatasetRead(dataset, i, pixels, &label));
    else
      length = CordsDatasetLength(dataset, i, &label);
    CordsDatasetWhere(dataset, i, sizeof where, where);
    CordsCheckUser(length >= 0 && length <= CORDS_DECODE_BYTES_MAX, PETSC_COMM_SELF,
                   "image %" PetscInt64_FMT ", %s, %s", i, where,
                   length < 0 ? "cannot be looked at" : "has too many bytes for an image");
    index->offsets[i + 1] = index->offsets[i] + length;
    index->labels[i] = label;
    PetscCall(AddLine(names, where));
  }
  PetscCall(PetscFree(pixels));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsPackIndexOf(CordsContext context, CordsDataset dataset, CordsSplit split, CordsPackIndex *index)
{
  const CordsDatasetFacts *facts = CordsDatasetGetFacts(dataset);
  Lines names = {0}, classes = {0};

  PetscFunctionBegin;
  *index = (CordsPackIndex){.count = facts->count,
                            .rows = facts->rows,
                            .columns = facts->columns,
                            .channels = facts->channels,
                            .class_count = facts->classes};
  PetscCall(PetscStrncpy(index->dataset, facts->name, sizeof index->dataset));
  PetscCall(PetscStrncpy(index->split, split == CORDS_SPLIT_TRAIN ? "train" : "test", sizeof index->split));
  PetscCall(PetscCalloc1((size_t)index->count + 1, &index->offsets));
  PetscCall(PetscMalloc1((size_t)index->count, &index->labels));
  for (PetscInt k = 0; k < facts->classes; k++) PetscCall(AddLine(&classes, facts->class_names[k]));
  PetscCall(AddImages(context, dataset, index, &names));
  index->names = names.text;
  index->names_length = names.length;
  index->classes = classes.text;
  index->classes_length = classes.length;
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsPackIndexFree(CordsPackIndex *index)
{
  PetscFunctionBegin;
  PetscCall(PetscFree(index->offsets));
  PetscCall(PetscFree(index->labels));
  PetscCall(PetscFree(index->names));
  PetscCall(PetscFree(index->classes));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscBool CordsPackIndexEqual(const CordsPackIndex *a, const CordsPackIndex *b)
{
  return (PetscBool)(!strcmp(a->dataset, b->dataset) && !strcmp(a->split, b->split) && a->count == b->count &&
                     a->rows == b->rows && a->columns == b->columns && a->channels == b->channels &&
                     a->names_length == b->names_length && a->classes_length == b->classes_length &&
                     !memcmp(a->offsets, b->offsets, ((size_t)a->count + 1) * sizeof *a->offsets) &&
                     !memcmp(a->labels, b->labels, (size_t)a->count * sizeof *a->labels) &&
                     !memcmp(a->names, b->names, (size_t)a->names_length) &&
                     !memcmp(a->classes, b->classes, (size_t)a->classes_length));
}

/* ---- writing ---- */

static PetscErrorCode WriteFacts(CordsH5 file, const CordsPackIndex *index)
{
  PetscFunctionBegin;
  PetscCall(CordsH5WriteText(file, "images", "dataset", index->dataset));
  PetscCall(CordsH5WriteText(file, "images", "split", index->split));
  PetscCall(CordsH5WriteInt(file, "images", "rows", index->rows));
  PetscCall(CordsH5WriteInt(file, "images", "columns", index->columns));
  PetscCall(CordsH5WriteInt(file, "images", "channels", index->channels));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsPackIndexWrite(CordsContext context, const char *path, const CordsPackIndex *index)
{
  PetscInt64 count = index->count, more = count + 1;
  CordsH5 file;

  PetscFunctionBegin;
  PetscCall(CordsH5Create(context, path, &file));
  PetscCall(CordsH5WriteArray(file, &offset_schema, CORDS_FILE_I64, 1, &more, index->offsets));
  PetscCall(CordsH5WriteArray(file, &label_schema, CORDS_FILE_I64, 1, &count, index->labels));
  PetscCall(CordsH5WriteArray(file, &name_schema, CORDS_FILE_U8, 1, &index->names_length, index->names));
  PetscCall(CordsH5WriteArray(file, &class_schema, CORDS_FILE_U8, 1, &index->classes_length, index->classes));
  PetscCall(WriteFacts(file, index));
  PetscCall(CordsRunInfoWrite(context, file, "pack", 0, NULL));
  PetscCall(CordsH5CreateRoom(file, &written_schema, CORDS_FILE_I64, 1));
  PetscCall(CordsH5CreateRoom(file, &digest_schema, CORDS_FILE_U8, DIGITS));
  PetscCall(CordsH5CreateRoom(file, &data_schema, CORDS_FILE_U8, index->offsets[count]));
  PetscCall(CordsH5Commit(&file));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* ---- reading ---- */

static PetscErrorCode ReadLines(CordsH5 file, const char *name, char **text, PetscInt64 *length)
{
  PetscInt dimensions;
  PetscInt64 sizes[CORDS_H5_DIMENSIONS_MAX];

  PetscFunctionBegin;
  PetscCall(CordsH5GetShape(file, name, NULL, &dimensions, sizes));
  CordsCheckUser(dimensions == 1, PETSC_COMM_WORLD, "'%s': %s is no text", CordsH5Path(file), name);
  *length = sizes[0];
  PetscCall(PetscCalloc1((size_t)*length + 1, text));
  PetscCall(CordsH5ReadArray(file, name, CORDS_FILE_U8, 1, sizes, *text));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscInt64 CountLines(const char *text, PetscInt64 length)
{
  PetscInt64 count = 0;

  for (PetscInt64 i = 0; i < length; i++) count += text[i] == '\n';
  return count;
}

static PetscErrorCode ReadText(CordsH5 file, const char *attribute, size_t length, char *text)
{
  char *value;

  PetscFunctionBegin;
  PetscCall(CordsH5ReadText(file, "images", attribute, &value));
  CordsCheckUser(value, PETSC_COMM_WORLD, "'%s' is no packed dataset: images has no attribute %s", CordsH5Path(file),
                 attribute);
  PetscCall(PetscStrncpy(text, value, length));
  PetscCall(PetscFree(value));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode ReadArrays(CordsH5 file, CordsPackIndex *index)
{
  PetscInt dimensions;
  PetscInt64 sizes[CORDS_H5_DIMENSIONS_MAX], more;

  PetscFunctionBegin;
  PetscCall(CordsH5GetShape(file, label_schema.name, NULL, &dimensions, sizes));
  CordsCheckUser(dimensions == 1 && sizes[0] > 0, PETSC_COMM_WORLD, "'%s' holds no images", CordsH5Path(file));
  index->count = sizes[0];
  more = sizes[0] + 1;
  PetscCall(PetscMalloc1((size_t)more, &index->offsets));
  PetscCall(PetscMalloc1((size_t)index->count, &index->labels));
  PetscCall(CordsH5ReadArray(file, label_schema.name, CORDS_FILE_I64, 1, sizes, index->labels));
  PetscCall(CordsH5ReadArray(file, offset_schema.name, CORDS_FILE_I64, 1, &more, index->offsets));
  PetscCall(ReadLines(file, name_schema.name, &index->names, &index->names_length));
  PetscCall(ReadLines(file, class_schema.name, &index->classes, &index->classes_length));
  index->class_count = CountLines(index->classes, index->classes_length);
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* Numbers of the file that memory or loops will depend on. */
static PetscErrorCode CheckIndex(const char *path, const CordsPackIndex *index, PetscInt64 data_bytes)
{
  PetscInt64 size = index->rows * index->columns * index->channels, sides = 1 << 15;

  PetscFunctionBegin;
  CordsCheckUser((index->channels == 1 || index->channels == 3) && index->rows >= 0 && index->rows <= sides &&
                     index->columns >= 0 && index->columns <= sides && (index->rows > 0) == (index->columns > 0) &&
                     size <= CORDS_DECODE_BYTES_MAX,
                 PETSC_COMM_WORLD,
                 "'%s' says that its images have %lld x %lld pixels of %lld channels, which cannot be", path,
                 (long long)index->rows, (long long)index->columns, (long long)index->channels);
  CordsCheckUser(index->class_count >= 1 && index->class_count <= CLASSES_MAX &&
                     CountLines(index->names, index->names_length) == index->count,
                 PETSC_COMM_WORLD, "'%s' has %lld classes and %lld names for %lld images", path,
                 (long long)index->class_count, (long long)CountLines(index->names, index->names_length),
                 (long long)index->count);
  CordsCheckUser(index->offsets[0] == 0 && index->offsets[index->count] == data_bytes, PETSC_COMM_WORLD,
                 "'%s' is damaged: images/offset does not span images/data", path);
  for (PetscInt64 i = 0; i < index->count; i++) {
    PetscInt64 length = index->offsets[i + 1] - index->offsets[i];
    CordsCheckUser(length >= 0 && length <= CORDS_DECODE_BYTES_MAX && (size == 0 || length == size), PETSC_COMM_WORLD,
                   "'%s' is damaged: image %lld has %lld bytes", path, (long long)i, (long long)length);
    CordsCheckUser(index->labels[i] >= 0 && index->labels[i] < index->class_count, PETSC_COMM_WORLD,
                   "'%s': image %lld has label %lld, the labels are 0 to %lld", path, (long long)i,
                   (long long)index->labels[i], (long long)index->class_count - 1);
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode ReadPlaces(CordsH5 file, CordsPackPlaces *places, PetscInt64 *data_bytes, PetscInt64 *written,
                                 char digest[CORDS_PACK_DIGEST])
{
  PetscInt64 one = 1, digits = DIGITS, bytes;

  PetscFunctionBegin;
  memset(digest, 0, CORDS_PACK_DIGEST);
  PetscCall(CordsH5Place(file, data_schema.name, &places->data, data_bytes));
  PetscCall(CordsH5Place(file, written_schema.name, &places->written, &bytes));
  PetscCall(CordsH5Place(file, digest_schema.name, &places->digest, &bytes));
  PetscCall(CordsH5ReadArray(file, written_schema.name, CORDS_FILE_I64, 1, &one, written));
  PetscCall(CordsH5ReadArray(file, digest_schema.name, CORDS_FILE_U8, 1, &digits, digest));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode ReadAll(CordsH5 file, CordsPackIndex *index, CordsPackPlaces *places, PetscInt64 *written,
                              char digest[CORDS_PACK_DIGEST])
{
  PetscInt64 data_bytes;

  PetscFunctionBegin;
  PetscCall(ReadText(file, "dataset", sizeof index->dataset, index->dataset));
  PetscCall(ReadText(file, "split", sizeof index->split, index->split));
  PetscCall(CordsH5ReadInt(file, "images", "rows", NULL, &index->rows));
  PetscCall(CordsH5ReadInt(file, "images", "columns", NULL, &index->columns));
  PetscCall(CordsH5ReadInt(file, "images", "channels", NULL, &index->channels));
  PetscCall(ReadArrays(file, index));
  PetscCall(ReadPlaces(file, places, &data_bytes, written, digest));
  PetscCall(CheckIndex(CordsH5Path(file), index, data_bytes));
  CordsCheckUser(*written >= 0 && *written <= index->count, PETSC_COMM_WORLD, "'%s' is damaged: images/written is %lld",
                 CordsH5Path(file), (long long)*written);
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsPackIndexRead(CordsContext context, const char *path, CordsPackIndex *index,
                                  CordsPackPlaces *places, PetscInt64 *written, char digest[CORDS_PACK_DIGEST])
{
  PetscErrorCode ierr;
  CordsH5 file;

  PetscFunctionBegin;
  memset(index, 0, sizeof *index);
  PetscCall(CordsH5Open(context, path, &file));
  ierr = ReadAll(file, index, places, written, digest);
  PetscCall(CordsH5Close(&file));
  if (ierr) PetscCall(CordsPackIndexFree(index));
  PetscCall(ierr);
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* ---- bytes at their place ---- */

int CordsPackReadAt(int descriptor, PetscInt64 offset, size_t length, void *bytes)
{
  for (size_t done = 0; done < length;) {
    ssize_t got = pread(descriptor, (char *)bytes + done, length - done, (off_t)offset + (off_t)done);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return got < 0 ? errno : EIO;
    done += (size_t)got;
  }
  return 0;
}

int CordsPackWriteAt(int descriptor, PetscInt64 offset, size_t length, const void *bytes)
{
  for (size_t done = 0; done < length;) {
    ssize_t put = pwrite(descriptor, (const char *)bytes + done, length - done, (off_t)offset + (off_t)done);
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) return put < 0 ? errno : ENOSPC;
    done += (size_t)put;
  }
  return 0;
}
