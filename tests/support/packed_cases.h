/* Packed files and what can be wrong with them, for tests/tables/test_datasets.c. */
#ifndef CORDS_TESTS_SUPPORT_PACKED_CASES_H
#define CORDS_TESTS_SUPPORT_PACKED_CASES_H

#include "support/folder_cases.h"
#include "support/images.h"

#include "data/pack.h"

/* The three classes of SupportFolderMake, packed into FOLDER/train.h5. */
static inline void MakePacked(const char *folder)
{
  char path[PETSC_MAX_PATH_LEN], images[PETSC_MAX_PATH_LEN];
  CordsDataset dataset;

  snprintf(images, sizeof images, "%s", SupportPath("to-pack"));
  snprintf(path, sizeof path, "%s/train.h5", folder);
  SupportFolderMake(images, "train");
  if (support_context.rank == 0) mkdir(folder, 0777);
  MPI_Barrier(support_context.comm);
  SupportCall(CordsDatasetOpen(&support_context, "folder", images, CORDS_SPLIT_TRAIN, &dataset));
  SupportCall(CordsPack(&support_context, dataset, CORDS_SPLIT_TRAIN, path));
  SupportCall(CordsDatasetDestroy(&dataset));
  assert_int_equal(access(path, R_OK), 0);
}

/* The same images, labels, names and facts as the folder's. */
static inline void CheckSame(CordsDataset a, CordsDataset b)
{
  const CordsDatasetFacts *fa = CordsDatasetGetFacts(a), *fb = CordsDatasetGetFacts(b);
  char problem[CORDS_DECODE_PROBLEM], where_a[PETSC_MAX_PATH_LEN], where_b[PETSC_MAX_PATH_LEN];
  CordsBytes bytes_a = {0}, bytes_b = {0};
  PetscInt label_a, label_b;

  assert_int_equal(fa->count, fb->count);
  assert_int_equal(fa->classes, fb->classes);
  assert_memory_equal(fa->mean, fb->mean, sizeof fa->mean);
  assert_memory_equal(CordsDatasetGetAugmentation(a), CordsDatasetGetAugmentation(b), sizeof(CordsAugmentation));
  for (PetscInt k = 0; k < fa->classes; k++) assert_string_equal(fa->class_names[k], fb->class_names[k]);
  for (CordsSample i = 0; i < fa->count; i++) {
    assert_true(CordsDatasetFetch(a, i, &bytes_a, &label_a, problem));
    assert_true(CordsDatasetFetch(b, i, &bytes_b, &label_b, problem));
    assert_int_equal(label_a, label_b);
    assert_int_equal(bytes_a.length, bytes_b.length);
    assert_memory_equal(bytes_a.bytes, bytes_b.bytes, bytes_a.length);
    CordsDatasetWhere(a, i, sizeof where_a, where_a);
    CordsDatasetWhere(b, i, sizeof where_b, where_b);
    assert_int_equal(strncmp(where_a, where_b, strlen(where_a)), 0);
  }
  CordsBytesFree(&bytes_a);
  CordsBytesFree(&bytes_b);
}

static inline void CheckPacked(const char *name)
{
  char folder[PETSC_MAX_PATH_LEN], path[PETSC_MAX_PATH_LEN], other[PETSC_MAX_PATH_LEN];
  CordsDataset packed, plain;
  struct stat status;

  snprintf(folder, sizeof folder, "%s", SupportPath("packed"));
  snprintf(path, sizeof path, "%s/train.h5", folder);
  snprintf(other, sizeof other, "%s/val.h5", folder);
  MakePacked(folder);
  SupportCall(CordsDatasetOpen(&support_context, name, folder, CORDS_SPLIT_TRAIN, &packed));
  SupportCall(CordsDatasetOpen(&support_context, "folder", SupportPath("to-pack"), CORDS_SPLIT_TRAIN, &plain));
  CheckSame(plain, packed);
  SupportCall(CordsDatasetDestroy(&packed));
  SupportCall(CordsDatasetDestroy(&plain));
  if (support_context.rank == 0) assert_int_equal(link(path, other), 0);
  MPI_Barrier(support_context.comm);
  ExpectErrorOf("the other split", name, folder, CORDS_SPLIT_TEST, "holds the images of the train split");
  assert_int_equal(stat(path, &status), 0);
  MPI_Barrier(support_context.comm);
  if (support_context.rank == 0) assert_int_equal(truncate(path, status.st_size - 5000), 0);
  MPI_Barrier(support_context.comm);
  ExpectError("cut", name, folder, "truncated");
  MPI_Barrier(support_context.comm);
  if (support_context.rank == 0) SupportWriteFile(path, 100, folder);
  MPI_Barrier(support_context.comm);
  ExpectError("no HDF5", name, folder, "not an HDF5 file");
}

#endif
