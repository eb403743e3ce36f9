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

// Elementwise updates. The loops are left to the compiler's vectoriser: each line is one independent element.

void NAME(sgd)(const lz_optimizer *o, ptrdiff_t count, const float *restrict gradient, float *restrict velocity,
               float *restrict parameters) {
  const float rate = o->rate, momentum = o->momentum, keep = 1.0f - o->rate * o->decay;
  for (ptrdiff_t i = 0; i < count; i++) {
    const float v = momentum * velocity[i] + gradient[i];
    velocity[i] = v;
    parameters[i] = keep * parameters[i] - rate * v;
  }
}

void NAME(adam)(const lz_optimizer *o, ptrdiff_t count, const float *restrict gradient, float *restrict mean,
                float *restrict square, float *restrict parameters) {
  const float rate = o->rate * o->correction1, keep = 1.0f - o->rate * o->decay;
  const float b1 = o->momentum, b2 = o->beta2, c2 = o->correction2, epsilon = o->epsilon;
  for (ptrdiff_t i = 0; i < count; i++) {
    const float g = gradient[i];
    const float m = b1 * mean[i] + (1.0f - b1) * g;
    const float s = b2 * square[i] + (1.0f - b2) * g * g;
    mean[i] = m;
    square[i] = s;
    parameters[i] = keep * parameters[i] - rate * m / (__builtin_sqrtf(s * c2) + epsilon);
  }
}

#define CHAINS (2 * RB < 8 ? 8 : 2 * RB)
double NAME(fma_rounds)(int64_t rounds) {
  vf acc[CHAINS];
  for (int i = 0; i < CHAINS; i++) acc[i] = splat(1.0f + (float)i);
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
