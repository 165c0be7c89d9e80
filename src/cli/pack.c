/* Many image files, or those of any dataset, to one indexed file; and whether such a file is whole. */
#include "cli/command.h"

#include "core/config.h"
#include "core/log.h"
#include "data/pack.h"

#include <string.h>
#include <unistd.h>

static char dataset_name[64], data_path[PETSC_MAX_PATH_LEN], output[PETSC_MAX_PATH_LEN], check[PETSC_MAX_PATH_LEN];
static PetscInt split;

static PetscErrorCode Configure(CordsContext context, const char *argument)
{
  static const char *const splits[] = {"train", "test"};

  PetscFunctionBegin;
  CordsCheckUser(!argument[0], PETSC_COMM_WORLD, "pack takes no name ('%s'); options start with '-'", argument);
  PetscCall(CordsOptionString("-check", "read this packed file, compare its digest and do nothing else", sizeof check,
                              check));
  PetscCall(
      CordsOptionString("-dataset", "dataset to pack (`cords info datasets`)", sizeof dataset_name, dataset_name));
  PetscCall(CordsOptionString("-data", "directory with the files of the dataset", sizeof data_path, data_path));
  PetscCall(CordsOptionChoice("-split", "images to pack", 2, splits, &split));
  PetscCall(CordsOptionString("-output",
                              "file to write (HDF5); train.h5, val.h5 and test.h5 are found by -dataset packed",
                              sizeof output, output));
  if (check[0]) PetscFunctionReturn(PETSC_SUCCESS);
  PetscCall(CordsOptionRequire("-dataset", dataset_name, "the name of the dataset"));
  CordsCheckUser(strcmp(dataset_name, "packed") != 0, PETSC_COMM_WORLD, "-dataset packed: is packed already");
  PetscCall(CordsOptionRequire("-data", data_path, "the directory with the files of the dataset"));
  PetscCall(CordsOptionRequire("-output", output, "the file to write"));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode Check(CordsContext context, const char *path)
{
  PetscInt64 images, bytes;
  char digest[65];

  PetscFunctionBegin;
  PetscCall(CordsPackCheck(context, path, &images, &bytes, digest));
  PetscCall(CordsLog(context, "%s: %lld images, %lld bytes, sha256:%s, complete\n", path, (long long)images,
                     (long long)bytes, digest));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode Run(CordsContext context, int *exit_status)
{
  int there = context->rank == 0 && access(output, F_OK) == 0;
  CordsDataset dataset;

  PetscFunctionBegin;
  PetscCallMPI(MPI_Bcast(&there, 1, MPI_INT, 0, context->comm));
  if (check[0]) {
    PetscCall(Check(context, check));
    PetscFunctionReturn(PETSC_SUCCESS);
  }
  if (there) {
    PetscCall(CordsLog(context, "%s: is there already; its digest is compared\n", output));
  } else {
    PetscCall(CordsDatasetOpen(context, dataset_name, data_path, split == 0 ? CORDS_SPLIT_TRAIN : CORDS_SPLIT_TEST,
                               &dataset));
    PetscCall(CordsPack(context, dataset, split == 0 ? CORDS_SPLIT_TRAIN : CORDS_SPLIT_TEST, output));
    PetscCall(CordsDatasetDestroy(&dataset));
  }
  PetscCall(Check(context, output));
  PetscFunctionReturn(PETSC_SUCCESS);
}

const CordsCommandType cords_command_pack = {.name = "pack",
                                             .about =
                                                 "a dataset in one indexed file, for file systems that suffer from "
                                                 "many small ones",
                                             .usage = "-dataset N -data DIR -split train|test -output F | -check F",
                                             .configure = Configure,
                                             .run = Run};
