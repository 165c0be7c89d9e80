/* The state of training to a file and back, and files of other runs. */
/* RANKS 1 2 */
#include "train/checkpoint.h"
#include "support/networks.h"

enum { INVERSE = 1, LINEAR = 2 };

static CordsTrainState MakeState(void)
{
  CordsTrainState s = {.stage = 1,
                       .epoch = 2,
                       .batch = 3,
                       .update = 44,
                       .log_bytes = 555,
                       .row_updates = 6,
                       .row_norm = 0.1,
                       .update_s = 2.5,
                       .save_s = 0.75};

  for (int k = 0; k < CORDS_METRICS_COUNT; k++) ((double *)&s.row)[k] = SupportRandom(1, (uint32_t)k);
  return s;
}

static void Make(PetscInt index, PetscBool load, const char *body, CordsStage *stage, CordsOptimizer *optimizer)
{
  CordsArchitecture a = NetworkArchitecture(body, "relu");
  CordsModel cnn = index == INVERSE && !load ? NetworkModel(body, "relu", CORDS_FORM_BATCHNORM) : NULL;
  CordsStageSettings s;

  SupportCall(CordsStageSettingsDefault(index, &s));
  s.loss_steps = PetscMin(s.loss_steps, 4);
  SupportCall(CordsStageCreate(&support_context, index, &s, &a, 2, cnn, load, stage));
  SupportCall(CordsStageOptimizer(*stage, optimizer));
  SupportCall(CordsModelDestroy(&cnn));
}

static void Write(const char *path, CordsStage stage, CordsOptimizer optimizer)
{
  CordsTrainState s = MakeState();

  SupportCall(
      CordsCheckpointWrite(&support_context, path, NULL, "compatibility,inverse", &s, stage, optimizer, 0, NULL));
}

static PetscErrorCode ReadState(const char *path, const char *stages, uint64_t seed, CordsTrainState *s)
{
  static CordsContextData context;

  context = support_context;
  context.seed = seed;
  return CordsCheckpointReadState(&context, path, stages, s);
}

/* Counters, sums, parameters, target, moments, number of steps: bit for bit. */
static void TestRoundTrip(void **state)
{
  const char *path = SupportPath("checkpoint.h5");
  CordsTrainState written = MakeState(), read;
  CordsStage stage, back;
  CordsOptimizer optimizer, optimizer_back;
  CordsModel model, model_back;
  size_t bytes;

  memset(&read, 0, sizeof read);
  Make(INVERSE, PETSC_FALSE, NETWORK_STEM, &stage, &optimizer);
  model = CordsStageModel(stage);
  bytes = (size_t)model->learnable_values * sizeof(float);
  for (int k = 0; k < 2; k++) SupportFillF32(10 + (uint64_t)k, model->learnable_values, optimizer->moments[k]);
  NetworkFill(model, 60);
  optimizer->steps = 17;
  Write(path, stage, optimizer);
  SupportCall(ReadState(path, "compatibility,inverse", support_context.seed, &read));
  assert_int_equal(read.stage, written.stage);
  assert_int_equal(read.epoch, written.epoch);
  assert_int_equal(read.batch, written.batch);
  assert_int_equal(read.update, written.update);
  assert_int_equal(read.log_bytes, written.log_bytes);
  assert_int_equal(read.row_updates, written.row_updates);
  assert_true(read.row_norm == written.row_norm);
  assert_true(read.update_s == written.update_s && read.save_s == written.save_s);
  assert_memory_equal(&read.row, &written.row, sizeof read.row);
  Make(INVERSE, PETSC_TRUE, NETWORK_STEM, &back, &optimizer_back);
  SupportCall(CordsCheckpointReadStage(&support_context, path, back, optimizer_back));
  model_back = CordsStageModel(back);
  assert_memory_equal(model_back->values, model->values, (size_t)model->value_count * sizeof(float));
  assert_memory_equal(CordsStageTarget(back)->values, CordsStageTarget(stage)->values,
                      (size_t)CordsStageTarget(stage)->value_count * sizeof(float));
  for (int k = 0; k < 2; k++) assert_memory_equal(optimizer_back->moments[k], optimizer->moments[k], bytes);
  assert_int_equal(optimizer_back->steps, 17);
  SupportCall(CordsOptimizerDestroy(&optimizer));
  SupportCall(CordsOptimizerDestroy(&optimizer_back));
  SupportCall(CordsStageDestroy(&stage));
  SupportCall(CordsStageDestroy(&back));
}

static void TestOtherRuns(void **state)
{
  const char *path = SupportPath("other.h5"), *alone = SupportPath("model.h5");
  CordsStage stage, other;
  CordsOptimizer optimizer, optimizer_other;
  CordsTrainState s;
  CordsModel loaded;

  Make(LINEAR, PETSC_FALSE, NETWORK_STEM, &stage, &optimizer);
  Write(path, stage, optimizer);
  assert_non_null(strstr(SupportExpectUserError(ReadState(path, "linear", support_context.seed, &s)), "-stages"));
  assert_non_null(
      strstr(SupportExpectUserError(ReadState(path, "compatibility,inverse", support_context.seed + 1, &s)), "-seed"));
  Make(LINEAR, PETSC_FALSE, NETWORK_BARE, &other, &optimizer_other);
  assert_non_null(
      strstr(SupportExpectUserError(CordsCheckpointReadStage(&support_context, path, other, optimizer_other)), path));
  SupportCall(CordsCheckpointWriteModel(&support_context, alone, CordsStageModel(stage), 0, NULL));
  SupportCall(CordsModelLoad(&support_context, alone, &loaded));
  assert_memory_equal(loaded->values, CordsStageModel(stage)->values, (size_t)loaded->value_count * sizeof(float));
  assert_non_null(strstr(SupportExpectUserError(ReadState(alone, "compatibility,inverse", support_context.seed, &s)),
                         "not the checkpoint"));
  SupportCall(CordsModelDestroy(&loaded));
  SupportCall(CordsOptimizerDestroy(&optimizer));
  SupportCall(CordsOptimizerDestroy(&optimizer_other));
  SupportCall(CordsStageDestroy(&stage));
  SupportCall(CordsStageDestroy(&other));
}

static PetscBool Whole(const char *path, size_t length, char *reason)
{
  PetscBool whole;

  SupportCall(CordsCheckpointCheck(&support_context, path, &whole, length, reason));
  assert_int_equal(whole, reason[0] == '\0');
  return whole;
}

/* A number that HDF5's checksum cannot tell from the one that was written: 16 bits of zeros turned to ones. */
static void TestOtherNumbers(void **state)
{
  const char *good = SupportPath("whole.h5"), *bad = SupportPath("flipped.h5"), *none = SupportPath("none.h5");
  CordsStage stage;
  CordsOptimizer optimizer;
  char reason[1024];

  Make(LINEAR, PETSC_FALSE, NETWORK_STEM, &stage, &optimizer);
  Write(good, stage, optimizer);
  for (PetscInt k = 0; k < optimizer->model->learnable_values; k++) optimizer->moments[1][k] = 1.5F;
  Write(good, stage, optimizer);
  assert_true(Whole(good, sizeof reason, reason));
  if (support_context.rank == 0) {
    const float pattern[2] = {1.5F, 1.5F};
    char *bytes = malloc(1 << 22), *at;
    FILE *file = fopen(good, "rb");
    size_t length = fread(bytes, 1, 1 << 22, file);
    fclose(file);
    at = memmem(bytes, length, pattern, sizeof pattern);
    assert_non_null(at);
    assert_int_equal(at[0], 0);
    at[0] = at[1] = (char)0xff;
    file = fopen(bad, "wb");
    assert_int_equal(fwrite(bytes, 1, length, file), length);
    fclose(file);
    free(bytes);
  }
  MPI_Barrier(support_context.comm);
  assert_false(Whole(bad, sizeof reason, reason));
  assert_non_null(strstr(reason, "flipped.h5' is damaged"));
  assert_false(Whole(none, sizeof reason, reason));
  assert_non_null(strstr(reason, "No such file"));
  SupportCall(CordsOptimizerDestroy(&optimizer));
  SupportCall(CordsStageDestroy(&stage));
}

/* One of the paper's networks comes back as itself. */
static void TestPreset(void **state)
{
  const char *path = SupportPath("preset.h5");
  CordsArchitecture a;
  CordsModel model, back;
  CordsH5 file;

  SupportCall(CordsArchitecturePreset("R4", 1, 10, &a));
  SupportCall(CordsModelCreate(&a, CORDS_FORM_RECURRENT, &model));
  SupportCall(CordsModelInitialise(model, 1));
  SupportCall(CordsCheckpointWriteModel(&support_context, path, model, 0, NULL));
  SupportCall(CordsModelCreate(&a, CORDS_FORM_RECURRENT, &back));
  SupportCall(CordsH5Open(&support_context, path, &file));
  SupportCall(CordsModelRead(back, file, "parameters"));
  SupportCall(CordsH5Close(&file));
  assert_memory_equal(back->values, model->values, (size_t)model->value_count * sizeof(float));
  SupportCall(CordsModelDestroy(&model));
  SupportCall(CordsModelDestroy(&back));
}

static const struct CMUnitTest tests[] = {cmocka_unit_test(TestRoundTrip), cmocka_unit_test(TestOtherRuns),
                                          cmocka_unit_test(TestPreset), cmocka_unit_test(TestOtherNumbers)};
SUPPORT_MAIN(tests)
