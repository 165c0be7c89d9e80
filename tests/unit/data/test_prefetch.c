/* The ring: every job as if one thread had made it, on any number of threads and slots; jumps, ends, errors. */
#include "support/support.h"

#include "data/prefetch.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { SLOTS_MAX = 4, ITEMS_MAX = 13, WORKERS_MAX = 16 };

/* Items that are numbers, and what happened while they were made. */
typedef struct {
  PetscInt64 jobs; /* that there are */
  PetscInt64 job[SLOTS_MAX];
  PetscInt64 numbers[SLOTS_MAX][ITEMS_MAX];
  int at_work[WORKERS_MAX]; /* only its own thread writes here */
  int twice;                /* a worker was at work twice at a time */
  PetscInt64 planned, planned_last;
  PetscBool owner_plans;
  pthread_t owner;
  long pause_ns;
} Numbers;

static PetscInt Items(PetscInt64 job)
{
  return (PetscInt)((job * 5) % (ITEMS_MAX + 1)); /* some jobs have none */
}

static PetscInt Plan(void *context, PetscInt64 job, PetscInt slot)
{
  Numbers *n = context;

  if (!pthread_equal(pthread_self(), n->owner)) n->owner_plans = PETSC_FALSE;
  if (job >= n->jobs) return -1;
  n->job[slot] = job;
  n->planned++;
  n->planned_last = job;
  for (int k = 0; k < ITEMS_MAX; k++) n->numbers[slot][k] = -1;
  return Items(job);
}

static void Make(void *context, PetscInt slot, PetscInt item, PetscInt worker)
{
  Numbers *n = context;
  struct timespec pause = {0, n->pause_ns * ((item * 7) % 5)};

  if (n->at_work[worker]++) n->twice = 1;
  if (n->pause_ns) nanosleep(&pause, NULL);
  n->numbers[slot][item] = 1000 * n->job[slot] + item;
  n->at_work[worker]--;
}

static void Begin(Numbers *n, PetscInt64 jobs, long pause_ns)
{
  *n = (Numbers){.jobs = jobs, .pause_ns = pause_ns, .owner = pthread_self(), .owner_plans = PETSC_TRUE};
}

static void Create(Numbers *n, PetscInt threads, PetscInt slots, CordsPrefetch *prefetch)
{
  CordsPrefetchWork work = {.context = n, .plan = Plan, .make = Make};

  assert_in_range(CordsPrefetchWorkers(threads), threads + 1, WORKERS_MAX);
  SupportCall(CordsPrefetchCreate(&work, threads, slots, prefetch));
}

static void CheckJob(CordsPrefetch prefetch, Numbers *n, PetscInt64 job)
{
  PetscInt slot;

  SupportCall(CordsPrefetchTake(prefetch, job, &slot));
  assert_int_equal(n->job[slot], job);
  for (int k = 0; k < ITEMS_MAX; k++) assert_int_equal(n->numbers[slot][k], k < Items(job) ? 1000 * job + k : -1);
  SupportCall(CordsPrefetchRelease(prefetch));
}

static void TestOrder(void **state)
{
  for (PetscInt threads = 0; threads <= 3; threads++) {
    for (PetscInt slots = 1; slots <= SLOTS_MAX; slots++) {
      CordsPrefetch prefetch;
      PetscInt64 items = 0;
      Numbers n;
      Begin(&n, 40, 20000);
      Create(&n, threads, slots, &prefetch);
      for (PetscInt64 job = 0; job < n.jobs; job++) {
        CheckJob(prefetch, &n, job);
        items += Items(job);
      }
      assert_int_equal(n.planned, n.jobs);
      assert_int_equal(CordsPrefetchGetStatistics(prefetch).made, items);
      assert_true(n.owner_plans);
      assert_int_equal(n.twice, 0);
      SupportCall(CordsPrefetchDestroy(&prefetch));
      assert_null(prefetch);
    }
  }
}

/* Jobs are made while the owner is elsewhere, but no more than there are slots for. */
static void TestAhead(void **state)
{
  CordsPrefetch prefetch;
  PetscInt slot;
  Numbers n;

  Begin(&n, 100, 0);
  Create(&n, 1, 3, &prefetch);
  CheckJob(prefetch, &n, 3);
  for (int tries = 0; tries < 2000 && CordsPrefetchGetStatistics(prefetch).made < Items(3) + Items(4) + Items(5);
       tries++)
    usleep(1000);
  assert_true(CordsPrefetchGetStatistics(prefetch).made >= Items(3) + Items(4) + Items(5));
  assert_int_equal(n.planned_last, 6);
  SupportCall(CordsPrefetchTake(prefetch, 4, &slot));
  assert_int_equal(n.planned_last, 6); /* what is taken keeps its slot */
  SupportCall(CordsPrefetchRelease(prefetch));
  assert_int_equal(n.planned_last, 7);
  SupportCall(CordsPrefetchDestroy(&prefetch));

  Begin(&n, 100, 0);
  Create(&n, 0, 3, &prefetch);
  CheckJob(prefetch, &n, 3);
  assert_int_equal(n.planned_last, 3); /* nobody would make it */
  SupportCall(CordsPrefetchDestroy(&prefetch));
}

/* Anywhere and back: what a restart does. */
static void TestJumps(void **state)
{
  static const PetscInt64 jobs[] = {5, 6, 2, 2, 3, 39, 0, 1, 2, 17, 18, 16, 17, 38, 39};

  for (PetscInt threads = 0; threads <= 3; threads++) {
    CordsPrefetch prefetch;
    Numbers n;
    Begin(&n, 40, 20000);
    Create(&n, threads, 3, &prefetch);
    for (size_t k = 0; k < sizeof jobs / sizeof *jobs; k++) CheckJob(prefetch, &n, jobs[k]);
    SupportCall(CordsPrefetchDestroy(&prefetch));
  }
}

/* There may be more jobs when they are asked for again. */
static void TestEnd(void **state)
{
  for (PetscInt threads = 0; threads <= 2; threads++) {
    CordsPrefetch prefetch;
    Numbers n;
    Begin(&n, 3, 0);
    Create(&n, threads, 2, &prefetch);
    for (PetscInt64 job = 0; job < 3; job++) CheckJob(prefetch, &n, job);
    n.jobs = 6;
    for (PetscInt64 job = 3; job < 6; job++) CheckJob(prefetch, &n, job);
    SupportCall(CordsPrefetchDestroy(&prefetch));
  }
}

/* At any moment: never begun, taken and not released, threads at work. */
static void TestDestroy(void **state)
{
  for (PetscInt threads = 0; threads <= 3; threads++) {
    for (PetscInt64 moment = -1; moment < 8; moment++) {
      CordsPrefetch prefetch;
      PetscInt slot;
      Numbers n;
      Begin(&n, 20, 200000);
      Create(&n, threads, 3, &prefetch);
      if (moment >= 0) SupportCall(CordsPrefetchTake(prefetch, moment, &slot));
      if (moment % 2) usleep((useconds_t)(100 * moment + 100));
      SupportCall(CordsPrefetchDestroy(&prefetch));
      for (int k = 0; k < WORKERS_MAX; k++) assert_int_equal(n.at_work[k], 0);
    }
  }
}

/* Waiting is the owner's time, making the processors'. */
static void TestStatistics(void **state)
{
  CordsPrefetchStatistics statistics;
  CordsPrefetch prefetch;
  Numbers n;

  Begin(&n, 3, 2000000);
  Create(&n, 0, 1, &prefetch);
  CheckJob(prefetch, &n, 2);
  statistics = CordsPrefetchGetStatistics(prefetch);
  assert_int_equal(statistics.made, Items(2));
  assert_true(statistics.waited_s > 0.030); /* 10 items of 4 ms on average, asleep */
  assert_true(statistics.made_s > 0 && statistics.made_s < 0.5 * statistics.waited_s);
  SupportCall(CordsPrefetchDestroy(&prefetch));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(TestOrder), cmocka_unit_test(TestAhead),   cmocka_unit_test(TestJumps),
    cmocka_unit_test(TestEnd),   cmocka_unit_test(TestDestroy), cmocka_unit_test(TestStatistics),
};

SUPPORT_MAIN(tests)
