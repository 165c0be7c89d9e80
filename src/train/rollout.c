#include "train/rollout.h"

#include "core/registry.h"
#include "train/rollout_type.h"

#include <string.h>

#define CORDS_ROLLOUT(name) extern const CordsRolloutType cords_rollout_##name;
#include "train/rollouts.def"
#undef CORDS_ROLLOUT

#define CORDS_ROLLOUT(name) &cords_rollout_##name,
static const CordsRolloutType *const types[] = {
#include "train/rollouts.def"
};
#undef CORDS_ROLLOUT

enum { TYPE_COUNT = PETSC_STATIC_ARRAY_LENGTH(types) };

PetscErrorCode CordsRolloutList(PetscInt *count, const char *const **names, const char *const **abouts)
{
  PetscFunctionBegin;
  CORDS_REGISTRY_LIST(types, count, names, abouts);
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode FindType(CordsSystem system, const char *name, const CordsRolloutType **type)
{
  const char *const *names;
  PetscInt count, index;

  PetscFunctionBegin;
  if (name) {
    PetscCall(CordsRolloutList(&count, &names, NULL));
    PetscCall(CordsRegistryFind("rollout", count, names, name, &index));
    *type = types[index];
    CordsCheckUser((*type)->supports(system), PETSC_COMM_WORLD,
                   "-rollout %s: cannot run this phi in this precision; leave the choice to cords", name);
    PetscFunctionReturn(PETSC_SUCCESS);
  }
  for (PetscInt i = 0; i < TYPE_COUNT; i++) {
    if (!types[i]->supports(system)) continue;
    *type = types[i];
    PetscFunctionReturn(PETSC_SUCCESS);
  }
  CordsUserError(PETSC_COMM_WORLD, "no rollout can run this phi in -precision bf16; use f32");
}

PetscErrorCode CordsRolloutCreate(CordsSystem system, const char *name, const CordsPlan *plan, PetscInt steps_max,
                                  PetscBool record, CordsRollout *rollout)
{
  const CordsArchitecture *a = &CordsSystemModel(system)->architecture;
  CordsType master = CordsTypeMaster(CordsSystemType(system));
  PetscInt channels = a->areas[a->area_count - 1].channels;
  CordsRollout r;

  PetscFunctionBegin;
  PetscCall(PetscNew(&r));
  PetscCall(FindType(system, name, &r->type));
  r->system = system;
  r->plan = *plan;
  r->steps_max = steps_max;
  r->record = record;
  r->area_count = a->area_count;
  PetscCall(CordsArrayCreate(master, (steps_max + 1) * plan->images, channels, &r->features));
  if (record) PetscCall(CordsArrayCreate(master, steps_max * plan->images, channels, &r->dfeatures));
  PetscCall(r->type->create(r));
  *rollout = r;
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsRolloutDestroy(CordsRollout *rollout)
{
  CordsRollout r = *rollout;

  PetscFunctionBegin;
  if (!r) PetscFunctionReturn(PETSC_SUCCESS);
  PetscCall(r->type->destroy(r));
  PetscCall(CordsArrayDestroy(&r->features));
  PetscCall(CordsArrayDestroy(&r->dfeatures));
  PetscCall(PetscFree(r));
  *rollout = NULL;
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsRolloutForward(CordsRollout rollout, PetscInt n, CordsInput input, PetscInt phase_count,
                                   const CordsPhase phases[], PetscBool record, void *state,
                                   const CordsObserver *observer)
{
  PetscFunctionBegin;
  PetscCheck(n <= rollout->plan.images && phase_count <= CORDS_PHASES_MAX, PETSC_COMM_SELF, PETSC_ERR_ARG_SIZ,
             "%" PetscInt_FMT " images in %" PetscInt_FMT " phases", n, phase_count);
  PetscCheck(!record || rollout->record, PETSC_COMM_SELF, PETSC_ERR_ORDER, "the rollout was made without a record");
  rollout->n = n;
  rollout->input = input;
  rollout->recorded = record;
  rollout->phase_count = phase_count;
  rollout->steps = 0;
  for (PetscInt p = 0; p < phase_count; p++) rollout->steps += (rollout->phases[p] = phases[p]).steps;
  PetscCheck(rollout->steps <= rollout->steps_max, PETSC_COMM_SELF, PETSC_ERR_ARG_SIZ, "too many steps");
  PetscCall(rollout->type->forward(rollout, state, observer));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsRolloutLogits(CordsRollout rollout, PetscInt first, PetscInt count, void *logits)
{
  const void *features = CordsArrayItem(&rollout->features, (first + 1) * rollout->n);

  return CordsSystemLogits(rollout->system, count * rollout->n, features, logits);
}

PetscErrorCode CordsRolloutReadFeatures(CordsRollout rollout, PetscInt first, PetscInt count, const void *last,
                                        const void *before)
{
  return CordsSystemFeatures(rollout->system, count * rollout->n, last, before,
                             CordsArrayItem(&rollout->features, first * rollout->n));
}

PetscErrorCode CordsRolloutBackward(CordsRollout rollout, PetscInt first, PetscInt count, const void *dlogits,
                                    const CordsObserver *observer)
{
  PetscInt n = rollout->n;

  PetscFunctionBegin;
  PetscCheck(rollout->recorded, PETSC_COMM_SELF, PETSC_ERR_ORDER, "the run was not recorded");
  rollout->read_first = first;
  rollout->read_count = count;
  PetscCall(CordsSystemLogitsBackward(rollout->system, count * n, CordsArrayItem(&rollout->features, (first + 1) * n),
                                      dlogits, rollout->dfeatures.data));
  PetscCall(rollout->type->backward(rollout, observer));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsRolloutAddLoss(CordsRollout rollout, const CordsObserver *observer, PetscInt area, PetscInt first,
                                   PetscInt count, const void *r, void *g)
{
  /* state t is read out after step t − 1 */
  PetscInt begin = PetscMax(first, rollout->read_first + 1);
  PetscInt end = PetscMin(first + count, rollout->read_first + rollout->read_count + 1);
  CordsType type = CordsSystemType(rollout->system);
  size_t numbers = CordsRolloutNumbers(rollout, area), skipped = (size_t)(begin - first) * numbers;

  PetscFunctionBegin;
  if (begin < end && area >= rollout->area_count - 2) {
    PetscCall(CordsSystemFeaturesAdjoint(
        rollout->system, area, (end - begin) * rollout->n, (const char *)r + skipped * CordsTypeSize(type),
        CordsArrayItem(&rollout->dfeatures, (begin - rollout->read_first - 1) * rollout->n),
        (char *)g + skipped * CordsTypeSize(CordsTypeMaster(type))));
  }
  if (observer && observer->backward) {
    PetscCall(observer->backward(observer->context, area, first, count, rollout->n, r, g));
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsRolloutSpontaneous(CordsRollout rollout, PetscInt steps, void *state)
{
  CordsSystem system = rollout->system;
  CordsPhase phase = {steps, PETSC_FALSE};
  size_t neurons = (size_t)CordsSystemOffset(system, rollout->area_count);

  PetscFunctionBegin;
  memset(state, 0, neurons * CordsTypeSize(CordsTypeMaster(CordsSystemType(system))));
  PetscCall(CordsRolloutForward(rollout, 1, NULL, 1, &phase, PETSC_FALSE, state, NULL));
  PetscFunctionReturn(PETSC_SUCCESS);
}
