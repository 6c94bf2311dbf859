/* One recurrent layer over a window of a text, or one token at a time. recurrence.py does the same in numpy.
 *
 * The weights are packed once, in the order in which they are read. A BLAS packs them at every product.
 */
#include <stdint.h>
#include <string.h>

#include "threads.h"

#define EXPORTED __attribute__((visibility("default")))

enum cell { TANH, RELU, GRU, LSTM };

/* Raise it with every change to the functions or to `recurrence`, here and in compiled.py. */
enum { VERSION = 3 };

/* The same fields as in compiled.py. B is the number of rows, H the number of units, G the number of gates. */
typedef struct {
  int64_t cell, B, H;
  int64_t columns;     /* of the product: a multiple of the panel's columns, at least G*H */
  int64_t n_inputs;    /* rows of `inputs` */
  int64_t turns;       /* products so far: each starts where the last one ended, with weights that are in the cache */
  float *h, *c;        /* [B, H], the state; c of an LSTM only */
  float *product;      /* [B, columns]: h times the recurrent weights, and times what else is packed with them */
  const float *packed; /* those weights */
  const float *inputs; /* [n_inputs, G*H]: the input's share of the gates */
  const int64_t *ids;  /* [B]: the rows of `inputs` that `recurrence_step` uses */
  const float *b_n;    /* [H], of a GRU only */
} recurrence;

typedef struct {
  long panel;
  void (*pack)(const float *w, long N, long K, float *packed);
  void (*multiply)(const float *h, const float *w, float *out, long B, long K, long ldo, long panels);
  void (*gates)(const recurrence *r, const int64_t *ids, float *outputs, long first, long last);
} instructions;

#define LANES 4
#define TARGET
#define NAME(x) x##_4
#include "lanes.h"

#if defined(__x86_64__)
#define LANES 8
#define TARGET __attribute__((target("avx2,fma")))
#define NAME(x) x##_8
#include "lanes.h"

#define LANES 16
#define TARGET __attribute__((target("avx512f,fma")))
#define NAME(x) x##_16
#include "lanes.h"
#endif

static const instructions *the = &set_4;

EXPORTED long recurrence_version(void) { return VERSION; }

/* Use vectors of at most `lanes` floats: 16, 8 or 4, as this processor allows. Returns the number of floats. */
EXPORTED long recurrence_use_lanes(long lanes) {
  (void)lanes; /* unused on other processors than x86 */
  the = &set_4;
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (lanes >= 8 && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) the = &set_8;
  if (lanes >= 16 && __builtin_cpu_supports("avx512f")) the = &set_16;
#endif
  return the->panel / 2;
}

/* Returns the number of threads that will be used. */
EXPORTED long recurrence_use_threads(long threads) {
  set_threads(threads);
  return n_threads();
}

EXPORTED long recurrence_columns(long N) { return (N + the->panel - 1) / the->panel * the->panel; }

/* w[N][K] -> packed[K * recurrence_columns(N)] */
EXPORTED void recurrence_pack(const float *w, long N, long K, float *packed) { the->pack(w, N, K, packed); }

/* The least work in a part, in multiplications or units: a smaller one is not worth waking a thread. */
enum { LEAST_PRODUCTS = 1 << 16, LEAST_UNITS = 1 << 12, PARTS_A_THREAD = 12 };

typedef struct {
  const recurrence *r;
  const int64_t *ids;
  float *outputs;
  long size; /* panels or rows in a part */
} job;

static long part_size(long all, long least) {
  long parts = PARTS_A_THREAD * n_threads(), even = (all + parts - 1) / parts;
  return even > least ? even : least;
}

static void multiply_part(const void *shared, long part) {
  const job *j = shared;
  const recurrence *r = j->r;
  long first = part * j->size, panels = r->columns / the->panel - first;
  the->multiply(r->h, r->packed + first * r->H * the->panel, r->product + first * the->panel, r->B, r->H, r->columns,
                panels < j->size ? panels : j->size);
}

/* Multiply the present state. */
EXPORTED void recurrence_multiply(recurrence *r) {
  if (!r->B) return;
  long panels = r->columns / the->panel, least = LEAST_PRODUCTS / (r->B * r->H * the->panel) + 1;
  job j = {r, NULL, NULL, part_size(panels, least)};
  share(multiply_part, &j, (panels + j.size - 1) / j.size, r->turns++ & 1);
}

static void gates_part(const void *shared, long part) {
  const job *j = shared;
  long first = part * j->size, last = first + j->size;
  the->gates(j->r, j->ids, j->outputs, first, last < j->r->B ? last : j->r->B);
}

static void gates(const recurrence *r, const int64_t *ids, float *outputs) {
  job j = {r, ids, outputs, part_size(r->B, LEAST_UNITS / r->H + 1)};
  share(gates_part, &j, (r->B + j.size - 1) / j.size, 0);
}

static int has_rows(const recurrence *r, const int64_t *ids, int64_t number) {
  for (int64_t i = 0; i < number; i++)
    if (ids[i] < 0 || ids[i] >= r->n_inputs) return 0;
  return 1;
}

/* Compute the next state from the present product, then its product. Not 0 if an id is not a row of `inputs`. */
EXPORTED int recurrence_step(recurrence *r) {
  if (!has_rows(r, r->ids, r->B)) return 1;
  gates(r, r->ids, NULL);
  recurrence_multiply(r);
  return 0;
}

/* T steps. ids[T][B]: rows of `inputs`. outputs[T][B][H]: the state after each step. Returns as recurrence_step. */
EXPORTED int recurrence_run(recurrence *r, int64_t T, const int64_t *ids, float *outputs) {
  if (!has_rows(r, ids, T * r->B)) return 1;
  for (int64_t t = 0; t < T; t++) {
    recurrence_multiply(r);
    gates(r, ids + t * r->B, outputs + t * r->B * r->H);
  }
  return 0;
}
