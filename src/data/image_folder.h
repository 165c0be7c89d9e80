/* Class folders of images, for datasets that come in them. */
#ifndef CORDS_DATA_IMAGE_FOLDER_H
#define CORDS_DATA_IMAGE_FOLDER_H

#include "data/dataset.h"

/* Fill the dataset (of CordsMembers) from ROOT/CLASS/IMAGE: its classes, sorted by name, its images, sorted within
   their class, its count.  Names that begin with a dot and files without one of the endings of images (.jpg, .jpeg,
   .png in any case) are passed over.  Collective.
   Errors (user): a root that cannot be read, no class folder, no image, a class without images. */
PetscErrorCode CordsImageFolderOpen(CordsDataset dataset, const char *root);

/* Does a name end as those of images do? */
PetscBool CordsIsImageName(const char *name);

#endif
