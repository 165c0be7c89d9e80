/* Images made ahead are those made when they are wanted; what cannot be used is told where it is taken.  RANKS 1 2 */
#include "support/folder_cases.h"
#include "support/support.h"

#include "data/image_queue.h"

#include <stdlib.h>
#include <string.h>

enum { SIDE = 20, IMAGES = 24, BATCH = 5, JOBS = 6, SIZE = SIDE * SIDE * 3 };

/* Images 0 to 23, some of them nonsense; `run` of them one after the other from number 9 on. */
static CordsDataset Open(const char *name, int run)
{
  char folder[PETSC_MAX_PATH_LEN], file[64];
  CordsDataset dataset;

  snprintf(folder, sizeof folder, "%s", SupportPath(name));
  MPI_Barrier(support_context.comm); /* nobody reads what was there before */
  if (support_context.rank == 0) {
    mkdir(folder, 0777);
    for (int i = 0; i < IMAGES; i++) {
      PetscBool bad = (PetscBool)(i == 3 || i == 4 || (i >= 9 && i < 9 + run));
      snprintf(file, sizeof file, "train/a/%02d.png", i);
      SupportFolderPut(folder, file,
                       bad ? (SupportImage){(uint8_t *)strdup("nonsense"), 8}
                           : SupportPng(i, 30 + i, 50 - i, PNG_COLOR_TYPE_RGB, 8, 0));
    }
  }
  MPI_Barrier(support_context.comm);
  SupportCall(CordsDatasetOpen(&support_context, "folder", folder, CORDS_SPLIT_TRAIN, &dataset));
  assert_int_equal(CordsDatasetGetFacts(dataset)->count, IMAGES);
  return dataset;
}

/* Five images of a job, some of them again in the next; the last job has three. */
static PetscInt Plan(void *context, PetscInt64 job, CordsSample *samples, PetscInt *epoch)
{
  PetscInt count = job == JOBS - 1 ? 3 : BATCH;

  *epoch = 7;
  if (job >= JOBS) return -1;
  for (PetscInt i = 0; i < count; i++) samples[i] = (4 * job + i) % IMAGES;
  return count;
}

static CordsImageQueue Create(CordsDataset dataset, PetscInt threads, PetscInt prefetch, PetscBool augment,
                              PetscBool replace)
{
  CordsImageQueueSettings settings = {.shape = {SIDE, SIDE, 3},
                                      .images_max = BATCH,
                                      .augment = augment,
                                      .replace = replace,
                                      .seed = 3,
                                      .loading = {threads, prefetch},
                                      .plan = Plan};
  CordsImageQueue queue;

  SupportCall(CordsImageQueueCreate(dataset, &settings, &queue));
  return queue;
}

typedef struct {
  float images[JOBS * BATCH * SIZE];
  CordsSample samples[JOBS * BATCH];
  PetscInt labels[JOBS * BATCH], count;
  PetscBool usable[JOBS * BATCH];
} All;

static void ReadAll(CordsImageQueue queue, PetscInt64 first, All *all)
{
  memset(all, 0, sizeof *all);
  for (PetscInt64 job = first; job < JOBS; job++) {
    CordsQueueImages images;
    SupportCall(CordsImageQueueTake(queue, job, &images));
    for (PetscInt i = 0; i < images.count; i++, all->count++) {
      all->samples[all->count] = images.samples[i];
      all->labels[all->count] = images.labels[i];
      all->usable[all->count] = images.usable[i];
      if (images.usable[i])
        memcpy(all->images + all->count * SIZE, images.images + i * SIZE, SIZE * sizeof *images.images);
    }
    SupportCall(CordsImageQueueRelease(queue));
  }
}

static void CheckSkipped(CordsDataset dataset, int run)
{
  CordsSample *skipped;
  PetscInt count;

  SupportCall(CordsDatasetSkipped(dataset, &count, &skipped));
  assert_int_equal(count, 2 + run);
  for (PetscInt k = 0; k < count; k++) assert_int_equal(skipped[k], k < 2 ? 3 + k : 9 + k - 2);
  SupportCall(PetscFree(skipped));
}

/* With and without threads, from the start and from the middle; ten bad images in a row are more than a thread tries.
 */
static void TestSame(void **state)
{
  All *want = malloc(sizeof *want), *got = malloc(sizeof *got);

  for (int variant = 0; variant < 4; variant++) {
    PetscBool augment = (PetscBool)(variant % 2), replace = (PetscBool)(variant / 2);
    int run = replace ? 10 : 1;
    for (PetscInt threads = 0; threads <= 3; threads++) {
      CordsDataset dataset = Open(replace ? "many" : "few", run);
      CordsImageQueue queue = Create(dataset, threads, 1 + threads, augment, replace);
      ReadAll(queue, 0, threads ? got : want);
      if (threads) assert_memory_equal(got, want, sizeof *want);
      CheckSkipped(dataset, run);
      ReadAll(queue, 3, got);
      assert_int_equal(got->count, want->count - 3 * BATCH);
      assert_memory_equal(got->images, want->images + 3 * BATCH * SIZE, (size_t)got->count * SIZE * sizeof(float));
      assert_true(CordsImageQueueGetStatistics(queue).made >= want->count);
      SupportCall(CordsImageQueueDestroy(&queue));
      SupportCall(CordsDatasetDestroy(&dataset));
    }
    for (PetscInt k = 0; k < want->count; k++) {
      CordsSample asked = 4 * (k / BATCH) + k % BATCH, stands = asked;
      PetscBool bad = (PetscBool)(asked == 3 || asked == 4 || (asked >= 9 && asked < 9 + run));
      if (bad) stands = asked < 5 ? 5 : 9 + run;
      assert_int_equal(want->samples[k], replace ? stands : asked);
      assert_int_equal(want->usable[k], replace || !bad);
    }
  }
  free(want);
  free(got);
}

/* What was made ahead and never taken is not told; a second time is not told again. */
static void TestUntold(void **state)
{
  CordsDataset dataset = Open("few", 1);
  CordsImageQueue queue = Create(dataset, 2, 6, PETSC_FALSE, PETSC_TRUE);
  CordsQueueImages images;
  CordsSample *skipped;
  PetscInt count;

  SupportCall(CordsImageQueueTake(queue, 1, &images)); /* 4 to 8; 9 is made ahead */
  SupportCall(CordsImageQueueRelease(queue));
  for (int tries = 0; tries < 2000 && CordsImageQueueGetStatistics(queue).made < 23; tries++) usleep(1000);
  assert_int_equal(CordsImageQueueGetStatistics(queue).made, 23);
  SupportCall(CordsDatasetSkipped(dataset, &count, &skipped));
  assert_int_equal(count, 1);
  assert_int_equal(skipped[0], 4);
  SupportCall(PetscFree(skipped));
  SupportCall(CordsImageQueueDestroy(&queue));
  SupportCall(CordsDatasetDestroy(&dataset));
}

/* -strict_images: the same sentence from any number of threads, at the image's turn; the threads have ended then. */
static void TestStrict(void **state)
{
  char want[512] = "";

  PetscOptionsSetValue(NULL, "-strict_images", "true");
  SupportCall(CordsDatasetStrictFromOptions());
  for (PetscInt threads = 0; threads <= 3; threads++) {
    CordsDataset dataset = Open("few", 1);
    CordsImageQueue queue = Create(dataset, threads, 3, PETSC_FALSE, PETSC_TRUE);
    CordsQueueImages images;
    const char *sentence;
    SupportCall(CordsImageQueueTake(queue, 5, &images)); /* 20 to 22 are good */
    SupportCall(CordsImageQueueRelease(queue));
    sentence = SupportExpectUserError(CordsImageQueueTake(queue, 0, &images));
    assert_non_null(strstr(sentence, "image 3, "));
    assert_non_null(strstr(sentence, "a/03.png, is neither JPEG nor PNG"));
    assert_true(threads == 0 || !strcmp(sentence, want));
    snprintf(want, sizeof want, "%s", sentence);
    SupportCall(CordsImageQueueDestroy(&queue));
    SupportCall(CordsDatasetDestroy(&dataset));
  }
  PetscOptionsClearValue(NULL, "-strict_images");
  SupportCall(CordsDatasetStrictFromOptions());
}

static void TestNone(void **state)
{
  for (PetscInt threads = 0; threads <= 2; threads++) {
    char folder[PETSC_MAX_PATH_LEN];
    CordsDataset dataset;
    CordsImageQueue queue;
    CordsQueueImages images;
    snprintf(folder, sizeof folder, "%s", SupportPath("none"));
    MPI_Barrier(support_context.comm);
    if (support_context.rank == 0) {
      mkdir(folder, 0777);
      SupportFolderPut(folder, "train/a/1.png", (SupportImage){(uint8_t *)strdup("nonsense"), 8});
      SupportFolderPut(folder, "train/a/2.png", (SupportImage){(uint8_t *)strdup("nonsense"), 8});
    }
    MPI_Barrier(support_context.comm);
    SupportCall(CordsDatasetOpen(&support_context, "folder", folder, CORDS_SPLIT_TRAIN, &dataset));
    queue = Create(dataset, threads, 2, PETSC_FALSE, PETSC_TRUE);
    assert_non_null(
        strstr(SupportExpectUserError(CordsImageQueueTake(queue, 0, &images)), "none of its images can be used"));
    SupportCall(CordsImageQueueDestroy(&queue));
    SupportCall(CordsDatasetDestroy(&dataset));
  }
}

/* In the middle of the work. */
static void TestDestroy(void **state)
{
  CordsDataset dataset = Open("few", 1);

  for (PetscInt threads = 0; threads <= 3; threads++) {
    for (int taken = 0; taken <= 2; taken++) {
      CordsImageQueue queue = Create(dataset, threads, 3, PETSC_TRUE, PETSC_TRUE);
      CordsQueueImages images;
      if (taken > 0) SupportCall(CordsImageQueueTake(queue, 0, &images));
      if (taken > 1) SupportCall(CordsImageQueueRelease(queue));
      SupportCall(CordsImageQueueDestroy(&queue));
    }
  }
  SupportCall(CordsDatasetDestroy(&dataset));
}

/* What the log says, from all ranks. */
static void TestDescribe(void **state)
{
  CordsDataset dataset = Open("few", 1);
  CordsImageQueue queue = Create(dataset, 1, 2, PETSC_FALSE, PETSC_TRUE);
  CordsQueueStatistics before = {0};
  CordsQueueImages images;
  double waited, whole, share, rate;
  char *text;
  int threads;

  SupportCall(CordsImageQueueTake(queue, 0, &images));
  SupportCall(CordsImageQueueRelease(queue));
  SupportCall(CordsImageQueueDescribe(queue, support_context.comm, &before, 2, &text));
  assert_int_equal(sscanf(text, "waited %lf s of %lf s for images (%lf %%), %lf images/s per core, decoding threads: %d",
                          &waited, &whole, &share, &rate, &threads),
                   5);
  assert_true(whole == 2 && rate > 1 && threads == 1);
  SupportCall(PetscFree(text));
  SupportCall(CordsImageQueueDestroy(&queue));
  SupportCall(CordsDatasetDestroy(&dataset));
}

static void TestBytes(void **state)
{
  assert_true(CordsLoadingBytes(&(CordsLoading){0}, 3, 10) == 120);
  assert_true(CordsLoadingBytes(&(CordsLoading){.threads = 0, .prefetch = 5}, 3, 10) == 120);
  assert_true(CordsLoadingBytes(&(CordsLoading){.threads = 2, .prefetch = 5}, 3, 10) == 600);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(TestSame),  cmocka_unit_test(TestUntold),  cmocka_unit_test(TestStrict),
    cmocka_unit_test(TestNone),  cmocka_unit_test(TestDestroy), cmocka_unit_test(TestDescribe),
    cmocka_unit_test(TestBytes),
};

SUPPORT_MAIN(tests)
