/* Whole runs: the same losses on any number of ranks, an exact restart, nothing to do when finished, mistakes. */
/* RANKS 1 2 4 */
#include "train/trainer.h"
#include "support/runs.h"

#include <signal.h>
#include <sys/time.h>
#include <unistd.h>

enum { EPOCHS = 2, ROWS_MAX = 64, NUMBERS_MAX = 32 };

static void Train(CordsContext context, const CordsRun *run, PetscBool *stopped)
{
  CordsDataset dataset = RunDataset(context, CORDS_SPLIT_TRAIN);

  SupportCall(CordsTrain(context, run, dataset, stopped));
  SupportCall(CordsDatasetDestroy(&dataset));
}

static char *Contents(const CordsRun *run, const char *name, size_t *length)
{
  char path[PETSC_MAX_PATH_LEN], *text = calloc(1 << 20, 1);
  FILE *file;

  snprintf(path, sizeof path, "%s/%s", run->output, name);
  file = fopen(path, "r");
  assert_non_null(file);
  *length = fread(text, 1, (1 << 20) - 1, file);
  fclose(file);
  return text;
}

/* Numbers of log.csv, an empty cell as −1; the name of the stage is left out. */
static int ReadLog(const CordsRun *run, double numbers[ROWS_MAX][NUMBERS_MAX])
{
  size_t length;
  char *text = Contents(run, "log.csv", &length), *rest = text, *line;
  int rows = 0;

  strsep(&rest, "\n");
  while ((line = strsep(&rest, "\n")) && *line) {
    char *cell;
    assert_true(rows < ROWS_MAX);
    strsep(&line, ",");
    for (int k = 0; (cell = strsep(&line, ",")); k++) numbers[rows][k] = *cell ? strtod(cell, NULL) : -1;
    rows++;
  }
  free(text);
  return rows;
}

/* One rank by itself against all ranks together. */
static void TestRanks(void **state)
{
  static double alone_log[ROWS_MAX][NUMBERS_MAX], log[ROWS_MAX][NUMBERS_MAX];
  CordsContextData alone = support_context;
  CordsRun run;
  PetscBool stopped;
  int rows;

  alone.comm = PETSC_COMM_SELF;
  alone.rank = 0;
  alone.size = 1;
  alone.group_rank = 0;
  alone.group_size = 1;
  SupportCall(CordsDatasetDestroy(&(CordsDataset){RunDataset(&support_context, CORDS_SPLIT_TRAIN)}));
  RunMake("alone", EPOCHS, &run);
  if (support_context.rank == 0) {
    Train(&alone, &run, &stopped);
    assert_false(stopped);
    rows = ReadLog(&run, alone_log);
    assert_int_equal(rows, run.stage_count * EPOCHS * 2);
  }
  RunMake("together", EPOCHS, &run);
  Train(&support_context, &run, &stopped);
  assert_false(stopped);
  if (support_context.rank == 0) {
    assert_int_equal(ReadLog(&run, log), rows);
    for (int r = 0; r < rows; r++) {
      for (int k = 0; k < NUMBERS_MAX; k++) {
        /* S is the difference of nearly equal states: its round-off is that of r, squared */
        NetworkClose("log.csv", log[r][k], alone_log[r][k], fabs(alone_log[r][k]) + 1e-7, 1e-5);
      }
    }
  }
}

/* Every few milliseconds a request to stop, as a batch system would send it. */
static void Alarm(int number)
{
  (void)number;
  raise(SIGUSR1);
}

static void AskToStopLater(long milliseconds)
{
  struct itimerval timer = {{0, 5000}, {0, milliseconds * 1000}};

  signal(SIGUSR1, SIG_IGN); /* until the trainer listens */
  signal(SIGALRM, Alarm);
  setitimer(ITIMER_REAL, &timer, NULL);
}

static void Copy(const CordsRun *run, const char *from, const char *to)
{
  char command[3 * PETSC_MAX_PATH_LEN];

  snprintf(command, sizeof command, "cp '%s/%s' '%s/%s'", run->output, from, run->output, to);
  if (support_context.rank == 0) assert_int_equal(system(command), 0);
  MPI_Barrier(support_context.comm);
}

static void Remove(const CordsRun *run, const char *name)
{
  char path[PETSC_MAX_PATH_LEN];

  snprintf(path, sizeof path, "%s/%s", run->output, name);
  if (support_context.rank == 0) assert_int_equal(unlink(path), 0);
  MPI_Barrier(support_context.comm);
}

static CordsModel Load(const CordsRun *run, const char *name)
{
  char path[PETSC_MAX_PATH_LEN];
  CordsModel model;

  snprintf(path, sizeof path, "%s/%s", run->output, name);
  SupportCall(CordsModelLoad(&support_context, path, &model));
  return model;
}

/* Same log.csv, same model.h5 and cnn.h5, to the last bit. */
static void CheckSame(const CordsRun *a, const CordsRun *b)
{
  static const char *const names[] = {"model.h5", "cnn.h5"};

  for (int k = 0; k < 2; k++) {
    CordsModel model_a = Load(a, names[k]), model_b = Load(b, names[k]);
    assert_int_equal(model_a->form, k ? CORDS_FORM_FOLDED : CORDS_FORM_RECURRENT);
    assert_memory_equal(model_a->values, model_b->values, (size_t)model_a->value_count * sizeof(float));
    SupportCall(CordsModelDestroy(&model_a));
    SupportCall(CordsModelDestroy(&model_b));
  }
  if (support_context.rank == 0) {
    size_t length_a, length_b;
    char *log_a = Contents(a, "log.csv", &length_a), *log_b = Contents(b, "log.csv", &length_b);
    assert_int_equal(length_a, length_b);
    assert_memory_equal(log_a, log_b, length_a);
    free(log_a);
    free(log_b);
  }
}

static void TestRestart(void **state)
{
  CordsRun straight, broken;
  PetscBool stopped = PETSC_TRUE;
  int stops = 0;

  RunMake("straight", EPOCHS, &straight);
  RunMake("broken", EPOCHS, &broken);
  straight.log_interval = broken.log_interval = 3; /* so that rows are stopped in their middle */
  Train(&support_context, &straight, &stopped);
  while (stopped || stops == 0) {
    /* some stops in the middle of a stage, some near its end; every call makes at least one update */
    AskToStopLater(1 + stops % 3 * 4);
    Train(&support_context, &broken, &stopped);
    if (stopped && stops++ == 1) Copy(&broken, "checkpoint.h5", "early.h5");
    assert_true(stops < 200);
  }
  setitimer(ITIMER_REAL, &(struct itimerval){{0, 0}, {0, 0}}, NULL);
  assert_true(stops > 2);
  signal(SIGALRM, SIG_IGN);
  CheckSame(&straight, &broken);
  /* killed, not stopped: log.csv is ahead of the checkpoint */
  Copy(&broken, "early.h5", "checkpoint.h5");
  Remove(&broken, "model.h5");
  Train(&support_context, &broken, &stopped);
  assert_false(stopped);
  CheckSame(&straight, &broken);
  /* a checkpoint after every update changes nothing */
  RunMake("saved", EPOCHS, &broken);
  broken.log_interval = 3;
  broken.checkpoint_interval_s = 0;
  Train(&support_context, &broken, &stopped);
  CheckSame(&straight, &broken);
}

static void TestFinished(void **state)
{
  CordsRun run;
  PetscBool stopped;
  CordsModel before, after;

  RunMake("straight", EPOCHS, &run); /* of the test before */
  before = Load(&run, "model.h5");
  Train(&support_context, &run, &stopped);
  assert_false(stopped);
  after = Load(&run, "model.h5");
  assert_memory_equal(before->values, after->values, (size_t)before->value_count * sizeof(float));
  SupportCall(CordsModelDestroy(&before));
  SupportCall(CordsModelDestroy(&after));
}

/* A new optimiser at the start of each epoch, and only there: within one epoch it makes no difference. */
static CordsModel TrainFinetune(const char *output, PetscInt epochs, PetscBool new_optimizer)
{
  CordsRun run;
  PetscBool stopped;

  RunMake(output, epochs, &run);
  run.stages[0] = run.stage_count - 1;
  run.settings[0] = run.settings[run.stage_count - 1];
  run.settings[0].new_optimizer = new_optimizer;
  run.settings[0].learning_rate = 1e-2;
  run.stage_count = 1;
  Train(&support_context, &run, &stopped);
  return Load(&run, "model.h5");
}

static void TestNewOptimizer(void **state)
{
  for (PetscInt epochs = 1; epochs <= 2; epochs++) {
    CordsModel kept = TrainFinetune(epochs == 1 ? "kept1" : "kept2", epochs, PETSC_FALSE);
    CordsModel new = TrainFinetune(epochs == 1 ? "new1" : "new2", epochs, PETSC_TRUE);
    int differ = memcmp(kept->values, new->values, (size_t)kept->value_count * sizeof(float)) != 0;
    assert_int_equal(differ, epochs > 1);
    SupportCall(CordsModelDestroy(&kept));
    SupportCall(CordsModelDestroy(&new));
  }
}

static PetscErrorCode TryToTrain(const CordsRun *run)
{
  CordsDataset dataset = RunDataset(&support_context, CORDS_SPLIT_TRAIN);
  PetscBool stopped;
  PetscErrorCode ierr = CordsTrain(&support_context, run, dataset, &stopped);

  SupportCall(CordsDatasetDestroy(&dataset));
  return ierr;
}

static void TestMistakes(void **state)
{
  CordsRun run;

  RunMake("straight", EPOCHS, &run);
  run.stage_count = 1; /* the folder holds another run */
  assert_non_null(strstr(SupportExpectUserError(TryToTrain(&run)), "-stages"));
  RunMake("no/such/folder", EPOCHS, &run);
  assert_non_null(strstr(SupportExpectUserError(TryToTrain(&run)), "cannot make the directory"));
  RunMake("diverging", EPOCHS, &run);
  run.settings[0].learning_rate = 1e38;
  assert_non_null(strstr(SupportExpectUserError(TryToTrain(&run)), "not finite"));
}

static const struct CMUnitTest tests[] = {cmocka_unit_test(TestRanks), cmocka_unit_test(TestRestart),
                                          cmocka_unit_test(TestFinished), cmocka_unit_test(TestNewOptimizer),
                                          cmocka_unit_test(TestMistakes)};
SUPPORT_MAIN(tests)
