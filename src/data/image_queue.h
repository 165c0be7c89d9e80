/* Images of numbered samples as the network wants them, decoded, changed and normalised ahead by threads
   (data/prefetch.h): what the loader and the evaluation have in common.

   Samples are asked for in numbered jobs.  What a job holds is up to the owner (`plan`); the images depend on sample,
   epoch and seed alone, not on threads, and what happens to images that cannot be used is decided, counted and reported
   where the job is taken, by the thread that takes it, in order: images that were made ahead and never taken leave no
   trace. */
#ifndef CORDS_DATA_IMAGE_QUEUE_H
#define CORDS_DATA_IMAGE_QUEUE_H

#include "core/context.h"
#include "data/dataset.h"

/* How images get ready; zero: each when it is wanted, by the thread that wants it. */
typedef struct {
  PetscInt threads;  /* that decode beside the rank's own */
  PetscInt prefetch; /* batches that they make ahead; at least 1 if there are threads */
  PetscBool scaled;  /* JPEG is decoded smaller where the random box allows it (data/decode.h) */
} CordsLoading;

/* Declare and read -loader_threads, -prefetch and -jpeg_scaling.  Collective on PETSC_COMM_WORLD. */
PetscErrorCode CordsLoadingFromOptions(CordsLoading *loading);

/* Bytes of the images that wait: of `images` at most in a job, each of so many numbers. */
double CordsLoadingBytes(const CordsLoading *loading, PetscInt images, double numbers);

typedef struct _p_CordsImageQueue *CordsImageQueue;

typedef struct {
  CordsImageShape shape; /* of the network's images; channels of the dataset */
  PetscInt images_max;   /* of a job */
  PetscBool augment;     /* as the dataset says (training); else fitted (data/image_reader.h) */
  PetscBool replace;     /* the next image of the dataset that can be used takes the place of one that cannot */
  uint64_t seed;
  CordsLoading loading;
  void *context;
  /* The samples of a job, at most images_max, and the epoch of their augmentation; returns how many, −1: there is no
     such job.  Called in the order of the jobs by the thread that takes them, for each job once or, after a jump,
     again; jobs may be asked for that are never taken. */
  PetscInt (*plan)(void *context, PetscInt64 job, CordsSample *samples, PetscInt *epoch);
} CordsImageQueueSettings;

/* The images of a job. */
typedef struct {
  PetscInt count;
  const float *images;        /* [image][row][column][channel], normalised */
  const CordsSample *samples; /* [image] */
  const PetscInt *labels;     /* [image] */
  const PetscBool *usable;    /* [image] without `replace`: false where the image cannot be used and holds anything */
} CordsQueueImages;

/* Since the queue was made, on this rank. */
typedef struct {
  double waited_s; /* by the one who takes */
  double made_s;   /* processor time of all threads */
  PetscInt64 made; /* images */
} CordsQueueStatistics;

/* Not collective, as all of it. */
PetscErrorCode CordsImageQueueCreate(CordsDataset dataset, const CordsImageQueueSettings *settings,
                                     CordsImageQueue *queue);
/* Ends the threads; may be called at any time. */
PetscErrorCode CordsImageQueueDestroy(CordsImageQueue *queue);

/* The images of a job; they stay until CordsImageQueueRelease, which comes before the next call.  In any order, but
   only the job after the last can be ready.  Images that cannot be used are reported (CordsDatasetSkip).
   Errors (user): those of CordsDatasetSkip; with `replace`, none of the dataset's images can be used; the threads have
   ended then. */
PetscErrorCode CordsImageQueueTake(CordsImageQueue queue, PetscInt64 job, CordsQueueImages *images);
PetscErrorCode CordsImageQueueRelease(CordsImageQueue queue);

CordsQueueStatistics CordsImageQueueGetStatistics(CordsImageQueue queue);

/* A sentence for the log, from the statistics of two times of this queue, elapsed_s apart, of all ranks of comm: the
   longest wait, images per second of processor time (of one core).  PetscFree by the caller.  Collective on comm. */
PetscErrorCode CordsImageQueueDescribe(CordsImageQueue queue, MPI_Comm comm, const CordsQueueStatistics *before,
                                       double elapsed_s, char **text);

#endif
