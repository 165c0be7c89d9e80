/* What the author of a dataset fills in: a CordsDatasetType, in datasets/<file>.c, and a line in datasets.def.  The
   rest of cords uses data/dataset.h and never this file. */
#ifndef CORDS_DATA_DATASET_TYPE_H
#define CORDS_DATA_DATASET_TYPE_H

#include "data/dataset.h"
#include "data/dataset_file.h"
#include "data/members.h"

typedef struct {
  const char *name;  /* the word after -dataset; also written into checkpoints */
  const char *about; /* one line for `cords info datasets` */

  /* Facts that need no file. */
  PetscInt channels, classes;     /* 0: the files tell, `open` sets them in dataset->facts */
  const char *const *class_names; /* `classes` of them, or NULL: see CordsDatasetSetClasses */
  float mean[3], deviation[3];    /* of the values / 255, per channel */
  CordsAugmentation augmentation; /* of training images */

  /* Open the files of a split in directory `path`: set dataset->data and count of dataset->facts, and rows and columns
     if all images have the same size.  Collective.  Sizes are checked before memory is allocated, labels before they
     are used; errors are user errors on dataset->context->comm.  After an error `close` is called. */
  PetscErrorCode (*open)(CordsDataset dataset, const char *path, CordsSplit split);

  /* A dataset of one size has `read`, one of image files of any size has the three below it; the others are NULL.
     Called from any thread, with i in range; no PETSc calls.  False: the image cannot be read, and problem, which is
     empty on entry, says why. */

  /* Pixels [row][column][channel], 0..255, and label of image i. */
  PetscBool (*read)(CordsDataset dataset, CordsSample i, uint8_t *pixels, PetscInt *label,
                    char problem[CORDS_DECODE_PROBLEM]);

  /* The file of image i as it is, JPEG or PNG, and its label. */
  PetscBool (*fetch)(CordsDataset dataset, CordsSample i, CordsBytes *file, PetscInt *label,
                     char problem[CORDS_DECODE_PROBLEM]);
  /* Bytes of the file of image i, or −1, and its label. */
  PetscInt64 (*length)(CordsDataset dataset, CordsSample i, PetscInt *label);
  /* Where the file of image i is, for messages. */
  void (*where)(CordsDataset dataset, CordsSample i, size_t length, char *text);

  /* Free dataset->data, which may be NULL or half filled. */
  PetscErrorCode (*close)(CordsDataset dataset);
} CordsDatasetType;

struct _p_CordsDataset {
  const CordsDatasetType *type;
  CordsContext context;
  CordsDatasetFacts facts;
  CordsAugmentation augmentation;
  void *data;            /* of the type */
  CordsDatasetFile file; /* the one that is open, or NULL */
  char **paths;          /* files that were opened */
  PetscInt path_count;
  char *class_text; /* names of CordsDatasetSetClasses, each with its zero */
  const char **class_names;
  struct _p_CordsSkipped *skipped; /* images that were left out */
};

/* The type of that name, or NULL. */
const CordsDatasetType *CordsDatasetTypeOf(const char *name);

/* The classes that the files have: `count` names of rank 0, copied and sent to all.  Collective. */
PetscErrorCode CordsDatasetSetClasses(CordsDataset dataset, PetscInt count, const char *const names[]);

/* Remember a file that is read, for CordsDatasetFiles.  The path is copied.  The same on all ranks.  Not for files of
   many gigabytes: a digest of these files goes into every checkpoint. */
PetscErrorCode CordsDatasetAddPath(CordsDataset dataset, const char *path);

/* What a dataset of `CordsMembers` in dataset->data fills in; open ends with CordsMembersShare and the count. */
PetscBool CordsDatasetFetchMember(CordsDataset dataset, CordsSample i, CordsBytes *file, PetscInt *label,
                                  char problem[CORDS_DECODE_PROBLEM]);
PetscInt64 CordsDatasetMemberLength(CordsDataset dataset, CordsSample i, PetscInt *label);
void CordsDatasetWhereMember(CordsDataset dataset, CordsSample i, size_t length, char *text);
PetscErrorCode CordsDatasetCloseMembers(CordsDataset dataset);
PetscErrorCode CordsDatasetShareMembers(CordsDataset dataset);

/* All of it but name, about and open, for photographs of any size: members, with ImageNet's normalisation and
   augmentation (SPEC section 3). */
/* clang-format off */
#define CORDS_DATASET_PHOTOGRAPHS                                                                                      \
  .channels = 3, .mean = {.485f, .456f, .406f}, .deviation = {.229f, .224f, .225f},                                    \
  .augmentation = {.crop = {.08, 1, 3. / 4, 4. / 3},                                                                   \
                   .flip = PETSC_TRUE,                                                                                 \
                   .operations = {.count = 2, .level = 9, .levels = 31}},                                              \
  .fetch = CordsDatasetFetchMember, .length = CordsDatasetMemberLength, .where = CordsDatasetWhereMember,              \
  .close = CordsDatasetCloseMembers
/* clang-format on */

/* Find the first of names[0..count) in `folder` and open it as dataset->file; it is closed by the next call, or when
   the dataset is destroyed.  Its path is kept for CordsDatasetFiles.  Collective.  Errors: see dataset_file.h. */
PetscErrorCode CordsDatasetOpenFile(CordsDataset dataset, const char *folder, PetscInt count,
                                    const char *const names[]);

#endif
