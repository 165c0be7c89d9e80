/* The unit for products of matrices: hidden on demand; where there is one, a product of small whole numbers is exact.
 */
#include "conv/matrix_unit.h"
#include "support/support.h"

#include "core/array.h"

#include <stdlib.h>
#if defined(__AMX_BF16__)
#include <immintrin.h>

static void Product(const uint16_t *a, const uint16_t *b, float *c)
{
  CordsMatrixUnitBegin();
  CordsMatrixUnitSeesMemory();
  _tile_zero(0);
  _tile_loadd(1, a, CORDS_MATRIX_ROW_BYTES);
  _tile_loadd(2, b, CORDS_MATRIX_ROW_BYTES);
  _tile_dpbf16ps(0, 1, 2);
  _tile_stored(0, c, CORDS_MATRIX_ROW_BYTES);
  CordsMatrixUnitEnd();
}

static void TestProduct(void **state)
{
  enum { SIDE = CORDS_MATRIX_SIDE, DEPTH = CORDS_MATRIX_DEPTH };
  uint16_t a[SIDE * DEPTH], b[DEPTH * SIDE];
  float c[SIDE * SIDE];

  if (!CordsMatrixUnitHas()) skip();
  for (int k = 0; k < SIDE * DEPTH; k++) {
    a[k] = CordsToBf16((float)(k % 7 - 3));
    b[k] = CordsToBf16((float)(k % 5 - 2));
  }
  Product(a, b, c);
  for (int i = 0; i < SIDE; i++) {
    for (int j = 0; j < SIDE; j++) {
      float sum = 0;
      for (int k = 0; k < DEPTH; k++)
        sum += CordsFromBf16(a[i * DEPTH + k]) * CordsFromBf16(b[(k / 2 * SIDE + j) * 2 + k % 2]);
      assert_true(c[i * SIDE + j] == sum);
    }
  }
}
#else
static void TestProduct(void **state)
{
  assert_false(CordsMatrixUnitHas());
}
#endif

static void TestHidden(void **state)
{
  assert_int_equal(setenv("CORDS_TEST_NO_BF16", "1", 1), 0);
  assert_false(CordsMatrixUnitHas());
  assert_int_equal(unsetenv("CORDS_TEST_NO_BF16"), 0);
}

static const struct CMUnitTest tests[] = {cmocka_unit_test(TestProduct), cmocka_unit_test(TestHidden)};
SUPPORT_MAIN(tests)
