// Layer norms and memories as layer_norm.h and memory.h define them, in double. Included by reference.c only.

// g∘(x − mean)/sd + b, for scalars `first` and first + 1 of every `step`.
static void reference_layer_norm(const column *c, const float *weights, int stage, const double *x, ptrdiff_t count, ptrdiff_t step,
                                 ptrdiff_t first, double *out) {
  double mean = 0, variance = 0;
  for (ptrdiff_t i = 0; i < count; i++) mean += x[i] / (double)count;
  for (ptrdiff_t i = 0; i < count; i++) variance += (x[i] - mean) * (x[i] - mean) / (double)count;
  for (ptrdiff_t i = 0; i < count; i++)
    out[i] = (x[i] - mean) / sqrt(variance + 1e-5) * scalar(c, weights, stage, step * i + first)
             + scalar(c, weights, stage, step * i + first + 1);
}

static void advance_layer_norm(const column *c, const float *weights, int stage, double *state) {
  const lz_stage *s = &c->l->stage[stage];
  const ptrdiff_t first = c->l->stage[s->shape.other].units;
  double *x = malloc(sizeof(double) * (size_t)s->units);
  memcpy(x, h_of(c->l, state, s->shape.other), sizeof(double) * (size_t)first);
  if (s->shape.second >= 0) memcpy(x + first, h_of(c->l, state, s->shape.second), sizeof(double) * (size_t)(s->units - first));
  reference_layer_norm(c, weights, stage, x, s->units, 2, 0, state + s->state);
  free(x);
}

// softmax over slots of LN(M)·LN(key), whose gain is scalar `first` of an element.
static void reference_address(const column *c, const float *weights, int stage, const double *memory, const double *key, ptrdiff_t first,
                              double *out) {
  const lz_stage *s = &c->l->stage[stage];
  const ptrdiff_t width = s->head, slots = s->shape.slots;
  double *normed = malloc(sizeof(double) * (size_t)(2 * width)), *slot = normed + width, top = -INFINITY, total = 0;
  reference_layer_norm(c, weights, stage, key, width, 6, first, normed);
  for (ptrdiff_t n = 0; n < slots; n++) {
    reference_layer_norm(c, weights, stage, memory + n * width, width, 6, 0, slot);
    out[n] = 0;
    for (ptrdiff_t d = 0; d < width; d++) out[n] += slot[d] * normed[d];
    top = fmax(top, out[n]);
  }
  for (ptrdiff_t n = 0; n < slots; n++) total += out[n] = exp(out[n] - top);
  for (ptrdiff_t n = 0; n < slots; n++) out[n] /= total;
  free(normed);
}

static void advance_memory(const column *c, const float *weights, int stage, double *state) {
  const lz_stage *s = &c->l->stage[stage];
  const ptrdiff_t width = s->head, heads = s->shape.heads, slots = s->shape.slots;
  const double *x = h_of(c->l, state, s->shape.other), *erase = x + (heads + 1) * width, *add = erase + width;
  double *reads = state + s->state, *memory = reads + s->states * s->padded, *w = malloc(sizeof(double) * (size_t)slots);
  reference_address(c, weights, stage, memory, x + heads * width, 4, w);
  for (ptrdiff_t n = 0; n < slots; n++)
    for (ptrdiff_t d = 0; d < width; d++) {
      double *m = memory + n * width + d, written = real_sigmoid(add[width]) * w[n];
      *m = *m * (1 - written * real_sigmoid(erase[d])) + written * tanh(add[d]);
    }
  for (ptrdiff_t head = 0; head < heads; head++) {
    reference_address(c, weights, stage, memory, x + head * width, 2, w);
    for (ptrdiff_t d = 0; d < width; d++) {
      reads[head * width + d] = 0;
      for (ptrdiff_t n = 0; n < slots; n++) reads[head * width + d] += w[n] * memory[n * width + d];
    }
  }
  free(w);
}
