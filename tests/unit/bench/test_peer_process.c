/* Requests to another process and its answers; a shell script is the peer. */
#include "bench/peer_process.h"

#include "support/support.h"

#include <stdio.h>

static const char *Script(const char *text)
{
  const char *path = SupportPath("peer.sh");
  FILE *file = fopen(path, "w");

  assert_non_null(file);
  fputs(text, file);
  fclose(file);
  return path;
}

static const char good[] = "echo started with $1 $2 $3 >&2\n"
                           "while read request; do\n"
                           "  case $request in\n"
                           "  trial) echo '{\"logits\": [[1.5, -2e-3], [0.25, 4]], \"seconds\": 0.5, "
                           "\"peak_bytes\": 1024, \"versions\": \"Sheep 1.2 (wool 3)\"}' ;;\n"
                           "  step) echo \"{\\\"loss\\\": 7.25, \\\"gradient_norm\\\": 0.5, \\\"seconds\\\": $3, "
                           "\\\"peak_bytes\\\": 2048}\" ;;\n"
                           "  *) echo '{\"loss\": 1}' ;;\n"
                           "  esac\n"
                           "done\n";

static void TestAnswers(void **state)
{
  static const double expected[] = {1.5, -2e-3, 0.25, 4};
  CordsPeerAnswer answer;
  CordsPeer peer;

  SupportCall(CordsPeerStart("peer", "sh", Script(good), "file.h5", 2, &peer));
  for (int turn = 0; turn < 2; turn++) {
    SupportCall(CordsPeerAsk(peer, "trial", &answer));
    assert_int_equal(answer.logit_count, 4);
    for (int k = 0; k < 4; k++) assert_true(answer.logits[k] == expected[k]);
    assert_true(answer.seconds == 0.5 && answer.peak_bytes == 1024 && answer.loss == 0);
    assert_string_equal(answer.versions, "Sheep 1.2 (wool 3)");
    SupportCall(CordsPeerAsk(peer, "step", &answer));
    assert_int_equal(answer.logit_count, 0);
    assert_string_equal(answer.versions, "");
    assert_true(answer.loss == 7.25 && answer.gradient_norm == 0.5);
    assert_true(answer.seconds == 2); /* the threads it was told */
  }
  SupportCall(CordsPeerStop(&peer));
  assert_null(peer);
}

static PetscErrorCode Ask(const char *python, const char *script, const char *request)
{
  CordsPeerAnswer answer;
  CordsPeer peer;
  PetscErrorCode ierr = CordsPeerStart("peer", python, script, "file.h5", 1, &peer);

  if (ierr) return ierr;
  ierr = CordsPeerAsk(peer, request, &answer);
  CordsPeerStop(&peer);
  return ierr;
}

static void TestMistakes(void **state)
{
  const char *script = Script(good);

  assert_non_null(
      strstr(SupportExpectUserError(Ask("sh", "/none/peer.sh", "trial")), "-peer_script /none/peer.sh: No such"));
  assert_non_null(strstr(SupportExpectUserError(Ask("/none/sh", script, "trial")), "-peer_python /none/sh: cannot be"));
  assert_non_null(strstr(SupportExpectUserError(Ask("sh", script, "else")), "without a time: {\"loss\": 1}"));
  script = Script("exit 3\n");
  for (int turn = 0; turn < 10; turn++) { /* whether it has ended before the request or not */
    assert_non_null(strstr(SupportExpectUserError(Ask("sh", script, "trial")), "ended without an answer to 'trial'"));
  }
}

static const struct CMUnitTest tests[] = {cmocka_unit_test(TestAnswers), cmocka_unit_test(TestMistakes)};
SUPPORT_MAIN(tests)
