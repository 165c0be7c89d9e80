#include "data/loader.h"

#include "data/augment.h"
#include "data/image_reader.h"

#include <omp.h>
#include <string.h>

enum { SIDE_MAX = 4096 }; /* of the images for the network */

struct _p_CordsLoader {
  CordsContext context;
  CordsDataset dataset;
  CordsLoaderSettings settings; /* samples > 0 and batch <= samples */
  CordsImageShape shape;        /* of the images for the network */

  CordsSample *order; /* of an epoch, `count` numbers of the dataset; NULL without shuffling */
  PetscInt order_epoch;

  PetscInt share_max; /* images of a batch that are decoded at once, a mixing partner included */
  float *mixed;       /* [image] the network's, before mixing */
  PetscInt *labels;   /* [image] */
  CordsSample *samples;
  char (*problems)[CORDS_DECODE_PROBLEM]; /* [image] empty: none */
  int thread_count;
  CordsImageReader *readers; /* [thread] */
  float *work;               /* [thread][work_size] */
  size_t work_size;
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

static PetscErrorCode AllocateBuffers(CordsLoader loader)
{
  const CordsDatasetFacts *facts = CordsDatasetGetFacts(loader->dataset);
  size_t images;

  PetscFunctionBegin;
  loader->share_max = (loader->settings.batch - 1) / loader->context->group_size + 2;
  images = (size_t)loader->share_max;
  loader->work_size = CordsAugmentWorkSize(loader->shape);
  PetscCall(PetscMalloc1(images * CordsImageSize(loader->shape), &loader->mixed));
  PetscCall(PetscMalloc1(images, &loader->labels));
  PetscCall(PetscMalloc1(images, &loader->samples));
  PetscCall(PetscMalloc1(images, &loader->problems));
  loader->thread_count = omp_get_max_threads();
  PetscCall(PetscMalloc1((size_t)loader->thread_count * loader->work_size, &loader->work));
  PetscCall(PetscCalloc1((size_t)loader->thread_count, &loader->readers));
  for (int i = 0; i < loader->thread_count; i++)
    PetscCall(CordsImageReaderCreate(loader->dataset, loader->shape, loader->settings.augment, &loader->readers[i]));
  if (loader->settings.shuffle) PetscCall(PetscMalloc1((size_t)facts->count, &loader->order));
  loader->order_epoch = -1;
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
  PetscCall(AllocateBuffers(new_loader));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsLoaderDestroy(CordsLoader *loader)
{
  PetscFunctionBegin;
  if (!*loader) PetscFunctionReturn(PETSC_SUCCESS);
  for (int i = 0; (*loader)->readers && i < (*loader)->thread_count; i++)
    PetscCall(CordsImageReaderDestroy(&(*loader)->readers[i]));
  PetscCall(PetscFree((*loader)->readers));
  PetscCall(PetscFree((*loader)->problems));
  PetscCall(PetscFree((*loader)->order));
  PetscCall(PetscFree((*loader)->mixed));
  PetscCall(PetscFree((*loader)->labels));
  PetscCall(PetscFree((*loader)->samples));
  PetscCall(PetscFree((*loader)->work));
  PetscCall(PetscFree(*loader));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscInt CordsLoaderBatchCount(CordsLoader loader)
{
  return (PetscInt)((loader->settings.samples - 1) / loader->settings.batch + 1);
}

PetscErrorCode CordsLoaderShare(CordsLoader loader, PetscInt batch, PetscInt *start, PetscInt *count, PetscInt *total)
{
  PetscInt rank = loader->context->group_rank, size = loader->context->group_size, larger;

  PetscFunctionBegin;
  PetscCheck(batch >= 0 && batch < CordsLoaderBatchCount(loader), PETSC_COMM_SELF, PETSC_ERR_ARG_OUTOFRANGE,
             "batch %" PetscInt_FMT " of %" PetscInt_FMT, batch, CordsLoaderBatchCount(loader));
  *total = (PetscInt)PetscMin(loader->settings.batch,
                              loader->settings.samples - (CordsSample)batch * loader->settings.batch);
  larger = *total % size; /* the first ranks have one image more */
  *count = *total / size + (rank < larger);
  *start = rank * (*total / size) + PetscMin(rank, larger);
  PetscFunctionReturn(PETSC_SUCCESS);
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

static void Normalise(const CordsDatasetFacts *facts, size_t pixels, float *image)
{
  for (size_t i = 0; i < pixels; i++)
    for (PetscInt c = 0; c < facts->channels; c++, image++) *image = (*image - facts->mean[c]) / facts->deviation[c];
}

/* Which images are rows first .. first+count-1 of a batch of `total` images (row -1 is the last one). */
static void FindSamples(CordsLoader loader, PetscInt batch, PetscInt first, PetscInt count, PetscInt total)
{
  for (PetscInt i = 0; i < count; i++) {
    CordsSample place = (CordsSample)batch * loader->settings.batch + (first + i + total) % total;
    loader->samples[i] = loader->settings.shuffle ? loader->order[place] : place;
  }
}

/* One image as the network wants it.  False: it cannot be used, see its problem. */
static PetscBool MakeImage(CordsLoader loader, PetscInt epoch, CordsSample sample, int thread, float *image,
                           PetscInt *label, char problem[CORDS_DECODE_PROBLEM])
{
  const CordsAugmentation *augmentation = CordsDatasetGetAugmentation(loader->dataset);
  CordsImageReader reader = loader->readers[thread];
  CordsRandomKey key = {.seed = loader->context->seed,
                        .purpose = CORDS_RANDOM_AUGMENT,
                        .epoch = (uint32_t)epoch,
                        .sample = (uint64_t)sample};

  if (loader->settings.augment && CordsAugmentOnBytes(augmentation))
    return CordsImageReadTraining(reader, sample, key, image, label, problem);
  if (!CordsImageRead(reader, sample, image, label, problem)) return PETSC_FALSE;
  if (loader->settings.augment)
    CordsAugmentImage(augmentation, loader->shape, key, image, loader->work + (size_t)thread * loader->work_size);
  Normalise(CordsDatasetGetFacts(loader->dataset), CordsImagePixels(loader->shape), image);
  return PETSC_TRUE;
}

/* An image that cannot be used gives its place to the next one of the dataset that can: the batch keeps its size, and
   the choice does not depend on ranks. */
static PetscErrorCode ReplaceImage(CordsLoader loader, PetscInt epoch, PetscInt i, float *image)
{
  CordsSample count = CordsDatasetGetFacts(loader->dataset)->count, sample = loader->samples[i];

  PetscFunctionBegin;
  for (CordsSample tried = 1; loader->problems[i][0]; tried++) {
    PetscCall(CordsDatasetSkip(loader->dataset, sample, loader->problems[i]));
    CordsCheckUser(tried < count, PETSC_COMM_SELF, "dataset %s: none of its images can be used",
                   CordsDatasetGetFacts(loader->dataset)->name);
    sample = (sample + 1) % count;
    MakeImage(loader, epoch, sample, 0, image, &loader->labels[i], loader->problems[i]);
  }
  loader->samples[i] = sample;
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* The images of loader->samples as the network wants them, and their labels. */
static PetscErrorCode MakeImages(CordsLoader loader, PetscInt epoch, PetscInt count, float *images)
{
  size_t size = CordsImageSize(loader->shape);

  PetscFunctionBegin;
#pragma omp parallel for schedule(dynamic) num_threads(loader->thread_count)
  for (PetscInt i = 0; i < count; i++)
    MakeImage(loader, epoch, loader->samples[i], omp_get_thread_num(), images + (size_t)i * size, &loader->labels[i],
              loader->problems[i]);
  for (PetscInt i = 0; i < count; i++)
    if (loader->problems[i][0]) PetscCall(ReplaceImage(loader, epoch, i, images + (size_t)i * size));
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

/* Row k of a batch is mixed with row k − 1, row 0 with the last: read one row more, in front. */
static PetscErrorCode ReadMixed(CordsLoader loader, PetscInt epoch, PetscInt batch, float *images, float *labels)
{
  PetscInt start, count, total, classes = CordsDatasetGetFacts(loader->dataset)->classes;
  size_t size = CordsImageSize(loader->shape);
  CordsRandomKey key = {
      .seed = loader->context->seed, .purpose = CORDS_RANDOM_MIX, .epoch = (uint32_t)epoch, .sample = (uint64_t)batch};
  CordsMix mix = CordsAugmentMixDraw(loader->shape, key);

  PetscFunctionBegin;
  PetscCall(CordsLoaderShare(loader, batch, &start, &count, &total));
  FindSamples(loader, batch, start - 1, count + 1, total);
  PetscCall(MakeImages(loader, epoch, count + 1, loader->mixed));
  PetscCall(PetscArraycpy(images, loader->mixed + size, (size_t)count * size));
  for (PetscInt i = 0; i < count; i++)
    CordsAugmentMix(loader->shape, &mix, loader->mixed + (size_t)i * size, images + (size_t)i * size);
  MakeLabels(classes, count, loader->labels + 1, loader->labels, mix.share, labels);
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode ReadPlain(CordsLoader loader, PetscInt epoch, PetscInt batch, float *images, float *labels)
{
  PetscInt start, count, total;

  PetscFunctionBegin;
  PetscCall(CordsLoaderShare(loader, batch, &start, &count, &total));
  FindSamples(loader, batch, start, count, total);
  PetscCall(MakeImages(loader, epoch, count, images));
  MakeLabels(CordsDatasetGetFacts(loader->dataset)->classes, count, loader->labels, NULL, 1, labels);
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsLoaderRead(CordsLoader loader, PetscInt epoch, PetscInt batch, float *images, float *labels,
                               CordsSample *samples)
{
  PetscBool mix = (PetscBool)(loader->settings.mix && CordsDatasetGetAugmentation(loader->dataset)->mix);
  PetscInt start, count, total;

  PetscFunctionBegin;
  PetscCall(CordsLoaderShare(loader, batch, &start, &count, &total));
  if (count == 0) PetscFunctionReturn(PETSC_SUCCESS);
  if (loader->settings.shuffle) Shuffle(loader, epoch);
  if (mix)
    PetscCall(ReadMixed(loader, epoch, batch, images, labels));
  else
    PetscCall(ReadPlain(loader, epoch, batch, images, labels));
  if (samples) PetscCall(PetscArraycpy(samples, loader->samples + (mix ? 1 : 0), (size_t)count));
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
  if (CordsImageRead(reader, sample, image, label, problem)) Normalise(facts, (size_t)rows * (size_t)columns, image);
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

PetscErrorCode CordsLoaderImageOrSkip(CordsDataset dataset, CordsSample sample, PetscInt rows, PetscInt columns,
                                      float *image, PetscInt *label, PetscBool *skipped)
{
  char problem[CORDS_DECODE_PROBLEM];

  PetscFunctionBegin;
  PetscCall(ReadImage(dataset, sample, rows, columns, image, label, problem));
  *skipped = (PetscBool)(problem[0] != '\0');
  if (*skipped) PetscCall(CordsDatasetSkip(dataset, sample, problem));
  PetscFunctionReturn(PETSC_SUCCESS);
}
