/* The rate of a processor's matrix unit, where it has one: bf16 products of whole tiles (AMX). */
#ifndef CORDS_BENCH_TILE_PEAK_H
#define CORDS_BENCH_TILE_PEAK_H

/* Operations (multiply-adds × 2) of one call of CordsBenchTilePeak on one thread; 0 where the processor has no tiles
   for bf16, the system does not grant them, or the program was compiled without them. */
double CordsBenchTileOperations(void);

/* Products of tiles in registers, on all threads. */
void CordsBenchTilePeak(void);

#endif
