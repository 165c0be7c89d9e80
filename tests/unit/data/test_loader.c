/* Batches: every image once per epoch, the same batch on any number of ranks, mixing, errors.  RANKS 1 2 4 */
#include "support/idx.h"
#include "support/support.h"

#include "data/loader.h"
#include "data/resized_crop.h"

#include <math.h>
#include <stdlib.h>

enum { CLASSES = 10 };

static CordsDataset OpenSmall(const char *name)
{
  CordsDataset dataset;
  SupportIdx idx;

  MPI_Barrier(support_context.comm);
  SupportIdxMake(&idx);
  SupportIdxWrite(&idx, SupportPath("small"), "train", PETSC_FALSE);
  SupportCall(CordsDatasetOpen(&support_context, name, SupportPath("small"), CORDS_SPLIT_TRAIN, &dataset));
  return dataset;
}

static CordsLoaderSettings Settings(PetscInt batch)
{
  return (CordsLoaderSettings){.rows = IDX_ROWS, .columns = IDX_COLUMNS, .batch = batch};
}

/* The context of one rank out of `size`, on this rank alone: what that rank would do. */
static CordsContextData Alone(PetscMPIInt rank, PetscMPIInt size)
{
  return (CordsContextData){.comm = PETSC_COMM_SELF,
                            .domain_comm = PETSC_COMM_SELF,
                            .rank = rank,
                            .size = size,
                            .group_rank = rank,
                            .group_size = size,
                            .grid_rows = 1,
                            .grid_columns = 1,
                            .seed = 5};
}

static void TestShare(void **state)
{
  CordsDataset dataset = OpenSmall("mnist");
  CordsLoaderSettings settings = Settings(5);

  for (PetscMPIInt size = 1; size <= 4; size++) {
    for (PetscInt batch = 0; batch < 2; batch++) {
      PetscInt next = 0, total = batch == 0 ? 5 : 2;
      for (PetscMPIInt rank = 0; rank < size; rank++) {
        CordsContextData context = Alone(rank, size);
        CordsLoader loader;
        PetscInt start, count, found;
        SupportCall(CordsLoaderCreate(&context, dataset, &settings, &loader));
        assert_int_equal(CordsLoaderBatchCount(loader), 2);
        SupportCall(CordsLoaderShare(loader, batch, &start, &count, &found));
        assert_int_equal(found, total);
        assert_int_equal(start, next);
        assert_in_range(count, total / size, (total + size - 1) / size);
        next += count;
        SupportCall(CordsLoaderDestroy(&loader));
        assert_null(loader);
      }
      assert_int_equal(next, total);
    }
  }
  SupportCall(CordsDatasetDestroy(&dataset));
}

/* Evaluation: own order, normalised by hand, one-hot labels; and CordsLoaderImage gives the same. */
static void TestPlain(void **state)
{
  CordsDataset dataset = OpenSmall("mnist");
  CordsContextData alone = Alone(0, 1);
  CordsLoaderSettings settings = Settings(4);
  CordsLoader loader;
  float images[4 * IDX_PIXELS], labels[4 * CLASSES], image[IDX_PIXELS];
  CordsSample samples[4];
  PetscInt start, count, total, label;

  SupportCall(CordsLoaderCreate(&alone, dataset, &settings, &loader));
  for (int batch = 0; batch < 2; batch++) {
    SupportCall(CordsLoaderShare(loader, batch, &start, &count, &total));
    assert_int_equal(count, batch == 0 ? 4 : 3);
    SupportCall(CordsLoaderRead(loader, 0, batch, images, labels, samples));
    for (int i = 0; i < count; i++) {
      assert_int_equal(samples[i], 4 * batch + i);
      for (int k = 0; k < IDX_PIXELS; k++)
        assert_float_equal(images[i * IDX_PIXELS + k], (SupportIdxPixel(4 * batch + i, k) / 255. - .1307) / .3081,
                           1e-5f);
      for (int k = 0; k < CLASSES; k++)
        assert_true(labels[i * CLASSES + k] == (k == SupportIdxLabel(4 * batch + i) ? 1 : 0));
      SupportCall(CordsLoaderImage(dataset, samples[i], IDX_ROWS, IDX_COLUMNS, image, &label));
      assert_int_equal(label, SupportIdxLabel(4 * batch + i));
      assert_memory_equal(image, images + i * IDX_PIXELS, sizeof image);
    }
  }
  SupportCall(CordsLoaderDestroy(&loader));
  SupportCall(CordsDatasetDestroy(&dataset));
}

/* Resized as bytes, then normalised; the batch and the single image agree. */
static void TestResized(void **state)
{
  enum { ROWS = 11, COLUMNS = 3 };
  CordsDataset dataset = OpenSmall("mnist");
  CordsContextData alone = Alone(0, 1);
  CordsLoaderSettings settings = {.rows = ROWS, .columns = COLUMNS, .batch = IDX_IMAGES};
  CordsLoader loader;
  float images[IDX_IMAGES * ROWS * COLUMNS], labels[IDX_IMAGES * CLASSES], image[ROWS * COLUMNS];
  float expected[ROWS * COLUMNS];
  uint8_t input[IDX_PIXELS], resized[ROWS * COLUMNS];
  const CordsBox whole = {.row_count = IDX_ROWS, .column_count = IDX_COLUMNS};
  void *work = malloc(CordsResizedCropWorkBytes(IDX_ROWS, IDX_COLUMNS, 1, ROWS, COLUMNS));
  PetscInt label;

  SupportCall(CordsLoaderCreate(&alone, dataset, &settings, &loader));
  SupportCall(CordsLoaderRead(loader, 0, 0, images, labels, NULL));
  for (int i = 0; i < IDX_IMAGES; i++) {
    for (int k = 0; k < IDX_PIXELS; k++) input[k] = (uint8_t)SupportIdxPixel(i, k);
    CordsResizedCrop(input, IDX_ROWS, IDX_COLUMNS, 1, whole, ROWS, COLUMNS, resized, work);
    for (int k = 0; k < ROWS * COLUMNS; k++) expected[k] = ((float)resized[k] / 255 - .1307f) / .3081f;
    SupportCompareF32("resized", ROWS * COLUMNS, images + i * ROWS * COLUMNS, expected, 1e-5);
    SupportCall(CordsLoaderImage(dataset, i, ROWS, COLUMNS, image, &label));
    assert_memory_equal(image, images + i * ROWS * COLUMNS, sizeof image);
  }
  free(work);
  SupportCall(CordsLoaderDestroy(&loader));
  SupportCall(CordsDatasetDestroy(&dataset));
}

/* Numbers of the images of an epoch in order. */
static void Order(CordsLoader loader, PetscInt epoch, CordsSample *samples)
{
  float images[IDX_IMAGES * IDX_PIXELS], labels[IDX_IMAGES * CLASSES];
  PetscInt start, count, total;

  for (PetscInt batch = 0; batch < CordsLoaderBatchCount(loader); batch++) {
    SupportCall(CordsLoaderShare(loader, batch, &start, &count, &total));
    SupportCall(CordsLoaderRead(loader, epoch, batch, images, labels, samples));
    samples += count;
  }
}

static void TestShuffle(void **state)
{
  CordsDataset dataset = OpenSmall("fashion_mnist");
  CordsContextData alone = Alone(0, 1), other_seed = Alone(0, 1);
  CordsLoaderSettings settings = Settings(3);
  CordsLoader loader, prefix, other;
  CordsSample first[IDX_IMAGES], again[IDX_IMAGES], second[IDX_IMAGES];
  int changed = 0, places[IDX_IMAGES] = {0};

  settings.shuffle = PETSC_TRUE;
  SupportCall(CordsLoaderCreate(&alone, dataset, &settings, &loader));
  settings.samples = 5;
  SupportCall(CordsLoaderCreate(&alone, dataset, &settings, &prefix));
  assert_int_equal(CordsLoaderBatchCount(prefix), 2);
  settings.samples = 0;
  other_seed.seed = 6;
  SupportCall(CordsLoaderCreate(&other_seed, dataset, &settings, &other));
  Order(loader, 0, first);
  Order(other, 0, second);
  assert_memory_not_equal(first, second, sizeof first);
  for (PetscInt epoch = 1; epoch <= 700; epoch++) {
    int seen = 0;
    Order(loader, epoch, second);
    for (int i = 0; i < IDX_IMAGES; i++) seen |= 1 << second[i];
    assert_int_equal(seen, (1 << IDX_IMAGES) - 1); /* every image once */
    changed += memcmp(first, second, sizeof first) != 0;
    places[second[0]]++;
  }
  assert_true(changed > 690);
  for (int i = 0; i < IDX_IMAGES; i++) assert_in_range(places[i], 55, 145); /* 100 ± 5 standard deviations */
  Order(loader, 0, again);
  assert_memory_equal(first, again, sizeof first);
  Order(prefix, 0, again);
  assert_memory_equal(first, again, 5 * sizeof *first);
  SupportCall(CordsLoaderDestroy(&other));
  SupportCall(CordsLoaderDestroy(&prefix));
  SupportCall(CordsLoaderDestroy(&loader));
  SupportCall(CordsDatasetDestroy(&dataset));
}

/* The batch put together from the ranks of `size`, on this rank. */
static void ReadWhole(CordsDataset dataset, const CordsLoaderSettings *settings, PetscMPIInt size, PetscInt epoch,
                      PetscInt batch, float *images, float *labels, CordsSample *samples)
{
  PetscInt start, count, total, pixels = settings->rows * settings->columns;

  for (PetscMPIInt rank = 0; rank < size; rank++) {
    CordsContextData context = Alone(rank, size);
    CordsLoader loader;
    SupportCall(CordsLoaderCreate(&context, dataset, settings, &loader));
    SupportCall(CordsLoaderShare(loader, batch, &start, &count, &total));
    SupportCall(
        CordsLoaderRead(loader, epoch, batch, images + start * pixels, labels + start * CLASSES, samples + start));
    SupportCall(CordsLoaderDestroy(&loader));
  }
}

/* All of augmentation and mixing: bit for bit the same on 1 to 7 ranks, another epoch differs. */
static void TestRanks(void **state)
{
  enum { SIDE = 9 };
  const char *names[] = {"mnist", "fashion_mnist"};
  CordsLoaderSettings settings = {
      .rows = SIDE, .columns = SIDE, .batch = 4, .augment = PETSC_TRUE, .mix = PETSC_TRUE, .shuffle = PETSC_TRUE};
  float one[4 * SIDE * SIDE], many[4 * SIDE * SIDE], one_labels[4 * CLASSES], many_labels[4 * CLASSES];
  CordsSample one_samples[4], many_samples[4];

  for (int n = 0; n < 2; n++) {
    CordsDataset dataset = OpenSmall(names[n]);
    for (PetscInt batch = 0; batch < 2; batch++) {
      size_t total = batch == 0 ? 4 : 3;
      for (PetscInt epoch = 0; epoch < 6; epoch++) {
        ReadWhole(dataset, &settings, 1, epoch, batch, one, one_labels, one_samples);
        for (PetscMPIInt size = 2; size <= 7; size++) {
          memset(many, 0, sizeof many);
          memset(many_labels, 0, sizeof many_labels);
          ReadWhole(dataset, &settings, size, epoch, batch, many, many_labels, many_samples);
          assert_memory_equal(one, many, total * SIDE * SIDE * sizeof *one);
          assert_memory_equal(one_labels, many_labels, total * CLASSES * sizeof *one_labels);
          assert_memory_equal(one_samples, many_samples, total * sizeof *one_samples);
        }
        ReadWhole(dataset, &settings, 1, epoch + 1, batch, many, many_labels, many_samples);
        assert_memory_not_equal(one, many, total * SIDE * SIDE * sizeof *one);
      }
    }
    SupportCall(CordsDatasetDestroy(&dataset));
  }
}

/* The same with real ranks: the sum over ranks is the sum of the batch made by one. */
static void TestRealRanks(void **state)
{
  CordsDataset dataset = OpenSmall("fashion_mnist");
  CordsContextData context = support_context;
  CordsLoaderSettings settings = {.rows = IDX_ROWS,
                                  .columns = IDX_COLUMNS,
                                  .batch = IDX_IMAGES,
                                  .augment = PETSC_TRUE,
                                  .mix = PETSC_TRUE,
                                  .shuffle = PETSC_TRUE};
  float whole[IDX_IMAGES * IDX_PIXELS], labels[IDX_IMAGES * CLASSES];
  float mine[IDX_IMAGES * IDX_PIXELS] = {0}, gathered[IDX_IMAGES * IDX_PIXELS];
  CordsSample samples[IDX_IMAGES];
  CordsLoader loader;
  PetscInt start, count, total;

  context.seed = 5;
  ReadWhole(dataset, &settings, 1, 2, 0, whole, labels, samples);
  SupportCall(CordsLoaderCreate(&context, dataset, &settings, &loader));
  SupportCall(CordsLoaderShare(loader, 0, &start, &count, &total));
  SupportCall(CordsLoaderRead(loader, 2, 0, mine + start * IDX_PIXELS, labels, NULL));
  MPI_Allreduce(mine, gathered, IDX_IMAGES * IDX_PIXELS, MPI_FLOAT, MPI_SUM, context.comm);
  for (int i = 0; i < IDX_IMAGES * IDX_PIXELS; i++) assert_true(gathered[i] == whole[i]);
  SupportCall(CordsLoaderDestroy(&loader));
  SupportCall(CordsDatasetDestroy(&dataset));
}

/* Batches one after the other over epochs, with threads and without, and going on in the middle of an epoch. */
static void TestThreads(void **state)
{
  enum { BATCHES = 2, EPOCHS = 3, NUMBERS = BATCHES * EPOCHS * 4 * IDX_PIXELS };
  CordsDataset dataset = OpenSmall("fashion_mnist");
  CordsLoaderSettings settings = Settings(4);
  float *want = calloc(2 * NUMBERS, sizeof *want), *got = want + NUMBERS, labels[4 * CLASSES];

  settings.augment = settings.mix = settings.shuffle = PETSC_TRUE;
  for (PetscInt threads = 0; threads <= 3; threads++) {
    for (PetscInt start = 0; start < BATCHES * EPOCHS; start++) {
      CordsContextData context = Alone(1, 2);
      CordsLoader loader;
      settings.loading = (CordsLoading){.threads = threads, .prefetch = 1 + start % 3};
      settings.epochs = threads == 2 ? 0 : EPOCHS;
      SupportCall(CordsLoaderCreate(&context, dataset, &settings, &loader));
      for (PetscInt k = start; k < BATCHES * EPOCHS; k++) {
        float *images = (threads + start ? got : want) + k * 4 * IDX_PIXELS;
        SupportCall(CordsLoaderRead(loader, k / BATCHES, k % BATCHES, images, labels, NULL));
      }
      if (threads + start)
        assert_memory_equal(got + start * 4 * IDX_PIXELS, want + start * 4 * IDX_PIXELS,
                            (size_t)(BATCHES * EPOCHS - start) * 4 * IDX_PIXELS * sizeof *want);
      SupportCall(CordsLoaderDestroy(&loader));
    }
  }
  free(want);
  SupportCall(CordsDatasetDestroy(&dataset));
}

/* Nothing is made beyond the last epoch. */
static void TestLastEpoch(void **state)
{
  CordsDataset dataset = OpenSmall("mnist");
  CordsContextData alone = Alone(0, 1);
  CordsLoaderSettings settings = Settings(4);
  float images[4 * IDX_PIXELS], labels[4 * CLASSES];
  CordsLoader loader;

  settings.epochs = 2;
  settings.loading = (CordsLoading){.threads = 2, .prefetch = 4};
  SupportCall(CordsLoaderCreate(&alone, dataset, &settings, &loader));
  for (PetscInt k = 0; k < 4; k++) SupportCall(CordsLoaderRead(loader, k / 2, k % 2, images, labels, NULL));
  assert_int_equal(CordsLoaderGetStatistics(loader).made, 2 * IDX_IMAGES);
  SupportCall(CordsLoaderDestroy(&loader));
  SupportCall(CordsDatasetDestroy(&dataset));
}

/* Mixing without augmentation: every image is its own and its predecessor's, with the shares that the label tells.
   Labels of different images differ here, so both can be read off. */
static void TestMix(void **state)
{
  CordsDataset dataset = OpenSmall("fashion_mnist");
  CordsContextData alone = Alone(0, 1);
  CordsLoaderSettings settings = Settings(IDX_IMAGES);
  CordsLoader plain, mixing;
  float images[IDX_IMAGES * IDX_PIXELS], mixed[IDX_IMAGES * IDX_PIXELS];
  float labels[IDX_IMAGES * CLASSES], mixed_labels[IDX_IMAGES * CLASSES];
  int cuts = 0;

  SupportCall(CordsLoaderCreate(&alone, dataset, &settings, &plain));
  SupportCall(CordsLoaderRead(plain, 0, 0, images, labels, NULL));
  settings.mix = PETSC_TRUE;
  SupportCall(CordsLoaderCreate(&alone, dataset, &settings, &mixing));
  for (PetscInt epoch = 0; epoch < 200; epoch++) {
    double share = 0;
    int cut = 1;
    SupportCall(CordsLoaderRead(mixing, epoch, 0, mixed, mixed_labels, NULL));
    for (int i = 0; i < IDX_IMAGES; i++) {
      int before = (i + IDX_IMAGES - 1) % IDX_IMAGES, own = 0;
      share = (double)mixed_labels[i * CLASSES + SupportIdxLabel(i)];
      assert_float_equal(share + (double)mixed_labels[i * CLASSES + SupportIdxLabel(before)], 1, 1e-6f);
      for (int k = 0; k < IDX_PIXELS; k++) {
        float self = images[i * IDX_PIXELS + k], other = images[before * IDX_PIXELS + k],
              here = mixed[i * IDX_PIXELS + k];
        if (i == 0 && here != self && here != other) cut = 0;
        if (cut)
          own += here == self;
        else
          assert_float_equal(here, share * (double)self + (1 - share) * (double)other, 1e-5f);
      }
      if (cut) assert_float_equal(own, share * IDX_PIXELS, 1e-4f);
      if (i == 0) cuts += cut;
    }
  }
  assert_in_range(cuts, 65, 135);
  SupportCall(CordsLoaderDestroy(&plain));
  SupportCall(CordsLoaderDestroy(&mixing));
  SupportCall(CordsDatasetDestroy(&dataset));
}

/* MNIST is not mixed, whatever the settings say. */
static void TestNoMix(void **state)
{
  CordsDataset dataset = OpenSmall("mnist");
  CordsContextData alone = Alone(0, 1);
  CordsLoaderSettings settings = Settings(IDX_IMAGES);
  CordsLoader loader;
  float images[IDX_IMAGES * IDX_PIXELS], labels[IDX_IMAGES * CLASSES];

  settings.mix = PETSC_TRUE;
  SupportCall(CordsLoaderCreate(&alone, dataset, &settings, &loader));
  SupportCall(CordsLoaderRead(loader, 0, 0, images, labels, NULL));
  for (int i = 0; i < IDX_IMAGES; i++) assert_true(labels[i * CLASSES + SupportIdxLabel(i)] == 1);
  SupportCall(CordsLoaderDestroy(&loader));
  SupportCall(CordsDatasetDestroy(&dataset));
}

static void ExpectError(CordsContext context, CordsDataset dataset, CordsLoaderSettings settings, const char *words)
{
  CordsLoader loader;
  const char *sentence = SupportExpectUserError(CordsLoaderCreate(context, dataset, &settings, &loader));

  if (!strstr(sentence, words)) fail_msg("'%s' has not '%s'", sentence, words);
  assert_null(loader);
}

static void TestErrors(void **state)
{
  CordsDataset dataset = OpenSmall("mnist");
  CordsContextData alone = Alone(0, 1), eight = Alone(0, 8), four = Alone(0, 4);
  CordsLoaderSettings settings = Settings(0);
  float image[IDX_PIXELS];
  PetscInt label;

  ExpectError(&alone, dataset, settings, "a batch of 0 images");
  settings.batch = -3;
  ExpectError(&alone, dataset, settings, "a batch of -3 images");
  settings.batch = PETSC_MAX_INT; /* no more than there are images is needed, nor allocated */
  ExpectError(&eight, dataset, settings, "8 ranks for 7 images: ");
  settings.samples = 3;
  ExpectError(&four, dataset, settings, "4 ranks for 3 images: ");
  settings.samples = 8;
  ExpectError(&alone, dataset, settings, "8 images per epoch: dataset mnist has 7 images");
  settings.samples = -1;
  ExpectError(&alone, dataset, settings, "-1 images per epoch");
  settings.samples = 0;
  settings.rows = 0;
  ExpectError(&alone, dataset, settings, "images of 0 x 4");
  settings.rows = 4097;
  ExpectError(&alone, dataset, settings, "images of 4097 x 4");
  SupportExpectUserError(CordsLoaderImage(dataset, 7, IDX_ROWS, IDX_COLUMNS, image, &label));
  SupportExpectUserError(CordsLoaderImage(dataset, 0, IDX_ROWS, 0, image, &label));
  SupportCall(CordsDatasetDestroy(&dataset));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(TestShare),   cmocka_unit_test(TestPlain),     cmocka_unit_test(TestResized),
    cmocka_unit_test(TestShuffle), cmocka_unit_test(TestRanks),     cmocka_unit_test(TestRealRanks),
    cmocka_unit_test(TestThreads), cmocka_unit_test(TestLastEpoch), cmocka_unit_test(TestMix),
    cmocka_unit_test(TestNoMix),   cmocka_unit_test(TestErrors),
};

SUPPORT_MAIN(tests)
