#include "train/stop.h"

#include "core/agree.h"

#include <signal.h>

static const int signals[] = {SIGTERM, SIGUSR1};
enum { SIGNAL_COUNT = PETSC_STATIC_ARRAY_LENGTH(signals) };

static struct sigaction before[SIGNAL_COUNT];
static PetscBool caught;
static volatile sig_atomic_t request;

static void Ask(int number)
{
  request = number;
}

void CordsStopCatch(void)
{
  const struct sigaction ask = {.sa_handler = Ask, .sa_flags = SA_RESTART};

  for (int k = 0; k < SIGNAL_COUNT; k++) sigaction(signals[k], &ask, caught ? NULL : &before[k]);
  caught = PETSC_TRUE;
}

PetscErrorCode CordsStopAsked(CordsContext context, PetscBool *asked)
{
  return CordsAgreeAny(context, (PetscBool)(request != 0), asked);
}

void CordsStopRelease(void)
{
  for (int k = 0; k < SIGNAL_COUNT && caught; k++) sigaction(signals[k], &before[k], NULL);
  caught = PETSC_FALSE;
  request = 0;
}
