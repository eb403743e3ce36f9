// The memory of memory.h for one stream, elements of a slot side by side: evaluation's, and exact training's with the way back.

// The room that a step needs, in floats; lz_memory_room has their sum.
typedef struct {
  float *keys;         // [R + 1][D] g∘k, the write's last
  float *sums;         // [R + 1] Σ(g∘k)
  float *erase, *add;  // [D]
  float *weights;      // [N] a softmax
  float *slopes;       // [N] ∂ of it
  float *dkey, *derase, *dadd; // [D]
} memory_room;

INLINE memory_room memory_room_in(const lz_memory *m, float *room) {
  const ptrdiff_t width = (m->width + 15) / 16 * 16, slots = (m->slots + 15) / 16 * 16;
  memory_room r = {.keys = room};
  r.sums = r.keys + (m->heads + 1) * width;
  r.erase = r.sums + (m->heads + 16) / 16 * 16;
  r.add = r.erase + width;
  r.weights = r.add + width;
  r.slopes = r.weights + slots;
  r.dkey = r.slopes + slots;
  r.derase = r.dkey + width;
  r.dadd = r.derase + width;
  return r;
}

// g∘LN(k), `first` being its gain among the scalars of an element; its sum.
static float NAME(stream_key)(const lz_memory *m, const float *x, int first, float *restrict key) {
  const moments k = NAME(moments_of_one)(x, m->width);
  for (ptrdiff_t d = 0; d < m->width; d++) {
    const float *scalars = m->scalars + MEMORY_SCALARS * d;
    key[d] = ((x[d] - k.mean) * k.inverse * scalars[first] + scalars[first + 1]) * scalars[0];
  }
  return NAME(sum_of)(key, m->width);
}

static void NAME(stream_prepare)(const lz_memory *m, const memory_room *r, const float *x) {
  const ptrdiff_t width = (m->width + 15) / 16 * 16;
  for (ptrdiff_t head = 0; head <= m->heads; head++)
    r->sums[head] = NAME(stream_key)(m, x + head * m->width, head == m->heads ? 4 : 2, r->keys + head * width);
  const float *erase = x + (m->heads + 1) * m->width, *add = erase + m->width;
  for (ptrdiff_t d = 0; d < m->width; d += VL) {
    const ptrdiff_t lanes = m->width - d < VL ? m->width - d : VL;
    store(r->erase + d, sigmoid_value(load_some(erase + d, lanes)));
    store(r->add + d, tanh_value(load_some(add + d, lanes)));
  }
}

// softmax over slots of LN(M)·k
static void NAME(stream_address)(const lz_memory *m, const memory_room *r, const float *memory, ptrdiff_t head) {
  const float *key = r->keys + head * ((m->width + 15) / 16 * 16);
  float *weights = r->weights, total = 0, top = LZ_LOWEST;
  for (ptrdiff_t n = 0; n < m->slots; n++) {
    const moments slot = NAME(moments_of_one)(memory + n * m->width, m->width);
    weights[n] = NAME(product_about)(memory + n * m->width, slot.mean, key, 0, m->width) * slot.inverse;
    top = weights[n] < top ? top : weights[n];
  }
  for (ptrdiff_t n = 0; n < m->slots; n += VL) {
    const ptrdiff_t lanes = m->slots - n < VL ? m->slots - n : VL;
    store(weights + n, exp_negative(load_some(weights + n, lanes) - splat(top)));
  }
  total = NAME(sum_of)(weights, m->slots);
  for (ptrdiff_t n = 0; n < m->slots; n++) weights[n] /= total;
}

INLINE float stream_strength(const lz_memory *m, const float *x) {
  return sigmoid_value(splat(x[(m->heads + 3) * m->width]))[0];
}

// One token. `before` and `after` are [N][D] and may be the same.
void NAME(memory_step)(const lz_memory *m, const float *x, const float *before, float *after, float *reads, float *room) {
  const memory_room r = memory_room_in(m, room);
  NAME(stream_prepare)(m, &r, x);
  NAME(stream_address)(m, &r, before, m->heads);
  const float strength = stream_strength(m, x);
  for (ptrdiff_t n = 0; n < m->slots; n++) {
    const float w = strength * r.weights[n];
    for (ptrdiff_t d = 0; d < m->width; d++) {
      const float value = before[n * m->width + d];
      after[n * m->width + d] = value + w * (r.add[d] - r.erase[d] * value);
    }
  }
  for (ptrdiff_t head = 0; head < m->heads; head++) {
    NAME(stream_address)(m, &r, after, head);
    float *restrict to = reads + head * m->width;
    for (ptrdiff_t d = 0; d < m->width; d++) to[d] = 0;
    for (ptrdiff_t n = 0; n < m->slots; n++)
      for (ptrdiff_t d = 0; d < m->width; d++) to[d] += r.weights[n] * after[n * m->width + d];
  }
}

// From ∂ of a softmax over slots (r->slopes): added to ∂M, and ∂ of the key.
static void NAME(address_backward)(const lz_memory *m, const memory_room *r, const float *memory, ptrdiff_t head,
                                   float *restrict dmemory) {
  const ptrdiff_t width = m->width;
  const float *key = r->keys + head * ((width + 15) / 16 * 16), mean_key = r->sums[head] / (float)width;
  const float along = NAME(product_about)(r->weights, 0, r->slopes, 0, m->slots);
  float *restrict dkey = r->dkey;
  for (ptrdiff_t d = 0; d < width; d++) dkey[d] = 0;
  for (ptrdiff_t n = 0; n < m->slots; n++) {
    const float *row = memory + n * width, d_score = r->weights[n] * (r->slopes[n] - along);
    const moments slot = NAME(moments_of_one)(row, width);
    const float mean_product = NAME(product_about)(row, slot.mean, key, 0, width) * slot.inverse / (float)width;
    for (ptrdiff_t d = 0; d < width; d++) {
      const float hat = (row[d] - slot.mean) * slot.inverse;
      dkey[d] += d_score * hat;
      dmemory[n * width + d] += d_score * slot.inverse * (key[d] - mean_key - hat * mean_product);
    }
  }
}

// ∂ of the key's input, and of the scalars [D][6]; that of LN(M)'s gain is added to what is there.
static void NAME(key_backward)(const lz_memory *m, const memory_room *r, const float *x, int first, int adds, float *dx,
                               float *dscalars) {
  const moments k = NAME(moments_of_one)(x, m->width);
  float sum = 0, along = 0;
  for (ptrdiff_t d = 0; d < m->width; d++) {
    const float *scalars = m->scalars + MEMORY_SCALARS * d, hat = (x[d] - k.mean) * k.inverse;
    float *to = dscalars + MEMORY_SCALARS * d;
    const float dnormed = r->dkey[d] * scalars[0], dhat = dnormed * scalars[first];
    to[0] += r->dkey[d] * (hat * scalars[first] + scalars[first + 1]);
    to[first] = adds ? to[first] + dnormed * hat : dnormed * hat;
    to[first + 1] = adds ? to[first + 1] + dnormed : dnormed;
    sum += dhat;
    along += dhat * hat;
    dx[d] = dhat;
  }
  for (ptrdiff_t d = 0; d < m->width; d++)
    dx[d] = k.inverse * (dx[d] - sum / (float)m->width - (x[d] - k.mean) * k.inverse * (along / (float)m->width));
}

// The way back over a token: `dmemory` is ∂ of the memory after it, and becomes that of the memory before. ∂ of the interface, and of the
// scalars. The bias of LN(M) has none: all slots' scores have the same of it.
void NAME(memory_step_backward)(const lz_memory *m, const float *x, const float *before, const float *after,
                                       const float *dreads, float *restrict dmemory, float *restrict dx, float *dscalars, float *room) {
  const memory_room r = memory_room_in(m, room);
  const ptrdiff_t width = m->width;
  NAME(stream_prepare)(m, &r, x);
  for (ptrdiff_t i = 0; i < MEMORY_SCALARS * width; i++) dscalars[i] = 0;
  for (ptrdiff_t head = 0; head < m->heads; head++) {
    NAME(stream_address)(m, &r, after, head);
    const float *d_read = dreads + head * width;
    for (ptrdiff_t n = 0; n < m->slots; n++) {
      r.slopes[n] = NAME(product_about)(d_read, 0, after + n * width, 0, width);
      for (ptrdiff_t d = 0; d < width; d++) dmemory[n * width + d] += r.weights[n] * d_read[d];
    }
    NAME(address_backward)(m, &r, after, head, dmemory);
    NAME(key_backward)(m, &r, x + head * width, 2, head > 0, dx + head * width, dscalars);
  }
  NAME(stream_address)(m, &r, before, m->heads);
  const float strength = stream_strength(m, x);
  float *restrict derase = r.derase, *restrict dadd = r.dadd;
  for (ptrdiff_t d = 0; d < width; d++) derase[d] = dadd[d] = 0;
  for (ptrdiff_t n = 0; n < m->slots; n++) {
    const float *row = before + n * width, w = strength * r.weights[n];
    float *restrict d_row = dmemory + n * width;
    float slope = NAME(product_about)(d_row, 0, r.add, 0, width);
    for (ptrdiff_t d = 0; d < width; d++) {
      const float erased = d_row[d] * row[d];
      slope -= r.erase[d] * erased;
      derase[d] -= w * erased;
      dadd[d] += w * d_row[d];
      d_row[d] -= w * r.erase[d] * d_row[d];
    }
    r.slopes[n] = slope;
  }
  float *d_erase = dx + (m->heads + 1) * width, *d_add = d_erase + width;
  d_add[width] = NAME(product_about)(r.slopes, 0, r.weights, 0, m->slots) * strength * (1 - strength);
  for (ptrdiff_t d = 0; d < width; d++) {
    d_erase[d] = derase[d] * r.erase[d] * (1 - r.erase[d]);
    d_add[d] = dadd[d] * (1 - r.add[d] * r.add[d]);
  }
  for (ptrdiff_t n = 0; n < m->slots; n++) r.slopes[n] *= strength;
  NAME(address_backward)(m, &r, before, m->heads, dmemory);
  NAME(key_backward)(m, &r, x + m->heads * width, 4, 0, dx + m->heads * width, dscalars);
}
