/* What this rank has sent to others, counted where it is sent.

   halo     pixels of maps that other ranks of a domain group read (conv/halo)
   sum      numbers that are added over ranks: gradients, losses, read-outs, batch statistics (core/reduce)
   control  flags and small numbers that ranks agree on (core/agree)

   A message is what one rank sends to one other at a time: an operation in which each of P ranks gets something from
   each of the others counts as P − 1 messages of each of them, though MPI may carry it in fewer and larger ones.  Bytes
   are those of the numbers alone, without MPI's headers. */
#ifndef CORDS_CORE_TRAFFIC_H
#define CORDS_CORE_TRAFFIC_H

#include "core/error.h"

typedef enum { CORDS_TRAFFIC_HALO, CORDS_TRAFFIC_SUM, CORDS_TRAFFIC_CONTROL, CORDS_TRAFFIC_KINDS } CordsTrafficKind;
extern const char *const CordsTrafficNames[];

typedef struct {
  PetscInt64 messages, bytes;
} CordsTraffic;

void CordsTrafficCount(CordsTrafficKind kind, PetscInt64 messages, PetscInt64 bytes);
/* Everything of a kind since the program started. */
CordsTraffic CordsTrafficSoFar(CordsTrafficKind kind);

#endif
