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
  for (ptrdiff_t i = 0; i < count; i++) {
    vf sum[LZ_LANES / VL];
    for (int part = 0; part < LZ_LANES / VL; part++) sum[part] = splat(0);
    for (ptrdiff_t t = 0; t < tiles; t++)
      for (int part = 0; part < LZ_LANES / VL; part++)
        sum[part] += negated(load(coefficients + t * LZ_LANES + part * VL), words[t * tile_stride + i], part * VL);
    float total = 0;
    for (int part = 0; part < LZ_LANES / VL; part++)
      for (int lane = 0; lane < VL; lane++) total += sum[part][lane];
    out[i] = total;
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

// Elementwise updates, on pieces that start at a vector and whose memory is padded to one.

void NAME(sgd)(const lz_optimizer *o, ptrdiff_t count, const float *restrict gradient, float *restrict velocity,
               float *restrict parameters) {
  const vf rate = splat(o->rate), momentum = splat(o->momentum), keep = splat(1.0f - o->rate * o->decay);
  for (ptrdiff_t i = 0; i < count; i += VL) {
    const vf v = momentum * load(velocity + i) + load(gradient + i);
    store(velocity + i, v);
    store(parameters + i, keep * load(parameters + i) - rate * v);
  }
}

void NAME(adam)(const lz_optimizer *o, ptrdiff_t count, const float *restrict gradient, float *restrict mean,
                float *restrict square, float *restrict parameters) {
  const vf rate = splat(o->rate * o->correction1), keep = splat(1.0f - o->rate * o->decay);
  const vf b1 = splat(o->momentum), b2 = splat(o->beta2), c2 = splat(o->correction2), epsilon = splat(o->epsilon);
  const vf rest1 = splat(1.0f - o->momentum), rest2 = splat(1.0f - o->beta2);
  for (ptrdiff_t i = 0; i < count; i += VL) {
    const vf g = load(gradient + i);
    const vf m = b1 * load(mean + i) + rest1 * g;
    const vf s = b2 * load(square + i) + rest2 * g * g;
    // Rows of tokens that were never read have neither gradient nor moments: nothing to divide.
    if (o->decay == 0 && __builtin_reduce_or(__builtin_bit_cast(vi, m) | __builtin_bit_cast(vi, s)) == 0) continue;
    store(mean + i, m);
    store(square + i, s);
    store(parameters + i, keep * load(parameters + i) - rate * m / (__builtin_elementwise_sqrt(s * c2) + epsilon));
  }
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
