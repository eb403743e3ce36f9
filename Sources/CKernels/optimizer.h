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
