/* Jobs of c/threads.h: an argument names the case; ends with 0 if it holds. */
#define _GNU_SOURCE
#include "threads.h"

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PARTS = 24, MOST = 64 };
static atomic_long counts[MOST], zeros;
static pthread_t workers[MOST];

static void note_worker(const void *job, long part) {
  (void)job;
  workers[part] = pthread_self();
  usleep(5000);
}

static long n_workers(void) {
  long number = 0;
  share(note_worker, NULL, PARTS, 0);
  for (long i = 0; i < PARTS; i++) {
    long j = 0;
    while (j < i && !pthread_equal(workers[i], workers[j])) j++;
    number += j == i;
  }
  return number;
}

static int helpers_work(void) {
  set_threads(4);
  if (n_workers() < 2) return 1;
  set_threads(2);
  usleep(50000); /* asleep */
  if (n_workers() != 2) return 2;
  set_threads(1);
  return n_workers() != 1;
}

typedef struct {
  long parts;
  int *taken;
} counted;

static void count(const void *job, long part) {
  const counted *c = job;
  c->taken[part]++;
  for (volatile int i = 0; i < part % 7 * 40; i++) continue;
}

static void *call(void *seed) {
  unsigned random = (unsigned)(size_t)seed;
  for (long number = 0; number < 20000; number++) {
    int taken[MOST] = {0};
    counted job = {1 + rand_r(&random) % MOST, taken};
    share(count, &job, job.parts, number & 1);
    for (long part = 0; part < MOST; part++)
      if (taken[part] != (part < job.parts)) return call;
    if (number % 4000 == 0) usleep(1000);
  }
  return NULL;
}

static int every_part_is_done_once(void) {
  pthread_t callers[3];
  int wrong = 0;
  for (long threads = 1; threads < 6; threads++) {
    set_threads(threads);
    for (size_t i = 0; i < 3; i++) pthread_create(&callers[i], NULL, call, (void *)(i + 1));
    for (size_t i = 0; i < 3; i++) {
      void *result;
      pthread_join(callers[i], &result);
      wrong += result != NULL;
    }
  }
  return wrong;
}

static atomic_int inside, strange;

static void slow(const void *job, long part) {
  (void)part;
  if (getpid() != *(const pid_t *)job) atomic_fetch_add(&strange, 1);
  atomic_store(&inside, 1);
  usleep(10000);
}

static void quick(const void *job, long part) {
  (void)job;
  usleep(1000);
  atomic_fetch_add(&counts[part], 1);
}

static void *share_slow(void *unused) {
  pid_t me = getpid();
  share(slow, &me, PARTS, 0);
  return unused;
}

/* The child has no helpers any more, and an open job of its parent that no thread ends. */
static int a_fork_in_the_middle_of_a_job(void) {
  set_threads(3);
  pthread_t other;
  pthread_create(&other, NULL, share_slow, NULL);
  while (!atomic_load(&inside)) usleep(100);
  pid_t child = fork();
  if (!child) {
    alarm(20);
    int wrong = 0;
    for (long round = 1; round < 4; round++) {
      share(quick, NULL, PARTS, 0);
      for (long part = 0; part < PARTS; part++) wrong += atomic_load(&counts[part]) != round;
    }
    usleep(100000);
    _exit(wrong || atomic_load(&strange) || n_workers() < 2);
  }
  int status;
  waitpid(child, &status, 0);
  pthread_join(other, NULL);
  return status;
}

static void multiply_denormal(const void *job, long part) {
  (void)part;
  usleep(2000);
  volatile float tiny = *(const volatile float *)job;
  if (tiny * 0.5f == 0) atomic_fetch_add(&zeros, 1);
}

static int helpers_round_as_the_caller(void) {
#if defined(__x86_64__)
  const float tiny = 1e-40f;
  set_threads(3);
  share(multiply_denormal, &tiny, PARTS, 0);
  if (atomic_load(&zeros)) return 1;
  set_floating_mode(floating_mode() | 0x8040);
  share(multiply_denormal, &tiny, PARTS, 0);
  return atomic_load(&zeros) != PARTS;
#endif
  return 0;
}

int main(int argc, char **argv) {
  if (argc == 2 && !strcmp(argv[1], "helpers work")) return helpers_work();
  if (argc == 2 && !strcmp(argv[1], "every part is done once")) return every_part_is_done_once();
  if (argc == 2 && !strcmp(argv[1], "a fork in the middle of a job")) return a_fork_in_the_middle_of_a_job() != 0;
  if (argc == 2 && !strcmp(argv[1], "helpers round as the caller")) return helpers_round_as_the_caller();
  return 99;
}
