/* Batches of augmented training images as the network wants them. */
#include "bench/benchmark.h"
#include "core/log.h"
#include "data/loader.h"

#include <stdio.h>

enum { IMAGES = 64 };

typedef struct {
  CordsLoader loader;
  float *images, *labels;
  PetscInt batch;
} Loading;

static CordsLoading loading_options;

static PetscErrorCode Configure(void)
{
  PetscFunctionBegin;
  PetscCall(CordsLoadingFromOptions(&loading_options));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode Load(void *data)
{
  Loading *l = data;

  return CordsLoaderRead(l->loader, 0, l->batch++ % CordsLoaderBatchCount(l->loader), l->images, l->labels, NULL);
}

static PetscErrorCode Measure(CordsBench bench, CordsDataset dataset)
{
  const CordsDatasetFacts *facts = CordsDatasetGetFacts(dataset);
  const CordsArchitecture *a = &bench->architecture;
  CordsLoaderSettings settings = {.rows = a->image_rows,
                                  .columns = a->image_columns,
                                  .batch = IMAGES,
                                  .augment = PETSC_TRUE,
                                  .mix = PETSC_TRUE,
                                  .shuffle = PETSC_TRUE,
                                  .loading = loading_options};
  CordsMeasurement m = {.benchmark = "loader", .limit = CORDS_LIMIT_NONE, .amount = IMAGES};
  Loading loading = {.batch = 0};

  PetscFunctionBegin;
  PetscCall(CordsLoaderCreate(bench->context, dataset, &settings, &loading.loader));
  PetscCall(PetscMalloc1((size_t)IMAGES * a->image_rows * a->image_columns * facts->channels, &loading.images));
  PetscCall(PetscMalloc1((size_t)IMAGES * facts->classes, &loading.labels));
  snprintf(m.what, sizeof m.what, "images of %s to %dx%d, augmented", facts->name, (int)a->image_rows,
           (int)a->image_columns);
  PetscCall(CordsBenchMeasureAndPrint(bench, &m, Load, &loading));
  PetscCall(PetscFree(loading.images));
  PetscCall(PetscFree(loading.labels));
  PetscCall(CordsLoaderDestroy(&loading.loader));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode Run(CordsBench bench)
{
  CordsDataset dataset;

  PetscFunctionBegin;
  if (!bench->data[0]) {
    PetscCall(CordsLog(bench->context, "loader     left out: give the directory of fashion_mnist with -data\n"));
    PetscFunctionReturn(PETSC_SUCCESS);
  }
  PetscCall(CordsDatasetOpen(bench->context, "fashion_mnist", bench->data, CORDS_SPLIT_TRAIN, &dataset));
  PetscCall(Measure(bench, dataset));
  PetscCall(CordsDatasetDestroy(&dataset));
  PetscFunctionReturn(PETSC_SUCCESS);
}

const CordsBenchmarkType cords_benchmark_loader = {.name = "loader",
                                                   .about = "augmented batches of images",
                                                   .by_default = PETSC_TRUE,
                                                   .run = Run,
                                                   .configure = Configure};
