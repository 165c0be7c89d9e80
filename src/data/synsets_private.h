/* The parts of data/synsets.h. */
#ifndef CORDS_DATA_SYNSETS_PRIVATE_H
#define CORDS_DATA_SYNSETS_PRIVATE_H

#include "data/synsets.h"

/* One more class.  Problems: a number or an id twice, no id. */
void CordsSynsetsAdd(CordsSynsets *synsets, const char *path, double number, const char *wnid, char *problem);

/* All classes of a MATLAB 5 file in memory. */
PetscErrorCode CordsSynsetsMatlab(const char *path, size_t length, const uint8_t *bytes, CordsSynsets *synsets,
                                  char *problem);

#endif
