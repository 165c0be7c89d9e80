#ifndef CORDS_IO_SCHEMA_H
#define CORDS_IO_SCHEMA_H

#include "core/error.h"

/* What an array in a file is, for readers that know nothing of cords.  Written as attributes of the dataset:
   axes, unit, meaning. */
typedef struct {
  const char *name;    /* path in the file, for example "fixed_points/state" */
  const char *axes;    /* one word per dimension, slowest first, separated by commas: "point,neuron" */
  const char *unit;    /* "1" for pure numbers, "ms", "1/tau", "nat" */
  const char *meaning; /* one sentence without a full stop */
} CordsSchema;

/* Number types in files.  Complex is the compound {r, i} of float64 that h5py reads as complex128. */
typedef enum { CORDS_FILE_F32, CORDS_FILE_F64, CORDS_FILE_I64, CORDS_FILE_U8, CORDS_FILE_COMPLEX } CordsFileType;

/* Bytes of one number in memory. */
size_t CordsFileTypeSize(CordsFileType type);

/* Number of axes named in a schema; must equal the number of dimensions. */
PetscInt CordsSchemaAxisCount(const CordsSchema *schema);

#endif
