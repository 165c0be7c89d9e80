/* Class folders of images and what can be wrong with them, for tests. */
#ifndef CORDS_TESTS_SUPPORT_FOLDER_CASES_H
#define CORDS_TESTS_SUPPORT_FOLDER_CASES_H

#include "support/dataset_cases.h"
#include "support/images.h"

#include <sys/stat.h>
#include <unistd.h>

/* Make the folders of a path and, with an image, the file.  Rank 0. */
static inline void SupportFolderPut(const char *folder, const char *name, SupportImage image)
{
  char path[PETSC_MAX_PATH_LEN];

  snprintf(path, sizeof path, "%s/%s", folder, name);
  for (char *slash = strchr(path + strlen(folder), '/'); slash; slash = strchr(slash + 1, '/')) {
    *slash = '\0';
    mkdir(path, 0777);
    *slash = '/';
  }
  if (image.bytes)
    SupportWriteFile(path, image.length, image.bytes);
  else
    mkdir(path, 0777);
  SupportImageFree(&image);
}

/* Three classes; images of all sizes and kinds; what must be passed over.  In the order of the dataset:
     0 ant/a.JPEG (a PNG inside)  1 ant/b.jpg  2 bee/1.png  3 bee/2.jpg (grey)  4 cow/0.jpeg */
static inline void SupportFolderMake(const char *folder, const char *split)
{
  char root[PETSC_MAX_PATH_LEN];

  MPI_Barrier(support_context.comm);
  if (support_context.rank == 0) {
    snprintf(root, sizeof root, "%s/%s", folder, split);
    mkdir(folder, 0777);
    SupportFolderPut(root, "cow/0.jpeg", SupportJpeg(4, 90, 40, 4, 0));
    SupportFolderPut(root, "ant/b.jpg", SupportJpeg(1, 40, 64, 3, 0));
    SupportFolderPut(root, "ant/a.JPEG", SupportPng(0, 50, 41, PNG_COLOR_TYPE_RGB, 8, 0));
    SupportFolderPut(root, "bee/2.jpg", SupportJpeg(3, 33, 35, 1, 0));
    SupportFolderPut(root, "bee/1.png", SupportPng(2, 64, 64, PNG_COLOR_TYPE_RGB_ALPHA, 16, 1));
    SupportFolderPut(root, "bee/.hidden.jpg", SupportJpeg(1, 8, 8, 3, 0));
    SupportFolderPut(root, "bee/notes.txt", SupportJpeg(1, 8, 8, 3, 0));
    SupportFolderPut(root, ".cache/x.jpg", SupportJpeg(1, 8, 8, 3, 0));
    SupportFolderPut(root, "README.txt", SupportJpeg(1, 8, 8, 3, 0));
  }
  MPI_Barrier(support_context.comm);
}

static inline void CheckFolderContent(const char *folder, CordsSplit split)
{
  static const int labels[] = {0, 0, 1, 1, 2}, rows[] = {50, 40, 64, 33, 90}, columns[] = {41, 64, 64, 35, 40};
  static const char *const names[] = {"ant/a.JPEG", "ant/b.jpg", "bee/1.png", "bee/2.jpg", "cow/0.jpeg"};
  char problem[CORDS_DECODE_PROBLEM], where[PETSC_MAX_PATH_LEN];
  CordsBytes file = {0};
  CordsDataset dataset;
  const CordsDatasetFacts *facts;

  SupportCall(CordsDatasetOpen(&support_context, "folder", folder, split, &dataset));
  facts = CordsDatasetGetFacts(dataset);
  assert_int_equal(facts->count, 5);
  assert_int_equal(facts->classes, 3);
  assert_int_equal(facts->rows, 0);
  assert_string_equal(facts->class_names[0], "ant");
  assert_string_equal(facts->class_names[2], "cow");
  for (int i = 4; i >= 0; i--) {
    CordsDecodeSize size;
    PetscInt label;
    assert_true(CordsDatasetFetch(dataset, i, &file, &label, problem));
    assert_int_equal(label, labels[i]);
    assert_int_equal(CordsDatasetLength(dataset, i, &label), file.length);
    assert_int_equal(label, labels[i]);
    assert_true(CordsDecodeSizes(file.length, file.bytes, &size, problem));
    assert_int_equal(size.rows, rows[i]);
    assert_int_equal(size.columns, columns[i]);
    CordsDatasetWhere(dataset, i, sizeof where, where);
    assert_non_null(strstr(where, names[i]));
    assert_non_null(strstr(where, folder));
  }
  CordsBytesFree(&file);
  SupportCall(CordsDatasetDestroy(&dataset));
}

/* An image that goes away after the folder was listed is not an error of the run. */
static inline void CheckFolderGone(const char *folder)
{
  char path[PETSC_MAX_PATH_LEN], problem[CORDS_DECODE_PROBLEM];
  CordsBytes file = {0};
  CordsDataset dataset;
  PetscInt label;

  SupportCall(CordsDatasetOpen(&support_context, "folder", folder, CORDS_SPLIT_TRAIN, &dataset));
  snprintf(path, sizeof path, "%s/train/bee/2.jpg", folder);
  MPI_Barrier(support_context.comm);
  if (support_context.rank == 0) assert_int_equal(unlink(path), 0);
  MPI_Barrier(support_context.comm);
  assert_false(CordsDatasetFetch(dataset, 3, &file, &label, problem));
  assert_non_null(strstr(problem, "No such file"));
  assert_int_equal(label, 1);
  MPI_Barrier(support_context.comm);
  if (support_context.rank == 0) assert_int_equal(mkfifo(path, 0666), 0);
  MPI_Barrier(support_context.comm);
  assert_false(CordsDatasetFetch(dataset, 3, &file, &label, problem));
  assert_non_null(strstr(problem, "not a regular file"));
  CordsBytesFree(&file);
  SupportCall(CordsDatasetDestroy(&dataset));
}

static inline void CheckFolder(const char *name)
{
  const char *folder = SupportPath("folders");
  char copy[PETSC_MAX_PATH_LEN];

  snprintf(copy, sizeof copy, "%s", folder);
  SupportFolderMake(copy, "train");
  SupportFolderMake(copy, "test");
  CheckFolderContent(copy, CORDS_SPLIT_TRAIN);
  CheckFolderContent(copy, CORDS_SPLIT_TEST);
  CheckFolderGone(copy);
  if (support_context.rank == 0) SupportFolderPut(copy, "train/dog", (SupportImage){0});
  MPI_Barrier(support_context.comm);
  ExpectError("a class without images", name, copy, "dog: holds no image");
  snprintf(copy, sizeof copy, "%s", SupportPath("no-folders"));
  if (support_context.rank == 0) {
    mkdir(copy, 0777);
    SupportFolderPut(copy, "train/a.jpg", SupportJpeg(0, 8, 8, 3, 0));
  }
  MPI_Barrier(support_context.comm);
  ExpectError("images without folders", name, copy, "has no folders");
}

#endif
