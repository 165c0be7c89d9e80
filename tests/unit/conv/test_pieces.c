/* Pieces of work: each is given once, a thread's own first and in order, and what a thread leaves others take. */
#include "conv/pieces.h"
#include "support/support.h"

#include <omp.h>

enum { COUNT = 103 };

static void TestOrder(void **state)
{
  CordsPieces pieces;

  CordsPiecesStart(&pieces, 10, 3); /* 0 1 2, 3 4 5, 6 7 8 9 */
  assert_int_equal(CordsPiecesTake(&pieces, 1), 3);
  assert_int_equal(CordsPiecesTake(&pieces, 1), 4);
  assert_int_equal(CordsPiecesTake(&pieces, 2), 6);
  assert_int_equal(CordsPiecesTake(&pieces, 1), 5);
  assert_int_equal(CordsPiecesTake(&pieces, 1), 7); /* of thread 2 */
  for (PetscInt left = 5; left > 0; left--) assert_true(CordsPiecesTake(&pieces, 0) >= 0);
  for (PetscInt thread = 0; thread < 3; thread++) assert_int_equal(CordsPiecesTake(&pieces, thread), -1);
}

static void TestOnce(void **state)
{
  const PetscInt threads[] = {1, 2, 5, COUNT + 1, 2 * CORDS_PIECES_SHARES_MAX};

  for (size_t k = 0; k < PETSC_STATIC_ARRAY_LENGTH(threads); k++) {
    int given[COUNT] = {0};
    CordsPieces pieces;
    CordsPiecesStart(&pieces, COUNT, threads[k]);
#pragma omp parallel num_threads((int)threads[k])
    for (PetscInt64 piece; (piece = CordsPiecesTake(&pieces, omp_get_thread_num())) >= 0;) {
#pragma omp atomic
      given[piece]++;
    }
    for (PetscInt piece = 0; piece < COUNT; piece++) assert_int_equal(given[piece], 1);
  }
}

static void TestNothing(void **state)
{
  CordsPieces pieces;

  CordsPiecesStart(&pieces, 0, 2);
  assert_int_equal(CordsPiecesTake(&pieces, 1), -1);
}

static const struct CMUnitTest tests[] = {cmocka_unit_test(TestOrder), cmocka_unit_test(TestOnce),
                                          cmocka_unit_test(TestNothing)};
SUPPORT_MAIN(tests)
