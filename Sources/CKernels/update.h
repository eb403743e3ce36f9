// From sign words to what the update needs, and the optimizers.

void NAME(expand_signs)(const uint16_t *words, ptrdiff_t rows, const float *coefficients, const uint16_t *seen,
                        float *out, ptrdiff_t out_stride) {
  for (ptrdiff_t row = 0; row < rows; row++)
    for (int lane = 0; lane < LZ_LANES; lane += VL) {
      vf value = negated(coefficients ? load(coefficients + lane) : splat(1), words[row], lane);
      if (seen) value = masked(value, seen[row], lane);
      store(out + row * out_stride + lane, value);
    }
}

void NAME(expand_nodes)(const uint16_t *words, ptrdiff_t count, const float *coefficients, float *out, ptrdiff_t stride) {
  typedef uint16_t vw __attribute__((ext_vector_type(VL)));
  const ptrdiff_t whole = count / VL * VL;
  for (ptrdiff_t i = 0; i < whole; i += VL) {
    vw narrow;
    __builtin_memcpy(&narrow, words + i, sizeof narrow);
    const vu wide = __builtin_convertvector(narrow, vu);
    for (int p = 0; p < LZ_LANES; p++) {
      const vu sign = wide << (31 - p) & 0x80000000u;
      const vu value = __builtin_bit_cast(vu, splat(coefficients[p])) ^ sign;
      __builtin_memcpy(out + p * stride + i, &value, sizeof value);
    }
  }
  for (ptrdiff_t i = whole; i < count; i++)
    for (int p = 0; p < LZ_LANES; p++) out[p * stride + i] = words[i] >> p & 1 ? -coefficients[p] : coefficients[p];
}

void NAME(sum_signs)(const uint16_t *words, ptrdiff_t tile_stride, ptrdiff_t tiles, ptrdiff_t count,
                     const float *coefficients, float *out) {
  typedef uint16_t vw __attribute__((ext_vector_type(VL)));
  const ptrdiff_t whole = count / VL * VL;
  for (ptrdiff_t i = 0; i < whole; i += VL) {
    vf sum = splat(0);
    for (ptrdiff_t t = 0; t < tiles; t++) {
      vw narrow;
      __builtin_memcpy(&narrow, words + t * tile_stride + i, sizeof narrow);
      const vu wide = __builtin_convertvector(narrow, vu);
      vf total = splat(0);
      #pragma clang loop unroll(full)
      for (int p = 0; p < LZ_LANES; p++) {
        const vu sign = wide << (31 - p) & 0x80000000u;
        total += __builtin_bit_cast(vf, __builtin_bit_cast(vu, splat(coefficients[t * LZ_LANES + p])) ^ sign);
      }
      sum += total;
    }
    store_any(out + i, sum);
  }
  for (ptrdiff_t i = whole; i < count; i++) {
    float sum = 0;
    for (ptrdiff_t t = 0; t < tiles; t++) {
      float total = 0;
      for (int p = 0; p < LZ_LANES; p++) {
        const float c = coefficients[t * LZ_LANES + p];
        total += words[t * tile_stride + i] >> p & 1 ? -c : c;
      }
      sum += total;
    }
    out[i] = sum;
  }
}

void NAME(pack_rows)(const float *from, ptrdiff_t columns, float *to) {
  const float *rows[LZ_BLOCK];
  for (int j = 0; j < LZ_BLOCK; j++) rows[j] = from + j * columns;
  const ptrdiff_t whole = columns / 4 * 4;
  transpose_rows(rows, LZ_BLOCK, whole, to, LZ_BLOCK);
  for (ptrdiff_t k = whole; k < columns; k++)
    for (int j = 0; j < LZ_BLOCK; j++) to[k * LZ_BLOCK + j] = rows[j][k];
}

// Elementwise updates, of parameters anywhere in memory. The last lanes go the way of whole vectors, so that a parameter's bits
// do not depend on where it lies.

typedef struct { vf rate, keep, momentum; } sgd_factors;

INLINE void sgd_lanes(const sgd_factors f, vf g, vf *v, vf *parameters) {
  *v = f.momentum * *v + g;
  *parameters = f.keep * *parameters - f.rate * *v;
}

void NAME(sgd)(const lz_optimizer *o, ptrdiff_t count, const float *restrict gradient, float *restrict velocity,
               float *restrict parameters) {
  const sgd_factors f = {splat(o->rate), splat(1.0f - o->rate * o->decay), splat(o->momentum)};
  const ptrdiff_t whole = count / VL * VL, rest = count - whole;
  for (ptrdiff_t i = 0; i < whole; i += VL) {
    vf v = load_any(velocity + i), p = load_any(parameters + i);
    sgd_lanes(f, load_any(gradient + i), &v, &p);
    store_any(velocity + i, v);
    store_any(parameters + i, p);
  }
  if (!rest) return;
  vf v = load_some(velocity + whole, rest), p = load_some(parameters + whole, rest);
  sgd_lanes(f, load_some(gradient + whole, rest), &v, &p);
  store_some(velocity + whole, rest, v);
  store_some(parameters + whole, rest, p);
}

typedef struct { vf rate, keep, b1, rest1, b2, rest2, c2, epsilon; } adam_factors;

INLINE void adam_lanes(const adam_factors f, vf g, vf *m, vf *s, vf *parameters) {
  *m = f.b1 * *m + f.rest1 * g;
  *s = f.b2 * *s + f.rest2 * g * g;
  *parameters = f.keep * *parameters - f.rate * *m / (__builtin_elementwise_sqrt(*s * f.c2) + f.epsilon);
}

void NAME(adam)(const lz_optimizer *o, ptrdiff_t count, const float *restrict gradient, float *restrict mean,
                float *restrict square, float *restrict parameters) {
  const adam_factors f = {
    .rate = splat(o->rate * o->correction1), .keep = splat(1.0f - o->rate * o->decay),
    .b1 = splat(o->momentum), .rest1 = splat(1.0f - o->momentum), .b2 = splat(o->beta2), .rest2 = splat(1.0f - o->beta2),
    .c2 = splat(o->correction2), .epsilon = splat(o->epsilon)};
  const int decays = o->decay != 0;
  const ptrdiff_t whole = count / VL * VL, rest = count - whole;
  for (ptrdiff_t i = 0; i < whole; i += VL) {
    const vf g = load_any(gradient + i);
    vf m = load_any(mean + i), s = load_any(square + i);
    // Rows of tokens that were never read have neither gradient nor moments: nothing to divide.
    const vi bits = __builtin_bit_cast(vi, g) | __builtin_bit_cast(vi, m) | __builtin_bit_cast(vi, s);
    if (!decays && __builtin_reduce_or(bits) == 0) continue;
    vf p = load_any(parameters + i);
    adam_lanes(f, g, &m, &s, &p);
    store_any(mean + i, m);
    store_any(square + i, s);
    store_any(parameters + i, p);
  }
  if (!rest) return;
  vf m = load_some(mean + whole, rest), s = load_some(square + whole, rest), p = load_some(parameters + whole, rest);
  adam_lanes(f, load_some(gradient + whole, rest), &m, &s, &p);
  store_some(mean + whole, rest, m);
  store_some(square + whole, rest, s);
  store_some(parameters + whole, rest, p);
}

#define CHAINS (VL == 16 ? 24 : 12) // half of the registers or more
double NAME(fma_rounds)(int64_t rounds) {
  vf acc[CHAINS];
  for (int i = 0; i < CHAINS; i++) acc[i] = splat(1.5f + (float)i); // not 1, which a·1 + b would leave as it is
  vf a = splat(0.999f), b = splat(0.001f);
  for (int64_t round = 0; round < rounds; round++) {
    #pragma clang loop unroll(full)
    for (int i = 0; i < CHAINS; i++) acc[i] = acc[i] * a + b;
    __asm__ volatile("" ::: "memory");
  }
  float sum = 0;
  for (int i = 0; i < CHAINS; i++) sum += acc[i][0];
  volatile float keep = sum; // the chains must be computed
  (void)keep;
  return (double)rounds * CHAINS * VL * 2;
}
