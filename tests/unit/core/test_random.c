/* Random numbers: the published answers of Philox4x32-10, uniformity, and no order. */
#include "support/support.h"

#include "core/random.h"

#include <math.h>

enum { SAMPLES = 20000, BINS = 20 };

/* The known answers that come with Random123 (kat_vectors, philox4x32 10 rounds): counter, key, first two words. */
static void TestKnownAnswers(void **state)
{
  static const struct {
    uint32_t position, epoch;
    uint64_t sample, seed, answer;
  } cases[] = {{0, 0, 0, 0, UINT64_C(0xe169c58d6627e8d5)},
               {UINT32_MAX, UINT32_MAX, UINT64_MAX, UINT64_MAX, UINT64_C(0x41c83b0e408f276d)},
               {0x243f6a88, 0x85a308d3, UINT64_C(0x0370734413198a2e), UINT64_C(0x299f31d0a4093822),
                UINT64_C(0x94fdccebd16cfe09)}};

  for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
    CordsRandomKey key = {.seed = cases[k].seed,
                          .purpose = (CordsRandomPurpose)0, /* leaves the key of Philox as it is */
                          .epoch = cases[k].epoch,
                          .sample = cases[k].sample};
    double expected = (double)(cases[k].answer >> 11) * 0x1p-53;
    assert_true(CordsRandomUniform(key, cases[k].position) == expected);
  }
}

/* Numbers of this program that must never change: they are part of reproducibility. */
static void TestFixedNumbers(void **state)
{
  CordsRandomKey key = {.seed = 1, .purpose = CORDS_RANDOM_SHUFFLE, .epoch = 2, .sample = 3};

  assert_true(fabs(CordsRandomUniform(key, 4) - 0.88287596448640382) < 1e-15);
  assert_int_equal(CordsRandomBelow(key, 5, 1000000), 935100);
}

static void TestUniform(void **state)
{
  CordsRandomKey key = {.seed = 7, .purpose = CORDS_RANDOM_TEST};
  double mean = 0, square = 0, chi = 0, expected = (double)SAMPLES / BINS;
  int bins[BINS] = {0}, below[BINS] = {0};

  for (uint32_t k = 0; k < SAMPLES; k++) {
    double x = CordsRandomUniform(key, k);
    uint64_t i = CordsRandomBelow(key, k, BINS);
    assert_true(x >= 0 && x < 1);
    assert_true(i < BINS);
    mean += x / SAMPLES;
    square += x * x / SAMPLES;
    bins[(int)(x * BINS)]++;
    below[i]++;
  }
  assert_true(fabs(mean - 0.5) < 0.01);
  assert_true(fabs(square - 1.0 / 3) < 0.01);
  for (int b = 0; b < BINS; b++) {
    chi += (bins[b] - expected) * (bins[b] - expected) / expected;
    assert_true(abs(below[b] - (int)expected) < 200);
  }
  assert_true(chi < 50); /* 19 degrees of freedom: above 50 once in 10 000 */
}

/* Every part of the key matters, and the order of calls does not. */
static void TestKeysAndOrder(void **state)
{
  CordsRandomKey base = {.seed = 1, .purpose = CORDS_RANDOM_TEST, .epoch = 1, .sample = 1}, keys[6];
  double numbers[6];

  for (int k = 0; k < 6; k++) keys[k] = base;
  keys[1].seed = 2;
  keys[2].purpose = CORDS_RANDOM_MIX;
  keys[3].epoch = 2;
  keys[4].sample = 2;
  keys[5].sample = UINT64_C(1) << 40 | 1;
  for (int k = 0; k < 6; k++) numbers[k] = CordsRandomUniform(keys[k], 9);
  for (int k = 5; k >= 0; k--) {
    assert_true(numbers[k] == CordsRandomUniform(keys[k], 9));
    assert_true(numbers[k] != CordsRandomUniform(keys[k], 10));
    for (int j = 0; j < k; j++) assert_true(numbers[j] != numbers[k]);
  }
}

static const struct CMUnitTest tests[] = {cmocka_unit_test(TestKnownAnswers), cmocka_unit_test(TestFixedNumbers),
                                          cmocka_unit_test(TestUniform), cmocka_unit_test(TestKeysAndOrder)};
SUPPORT_MAIN(tests)
