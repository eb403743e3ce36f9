// Products over many samples: what exact training has of rows that do not wait for the token before. A sum is one chain in the order of
// its terms, whatever the samples beside it.

#define SAMPLES (VL == 16 ? 12 : 6) // at once, by two vectors of outputs: what the registers hold

// out[n][outputs] (+)= x[n][depth]·w of `n` samples; w: [depth][vectors · VL].
INLINE void samples_panel(const float *w, ptrdiff_t depth, const float *x, ptrdiff_t x_step, const int n, const int vectors, int adds,
                          float *out, ptrdiff_t out_step) {
  vf acc[12][2];
  #pragma clang loop unroll(full)
  for (int i = 0; i < n; i++)
    for (int v = 0; v < vectors; v++) acc[i][v] = adds ? load(out + i * out_step + v * VL) : splat(0);
  for (ptrdiff_t k = 0; k < depth; k++, w += vectors * VL) {
    vf weights[2];
    for (int v = 0; v < vectors; v++) weights[v] = load(w + v * VL);
    #pragma clang loop unroll(full)
    for (int i = 0; i < n; i++) {
      const vf value = splat(x[i * x_step + k]);
      for (int v = 0; v < vectors; v++) acc[i][v] += weights[v] * value;
    }
  }
  #pragma clang loop unroll(full)
  for (int i = 0; i < n; i++)
    for (int v = 0; v < vectors; v++) store(out + i * out_step + v * VL, acc[i][v]);
}

// All samples by one panel, which stays in the nearest cache.
INLINE void panel_samples(const float *w, ptrdiff_t depth, const float *x, ptrdiff_t x_step, ptrdiff_t samples, const int vectors,
                          int adds, float *out, ptrdiff_t out_step) {
  ptrdiff_t i = 0;
  for (; i + SAMPLES <= samples; i += SAMPLES)
    samples_panel(w, depth, x + i * x_step, x_step, SAMPLES, vectors, adds, out + i * out_step, out_step);
  for (; i < samples; i++) samples_panel(w, depth, x + i * x_step, x_step, 1, vectors, adds, out + i * out_step, out_step);
}

void NAME(multiply_samples)(const float *packed, ptrdiff_t outputs, ptrdiff_t depth, const float *x, ptrdiff_t x_step,
                            ptrdiff_t samples, int adds, float *out, ptrdiff_t out_step) {
  ptrdiff_t output = 0;
  for (; output + 2 * VL <= outputs; output += 2 * VL, packed += 2 * VL * depth)
    panel_samples(packed, depth, x, x_step, samples, 2, adds, out + output, out_step);
  if (output < outputs) panel_samples(packed, depth, x, x_step, samples, 1, adds, out + output, out_step);
}
