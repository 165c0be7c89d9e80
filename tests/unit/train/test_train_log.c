/* log.csv: rows of averages, cut to what the checkpoint counts, empty cells for what a stage does not have. */
#include "train/train_log.h"
#include "support/support.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char *Contents(const char *path)
{
  static char text[4096];
  FILE *file = fopen(path, "r");

  assert_non_null(file);
  text[fread(text, 1, sizeof text - 1, file)] = '\0';
  fclose(file);
  return text;
}

static void AddRow(CordsTrainLog log, CordsTrainState *s, double loss)
{
  CordsMetrics m = {.loss = loss, .accuracy = 0.5, .spontaneous = 0.25};

  for (int k = 0; k < 6; k++) m.loss_t[k] = loss + k, m.accuracy_t[k] = 0.1 * k;
  s->update += 2;
  CordsTrainLogAdd(s, &m, 3);
  m.loss = 3 * loss;
  CordsTrainLogAdd(s, &m, 5);
  SupportCall(CordsTrainLogRow(log, s, "finetune", 6, 2, 8, 0.125));
}

static void TestRows(void **state)
{
  const char *path = SupportPath("log.csv");
  CordsTrainState s = {.epoch = 1};
  CordsTrainLog log;
  char *text, *row;

  SupportCall(CordsTrainLogOpen(&support_context, path, &s, &log));
  AddRow(log, &s, 2);
  assert_int_equal(s.row_updates, 0); /* the sums are empty again */
  assert_true(s.row.loss == 0 && s.row_norm == 0);
  SupportCall(CordsTrainLogClose(&log));
  text = Contents(path);
  assert_int_equal(s.log_bytes, strlen(text));
  row = strchr(text, '\n') + 1;
  assert_string_equal(row, "finetune,1,2,8,0.125,4,4,0.5,2,3,4,5,6,7,0,0.1,0.2,0.3,0.4,0.5,0.25,,,,,,\n");
  assert_int_equal(strncmp(text, "stage,epoch,update,samples,learning_rate,gradient_norm,loss,accuracy,loss_0", 75), 0);
}

/* Rows that the checkpoint does not count are cut away. */
static void TestCut(void **state)
{
  const char *path = SupportPath("cut.csv");
  CordsTrainState s = {0}, kept;
  CordsTrainLog log;
  char first[4096];

  SupportCall(CordsTrainLogOpen(&support_context, path, &s, &log));
  AddRow(log, &s, 2);
  SupportCall(CordsTrainLogFlush(log));
  kept = s;
  snprintf(first, sizeof first, "%s", Contents(path));
  AddRow(log, &s, 7);
  SupportCall(CordsTrainLogClose(&log));
  assert_string_not_equal(Contents(path), first);
  SupportCall(CordsTrainLogOpen(&support_context, path, &kept, &log));
  assert_string_equal(Contents(path), first);
  AddRow(log, &kept, 7);
  SupportCall(CordsTrainLogClose(&log));
  assert_true(kept.log_bytes == s.log_bytes);
}

/* Stages without time, and stage 2. */
static void TestEmptyCells(void **state)
{
  const char *path = SupportPath("empty.csv");
  CordsTrainState s = {0};
  CordsMetrics m = {.loss = 1, .accuracy = 0.75}, inverse = {.loss = 1, .errors = {2, 4}, .spectral = {1, 2}};
  CordsTrainLog log;
  char *row;

  SupportCall(CordsTrainLogOpen(&support_context, path, &s, &log));
  CordsTrainLogAdd(&s, &m, 1);
  SupportCall(CordsTrainLogRow(log, &s, "compatibility", 0, 2, 1, 1));
  CordsTrainLogAdd(&s, &inverse, 1);
  SupportCall(CordsTrainLogRow(log, &s, "inverse", 0, 2, 1, 1));
  SupportCall(CordsTrainLogClose(&log));
  row = strchr(Contents(path), '\n') + 1;
  assert_string_equal(
      row, "compatibility,0,0,1,1,1,1,0.75,,,,,,,,,,,,,,,,,,,\ninverse,0,0,1,1,1,1,,,,,,,,,,,,,,,3,1.5,,,,\n");
}

static PetscErrorCode Open(const char *path, PetscInt64 bytes)
{
  CordsTrainState s = {.log_bytes = bytes};
  CordsTrainLog log;

  return CordsTrainLogOpen(&support_context, path, &s, &log);
}

static void TestMistakes(void **state)
{
  assert_non_null(strstr(SupportExpectUserError(Open("/nowhere/at/all/log.csv", 0)), "/nowhere/at/all/log.csv"));
  assert_non_null(strstr(SupportExpectUserError(Open(SupportPath("gone.csv"), 100)), "gone.csv"));
}

static const struct CMUnitTest tests[] = {cmocka_unit_test(TestRows), cmocka_unit_test(TestCut),
                                          cmocka_unit_test(TestEmptyCells), cmocka_unit_test(TestMistakes)};
SUPPORT_MAIN(tests)
