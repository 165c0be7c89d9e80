/* Names of backends are those that a convolution takes: the first that can, or what was chosen. */
#include "bench/used_backends.h"

#include "support/networks.h"

#include <stdlib.h>

static void TestFirst(void **state)
{
  CordsConvShape shape = CordsConvShapeSame(4, 4, 2, 3, 3, 1);
  CordsConv conv;

  CordsConvChoiceClear();
  for (int k = 0; k < CORDS_CONV_OPERATION_COUNT; k++) {
    SupportCall(CordsConvCreate(&shape, CORDS_F64, NULL, &conv));
    assert_string_equal(CordsBenchBackend(&shape, CORDS_F64, (CordsConvOperation)k, 3),
                        CordsConvBackend(conv, (CordsConvOperation)k));
    SupportCall(CordsConvDestroy(&conv));
  }
}

/* One line of conv/choice.h for one shape of the network. */
static void Choose(const CordsConvShape *s, const char *operation, const char *images, const char *backend)
{
  char line[256];

  snprintf(line, sizeof line,
           "f32 %s %s threads %s in %dx%dx%d out %dx%dx%d kernel %dx%d stride %d padding %d,%d,%d,%d backend %s ahead "
           "1.50\n",
           operation, images, getenv("OMP_NUM_THREADS") ? getenv("OMP_NUM_THREADS") : "1", (int)s->in_rows,
           (int)s->in_columns, (int)s->in_channels, (int)s->out_rows, (int)s->out_columns, (int)s->out_channels,
           (int)s->kernel_rows, (int)s->kernel_columns, (int)s->stride, (int)s->pad_top, (int)s->pad_left,
           (int)s->pad_bottom, (int)s->pad_right, backend);
  SupportCall(CordsConvChoiceSetText(&support_context, "test", line));
}

static void TestOfNetwork(void **state)
{
  CordsArchitecture a = NetworkArchitecture(NETWORK_STEM, "relu");
  const CordsConvShape *recurrent = &a.connections[a.recurrent[0]].shape;
  CordsBenchCalls forward = {CORDS_F32, 1, 2, 3}, back = {CORDS_F32, 3, 2, 3}, many = {CORDS_F32, 1, 3, 3};
  char text[CORDS_BENCH_BACKENDS_LENGTH];

  CordsConvChoiceClear();
  CordsBenchBackends(&a, &forward, sizeof text, text);
  assert_string_equal(text, "direct");
  Choose(recurrent, "forward", "few", "gemm");
  CordsBenchBackends(&a, &forward, sizeof text, text);
  assert_string_equal(text, "direct, gemm");
  CordsBenchBackends(&a, &many, sizeof text, text); /* which calls for another choice */
  assert_string_equal(text, "direct");
  Choose(recurrent, "backward_weights", "many", "onednn");
  CordsBenchBackends(&a, &back, sizeof text, text);
  assert_string_equal(text, "direct, onednn, gemm");
  CordsConvChoiceClear();
}

static const struct CMUnitTest tests[] = {cmocka_unit_test(TestFirst), cmocka_unit_test(TestOfNetwork)};
SUPPORT_MAIN(tests)
