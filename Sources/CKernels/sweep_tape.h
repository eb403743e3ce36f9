// Forward and backward sweeps of a recurrent network over a tape, for one vector width; see include/sweep.h for the layouts.
//
// The only heavy part is `multiply`: some vectors of rows × a few streams stay in registers while k runs. A sum over k is one
// chain in the order of k, whatever stands beside it: that is what makes recomputed tapes equal bit for bit.
//
// `rows` (a unit's), `late` and `n` (streams) are constants wherever they are passed; cells come in only where rows become states.

#define MOST 12 // streams at once
#define SUMS (VL == 16 ? 24 : VL == 8 ? 12 : 8) // vectors of sums: as many as the registers hold
#define GROUP(rows) (SUMS / (rows) < MOST ? SUMS / (rows) : MOST)

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

// The rows of VL units from row `first` of a vector of `count` to one vector a row of the unit; 0 behind its end.
INLINE void load_gates(const float *from, const int rows, ptrdiff_t first, ptrdiff_t count, vf *gates) {
  vf parts[LZ_MAX_ROWS];
  float own[LZ_MAX_ROWS * VL] __attribute__((aligned(64)));
  if (first + rows * VL <= count) {
    for (int i = 0; i < rows; i++) parts[i] = load_any(from + first + i * VL);
  } else {
    for (ptrdiff_t i = 0; i < rows * VL; i++) own[i] = i < count - first ? from[first + i] : 0;
    for (int i = 0; i < rows; i++) parts[i] = load(own + i * VL);
  }
  if (rows == 4) return split_gates(parts, gates);
  if (rows == 1) {
    gates[0] = parts[0];
    return;
  }
  if (rows == 2) {
    gates[0] = EVENS(parts[0], parts[1]), gates[1] = ODDS(parts[0], parts[1]);
    return;
  }
  for (int i = 0; i < rows; i++) store(own + i * VL, parts[i]);
  for (int i = 0; i < rows; i++)
    for (int lane = 0; lane < VL; lane++) gates[i][lane] = own[rows * lane + i];
}

// The same back, to rows that are there with their padding.
INLINE void store_gates(float *to, const int rows, const vf *gates) {
  vf parts[LZ_MAX_ROWS];
  if (rows == 4) {
    join_gates(gates, parts);
    for (int i = 0; i < 4; i++) store(to + i * VL, parts[i]);
    return;
  }
  if (rows == 1) return store(to, gates[0]);
  if (rows == 2) {
    store(to, ZIP_LOW(gates[0], gates[1])), store(to + VL, ZIP_HIGH(gates[0], gates[1]));
    return;
  }
  for (int i = 0; i < rows; i++)
    for (int lane = 0; lane < VL; lane++) to[rows * lane + i] = gates[i][lane];
}

// acc[n] += w[k]·x_n[k], w being [count][vectors][VL]; x_n are `stride` floats apart.
INLINE void multiply(const float *w, const float *x, ptrdiff_t stride, const int vectors, const int n, ptrdiff_t count,
                     vf (*acc)[LZ_MAX_ROWS]) {
  for (ptrdiff_t k = 0; k < count; k++, w += vectors * VL) {
    vf weights[LZ_MAX_ROWS];
    for (int v = 0; v < vectors; v++) weights[v] = load(w + v * VL);
    #pragma clang loop unroll(full)
    for (int i = 0; i < n; i++) {
      const vf value = splat(x[i * stride + k]);
      #pragma clang loop unroll(full)
      for (int v = 0; v < vectors; v++) acc[i][v] += weights[v] * value;
    }
  }
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
INLINE void forward_group(const token_step *t, const int rows, const int late, ptrdiff_t block, ptrdiff_t column, const int n) {
  const lz_sweep *s = t->sweep;
  const lz_sweep_layer *l = t->layer;
  const ptrdiff_t hidden = s->hidden, units = s->units, first = rows * VL * block, gates = rows * hidden;
  const ptrdiff_t row = t->slot * s->streams + column;
  vf acc[MOST][LZ_MAX_ROWS], bias[LZ_MAX_ROWS], asides[MOST];
  load_gates(l->bias, rows, first, gates, bias);
  #pragma clang loop unroll(full)
  for (int i = 0; i < n; i++) {
    if (s->prepared) {
      load_gates(l->gates + (row + i) * rows * units, rows, first, gates, acc[i]);
      for (int g = 0; g < rows; g++) acc[i][g] += bias[g];
    } else if (t->tokens) {
      load_gates(s->table + (ptrdiff_t)(t->tokens[column + i] & LZ_ID) * gates, rows, first, gates, acc[i]);
      for (int g = 0; g < rows; g++) acc[i][g] += bias[g];
    } else {
      for (int g = 0; g < rows; g++) acc[i][g] = bias[g];
    }
  }
  const float *w = l->forward + first * l->inputs;
  if (t->below) {
    multiply(w, t->below + column * units, units, rows, n, hidden, acc);
    w += rows * VL * hidden;
  }
  if (late) {
    vf start;
    load_gates(l->late_bias, 1, block * VL, hidden, &start);
    for (int i = 0; i < n; i++) asides[i] = acc[i][rows - 1], acc[i][rows - 1] = start;
  }
  multiply(w, l->h + row * units, units, rows, n, hidden, acc);
  const ptrdiff_t now = row * units + block * VL, next = now + s->streams * units;
  const stream_units result = {
    .rows = acc[0], .row_step = LZ_MAX_ROWS, .asides = asides, .aside_step = 1, .before = l->h + now, .after = l->h + next,
    .others_before = l->others + now, .others_after = l->others + next, .units = units, .state_step = l->others_step,
    .kept = t->keep ? l->gates + row * rows * units + first : NULL, .late = late ? l->late + row * rows * units + first : NULL,
    .streams = n};
  NAME(cells)[s->cell].streams(&result);
}

// 4·VL outputs of Wᵀ·∂gates of one part of the input for n streams from `column`. `block` counts through all parts.
INLINE void backward_group(const token_step *t, ptrdiff_t block, ptrdiff_t column, const int n) {
  const lz_sweep *s = t->sweep;
  const lz_sweep_layer *l = t->layer;
  const ptrdiff_t parts = l->inputs / s->hidden, of_part = (s->units + 4 * VL - 1) / (4 * VL), part = block / of_part;
  const ptrdiff_t rows = lz_sizes_of((lz_cell)s->cell).rows, gates = rows * s->hidden, unit = block % of_part * 4 * VL;
  const int is_own = part == parts - 1;
  const float *from = l->late && is_own ? l->late : l->gates;
  vf acc[MOST][LZ_MAX_ROWS];
  for (int i = 0; i < n; i++)
    for (int j = 0; j < 4; j++) {
      acc[i][j] = splat(0);
      if (l->direct && is_own && unit + j * VL < s->units) acc[i][j] = load(l->direct + (column + i) * s->units + unit + j * VL);
    }
  multiply(l->backward + block * gates * 4 * VL, from + (t->slot * s->streams + column) * rows * s->units, rows * s->units, 4, n,
           gates, acc);
  for (int i = 0; i < n; i++) {
    float *to = l->input_adjoint + ((column + i) * parts + part) * s->units + unit;
    for (int j = 0; j < 4; j++)
      if (unit + j * VL < s->units) store(to + j * VL, acc[i][j]);
  }
}

// The streams in groups of nearly equal size; every size has its own code.
#define SIZE(i, most, call) case i: call(i <= (most) ? i : 1); break;
#define EACH_GROUP(most, blocks, call)                                                                                \
  const ptrdiff_t groups = (columns + (most) - 1) / (most);                                                          \
  for (ptrdiff_t block = 0; block < (blocks); block++)                                                               \
    for (ptrdiff_t group = 0; group < groups; group++) {                                                             \
      const ptrdiff_t from = columns * group / groups, size = columns * (group + 1) / groups - from;                 \
      switch (size) {                                                                                                \
      SIZE(1, most, call) SIZE(2, most, call) SIZE(3, most, call) SIZE(4, most, call) SIZE(5, most, call)            \
      SIZE(6, most, call) SIZE(7, most, call) SIZE(8, most, call) SIZE(9, most, call) SIZE(10, most, call)           \
      SIZE(11, most, call) SIZE(12, most, call)                                                                      \
      }                                                                                                              \
    }

static void NAME(forward_layer)(const token_step *t, ptrdiff_t column, ptrdiff_t columns) {
  #define FORWARD(n) forward_group(t, 4, 0, block, column + from, n)
  EACH_GROUP(GROUP(4), t->sweep->units / VL, FORWARD)
  #undef FORWARD
}

static void NAME(forward_layer_late)(const token_step *t, ptrdiff_t column, ptrdiff_t columns) {
  #define FORWARD(n) forward_group(t, LATE_ROWS, 1, block, column + from, n)
  EACH_GROUP(GROUP(LATE_ROWS), t->sweep->units / VL, FORWARD)
  #undef FORWARD
}

static void NAME(forward_layer_one)(const token_step *t, ptrdiff_t column, ptrdiff_t columns) {
  #define FORWARD(n) forward_group(t, 1, 0, block, column + from, n)
  EACH_GROUP(GROUP(1), t->sweep->units / VL, FORWARD)
  #undef FORWARD
}

static void NAME(backward_product)(const token_step *t, ptrdiff_t column, ptrdiff_t columns) {
  #define BACKWARD(n) backward_group(t, block, column + from, n)
  EACH_GROUP(GROUP(4), t->layer->inputs / t->sweep->hidden * ((t->sweep->units + 4 * VL - 1) / (4 * VL)), BACKWARD)
  #undef BACKWARD
}

// ∂gates of one stream from ∂h = a + b (b may be null) and what is carried of the other states.
INLINE void gates_backward(const token_step *t, const int rows, const int late, ptrdiff_t column, const float *a, const float *b) {
  const lz_sweep *s = t->sweep;
  const lz_sweep_layer *l = t->layer;
  const ptrdiff_t units = s->units, row = t->slot * s->streams + column;
  for (ptrdiff_t u = 0; u < units; u += VL) {
    float *at = l->gates + row * rows * units + rows * u, *at_late = late ? l->late + row * rows * units + rows * u : NULL;
    const ptrdiff_t before = row * units + u, after = before + s->streams * units;
    vf kept[LZ_MAX_ROWS + 1], da[LZ_MAX_ROWS + 1];
    for (int r = 0; r < rows; r++) kept[r] = load(at + r * VL);
    if (late) kept[rows] = load(at_late + (rows - 1) * VL);
    const unit_backward unit = {
      .kept = kept, .before = l->h + before, .after = l->h + after, .others_before = l->others + before,
      .others_after = l->others + after, .state_step = l->others_step, .dh = b ? load(a + u) + load(b + u) : load(a + u),
      .others = l->state_adjoint + column * units + u, .others_step = s->streams * units,
      .direct = late ? l->direct + column * units + u : NULL, .rows = da};
    NAME(cells)[s->cell].backward(&unit);
    store_gates(at, rows, da);
    if (!late) continue;
    da[rows - 1] = da[rows];
    store_gates(at_late, rows, da);
  }
}

void NAME(sweep_forward)(const lz_sweep *s, const uint32_t *tokens, ptrdiff_t first, ptrdiff_t count, int keep,
                         ptrdiff_t column, ptrdiff_t columns) {
  const lz_cell_sizes sizes = lz_sizes_of((lz_cell)s->cell);
  for (ptrdiff_t i = 0; i < count; i++)
    for (ptrdiff_t layer = 0; layer < s->layers; layer++) {
      const token_step t = {
        .sweep = s, .layer = s->layer + layer, .tokens = layer || s->prepared ? NULL : tokens + i * s->streams,
        .below = layer ? s->layer[layer - 1].h + (first + i + 1) * s->streams * s->units : NULL,
        .slot = first + i, .keep = keep};
      if (sizes.aside == LZ_LATE) NAME(forward_layer_late)(&t, column, columns);
      else if (sizes.rows == 1) NAME(forward_layer_one)(&t, column, columns);
      else NAME(forward_layer)(&t, column, columns);
    }
}

void NAME(sweep_backward)(const lz_sweep *s, const float *output_adjoint, ptrdiff_t first, ptrdiff_t count,
                          ptrdiff_t column, ptrdiff_t columns) {
  const ptrdiff_t units = s->units;
  const lz_cell_sizes sizes = lz_sizes_of((lz_cell)s->cell);
  for (ptrdiff_t i = count - 1; i >= 0; i--)
    for (ptrdiff_t layer = s->layers - 1; layer >= 0; layer--) {
      const token_step t = {.sweep = s, .layer = s->layer + layer, .slot = first + i};
      for (ptrdiff_t b = column; b < column + columns; b++) {
        // what the next token handed back, and what reads h at this token: the layer above or the readout
        const float *own = layer ? t.layer->input_adjoint + (2 * b + 1) * units : t.layer->input_adjoint + b * units;
        const float *above = layer + 1 < s->layers ? s->layer[layer + 1].input_adjoint + 2 * b * units
                                                   : output_adjoint + (i * s->streams + b) * units;
        if (sizes.aside == LZ_LATE) gates_backward(&t, LATE_ROWS, 1, b, own, above);
        else if (sizes.rows == 1) gates_backward(&t, 1, 0, b, own, above);
        else gates_backward(&t, 4, 0, b, own, above);
      }
      NAME(backward_product)(&t, column, columns);
    }
}
#undef EACH_GROUP
#undef SIZE
