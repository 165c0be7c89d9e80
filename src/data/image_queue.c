#include "data/image_queue.h"

#include "core/config.h"
#include "core/processors.h"
#include "data/image_reader.h"
#include "data/prefetch.h"

#include <omp.h>
#include <stdio.h>
#include <stdlib.h>

enum {
  TRIED_MAX = 8,     /* images that a thread tries for one place; the owner goes on from there */
  AUTOMATIC = -1,    /* -loader_threads */
  AUTOMATIC_MAX = 4, /* threads, if nobody says how many */
  THREADS_MAX = 256, /* that somebody may ask for */
  PREFETCH_MAX = 1024
};

/* An image that could not be used. */
typedef struct {
  CordsSample sample;
  char problem[CORDS_DECODE_PROBLEM];
} Failure;

struct _p_CordsImageQueue {
  CordsDataset dataset;
  CordsImageQueueSettings settings;
  CordsPrefetch prefetch;
  PetscInt worker_count, slot_count;
  CordsImageReader *readers; /* [worker] */
  float *work;               /* [worker][work_size] */
  size_t work_size;
  /* of the jobs in the ring */
  PetscInt *counts, *epochs; /* [slot] */
  float *images;             /* [slot][image][row][column][channel] */
  CordsSample *samples;      /* [slot][image] */
  PetscInt *labels;
  PetscBool *usable;
  PetscInt *failure_counts;
  Failure *failures; /* [slot][image][TRIED_MAX] */
};

/* ---- options ---- */

static PetscErrorCode AutomaticThreads(PetscInt *threads)
{
  PetscInt share;

  PetscFunctionBegin;
  PetscCall(CordsProcessorsShare(PETSC_COMM_WORLD, &share));
  *threads = PetscMax(0, PetscMin(AUTOMATIC_MAX, share - omp_get_max_threads()));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsLoadingFromOptions(CordsLoading *loading)
{
  PetscFunctionBegin;
  *loading = (CordsLoading){.threads = AUTOMATIC, .prefetch = 2, .scaled = PETSC_TRUE};
  PetscCall(
      CordsOptionInt("-loader_threads",
                     "threads of each rank that decode images ahead; 0: none, -1: as many as there are processors "
                     "without other work, at most 4",
                     "", AUTOMATIC, THREADS_MAX, &loading->threads));
  PetscCall(CordsOptionInt("-prefetch", "batches that these threads make ahead", "batches", 1, PREFETCH_MAX,
                           &loading->prefetch));
  PetscCall(CordsOptionBool("-jpeg_scaling",
                            "decode training images in JPEG to 1/2, 1/4 or 1/8 where the random box then still has the "
                            "network's pixels; images differ a little from those decoded in full",
                            &loading->scaled));
  if (loading->threads == AUTOMATIC) PetscCall(AutomaticThreads(&loading->threads));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscInt Slots(const CordsLoading *loading)
{
  return loading->threads > 0 ? PetscMax(1, loading->prefetch) : 1;
}

double CordsLoadingBytes(const CordsLoading *loading, PetscInt images, double numbers)
{
  return sizeof(float) * (double)Slots(loading) * (double)images * numbers;
}

/* ---- one image ---- */

/* One image as the network wants it.  False: it cannot be used, see its problem. */
static PetscBool MakeImage(CordsImageQueue q, PetscInt epoch, CordsSample sample, PetscInt worker, float *image,
                           PetscInt *label, char problem[CORDS_DECODE_PROBLEM])
{
  const CordsAugmentation *augmentation = CordsDatasetGetAugmentation(q->dataset);
  CordsImageReader reader = q->readers[worker];
  CordsRandomKey key = {
      .seed = q->settings.seed, .purpose = CORDS_RANDOM_AUGMENT, .epoch = (uint32_t)epoch, .sample = (uint64_t)sample};

  if (q->settings.augment && CordsAugmentOnBytes(augmentation))
    return CordsImageReadTraining(reader, sample, key, image, label, problem);
  if (!CordsImageRead(reader, sample, image, label, problem)) return PETSC_FALSE;
  if (q->settings.augment)
    CordsAugmentImage(augmentation, q->settings.shape, key, image, q->work + (size_t)worker * q->work_size);
  CordsImageNormalise(CordsDatasetGetFacts(q->dataset), CordsImagePixels(q->settings.shape), image);
  return PETSC_TRUE;
}

static float *Image(CordsImageQueue q, size_t place)
{
  return q->images + place * CordsImageSize(q->settings.shape);
}

/* Fill one place of a slot; which images were tried in vain is told later, by the owner. */
static void Make(void *context, PetscInt slot, PetscInt item, PetscInt worker)
{
  CordsImageQueue q = context;
  size_t place = (size_t)slot * (size_t)q->settings.images_max + (size_t)item;
  CordsSample count = CordsDatasetGetFacts(q->dataset)->count;
  CordsSample tried_max = q->settings.replace ? PetscMin(TRIED_MAX, count) : 1, tried = 0;
  Failure *failures = q->failures + place * TRIED_MAX;

  q->usable[place] = PETSC_FALSE;
  while (tried < tried_max) {
    CordsSample sample = (q->samples[place] + tried) % count;
    q->usable[place] =
        MakeImage(q, q->epochs[slot], sample, worker, Image(q, place), &q->labels[place], failures[tried].problem);
    if (q->usable[place]) break;
    failures[tried++].sample = sample;
  }
  q->failure_counts[place] = (PetscInt)tried;
}

/* ---- the owner ---- */

static PetscInt PlanSlot(void *context, PetscInt64 job, PetscInt slot)
{
  CordsImageQueue q = context;
  CordsSample *samples = q->samples + (size_t)slot * (size_t)q->settings.images_max;

  q->counts[slot] = q->settings.plan(q->settings.context, job, samples, &q->epochs[slot]);
  return q->counts[slot];
}

/* Look on from where the threads gave up. */
static PetscErrorCode LookOn(CordsImageQueue q, PetscInt epoch, size_t place)
{
  CordsSample count = CordsDatasetGetFacts(q->dataset)->count;
  char problem[CORDS_DECODE_PROBLEM];

  PetscFunctionBegin;
  for (CordsSample tried = q->failure_counts[place]; !q->usable[place]; tried++) {
    CordsSample sample = (q->samples[place] + tried) % count;
    CordsCheckUser(tried < count, PETSC_COMM_SELF, "dataset %s: none of its images can be used",
                   CordsDatasetGetFacts(q->dataset)->name);
    q->usable[place] = MakeImage(q, epoch, sample, q->worker_count - 1, Image(q, place), &q->labels[place], problem);
    if (q->usable[place])
      q->samples[place] = sample;
    else
      PetscCall(CordsDatasetSkip(q->dataset, sample, problem));
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* Report the images of a slot that could not be used, in order; an image that cannot be used gives its place to the
   next one of the dataset that can: the batch keeps its size, and the choice does not depend on ranks. */
static PetscErrorCode Report(CordsImageQueue q, PetscInt slot)
{
  PetscFunctionBegin;
  for (PetscInt i = 0; i < q->counts[slot]; i++) {
    size_t place = (size_t)slot * (size_t)q->settings.images_max + (size_t)i;
    const Failure *failures = q->failures + place * TRIED_MAX;
    for (PetscInt k = 0; k < q->failure_counts[place]; k++)
      PetscCall(CordsDatasetSkip(q->dataset, failures[k].sample, failures[k].problem));
    if (!q->settings.replace) continue;
    if (q->usable[place])
      q->samples[place] = (q->samples[place] + q->failure_counts[place]) % CordsDatasetGetFacts(q->dataset)->count;
    else
      PetscCall(LookOn(q, q->epochs[slot], place));
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode AllocateRing(CordsImageQueue q)
{
  size_t slots = (size_t)q->slot_count, places = slots * (size_t)q->settings.images_max;

  PetscFunctionBegin;
  PetscCall(PetscMalloc1(slots, &q->counts));
  PetscCall(PetscMalloc1(slots, &q->epochs));
  PetscCall(PetscMalloc1(places * CordsImageSize(q->settings.shape), &q->images));
  PetscCall(PetscMalloc1(places, &q->samples));
  PetscCall(PetscMalloc1(places, &q->labels));
  PetscCall(PetscMalloc1(places, &q->usable));
  PetscCall(PetscMalloc1(places, &q->failure_counts));
  PetscCall(PetscMalloc1(places * TRIED_MAX, &q->failures));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsImageQueueCreate(CordsDataset dataset, const CordsImageQueueSettings *settings,
                                     CordsImageQueue *queue)
{
  CordsPrefetchWork work = {.plan = PlanSlot, .make = Make};
  CordsImageQueue q;

  PetscFunctionBegin;
  PetscCall(PetscNew(&q));
  *queue = q;
  q->dataset = dataset;
  q->settings = *settings;
  q->slot_count = Slots(&settings->loading);
  q->worker_count = CordsPrefetchWorkers(settings->loading.threads);
  q->work_size = CordsAugmentWorkSize(settings->shape);
  PetscCall(AllocateRing(q));
  PetscCall(PetscMalloc1((size_t)q->worker_count * q->work_size, &q->work));
  PetscCall(PetscCalloc1(q->worker_count, &q->readers));
  for (PetscInt k = 0; k < q->worker_count; k++)
    PetscCall(CordsImageReaderCreate(dataset, settings->shape, settings->loading.scaled, &q->readers[k]));
  work.context = q;
  PetscCall(CordsPrefetchCreate(&work, settings->loading.threads, q->slot_count, &q->prefetch));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsImageQueueDestroy(CordsImageQueue *queue)
{
  CordsImageQueue q = *queue;

  PetscFunctionBegin;
  if (!q) PetscFunctionReturn(PETSC_SUCCESS);
  PetscCall(CordsPrefetchDestroy(&q->prefetch));
  for (PetscInt k = 0; q->readers && k < q->worker_count; k++) PetscCall(CordsImageReaderDestroy(&q->readers[k]));
  PetscCall(PetscFree(q->readers));
  PetscCall(PetscFree(q->work));
  PetscCall(PetscFree(q->failures));
  PetscCall(PetscFree(q->failure_counts));
  PetscCall(PetscFree(q->usable));
  PetscCall(PetscFree(q->labels));
  PetscCall(PetscFree(q->samples));
  PetscCall(PetscFree(q->images));
  PetscCall(PetscFree(q->epochs));
  PetscCall(PetscFree(q->counts));
  PetscCall(PetscFree(*queue));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsImageQueueTake(CordsImageQueue q, PetscInt64 job, CordsQueueImages *images)
{
  PetscErrorCode ierr;
  PetscInt slot;
  size_t first;

  PetscFunctionBegin;
  PetscCheck(q->prefetch, PETSC_COMM_SELF, PETSC_ERR_ARG_WRONGSTATE, "the queue has ended with an error");
  PetscCall(CordsPrefetchTake(q->prefetch, job, &slot));
  ierr = Report(q, slot);
  if (ierr) (void)CordsPrefetchDestroy(&q->prefetch); /* the first error is the one to report */
  PetscCall(ierr);
  first = (size_t)slot * (size_t)q->settings.images_max;
  *images = (CordsQueueImages){.count = q->counts[slot],
                               .images = Image(q, first),
                               .samples = q->samples + first,
                               .labels = q->labels + first,
                               .usable = q->usable + first};
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsImageQueueRelease(CordsImageQueue q)
{
  PetscFunctionBegin;
  PetscCall(CordsPrefetchRelease(q->prefetch));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* ---- statistics ---- */

CordsQueueStatistics CordsImageQueueGetStatistics(CordsImageQueue q)
{
  CordsPrefetchStatistics s = CordsPrefetchGetStatistics(q->prefetch);

  return (CordsQueueStatistics){.waited_s = s.waited_s, .made_s = s.made_s, .made = s.made};
}

PetscErrorCode CordsImageQueueDescribe(CordsImageQueue q, MPI_Comm comm, const CordsQueueStatistics *before,
                                       double elapsed_s, char **text)
{
  CordsQueueStatistics now = CordsImageQueueGetStatistics(q);
  double sums[2] = {now.made_s - before->made_s, (double)(now.made - before->made)};
  double times[2] = {now.waited_s - before->waited_s, elapsed_s};
  enum { LENGTH = 160 };

  PetscFunctionBegin;
  PetscCallMPI(MPI_Allreduce(MPI_IN_PLACE, sums, 2, MPI_DOUBLE, MPI_SUM, comm));
  PetscCallMPI(MPI_Allreduce(MPI_IN_PLACE, times, 2, MPI_DOUBLE, MPI_MAX, comm));
  PetscCall(PetscMalloc1(LENGTH, text));
  snprintf(*text, LENGTH, "waited %.1f s of %.1f s for images (%.1f %%), %.0f images/s per core, decoding threads: %d",
           times[0], times[1], 100 * times[0] / PetscMax(times[1], 1e-9), sums[1] / PetscMax(sums[0], 1e-9),
           (int)q->settings.loading.threads);
  PetscFunctionReturn(PETSC_SUCCESS);
}
