/* How results are printed: tables of at most 120 columns whose headings stand above their first row. */
#ifndef CORDS_BENCH_TABLE_H
#define CORDS_BENCH_TABLE_H

#include "bench/benchmark.h"

/* A heading, once until another one is printed: `heading` is a text that stays. */
PetscErrorCode CordsBenchHeading(CordsBench bench, const char *heading);

/* One case as a row of its own: a rate beside its limit, a ratio to the peer, or what would be measured. */
PetscErrorCode CordsBenchPrint(CordsBench bench, const CordsMeasurement *measurement);

/* Amount of one repetition with its unit: "0.231 GFLOP". */
void CordsBenchAmountText(const CordsMeasurement *measurement, size_t length, char *text);

#endif
