#include "data/loader.h"

#include "data/augment.h"
#include "data/resize.h"
#include "data/training_image.h"

#include <omp.h>
#include <string.h>

enum { SIDE_MAX = 4096 }; /* of the images for the network */

struct _p_CordsLoader {
  CordsContext context;
  CordsDataset dataset;
  CordsLoaderSettings settings; /* samples > 0 and batch <= samples */
  CordsImageShape shape;        /* of the images for the network */
  CordsResize resize;

  CordsSample *order; /* of an epoch, `count` numbers of the dataset; NULL without shuffling */
  PetscInt order_epoch;

  PetscInt share_max; /* images of a batch that are decoded at once, a mixing partner included */
  uint8_t *pixels;    /* [image] as in the dataset */
  float *mixed;       /* [image] the network's, before mixing */
  PetscInt *labels;   /* [image] */
  CordsSample *samples;
  int thread_count;
  float *work; /* [thread][work_size] */
  size_t work_size;
};

static size_t PixelCount(const CordsDatasetFacts *facts)
{
  return (size_t)facts->rows * (size_t)facts->columns * (size_t)facts->channels;
}

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

/* Work of one thread: an image as in the dataset, and what resizing or augmenting it needs. */
static size_t WorkSize(CordsResize resize, const CordsDatasetFacts *facts, CordsImageShape shape)
{
  size_t floats =
      PixelCount(facts) + PetscMax(CordsResizeWorkSize(resize, facts->channels), CordsAugmentWorkSize(shape));

  return PetscMax(floats, CordsTrainingImageWorkBytes(facts->rows, facts->columns, shape) / sizeof(float) + 1);
}

static PetscErrorCode AllocateBuffers(CordsLoader loader)
{
  const CordsDatasetFacts *facts = CordsDatasetGetFacts(loader->dataset);
  size_t images;

  PetscFunctionBegin;
  loader->share_max = (loader->settings.batch - 1) / loader->context->size + 2;
  images = (size_t)loader->share_max;
  loader->work_size = WorkSize(loader->resize, facts, loader->shape);
  PetscCall(PetscMalloc1(images * PixelCount(facts), &loader->pixels));
  PetscCall(PetscMalloc1(images * CordsImageSize(loader->shape), &loader->mixed));
  PetscCall(PetscMalloc1(images, &loader->labels));
  PetscCall(PetscMalloc1(images, &loader->samples));
  loader->thread_count = omp_get_max_threads();
  PetscCall(PetscMalloc1((size_t)loader->thread_count * loader->work_size, &loader->work));
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
  if (context->size > new_loader->settings.samples) {
    CordsSample samples = new_loader->settings.samples;
    PetscCall(CordsLoaderDestroy(loader));
    CordsUserError(context->comm, "%d ranks for %" PetscInt64_FMT " images: use at most one rank per image",
                   (int)context->size, samples);
  }
  new_loader->shape =
      (CordsImageShape){.rows = settings->rows, .columns = settings->columns, .channels = facts->channels};
  PetscCall(CordsResizeCreate(facts->rows, facts->columns, settings->rows, settings->columns, &new_loader->resize));
  PetscCall(AllocateBuffers(new_loader));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsLoaderDestroy(CordsLoader *loader)
{
  PetscFunctionBegin;
  if (!*loader) PetscFunctionReturn(PETSC_SUCCESS);
  PetscCall(CordsResizeDestroy(&(*loader)->resize));
  PetscCall(PetscFree((*loader)->order));
  PetscCall(PetscFree((*loader)->pixels));
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
  PetscInt rank = loader->context->rank, size = loader->context->size, larger;

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

/* One image: pixels of the dataset to 0..1 and to the network's size. */
static void Scale(const CordsDatasetFacts *facts, CordsResize resize, const uint8_t *pixels, float *image, float *work)
{
  size_t count = PixelCount(facts);

  for (size_t i = 0; i < count; i++) work[i] = (float)pixels[i] / 255;
  CordsResizeApply(resize, facts->channels, work, image, work + count);
}

static void Normalise(const CordsDatasetFacts *facts, size_t pixels, float *image)
{
  for (size_t i = 0; i < pixels; i++)
    for (PetscInt c = 0; c < facts->channels; c++, image++) *image = (*image - facts->mean[c]) / facts->deviation[c];
}

/* Read rows first .. first+count-1 of a batch of `total` images (row -1 is the last one): pixels, labels, samples. */
static PetscErrorCode ReadRows(CordsLoader loader, PetscInt batch, PetscInt first, PetscInt count, PetscInt total)
{
  size_t size = PixelCount(CordsDatasetGetFacts(loader->dataset));

  PetscFunctionBegin;
  for (PetscInt i = 0; i < count; i++) {
    CordsSample place = (CordsSample)batch * loader->settings.batch + (first + i + total) % total;
    loader->samples[i] = loader->settings.shuffle ? loader->order[place] : place;
    PetscCall(
        CordsDatasetRead(loader->dataset, loader->samples[i], loader->pixels + (size_t)i * size, &loader->labels[i]));
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* The images that ReadRows has read, as the network wants them. */
static void MakeImages(CordsLoader loader, PetscInt epoch, PetscInt count, float *images)
{
  const CordsDatasetFacts *facts = CordsDatasetGetFacts(loader->dataset);
  const CordsAugmentation *augmentation = CordsDatasetGetAugmentation(loader->dataset);
  size_t size = CordsImageSize(loader->shape);

#pragma omp parallel for schedule(static) num_threads(loader->thread_count)
  for (PetscInt i = 0; i < count; i++) {
    CordsRandomKey key = {.seed = loader->context->seed,
                          .purpose = CORDS_RANDOM_AUGMENT,
                          .epoch = (uint32_t)epoch,
                          .sample = (uint64_t)loader->samples[i]};
    float *image = images + (size_t)i * size, *work = loader->work + (size_t)omp_get_thread_num() * loader->work_size;

    if (loader->settings.augment && CordsAugmentOnBytes(augmentation)) {
      CordsTrainingImage(augmentation, facts->mean, facts->deviation, facts->rows, facts->columns,
                         loader->pixels + (size_t)i * PixelCount(facts), loader->shape, key, image, work);
      continue;
    }
    Scale(facts, loader->resize, loader->pixels + (size_t)i * PixelCount(facts), image, work);
    if (loader->settings.augment) CordsAugmentImage(augmentation, loader->shape, key, image, work);
    Normalise(facts, size / (size_t)facts->channels, image);
  }
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
  PetscCall(ReadRows(loader, batch, start - 1, count + 1, total));
  MakeImages(loader, epoch, count + 1, loader->mixed);
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
  PetscCall(ReadRows(loader, batch, start, count, total));
  MakeImages(loader, epoch, count, images);
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

PetscErrorCode CordsLoaderImage(CordsDataset dataset, CordsSample sample, PetscInt rows, PetscInt columns, float *image,
                                PetscInt *label)
{
  const CordsDatasetFacts *facts = CordsDatasetGetFacts(dataset);
  CordsResize resize;
  uint8_t *pixels;
  float *work;

  PetscFunctionBegin;
  PetscCall(CheckSides(PETSC_COMM_SELF, rows, columns));
  PetscCall(PetscMalloc1(PixelCount(facts), &pixels));
  PetscCall(CordsDatasetRead(dataset, sample, pixels, label));
  PetscCall(CordsResizeCreate(facts->rows, facts->columns, rows, columns, &resize));
  PetscCall(PetscMalloc1(PixelCount(facts) + CordsResizeWorkSize(resize, facts->channels), &work));
  Scale(facts, resize, pixels, image, work);
  Normalise(facts, (size_t)rows * (size_t)columns, image);
  PetscCall(PetscFree(work));
  PetscCall(PetscFree(pixels));
  PetscCall(CordsResizeDestroy(&resize));
  PetscFunctionReturn(PETSC_SUCCESS);
}
