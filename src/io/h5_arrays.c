#include "io/h5_private.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* ---- types and shapes ---- */

static hid_t ComplexType(hid_t part)
{
  hid_t type = H5Tcreate(H5T_COMPOUND, 2 * H5Tget_size(part));

  if (type < 0) return type;
  H5Tinsert(type, "r", 0, part);
  H5Tinsert(type, "i", H5Tget_size(part), part);
  return type;
}

/* The type in memory, to be closed. */
static hid_t MemoryType(CordsFileType type)
{
  switch (type) {
  case CORDS_FILE_F32:
    return H5Tcopy(H5T_NATIVE_FLOAT);
  case CORDS_FILE_F64:
    return H5Tcopy(H5T_NATIVE_DOUBLE);
  case CORDS_FILE_I64:
    return H5Tcopy(H5T_NATIVE_INT64);
  case CORDS_FILE_U8:
    return H5Tcopy(H5T_NATIVE_UINT8);
  case CORDS_FILE_COMPLEX:
    return ComplexType(H5T_NATIVE_DOUBLE);
  }
  return H5I_INVALID_HID;
}

/* The type in the file, the same on every machine; to be closed. */
static hid_t StoredType(CordsFileType type)
{
  switch (type) {
  case CORDS_FILE_F32:
    return H5Tcopy(H5T_IEEE_F32LE);
  case CORDS_FILE_F64:
    return H5Tcopy(H5T_IEEE_F64LE);
  case CORDS_FILE_I64:
    return H5Tcopy(H5T_STD_I64LE);
  case CORDS_FILE_U8:
    return H5Tcopy(H5T_STD_U8LE);
  case CORDS_FILE_COMPLEX:
    return ComplexType(H5T_IEEE_F64LE);
  }
  return H5I_INVALID_HID;
}

/* "[3,4]" */
static void PrintShape(PetscInt dimensions, const PetscInt64 sizes[], size_t length, char *text)
{
  size_t used = (size_t)snprintf(text, length, "[");

  for (PetscInt i = 0; i < dimensions && used < length; i++)
    used += (size_t)snprintf(text + used, length - used, "%s%lld", i ? "," : "", (long long)sizes[i]);
  if (used < length) snprintf(text + used, length - used, "]");
}

static PetscErrorCode CheckShape(const char *name, PetscInt dimensions, const PetscInt64 sizes[])
{
  PetscFunctionBegin;
  PetscCheck(dimensions >= 0 && dimensions <= CORDS_H5_DIMENSIONS_MAX, PETSC_COMM_SELF, PETSC_ERR_ARG_OUTOFRANGE,
             "array %s has %" PetscInt_FMT " dimensions", name, dimensions);
  for (PetscInt i = 0; i < dimensions; i++)
    PetscCheck(sizes[i] >= 0, PETSC_COMM_SELF, PETSC_ERR_ARG_OUTOFRANGE, "array %s has a negative size", name);
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode CheckSchema(CordsH5 file, const CordsSchema *schema, PetscInt dimensions)
{
  PetscFunctionBegin;
  PetscCheck(file->writing, PETSC_COMM_SELF, PETSC_ERR_ARG_WRONGSTATE, "'%s' was opened for reading", file->path);
  PetscCheck(schema->name && schema->axes && schema->unit && schema->meaning, PETSC_COMM_SELF, PETSC_ERR_ARG_NULL,
             "array %s lacks axes, unit or meaning", schema->name ? schema->name : "without a name");
  PetscCheck(CordsSchemaAxisCount(schema) == dimensions, PETSC_COMM_SELF, PETSC_ERR_ARG_INCOMP,
             "array %s has %" PetscInt_FMT " dimensions but the axes '%s'", schema->name, dimensions, schema->axes);
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* ---- writing ---- */

/* Chunks, cut along the first axis only, of about so many bytes. */
enum { ARRAY_CHUNK_BYTES = 4 << 20, ROWS_CHUNK_BYTES = 16 << 10 };

/* Checksums on the numbers: with those of the metadata no damaged file is taken for a good one. */
static hid_t Layout(PetscInt dimensions, const hsize_t shape[], size_t item, PetscBool grows)
{
  hid_t layout = H5Pcreate(H5P_DATASET_CREATE);
  hsize_t chunk[CORDS_H5_DIMENSIONS_MAX], row_bytes = item;

  for (PetscInt i = 1; i < dimensions; i++) {
    chunk[i] = shape[i];
    row_bytes *= shape[i];
  }
  if (dimensions == 0 || row_bytes == 0 || (!grows && shape[0] == 0)) return layout; /* nothing to cut */
  if (grows) {
    chunk[0] = PetscMax(ROWS_CHUNK_BYTES / row_bytes, 1);
  } else {
    hsize_t pieces = (shape[0] * row_bytes + ARRAY_CHUNK_BYTES - 1) / ARRAY_CHUNK_BYTES;
    chunk[0] = (shape[0] + pieces - 1) / pieces;
  }
  H5Pset_chunk(layout, (int)dimensions, chunk);
  H5Pset_fletcher32(layout);
  return layout;
}

/* The words on the axes are an attribute, not dimension scales: nothing in cords' files is a coordinate along an axis,
   and a reader finds the words without following references. */
static herr_t Describe(hid_t array, const CordsSchema *schema)
{
  return CordsH5PutTextHere(array, "axes", schema->axes) < 0 || CordsH5PutTextHere(array, "unit", schema->unit) < 0 ||
                 CordsH5PutTextHere(array, "meaning", schema->meaning) < 0
             ? -1
             : 0;
}

static hid_t CreateArrayHere(CordsH5 file, const CordsSchema *schema, CordsFileType type, PetscInt dimensions,
                             const hsize_t shape[], PetscBool grows)
{
  hsize_t limits[CORDS_H5_DIMENSIONS_MAX] = {0};
  hid_t space, stored = StoredType(type), links = H5Pcreate(H5P_LINK_CREATE), array;
  hid_t layout = Layout(dimensions, shape, CordsFileTypeSize(type), grows);

  for (PetscInt i = 0; i < dimensions; i++) limits[i] = grows && i == 0 ? H5S_UNLIMITED : shape[i];
  space = dimensions ? H5Screate_simple((int)dimensions, shape, limits) : H5Screate(H5S_SCALAR);
  H5Pset_create_intermediate_group(links, 1);
  array = H5Dcreate2(file->id, schema->name, stored, space, links, layout, H5P_DEFAULT);
  /* Nothing is closed after a failure: it would wipe HDF5's description of it, and the file is given up as a whole. */
  if (array < 0 || Describe(array, schema) < 0) return H5I_INVALID_HID;
  CordsH5CloseIdHere(space);
  CordsH5CloseIdHere(stored);
  CordsH5CloseIdHere(links);
  CordsH5CloseIdHere(layout);
  return array;
}

/* Make an array and fill it if data is given. */
static void WriteHere(CordsH5 file, const CordsSchema *schema, CordsFileType type, PetscInt dimensions,
                      const PetscInt64 sizes[], PetscBool grows, const void *data, CordsH5Message message)
{
  hsize_t shape[CORDS_H5_DIMENSIONS_MAX] = {0};
  PetscBool empty = (PetscBool)!data;
  char what[512];
  hid_t array, memory = MemoryType(type);
  herr_t status = 0;

  for (PetscInt i = 0; i < dimensions; i++) {
    shape[i] = grows && i == 0 ? 0 : (hsize_t)sizes[i];
    if (!shape[i]) empty = PETSC_TRUE;
  }
  snprintf(what, sizeof what, "array '%s'", schema->name);
  array = CreateArrayHere(file, schema, type, dimensions, shape, grows);
  if (array < 0) {
    CordsH5WriteFailedHere(file, what, message);
    return;
  }
  if (CordsH5TestFailure())
    status = -1;
  else if (!empty)
    status = H5Dwrite(array, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, data);
  /* Closing writes what was held back, so that it fails like writing. */
  if (status < 0 || CordsH5CloseIdHere(array) < 0) CordsH5WriteFailedHere(file, what, message);
  CordsH5CloseIdHere(memory);
}

PetscErrorCode CordsH5WriteArray(CordsH5 file, const CordsSchema *schema, CordsFileType type, PetscInt dimensions,
                                 const PetscInt64 sizes[], const void *data)
{
  CordsH5Message message = "";

  PetscFunctionBegin;
  PetscCall(CheckSchema(file, schema, dimensions));
  PetscCall(CheckShape(schema->name, dimensions, sizes));
  if (file->context->rank == 0) WriteHere(file, schema, type, dimensions, sizes, PETSC_FALSE, data, message);
  PetscCall(CordsH5Settle(file, message));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsH5CreateRows(CordsH5 file, const CordsSchema *schema, CordsFileType type, PetscInt dimensions,
                                 const PetscInt64 sizes[])
{
  CordsH5Message message = "";

  PetscFunctionBegin;
  PetscCall(CheckSchema(file, schema, dimensions));
  PetscCheck(dimensions > 0, PETSC_COMM_SELF, PETSC_ERR_ARG_OUTOFRANGE, "rows need an axis");
  PetscCall(CheckShape(schema->name, dimensions - 1, sizes + 1));
  for (PetscInt i = 1; i < dimensions; i++)
    PetscCheck(sizes[i] > 0, PETSC_COMM_SELF, PETSC_ERR_ARG_OUTOFRANGE, "array %s has empty rows", schema->name);
  if (file->context->rank == 0) WriteHere(file, schema, type, dimensions, sizes, PETSC_TRUE, NULL, message);
  PetscCall(CordsH5Settle(file, message));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* Negative on any failure.  Leaves HDF5's description of it. */
static herr_t AppendHere(hid_t array, PetscInt64 rows, const void *data)
{
  hsize_t shape[CORDS_H5_DIMENSIONS_MAX] = {0}, start[CORDS_H5_DIMENSIONS_MAX] = {0}, count[CORDS_H5_DIMENSIONS_MAX];
  hid_t stored = H5Dget_type(array), memory = H5Tget_native_type(stored, H5T_DIR_ASCEND), space, block;
  hid_t old = H5Dget_space(array);
  int dimensions = H5Sget_simple_extent_dims(old, shape, NULL);
  herr_t status;

  CordsH5CloseIdHere(old);
  if (dimensions < 1) return -1;
  memcpy(count, shape, sizeof count);
  start[0] = shape[0];
  count[0] = (hsize_t)rows;
  shape[0] += (hsize_t)rows;
  if (H5Dset_extent(array, shape) < 0) return -1;
  space = H5Dget_space(array);
  block = H5Screate_simple(dimensions, count, NULL);
  if (H5Sselect_hyperslab(space, H5S_SELECT_SET, start, NULL, count, NULL) < 0) return -1;
  status = H5Dwrite(array, memory, block, space, H5P_DEFAULT, data);
  if (status < 0) return status;
  CordsH5CloseIdHere(block);
  CordsH5CloseIdHere(space);
  CordsH5CloseIdHere(memory);
  CordsH5CloseIdHere(stored);
  return 0;
}

PetscErrorCode CordsH5AppendRows(CordsH5 file, const char *name, PetscInt64 rows, const void *data)
{
  CordsH5Message message = "";
  char what[512];

  PetscFunctionBegin;
  PetscCheck(file->writing, PETSC_COMM_SELF, PETSC_ERR_ARG_WRONGSTATE, "'%s' was opened for reading", file->path);
  if (file->context->rank == 0 && rows > 0) {
    hid_t array = H5Dopen2(file->id, name, H5P_DEFAULT);
    herr_t status = 0;

    snprintf(what, sizeof what, "rows of array '%s'", name);
    if (array < 0 || CordsH5TestFailure()) status = -1;
    if (status < 0 || AppendHere(array, rows, data) < 0 || CordsH5CloseIdHere(array) < 0)
      CordsH5WriteFailedHere(file, what, message);
  }
  PetscCall(CordsH5Settle(file, message));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* ---- reading ---- */

/* Opens an array; says what is wrong with it otherwise.  Arrays whose numbers live in other files are refused: HDF5
   reads zeros without a word where such a file is missing. */
static hid_t OpenArrayHere(CordsH5 file, const char *name, CordsH5Message message)
{
  hid_t array, layout;
  PetscBool elsewhere;
  char what[512];

  if (!CordsH5ExistsHere(file, name)) {
    snprintf(message, CORDS_H5_MESSAGE_LENGTH, "'%s' has no array '%s'", file->path, name);
    return H5I_INVALID_HID;
  }
  snprintf(what, sizeof what, "array '%s'", name);
  array = H5Dopen2(file->id, name, H5P_DEFAULT);
  layout = array < 0 ? H5I_INVALID_HID : H5Dget_create_plist(array);
  if (layout < 0) {
    CordsH5ReadFailedHere(file, what, message);
    CordsH5CloseIdHere(array);
    return H5I_INVALID_HID;
  }
  elsewhere = (PetscBool)(H5Pget_layout(layout) == H5D_VIRTUAL || H5Pget_external_count(layout) > 0);
  CordsH5CloseIdHere(layout);
  if (!elsewhere) return array;
  snprintf(message, CORDS_H5_MESSAGE_LENGTH, "the numbers of array '%s' of '%s' are in other files; copy them into one",
           name, file->path);
  CordsH5CloseIdHere(array);
  return H5I_INVALID_HID;
}

static void ShapeHere(CordsH5 file, hid_t array, const char *name, PetscInt *dimensions, PetscInt64 sizes[],
                      CordsH5Message message)
{
  hsize_t shape[H5S_MAX_RANK];
  hid_t space = H5Dget_space(array);
  int rank = space < 0 ? -1 : H5Sget_simple_extent_dims(space, shape, NULL);

  if (rank < 0 || H5Sget_simple_extent_type(space) == H5S_NULL)
    snprintf(message, CORDS_H5_MESSAGE_LENGTH, "array '%s' of '%s' has no shape", name, file->path);
  else if (rank > CORDS_H5_DIMENSIONS_MAX)
    snprintf(message, CORDS_H5_MESSAGE_LENGTH, "array '%s' of '%s' has %d dimensions, at most %d can be read", name,
             file->path, rank, CORDS_H5_DIMENSIONS_MAX);
  else
    *dimensions = rank;
  for (int i = 0; i < *dimensions; i++) sizes[i] = (PetscInt64)PetscMin(shape[i], (hsize_t)INT64_MAX);
  CordsH5CloseIdHere(space);
}

PetscErrorCode CordsH5GetShape(CordsH5 file, const char *name, PetscBool *exists, PetscInt *dimensions,
                               PetscInt64 sizes[CORDS_H5_DIMENSIONS_MAX])
{
  CordsH5Message message = "";
  PetscInt64 found[2 + CORDS_H5_DIMENSIONS_MAX] = {0}; /* exists, dimensions, sizes */

  PetscFunctionBegin;
  if (file->context->rank == 0) {
    found[0] = CordsH5ExistsHere(file, name);
    if (found[0] || !exists) {
      hid_t array = OpenArrayHere(file, name, message);
      PetscInt count = 0;

      if (array >= 0) ShapeHere(file, array, name, &count, found + 2, message);
      found[1] = count;
      CordsH5CloseIdHere(array);
    }
  }
  PetscCall(CordsH5Settle(file, message));
  PetscCall(CordsH5Broadcast(file, sizeof found, found));
  if (exists) *exists = (PetscBool)found[0];
  *dimensions = (PetscInt)found[1];
  memcpy(sizes, found + 2, CORDS_H5_DIMENSIONS_MAX * sizeof *sizes);
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* A number as machines have them: no padding bits, at most 8 bytes.  Others come from damage; HDF5 would follow. */
static PetscBool OrdinaryHere(hid_t type)
{
  size_t size = H5Tget_size(type);

  return (PetscBool)(size <= 8 && H5Tget_precision(type) == 8 * size);
}

/* Can the stored numbers become `type` without losing what they mean? */
static PetscBool SuitableHere(hid_t stored, CordsFileType type)
{
  H5T_class_t kind = H5Tget_class(stored);
  PetscBool ordinary;
  hid_t part;

  if (type != CORDS_FILE_COMPLEX && !OrdinaryHere(stored)) return PETSC_FALSE;
  if (type == CORDS_FILE_I64 || type == CORDS_FILE_U8) return (PetscBool)(kind == H5T_INTEGER);
  if (type == CORDS_FILE_F32 || type == CORDS_FILE_F64) return (PetscBool)(kind == H5T_INTEGER || kind == H5T_FLOAT);
  if (kind != H5T_COMPOUND || H5Tget_nmembers(stored) != 2) return PETSC_FALSE;
  for (int i = 0; i < 2; i++) {
    int member = H5Tget_member_index(stored, i ? "i" : "r");

    if (member < 0) return PETSC_FALSE;
    part = H5Tget_member_type(stored, (unsigned)member);
    ordinary = (PetscBool)(H5Tget_class(part) == H5T_FLOAT && OrdinaryHere(part));
    CordsH5CloseIdHere(part);
    if (!ordinary) return PETSC_FALSE;
  }
  return PETSC_TRUE;
}

static const char *Wanted(CordsFileType type)
{
  switch (type) {
  case CORDS_FILE_I64:
  case CORDS_FILE_U8:
    return "whole numbers";
  case CORDS_FILE_COMPLEX:
    return "complex numbers (a compound of r and i)";
  default:
    return "numbers";
  }
}

/* Numbers that do not fit the type in memory are errors, not the largest that does. */
static H5T_conv_ret_t RefuseOverflow(H5T_conv_except_t kind, hid_t from, hid_t to, void *in, void *out, void *context)
{
  if (kind != H5T_CONV_EXCEPT_RANGE_HI && kind != H5T_CONV_EXCEPT_RANGE_LOW) return H5T_CONV_UNHANDLED;
  *(PetscBool *)context = PETSC_TRUE;
  return H5T_CONV_ABORT;
}

/* Name the first number that is not finite, by its index. */
static void CheckFiniteHere(CordsH5 file, const char *name, CordsFileType type, PetscInt dimensions,
                            const PetscInt64 start[], const PetscInt64 count[], const void *data,
                            CordsH5Message message)
{
  PetscInt64 parts = type == CORDS_FILE_COMPLEX ? 2 : 1, total = parts, bad, index[CORDS_H5_DIMENSIONS_MAX];
  char place[256];

  if (type == CORDS_FILE_I64 || type == CORDS_FILE_U8) return;
  for (PetscInt i = 0; i < dimensions; i++) total *= count[i];
  if (type == CORDS_FILE_F32)
    for (bad = 0; bad < total && isfinite(((const float *)data)[bad]);) bad++;
  else
    for (bad = 0; bad < total && isfinite(((const double *)data)[bad]);) bad++;
  if (bad == total) return;
  bad /= parts;
  for (PetscInt i = dimensions - 1; i >= 0; i--) {
    index[i] = start[i] + bad % count[i];
    bad /= count[i];
  }
  PrintShape(dimensions, index, sizeof place, place);
  snprintf(message, CORDS_H5_MESSAGE_LENGTH, "array '%s' of '%s' is not finite at index %s; every number must be", name,
           file->path, place);
}

/* Read the block [start, start + count) of an open array. */
static void ReadBlockHere(CordsH5 file, hid_t array, const char *name, CordsFileType type, PetscInt dimensions,
                          const PetscInt64 start[], const PetscInt64 count[], void *data, CordsH5Message message)
{
  hsize_t from[CORDS_H5_DIMENSIONS_MAX] = {0}, block[CORDS_H5_DIMENSIONS_MAX] = {0};
  hid_t stored = H5Dget_type(array), memory = MemoryType(type), transfer = H5Pcreate(H5P_DATASET_XFER);
  hid_t space = H5Dget_space(array), target = H5Scopy(space);
  PetscBool overflow = PETSC_FALSE, empty = PETSC_FALSE;
  char what[512];

  snprintf(what, sizeof what, "array '%s'", name);
  H5Pset_type_conv_cb(transfer, RefuseOverflow, &overflow);
  for (PetscInt i = 0; i < dimensions; i++) {
    from[i] = (hsize_t)start[i];
    block[i] = (hsize_t)count[i];
    if (!count[i]) empty = PETSC_TRUE;
  }
  if (dimensions && !empty) {
    H5Sselect_hyperslab(space, H5S_SELECT_SET, from, NULL, block, NULL);
    H5Sset_extent_simple(target, (int)dimensions, block, NULL);
  }
  if (!SuitableHere(stored, type))
    snprintf(message, CORDS_H5_MESSAGE_LENGTH, "array '%s' of '%s' does not hold %s", name, file->path, Wanted(type));
  else if (!empty && H5Dread(array, memory, target, space, transfer, data) < 0) {
    if (overflow)
      snprintf(message, CORDS_H5_MESSAGE_LENGTH, "array '%s' of '%s' holds a number that does not fit %d bytes", name,
               file->path, (int)CordsFileTypeSize(type));
    else
      CordsH5ReadFailedHere(file, what, message);
  }
  if (!empty && !message[0]) CheckFiniteHere(file, name, type, dimensions, start, count, data, message);
  CordsH5CloseIdHere(target);
  CordsH5CloseIdHere(space);
  CordsH5CloseIdHere(transfer);
  CordsH5CloseIdHere(memory);
  CordsH5CloseIdHere(stored);
}

static void ReadArrayHere(CordsH5 file, const char *name, CordsFileType type, PetscInt dimensions,
                          const PetscInt64 sizes[], void *data, CordsH5Message message)
{
  PetscInt64 found[CORDS_H5_DIMENSIONS_MAX] = {0}, start[CORDS_H5_DIMENSIONS_MAX] = {0};
  PetscInt found_dimensions = 0;
  char found_text[256], wanted_text[256];
  hid_t array = OpenArrayHere(file, name, message);

  if (array < 0) return;
  ShapeHere(file, array, name, &found_dimensions, found, message);
  if (!message[0] &&
      (found_dimensions != dimensions || (dimensions && memcmp(found, sizes, (size_t)dimensions * sizeof *sizes)))) {
    PrintShape(found_dimensions, found, sizeof found_text, found_text);
    PrintShape(dimensions, sizes, sizeof wanted_text, wanted_text);
    snprintf(message, CORDS_H5_MESSAGE_LENGTH, "array '%s' of '%s' has shape %s where %s is needed", name, file->path,
             found_text, wanted_text);
  }
  if (!message[0]) ReadBlockHere(file, array, name, type, dimensions, start, sizes, data, message);
  CordsH5CloseIdHere(array);
}

PetscErrorCode CordsH5ReadArray(CordsH5 file, const char *name, CordsFileType type, PetscInt dimensions,
                                const PetscInt64 sizes[], void *data)
{
  CordsH5Message message = "";
  PetscInt64 bytes = (PetscInt64)CordsFileTypeSize(type);

  PetscFunctionBegin;
  PetscCall(CheckShape(name, dimensions, sizes));
  for (PetscInt i = 0; i < dimensions; i++) bytes *= sizes[i];
  if (file->context->rank == 0) ReadArrayHere(file, name, type, dimensions, sizes, data, message);
  PetscCall(CordsH5Settle(file, message));
  PetscCall(CordsH5Broadcast(file, bytes, data));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static void ReadRowsHere(CordsH5 file, const char *name, CordsFileType type, PetscInt64 start, PetscInt64 count,
                         void *data, PetscInt64 *items, CordsH5Message message)
{
  PetscInt64 sizes[CORDS_H5_DIMENSIONS_MAX] = {0}, from[CORDS_H5_DIMENSIONS_MAX] = {start};
  PetscInt dimensions = 0;
  hid_t array = OpenArrayHere(file, name, message);

  if (array < 0) return;
  ShapeHere(file, array, name, &dimensions, sizes, message);
  if (!message[0] && dimensions == 0)
    snprintf(message, CORDS_H5_MESSAGE_LENGTH, "array '%s' of '%s' has no rows", name, file->path);
  else if (!message[0] && (start < 0 || count < 0 || start > sizes[0] || count > sizes[0] - start))
    snprintf(message, CORDS_H5_MESSAGE_LENGTH, "array '%s' of '%s' has %lld rows; rows %lld to %lld were asked for",
             name, file->path, (long long)sizes[0], (long long)start, (long long)(start + count - 1));
  sizes[0] = count;
  if (!message[0]) ReadBlockHere(file, array, name, type, dimensions, from, sizes, data, message);
  *items = 1;
  for (PetscInt i = 0; i < dimensions; i++) *items *= sizes[i];
  CordsH5CloseIdHere(array);
}

PetscErrorCode CordsH5ReadRows(CordsH5 file, const char *name, CordsFileType type, PetscInt64 start, PetscInt64 count,
                               void *data)
{
  CordsH5Message message = "";
  PetscInt64 items = 0;

  PetscFunctionBegin;
  if (file->context->rank == 0) ReadRowsHere(file, name, type, start, count, data, &items, message);
  PetscCall(CordsH5Settle(file, message));
  PetscCall(CordsH5Broadcast(file, sizeof items, &items));
  PetscCall(CordsH5Broadcast(file, items * (PetscInt64)CordsFileTypeSize(type), data));
  PetscFunctionReturn(PETSC_SUCCESS);
}
