/* Room for bytes that are written and read at their place in the file, past HDF5. */
#include "io/h5_private.h"

#include <stdio.h>

static hid_t CreateRoomHere(CordsH5 file, const CordsSchema *schema, CordsFileType type, PetscInt64 size)
{
  hsize_t shape = (hsize_t)size;
  hid_t space = H5Screate_simple(1, &shape, NULL), links = H5Pcreate(H5P_LINK_CREATE);
  hid_t layout = H5Pcreate(H5P_DATASET_CREATE), array;

  H5Pset_layout(layout, H5D_CONTIGUOUS);
  H5Pset_alloc_time(layout, H5D_ALLOC_TIME_EARLY); /* the place is known at once */
  H5Pset_fill_time(layout, H5D_FILL_TIME_NEVER);   /* and what nobody has written is a hole in the file */
  H5Pset_create_intermediate_group(links, 1);
  array = H5Dcreate2(file->id, schema->name, type == CORDS_FILE_U8 ? H5T_STD_U8LE : H5T_STD_I64LE, space, links, layout,
                     H5P_DEFAULT);
  if (array < 0 || CordsH5PutTextHere(array, "axes", schema->axes) < 0 ||
      CordsH5PutTextHere(array, "unit", schema->unit) < 0 || CordsH5PutTextHere(array, "meaning", schema->meaning) < 0)
    return H5I_INVALID_HID;
  CordsH5CloseIdHere(space);
  CordsH5CloseIdHere(links);
  CordsH5CloseIdHere(layout);
  return array;
}

PetscErrorCode CordsH5CreateRoom(CordsH5 file, const CordsSchema *schema, CordsFileType type, PetscInt64 size)
{
  CordsH5Message message = "";

  PetscFunctionBegin;
  PetscCheck(file->writing && (type == CORDS_FILE_U8 || type == CORDS_FILE_I64), PETSC_COMM_SELF, PETSC_ERR_ARG_WRONG,
             "room for %s in '%s'", schema->name, file->path);
  if (file->context->rank == 0) {
    hid_t array = CordsH5TestFailure() ? H5I_INVALID_HID : CreateRoomHere(file, schema, type, size);
    if (array < 0 || CordsH5CloseIdHere(array) < 0) CordsH5WriteFailedHere(file, schema->name, message);
  }
  PetscCall(CordsH5Settle(file, message));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsH5Place(CordsH5 file, const char *name, PetscInt64 *offset, PetscInt64 *bytes)
{
  CordsH5Message message = "";
  PetscInt64 place[2] = {-1, 0};

  PetscFunctionBegin;
  if (file->context->rank == 0) {
    hid_t array = CordsH5ExistsHere(file, name) ? H5Dopen2(file->id, name, H5P_DEFAULT) : H5I_INVALID_HID;
    if (array >= 0 && H5Dget_offset(array) != HADDR_UNDEF) {
      place[0] = (PetscInt64)H5Dget_offset(array);
      place[1] = (PetscInt64)H5Dget_storage_size(array);
    } else {
      snprintf(message, sizeof message, "'%s' holds no array %s in one piece", file->path, name);
    }
    CordsH5CloseIdHere(array);
  }
  PetscCall(CordsH5Settle(file, message));
  PetscCallMPI(MPI_Bcast(place, 2, MPIU_INT64, 0, file->context->comm));
  *offset = place[0];
  *bytes = place[1];
  PetscFunctionReturn(PETSC_SUCCESS);
}
