/* The matrix unit is used exactly where the processor has one for bf16 and the system grants it, and a call leaves the
   threads able to go on. */
#include "bench/tile_peak.h"

#include "support/support.h"

#include <stdio.h>
#include <string.h>

/* What the system says of the processor. */
static int SystemNames(const char *flag)
{
  FILE *file = fopen("/proc/cpuinfo", "r");
  static char line[1 << 16];
  int found = 0;

  assert_non_null(file);
  while (!found && fgets(line, sizeof line, file)) found = !strncmp(line, "flags", 5) && strstr(line, flag);
  fclose(file);
  return found;
}

static void TestTiles(void **state)
{
  const double operations = CordsBenchTileOperations();

  if (!SystemNames(" amx_bf16")) assert_true(operations == 0);
  if (operations == 0) return;
  assert_true(operations >= 2.0 * 16 * 16 * 32);
  for (int k = 0; k < 3; k++) CordsBenchTilePeak();
}

static const struct CMUnitTest tests[] = {cmocka_unit_test(TestTiles)};
SUPPORT_MAIN(tests)
