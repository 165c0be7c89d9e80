#include "data/prefetch.h"

#include <omp.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* A job in the ring: items 0 .. started−1 were given to a thread, `finished` of them are done. */
typedef struct {
  PetscInt items, started, finished;
} Slot;

typedef struct {
  CordsPrefetch prefetch;
  PetscInt worker;
  pthread_t thread;
} Thread;

struct _p_CordsPrefetch {
  CordsPrefetchWork work;
  PetscInt thread_count, started_count; /* wanted, and those that run */
  PetscInt owner_count;                 /* threads of the owner */
  Thread *threads;
  PetscInt slot_count;
  Slot *slots; /* of job k: k mod slot_count */

  pthread_mutex_t lock; /* of everything below, and of the slots */
  pthread_cond_t more;  /* there are items to make, or the end has come */
  pthread_cond_t done;  /* the last item of a job is made */
  PetscInt64 first;     /* the oldest job in the ring */
  PetscInt64 next;      /* the first that is not planned yet */
  PetscBool ended;      /* there is no job `next` */
  PetscBool taken;      /* job `first` is with the owner */
  PetscBool stop;       /* the threads shall end */
  CordsPrefetchStatistics statistics;
};

static double Seconds(clockid_t clock)
{
  struct timespec time;

  clock_gettime(clock, &time);
  return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static PetscInt SlotOf(CordsPrefetch p, PetscInt64 job)
{
  return (PetscInt)(job % p->slot_count);
}

/* Make one item of a job, locked on entry and exit.  False: all of its items are given away. */
static PetscBool MakeOne(CordsPrefetch p, PetscInt64 job, PetscInt worker)
{
  PetscInt number = SlotOf(p, job), item;
  Slot *slot = &p->slots[number];
  double start_s;

  if (slot->started == slot->items) return PETSC_FALSE;
  item = slot->started++;
  pthread_mutex_unlock(&p->lock);
  start_s = Seconds(CLOCK_THREAD_CPUTIME_ID);
  p->work.make(p->work.context, number, item, worker);
  start_s = Seconds(CLOCK_THREAD_CPUTIME_ID) - start_s;
  pthread_mutex_lock(&p->lock);
  p->statistics.made_s += start_s;
  p->statistics.made++;
  if (++slot->finished == slot->items) pthread_cond_broadcast(&p->done);
  return PETSC_TRUE;
}

/* An item of the oldest job that has one. */
static PetscBool MakeAny(CordsPrefetch p, PetscInt worker)
{
  for (PetscInt64 job = p->first; job < p->next; job++)
    if (MakeOne(p, job, worker)) return PETSC_TRUE;
  return PETSC_FALSE;
}

static void *RunThread(void *data)
{
  const Thread *thread = data;
  CordsPrefetch p = thread->prefetch;

  pthread_mutex_lock(&p->lock);
  while (!p->stop)
    if (!MakeAny(p, thread->worker)) pthread_cond_wait(&p->more, &p->lock);
  pthread_mutex_unlock(&p->lock);
  return NULL;
}

/* Signals that end or stop a training are for the thread that trains. */
static PetscErrorCode StartThreads(CordsPrefetch p)
{
  sigset_t all, before;
  int failed = 0;

  PetscFunctionBegin;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  while (!failed && p->started_count < p->thread_count) {
    Thread *thread = &p->threads[p->started_count];
    *thread = (Thread){.prefetch = p, .worker = p->started_count};
    failed = pthread_create(&thread->thread, NULL, RunThread, thread);
    if (!failed) p->started_count++;
  }
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  PetscCheck(!failed, PETSC_COMM_SELF, PETSC_ERR_SYS, "cannot start thread %d of %d: %s", (int)p->started_count + 1,
             (int)p->thread_count, strerror(failed));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscInt CordsPrefetchWorkers(PetscInt threads)
{
  return threads + omp_get_max_threads();
}

PetscErrorCode CordsPrefetchCreate(const CordsPrefetchWork *work, PetscInt threads, PetscInt slots,
                                   CordsPrefetch *prefetch)
{
  CordsPrefetch p;
  PetscErrorCode ierr;

  PetscFunctionBegin;
  PetscCall(PetscNew(&p));
  *prefetch = p;
  p->work = *work;
  p->thread_count = threads;
  p->slot_count = slots;
  p->owner_count = CordsPrefetchWorkers(threads) - threads;
  PetscCall(PetscCalloc1(threads, &p->threads));
  PetscCall(PetscCalloc1(slots, &p->slots));
  pthread_mutex_init(&p->lock, NULL);
  pthread_cond_init(&p->more, NULL);
  pthread_cond_init(&p->done, NULL);
  ierr = StartThreads(p);
  if (ierr) (void)CordsPrefetchDestroy(prefetch); /* the first error is the one to report */
  PetscCall(ierr);
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsPrefetchDestroy(CordsPrefetch *prefetch)
{
  CordsPrefetch p = *prefetch;

  PetscFunctionBegin;
  if (!p) PetscFunctionReturn(PETSC_SUCCESS);
  pthread_mutex_lock(&p->lock);
  p->stop = PETSC_TRUE;
  pthread_cond_broadcast(&p->more);
  pthread_mutex_unlock(&p->lock);
  for (PetscInt k = 0; k < p->started_count; k++) pthread_join(p->threads[k].thread, NULL);
  pthread_cond_destroy(&p->done);
  pthread_cond_destroy(&p->more);
  pthread_mutex_destroy(&p->lock);
  PetscCall(PetscFree(p->slots));
  PetscCall(PetscFree(p->threads));
  PetscCall(PetscFree(*prefetch));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* Wait until what is being made of the ring's jobs is done, give away nothing more, and begin at `job`. */
static void Restart(CordsPrefetch p, PetscInt64 job)
{
  for (PetscInt64 k = p->first; k < p->next; k++) p->slots[SlotOf(p, k)].items = p->slots[SlotOf(p, k)].started;
  for (PetscInt64 k = p->first; k < p->next; k++)
    while (p->slots[SlotOf(p, k)].finished < p->slots[SlotOf(p, k)].items) pthread_cond_wait(&p->done, &p->lock);
  p->first = p->next = job;
  p->ended = PETSC_FALSE;
}

/* Fill the free slots with planned jobs; without threads nothing but the wanted job, since nobody would begin it. */
static void Plan(CordsPrefetch p)
{
  PetscInt ahead = p->thread_count > 0 ? p->slot_count : 1;

  while (!p->ended && p->next < p->first + ahead) {
    PetscInt number = SlotOf(p, p->next), items;
    pthread_mutex_unlock(&p->lock); /* the slot is free: nobody else looks at it */
    items = p->work.plan(p->work.context, p->next, number);
    pthread_mutex_lock(&p->lock);
    p->ended = (PetscBool)(items < 0);
    if (p->ended) break;
    p->slots[number] = (Slot){.items = items};
    p->next++;
    pthread_cond_broadcast(&p->more);
  }
}

/* The owner's threads make what is left of the job; then wait for those that other threads have begun. */
static void Finish(CordsPrefetch p, PetscInt64 job)
{
  Slot *slot = &p->slots[SlotOf(p, job)];
  PetscInt left = slot->items - slot->started;

  if (left > 0) {
    pthread_mutex_unlock(&p->lock);
#pragma omp parallel num_threads((int)PetscMin(left, p->owner_count))
    {
      pthread_mutex_lock(&p->lock);
      while (MakeOne(p, job, p->thread_count + omp_get_thread_num())) continue;
      pthread_mutex_unlock(&p->lock);
    }
    pthread_mutex_lock(&p->lock);
  }
  while (slot->finished < slot->items) pthread_cond_wait(&p->done, &p->lock);
}

PetscErrorCode CordsPrefetchTake(CordsPrefetch p, PetscInt64 job, PetscInt *slot)
{
  double start_s = Seconds(CLOCK_MONOTONIC);
  PetscBool there;

  PetscFunctionBegin;
  PetscCheck(!p->taken, PETSC_COMM_SELF, PETSC_ERR_ARG_WRONGSTATE, "the job before was not released");
  pthread_mutex_lock(&p->lock);
  if (job != p->first || p->next == job) Restart(p, job);
  Plan(p);
  there = (PetscBool)(p->next > job);
  if (there) Finish(p, job);
  p->taken = there;
  p->statistics.waited_s += Seconds(CLOCK_MONOTONIC) - start_s;
  pthread_mutex_unlock(&p->lock);
  PetscCheck(there, PETSC_COMM_SELF, PETSC_ERR_ARG_OUTOFRANGE, "there is no job %" PetscInt64_FMT, job);
  *slot = SlotOf(p, job);
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsPrefetchRelease(CordsPrefetch p)
{
  PetscFunctionBegin;
  PetscCheck(p->taken, PETSC_COMM_SELF, PETSC_ERR_ARG_WRONGSTATE, "no job was taken");
  pthread_mutex_lock(&p->lock);
  p->taken = PETSC_FALSE;
  p->first++;
  if (p->thread_count > 0) Plan(p); /* the threads go on while the owner is busy */
  pthread_mutex_unlock(&p->lock);
  PetscFunctionReturn(PETSC_SUCCESS);
}

CordsPrefetchStatistics CordsPrefetchGetStatistics(CordsPrefetch p)
{
  CordsPrefetchStatistics statistics;

  pthread_mutex_lock(&p->lock);
  statistics = p->statistics;
  pthread_mutex_unlock(&p->lock);
  return statistics;
}
