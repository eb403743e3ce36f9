// A memory of N slots of D numbers that is written and read by content (Graves et al. 2016, without links and usage): of each column
//
//   w = s·softmax(LN(M)·k_w),  M ← M∘(1 − w eᵀ) + w aᵀ,  reads_r = softmax(LN(M)·k_r)·M
//
// with the interface x, the h of another stage: k_r of R heads [R·D], k_w [D], and before their functions e (σ), a (tanh) [D] and s (σ).
// Keys are layer norms of their own; an element's six scalars are gain and bias of LN(M), of LN(k_r) and of LN(k_w).
//
// With m and 1/d a slot's mean and deviation, LN(M)·k = (M·(g∘k) − m·Σ(g∘k))/d + b·k: no normed copy is made. b·k is the same
// for all slots, and a softmax does not see it. A column's memory crosses from the caches twice: once for the scores of the write, and
// once to be written and read, for which the softmax of the read grows slot by slot.

#define MEMORY_SCALARS 6
#define HALVES (LZ_LANES / VL) // vectors of one sign's columns: a cache line

typedef struct {
  ptrdiff_t slots, width, heads; // N, D, R
  tile_scalars scalars;
  float *keys;   // [R + 1][D][32] g∘k, the write's last
  float *sums;   // [R + 1][32] Σ(g∘k)
  float *erase, *add; // [D][32]
  float *scores; // [N][32]
  float *top, *total; // [R][32] the greatest score so far, and Σ exp(score − it)
} memory_tile;

INLINE vf sigmoid_value(vf x) {
  const ratio r = sigmoid_ratio(x);
  return r.p / r.q;
}

// g∘LN(k) of one key, `first` being its gain among the scalars.
static void NAME(memory_key)(const memory_tile *m, const float *x, int first, float *key, float *sums) {
  const norm_input in = {{x, x}, {m->width, 0}};
  for (int column = 0; column < LZ_COLUMNS; column += VL) {
    const column_moments moments = moments_of_columns(&in, column);
    vf sum = splat(0);
    for (ptrdiff_t d = 0; d < m->width; d++) {
      const ptrdiff_t scalar = MEMORY_SCALARS * d;
      const vf hat = (load(x + d * LZ_COLUMNS + column) - moments.mean) * moments.inverse;
      const vf normed = hat * tile_scalar(&m->scalars, scalar + first, column) + tile_scalar(&m->scalars, scalar + first + 1, column);
      const vf value = normed * tile_scalar(&m->scalars, scalar, column);
      store(key + d * LZ_COLUMNS + column, value);
      sum += value;
    }
    store(sums + column, sum);
  }
}

// What a token's interface says, without s.
static void NAME(memory_prepare)(const memory_tile *m, const float *x) {
  const ptrdiff_t step = m->width * LZ_COLUMNS;
  for (ptrdiff_t r = 0; r <= m->heads; r++)
    NAME(memory_key)(m, x + r * step, r == m->heads ? 4 : 2, m->keys + r * step, m->sums + r * LZ_COLUMNS);
  const float *erase = x + (m->heads + 1) * step, *add = erase + step;
  for (ptrdiff_t i = 0; i < step; i += VL) {
    store(m->erase + i, sigmoid_value(load(erase + i)));
    store(m->add + i, tanh_value(load(add + i)));
  }
}

// A slot's score from its product with a key, and its moments about its first number.
INLINE vf memory_score(vf product, vf origin, vf sum, vf squares, vf key_sum, float width) {
  const vf apart = sum / splat(width), variance = at_least(squares / splat(width) - apart * apart, splat(0));
  return (product - (origin + apart) * key_sum) / __builtin_elementwise_sqrt(variance + splat(LAYER_NORM_EPSILON));
}

// The write's scores of `count` slots, 1 or 2, from their rows [D][32]; one sign's columns.
INLINE void memory_write_scores(const memory_tile *m, const float *rows, const int count, int half, float *scores) {
  const ptrdiff_t step = m->width * LZ_COLUMNS;
  const float *key = m->keys + m->heads * step + half;
  rows += half;
  vf product[2][HALVES], sum[2][HALVES], squares[2][HALVES];
  for (int n = 0; n < count; n++)
    for (int v = 0; v < HALVES; v++) product[n][v] = sum[n][v] = squares[n][v] = splat(0);
  for (ptrdiff_t at = 0; at < step; at += LZ_COLUMNS) {
    for (int n = 0; n < count; n++) __builtin_prefetch(rows + (count + n) * step + at);
    #pragma clang loop unroll(full)
    for (int v = 0; v < HALVES; v++) {
      const vf k = load(key + at + v * VL);
      #pragma clang loop unroll(full)
      for (int n = 0; n < count; n++) {
        const vf x = load(rows + n * step + at + v * VL), apart = x - load(rows + n * step + v * VL);
        product[n][v] += x * k;
        sum[n][v] += apart;
        squares[n][v] += apart * apart;
      }
    }
  }
  for (int n = 0; n < count; n++)
    for (int v = 0; v < HALVES; v++) {
      const vf key_sum = load(m->sums + m->heads * LZ_COLUMNS + half + v * VL), origin = load(rows + n * step + v * VL);
      store(scores + n * LZ_COLUMNS + half + v * VL,
            memory_score(product[n][v], origin, sum[n][v], squares[n][v], key_sum, (float)m->width));
    }
}

// The scores become weights: s·softmax.
static void NAME(memory_softmax)(const memory_tile *m, const float *strength) {
  for (int column = 0; column < LZ_COLUMNS; column += VL) {
    vf top = load(m->scores + column), total = splat(0);
    for (ptrdiff_t n = 1; n < m->slots; n++) top = at_least(top, load(m->scores + n * LZ_COLUMNS + column));
    for (ptrdiff_t n = 0; n < m->slots; n++) {
      const vf power = exp_negative(load(m->scores + n * LZ_COLUMNS + column) - top);
      store(m->scores + n * LZ_COLUMNS + column, power);
      total += power;
    }
    const vf factor = sigmoid_value(load(strength + column)) / total;
    for (ptrdiff_t n = 0; n < m->slots; n++)
      store(m->scores + n * LZ_COLUMNS + column, load(m->scores + n * LZ_COLUMNS + column) * factor);
  }
}

// Writes `count` slots; their moments about their first numbers.
INLINE void memory_write(const memory_tile *m, float *rows, const int count, int half, const float *weights, vf sum[2][HALVES],
                         vf squares[2][HALVES]) {
  const ptrdiff_t step = m->width * LZ_COLUMNS;
  const float *erase = m->erase + half, *add = m->add + half;
  rows += half;
  vf w[2][HALVES], origin[2][HALVES];
  for (int n = 0; n < count; n++)
    for (int v = 0; v < HALVES; v++) {
      const vf x = load(rows + n * step + v * VL);
      w[n][v] = load(weights + n * LZ_COLUMNS + half + v * VL);
      origin[n][v] = x + w[n][v] * (load(add + v * VL) - load(erase + v * VL) * x);
      sum[n][v] = squares[n][v] = splat(0);
    }
  for (ptrdiff_t at = 0; at < step; at += LZ_COLUMNS) {
    for (int n = 0; n < count; n++) __builtin_prefetch(rows + (count + n) * step + at, 1);
    #pragma clang loop unroll(full)
    for (int v = 0; v < HALVES; v++) {
      const vf e = load(erase + at + v * VL), a = load(add + at + v * VL);
      #pragma clang loop unroll(full)
      for (int n = 0; n < count; n++) {
        float *to = rows + n * step + at + v * VL;
        const vf x = load(to), next = x + w[n][v] * (a - e * x), apart = next - origin[n][v];
        store(to, next);
        sum[n][v] += apart;
        squares[n][v] += apart * apart;
      }
    }
  }
}

// Products of `count` slots with a head's key.
INLINE void memory_products(const memory_tile *m, const float *rows, const int count, int half, ptrdiff_t head,
                            vf product[2][HALVES]) {
  const ptrdiff_t step = m->width * LZ_COLUMNS;
  const float *key = m->keys + head * step + half;
  rows += half;
  vf sums[2][2][HALVES];
  for (int i = 0; i < 2; i++)
    for (int n = 0; n < count; n++)
      for (int v = 0; v < HALVES; v++) sums[i][n][v] = splat(0);
  ptrdiff_t at = 0;
  for (; at + LZ_COLUMNS < step; at += 2 * LZ_COLUMNS)
    #pragma clang loop unroll(full)
    for (int i = 0; i < 2; i++)
      for (int v = 0; v < HALVES; v++) {
        const vf k = load(key + at + i * LZ_COLUMNS + v * VL);
        for (int n = 0; n < count; n++) sums[i][n][v] += load(rows + n * step + at + i * LZ_COLUMNS + v * VL) * k;
      }
  for (int v = 0; v < HALVES; v++)
    for (int n = 0; n < count; n++) {
      if (at < step) sums[0][n][v] += load(rows + n * step + at + v * VL) * load(key + at + v * VL);
      product[n][v] = sums[0][n][v] + sums[1][n][v];
    }
}

// Adds `count` slots to what a head reads, for scores in units of the head's softmax so far.
INLINE void memory_read(const memory_tile *m, const float *rows, const int count, int half, ptrdiff_t head,
                        vf scores[2][HALVES], float *reads) {
  const ptrdiff_t step = m->width * LZ_COLUMNS;
  float *to = reads + head * step + half;
  rows += half;
  vf keep[HALVES];
  for (int v = 0; v < HALVES; v++) {
    float *const top = m->top + head * LZ_COLUMNS + half + v * VL, *const total = m->total + head * LZ_COLUMNS + half + v * VL;
    const vf before = load(top);
    vf now = before;
    for (int n = 0; n < count; n++) now = at_least(scores[n][v], now);
    keep[v] = exp_negative(before - now);
    vf sum = load(total) * keep[v];
    for (int n = 0; n < count; n++) sum += scores[n][v] = exp_negative(scores[n][v] - now);
    store(top, now);
    store(total, sum);
  }
  for (ptrdiff_t at = 0; at < step; at += LZ_COLUMNS)
    #pragma clang loop unroll(full)
    for (int v = 0; v < HALVES; v++) {
      vf sum = load(to + at + v * VL) * keep[v];
      #pragma clang loop unroll(full)
      for (int n = 0; n < count; n++) sum += scores[n][v] * load(rows + n * step + at + v * VL);
      store(to + at + v * VL, sum);
    }
}

// Writes and reads `count` slots.
INLINE void memory_slots(const memory_tile *m, float *rows, const int count, const float *weights, float *reads) {
  const ptrdiff_t step = m->width * LZ_COLUMNS;
  for (int half = 0; half < LZ_COLUMNS; half += LZ_LANES) {
    vf sum[2][HALVES], squares[2][HALVES], scores[2][HALVES];
    memory_write(m, rows, count, half, weights, sum, squares);
    for (ptrdiff_t head = 0; head < m->heads; head++) {
      memory_products(m, rows, count, half, head, scores);
      for (int v = 0; v < HALVES; v++) {
        const vf key_sum = load(m->sums + head * LZ_COLUMNS + half + v * VL);
        for (int n = 0; n < count; n++)
          scores[n][v] = memory_score(scores[n][v], load(rows + n * step + half + v * VL), sum[n][v], squares[n][v], key_sum,
                                      (float)m->width);
      }
      memory_read(m, rows, count, half, head, scores, reads);
    }
  }
}

// One token of a tile: memory [N][D][32], which is written, and reads [R·D][32].
static void NAME(memory_columns)(const memory_tile *m, const float *x, float *memory, float *reads) {
  const ptrdiff_t step = m->width * LZ_COLUMNS, slots = m->slots;
  NAME(memory_prepare)(m, x);
  ptrdiff_t n = 0;
  for (; n + 2 <= slots; n += 2)
    for (int half = 0; half < LZ_COLUMNS; half += LZ_LANES)
      memory_write_scores(m, memory + n * step, 2, half, m->scores + n * LZ_COLUMNS);
  for (int half = 0; n < slots && half < LZ_COLUMNS; half += LZ_LANES)
    memory_write_scores(m, memory + n * step, 1, half, m->scores + n * LZ_COLUMNS);
  NAME(memory_softmax)(m, x + (m->heads + 3) * step);
  for (ptrdiff_t i = 0; i < m->heads * LZ_COLUMNS; i += VL) {
    store(m->top + i, splat(LZ_LOWEST));
    store(m->total + i, splat(0));
  }
  memset(reads, 0, sizeof(float) * (size_t)(m->heads * step));
  for (n = 0; n + 2 <= slots; n += 2) memory_slots(m, memory + n * step, 2, m->scores + n * LZ_COLUMNS, reads);
  if (n < slots) memory_slots(m, memory + n * step, 1, m->scores + n * LZ_COLUMNS, reads);
  for (ptrdiff_t head = 0; head < m->heads; head++)
    for (int column = 0; column < LZ_COLUMNS; column += VL) {
      const vf factor = splat(1) / load(m->total + head * LZ_COLUMNS + column);
      for (ptrdiff_t d = 0; d < m->width; d++) {
        float *to = reads + head * step + d * LZ_COLUMNS + column;
        store(to, load(to) * factor);
      }
    }
}
