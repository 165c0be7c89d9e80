/* A small system with two images, for unit tests of the parts of the equation. */
#ifndef CORDS_TESTS_SUPPORT_SYSTEMS_H
#define CORDS_TESTS_SUPPORT_SYSTEMS_H

#include "model/system.h"
#include "support/networks.h"

enum { SYSTEM_ITEMS = 4, SYSTEM_BATCH = 2 };

typedef struct {
  CordsModel model;
  CordsSystem system;
  CordsInput input;
  CordsType type;
  double tolerance; /* of adjoint identities, relative to |a| |b| */
} SystemFixture;

static inline void SystemStart(SystemFixture *f, const char *body, CordsType type)
{
  float *images;

  f->type = type;
  f->tolerance = type == CORDS_F64 ? 1e-13 : 1e-6;
  f->model = NetworkModel(body, "relu", CORDS_FORM_RECURRENT);
  SupportCall(CordsSystemCreate(f->model, type, &f->system));
  SupportCall(CordsInputCreate(f->system, SYSTEM_BATCH, &f->input));
  images = NetworkImages(f->model, SYSTEM_BATCH, 5);
  SupportCall(CordsInputSet(f->input, images));
  SupportCall(PetscFree(images));
  assert_int_equal(CordsInputBatch(f->input), SYSTEM_BATCH);
}

static inline void SystemEnd(SystemFixture *f)
{
  SupportCall(CordsInputDestroy(&f->input));
  SupportCall(CordsSystemDestroy(&f->system));
  SupportCall(CordsModelDestroy(&f->model));
}

static inline void SystemForAll(void (*check)(SystemFixture *f, PetscInt area))
{
  for (int k = 0; k < NETWORK_COUNT; k++) {
    for (int type = CORDS_F32; type <= CORDS_F64; type++) {
      SystemFixture f;
      SystemStart(&f, network_texts[k], (CordsType)type);
      for (PetscInt i = 0; i < f.model->architecture.area_count; i++) check(&f, i);
      SystemEnd(&f);
    }
  }
}

/* x + v/4 in a new array: no sign of x changes. */
static inline CordsArray SystemMoved(CordsType type, size_t n, const CordsArray *x, const CordsArray *v)
{
  CordsArray moved = NetworkRandom(type, n, 0);

  for (size_t k = 0; k < n; k++) {
    NetworkSet(type, moved.data, k, NetworkGet(type, x->data, k) + NetworkGet(type, v->data, k) / 4);
  }
  return moved;
}

static inline CordsArray SystemDifference(CordsType type, size_t n, CordsArray *after, CordsArray *before)
{
  CordsArray d = NetworkRandom(type, n, 0);

  for (size_t k = 0; k < n; k++) {
    NetworkSet(type, d.data, k, 4 * (NetworkGet(type, after->data, k) - NetworkGet(type, before->data, k)));
  }
  SupportCall(CordsArrayDestroy(after));
  SupportCall(CordsArrayDestroy(before));
  return d;
}

static inline CordsArray SystemNoneNegative(CordsType type, size_t n, uint64_t stream)
{
  CordsArray r = NetworkRandom(type, n, stream);

  for (size_t k = 0; k < n; k++) NetworkSet(type, r.data, k, fmax(NetworkGet(type, r.data, k) + 0.2, 0));
  return r;
}

#endif
