/* The same trial and training step by cords and by a PyTorch script that works as the published implementation does,
   one after the other in turn.  Only ratios are told, and only after the results agree. */
#include "bench/network.h"
#include "bench/peak_memory.h"
#include "bench/peer_process.h"
#include "bench/table.h"
#include "conv/precision.h"
#include "core/config.h"
#include "core/log.h"

#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { STEP_BATCH = 2 /* the paper's per process */, PEER_STEPS = 30, REPETITIONS_MAX = 1000 };
static const double tolerance = 1e-4, norm_tolerance = 1e-3;

static char script[PETSC_MAX_PATH_LEN] = CORDS_PEER_SCRIPT, python[PETSC_MAX_PATH_LEN] = "/usr/bin/python3";
static PetscInt peer_steps = PEER_STEPS;

typedef enum { TRIAL, STEP } Kind;
static const char *const kind_names[] = {"trial", "step"};

static const CordsType types[] = {CORDS_F32, CORDS_BF16};
enum { TYPES = 2, KINDS = 2 };

/* float32 alone where the processor does not multiply the other. */
static int TypeCount(void)
{
  return CordsPrecisionHas(CORDS_BF16) ? TYPES : 1;
}

/* All of one kind of work. */
typedef struct {
  Kind kind;
  PetscInt batch;
  CordsBenchNetwork networks[TYPES];
  double peak_bytes[TYPES], peer_peak_bytes;
  char backends[TYPES][CORDS_BENCH_BACKENDS_LENGTH];
  double ratios[TYPES][REPETITIONS_MAX];
  double deviation[TYPES]; /* largest, of logits or loss, relative */
} Comparison;

static PetscErrorCode Configure(void)
{
  PetscFunctionBegin;
  PetscCall(CordsOptionInt("-peer_steps",
                           "most steps of each phase; the peer's memory grows with them, by 0.12 GB per step of R8",
                           "steps", 1, 100000, &peer_steps));
  PetscCall(CordsOptionString("-peer_script", "the peer", sizeof script, script));
  PetscCall(CordsOptionString("-peer_python", "interpreter of the peer, with PyTorch and h5py", sizeof python, python));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode Shorten(CordsArchitecture *a)
{
  PetscFunctionBegin;
  CordsCheckUser(a->phi == CORDS_PHI_RELU && a->stem_kernel > 0, PETSC_COMM_WORLD,
                 "bench peer: the peer knows networks with a stem and relu only");
  CordsCheckUser(PetscMin(peer_steps, a->stimulus_steps) >= a->area_count, PETSC_COMM_WORLD,
                 "-peer_steps: an image needs %d steps to reach the last area; with fewer there is nothing to compare",
                 (int)a->area_count);
  a->spontaneous_steps = PetscMin(a->spontaneous_steps, peer_steps);
  a->stimulus_steps = PetscMin(a->stimulus_steps, peer_steps);
  a->return_steps = PetscMin(a->return_steps, peer_steps);
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* --- the file that the peer reads --- */

static PetscErrorCode WriteImages(CordsH5 file, const char *name, const CordsArchitecture *a, PetscInt batch,
                                  const float *images)
{
  CordsSchema schema = {name, "image,channel,row,column", "1", "normalised images"};
  PetscInt64 sizes[] = {batch, a->image_channels, a->image_rows, a->image_columns};
  size_t pixels = (size_t)a->image_rows * a->image_columns, channels = (size_t)a->image_channels;
  float *turned;

  PetscFunctionBegin;
  PetscCall(PetscMalloc1((size_t)batch * channels * pixels, &turned));
  for (size_t n = 0; n < (size_t)batch; n++) {
    for (size_t p = 0; p < pixels; p++) {
      for (size_t c = 0; c < channels; c++)
        turned[(n * channels + c) * pixels + p] = images[(n * pixels + p) * channels + c];
    }
  }
  PetscCall(CordsH5WriteArray(file, &schema, CORDS_FILE_F32, 4, sizes, turned));
  PetscCall(PetscFree(turned));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode WriteLabels(CordsH5 file, const CordsArchitecture *a)
{
  static const CordsSchema schema = {"step/labels", "image", "1", "class of each image"};
  PetscInt64 labels[STEP_BATCH], size = STEP_BATCH;

  PetscFunctionBegin;
  for (PetscInt k = 0; k < STEP_BATCH; k++) labels[k] = k % a->classes; /* as in bench/network.c */
  PetscCall(CordsH5WriteArray(file, &schema, CORDS_FILE_I64, 1, &size, labels));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode WriteNetwork(CordsH5 file, const CordsArchitecture *a)
{
  static const CordsSchema strides = {"peer/strides", "area", "pixel", "stride of the feed-forward convolution"},
                           skip_strides = {"peer/skip_strides", "area", "pixel", "stride of the skip convolution"},
                           alphas = {"peer/alphas", "area", "1", "step of explicit Euler over the time constant"};
  PetscInt64 areas = a->area_count, stride[CORDS_AREAS_MAX], skip_stride[CORDS_AREAS_MAX] = {0};
  double alpha[CORDS_AREAS_MAX];
  char names[CORDS_AREAS_MAX * sizeof a->connections[0].name] = "";

  PetscFunctionBegin;
  for (PetscInt i = 0; i < a->area_count; i++) {
    PetscInt skip = i == 1 ? a->input_skip : a->skip[i];
    stride[i] = a->areas[i].stride;
    alpha[i] = (double)CordsArchitectureAlpha(a, i);
    if (skip >= 0) skip_stride[i] = a->connections[skip].shape.stride;
    if (i > 0) strcat(names, ",");
    strcat(names, skip >= 0 ? a->connections[skip].name : "-");
  }
  PetscCall(CordsH5WriteArray(file, &strides, CORDS_FILE_I64, 1, &areas, stride));
  PetscCall(CordsH5WriteArray(file, &skip_strides, CORDS_FILE_I64, 1, &areas, skip_stride));
  PetscCall(CordsH5WriteArray(file, &alphas, CORDS_FILE_F64, 1, &areas, alpha));
  PetscCall(CordsH5WriteText(file, "/", "skip_names", names));
  PetscCall(CordsH5WriteInt(file, "/", "areas", areas));
  PetscCall(CordsH5WriteInt(file, "/", "stem_stride", a->stem_stride));
  PetscCall(CordsH5WriteInt(file, "/", "pool_kernel", a->pool_kernel));
  PetscCall(CordsH5WriteInt(file, "/", "pool_stride", a->pool_stride));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode WriteTraining(CordsH5 file, const CordsArchitecture *a, const CordsStageSettings *s)
{
  PetscFunctionBegin;
  PetscCall(CordsH5WriteInt(file, "/", "spontaneous_steps", a->spontaneous_steps));
  PetscCall(CordsH5WriteInt(file, "/", "stimulus_steps", a->stimulus_steps));
  PetscCall(CordsH5WriteInt(file, "/", "return_steps", a->return_steps));
  PetscCall(CordsH5WriteInt(file, "/", "loss_steps", s->loss_steps));
  PetscCall(CordsH5WriteReal(file, "/", "spontaneous_weight", (double)s->spontaneous_weight));
  PetscCall(CordsH5WriteReal(file, "/", "clip", (double)s->clip));
  PetscCall(CordsH5WriteReal(file, "/", "learning_rate", (double)s->learning_rate));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode WriteFile(CordsBench bench, const char *path, Comparison comparisons[KINDS])
{
  CordsBenchNetwork *trial = &comparisons[TRIAL].networks[0], *step = &comparisons[STEP].networks[0];
  const CordsArchitecture *a = &trial->model->architecture;
  CordsH5 file;

  PetscFunctionBegin;
  PetscCall(CordsH5Create(bench->context, path, &file));
  PetscCall(CordsModelWrite(trial->model, file, "parameters"));
  PetscCall(WriteImages(file, "trial/images", a, trial->batch, trial->images));
  PetscCall(WriteImages(file, "step/images", a, step->batch, step->images));
  PetscCall(WriteLabels(file, a));
  PetscCall(WriteNetwork(file, a));
  PetscCall(WriteTraining(file, a, CordsStageGetSettings(step->stage)));
  PetscCall(CordsH5Commit(&file));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* --- ours --- */

static PetscErrorCode CreateNetwork(CordsBench bench, const CordsArchitecture *a, const Comparison *c, int type,
                                    CordsBenchNetwork *network)
{
  PetscFunctionBegin;
  PetscCall(CordsBenchNetworkCreate(bench->context, a, types[type], c->batch, network));
  if (c->kind == TRIAL)
    PetscCall(CordsBenchTrialCreate(network));
  else
    PetscCall(CordsBenchStepCreate(network));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode RunOurs(const Comparison *c, CordsBenchNetwork *network)
{
  return c->kind == TRIAL ? CordsBenchTrial(network) : CordsBenchStep(network);
}

/* Peak memory of one kind and type alone, before anything else is there. */
static PetscErrorCode MeasureMemory(CordsBench bench, const CordsArchitecture *a, Comparison *c)
{
  CordsBenchNetwork network;

  PetscFunctionBegin;
  for (int t = 0; t < TypeCount(); t++) {
    CordsBenchMemoryReset();
    PetscCall(CreateNetwork(bench, a, c, t, &network));
    CordsBenchNetworkBackends(&network, c->kind == TRIAL ? 1 : CORDS_CONV_OPERATION_COUNT, sizeof c->backends[t],
                              c->backends[t]);
    PetscCall(RunOurs(c, &network));
    c->peak_bytes[t] = CordsBenchMemoryPeak();
    PetscCall(CordsBenchNetworkDestroy(&network));
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* --- in turn --- */

/* Relative difference of the results of the last run. */
static PetscErrorCode Deviation(const Comparison *c, const CordsBenchNetwork *network, const CordsPeerAnswer *answer,
                                double *deviation)
{
  double largest = 1e-300, difference = 0;

  PetscFunctionBegin;
  if (c->kind == STEP) {
    difference = fabs(network->metrics.loss - answer->loss);
    largest = fabs(answer->loss);
  } else {
    PetscInt count = c->batch * network->model->architecture.classes;
    CordsCheckUser(answer->logit_count == count, PETSC_COMM_SELF,
                   "%s: answers 'trial' with %d logits, %d were expected", script, (int)answer->logit_count,
                   (int)count);
    for (PetscInt k = 0; k < count; k++) {
      difference = fmax(difference, fabs((double)network->logits[k] - answer->logits[k]));
      largest = fmax(largest, fabs(answer->logits[k]));
    }
  }
  *deviation = difference / largest;
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode Check(const Comparison *c, const CordsPeerAnswer *answer)
{
  const CordsBenchNetwork *f32 = &c->networks[0];

  PetscFunctionBegin;
  CordsCheckUser(c->deviation[0] <= tolerance, PETSC_COMM_SELF,
                 "bench peer: the results of the %s differ by %.1e of the largest (allowed: %.0e), so that times say "
                 "nothing",
                 kind_names[c->kind], c->deviation[0], tolerance);
  if (c->kind == STEP)
    CordsCheckUser(fabs(f32->gradient_norm - answer->gradient_norm) <= norm_tolerance * answer->gradient_norm,
                   PETSC_COMM_SELF,
                   "bench peer: the norm of the gradient is %g, of the peer %g, so that times say nothing",
                   f32->gradient_norm, answer->gradient_norm);
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode InTurn(CordsBench bench, CordsPeer peer, Comparison *c)
{
  PetscInt count = PetscMin(bench->repetitions, REPETITIONS_MAX);
  CordsPeerAnswer answer;

  PetscFunctionBegin;
  for (PetscInt k = 0; k < count; k++) {
    double seconds[TYPES], deviation;
    /* the peer first: while its libraries are still being loaded, ours would have to share the cores */
    PetscCall(CordsPeerAsk(peer, kind_names[c->kind], &answer));
    for (int t = 0; t < TypeCount(); t++) {
      double start = MPI_Wtime();
      PetscCall(RunOurs(c, &c->networks[t]));
      seconds[t] = MPI_Wtime() - start;
    }
    for (int t = 0; t < TypeCount(); t++) {
      PetscCall(Deviation(c, &c->networks[t], &answer, &deviation));
      c->deviation[t] = PetscMax(c->deviation[t], deviation);
      c->ratios[t][k] = answer.seconds / seconds[t];
    }
    PetscCall(Check(c, &answer));
  }
  c->peer_peak_bytes = answer.peak_bytes;
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* --- what is told --- */

static PetscErrorCode Report(CordsBench bench, const CordsArchitecture *a, Comparison *c)
{
  PetscInt count = PetscMin(bench->repetitions, REPETITIONS_MAX);

  PetscFunctionBegin;
  for (int t = 0; t < TypeCount(); t++) {
    CordsMeasurement m = {.benchmark = "peer", .limit = CORDS_LIMIT_PEER};
    m.amount = c->kind == TRIAL ? CordsBenchTrialOperations(a, c->batch) : CordsBenchStepOperationsOf(a, c->batch);
    if (c->kind == TRIAL)
      snprintf(m.what, sizeof m.what, "%s %s trial, %d + %d steps, batch %d", CordsTypeNames[types[t]], a->preset,
               (int)a->spontaneous_steps, (int)a->stimulus_steps, (int)c->batch);
    else
      snprintf(m.what, sizeof m.what, "%s %s training step, %d + %d + %d steps, batch %d", CordsTypeNames[types[t]],
               a->preset, (int)a->spontaneous_steps, (int)a->stimulus_steps, (int)a->return_steps, (int)c->batch);
    if (!bench->dry) {
      PetscCall(PetscStrncpy(m.backend, c->backends[t], sizeof m.backend));
      CordsBenchStatistics(count, c->ratios[t], &m.ratio, &m.spread);
      m.peak_bytes = c->peak_bytes[t];
      m.memory_ratio = c->peer_peak_bytes / c->peak_bytes[t];
    }
    PetscCall(CordsBenchAdd(bench, &m));
    PetscCall(CordsBenchPrint(bench, &m));
    if (!bench->dry)
      PetscCall(CordsLog(bench->context,
                         "%-10s   %s differ from the peer's by %.1e; peak memory of cords %.0f MB; by %s\n", "",
                         c->kind == TRIAL ? "logits" : "losses", c->deviation[t], c->peak_bytes[t] * 1e-6, m.backend));
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode Compare(CordsBench bench, const CordsArchitecture *a, Comparison comparisons[KINDS])
{
  char path[PETSC_MAX_PATH_LEN + 64];
  CordsPeer peer = NULL;

  PetscFunctionBegin;
  snprintf(path, sizeof path, "%s/cords-bench-peer.%d.h5", bench->scratch, (int)getpid());
  for (int k = 0; k < KINDS; k++) PetscCall(MeasureMemory(bench, a, &comparisons[k]));
  for (int k = 0; k < KINDS; k++) {
    for (int t = 0; t < TypeCount(); t++)
      PetscCall(CreateNetwork(bench, a, &comparisons[k], t, &comparisons[k].networks[t]));
  }
  PetscCall(WriteFile(bench, path, comparisons));
  CordsErrorSetUnfinished(path); /* the peer may fail */
  PetscCall(CordsPeerStart("peer", python, script, path, omp_get_max_threads(), &peer));
  for (int k = 0; k < KINDS; k++) PetscCall(InTurn(bench, peer, &comparisons[k]));
  PetscCall(CordsPeerStop(&peer));
  unlink(path);
  CordsErrorSetUnfinished(NULL);
  for (int k = 0; k < KINDS; k++) {
    for (int t = 0; t < TypeCount(); t++) PetscCall(CordsBenchNetworkDestroy(&comparisons[k].networks[t]));
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode Run(CordsBench bench)
{
  CordsArchitecture a = bench->architecture;
  Comparison *comparisons;

  PetscFunctionBegin;
  CordsCheckUser(bench->context->size == 1, PETSC_COMM_WORLD,
                 "bench peer: the peer is one process; run it on one rank, threads by OMP_NUM_THREADS");
  PetscCall(Shorten(&a));
  PetscCall(PetscCalloc1(KINDS, &comparisons));
  for (int k = 0; k < KINDS; k++) {
    comparisons[k].kind = (Kind)k;
    comparisons[k].batch = k == TRIAL ? bench->batch : STEP_BATCH;
  }
  if (!bench->dry) PetscCall(Compare(bench, &a, comparisons));
  for (int k = 0; k < KINDS; k++) PetscCall(Report(bench, &a, &comparisons[k]));
  PetscCall(PetscFree(comparisons));
  PetscFunctionReturn(PETSC_SUCCESS);
}

const CordsBenchmarkType cords_benchmark_peer = {
    .name = "peer", .about = "trial and training step beside PyTorch, in turn", .run = Run, .configure = Configure};
