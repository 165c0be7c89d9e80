/* RANKS 1 2 4
   Ranks form domain groups of neighbours in the grid that is asked for, and what cannot be formed is refused. */
#include "core/config.h"
#include "core/context.h"

#include "support/support.h"

#include <stdio.h>

static CordsContextData Make(const char *ranks, const char *grid)
{
  CordsContextData context;

  SupportCall(PetscOptionsClear(NULL));
  if (ranks) SupportCall(PetscOptionsSetValue(NULL, "-domain_ranks", ranks));
  if (grid) SupportCall(PetscOptionsSetValue(NULL, "-domain_grid", grid));
  SupportCall(CordsConfigBegin());
  SupportCall(CordsContextInitialize(PETSC_COMM_WORLD, &context));
  return context;
}

static const char *Refusal(const char *ranks, const char *grid)
{
  static CordsContextData context;

  SupportCall(PetscOptionsClear(NULL));
  if (ranks) SupportCall(PetscOptionsSetValue(NULL, "-domain_ranks", ranks));
  if (grid) SupportCall(PetscOptionsSetValue(NULL, "-domain_grid", grid));
  SupportCall(CordsConfigBegin());
  return SupportExpectUserError(CordsContextInitialize(PETSC_COMM_WORLD, &context));
}

static void TestGroups(void **state)
{
  CordsContextData context = Make(NULL, NULL);
  PetscMPIInt size;

  assert_int_equal(context.group_size, context.size);
  assert_false(CordsContextIsCut(&context));
  SupportCall(CordsContextCheckUncut(&context, "a test"));
  for (int ranks = 2; ranks <= context.size; ranks *= 2) {
    char text[16];
    snprintf(text, sizeof text, "%d", ranks);
    context = Make(text, NULL);
    assert_int_equal(context.grid_rows, 2);
    assert_int_equal(context.grid_columns, ranks / 2);
    assert_int_equal(context.group_size, context.size / ranks);
    assert_int_equal(context.group_rank * ranks + context.domain_rank, context.rank);
    SupportCall(MPI_Comm_size(context.domain_comm, &size));
    assert_int_equal(size, ranks);
    assert_non_null(
        strstr(SupportExpectUserError(CordsContextCheckUncut(&context, "a test")), "a test works on whole"));
    SupportCall(CordsContextFinalize(&context));
  }
  if (context.size == 4) {
    context = Make(NULL, "1x4");
    assert_int_equal(context.grid_columns, 4);
    SupportCall(CordsContextFinalize(&context));
  }
}

static void TestRefusals(void **state)
{
  assert_non_null(strstr(Refusal("3", NULL), "cannot be split into groups"));
  assert_non_null(strstr(Refusal(NULL, "2*3"), "ROWSxCOLUMNS"));
  assert_non_null(strstr(Refusal(NULL, "0x2"), "ROWSxCOLUMNS"));
  assert_non_null(strstr(Refusal(NULL, "2x2x2"), "ROWSxCOLUMNS"));
  assert_non_null(strstr(Refusal("2", "3x1"), "give one of them"));
}

static const struct CMUnitTest tests[] = {cmocka_unit_test(TestGroups), cmocka_unit_test(TestRefusals)};
SUPPORT_MAIN(tests)
