#include "io/schema.h"

size_t CordsFileTypeSize(CordsFileType type)
{
  switch (type) {
  case CORDS_FILE_F32:
    return 4;
  case CORDS_FILE_F64:
  case CORDS_FILE_I64:
    return 8;
  case CORDS_FILE_U8:
    return 1;
  case CORDS_FILE_COMPLEX:
    return 16;
  }
  return 0;
}

PetscInt CordsSchemaAxisCount(const CordsSchema *schema)
{
  PetscInt count = 0;

  if (!schema->axes || !schema->axes[0]) return 0;
  for (const char *c = schema->axes; *c; c++) count += *c == ',';
  return count + 1;
}
