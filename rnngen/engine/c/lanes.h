/* Products and gates with vectors of LANES floats. Included once for each set of instructions, with these defined:
 *
 *   LANES    floats in a vector
 *   TARGET   the attribute that lets a function use the instructions
 *   NAME(x)  x with a suffix
 *
 * Every sum goes over k from the first to the last, and every function adds its products in the same order. So a row of
 * a product is the same to the bit for any number of rows and threads.
 */
#define VEC NAME(vec)
#define INTS NAME(ints)
#define PANEL (2 * LANES) /* columns that are stored together in packed weights */

typedef float VEC __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef int32_t INTS __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

TARGET static void NAME(pack)(const float *w, long N, long K, float *packed) {
  for (long n = 0; n < (N + PANEL - 1) / PANEL * PANEL; n++) {
    float *to = packed + n / PANEL * K * PANEL + n % PANEL;
    for (long k = 0; k < K; k++) to[k * PANEL] = n < N ? w[n * K + k] : 0;
  }
}

/* out[r][n] = sum over k of h[r][k] w[k][n], for ROWS rows and the columns of PANELS panels. */
#define TILE(ROWS, PANELS)                                                                                             \
  TARGET static void NAME(tile_##ROWS##_##PANELS)(const float *h, const float *w, float *out, long ldo, long K) {     \
    VEC sum[ROWS][2 * PANELS];                                                                                         \
    for (int r = 0; r < ROWS; r++)                                                                                     \
      for (int v = 0; v < 2 * PANELS; v++) sum[r][v] = (VEC){0};                                                       \
    for (long k = 0; k < K; k++) {                                                                                     \
      VEC column[2 * PANELS];                                                                                          \
      for (int v = 0; v < 2 * PANELS; v++) column[v] = *(const VEC *)(w + (v / 2 * K + k) * PANEL + v % 2 * LANES);    \
      for (int r = 0; r < ROWS; r++)                                                                                   \
        for (int v = 0; v < 2 * PANELS; v++) sum[r][v] += column[v] * h[r * K + k];                                    \
    }                                                                                                                  \
    for (int r = 0; r < ROWS; r++)                                                                                     \
      for (int v = 0; v < 2 * PANELS; v++) *(VEC *)(out + r * ldo + v * LANES) = sum[r][v];                            \
  }

TILE(1, 1)
TILE(2, 1)
TILE(4, 1)
TILE(6, 1)
#if LANES == 16 /* AVX-512 has 32 registers: enough for the sums of more rows */
TILE(8, 1)
TILE(12, 1)
#endif
TILE(1, 2)
TILE(1, 4)

/* out = h[B][K] times some panels of packed weights. The rows of out[B][...] are ldo apart. */
TARGET static void NAME(multiply)(const float *h, const float *w, float *out, long B, long K, long ldo, long panels) {
  long done = 0;
  if (B == 1) { /* so many sums at once that none waits for its last addition */
    for (; done + 4 <= panels; done += 4) NAME(tile_1_4)(h, w + done * K * PANEL, out + done * PANEL, ldo, K);
    for (; done + 2 <= panels; done += 2) NAME(tile_1_2)(h, w + done * K * PANEL, out + done * PANEL, ldo, K);
  }
  for (; done < panels; done++) {
    const float *panel = w + done * K * PANEL;
    float *to = out + done * PANEL;
    for (long b = 0; b < B;) {
      long left = B - b;
#define TAKE(ROWS) (NAME(tile_##ROWS##_1)(h + b * K, panel, to + b * ldo, ldo, K), b += ROWS)
#if LANES == 16
      if (left >= 12) TAKE(12);
      else if (left >= 8) TAKE(8);
      else
#endif
      if (left >= 6) TAKE(6);
      else if (left >= 4) TAKE(4);
      else if (left >= 2) TAKE(2);
      else TAKE(1);
#undef TAKE
    }
  }
}

/* The first n floats, then zeros. */
TARGET static inline VEC NAME(load)(const float *from, long n) {
  if (n >= LANES) return *(const VEC *)from;
  VEC v = {0};
  memcpy(&v, from, n * sizeof(float));
  return v;
}

TARGET static inline void NAME(store)(float *to, VEC v, long n) { memcpy(to, &v, (n < LANES ? n : LANES) * sizeof(float)); }

TARGET static inline VEC NAME(choose)(INTS mask, VEC yes, VEC no) {
  return (VEC)((mask & (INTS)yes) | (~mask & (INTS)no));
}

/* A rational function, fitted to tanh(x) / x on [0, 9] by weighted least squares until its relative error was level
 * at 2e-8. With the rounding of float32 the relative error is at most 3.2e-7. Above 9, tanh is 1 to one rounding. NaN
 * stays NaN. */
TARGET static inline VEC NAME(tanh)(VEC x) {
  const VEC one = (VEC){0} + 1.0f, nine = (VEC){0} + 9.0f;
  x = NAME(choose)(x > nine, nine, NAME(choose)(x < -nine, -nine, x));
  VEC u = x * x;
  VEC p = (((1.3354688e-08f * u + 2.0609103e-05f) * u + 0.0034955894f) * u + 0.13381027f) * u + 1.0f;
  VEC q = (((7.7765696e-07f * u + 0.00032856368f) * u + 0.025876988f) * u + 0.46714342f) * u + 1.0f;
  VEC y = x * p / q;
  return NAME(choose)(y > one, one, NAME(choose)(y < -one, -one, y));
}

/* The logistic function of 2 x. The weights of these gates are halved beforehand. */
TARGET static inline VEC NAME(sigmoid_of_double)(VEC x) { return NAME(tanh)(x) * 0.5f + 0.5f; }

/* The gates of units j to j + n of one row. a[G*H] is the product of h and the recurrent weights, x[G*H] the input's
 * share. The new h is also written to `output`, unless that is NULL. Only the last call for a row has n < LANES. */
TARGET static inline void NAME(units)(const recurrence *r, float *h, float *c, const float *a, const float *x,
                                      float *output, long j, long n) {
#define A(gate) NAME(load)(a + (gate) * H + j, n)
#define X(gate) NAME(load)(x + (gate) * H + j, n)
  const long H = r->H;
  VEC new;
  if (r->cell == GRU) {
    VEC reset = NAME(sigmoid_of_double)(A(0) + X(0));
    VEC keep = NAME(sigmoid_of_double)(A(1) + X(1));
    VEC candidate = NAME(tanh)((A(2) + NAME(load)(r->b_n + j, n)) * reset + X(2));
    new = (NAME(load)(h + j, n) - candidate) * keep + candidate;
  } else if (r->cell == LSTM) {
    VEC in = NAME(sigmoid_of_double)(A(0) + X(0));
    VEC forget = NAME(sigmoid_of_double)(A(1) + X(1));
    VEC out = NAME(sigmoid_of_double)(A(2) + X(2));
    VEC memory = NAME(load)(c + j, n) * forget + NAME(tanh)(A(3) + X(3)) * in;
    NAME(store)(c + j, memory, n);
    new = NAME(tanh)(memory) * out;
  } else {
    new = A(0) + X(0);
    new = r->cell == RELU ? NAME(choose)(new < 0, (VEC){0}, new) : NAME(tanh)(new);
  }
  NAME(store)(h + j, new, n);
  if (output) NAME(store)(output + j, new, n);
#undef A
#undef X
}

TARGET static void NAME(gates)(const recurrence *r, const int64_t *ids, float *outputs, long first, long last) {
  const long H = r->H, G = r->cell == GRU ? 3 : r->cell == LSTM ? 4 : 1;
  for (long b = first; b < last; b++) {
    float *h = r->h + b * H, *c = r->c ? r->c + b * H : NULL, *output = outputs ? outputs + b * H : NULL;
    const float *a = r->product + b * r->columns, *x = r->inputs + ids[b] * G * H;
    long j = 0;
    for (; j + LANES <= H; j += LANES) NAME(units)(r, h, c, a, x, output, j, LANES);
    if (j < H) NAME(units)(r, h, c, a, x, output, j, H - j);
  }
}

static const instructions NAME(set) = {PANEL, NAME(pack), NAME(multiply), NAME(gates)};

#undef VEC
#undef INTS
#undef PANEL
#undef TILE
#undef LANES
#undef TARGET
#undef NAME
