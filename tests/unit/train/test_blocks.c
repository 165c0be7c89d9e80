/* Blocks: every step in one, in order, none across the end of a phase or the start of what is kept. */
#include "train/blocks.h"

#include "support/support.h"

enum { STEPS_MAX = 64 };

static void Check(const CordsPlan *plan, PetscInt items, PetscInt first, PetscInt second, PetscBool recorded)
{
  const PetscInt steps[] = {first, second}, all = first + second;
  const PetscInt longest = recorded ? plan->block : plan->block * plan->images / items;
  CordsBlock blocks[STEPS_MAX];
  const PetscInt count = CordsBlocksCut(plan, items, 2, steps, recorded, blocks);
  PetscInt next = 0;

  for (PetscInt b = 0; b < count; b++) {
    const PetscInt end = blocks[b].start + blocks[b].steps;
    assert_int_equal(blocks[b].start, next);
    assert_in_range(blocks[b].steps, 1, longest);
    assert_int_equal(blocks[b].phase, blocks[b].start >= first);
    assert_true(end <= first || blocks[b].start >= first);
    assert_int_equal(blocks[b].kept, recorded ? blocks[b].start >= all - plan->kept : 0);
    assert_true(!recorded || blocks[b].kept || end <= all - plan->kept);
    next = end;
  }
  assert_int_equal(next, all);
}

static void TestCut(void **state)
{
  for (PetscInt kept = 0; kept <= 20; kept += 5) {
    const CordsPlan plan = {.images = 4, .block = 6, .kept = kept};
    for (PetscInt items = 1; items <= 4; items++) {
      Check(&plan, items, 13, 7, PETSC_TRUE);
      Check(&plan, items, 13, 7, PETSC_FALSE);
      Check(&plan, items, 20, 0, PETSC_TRUE);
    }
  }
}

/* As many as must be. */
static void TestFew(void **state)
{
  const CordsPlan plan = {.images = 4, .block = 6, .kept = 20};
  const PetscInt steps[] = {13, 7};
  CordsBlock blocks[STEPS_MAX];

  assert_int_equal(CordsBlocksCut(&plan, 4, 2, steps, PETSC_TRUE, blocks), 3 + 2);
  assert_int_equal(CordsBlocksCut(&plan, 1, 2, steps, PETSC_FALSE, blocks), 2);
}

static const struct CMUnitTest tests[] = {cmocka_unit_test(TestCut), cmocka_unit_test(TestFew)};
SUPPORT_MAIN(tests)
