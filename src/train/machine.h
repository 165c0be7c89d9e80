/* A cluster as `cords plan` sees it, from a YAML file (workflows/config/machine_example.yaml):

     name: some words                  # optional
     ranks_per_node: 64
     memory_per_node_gb: 256
     network: {latency_us: 2, bandwidth_gb_s: 12.5}   # of one node, shared by its ranks
     node: {latency_us: 0.5, bandwidth_gb_s: 10}      # between two ranks of a node
     rate: {f32_gflop_s: 80, bf16_gflop_s: 150}       # of one rank; or from `cords bench` */
#ifndef CORDS_TRAIN_MACHINE_H
#define CORDS_TRAIN_MACHINE_H

#include "core/array.h"
#include "core/context.h"

/* What a message of some bytes takes: latency + bytes / bandwidth. */
typedef struct {
  double latency_s, bandwidth; /* bytes/s */
} CordsLink;

typedef struct {
  char name[128];
  PetscInt ranks_per_node;
  double memory_bytes;            /* of a node */
  CordsLink network, node;        /* between nodes, within one */
  double rates[CORDS_TYPE_COUNT]; /* operations/s of one rank, by number type; 0: not known */
} CordsMachine;

/* Read a description.  Errors (user): not readable, no YAML, a name that is unknown (with the closest), a number that
   is missing or out of its range; each names the file and the name. */
PetscErrorCode CordsMachineRead(const char *path, CordsMachine *machine);

/* Take over the rates of training steps from a file of `cords bench gradient -output`: operations over median time, of
   one of its ranks.  Errors (user): no such file, or no such rates in it. */
PetscErrorCode CordsMachineReadBench(CordsContext context, const char *path, CordsMachine *machine);

#endif
