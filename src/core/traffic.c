#include "core/traffic.h"

const char *const CordsTrafficNames[] = {"halo", "sum", "control"};

static CordsTraffic so_far[CORDS_TRAFFIC_KINDS];

void CordsTrafficCount(CordsTrafficKind kind, PetscInt64 messages, PetscInt64 bytes)
{
  so_far[kind].messages += messages;
  so_far[kind].bytes += bytes;
}

CordsTraffic CordsTrafficSoFar(CordsTrafficKind kind)
{
  return so_far[kind];
}
