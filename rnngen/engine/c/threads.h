/* Threads that take parts of a job. recurrence.c includes this file.
 *
 * Each thread first takes the parts of its own range, whose data its cache may still hold from the last job. Then it
 * takes the parts that other threads have not reached. So a job waits only for a thread that was stopped in the middle
 * of a part. It does not wait for a thread that never ran because the machine was busy. After a job, helpers spin for
 * about 50 microseconds, because the next step of a recurrence usually comes sooner. Then they sleep.
 */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>

enum { MOST_THREADS = 16, SPINS = 4000 };
#define CLOSED UINT32_MAX /* in place of a count: no job is open */

/* For each range: the number of the job in the upper half, the count of parts taken in the lower half. Both are in one
 * word, so that a late helper cannot take a part of one job with what it has read about another. Each has its own cache
 * line. */
static struct {
  _Alignas(64) _Atomic uint64_t of;
} tickets[MOST_THREADS];
static _Atomic uint64_t number; /* of the open job */
static void (*job_work)(const void *, long);
static const void *job_of;
static atomic_long job_parts, job_ranges, job_done;
static atomic_int job_backwards;
static _Atomic uint64_t job_mode; /* the caller's rounding mode, and whether denormals count as zeros */

static atomic_flag busy = ATOMIC_FLAG_INIT; /* a job is shared; another caller does its own job alone */
static atomic_long sleeping;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t woken = PTHREAD_COND_INITIALIZER;
static _Atomic long wanted = 1, helpers = 0;

static void pause_briefly(void) {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("isb");
#endif
}

static uint64_t floating_mode(void) {
#if defined(__x86_64__)
  return __builtin_ia32_stmxcsr();
#elif defined(__aarch64__)
  uint64_t mode;
  __asm__ volatile("mrs %0, fpcr" : "=r"(mode));
  return mode;
#else
  return 0;
#endif
}

static void set_floating_mode(uint64_t mode) {
#if defined(__x86_64__)
  __builtin_ia32_ldmxcsr((unsigned)mode);
#elif defined(__aarch64__)
  __asm__ volatile("msr fpcr, %0" : : "r"(mode));
#else
  (void)mode;
#endif
}

static long range_start(long range, long ranges, long parts) { return parts * range / ranges; }

static void take_from(long range) {
  uint64_t now = atomic_load(&tickets[range].of);
  while ((uint32_t)now != CLOSED) {
    long taken = (long)(uint32_t)now, parts = atomic_load(&job_parts), ranges = atomic_load(&job_ranges);
    long first = range_start(range, ranges, parts), last = range_start(range + 1, ranges, parts);
    if (range >= ranges || taken >= last - first) return;
    int backwards = atomic_load(&job_backwards);
    if (atomic_compare_exchange_weak(&tickets[range].of, &now, now + 1)) {
      set_floating_mode(atomic_load(&job_mode));
      job_work(job_of, backwards ? last - 1 - taken : first + taken);
      atomic_fetch_add(&job_done, 1);
      now = atomic_load(&tickets[range].of);
    }
  }
}

static void take_parts(long own) {
  long ranges = atomic_load(&job_ranges);
  for (long i = 0; i < ranges; i++) take_from((own + i) % ranges);
}

static void *help(void *own) {
  uint64_t seen = 0;
  for (;;) {
    for (long spins = 0; atomic_load(&number) == seen && spins < SPINS; spins++) pause_briefly();
    if (atomic_load(&number) == seen) {
      pthread_mutex_lock(&mutex);
      atomic_fetch_add(&sleeping, 1);
      while (atomic_load(&number) == seen) pthread_cond_wait(&woken, &mutex);
      atomic_fetch_sub(&sleeping, 1);
      pthread_mutex_unlock(&mutex);
    }
    seen = atomic_load(&number);
    if ((long)(intptr_t)own < atomic_load(&job_ranges)) take_parts((long)(intptr_t)own);
  }
  return NULL;
}

/* The child of a fork has no helpers: only the thread that called fork exists there. */
static void forget_helpers(void) {
  atomic_store(&helpers, 0);
  atomic_store(&sleeping, 0);
  atomic_flag_clear(&busy);
  pthread_mutex_init(&mutex, NULL);
  pthread_cond_init(&woken, NULL);
}

static void start_helpers(void) {
  static int registered = 0;
  if (!registered) registered = !pthread_atfork(NULL, NULL, forget_helpers);
  if (atomic_load(&helpers) >= atomic_load(&wanted) - 1) return;
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before); /* the caller handles signals, not the helpers */
  pthread_t thread;
  while (atomic_load(&helpers) < atomic_load(&wanted) - 1) {
    if (pthread_create(&thread, NULL, help, (void *)(intptr_t)(atomic_load(&helpers) + 1))) break; /* out of memory */
    pthread_detach(thread);
    atomic_fetch_add(&helpers, 1);
  }
  pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* Set how many threads work on later jobs, including the calling thread. */
static void set_threads(long most) {
  atomic_store(&wanted, most < 1 ? 1 : most > MOST_THREADS ? MOST_THREADS : most);
}

static long n_threads(void) { return atomic_load(&wanted); }

/* Call work(job, part) once for every part in [0, parts), and return when all are done. A thread mostly gets the same
 * parts again in the next job. With `backwards` it takes them from the last to the first. */
static void share(void (*work)(const void *job, long part), const void *job, long parts, int backwards) {
  int alone = parts <= 1 || n_threads() <= 1 || atomic_flag_test_and_set(&busy);
  if (alone) {
    for (long part = 0; part < parts; part++) work(job, part);
    return;
  }
  uint64_t next = atomic_load(&number) + 1, ranges = (uint64_t)n_threads();
  for (uint64_t i = 0; i < MOST_THREADS; i++) atomic_store(&tickets[i].of, next << 32 | CLOSED);
  start_helpers(); /* After a fork in the middle of a job: now no part of that job can be taken. */
  job_work = work;
  job_of = job;
  atomic_store(&job_parts, parts);
  atomic_store(&job_ranges, (long)ranges);
  atomic_store(&job_backwards, backwards);
  atomic_store(&job_mode, floating_mode());
  atomic_store(&job_done, 0);
  for (uint64_t i = 0; i < ranges; i++) atomic_store(&tickets[i].of, next << 32);
  atomic_store(&number, next);
  if (atomic_load(&sleeping)) {
    pthread_mutex_lock(&mutex);
    pthread_cond_broadcast(&woken);
    pthread_mutex_unlock(&mutex);
  }
  take_parts(0);
  for (long spins = 0; atomic_load(&job_done) < parts; spins++)
    if (spins < SPINS)
      pause_briefly();
    else
      sched_yield(); /* a helper was stopped in the middle of a part */
  atomic_flag_clear(&busy);
}
