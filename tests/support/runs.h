/* A tiny dataset and a short run of training, for tests of whole runs. */
#ifndef CORDS_TESTS_SUPPORT_RUNS_H
#define CORDS_TESTS_SUPPORT_RUNS_H

#include "data/dataset.h"
#include "support/idx.h"
#include "support/networks.h"
#include "train/trainer.h"

/* MNIST's files with seven small images; opened on the ranks of `context`.  Collective on the world. */
static inline CordsDataset RunDataset(CordsContext context, CordsSplit split)
{
  static int made;
  const char *folder = SupportPath("mnist");
  CordsDataset dataset;
  SupportIdx idx;

  if (!made++) {
    SupportIdxMake(&idx);
    SupportIdxWrite(&idx, folder, "train", PETSC_FALSE);
    SupportIdxWrite(&idx, folder, "t10k", PETSC_FALSE);
  }
  SupportCall(CordsDatasetOpen(context, "mnist", folder, split, &dataset));
  return dataset;
}

static inline CordsArchitecture RunArchitecture(void)
{
  CordsArchitecture a;

  SupportCall(CordsArchitectureFromText("the test",
                                        "classes: 10\nimage_channels: 1\narchitecture:\n  image_rows: 9\n"
                                        "  image_columns: 8\n  stem_kernel: 3\n  stem_channels: 3\n  stem_stride: 1\n"
                                        "  pool_kernel: 3\n  pool_stride: 2\n  channels: [3, 4, 4]\n"
                                        "  strides: [1, 2, 1]\n  spontaneous_steps: 5\n  stimulus_steps: 7\n"
                                        "  return_steps: 6\n",
                                        &a));
  return a;
}

/* All five stages, `epochs` epochs of two batches each, a row of log.csv for each update. */
static inline void RunMake(const char *output, PetscInt epochs, CordsRun *run)
{
  const char *const *names;

  memset(run, 0, sizeof *run);
  snprintf(run->output, sizeof run->output, "%s", SupportPath(output));
  run->architecture = RunArchitecture();
  run->checkpoint_interval_s = 1e6;
  run->log_interval = 1;
  SupportCall(CordsStageList(&run->stage_count, &names, NULL));
  for (PetscInt k = 0; k < run->stage_count; k++) {
    run->stages[k] = k;
    SupportCall(CordsStageSettingsDefault(k, &run->settings[k]));
    run->settings[k].epochs = epochs;
    run->settings[k].batch = 4;
    run->settings[k].loss_steps = PetscMin(run->settings[k].loss_steps, 6);
  }
}

#endif
