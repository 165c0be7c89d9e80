/* A PyTorch file becomes a network.

   Every tensor of the network must be in the file with its shape, and every tensor of the file must be one of the
   network's, unless it is allowed by name.  A kernel that is not weight-normalised becomes v, with g = |v|. */
#ifndef CORDS_MODEL_IMPORT_H
#define CORDS_MODEL_IMPORT_H

#include "model/model.h"

/* Entry PREFIX/extra/... of a PyTorch file in which cords keeps what shapes do not tell. */
extern const char cords_import_architecture[];

typedef struct {
  char state_dict[256];             /* key of the state dict in the file; "": found (io/torch_reader.h) */
  char allow_unused[1024];          /* names separated by commas, which may have the wildcards of a shell */
  char allow_missing[1024];         /* such tensors start as in a new network */
  PetscInt image_channels, classes; /* of the network; 0: the file's.  Where they differ from the file's, inp_conv or
                                       out_fc starts anew */
} CordsImportSettings;

/* Declare and read the options of that name, and declare -architecture_*. */
PetscErrorCode CordsImportSettingsFromOptions(CordsImportSettings *settings);

/* Read `path` and print what became of each tensor.  -architecture_* options are read over what the file tells.
   Collective; each rank reads the file.  Errors (user), with nothing read: everything of io/torch_reader.h and
   model/recognise.h; tensors that are missing, unused or of another shape, all of them named. */
PetscErrorCode CordsImport(CordsContext context, const char *path, const CordsImportSettings *settings,
                           CordsModel *model);

#endif
