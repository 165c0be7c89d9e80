#include "train/evaluate.h"

#include "core/layout.h"
#include "core/log.h"
#include "core/reduce.h"
#include "model/cnn.h"
#include "train/objective.h"
#include "train/rollout.h"

#include <string.h>

/* The activity of all images of a batch at one step. */
static const double batch_bytes = 64e6;

/* What computes logits [step][image][class] of a batch: a CNN, or a system in time. */
typedef struct {
  CordsModel model;
  CordsCnn cnn;
  CordsSystem system;
  CordsRollout rollout;
  CordsInput input;
  CordsArray baseline, state; /* spontaneous state for a whole batch, and the state at work */
  PetscInt batch, steps;
} Network;

PetscInt CordsEvaluateBatch(const CordsArchitecture *a)
{
  double bytes = 0;

  for (PetscInt i = 0; i < a->area_count; i++) bytes += sizeof(float) * CordsAreaNeurons(&a->areas[i]);
  return (PetscInt)PetscMax(1, PetscMin(256, batch_bytes / bytes));
}

static PetscErrorCode NetworkCreate(CordsContext context, CordsModel model, const CordsRolloutSettings *settings,
                                    Network *net)
{
  const CordsArchitecture *a = &model->architecture;
  CordsPlanTask task;
  CordsPlan plan;
  PetscInt neurons;

  PetscFunctionBegin;
  memset(net, 0, sizeof *net);
  net->model = model;
  net->steps = model->form == CORDS_FORM_RECURRENT ? a->stimulus_steps : 1;
  net->batch = CordsEvaluateBatch(a);
  if (model->form != CORDS_FORM_RECURRENT) {
    PetscCall(CordsCnnCreate(context, model, CORDS_F32, net->batch, &net->cnn));
    PetscFunctionReturn(PETSC_SUCCESS);
  }
  PetscCall(CordsWeightsPrepare(context, a, settings->type));
  PetscCall(CordsSystemCreateCut(context, model, settings->type, &net->system));
  neurons = CordsSystemOffset(net->system, a->area_count);
  task = (CordsPlanTask){.batch = net->batch, .spontaneous = a->spontaneous_steps, .steps = net->steps};
  plan = CordsPlanFast(net->system, &task);
  net->batch = plan.images;
  PetscCall(CordsRolloutCreate(net->system, settings->name[0] ? settings->name : NULL, &plan,
                               PetscMax(net->steps, a->spontaneous_steps), PETSC_FALSE, &net->rollout));
  PetscCall(CordsArrayCreate(CORDS_F32, 1, neurons, &net->baseline));
  PetscCall(CordsArrayCreate(CORDS_F32, net->batch, neurons, &net->state));
  PetscCall(CordsRolloutSpontaneous(net->rollout, a->spontaneous_steps, net->baseline.data));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode NetworkDestroy(Network *net)
{
  PetscFunctionBegin;
  PetscCall(CordsCnnDestroy(&net->cnn));
  PetscCall(CordsRolloutDestroy(&net->rollout));
  PetscCall(CordsInputDestroy(&net->input));
  PetscCall(CordsSystemDestroy(&net->system));
  PetscCall(CordsArrayDestroy(&net->baseline));
  PetscCall(CordsArrayDestroy(&net->state));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode NetworkLogits(Network *net, PetscInt n, const float *images, float *logits)
{
  CordsPhase stimulus = {net->steps, PETSC_TRUE};

  PetscFunctionBegin;
  if (net->cnn) {
    PetscCall(CordsCnnForward(net->cnn, n, images, PETSC_FALSE, logits));
    PetscFunctionReturn(PETSC_SUCCESS);
  }
  if (!net->input || CordsInputBatch(net->input) != n) {
    PetscCall(CordsInputDestroy(&net->input));
    PetscCall(CordsInputCreate(net->system, n, &net->input));
  }
  PetscCall(CordsInputSet(net->input, images));
  CordsSystemRepeat(net->system, n, net->baseline.data, net->state.data);
  PetscCall(CordsRolloutForward(net->rollout, n, net->input, 1, &stimulus, PETSC_FALSE, net->state.data, NULL));
  PetscCall(CordsRolloutLogits(net->rollout, 0, net->steps, logits));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscInt Largest(PetscInt classes, const float *logits)
{
  PetscInt best = 0;

  for (PetscInt k = 1; k < classes; k++) best = logits[k] > logits[best] ? k : best;
  return best;
}

/* Which images of this rank are batch `job`. */
typedef struct {
  PetscInt64 start, count; /* of this rank */
  PetscInt batch;
} Share;

static PetscInt PlanBatch(void *context, PetscInt64 job, CordsSample *samples, PetscInt *epoch)
{
  const Share *share = context;
  PetscInt64 first = job * share->batch, end = PetscMin(first + share->batch, share->count);

  *epoch = 0;
  for (PetscInt64 k = first; k < end; k++) samples[k - first] = share->start + k;
  return first < share->count ? (PetscInt)(end - first) : -1;
}

static PetscErrorCode QueueCreate(CordsContext context, const CordsArchitecture *a, const CordsLoading *loading,
                                  CordsDataset dataset, Share *share, CordsImageQueue *queue)
{
  CordsImageQueueSettings settings = {.shape = {a->image_rows, a->image_columns, a->image_channels},
                                      .images_max = share->batch,
                                      .seed = context->seed,
                                      .loading = *loading,
                                      .context = share,
                                      .plan = PlanBatch};

  PetscFunctionBegin;
  PetscCall(CordsImageQueueCreate(dataset, &settings, queue));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* A batch, whose first image is number `first` of this rank; images that cannot be used are left out, the others come
   together. */
static PetscErrorCode EvaluateBatch(Network *net, CordsImageQueue queue, PetscInt64 first, float *images, float *labels,
                                    float *logits, CordsEvaluation *evaluation)
{
  const CordsArchitecture *a = &net->model->architecture;
  size_t image = (size_t)a->image_rows * a->image_columns * a->image_channels;
  CordsQueueImages all;
  PetscInt n = 0, wanted;

  PetscFunctionBegin;
  PetscCall(CordsImageQueueTake(queue, first / net->batch, &all));
  wanted = all.count;
  memset(labels, 0, (size_t)wanted * a->classes * sizeof(float));
  for (PetscInt64 k = 0; k < wanted; k++) {
    evaluation->label[first + k] = all.labels[k];
    evaluation->predicted[first + k] = all.usable[k] ? 0 : -1;
    if (!all.usable[k]) continue;
    memcpy(images + (size_t)n * image, all.images + (size_t)k * image, image * sizeof *images);
    labels[n++ * a->classes + all.labels[k]] = 1;
  }
  PetscCall(CordsImageQueueRelease(queue));
  evaluation->skipped += wanted - n;
  if (n == 0) PetscFunctionReturn(PETSC_SUCCESS);
  PetscCall(NetworkLogits(net, n, images, logits));
  for (PetscInt t = 0; t < net->steps; t++) {
    CordsCrossEntropy(CORDS_F32, n, a->classes, logits + (size_t)t * n * a->classes, labels,
                      (PetscInt)evaluation->images, 1, &evaluation->loss[t], &evaluation->accuracy[t], NULL);
  }
  for (PetscInt64 k = first, used = 0; k < first + wanted; k++) {
    if (evaluation->predicted[k] < 0) continue;
    evaluation->predicted[k] = Largest(a->classes, logits + ((size_t)(net->steps - 1) * n + used++) * a->classes);
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode EvaluationCreate(CordsContext context, PetscInt steps, PetscInt64 images, CordsEvaluation *e)
{
  CordsLayout share = CordsLayoutCut((PetscInt)images, 1, 1, context->group_size, 1, context->group_rank);

  PetscFunctionBegin;
  *e = (CordsEvaluation){.steps = steps, .images = images, .start = share.row_start, .count = share.row_count};
  PetscCall(PetscCalloc1(steps, &e->accuracy));
  PetscCall(PetscCalloc1(steps, &e->loss));
  PetscCall(PetscCalloc1(e->count + 1, &e->predicted));
  PetscCall(PetscCalloc1(e->count + 1, &e->label));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* The means were taken over all images: make them those of the images that could be used. */
static PetscErrorCode LeaveOut(CordsContext context, CordsEvaluation *e)
{
  PetscInt64 all = e->images;

  PetscFunctionBegin;
  if (context->domain_rank > 0) e->skipped = 0; /* all of a group know them; the first tells */
  PetscCallMPI(MPI_Allreduce(MPI_IN_PLACE, &e->skipped, 1, MPIU_INT64, MPI_SUM, context->comm));
  if (e->skipped == 0) PetscFunctionReturn(PETSC_SUCCESS);
  e->images -= e->skipped;
  CordsCheckUser(e->images > 0, context->comm, "none of the %" PetscInt64_FMT " images can be used", all);
  for (PetscInt t = 0; t < e->steps; t++) {
    e->accuracy[t] *= (double)all / (double)e->images;
    e->loss[t] *= (double)all / (double)e->images;
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsEvaluate(CordsContext context, CordsModel model, const CordsRolloutSettings *settings,
                             const CordsLoading *loading, CordsDataset dataset, PetscInt64 images,
                             CordsEvaluation *evaluation)
{
  const CordsArchitecture *a = &model->architecture;
  const CordsDatasetFacts *facts = CordsDatasetGetFacts(dataset);
  const CordsQueueStatistics before = {0};
  double start_s = MPI_Wtime();
  CordsProgress progress;
  CordsImageQueue queue;
  Share share;
  char *text;
  Network net;
  float *pixels, *labels, *logits;

  PetscFunctionBegin;
  CordsCheckUser(images <= facts->count, PETSC_COMM_WORLD,
                 "-images %" PetscInt64_FMT ": the dataset has only %" PetscInt64_FMT, images, facts->count);
  PetscCall(NetworkCreate(context, model, settings, &net));
  PetscCall(EvaluationCreate(context, net.steps, images ? images : facts->count, evaluation));
  PetscCall(PetscMalloc3((size_t)net.batch * a->image_rows * a->image_columns * a->image_channels, &pixels,
                         (size_t)net.batch * a->classes, &labels, (size_t)net.steps * net.batch * a->classes, &logits));
  share = (Share){.start = evaluation->start, .count = evaluation->count, .batch = net.batch};
  PetscCall(QueueCreate(context, a, loading, dataset, &share, &queue));
  PetscCall(CordsProgressStart(&progress, "evaluation", 0, evaluation->count));
  for (PetscInt64 first = 0; first < evaluation->count; first += net.batch) {
    PetscCall(EvaluateBatch(&net, queue, first, pixels, labels, logits, evaluation));
    PetscCall(CordsProgressUpdate(context, &progress, PetscMin(first + net.batch, evaluation->count), NULL));
  }
  PetscCall(CordsImageQueueDescribe(queue, context->comm, &before, MPI_Wtime() - start_s, &text));
  PetscCall(CordsLog(context, "loading: %s\n", text));
  PetscCall(PetscFree(text));
  PetscCall(CordsImageQueueDestroy(&queue));
  if (context->domain_rank > 0) { /* all ranks that share images know these; the first tells */
    memset(evaluation->accuracy, 0, (size_t)net.steps * sizeof *evaluation->accuracy);
    memset(evaluation->loss, 0, (size_t)net.steps * sizeof *evaluation->loss);
  }
  PetscCall(CordsReduceSumF64(context, net.steps, evaluation->accuracy));
  PetscCall(CordsReduceSumF64(context, net.steps, evaluation->loss));
  PetscCall(LeaveOut(context, evaluation));
  PetscCall(PetscFree3(pixels, labels, logits));
  PetscCall(NetworkDestroy(&net));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsEvaluationDestroy(CordsEvaluation *evaluation)
{
  PetscFunctionBegin;
  PetscCall(PetscFree(evaluation->accuracy));
  PetscCall(PetscFree(evaluation->loss));
  PetscCall(PetscFree(evaluation->predicted));
  PetscCall(PetscFree(evaluation->label));
  PetscFunctionReturn(PETSC_SUCCESS);
}
