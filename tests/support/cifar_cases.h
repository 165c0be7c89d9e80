/* What can be wrong with CIFAR's files, for tests/tables/test_datasets.c. */
#ifndef CORDS_TESTS_SUPPORT_CIFAR_CASES_H
#define CORDS_TESTS_SUPPORT_CIFAR_CASES_H

#include "support/cifar.h"
#include "support/dataset_cases.h"

static inline void CifarNothing(SupportCifar *cifar)
{
}

static inline void CifarCut(SupportCifar *cifar)
{
  cifar->lengths[cifar->count - 1]--;
}

static inline void CifarLonger(SupportCifar *cifar)
{
  cifar->lengths[0]++;
}

static inline void CifarEmpty(SupportCifar *cifar)
{
  cifar->lengths[0] = 0;
}

static inline void CifarLabel(SupportCifar *cifar)
{
  cifar->bytes[0][(size_t)cifar->hundred] = 200;
}

/* Records of the other CIFAR. */
static inline void CifarOther(SupportCifar *cifar)
{
  cifar->hundred = !cifar->hundred;
  for (int f = 0; f < cifar->count; f++) {
    cifar->lengths[f] = 0;
    for (int i = 0; i < CIFAR_RECORDS; i++) SupportCifarRecord(cifar, f, i);
  }
  cifar->hundred = !cifar->hundred;
}

static const struct {
  const char *what;
  void (*spoil)(SupportCifar *);
  const char *words; /* NULL: nothing is wrong */
} cifar_cases[] = {
    {"untouched", CifarNothing, NULL},
    {"cut", CifarCut, "which are not whole records of"},
    {"longer", CifarLonger, "which are not whole records of"},
    {"empty", CifarEmpty, "is empty, records of"},
    {"wrong label", CifarLabel, "record 0 has label 200, the labels of"},
    {"the other CIFAR", CifarOther, "of the other CIFAR?"},
};

static inline void CheckCifarContent(const char *name, const char *folder, CordsSplit split, int count)
{
  static uint8_t pixels[CIFAR_PIXELS];
  int hundred = !strcmp(name, "cifar100");
  CordsDataset dataset;
  PetscInt label;

  SupportCall(CordsDatasetOpen(&support_context, name, folder, split, &dataset));
  assert_int_equal(CordsDatasetGetFacts(dataset)->count, count);
  assert_int_equal(CordsDatasetGetFacts(dataset)->rows, 32);
  assert_int_equal(CordsDatasetGetFacts(dataset)->columns, 32);
  assert_string_equal(CordsDatasetGetFacts(dataset)->class_names[hundred ? 99 : 9], hundred ? "worm" : "truck");
  for (int i = 0; i < count; i++) {
    SupportCall(CordsDatasetRead(dataset, i, pixels, &label));
    assert_int_equal(label, SupportCifarLabel(hundred, i));
    for (int k = 0; k < CIFAR_PIXELS; k++)
      assert_int_equal(pixels[k], SupportCifarPixel(i, k / 3 / 32, k / 3 % 32, k % 3));
  }
  SupportCall(CordsDatasetDestroy(&dataset));
}

/* The folder, the archive, and both splits. */
static inline void CheckCifarForms(const char *name)
{
  char folder[PETSC_MAX_PATH_LEN], inner[PETSC_MAX_PATH_LEN];
  static SupportCifar cifar;

  snprintf(folder, sizeof folder, "%s", SupportPath(name));
  for (int test = 0; test <= 1; test++) {
    SupportCifarMake(&cifar, name, test);
    SupportCifarWrite(&cifar, folder, PETSC_TRUE);
    CheckCifarContent(name, folder, test ? CORDS_SPLIT_TEST : CORDS_SPLIT_TRAIN, cifar.count * CIFAR_RECORDS);
  }
  ExpectError("test split alone", name, folder, "does not hold");
  snprintf(inner, sizeof inner, "%s/%s", folder, cifar.hundred ? "cifar-100-binary" : "cifar-10-batches-bin");
  SupportCifarWrite(&cifar, inner, PETSC_FALSE);
  CheckCifarContent(name, folder, CORDS_SPLIT_TEST, CIFAR_RECORDS);
  CheckCifarContent(name, inner, CORDS_SPLIT_TEST, CIFAR_RECORDS);
}

static inline void CheckCifarArchives(const char *name)
{
  char folder[PETSC_MAX_PATH_LEN], path[PETSC_MAX_PATH_LEN];
  static SupportCifar cifar;
  struct stat status;

  snprintf(folder, sizeof folder, "%s", SupportPath("archives"));
  SupportCifarMake(&cifar, name, PETSC_FALSE);
  SupportCifarWrite(&cifar, folder, PETSC_TRUE);
  snprintf(path, sizeof path, "%s/%s", folder, cifar.hundred ? "cifar-100-binary.tar.gz" : "cifar-10-binary.tar.gz");
  assert_int_equal(stat(path, &status), 0);
  MPI_Barrier(support_context.comm);
  if (support_context.rank == 0) assert_int_equal(truncate(path, status.st_size / 2), 0);
  MPI_Barrier(support_context.comm);
  ExpectError("half an archive", name, folder, "damaged or truncated");
  MPI_Barrier(support_context.comm);
  if (support_context.rank == 0) SupportWriteFile(path, 9, "a letter!");
  MPI_Barrier(support_context.comm);
  ExpectError("no archive", name, folder, "cannot be read as a tar file");
  MPI_Barrier(support_context.comm);
  if (support_context.rank == 0) assert_int_equal(unlink(path), 0);
  MPI_Barrier(support_context.comm);
}

static inline void CheckCifar(const char *name)
{
  static SupportCifar cifar;

  for (size_t c = 0; c < sizeof cifar_cases / sizeof *cifar_cases; c++)
    for (int archive = 0; archive <= 1; archive++) {
      const char *folder = SupportPath(archive ? "cifar-archive" : "cifar-plain");
      CordsDataset dataset;
      SupportCifarMake(&cifar, name, PETSC_FALSE);
      cifar_cases[c].spoil(&cifar);
      SupportCifarWrite(&cifar, folder, archive);
      if (cifar_cases[c].words) {
        ExpectError(cifar_cases[c].what, name, folder, cifar_cases[c].words);
        continue;
      }
      SupportCall(CordsDatasetOpen(&support_context, name, folder, CORDS_SPLIT_TRAIN, &dataset));
      SupportCall(CordsDatasetDestroy(&dataset));
    }
  CheckCifarForms(name);
  CheckCifarArchives(name);
}

#endif
