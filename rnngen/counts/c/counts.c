/* What the counts of n-grams add to logits. corrections.py does the same in numpy, and has the formulas. */
#include <stdint.h>
#include <string.h>

#define EXPORTED __attribute__((visibility("default")))

/* Raise it with every change to the functions or to `counts`, here and in compiled.py. */
enum { VERSION = 2, MOST_ORDER = 16 };
#define LEAST_SCALE 1e-30f /* corrections.py */

/* The same fields as in compiled.py. A node is an n-gram; -1 is none. */
typedef struct {
  int64_t V, order;        /* of the longest n-grams, at least 1 */
  const uint32_t *tokens, *counts, *first, *pruned; /* trie.py */
  const float *discounts;  /* [order][4]: of counts 0, 1, 2, and more */
  const float *unigram, *log_unigram; /* [V] */
  const float *unigram_less; /* [V]: the same without one occurrence */
  float *share;            /* [V]: `unigram` between two places */
  int64_t *touched;        /* [V]: room for the tokens whose share differs */
  float *logs;             /* [V]: room for numbers */
  uint8_t *is_touched;     /* [V]: 0 between two places */
} counts;

EXPORTED long counts_version(void) { return VERSION; }

/* log x for positive finite x, to 1e-7: the exponent, and a polynomial in the rest (Moshier's Cephes, logf). */
static inline float log_of(float x) {
  union { float f; int32_t i; } u = {x};
  int32_t low = u.i < 0x00800000; /* not normalised: too small to be met but by rounding */
  u.f = low ? x * 16777216.0f : x;
  int32_t e = ((u.i - 0x3f3504f3) >> 23) - (low ? 24 : 0);
  u.i = ((u.i - 0x3f3504f3) & 0x007fffff) + 0x3f3504f3; /* from sqrt(1/2) to sqrt(2) */
  float f = u.f - 1, z = f * f;
  float y = 7.0376836292e-2f;
  y = y * f - 1.1514610310e-1f;
  y = y * f + 1.1676998740e-1f;
  y = y * f - 1.2420140846e-1f;
  y = y * f + 1.4249322787e-1f;
  y = y * f - 1.6668057665e-1f;
  y = y * f + 2.0000714765e-1f;
  y = y * f - 2.4999993993e-1f;
  y = y * f + 3.3333331174e-1f;
  y = y * f * z - 0.5f * z;
  return f + y + (float)e * 0.693147180559945f;
}

/* The n-gram of `node` and one more token, or -1. */
static int64_t child(const counts *c, int64_t node, int64_t token) {
  if (node < 0) return -1;
  uint32_t low = c->first[node], end = c->first[node + 1], high = end;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    if (c->tokens[middle] < token) low = middle + 1;
    else high = middle;
  }
  return low < end && c->tokens[low] == token ? (int64_t)low : -1;
}

/* Take one more token. nodes[n] is the n-gram of the last n + 1 tokens. A token that is none: nothing stands before. */
static void advance(const counts *c, int64_t *nodes, int64_t token) {
  if (token < 0 || token >= c->V) {
    for (int64_t n = 0; n < MOST_ORDER; n++) nodes[n] = -1;
    return;
  }
  for (int64_t n = c->order - 2; n > 0; n--) nodes[n] = child(c, nodes[n - 1], token);
  nodes[0] = token;
}

/* For each order whether the target's own occurrence is counted there: own[n] for n-grams of n + 1 tokens. */
static void find_own(const counts *c, const int64_t *nodes, int64_t target, uint32_t *own) {
  int64_t n = 0;
  while (n < c->order - 1 && nodes[n] >= 0) n++;
  for (uint32_t counted = 1; n >= 0; n--) {
    own[n] = counted;
    int64_t node = n ? child(c, nodes[n - 1], target) : target;
    /* An n-gram that is gone with it no longer stands for a token before the shorter one. One that was left out is. */
    counted = counted && (node < 0 || c->counts[node] <= 1);
  }
}

static void touch(const counts *c, int64_t *n_touched, int64_t token) {
  if (c->is_touched[token]) return;
  c->is_touched[token] = 1;
  c->touched[(*n_touched)++] = token;
}

/* Add `weight` times the log-probabilities of the next token, but for a constant and the unigrams, to a row of logits.
 * target: where it is a token, the counts are those without the one time that it followed here. */
static void add(const counts *c, const int64_t *nodes, int64_t target, float weight, float *logits) {
  uint32_t own[MOST_ORDER] = {0};
  int64_t n_touched = 0;
  float scale = 1; /* a probability is this times the token's share */
  if (target >= 0 && target < c->V) {
    find_own(c, nodes, target, own);
    if (own[0]) {
      touch(c, &n_touched, target);
      c->share[target] = c->unigram_less[target];
    }
  }
  for (int64_t n = 1; n < c->order && nodes[n - 1] >= 0; n++) {
    int64_t node = nodes[n - 1], own_node = -1, total = c->pruned[node];
    uint32_t begin = c->first[node], end = c->first[node + 1];
    const float *d = c->discounts + 4 * n;
    if (begin == end) break;
    if (own[n]) {
      own_node = child(c, node, target);
      if (own_node < 0 && total) total--;
    }
    float left = (float)total;
    for (int64_t i = begin; i < end; i++) {
      uint32_t k = c->counts[i] - (i == own_node);
      total += k;
      left += d[k < 3 ? k : 3];
    }
    if (total <= 0 || scale * (left / (float)total) < LEAST_SCALE) break;
    scale *= left / (float)total;
    float one = 1 / ((float)total * scale);
    for (int64_t i = begin; i < end; i++) {
      uint32_t k = c->counts[i] - (i == own_node), token = c->tokens[i];
      touch(c, &n_touched, token);
      c->share[token] += ((float)k - d[k < 3 ? k : 3]) * one;
    }
  }
  for (int64_t i = 0; i < n_touched; i++) c->logs[i] = c->share[c->touched[i]];
  for (int64_t i = 0; i < n_touched; i++) c->logs[i] = log_of(c->logs[i]);
  for (int64_t i = 0; i < n_touched; i++) {
    int64_t token = c->touched[i];
    logits[token] += weight * (c->logs[i] - c->log_unigram[token]);
    c->share[token] = c->unigram[token];
    c->is_touched[token] = 0;
  }
}

/* The n-grams that end at each place of B streams. ids[T][B]. nodes[B][MOST_ORDER]: those before, and those at the end;
 * -1 at the start of a text. found[T][B][order - 1], where it is not NULL. */
EXPORTED void counts_walk(const counts *c, int64_t T, int64_t B, const int64_t *ids, int64_t *nodes, int64_t *found) {
  int64_t lengths = c->order - 1;
  for (int64_t b = 0; b < B; b++)
    for (int64_t t = 0; t < T; t++) {
      advance(c, nodes + b * MOST_ORDER, ids[t * B + b]);
      if (found) memcpy(found + (t * B + b) * lengths, nodes + b * MOST_ORDER, lengths * sizeof *found);
    }
}

/* Add to the logits of N places. nodes[N][stride], which `counts_walk` found. targets[N] or NULL. logits[N][V]. */
EXPORTED void counts_add(const counts *c, int64_t N, const int64_t *nodes, int64_t stride, const int64_t *targets,
                         float weight, float *logits) {
  for (int64_t i = 0; i < N; i++) add(c, nodes + i * stride, targets ? targets[i] : -1, weight, logits + i * c->V);
}
