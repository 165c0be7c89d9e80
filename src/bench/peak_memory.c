#include "bench/peak_memory.h"

#include <malloc.h>
#include <stdio.h>

void CordsBenchMemoryReset(void)
{
  FILE *file;

  malloc_trim(0);
  file = fopen("/proc/self/clear_refs", "w");
  if (!file) return;
  fputs("5", file); /* the peak becomes what is resident now */
  fclose(file);
}

/* VmHWM, not getrusage: the latter counts what the process was before exec as well. */
double CordsBenchMemoryPeak(void)
{
  FILE *file = fopen("/proc/self/status", "r");
  char line[256];
  double kilobytes = 0;

  if (!file) return 0;
  while (fgets(line, sizeof line, file)) {
    if (sscanf(line, "VmHWM: %lf", &kilobytes) == 1) break;
  }
  fclose(file);
  return 1024 * kilobytes;
}
