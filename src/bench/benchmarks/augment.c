/* What one thread needs for an image as ImageNet's, 500 x 375, decoded already: the random box, each operation of
   RandAugment on its result, and the whole way to normalised numbers. */
#include "bench/benchmark.h"
#include "data/training_image.h"

#include <stdio.h>
#include <string.h>

enum { ROWS = 375, COLUMNS = 500, SIDE = 224, LEVEL = 9, LEVELS = 31, IMAGES = 16 };

static const CordsImageShape decoded = {ROWS, COLUMNS, 3}, network = {SIDE, SIDE, 3};
static const CordsAugmentation training = {
    .crop = {.08, 1, 3. / 4, 4. / 3}, .operations = {2, LEVEL, LEVELS}, .flip = PETSC_TRUE};
static const float mean[3] = {.485f, .456f, .406f}, deviation[3] = {.229f, .224f, .225f};

/* One repetition is IMAGES images, each with its own random numbers. */
typedef struct {
  const CordsOperationType *operation;
  uint8_t *pixels, *resized, *changed;
  float *image;
  void *work;
} Changing;

static CordsRandomKey Key(uint64_t sample)
{
  return (CordsRandomKey){.seed = 1, .purpose = CORDS_RANDOM_AUGMENT, .sample = sample};
}

/* Waves with some noise, so that neighbouring values differ as in a photograph. */
static void Draw(CordsImageShape shape, uint8_t *image)
{
  for (PetscInt row = 0; row < shape.rows; row++)
    for (PetscInt column = 0; column < shape.columns; column++)
      for (PetscInt c = 0; c < shape.channels; c++)
        *image++ = (uint8_t)(40 + (row * (c + 2) / 3 + column / 2) % 150 + (row * 7919 + column * 104729 + c) % 11);
}

static PetscErrorCode Crop(void *data)
{
  Changing *c = data;

  PetscFunctionBegin;
  for (uint64_t i = 0; i < IMAGES; i++) {
    CordsBox box = CordsCropDraw(&training.crop, ROWS, COLUMNS, Key(i));
    CordsResizedCrop(c->pixels, ROWS, COLUMNS, 3, box, SIDE, SIDE, c->changed, c->work);
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode Normalise(void *data)
{
  Changing *c = data;

  PetscFunctionBegin;
  for (int i = 0; i < IMAGES; i++) CordsNormalisePixels(network, mean, deviation, c->resized, c->image);
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* The copy is part of it: a changed image would be another case the next time. */
static PetscErrorCode Operate(void *data)
{
  Changing *c = data;
  double magnitude = CordsOperationMagnitude(c->operation, LEVEL, LEVELS);

  PetscFunctionBegin;
  for (int i = 0; i < IMAGES; i++) {
    memcpy(c->changed, c->resized, CordsImageSize(network));
    c->operation->apply(network, magnitude, c->changed, c->work);
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode Whole(void *data)
{
  Changing *c = data;

  PetscFunctionBegin;
  for (uint64_t i = 0; i < IMAGES; i++) {
    CordsBox box = CordsTrainingBox(&training, ROWS, COLUMNS, Key(i));
    const CordsImagePart part = {box.row_start, box.row_count, box.column_start, box.column_count};
    CordsTrainingImage(&training, mean, deviation, ROWS, COLUMNS, c->pixels, &part, network, Key(i), c->image, c->work);
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode Measure(CordsBench bench, const char *what, CordsBenchWork work, Changing *changing)
{
  CordsMeasurement m = {
      .benchmark = "augment", .limit = CORDS_LIMIT_NONE, .amount = (double)IMAGES * bench->context->size};

  PetscFunctionBegin;
  snprintf(m.what, sizeof m.what, "%s", what);
  PetscCall(CordsBenchMeasureAndPrint(bench, &m, work, changing));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode Run(CordsBench bench)
{
  Changing c = {0};
  char what[72];

  PetscFunctionBegin;
  PetscCall(PetscMalloc1(CordsImageSize(decoded), &c.pixels));
  PetscCall(PetscMalloc1(CordsImageSize(network), &c.resized));
  PetscCall(PetscMalloc1(CordsImageSize(network), &c.changed));
  PetscCall(PetscMalloc1(CordsImageSize(network), &c.image));
  PetscCall(PetscMalloc(CordsTrainingImageWorkBytes(ROWS, COLUMNS, network), &c.work));
  Draw(decoded, c.pixels);
  Draw(network, c.resized);
  PetscCall(Measure(bench, "images 500x375, random box to 224x224", Crop, &c));
  for (PetscInt i = 0; i < CordsOperationCount(); i++) {
    c.operation = CordsOperationGet(i);
    snprintf(what, sizeof what, "images 224x224, %s", c.operation->name);
    PetscCall(Measure(bench, what, Operate, &c));
  }
  PetscCall(Measure(bench, "images 224x224, normalised", Normalise, &c));
  PetscCall(Measure(bench, "images 500x375 to 224x224, box, flip, RandAugment", Whole, &c));
  PetscCall(PetscFree(c.pixels));
  PetscCall(PetscFree(c.resized));
  PetscCall(PetscFree(c.changed));
  PetscCall(PetscFree(c.image));
  PetscCall(PetscFree(c.work));
  PetscFunctionReturn(PETSC_SUCCESS);
}

const CordsBenchmarkType cords_benchmark_augment = {
    .name = "augment", .about = "random changes of one image by one thread", .by_default = PETSC_FALSE, .run = Run};
