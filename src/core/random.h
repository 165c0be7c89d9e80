/* Random numbers as a function of (seed, purpose, epoch, sample, position): the same on any number of ranks, in any
   order, and after a restart, because there is no state to save.  Philox4x32-10 of Random123 (Salmon et al.,
   "Parallel random numbers: as easy as 1, 2, 3", SC 2011). */
#ifndef CORDS_CORE_RANDOM_H
#define CORDS_CORE_RANDOM_H

#include <stdint.h>

/* One purpose never sees the numbers of another.  Append only: the numbers are part of reproducibility. */
typedef enum {
  CORDS_RANDOM_SHUFFLE = 1,
  CORDS_RANDOM_INITIALISE = 2,
  CORDS_RANDOM_AUGMENT = 3,
  CORDS_RANDOM_MIX = 4,
  CORDS_RANDOM_EIGENVECTOR = 5,
  CORDS_RANDOM_TEST = 6,
  CORDS_RANDOM_CROP = 7,
  CORDS_RANDOM_OPERATION = 8
} CordsRandomPurpose;

typedef struct {
  uint64_t seed;
  CordsRandomPurpose purpose;
  uint32_t epoch;
  uint64_t sample; /* global sample, batch or tensor number */
} CordsRandomKey;

/* Uniform in [0, 1), 53 bits. */
double CordsRandomUniform(CordsRandomKey key, uint32_t position);

/* Uniform in [0, n), n > 0. */
uint64_t CordsRandomBelow(CordsRandomKey key, uint32_t position, uint64_t n);

#endif
