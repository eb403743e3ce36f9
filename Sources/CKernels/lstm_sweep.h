// Forward and backward sweeps of an LSTM over a tape, for one vector width; see include/sweep.h for the layouts.
//
// The only heavy part is `multiply`: 4 vectors of rows × a few streams stay in registers while k runs. A sum over k is one
// chain in the order of k, whatever stands beside it: that is what makes recomputed tapes equal bit for bit.

#define GROUP (VL == 16 ? 6 : VL == 8 ? 3 : 2) // streams at once: as many as the registers hold

#if VL == 16
#define EVENS(a, b) __builtin_shufflevector(a, b, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30)
#define ODDS(a, b) __builtin_shufflevector(a, b, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31)
#define ZIP_LOW(a, b) __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23)
#define ZIP_HIGH(a, b) __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31)
#elif VL == 8
#define EVENS(a, b) __builtin_shufflevector(a, b, 0, 2, 4, 6, 8, 10, 12, 14)
#define ODDS(a, b) __builtin_shufflevector(a, b, 1, 3, 5, 7, 9, 11, 13, 15)
#define ZIP_LOW(a, b) __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11)
#define ZIP_HIGH(a, b) __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15)
#else
#define EVENS(a, b) __builtin_shufflevector(a, b, 0, 2, 4, 6)
#define ODDS(a, b) __builtin_shufflevector(a, b, 1, 3, 5, 7)
#define ZIP_LOW(a, b) __builtin_shufflevector(a, b, 0, 4, 1, 5)
#define ZIP_HIGH(a, b) __builtin_shufflevector(a, b, 2, 6, 3, 7)
#endif

// Rows 4u + g, as they lie in the parameters, to one vector a gate; and back.
INLINE void split_gates(const vf rows[4], vf gates[4]) {
  const vf even_low = EVENS(rows[0], rows[1]), even_high = EVENS(rows[2], rows[3]);
  const vf odd_low = ODDS(rows[0], rows[1]), odd_high = ODDS(rows[2], rows[3]);
  gates[0] = EVENS(even_low, even_high), gates[2] = ODDS(even_low, even_high);
  gates[1] = EVENS(odd_low, odd_high), gates[3] = ODDS(odd_low, odd_high);
}

INLINE void join_gates(const vf gates[4], vf rows[4]) {
  const vf ig_low = ZIP_LOW(gates[0], gates[2]), ig_high = ZIP_HIGH(gates[0], gates[2]);
  const vf fo_low = ZIP_LOW(gates[1], gates[3]), fo_high = ZIP_HIGH(gates[1], gates[3]);
  rows[0] = ZIP_LOW(ig_low, fo_low), rows[1] = ZIP_HIGH(ig_low, fo_low);
  rows[2] = ZIP_LOW(ig_high, fo_high), rows[3] = ZIP_HIGH(ig_high, fo_high);
}

// 4·VL gate rows from row `first` of a vector of `rows`; 0 behind its end.
INLINE void load_gates(const float *from, ptrdiff_t first, ptrdiff_t rows, vf gates[4]) {
  vf parts[4];
  if (first + 4 * VL <= rows) {
    for (int i = 0; i < 4; i++) parts[i] = load_any(from + first + i * VL);
  } else {
    for (int i = 0; i < 4; i++) parts[i] = splat(0);
    for (ptrdiff_t i = 0; i < rows - first; i++) parts[i / VL][i % VL] = from[first + i];
  }
  split_gates(parts, gates);
}

// acc[n] += w[k]·x_n[k], w being [count][4][VL]; x_n are `stride` floats apart.
INLINE void multiply(const float *w, const float *x, ptrdiff_t stride, const int n, ptrdiff_t count, vf acc[GROUP][4]) {
  for (ptrdiff_t k = 0; k < count; k++, w += 4 * VL) {
    const vf w0 = load(w), w1 = load(w + VL), w2 = load(w + 2 * VL), w3 = load(w + 3 * VL);
    #pragma clang loop unroll(full)
    for (int i = 0; i < n; i++) {
      const vf value = splat(x[i * stride + k]);
      acc[i][0] += w0 * value;
      acc[i][1] += w1 * value;
      acc[i][2] += w2 * value;
      acc[i][3] += w3 * value;
    }
  }
}

// One division for four gates: the denominators lie in 1 … 420, so their product is far from overflow.
INLINE void activate(vf gates[4]) {
  const ratio i = sigmoid_ratio(gates[0]), f = sigmoid_ratio(gates[1]), g = tanh_ratio(gates[2]);
  const ratio o = sigmoid_ratio(gates[3]);
  const vf first = i.q * f.q, second = g.q * o.q;
  const vf inverse = splat(1) / (first * second);
  const vf by_first = inverse * second, by_second = inverse * first;
  gates[0] = i.p * (by_first * f.q);
  gates[1] = f.p * (by_first * i.q);
  gates[2] = g.p * (by_second * o.q);
  gates[3] = o.p * (by_second * g.q);
}

INLINE vf tanh_value(vf x) {
  const ratio t = tanh_ratio(x);
  return t.p / t.q;
}

// One layer, one token.
typedef struct {
  const lz_sweep *sweep;
  const lz_sweep_layer *layer;
  const uint32_t *tokens; // [B]; null above the first layer
  const float *below;     // [B][U]; null for the first layer
  ptrdiff_t slot;
  int keep;
} token_step;

// VL units of n streams from `column`.
INLINE void forward_group(const token_step *t, ptrdiff_t block, ptrdiff_t column, const int n) {
  const lz_sweep *s = t->sweep;
  const lz_sweep_layer *l = t->layer;
  const ptrdiff_t hidden = s->hidden, units = s->units, first = 4 * VL * block;
  const ptrdiff_t row = t->slot * s->streams + column;
  vf acc[GROUP][4], bias[4];
  load_gates(l->bias, first, 4 * hidden, bias);
  #pragma clang loop unroll(full)
  for (int i = 0; i < n; i++) {
    if (t->tokens) {
      load_gates(s->table + (ptrdiff_t)(t->tokens[column + i] & LZ_ID) * 4 * hidden, first, 4 * hidden, acc[i]);
      for (int g = 0; g < 4; g++) acc[i][g] += bias[g];
    } else {
      for (int g = 0; g < 4; g++) acc[i][g] = bias[g];
    }
  }
  const float *w = l->forward + first * l->inputs;
  if (t->below) {
    multiply(w, t->below + column * units, units, n, hidden, acc);
    w += 4 * VL * hidden;
  }
  multiply(w, l->h + row * units, units, n, hidden, acc);
  #pragma clang loop unroll(full)
  for (int i = 0; i < n; i++) {
    const ptrdiff_t now = (row + i) * units + block * VL, next = now + s->streams * units;
    activate(acc[i]);
    if (t->keep)
      for (int g = 0; g < 4; g++) store(l->gates + (row + i) * 4 * units + first + g * VL, acc[i][g]);
    const vf c = acc[i][1] * load(l->c + now) + acc[i][0] * acc[i][2];
    store(l->c + next, c);
    store(l->h + next, acc[i][3] * tanh_value(c));
  }
}

// 4·VL outputs of Wᵀ·∂gates for n streams from `column`.
INLINE void backward_group(const token_step *t, ptrdiff_t block, ptrdiff_t column, const int n) {
  const lz_sweep *s = t->sweep;
  const lz_sweep_layer *l = t->layer;
  const ptrdiff_t outputs = l->inputs / s->hidden * s->units;
  vf acc[GROUP][4];
  for (int i = 0; i < n; i++)
    for (int j = 0; j < 4; j++) acc[i][j] = splat(0);
  multiply(l->backward + block * 4 * s->hidden * 4 * VL, l->gates + (t->slot * s->streams + column) * 4 * s->units,
           4 * s->units, n, 4 * s->hidden, acc);
  for (int i = 0; i < n; i++) {
    float *to = l->input_adjoint + (column + i) * outputs + block * 4 * VL;
    for (int j = 0; j < 4; j++)
      if ((block * 4 + j) * VL < outputs) store(to + j * VL, acc[i][j]);
  }
}

// The streams in groups of nearly equal size; every size has its own code.
#define EACH_GROUP(function, blocks)                                                                                  \
  const ptrdiff_t groups = (columns + GROUP - 1) / GROUP;                                                            \
  for (ptrdiff_t block = 0; block < (blocks); block++)                                                               \
    for (ptrdiff_t group = 0; group < groups; group++) {                                                             \
      const ptrdiff_t from = columns * group / groups, size = columns * (group + 1) / groups - from;                 \
      switch (size) {                                                                                                \
      case 1: function(t, block, column + from, 1); break;                                                           \
      case 2: function(t, block, column + from, 2); break;                                                           \
      case 3: function(t, block, column + from, GROUP < 3 ? 1 : 3); break;                                           \
      case 4: function(t, block, column + from, GROUP < 4 ? 1 : 4); break;                                           \
      case 5: function(t, block, column + from, GROUP < 5 ? 1 : 5); break;                                           \
      case 6: function(t, block, column + from, GROUP < 6 ? 1 : 6); break;                                           \
      }                                                                                                              \
    }

static void NAME(forward_layer)(const token_step *t, ptrdiff_t column, ptrdiff_t columns) {
  EACH_GROUP(forward_group, t->sweep->units / VL)
}

static void NAME(backward_product)(const token_step *t, ptrdiff_t column, ptrdiff_t columns) {
  EACH_GROUP(backward_group, (t->layer->inputs / t->sweep->hidden * t->sweep->units + 4 * VL - 1) / (4 * VL))
}

// ∂gates of one stream from ∂h = a + b (b may be null) and the carried ∂c.
INLINE void gates_backward(const token_step *t, ptrdiff_t column, const float *a, const float *b) {
  const lz_sweep *s = t->sweep;
  const lz_sweep_layer *l = t->layer;
  const ptrdiff_t units = s->units, row = t->slot * s->streams + column;
  const vf one = splat(1);
  for (ptrdiff_t u = 0; u < units; u += VL) {
    float *at = l->gates + row * 4 * units + 4 * u;
    const vf i = load(at), f = load(at + VL), g = load(at + 2 * VL), o = load(at + 3 * VL);
    const vf before = load(l->c + row * units + u);
    const vf squashed = tanh_value(load(l->c + (row + s->streams) * units + u));
    const vf dh = b ? load(a + u) + load(b + u) : load(a + u);
    const vf dc = load(l->cell_adjoint + column * units + u) + dh * o * (one - squashed * squashed);
    const vf gates[4] = {dc * g * i * (one - i), dc * before * f * (one - f), dc * i * (one - g * g),
                         dh * squashed * o * (one - o)};
    vf rows[4];
    join_gates(gates, rows);
    for (int j = 0; j < 4; j++) store(at + j * VL, rows[j]);
    store(l->cell_adjoint + column * units + u, dc * f);
  }
}

void NAME(sweep_forward)(const lz_sweep *s, const uint32_t *tokens, ptrdiff_t first, ptrdiff_t count, int keep,
                         ptrdiff_t column, ptrdiff_t columns) {
  for (ptrdiff_t i = 0; i < count; i++)
    for (ptrdiff_t layer = 0; layer < s->layers; layer++) {
      const token_step t = {
        .sweep = s, .layer = s->layer + layer, .tokens = layer ? NULL : tokens + i * s->streams,
        .below = layer ? s->layer[layer - 1].h + (first + i + 1) * s->streams * s->units : NULL,
        .slot = first + i, .keep = keep};
      NAME(forward_layer)(&t, column, columns);
    }
}

void NAME(sweep_backward)(const lz_sweep *s, const float *output_adjoint, ptrdiff_t first, ptrdiff_t count,
                          ptrdiff_t column, ptrdiff_t columns) {
  const ptrdiff_t units = s->units;
  for (ptrdiff_t i = count - 1; i >= 0; i--)
    for (ptrdiff_t layer = s->layers - 1; layer >= 0; layer--) {
      const token_step t = {.sweep = s, .layer = s->layer + layer, .slot = first + i};
      for (ptrdiff_t b = column; b < column + columns; b++) {
        // what the next token handed back, and what reads h at this token: the layer above or the readout
        const float *own = layer ? t.layer->input_adjoint + (2 * b + 1) * units : t.layer->input_adjoint + b * units;
        const float *above = layer + 1 < s->layers ? s->layer[layer + 1].input_adjoint + 2 * b * units
                                                   : output_adjoint + (i * s->streams + b) * units;
        gates_backward(&t, b, own, above);
      }
      NAME(backward_product)(&t, column, columns);
    }
}
#undef EACH_GROUP
