/* What this rank has sent to others, counted where it is sent. */
#ifndef CORDS_CORE_TRAFFIC_H
#define CORDS_CORE_TRAFFIC_H

#include "core/error.h"

typedef enum { CORDS_TRAFFIC_HALO, CORDS_TRAFFIC_SUM, CORDS_TRAFFIC_KINDS } CordsTrafficKind;
extern const char *const CordsTrafficNames[];

typedef struct {
  PetscInt64 messages, bytes;
} CordsTraffic;

void CordsTrafficCount(CordsTrafficKind kind, PetscInt64 messages, PetscInt64 bytes);
/* Everything of a kind since the program started. */
CordsTraffic CordsTrafficSoFar(CordsTrafficKind kind);

#endif
