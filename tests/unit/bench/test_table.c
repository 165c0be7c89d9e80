/* Rows of the table as they are printed. */
#include "bench/table.h"

#include "support/support.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

static char printed[4096];

/* What is printed between the two goes to `printed`. */
static int saved;
static void Begin(void)
{
  fflush(stdout);
  saved = dup(STDOUT_FILENO);
  assert_non_null(freopen(SupportPath("printed"), "w", stdout));
}

static void End(void)
{
  FILE *file;
  size_t n;

  fflush(stdout);
  dup2(saved, STDOUT_FILENO);
  close(saved);
  file = fopen(SupportPath("printed"), "r");
  n = fread(printed, 1, sizeof printed - 1, file);
  printed[n] = '\0';
  fclose(file);
}

static const CordsMeasurement rate = {.benchmark = "rollout",
                                      .what = "f32 trial",
                                      .backend = "direct, onednn",
                                      .limit = CORDS_LIMIT_F32,
                                      .amount = 3e9,
                                      .median_s = 2,
                                      .ratio = 0.876,
                                      .gemm_ratio = 1.5,
                                      .spread = 0.031},
                              images = {.benchmark = "loader", .what = "images", .amount = 64, .median_s = 0.5};

static void TestRates(void **state)
{
  CordsBenchData bench = {.context = &support_context};
  const char *second;

  Begin();
  SupportCall(CordsBenchPrint(&bench, &rate));
  SupportCall(CordsBenchPrint(&bench, &images));
  End();
  assert_ptr_equal(strstr(printed, "work "), printed); /* one heading for both */
  assert_null(strstr(printed + 1, "work "));
  assert_non_null(strstr(printed, "1.5 GFLOP/s       0.88     1.50     3 %  direct, onednn\n"));
  second = strstr(printed, "loader");
  assert_non_null(second);
  assert_non_null(strstr(second, "128.0 images/s          -        -     0 %"));
}

static void TestHeadings(void **state)
{
  static const char one[] = "one", other[] = "other";
  CordsBenchData bench = {.context = &support_context};

  Begin();
  SupportCall(CordsBenchHeading(&bench, one));
  SupportCall(CordsBenchHeading(&bench, one));
  SupportCall(CordsBenchHeading(&bench, other));
  SupportCall(CordsBenchHeading(&bench, one));
  End();
  assert_string_equal(printed, "one\n\nother\n\none\n");
}

static void TestDry(void **state)
{
  CordsBenchData bench = {.context = &support_context, .dry = PETSC_TRUE};

  Begin();
  SupportCall(CordsBenchPrint(&bench, &rate));
  End();
  assert_non_null(strstr(printed, "3.000 GFLOP  limit: f32\n"));
}

static void TestPeer(void **state)
{
  CordsBenchData bench = {.context = &support_context};
  CordsMeasurement m = {.limit = CORDS_LIMIT_PEER, .ratio = 5.5, .memory_ratio = 2, .spread = 0.1};

  Begin();
  SupportCall(CordsBenchPrint(&bench, &m));
  End();
  assert_non_null(strstr(printed, "5.50 x the peer, spread 10 %; memory 1/2.0 of the peer's\n"));
  m = (CordsMeasurement){.limit = CORDS_LIMIT_PEER, .amount = 32, .of_images = PETSC_TRUE, .ratio = 5.5, .spread = 0.1};
  Begin();
  SupportCall(CordsBenchPrint(&bench, &m));
  bench.dry = PETSC_TRUE;
  SupportCall(CordsBenchPrint(&bench, &m));
  End();
  assert_non_null(strstr(printed, "5.50 x the peer, spread 10 %\n"));
  assert_non_null(strstr(printed, "32.000 images  limit: peer\n"));
}

static const struct CMUnitTest tests[] = {cmocka_unit_test(TestRates), cmocka_unit_test(TestHeadings),
                                          cmocka_unit_test(TestDry), cmocka_unit_test(TestPeer)};
SUPPORT_MAIN(tests)
