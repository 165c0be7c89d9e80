/* The structure array of meta.mat.

   MATLAB 5 files (The MathWorks, "MAT-File Format"), little-endian: 128 bytes of header, then elements. An element is a
   tag of eight bytes (type, bytes) and its data, padded to eight bytes; up to four bytes of data stand in the tag
   itself, whose first number then has their count in its upper half.

     compressed   zlib data, which unfold to one element
     matrix       flags, sizes, name, then
       structure  length of a field's name, names of the fields, and the fields of the first, second, ... entry as
                  matrices
       characters, numbers   one element with the values, in any number type that holds them */
#include "data/synsets_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum {
  TYPE_MATRIX = 14,
  TYPE_COMPRESSED = 15,
  CLASS_STRUCTURE = 2,
  HEADER_BYTES = 128,
  FIELDS_MAX = 64,
  FIELD_MAX = 64
};
enum { UNFOLDED_MAX = 1 << 28 };

typedef struct {
  const uint8_t *at, *end;
} Bytes;

typedef struct {
  uint32_t type;
  Bytes data;
} Element;

static uint32_t Number(const uint8_t *bytes)
{
  return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

/* The next element; false at the end and where there is none. */
static PetscBool Next(Bytes *bytes, Element *element)
{
  size_t left = (size_t)(bytes->end - bytes->at), length, taken;
  uint32_t first;

  if (left < 8) return PETSC_FALSE;
  first = Number(bytes->at);
  element->type = first & 0xffff;
  if (first >> 16) {
    length = first >> 16;
    if (length > 4) return PETSC_FALSE;
    element->data = (Bytes){bytes->at + 4, bytes->at + 4 + length};
    bytes->at += 8;
    return PETSC_TRUE;
  }
  length = Number(bytes->at + 4);
  if (length > left - 8) return PETSC_FALSE;
  element->data = (Bytes){bytes->at + 8, bytes->at + 8 + length};
  taken = 8 + (element->type == TYPE_COMPRESSED ? length : (length + 7) / 8 * 8);
  bytes->at += PetscMin(taken, left);
  return PETSC_TRUE;
}

/* The value `index` of an element of numbers; the types are those of the format. */
static double Value(const Element *element, size_t index)
{
  static const int sizes[] = {0, 1, 1, 2, 2, 4, 4, 4, 0, 8, 0, 0, 8, 8, 0, 0, 1, 2};
  int size = element->type < sizeof sizes / sizeof *sizes ? sizes[element->type] : 0;
  const uint8_t *at = element->data.at + index * (size_t)size;
  float single;
  double real;

  if (size == 0 || (size_t)(element->data.end - element->data.at) < (index + 1) * (size_t)size) return -1;
  switch (element->type) {
  case 7:
    memcpy(&single, at, sizeof single);
    return (double)single;
  case 9:
    memcpy(&real, at, sizeof real);
    return real;
  case 1:
  case 2:
  case 16:
    return at[0];
  case 3:
  case 4:
  case 17:
    return at[0] | at[1] << 8;
  case 5:
  case 6:
    return Number(at);
  case 12:
  case 13:
    return Number(at) + 4294967296. * Number(at + 4);
  }
  return -1;
}

/* What stands in front of the values of a matrix; false if it is no matrix. */
static PetscBool MatrixHead(const Element *matrix, Bytes *rest, uint32_t *kind, double sizes[2])
{
  Element flags, shape, name;
  double word;

  *rest = matrix->data;
  if (matrix->type != TYPE_MATRIX || !Next(rest, &flags) || !Next(rest, &shape) || !Next(rest, &name))
    return PETSC_FALSE;
  word = Value(&flags, 0);
  *kind = word >= 0 && word <= UINT32_MAX ? (uint32_t)word & 0xff : 0;
  sizes[0] = Value(&shape, 0);
  sizes[1] = Value(&shape, 1);
  return PETSC_TRUE;
}

/* The characters or the number of a field. */
static double FieldNumber(const Element *field)
{
  double sizes[2];
  Element values;
  uint32_t kind;
  Bytes rest;

  return MatrixHead(field, &rest, &kind, sizes) && Next(&rest, &values) ? Value(&values, 0) : -1;
}

static void FieldText(const Element *field, char text[FIELD_MAX])
{
  double sizes[2];
  Element values;
  uint32_t kind;
  Bytes rest;

  memset(text, 0, FIELD_MAX);
  if (!MatrixHead(field, &rest, &kind, sizes) || !Next(&rest, &values)) return;
  for (size_t i = 0; i < FIELD_MAX - 1; i++) {
    double letter = Value(&values, i);
    if (letter < 1 || letter > 126) return;
    text[i] = (char)letter;
  }
}

/* Which field is called `name`; −1: none. */
static int FindField(const Element *names, size_t width, const char *name)
{
  size_t count = (size_t)(names->data.end - names->data.at) / width;

  for (size_t i = 0; i < count; i++)
    if (!strncmp((const char *)names->data.at + i * width, name, width)) return (int)i;
  return -1;
}

static PetscBool ReadStructure(const Element *matrix, const char *path, CordsSynsets *synsets, char *problem)
{
  Element width, names, field;
  double sizes[2];
  int number, wnid, fields;
  uint32_t kind;
  Bytes rest;

  if (!MatrixHead(matrix, &rest, &kind, sizes) || kind != CLASS_STRUCTURE) return PETSC_FALSE;
  if (!Next(&rest, &width) || !(Value(&width, 0) >= 1 && Value(&width, 0) <= FIELD_MAX) || !Next(&rest, &names))
    return PETSC_FALSE;
  fields = (int)((names.data.end - names.data.at) / (int)Value(&width, 0));
  number = FindField(&names, (size_t)Value(&width, 0), "ILSVRC2012_ID");
  wnid = FindField(&names, (size_t)Value(&width, 0), "WNID");
  if (number < 0 || wnid < 0 || fields > FIELDS_MAX) return PETSC_FALSE;
  for (double entry = 0; entry < sizes[0] * sizes[1] && !problem[0]; entry++) {
    char text[FIELD_MAX] = "";
    double value = -1;
    for (int f = 0; f < fields; f++) {
      if (!Next(&rest, &field)) {
        snprintf(problem, CORDS_DATASET_PROBLEM, "%s: ends inside class %g of %g", path, entry + 1,
                 sizes[0] * sizes[1]);
        return PETSC_TRUE;
      }
      if (f == number) value = FieldNumber(&field);
      if (f == wnid) FieldText(&field, text);
    }
    CordsSynsetsAdd(synsets, path, value, text, problem);
  }
  return PETSC_TRUE;
}

/* Unfold zlib data; NULL if that fails.  To be freed.  zlib's data never become more than 1032 times as long. */
static uint8_t *Unfold(Bytes packed, size_t *length)
{
  uLongf unfolded = PetscMin((uLongf)UNFOLDED_MAX, 1032 * (uLongf)(packed.end - packed.at) + 1);
  uint8_t *bytes = malloc(unfolded);
  int status = bytes ? uncompress(bytes, &unfolded, packed.at, (uLong)(packed.end - packed.at)) : Z_MEM_ERROR;

  *length = unfolded;
  if (status == Z_OK) return bytes;
  free(bytes);
  return NULL;
}

static PetscBool ReadElement(const Element *element, const char *path, CordsSynsets *synsets, char *problem)
{
  PetscBool found = PETSC_FALSE;
  size_t length;
  uint8_t *bytes;
  Element inner;

  if (element->type != TYPE_COMPRESSED) return ReadStructure(element, path, synsets, problem);
  bytes = Unfold(element->data, &length);
  if (!bytes) {
    snprintf(problem, CORDS_DATASET_PROBLEM, "%s: is damaged: its packed data cannot be unfolded", path);
    return PETSC_FALSE;
  }
  if (Next(&(Bytes){bytes, bytes + length}, &inner)) found = ReadStructure(&inner, path, synsets, problem);
  free(bytes);
  return found;
}

PetscErrorCode CordsSynsetsMatlab(const char *path, size_t length, const uint8_t *bytes, CordsSynsets *synsets,
                                  char *problem)
{
  Bytes rest = {bytes + HEADER_BYTES, bytes + length};
  PetscBool found = PETSC_FALSE;
  Element element;

  PetscFunctionBegin;
  if (length < HEADER_BYTES || memcmp(bytes + HEADER_BYTES - 4, "\x00\x01IM", 4) != 0) {
    snprintf(problem, CORDS_DATASET_PROBLEM, "%s: is not a little-endian MATLAB 5 file", path);
    PetscFunctionReturn(PETSC_SUCCESS);
  }
  while (!found && !problem[0] && Next(&rest, &element)) found = ReadElement(&element, path, synsets, problem);
  if (!found && !problem[0])
    snprintf(problem, CORDS_DATASET_PROBLEM,
             "%s: holds no structure array with the fields ILSVRC2012_ID and WNID, or is truncated", path);
  PetscFunctionReturn(PETSC_SUCCESS);
}
