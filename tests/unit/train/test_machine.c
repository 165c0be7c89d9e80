/* Descriptions of machines: what is read, and a sentence for what is wrong. */
#include "train/machine.h"

#include "support/support.h"

#include <stdio.h>

static const char good[] = "name: a cluster\nranks_per_node: 64   # cores\nmemory_per_node_gb: 256\n"
                           "network: {latency_us: 2, bandwidth_gb_s: 12.5}\nnode:\n  latency_us: 0.5\n"
                           "  bandwidth_gb_s: 10\nrate: {f32_gflop_s: 80}\n";

static const char *Write(const char *text)
{
  const char *path = SupportPath("machine.yaml");
  FILE *file = fopen(path, "w");

  assert_non_null(file);
  fputs(text, file);
  fclose(file);
  return path;
}

static void TestRead(void **state)
{
  CordsMachine m;

  SupportCall(CordsMachineRead(Write(good), &m));
  assert_string_equal(m.name, "a cluster");
  assert_int_equal(m.ranks_per_node, 64);
  assert_true(m.memory_bytes == 256e9);
  assert_true(m.network.latency_s == 2e-6 && m.network.bandwidth == 12.5e9);
  assert_true(m.node.latency_s == 0.5e-6 && m.node.bandwidth == 10e9);
  assert_true(m.rates[CORDS_F32] == 80e9 && m.rates[CORDS_BF16] == 0);
}

/* `found` in place of `part` of the good one. */
static const char *Said(const char *part, const char *found)
{
  const char *place = strstr(good, part);
  char text[1024];
  CordsMachine m;

  assert_non_null(place);
  snprintf(text, sizeof text, "%.*s%s%s", (int)(place - good), good, found, place + strlen(part));
  return SupportExpectUserError(CordsMachineRead(Write(text), &m));
}

static void Expect(const char *said, const char *words)
{
  if (!said || !strstr(said, words)) print_error("'%s' without '%s'\n", said ? said : "(nothing)", words);
  assert_true(said && strstr(said, words) && strstr(said, "machine.yaml"));
}

static void TestMistakes(void **state)
{
  CordsMachine m;

  Expect(Said("ranks_per_node: 64", "ranks_per_node: 0"), "'ranks_per_node' is '0'; it must be a number between 1");
  Expect(Said("ranks_per_node: 64", "ranks_per_node: 1.5"), "not a whole number");
  Expect(Said("ranks_per_node: 64", "ranks_per_nod: 64"), "'ranks_per_node' is missing");
  Expect(Said("name:", "nmae:"), "'nmae' is unknown; did you mean 'name'?");
  Expect(Said("memory_per_node_gb: 256", "memory_per_node_gb: lots"), "'memory_per_node_gb' is 'lots'");
  Expect(Said("latency_us: 2", "latency_us: -2"), "'network: latency_us' is '-2'; it must be a number between 0");
  Expect(Said("latency_us: 2", "latency_us: nan"), "'network: latency_us' is 'nan'");
  Expect(Said("bandwidth_gb_s: 12.5", "bandwidth_gb_s: 0"), "'network: bandwidth_gb_s' is '0'");
  Expect(Said("f32_gflop_s: 80", "f32_gflops: 80"), "'rate_f32_gflops' is unknown; did you mean 'rate: f32_gflop_s'?");
  Expect(Said("f32_gflop_s: 80", "f32_gflop_s: 1e300"), "must be a number between");
  Expect(Said("node:\n  latency_us: 0.5", "node:\n\tlatency_us: 0.5"), "tab");
  Expect(Said("name: a cluster", "name: [a"), "YAML");
  Expect(Said("name: a cluster", "name: &a {b: *a}"), "anchor");
  Expect(SupportExpectUserError(CordsMachineRead(SupportPath("none.yaml"), &m)) ? "machine.yaml" : NULL, "");
  Expect(SupportExpectUserError(CordsMachineRead(Write("just words"), &m)), "YAML");
  Expect(SupportExpectUserError(CordsMachineRead(Write(""), &m)), "missing");
}

/* Not a file of cords bench. */
static void TestBench(void **state)
{
  CordsMachine m = {0};

  Expect(SupportExpectUserError(CordsMachineReadBench(&support_context, Write(good), &m)), "machine.yaml");
}

static const struct CMUnitTest tests[] = {cmocka_unit_test(TestRead), cmocka_unit_test(TestMistakes),
                                          cmocka_unit_test(TestBench)};
SUPPORT_MAIN(tests)
