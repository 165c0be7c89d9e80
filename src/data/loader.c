#include "data/loader.h"

#include "core/log.h"
#include "data/augment.h"
#include "data/image_reader.h"

#include <string.h>

enum { SIDE_MAX = 4096 }; /* of the images for the network */

struct _p_CordsLoader {
  CordsContext context;
  CordsDataset dataset;
  CordsLoaderSettings settings; /* samples > 0 and batch <= samples */
  CordsImageShape shape;        /* of the images for the network */

  CordsSample *order; /* of an epoch, `count` numbers of the dataset; NULL without shuffling */
  PetscInt order_epoch;

  CordsImageQueue queue; /* job: epoch · batches of an epoch + batch */
  PetscInt epoch;        /* that was asked for last */
  double told_s;         /* when the log told about it last, and what it had cost by then */
  CordsQueueStatistics told;
};

static PetscErrorCode CheckSides(MPI_Comm comm, PetscInt rows, PetscInt columns)
{
  PetscFunctionBegin;
  CordsCheckUser(rows >= 1 && rows <= SIDE_MAX && columns >= 1 && columns <= SIDE_MAX, comm,
                 "images of %" PetscInt_FMT " x %" PetscInt_FMT " for the network: the sides must be 1 to %d", rows,
                 columns, SIDE_MAX);
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode CheckSettings(CordsContext context, const CordsDatasetFacts *facts,
                                    const CordsLoaderSettings *settings)
{
  PetscFunctionBegin;
  CordsCheckUser(settings->batch >= 1, context->comm, "a batch of %" PetscInt_FMT " images: a batch needs at least 1",
                 settings->batch);
  CordsCheckUser(settings->samples >= 0, context->comm,
                 "%" PetscInt64_FMT " images per epoch: give a positive number, or 0 for all", settings->samples);
  CordsCheckUser(settings->samples <= facts->count, context->comm,
                 "%" PetscInt64_FMT " images per epoch: dataset %s has %" PetscInt64_FMT " images in this split",
                 settings->samples, facts->name, facts->count);
  PetscCall(CheckSides(context->comm, settings->rows, settings->columns));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscBool Mixes(CordsLoader loader)
{
  return (PetscBool)(loader->settings.mix && CordsDatasetGetAugmentation(loader->dataset)->mix);
}

/* Permutation of all images by Fisher and Yates (Knuth, The Art of Computer Programming 2, 3.4.2, algorithm P). */
static void Shuffle(CordsLoader loader, PetscInt epoch)
{
  CordsSample count = CordsDatasetGetFacts(loader->dataset)->count, *order = loader->order;
  CordsRandomKey key = {.seed = loader->context->seed, .purpose = CORDS_RANDOM_SHUFFLE, .epoch = (uint32_t)epoch};

  if (loader->order_epoch == epoch) return;
  for (CordsSample i = 0; i < count; i++) order[i] = i;
  for (CordsSample i = count - 1; i > 0; i--) {
    CordsSample kept = order[i], other;
    key.sample = (uint64_t)i;
    other = (CordsSample)CordsRandomBelow(key, 0, (uint64_t)i + 1);
    order[i] = order[other];
    order[other] = kept;
  }
  loader->order_epoch = epoch;
}

static void FindShare(CordsLoader loader, PetscInt batch, PetscInt *start, PetscInt *count, PetscInt *total)
{
  PetscInt rank = loader->context->group_rank, size = loader->context->group_size, larger;

  *total = (PetscInt)PetscMin(loader->settings.batch,
                              loader->settings.samples - (CordsSample)batch * loader->settings.batch);
  larger = *total % size; /* the first ranks have one image more */
  *count = *total / size + (rank < larger);
  *start = rank * (*total / size) + PetscMin(rank, larger);
}

/* The samples of this rank's rows of a batch.  Row k of a batch is mixed with row k − 1, row 0 with the last: then
   there is one row more, in front. */
static PetscInt PlanBatch(void *context, PetscInt64 job, CordsSample *samples, PetscInt *epoch)
{
  CordsLoader loader = context;
  PetscInt batches = CordsLoaderBatchCount(loader), batch = (PetscInt)(job % batches), start, count, total;

  *epoch = (PetscInt)(job / batches);
  if (*epoch >= PetscMax(loader->settings.epochs, loader->epoch + 1)) return -1;
  FindShare(loader, batch, &start, &count, &total);
  if (count == 0) return 0;
  if (loader->settings.shuffle) Shuffle(loader, *epoch);
  if (Mixes(loader)) start--, count++;
  for (PetscInt i = 0; i < count; i++) {
    CordsSample place = (CordsSample)batch * loader->settings.batch + (start + i + total) % total;
    samples[i] = loader->settings.shuffle ? loader->order[place] : place;
  }
  return count;
}

static PetscErrorCode CreateQueue(CordsLoader loader)
{
  const CordsLoaderSettings *settings = &loader->settings;
  const CordsDatasetFacts *facts = CordsDatasetGetFacts(loader->dataset);
  CordsImageQueueSettings queue = {.shape = loader->shape,
                                   .images_max =
                                       (settings->batch - 1) / loader->context->group_size + (Mixes(loader) ? 2 : 1),
                                   .augment = settings->augment,
                                   .replace = PETSC_TRUE,
                                   .seed = loader->context->seed,
                                   .loading = settings->loading,
                                   .context = loader,
                                   .plan = PlanBatch};

  PetscFunctionBegin;
  if (settings->shuffle) PetscCall(PetscMalloc1((size_t)facts->count, &loader->order));
  loader->order_epoch = -1;
  loader->told_s = MPI_Wtime();
  PetscCall(CordsImageQueueCreate(loader->dataset, &queue, &loader->queue));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsLoaderCreate(CordsContext context, CordsDataset dataset, const CordsLoaderSettings *settings,
                                 CordsLoader *loader)
{
  const CordsDatasetFacts *facts = CordsDatasetGetFacts(dataset);
  CordsLoader new_loader;

  PetscFunctionBegin;
  *loader = NULL;
  PetscCall(CheckSettings(context, facts, settings));
  PetscCall(PetscNew(&new_loader));
  *loader = new_loader;
  new_loader->context = context;
  new_loader->dataset = dataset;
  new_loader->settings = *settings;
  if (settings->samples == 0) new_loader->settings.samples = facts->count;
  if (settings->batch > new_loader->settings.samples)
    new_loader->settings.batch = (PetscInt)new_loader->settings.samples;
  if (context->group_size > new_loader->settings.samples) {
    CordsSample samples = new_loader->settings.samples;
    PetscCall(CordsLoaderDestroy(loader));
    CordsUserError(context->comm, "%d ranks for %" PetscInt64_FMT " images: use at most one rank per image",
                   (int)context->group_size, samples);
  }
  new_loader->shape =
      (CordsImageShape){.rows = settings->rows, .columns = settings->columns, .channels = facts->channels};
  PetscCall(CreateQueue(new_loader));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsLoaderDestroy(CordsLoader *loader)
{
  PetscFunctionBegin;
  if (!*loader) PetscFunctionReturn(PETSC_SUCCESS);
  PetscCall(CordsImageQueueDestroy(&(*loader)->queue));
  PetscCall(PetscFree((*loader)->order));
  PetscCall(PetscFree(*loader));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscInt CordsLoaderBatchCount(CordsLoader loader)
{
  return (PetscInt)((loader->settings.samples - 1) / loader->settings.batch + 1);
}

PetscErrorCode CordsLoaderShare(CordsLoader loader, PetscInt batch, PetscInt *start, PetscInt *count, PetscInt *total)
{
  PetscFunctionBegin;
  PetscCheck(batch >= 0 && batch < CordsLoaderBatchCount(loader), PETSC_COMM_SELF, PETSC_ERR_ARG_OUTOFRANGE,
             "batch %" PetscInt_FMT " of %" PetscInt_FMT, batch, CordsLoaderBatchCount(loader));
  FindShare(loader, batch, start, count, total);
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* Labels of `count` images, `labels` being those of the dataset: 1 − share goes to the image before. */
static void MakeLabels(PetscInt classes, PetscInt count, const PetscInt *own, const PetscInt *neighbour, double share,
                       float *labels)
{
  memset(labels, 0, (size_t)count * (size_t)classes * sizeof *labels);
  for (PetscInt i = 0; i < count; i++) {
    labels[i * classes + own[i]] += (float)share;
    if (neighbour) labels[i * classes + neighbour[i]] += (float)(1 - share);
  }
}

/* The queue's images, of which the first is a neighbour only, mixed. */
static void Mix(CordsLoader loader, PetscInt epoch, PetscInt batch, const CordsQueueImages *all, float *images,
                float *labels)
{
  size_t size = CordsImageSize(loader->shape);
  PetscInt count = all->count - 1;
  CordsRandomKey key = {
      .seed = loader->context->seed, .purpose = CORDS_RANDOM_MIX, .epoch = (uint32_t)epoch, .sample = (uint64_t)batch};
  CordsMix mix = CordsAugmentMixDraw(loader->shape, key);

  memcpy(images, all->images + size, (size_t)count * size * sizeof *images);
  for (PetscInt i = 0; i < count; i++)
    CordsAugmentMix(loader->shape, &mix, all->images + (size_t)i * size, images + (size_t)i * size);
  MakeLabels(CordsDatasetGetFacts(loader->dataset)->classes, count, all->labels + 1, all->labels, mix.share, labels);
}

static void Copy(CordsLoader loader, const CordsQueueImages *all, float *images, float *labels)
{
  memcpy(images, all->images, (size_t)all->count * CordsImageSize(loader->shape) * sizeof *images);
  MakeLabels(CordsDatasetGetFacts(loader->dataset)->classes, all->count, all->labels, NULL, 1, labels);
}

PetscErrorCode CordsLoaderRead(CordsLoader loader, PetscInt epoch, PetscInt batch, float *images, float *labels,
                               CordsSample *samples)
{
  PetscInt start, count, total;
  CordsQueueImages all;

  PetscFunctionBegin;
  PetscCall(CordsLoaderShare(loader, batch, &start, &count, &total));
  loader->epoch = epoch;
  PetscCall(CordsImageQueueTake(loader->queue, (PetscInt64)epoch * CordsLoaderBatchCount(loader) + batch, &all));
  if (count > 0 && Mixes(loader))
    Mix(loader, epoch, batch, &all, images, labels);
  else
    Copy(loader, &all, images, labels);
  if (samples) PetscCall(PetscArraycpy(samples, all.samples + (all.count - count), (size_t)count));
  PetscCall(CordsImageQueueRelease(loader->queue));
  PetscFunctionReturn(PETSC_SUCCESS);
}

CordsQueueStatistics CordsLoaderGetStatistics(CordsLoader loader)
{
  return CordsImageQueueGetStatistics(loader->queue);
}

/* Several short epochs share a line. */
PetscErrorCode CordsLoaderLog(CordsLoader loader, const char *what, PetscInt64 batches, PetscBool last)
{
  const double seldom_s = 5;
  double now_s = MPI_Wtime();
  int due = last || now_s - loader->told_s > seldom_s;
  char *text;

  PetscFunctionBegin;
  PetscCallMPI(MPI_Bcast(&due, 1, MPI_INT, 0, loader->context->comm));
  if (!due) PetscFunctionReturn(PETSC_SUCCESS);
  PetscCall(
      CordsImageQueueDescribe(loader->queue, loader->context->comm, &loader->told, now_s - loader->told_s, &text));
  PetscCall(CordsLog(loader->context, "loading: stage %s, %.4g epochs: %s\n", what,
                     (double)batches / (double)CordsLoaderBatchCount(loader), text));
  PetscCall(PetscFree(text));
  loader->told = CordsImageQueueGetStatistics(loader->queue);
  loader->told_s = now_s;
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* An image in evaluation; problem is empty if all is well. */
static PetscErrorCode ReadImage(CordsDataset dataset, CordsSample sample, PetscInt rows, PetscInt columns, float *image,
                                PetscInt *label, char problem[CORDS_DECODE_PROBLEM])
{
  const CordsDatasetFacts *facts = CordsDatasetGetFacts(dataset);
  CordsImageShape shape = {.rows = rows, .columns = columns, .channels = facts->channels};
  CordsImageReader reader;

  PetscFunctionBegin;
  PetscCall(CheckSides(PETSC_COMM_SELF, rows, columns));
  CordsCheckUser(sample >= 0 && sample < facts->count, PETSC_COMM_SELF,
                 "dataset %s: image %" PetscInt64_FMT " does not exist, the images are 0 to %" PetscInt64_FMT,
                 facts->name, sample, facts->count - 1);
  PetscCall(CordsImageReaderCreate(dataset, shape, PETSC_FALSE, &reader));
  if (CordsImageRead(reader, sample, image, label, problem)) CordsImageNormalise(facts, CordsImagePixels(shape), image);
  PetscCall(CordsImageReaderDestroy(&reader));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsLoaderImage(CordsDataset dataset, CordsSample sample, PetscInt rows, PetscInt columns, float *image,
                                PetscInt *label)
{
  char problem[CORDS_DECODE_PROBLEM], where[PETSC_MAX_PATH_LEN] = "";

  PetscFunctionBegin;
  PetscCall(ReadImage(dataset, sample, rows, columns, image, label, problem));
  if (problem[0]) CordsDatasetWhere(dataset, sample, sizeof where, where);
  CordsCheckUser(!problem[0], PETSC_COMM_SELF, "image %" PetscInt64_FMT ", %s, %s", sample, where, problem);
  PetscFunctionReturn(PETSC_SUCCESS);
}
