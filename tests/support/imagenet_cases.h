/* Small files as ImageNet's and WebDataset's and what can be wrong with them, for tests. */
#ifndef CORDS_TESTS_SUPPORT_IMAGENET_CASES_H
#define CORDS_TESTS_SUPPORT_IMAGENET_CASES_H

#include "support/folder_cases.h"
#include "support/matlab.h"
#include "support/tar.h"

enum { IMAGENET_CLASSES = 3, IMAGENET_IMAGES = 2, IMAGENET_VALIDATION = 4 };

/* In the order of the outer tar; the kit's numbers are in the order of imagenet_kit. */
static const char *const imagenet_classes[] = {"n03000000", "n01440764", "n02000000"};
static const SupportSynset imagenet_kit[] = {{1, "n02000000"}, {2, "n03000000"}, {3, "n01440764"}, {1200, "n00001740"}};
static const int imagenet_truth[] = {3, 1, 2, 1};  /* the kit's numbers of the validation images */
static const int imagenet_labels[] = {0, 1, 2, 1}; /* and the ranks of their ids */

static inline void SupportWrite(const char *folder, const char *name, size_t length, const void *bytes)
{
  char path[PETSC_MAX_PATH_LEN];

  snprintf(path, sizeof path, "%s/%s", folder, name);
  MPI_Barrier(support_context.comm);
  if (support_context.rank == 0) SupportWriteFile(path, length, bytes);
  MPI_Barrier(support_context.comm);
}

/* Image k of a tar; the first is a PNG with JPEG's ending. */
static inline void AddImage(SupportTar *tar, const char *name, int k)
{
  SupportImage image = k == 0 ? SupportPng(k, 50, 60, PNG_COLOR_TYPE_RGB, 8, 0) : SupportJpeg(k, 50 + k, 60, 3, 0);

  SupportTarAdd(tar, name, image.length, image.bytes);
  SupportImageFree(&image);
}

/* broken: 0 nothing, 1 a class twice, 2 another name, 3 a class that is no tar file, 4 an empty class */
static inline void SupportImagenetTrain(const char *folder, int broken)
{
  SupportTar outer = SupportTarBegin("gnutar", NULL);
  char name[64];

  SupportTarOpen(&outer);
  for (int c = 0; c < IMAGENET_CLASSES; c++) {
    SupportTar inner = SupportTarBegin("ustar", NULL);
    SupportTarOpen(&inner);
    for (int i = 0; i < IMAGENET_IMAGES && !(broken == 4 && c == 1); i++) {
      snprintf(name, sizeof name, "%s_%d.JPEG", imagenet_classes[c], 10 + i);
      AddImage(&inner, name, c * IMAGENET_IMAGES + i);
    }
    if (broken == 4 && c == 1) SupportTarAdd(&inner, "readme.txt", 2, "hi");
    SupportTarEnd(&inner);
    snprintf(name, sizeof name, "%s.tar",
             broken == 2 && c == 1 ? "dogs" : imagenet_classes[broken == 1 && c == 2 ? 0 : c]);
    if (broken == 3 && c == 1) memset(inner.bytes, 'x', 512);
    SupportTarAdd(&outer, name, inner.length, inner.bytes);
    SupportTarFree(&inner);
  }
  SupportTarEnd(&outer);
  SupportWrite(folder, "ILSVRC2012_img_train.tar", outer.length, outer.bytes);
  SupportTarFree(&outer);
}

static inline void SupportImagenetValidation(const char *folder, PetscBool matlab)
{
  SupportTar tar = SupportTarBegin("ustar", NULL);
  char text[256] = "";
  size_t length;

  SupportTarOpen(&tar);
  for (int i = IMAGENET_VALIDATION - 1; i >= 0; i--) { /* not in order */
    snprintf(text, sizeof text, "ILSVRC2012_val_%08d.JPEG", i + 1);
    AddImage(&tar, text, i);
  }
  SupportTarEnd(&tar);
  SupportWrite(folder, "ILSVRC2012_img_val.tar", tar.length, tar.bytes);
  SupportTarFree(&tar);
  text[0] = '\0';
  for (int i = 0; i < IMAGENET_VALIDATION; i++) sprintf(text + strlen(text), "%d\n", imagenet_truth[i]);
  SupportWrite(folder, "ILSVRC2012_validation_ground_truth.txt", strlen(text), text);
  text[0] = '\0';
  for (int k = 0; k < 3; k++) sprintf(text + strlen(text), "%d %s\n", imagenet_kit[k].number, imagenet_kit[k].wnid);
  if (matlab) {
    uint8_t *bytes = SupportMatlabMake(4, imagenet_kit, 1, &length);
    SupportWrite(folder, "meta.mat", length, bytes);
    free(bytes);
  } else {
    SupportWrite(folder, "ILSVRC2012_synsets.txt", strlen(text), text);
  }
}

/* The image was made as image k; its height tells (see AddImage). */
static inline void CheckImage(CordsDataset dataset, int i, int label, int k, const char *name)
{
  char problem[CORDS_DECODE_PROBLEM], where[PETSC_MAX_PATH_LEN];
  CordsBytes file = {0};
  CordsDecodeSize size;
  PetscInt got;

  if (!CordsDatasetFetch(dataset, i, &file, &got, problem)) fail_msg("image %d: %s", i, problem);
  if (!CordsDecodeSizes(file.length, file.bytes, &size, problem)) fail_msg("image %d: %s", i, problem);
  assert_int_equal(got, label);
  assert_int_equal(size.rows, 50 + k);
  CordsDatasetWhere(dataset, i, sizeof where, where);
  assert_non_null(strstr(where, name));
  CordsBytesFree(&file);
}

static inline void CheckImagenetTrain(const char *folder)
{
  const CordsDatasetFacts *facts;
  CordsDataset dataset;

  SupportImagenetTrain(folder, 0);
  SupportCall(CordsDatasetOpen(&support_context, "imagenet", folder, CORDS_SPLIT_TRAIN, &dataset));
  facts = CordsDatasetGetFacts(dataset);
  assert_int_equal(facts->count, 6);
  assert_int_equal(facts->classes, 3);
  assert_string_equal(facts->class_names[0], "n01440764");
  assert_string_equal(facts->class_names[2], "n03000000");
  CheckImage(dataset, 0, 0, 2, "n01440764.tar/n01440764_10.JPEG");
  CheckImage(dataset, 1, 0, 3, "n01440764_11.JPEG");
  CheckImage(dataset, 2, 1, 4, "n02000000_10.JPEG");
  CheckImage(dataset, 4, 2, 0, "n03000000_10.JPEG");
  CheckImage(dataset, 5, 2, 1, "n03000000_11.JPEG");
  SupportCall(CordsDatasetDestroy(&dataset));
}

/* The label is the rank of the id and not the kit's number. */
static inline void CheckImagenetValidation(const char *folder, PetscBool matlab)
{
  CordsDataset dataset;

  SupportImagenetValidation(folder, matlab);
  SupportCall(CordsDatasetOpen(&support_context, "imagenet", folder, CORDS_SPLIT_TEST, &dataset));
  assert_int_equal(CordsDatasetGetFacts(dataset)->count, IMAGENET_VALIDATION);
  assert_int_equal(CordsDatasetGetFacts(dataset)->classes, 3);
  for (int i = 0; i < IMAGENET_VALIDATION; i++) {
    int k = IMAGENET_VALIDATION - 1 - i;
    char name[64];
    snprintf(name, sizeof name, "ILSVRC2012_val_%08d.JPEG", k + 1);
    CheckImage(dataset, i, imagenet_labels[k], k, name);
  }
  SupportCall(CordsDatasetDestroy(&dataset));
}

static inline void MakeDirectory(const char *folder)
{
  MPI_Barrier(support_context.comm);
  if (support_context.rank == 0) mkdir(folder, 0777);
  MPI_Barrier(support_context.comm);
}

static inline void CheckImagenet(const char *name)
{
  static const char *const words[] = {"", "is there twice", "holds dogs.tar where tar files nXXXXXXXX.tar",
                                      "cannot be read as an uncompressed tar file", "n01440764.tar: holds no image"};
  char folder[PETSC_MAX_PATH_LEN], other[PETSC_MAX_PATH_LEN];

  snprintf(folder, sizeof folder, "%s", SupportPath("imagenet"));
  snprintf(other, sizeof other, "%s", SupportPath("imagenet-text"));
  MakeDirectory(folder);
  MakeDirectory(other);
  CheckImagenetTrain(folder);
  CheckImagenetValidation(folder, PETSC_TRUE);
  CheckImagenetValidation(other, PETSC_FALSE);
  for (int broken = 1; broken <= 4; broken++) {
    SupportImagenetTrain(folder, broken);
    ExpectError(words[broken], name, folder, words[broken]);
  }
  SupportWrite(folder, "ILSVRC2012_img_train.tar", 700, memset((char[700]){0}, 'x', 700));
  ExpectError("no tar", name, folder, "cannot be read as an uncompressed tar file");
  SupportWrite(other, "ILSVRC2012_validation_ground_truth.txt", 4, "1\n2\n");
  ExpectErrorOf("few lines", name, other, CORDS_SPLIT_TEST, "none of them for image");
  SupportWrite(other, "ILSVRC2012_validation_ground_truth.txt", 8, "1\n2\n9\n1\n");
  ExpectErrorOf("unknown number", name, other, CORDS_SPLIT_TEST, "has no class with number 9");
  SupportWrite(other, "ILSVRC2012_validation_ground_truth.txt", 6, "1\n2\nx\n");
  ExpectErrorOf("no number", name, other, CORDS_SPLIT_TEST, "line 3 is not a number");
}

/* ---- WebDataset ---- */

/* broken: 0 nothing, 1 no label, 2 no image, 3 a word for a label, 4 nothing at all */
static inline void MakeShard(const char *folder, const char *file, int first, int broken)
{
  SupportTar tar = SupportTarBegin("ustar", NULL);
  char name[64], label[16];

  SupportTarOpen(&tar);
  for (int i = first; i < first + 3 && broken != 4; i++) {
    snprintf(name, sizeof name, "./%06d.cls", i);
    snprintf(label, sizeof label, broken == 3 ? "cat" : "%d\n", i % 4);
    if (!(broken == 1 && i == first + 1)) SupportTarAdd(&tar, name, strlen(label), label);
    snprintf(name, sizeof name, "./%06d.json", i);
    SupportTarAdd(&tar, name, 2, "{}");
    snprintf(name, sizeof name, "./%06d.jpg", i);
    if (!(broken == 2 && i == first + 2)) AddImage(&tar, name, i);
  }
  SupportTarAdd(&tar, "readme.txt", 2, "hi");
  SupportTarEnd(&tar);
  SupportWrite(folder, file, tar.length, tar.bytes);
  SupportTarFree(&tar);
}

static inline void CheckWebdataset(const char *name)
{
  static const char *const words[] = {"", "sample ./000004 has an image but no label",
                                      "sample ./000005 has a label but no image", "./000003.cls is not a label",
                                      "holds no sample"};
  char folder[PETSC_MAX_PATH_LEN];
  CordsDataset dataset;

  snprintf(folder, sizeof folder, "%s", SupportPath("shards"));
  MakeDirectory(folder);
  MakeShard(folder, "set-val-0.tar", 1, 0);
  MakeShard(folder, "set-train-1.tar", 3, 0);
  MakeShard(folder, "set-train-0.tar", 0, 0);
  SupportCall(CordsDatasetOpen(&support_context, name, folder, CORDS_SPLIT_TRAIN, &dataset));
  assert_int_equal(CordsDatasetGetFacts(dataset)->count, 6);
  assert_int_equal(CordsDatasetGetFacts(dataset)->classes, 4);
  for (int i = 0; i < 6; i++) {
    char image[64];
    snprintf(image, sizeof image, "set-train-%d.tar: ./%06d.jpg", i / 3, i);
    CheckImage(dataset, i, i % 4, i, image);
  }
  SupportCall(CordsDatasetDestroy(&dataset));
  SupportCall(CordsDatasetOpen(&support_context, name, folder, CORDS_SPLIT_TEST, &dataset));
  CheckImage(dataset, 2, 3, 3, "set-val-0.tar");
  SupportCall(CordsDatasetDestroy(&dataset));
  SupportWrite(folder, "classes.txt", 8, "a\nb\nc\nd\n");
  SupportCall(CordsDatasetOpen(&support_context, name, folder, CORDS_SPLIT_TEST, &dataset));
  assert_string_equal(CordsDatasetGetFacts(dataset)->class_names[3], "d");
  SupportCall(CordsDatasetDestroy(&dataset));
  SupportWrite(folder, "classes.txt", 4, "a\nb\n");
  ExpectError("too few names", name, folder, "names 2 classes, but there is a sample of class 3");
  for (int broken = 1; broken <= 3; broken++) {
    MakeShard(folder, "set-train-1.tar", 3, broken);
    ExpectError(words[broken], name, folder, words[broken]);
  }
  snprintf(folder, sizeof folder, "%s", SupportPath("empty-shards"));
  MakeDirectory(folder);
  MakeShard(folder, "train.tar", 0, 4);
  ExpectError("nothing", name, folder, words[4]);
}

#endif
