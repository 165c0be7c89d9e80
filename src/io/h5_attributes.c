#include "io/h5_private.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A longer text in an attribute is not one of ours. */
enum { TEXT_BYTES_MAX = 16 << 20 };

/* H5Lexists wants every part of the path before the last to exist. */
PetscBool CordsH5ExistsHere(CordsH5 file, const char *path)
{
  char part[PETSC_MAX_PATH_LEN];
  size_t length = strlen(path);

  while (*path == '/') path++;
  length = strlen(path);
  if (!length) return PETSC_TRUE;
  if (length >= sizeof part) return PETSC_FALSE;
  for (size_t i = 1; i <= length; i++) {
    if (path[i] != '/' && path[i] != '\0') continue;
    memcpy(part, path, i);
    part[i] = '\0';
    if (H5Lexists(file->id, part, H5P_DEFAULT) <= 0) return PETSC_FALSE;
  }
  return PETSC_TRUE;
}

/* ---- writing ---- */

/* Make a scalar attribute, in place of one of that name.  Negative on failure, leaving HDF5's description of it. */
static herr_t PutHere(hid_t object, const char *attribute, hid_t stored, hid_t memory, const void *value)
{
  hid_t space = H5Screate(H5S_SCALAR), id;

  if (H5Aexists(object, attribute) > 0 && H5Adelete(object, attribute) < 0) return -1;
  id = H5Acreate2(object, attribute, stored, space, H5P_DEFAULT, H5P_DEFAULT);
  if (id < 0 || H5Awrite(id, memory, value) < 0 || H5Aclose(id) < 0) return -1;
  H5Sclose(space);
  return 0;
}

herr_t CordsH5PutTextHere(hid_t object, const char *attribute, const char *text)
{
  hid_t type = H5Tcopy(H5T_C_S1);
  herr_t status;

  H5Tset_size(type, PetscMax(strlen(text), 1)); /* an empty text is one zero byte */
  H5Tset_strpad(type, H5T_STR_NULLPAD);
  H5Tset_cset(type, H5T_CSET_UTF8);
  status = PutHere(object, attribute, type, type, text);
  if (status >= 0) H5Tclose(type);
  return status;
}

/* Open an object; a missing one is made as a group. */
static hid_t OpenOrMakeHere(CordsH5 file, const char *object)
{
  hid_t links, group;

  if (CordsH5ExistsHere(file, object)) return H5Oopen(file->id, object[0] ? object : "/", H5P_DEFAULT);
  links = H5Pcreate(H5P_LINK_CREATE);
  H5Pset_create_intermediate_group(links, 1);
  group = H5Gcreate2(file->id, object, links, H5P_DEFAULT, H5P_DEFAULT);
  if (group >= 0) H5Pclose(links);
  return group;
}

/* Exactly one of text and value is given. */
static PetscErrorCode Write(CordsH5 file, const char *object, const char *attribute, const char *text, hid_t *stored,
                            hid_t *memory, const void *value)
{
  CordsH5Message message = "";
  char what[512];

  PetscFunctionBegin;
  PetscCheck(file->writing, PETSC_COMM_SELF, PETSC_ERR_ARG_WRONGSTATE, "'%s' was opened for reading", file->path);
  if (file->context->rank == 0) {
    hid_t id = OpenOrMakeHere(file, object);
    herr_t status = id < 0 || CordsH5TestFailure() ? -1 : 0;

    if (status >= 0)
      status = text ? CordsH5PutTextHere(id, attribute, text) : PutHere(id, attribute, *stored, *memory, value);
    snprintf(what, sizeof what, "attribute '%s' of '%s'", attribute, object);
    if (status < 0 || CordsH5CloseIdHere(id) < 0) CordsH5WriteFailedHere(file, what, message);
  }
  PetscCall(CordsH5Settle(file, message));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsH5WriteText(CordsH5 file, const char *object, const char *attribute, const char *text)
{
  PetscFunctionBegin;
  PetscCall(Write(file, object, attribute, text, NULL, NULL, NULL));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsH5WriteInt(CordsH5 file, const char *object, const char *attribute, PetscInt64 value)
{
  hid_t stored = H5T_STD_I64LE, memory = H5T_NATIVE_INT64;

  PetscFunctionBegin;
  PetscCall(Write(file, object, attribute, NULL, &stored, &memory, &value));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsH5WriteReal(CordsH5 file, const char *object, const char *attribute, double value)
{
  hid_t stored = H5T_IEEE_F64LE, memory = H5T_NATIVE_DOUBLE;

  PetscFunctionBegin;
  PetscCall(Write(file, object, attribute, NULL, &stored, &memory, &value));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* ---- reading ---- */

/* Open an attribute; H5I_INVALID_HID if object or attribute are not there. */
static hid_t OpenAttributeHere(CordsH5 file, const char *object, const char *attribute)
{
  hid_t id, found;

  if (!CordsH5ExistsHere(file, object)) return H5I_INVALID_HID;
  id = H5Oopen(file->id, object[0] ? object : "/", H5P_DEFAULT);
  if (id < 0) return id;
  found = H5Aexists(id, attribute) > 0 ? H5Aopen(id, attribute, H5P_DEFAULT) : H5I_INVALID_HID;
  CordsH5CloseIdHere(id);
  return found;
}

/* Number of elements; negative if it cannot be known. */
static hssize_t CountHere(hid_t id)
{
  hid_t space = H5Aget_space(id);
  hssize_t count = space < 0 ? -1 : H5Sget_simple_extent_npoints(space);

  CordsH5CloseIdHere(space);
  return count;
}

/* Fixed and variable length (h5py's).  text: malloc'd, NULL if this is not one text. */
static char *TextHere(hid_t id)
{
  hid_t stored = H5Aget_type(id), memory = H5Tcopy(H5T_C_S1);
  size_t length = H5Tget_size(stored);
  char *text = NULL, *own = NULL;

  if (H5Tget_class(stored) == H5T_STRING && CountHere(id) == 1) {
    H5Tset_cset(memory, H5Tget_cset(stored));
    if (H5Tis_variable_str(stored) > 0) {
      H5Tset_size(memory, H5T_VARIABLE);
      if (H5Aread(id, memory, &own) >= 0) text = own && strlen(own) <= TEXT_BYTES_MAX ? strdup(own) : NULL;
      H5free_memory(own);
    } else if (length <= TEXT_BYTES_MAX) {
      H5Tset_size(memory, length + 1);
      text = calloc(length + 1, 1);
      if (text && H5Aread(id, memory, text) < 0) {
        free(text);
        text = NULL;
      }
    }
  }
  CordsH5CloseIdHere(memory);
  CordsH5CloseIdHere(stored);
  return text;
}

PetscErrorCode CordsH5ReadText(CordsH5 file, const char *object, const char *attribute, char **text)
{
  CordsH5Message message = "";
  char *found = NULL;
  PetscInt64 length = -1; /* absent */

  PetscFunctionBegin;
  *text = NULL;
  if (file->context->rank == 0) {
    hid_t id = OpenAttributeHere(file, object, attribute);

    if (id >= 0) found = TextHere(id);
    if (id >= 0 && !found)
      snprintf(message, sizeof message, "attribute '%s' of '%s' in '%s' is not a text", attribute, object, file->path);
    if (found) length = (PetscInt64)strlen(found);
    CordsH5CloseIdHere(id);
  }
  PetscCall(CordsH5Settle(file, message));
  PetscCall(CordsH5Broadcast(file, sizeof length, &length));
  if (length >= 0) {
    PetscCall(PetscMalloc1((size_t)length + 1, text));
    if (found) memcpy(*text, found, (size_t)length + 1);
    PetscCall(CordsH5Broadcast(file, length + 1, *text));
  }
  free(found);
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* One scalar number, whole or real, of 8 bytes. */
static PetscErrorCode ReadNumber(CordsH5 file, const char *object, const char *attribute, PetscBool *found,
                                 PetscBool whole, void *value)
{
  CordsH5Message message = "";
  struct {
    PetscInt64 found;
    union {
      PetscInt64 whole;
      double real;
    } value;
  } answer = {0};

  PetscFunctionBegin;
  if (file->context->rank == 0) {
    hid_t id = OpenAttributeHere(file, object, attribute), type = id < 0 ? id : H5Aget_type(id);
    H5T_class_t kind = id < 0 ? H5T_NO_CLASS : H5Tget_class(type);

    answer.found = id >= 0;
    if (id < 0 && !found)
      snprintf(message, sizeof message, "'%s' has no attribute '%s' of '%s'", file->path, attribute, object);
    else if (id >= 0 && (!(kind == H5T_INTEGER || (kind == H5T_FLOAT && !whole)) || CountHere(id) != 1 ||
                         H5Aread(id, whole ? H5T_NATIVE_INT64 : H5T_NATIVE_DOUBLE, &answer.value) < 0 ||
                         (!whole && !isfinite(answer.value.real))))
      snprintf(message, sizeof message, "attribute '%s' of '%s' in '%s' is not a %s number", attribute, object,
               file->path, whole ? "whole" : "finite");
    CordsH5CloseIdHere(type);
    CordsH5CloseIdHere(id);
  }
  PetscCall(CordsH5Settle(file, message));
  PetscCall(CordsH5Broadcast(file, sizeof answer, &answer));
  if (found) *found = (PetscBool)answer.found;
  if (answer.found) memcpy(value, &answer.value, sizeof answer.value);
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsH5ReadInt(CordsH5 file, const char *object, const char *attribute, PetscBool *found,
                              PetscInt64 *value)
{
  PetscFunctionBegin;
  PetscCall(ReadNumber(file, object, attribute, found, PETSC_TRUE, value));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsH5ReadReal(CordsH5 file, const char *object, const char *attribute, PetscBool *found, double *value)
{
  PetscFunctionBegin;
  PetscCall(ReadNumber(file, object, attribute, found, PETSC_FALSE, value));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* ---- what is in a group ---- */

/* Names one after the other, each with its zero byte. */
typedef struct {
  H5O_type_t type;
  char *text;
  size_t length;
} Names;

static herr_t AddName(hid_t group, const char *name, const H5L_info_t *link, void *context)
{
  Names *names = context;
  size_t length = strlen(name) + 1;
  H5O_info_t info;
  char *longer;

  if (link->type != H5L_TYPE_HARD || H5Oget_info_by_name2(group, name, &info, H5O_INFO_BASIC, H5P_DEFAULT) < 0 ||
      info.type != names->type)
    return 0;
  longer = realloc(names->text, names->length + length);
  if (!longer) return -1;
  memcpy(longer + names->length, name, length);
  names->text = longer;
  names->length += length;
  return 0;
}

static void ListHere(CordsH5 file, const char *group, Names *names, CordsH5Message message)
{
  hid_t id;
  char what[512];

  if (!CordsH5ExistsHere(file, group)) return;
  id = H5Gopen2(file->id, group[0] ? group : "/", H5P_DEFAULT);
  snprintf(what, sizeof what, "group '%s'", group[0] ? group : "/");
  if (id < 0 || H5Literate(id, H5_INDEX_NAME, H5_ITER_INC, NULL, AddName, names) < 0)
    CordsH5ReadFailedHere(file, what, message);
  CordsH5CloseIdHere(id);
}

static PetscErrorCode SplitNames(const Names *joined, PetscInt *count, char ***names)
{
  PetscFunctionBegin;
  *count = 0;
  for (size_t i = 0; i < joined->length; i++) *count += !joined->text[i];
  PetscCall(PetscMalloc1(PetscMax(*count, 1), names));
  for (PetscInt i = 0, at = 0; i < *count; i++) {
    PetscCall(PetscStrallocpy(joined->text + at, &(*names)[i]));
    at += (PetscInt)strlen(joined->text + at) + 1;
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode List(CordsH5 file, const char *group, H5O_type_t type, PetscInt *count, char ***names)
{
  CordsH5Message message = "";
  Names joined = {.type = type};
  PetscInt64 length;

  PetscFunctionBegin;
  if (file->context->rank == 0) ListHere(file, group, &joined, message);
  PetscCall(CordsH5Settle(file, message));
  length = (PetscInt64)joined.length;
  PetscCall(CordsH5Broadcast(file, sizeof length, &length));
  joined.length = (size_t)length;
  if (file->context->rank && length) joined.text = malloc(joined.length);
  PetscCheck(!length || joined.text, PETSC_COMM_SELF, PETSC_ERR_MEM, "no memory for %lld bytes", (long long)length);
  PetscCall(CordsH5Broadcast(file, length, joined.text));
  PetscCall(SplitNames(&joined, count, names));
  free(joined.text);
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsH5List(CordsH5 file, const char *group, PetscInt *count, char ***names)
{
  PetscFunctionBegin;
  PetscCall(List(file, group, H5O_TYPE_DATASET, count, names));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsH5ListGroups(CordsH5 file, const char *group, PetscInt *count, char ***names)
{
  PetscFunctionBegin;
  PetscCall(List(file, group, H5O_TYPE_GROUP, count, names));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsH5FreeNames(PetscInt count, char ***names)
{
  PetscFunctionBegin;
  for (PetscInt i = 0; i < count; i++) PetscCall(PetscFree((*names)[i]));
  PetscCall(PetscFree(*names));
  PetscFunctionReturn(PETSC_SUCCESS);
}
