/* Training images from JPEG files, 500 x 375 of quality 90, by cords and by torchvision on one core, in turn: random
   resized crop, flip and RandAugment to 224 x 224, normalised.  Files of the peer's making, or the user's.  Times are
   of the processor, so that files come from memory and other work on the machine matters little. */
#include "bench/benchmark.h"
#include "bench/peer_process.h"
#include "bench/table.h"
#include "core/config.h"
#include "core/log.h"
#include "data/image_reader.h"
#include "data/training_image.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* STEP: of the numbers that are compared, as in the script; MADE: images. */
enum { SIDE = 224, MADE = 32, STEP = 211, REPETITIONS_MAX = 1000 };

/* A byte and a half: the peer rounds to bytes between the two directions of its resize. */
static const double tolerance = 1.5 / 255 / .224;

static char script[PETSC_MAX_PATH_LEN] = CORDS_PEER_IMAGES_SCRIPT, python[PETSC_MAX_PATH_LEN] = "/usr/bin/python3";
static char given[PETSC_MAX_PATH_LEN];
static PetscBool scaled = PETSC_TRUE;

typedef struct {
  char folder[PETSC_MAX_PATH_LEN + 64];
  CordsDataset dataset;
  CordsImageReader reader;
  PetscInt images;
  float image[SIDE * SIDE * 3];
  double ratios[REPETITIONS_MAX], rates[REPETITIONS_MAX]; /* images per second of processor time */
  double difference;                                      /* largest, from the peer */
  CordsPeerAnswer answer;
} Loading;

static PetscErrorCode Configure(void)
{
  PetscFunctionBegin;
  PetscCall(CordsOptionString("-images_data", "folder with train/CLASS/*.jpg; empty: 32 made images of 500 x 375",
                              sizeof given, given));
  PetscCall(CordsOptionBool("-images_scaled", "decode JPEG smaller where the box allows it", &scaled));
  PetscCall(CordsOptionString("-images_script", "the peer", sizeof script, script));
  PetscCall(CordsOptionString("-images_python", "interpreter of the peer, with torchvision and Pillow", sizeof python,
                              python));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static CordsRandomKey Key(uint64_t sample, uint32_t epoch)
{
  return (CordsRandomKey){.seed = 1, .purpose = CORDS_RANDOM_AUGMENT, .epoch = epoch, .sample = sample};
}

static double ProcessorSeconds(void)
{
  struct timespec time;

  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

/* All images once; every repetition has other random numbers. */
static PetscErrorCode Load(Loading *l, uint32_t epoch, double *seconds)
{
  char problem[CORDS_DECODE_PROBLEM];
  double start = ProcessorSeconds();
  PetscInt label;

  PetscFunctionBegin;
  for (PetscInt i = 0; i < l->images; i++)
    CordsCheckUser(CordsImageReadTraining(l->reader, i, Key((uint64_t)i, epoch), l->image, &label, problem),
                   PETSC_COMM_SELF, "-images_data %s: image %d %s", l->folder, (int)i, problem);
  *seconds = ProcessorSeconds() - start;
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* A box of the first image, resized and normalised, without random changes. */
static PetscErrorCode MakeBox(Loading *l, CordsBox *box)
{
  const CordsDatasetFacts *facts = CordsDatasetGetFacts(l->dataset);
  const CordsAugmentation none = {.flip = PETSC_FALSE};
  CordsImageShape shape = {SIDE, SIDE, 3};
  char problem[CORDS_DECODE_PROBLEM] = "";
  CordsBytes file = {0}, pixels = {0}, work = {0};
  CordsDecodeSize size;
  CordsImagePart part;
  PetscBool good;
  PetscInt label;

  PetscFunctionBegin;
  good = (PetscBool)(CordsDatasetFetch(l->dataset, 0, &file, &label, problem) &&
                     CordsDecodeSizes(file.length, file.bytes, &size, problem));
  if (good) {
    *box = (CordsBox){size.rows / 5, size.rows / 2, size.columns / 7, size.columns / 2};
    CordsDecodeRestrict(box, SIDE, SIDE, PETSC_FALSE, &size, &part);
    good = (PetscBool)(CordsBytesResize(&pixels, (size_t)CordsBoxPixels(&size.region) * 3) &&
                       CordsBytesResize(&work, CordsTrainingImageWorkBytes(size.region.row_count,
                                                                           size.region.column_count, shape)) &&
                       CordsDecode(file.length, file.bytes, &size, 3, pixels.bytes, problem));
  }
  if (good)
    CordsTrainingImage(&none, facts->mean, facts->deviation, size.region.row_count, size.region.column_count,
                       pixels.bytes, &part, shape, Key(0, 0), l->image, work.bytes);
  CordsBytesFree(&file);
  CordsBytesFree(&pixels);
  CordsBytesFree(&work);
  CordsCheckUser(good, PETSC_COMM_SELF, "-images_data %s: the first image %s", l->folder, problem);
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* That both do the same work is seen where no random numbers are. */
static PetscErrorCode Compare(Loading *l, CordsPeer peer)
{
  char request[96];
  CordsBox box;

  PetscFunctionBegin;
  PetscCall(MakeBox(l, &box));
  snprintf(request, sizeof request, "box %d %d %d %d", (int)box.row_start, (int)box.column_start, (int)box.row_count,
           (int)box.column_count);
  PetscCall(CordsPeerAsk(peer, request, &l->answer));
  CordsCheckUser(l->answer.logit_count == (SIDE * SIDE * 3 + STEP - 1) / STEP, PETSC_COMM_SELF,
                 "%s: answers '%s' with %d numbers", script, request, (int)l->answer.logit_count);
  for (PetscInt k = 0; k < l->answer.logit_count; k++)
    l->difference = fmax(l->difference, fabs((double)l->image[k * STEP] - l->answer.logits[k]));
  CordsCheckUser(l->difference <= tolerance, PETSC_COMM_SELF,
                 "%s: the same box of the same image differs by %g, so that "
                 "times say nothing",
                 script, l->difference);
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode InTurn(Loading *l, CordsPeer peer, PetscInt count)
{
  double seconds;

  PetscFunctionBegin;
  PetscCall(CordsPeerAsk(peer, "load", &l->answer)); /* warm up: modules, files, memory */
  PetscCall(Load(l, 0, &seconds));
  for (PetscInt k = 0; k < count; k++) {
    PetscCall(CordsPeerAsk(peer, "load", &l->answer));
    PetscCall(Load(l, (uint32_t)k + 1, &seconds));
    l->ratios[k] = l->answer.seconds / seconds;
    l->rates[k] = (double)l->images / seconds;
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode Prepare(CordsBench bench, Loading *l, CordsPeer *peer)
{
  char request[32];

  PetscFunctionBegin;
  if (given[0]) {
    PetscCall(PetscStrncpy(l->folder, given, sizeof l->folder));
  } else {
    snprintf(l->folder, sizeof l->folder, "%s/cords-bench-images.%d", bench->scratch, (int)getpid());
    CordsCheckUser(mkdir(l->folder, 0777) == 0, PETSC_COMM_SELF, "-scratch %s: cannot make a folder in it",
                   bench->scratch);
  }
  PetscCall(CordsPeerStart("images", python, script, l->folder, 1, peer));
  snprintf(request, sizeof request, "make %d", MADE);
  if (!given[0]) PetscCall(CordsPeerAsk(*peer, request, &l->answer));
  PetscCall(CordsDatasetOpen(bench->context, "folder", l->folder, CORDS_SPLIT_TRAIN, &l->dataset));
  l->images = (PetscInt)CordsDatasetGetFacts(l->dataset)->count;
  PetscCall(CordsImageReaderCreate(l->dataset, (CordsImageShape){SIDE, SIDE, 3}, scaled, &l->reader));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* What the peer made goes with it. */
static void RemoveMade(const Loading *l)
{
  char path[PETSC_MAX_PATH_LEN + 128];

  if (given[0] || !l->folder[0]) return;
  for (int k = 0; k < MADE; k++) {
    snprintf(path, sizeof path, "%s/train/made/%04d.jpg", l->folder, k);
    unlink(path);
  }
  snprintf(path, sizeof path, "%s/train/made", l->folder);
  rmdir(path);
  snprintf(path, sizeof path, "%s/train", l->folder);
  rmdir(path);
  rmdir(l->folder);
}

static PetscErrorCode Measure(CordsBench bench, Loading *l, PetscInt count)
{
  CordsPeer peer = NULL;

  PetscFunctionBegin;
  PetscCall(Prepare(bench, l, &peer));
  PetscCall(Compare(l, peer));
  PetscCall(InTurn(l, peer, count));
  PetscCall(CordsPeerStop(&peer));
  PetscCall(CordsImageReaderDestroy(&l->reader));
  PetscCall(CordsDatasetDestroy(&l->dataset));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode Report(CordsBench bench, Loading *l, PetscInt count)
{
  CordsMeasurement m = {.benchmark = "images", .limit = CORDS_LIMIT_PEER, .amount = l->images, .of_images = PETSC_TRUE};
  double rate, spread;

  PetscFunctionBegin;
  snprintf(m.what, sizeof m.what, "%s to %dx%d, box, flip, RandAugment", given[0] ? "JPEG files" : "JPEG 500x375", SIDE,
           SIDE);
  if (!bench->dry) CordsBenchStatistics(count, l->ratios, &m.ratio, &m.spread);
  PetscCall(CordsBenchAdd(bench, &m));
  PetscCall(CordsBenchPrint(bench, &m));
  if (bench->dry) PetscFunctionReturn(PETSC_SUCCESS);
  CordsBenchStatistics(count, l->rates, &rate, &spread);
  PetscCall(CordsLog(bench->context,
                     "%-10s   the peer is %s; cords makes %.0f images/s of "
                     "processor time; the same box differs by at "
                     "most %.1f of 255\n",
                     "", l->answer.versions, rate, l->difference * 255 * .229));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode Run(CordsBench bench)
{
  PetscInt count = PetscMin(bench->repetitions, REPETITIONS_MAX);
  PetscErrorCode ierr = PETSC_SUCCESS;
  Loading *l;

  PetscFunctionBegin;
  CordsCheckUser(bench->context->size == 1, PETSC_COMM_WORLD,
                 "bench images: the peer is one process; run it on one rank");
  PetscCall(PetscNew(&l));
  l->images = MADE;
  if (!bench->dry) ierr = Measure(bench, l, count);
  RemoveMade(l);
  PetscCall(ierr);
  PetscCall(Report(bench, l, count));
  PetscCall(PetscFree(l));
  PetscFunctionReturn(PETSC_SUCCESS);
}

const CordsBenchmarkType cords_benchmark_images = {.name = "images",
                                                   .about = "training images from JPEG beside torchvision, in turn",
                                                   .run = Run,
                                                   .configure = Configure};
