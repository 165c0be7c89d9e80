/* The largest resident set of this process since a moment. */
#ifndef CORDS_BENCH_PEAK_MEMORY_H
#define CORDS_BENCH_PEAK_MEMORY_H

/* Give freed memory back and begin anew.  Where the system does not allow it, the peak goes on from the start of the
   process: never too small. */
void CordsBenchMemoryReset(void);

/* Bytes; 0 where the system does not tell. */
double CordsBenchMemoryPeak(void);

#endif
