/* What the files h5*.c share.

   Functions whose name ends in "Here" run on rank 0 alone.  They report what went wrong as a sentence in `message`
   (empty: all is well); CordsH5Settle then tells all ranks, so that they return the same user error together. */
#ifndef CORDS_IO_H5_PRIVATE_H
#define CORDS_IO_H5_PRIVATE_H

#include "io/h5.h"

#include <hdf5.h>

enum { CORDS_H5_MESSAGE_LENGTH = 2048 };
typedef char CordsH5Message[CORDS_H5_MESSAGE_LENGTH];

struct _p_CordsH5 {
  CordsContext context;
  hid_t id;          /* rank 0: the open file; H5I_INVALID_HID elsewhere and after a failed write */
  PetscBool writing; /* made by CordsH5Create */
  char path[PETSC_MAX_PATH_LEN];
  char part[PETSC_MAX_PATH_LEN];     /* the name while writing */
  char previous[PETSC_MAX_PATH_LEN]; /* what the file before it is kept as; "": it is not kept */
};

/* Collective: return the user error that rank 0 found, if any. */
PetscErrorCode CordsH5Settle(CordsH5 file, const CordsH5Message message);

/* Collective: bytes from rank 0 to all, any number of them. */
PetscErrorCode CordsH5Broadcast(CordsH5 file, PetscInt64 bytes, void *data);

/* Before each write: true if a test wants this one to fail; HDF5's description of a full disk is there then. */
PetscBool CordsH5TestFailure(void);

/* False if HDF5 crashes on this file (tried in a copy of the process). */
PetscBool CordsH5ProbeHere(const char *path, hid_t access);

/* A write failed: explain it, give the file up and remove PATH.part.  Call directly after the HDF5 function. */
void CordsH5WriteFailedHere(CordsH5 file, const char *what, CordsH5Message message);

/* A read failed: explain it.  Call directly after the HDF5 function. */
void CordsH5ReadFailedHere(CordsH5 file, const char *what, CordsH5Message message);

/* Close any kind of id; H5I_INVALID_HID is allowed.  Negative if closing (which may write) failed. */
herr_t CordsH5CloseIdHere(hid_t id);

/* True if every part of the path exists. */
PetscBool CordsH5ExistsHere(CordsH5 file, const char *path);

/* Set a fixed-length UTF-8 attribute of an open object. */
herr_t CordsH5PutTextHere(hid_t object, const char *attribute, const char *text);

#endif
