#include "cli/command.h"

#include "conv/choice.h"
#include "core/config.h"
#include "core/log.h"
#include "core/reduce.h"
#include "data/selection.h"
#include "io/results.h"
#include "train/evaluate.h"

static CordsSelection selection;
static char checkpoint[PETSC_MAX_PATH_LEN], output[PETSC_MAX_PATH_LEN];
static PetscInt image_count;
static CordsRolloutSettings rollout;
static CordsLoading loading;

static const CordsSchema accuracy_schema = {"evaluation/accuracy", "step", "1",
                                            "share of images classified correctly after each stimulus step"},
                         loss_schema = {"evaluation/loss", "step", "nat",
                                        "mean cross-entropy after each stimulus step"},
                         predicted_schema = {"evaluation/predicted", "image", "1",
                                             "class with the largest logit at the last step; -1: left out"},
                         label_schema = {"evaluation/label", "image", "1", "true class"},
                         skipped_schema = {"evaluation/skipped", "skipped", "1",
                                           "images of the dataset that could not be decoded and were left out"},
                         confusion_schema = {"evaluation/confusion", "label,predicted", "images",
                                             "images of each true class that were given each class at the last step"};

static PetscErrorCode Configure(CordsContext context, const char *argument)
{
  PetscFunctionBegin;
  CordsCheckUser(!argument[0], PETSC_COMM_WORLD, "evaluate takes no name ('%s'); options start with '-'", argument);
  PetscCall(CordsConvChoiceFromOptions(PETSC_FALSE));
  PetscCall(CordsOptionString("-checkpoint", "file with the network: model.h5, cnn.h5 or checkpoint.h5",
                              sizeof checkpoint, checkpoint));
  PetscCall(CordsOptionRequire("-checkpoint", checkpoint, "the file with the network"));
  PetscCall(CordsSelectionConfigure(&selection, NULL));
  PetscCall(CordsDatasetStrictFromOptions());
  PetscCall(
      CordsOptionInt("-images", "use only this many test images; 0: all", "images", 0, PETSC_MAX_INT, &image_count));
  PetscCall(CordsRolloutSettingsFromOptions(&rollout));
  PetscCall(CordsLoadingFromOptions(&loading));
  PetscCall(CordsOptionString("-output", "result file to write (HDF5)", sizeof output, output));
  PetscCall(CordsOptionRequire("-output", output, "the result file to write"));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode WriteConfusion(CordsContext context, CordsH5 file, PetscInt classes, const CordsEvaluation *e)
{
  PetscInt64 sizes[2] = {classes, classes}, *counts;
  double *confusion;

  PetscFunctionBegin;
  PetscCall(PetscCalloc2(classes * classes, &confusion, classes * classes, &counts));
  for (PetscInt64 k = 0; k < e->count; k++)
    if (e->predicted[k] >= 0) confusion[e->label[k] * classes + e->predicted[k]]++;
  PetscCall(CordsReduceSumF64(context, classes * classes, confusion));
  for (PetscInt k = 0; k < classes * classes; k++) counts[k] = (PetscInt64)confusion[k];
  PetscCall(CordsH5WriteArray(file, &confusion_schema, CORDS_FILE_I64, 2, sizes, counts));
  PetscCall(PetscFree2(confusion, counts));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode WriteSkipped(CordsDataset dataset, CordsH5 file)
{
  CordsSample *images;
  PetscInt64 size;
  PetscInt count;

  PetscFunctionBegin;
  PetscCall(CordsDatasetSkipped(dataset, &count, &images));
  size = count;
  PetscCall(CordsH5WriteArray(file, &skipped_schema, CORDS_FILE_I64, 1, &size, images));
  PetscCall(PetscFree(images));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode WriteResults(CordsContext context, CordsModel model, CordsDataset dataset,
                                   const CordsEvaluation *e, CordsResults results)
{
  PetscInt64 steps = e->steps;

  PetscFunctionBegin;
  PetscCall(CordsH5WriteArray(CordsResultsFile(results), &accuracy_schema, CORDS_FILE_F64, 1, &steps, e->accuracy));
  PetscCall(CordsH5WriteArray(CordsResultsFile(results), &loss_schema, CORDS_FILE_F64, 1, &steps, e->loss));
  PetscCall(WriteConfusion(context, CordsResultsFile(results), model->architecture.classes, e));
  PetscCall(WriteSkipped(dataset, CordsResultsFile(results)));
  PetscCall(CordsH5WriteText(CordsResultsFile(results), "evaluation", "form", CordsFormNames[model->form]));
  PetscCall(CordsH5WriteText(CordsResultsFile(results), "evaluation", "dataset", selection.dataset));
  PetscCall(CordsH5WriteReal(CordsResultsFile(results), "evaluation", "time_step_ms",
                             (double)model->architecture.time_step_ms));
  PetscCall(CordsResultsDeclare(results, &predicted_schema, CORDS_FILE_I64, 0, NULL));
  PetscCall(CordsResultsDeclare(results, &label_schema, CORDS_FILE_I64, 0, NULL));
  PetscCall(CordsResultsAppend(results, predicted_schema.name, e->count, e->predicted));
  PetscCall(CordsResultsAppend(results, label_schema.name, e->count, e->label));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode Run(CordsContext context, int *exit_status)
{
  CordsModel model;
  CordsDataset dataset;
  CordsEvaluation evaluation;
  CordsResults results;

  PetscFunctionBegin;
  PetscCall(CordsModelLoad(context, checkpoint, &model));
  PetscCall(CordsSelectionOpen(context, &selection, checkpoint, model->architecture.image_channels,
                               model->architecture.classes, &dataset));
  /* before the work, so that a file that cannot be written is found out now */
  PetscCall(CordsResultsCreate(context, output, &results));
  PetscCall(CordsEvaluate(context, model, &rollout, &loading, dataset, image_count, &evaluation));
  PetscCall(WriteResults(context, model, dataset, &evaluation, results));
  PetscCall(CordsDatasetCommitResults(dataset, "evaluate", checkpoint, &results));
  PetscCall(CordsLog(context, "%s: accuracy %.4f, loss %.4f nat on %" PetscInt64_FMT " images of %s (%s form)\n",
                     checkpoint, evaluation.accuracy[evaluation.steps - 1], evaluation.loss[evaluation.steps - 1],
                     evaluation.images, selection.dataset, CordsFormNames[model->form]));
  if (evaluation.skipped)
    PetscCall(CordsLog(context, "images left out: %" PetscInt64_FMT " (evaluation/skipped of %s)\n", evaluation.skipped,
                       output));
  PetscCall(CordsEvaluationDestroy(&evaluation));
  PetscCall(CordsDatasetDestroy(&dataset));
  PetscCall(CordsModelDestroy(&model));
  PetscFunctionReturn(PETSC_SUCCESS);
}

const CordsCommandType cords_command_evaluate = {.name = "evaluate",
                                                 .about = "accuracy and loss on the test images, at each time step",
                                                 .usage = "-checkpoint F -dataset N -data DIR -output F",
                                                 .configure = Configure,
                                                 .run = Run};
