/* A folder per class of JPEG and PNG images of any size:

     DIR/train/cat/0001.jpg    DIR/val/cat/0007.png       (or DIR/test)
     DIR/train/dog/0001.jpg    DIR/val/dog/0008.jpeg

   The classes are the folders of the split, sorted by name (strcmp); images of a class are sorted too. */
#include "data/dataset_type.h"
#include "data/image_folder.h"

static PetscErrorCode Open(CordsDataset dataset, const char *path, CordsSplit split)
{
  static const char *const names[2][2] = {{"train", "train"}, {"val", "test"}};
  char root[PETSC_MAX_PATH_LEN];

  PetscFunctionBegin;
  PetscCall(CordsDatasetFileFind(dataset->context, path, split == CORDS_SPLIT_TRAIN ? 1 : 2, names[split], root));
  PetscCall(CordsImageFolderOpen(dataset, root));
  PetscFunctionReturn(PETSC_SUCCESS);
}

extern const CordsDatasetType cords_dataset_folder;
const CordsDatasetType cords_dataset_folder = {
    .name = "folder",
    .about = "JPEG and PNG images of any size, a folder per class: DIR/train/CLASS/*, DIR/val/CLASS/* (or DIR/test)",
    CORDS_DATASET_PHOTOGRAPHS,
    .open = Open,
};
