// One unperturbed model on the packed weights: 12 packed rows are three vectors of 4. For evaluation, where a single
// state runs through the whole text and the weights are read once a token.

// out[12] of `group` blocks from `block`: start + W·x, x given in up to two parts.
INLINE void sequence_rows(const float *w, ptrdiff_t block_size, int group, const float *const parts[2],
                          const ptrdiff_t counts[2], v4 acc[4][3]) {
  for (int s = 0; s < 2; s++) {
    for (ptrdiff_t k = 0; k < counts[s]; k++, w += LZ_BLOCK) {
      const v4 x = (v4)(parts[s][k]);
      #pragma clang loop unroll(full)
      for (int b = 0; b < 4; b++) {
        if (b >= group) break;
        #pragma clang loop unroll(full)
        for (int j = 0; j < 3; j++) acc[b][j] += load4(w + b * block_size + 4 * j) * x;
      }
    }
  }
}

INLINE void sequence_product(const float *w, ptrdiff_t block_size, const float *start, ptrdiff_t blocks, const float *const parts[2],
                             const ptrdiff_t counts[2], float *out) {
  ptrdiff_t block = 0;
  while (block < blocks) {
    const int group = blocks - block >= 4 ? 4 : 1;
    v4 acc[4][3];
    for (int b = 0; b < group; b++)
      for (int j = 0; j < 3; j++) acc[b][j] = load4(start + (block + b) * LZ_BLOCK + 4 * j);
    if (group == 4) sequence_rows(w + block * block_size, block_size, 4, parts, counts, acc);
    else sequence_rows(w + block * block_size, block_size, 1, parts, counts, acc);
    for (int b = 0; b < group; b++)
      for (int j = 0; j < 3; j++) store4(out + (block + b) * LZ_BLOCK + 4 * j, acc[b][j]);
    block += group;
  }
}

// The units of one head. `asides`: those of the units, `step` floats apart, or null; `scalars`: theirs, unless they are late biases.
static void sequence_units(const lz_stage *g, const float *gates, const float *asides, ptrdiff_t step, const float *scalars, float *h) {
  const ptrdiff_t rows = g->rows, states = g->states, own = g->aside == LZ_LATE ? 0 : g->scalars;
  for (ptrdiff_t u = 0; u < g->head; u += VL) {
    float lanes[LZ_MAX_ROWS + LZ_MAX_SCALARS][VL] __attribute__((aligned(64))) = {{0}}, aside[VL] __attribute__((aligned(64))) = {0};
    float state[LZ_MAX_STATES][VL] __attribute__((aligned(64))) = {{0}};
    const int count = g->head - u < VL ? (int)(g->head - u) : VL;
    for (int i = 0; i < count; i++) {
      for (ptrdiff_t s = 0; s < states; s++) state[s][i] = h[s * g->padded + u + i];
      for (ptrdiff_t r = 0; r < rows; r++) lanes[r][i] = gates[rows * (u + i) + r];
      for (ptrdiff_t k = 0; k < own; k++) lanes[rows + k][i] = scalars[own * (u + i) + k];
      if (asides) aside[i] = asides[(u + i) * step];
    }
    vf a[LZ_MAX_ROWS + LZ_MAX_SCALARS], before[LZ_MAX_STATES], after[LZ_MAX_STATES];
    for (ptrdiff_t r = 0; r < rows + own; r++) a[r] = load(lanes[r]);
    for (ptrdiff_t s = 0; s < states; s++) before[s] = load(state[s]);
    NAME(cells)[g->shape.cell].one(a, load(aside), before, after);
    for (int i = 0; i < count; i++)
      for (ptrdiff_t s = 0; s < states; s++) h[s * g->padded + u + i] = after[s][i];
  }
}

// One head of one stage, one token. `start`: what rows begin with, of the first stage what the token adds; `below`, `second` and
// `other` as in population.h.
static void sequence_head(const lz_stage *g, const float *weights, ptrdiff_t head, const float *start, const float *below,
                          const float *second, const float *other, float *h, float *gates) {
  const ptrdiff_t block_size = g->inputs * LZ_BLOCK, rows = g->rows;
  const float *w = weights + g->w_kernel + head * g->head_gates * g->inputs;
  const float *scalars = weights + g->w_scalars + head * g->head_blocks * g->block_units * g->scalars;
  start += head * g->head_gates;
  if (g->aside != LZ_LATE) {
    const float *const last = second ? second : h, *const parts[2] = {below ? below : last, last};
    const ptrdiff_t own = second ? g->second : g->own ? g->head : 0, counts[2] = {below ? g->below : own, below ? own : 0};
    sequence_product(w, block_size, start, g->head_blocks, parts, counts, gates);
    sequence_units(g, gates, other, 1, scalars, h);
    return;
  }
  // What comes from below stays apart; early rows of the own state's product begin with it, late ones with their bias.
  float *own = gates + (g->head_gates + 15) / 16 * 16;
  const float *asides = start;
  if (below) {
    const float *const parts[2] = {below, 0};
    const ptrdiff_t counts[2] = {g->below, 0};
    sequence_product(w, block_size, start, g->head_blocks, parts, counts, gates);
    asides = gates;
  }
  memcpy(own, asides, sizeof(float) * (size_t)g->head_gates);
  for (ptrdiff_t u = 0; u < g->head; u++) own[rows * u + rows - 1] = scalars[u];
  const float *const parts[2] = {h, 0};
  const ptrdiff_t counts[2] = {g->head, 0};
  sequence_product(w + g->below * LZ_BLOCK, block_size, own, g->head_blocks, parts, counts, own);
  sequence_units(g, own, asides + rows - 1, rows, scalars, h);
}

// start + W·x for rows that lie as they are, [rows][n]: columns of 4 × 4 transposes, so that every sum is the chain that it is for
// packed rows.
static void plain_product(const float *w, const float *start, ptrdiff_t rows, ptrdiff_t n, const float *x, float *out) {
  for (ptrdiff_t first = 0; first < rows; first += LZ_BLOCK) {
    const float *from[LZ_BLOCK];
    v4 acc[LZ_BLOCK / 4];
    for (ptrdiff_t j = 0; j < LZ_BLOCK; j++) {
      const ptrdiff_t row = first + j < rows ? first + j : rows - 1;
      from[j] = w + row * n, acc[j / 4][j % 4] = start[row];
    }
    const ptrdiff_t whole = n / 4 * 4;
    for (ptrdiff_t k = 0; k < whole; k += 4)
      #pragma clang loop unroll(full)
      for (int b = 0; b < LZ_BLOCK / 4; b++) {
        v4 m[4];
        for (int i = 0; i < 4; i++) m[i] = load4(from[4 * b + i] + k);
        transpose4(m);
        for (int i = 0; i < 4; i++) acc[b] += m[i] * (v4)(x[k + i]);
      }
    for (ptrdiff_t k = whole; k < n; k++)
      for (int b = 0; b < LZ_BLOCK / 4; b++) {
        const v4 m = {from[4 * b][k], from[4 * b + 1][k], from[4 * b + 2][k], from[4 * b + 3][k]};
        acc[b] += m * (v4)(x[k]);
      }
    for (ptrdiff_t j = 0; j < LZ_BLOCK && first + j < rows; j++) out[first + j] = acc[j / 4][j % 4];
  }
}

// A stage without rows; `room` is a memory's.
static void sequence_rowless(const lz_layout *l, const lz_stage *g, const float *weights, float *state, float *room) {
  const lz_stage *other = &l->stage[g->shape.other], *second = g->shape.second < 0 ? 0 : &l->stage[g->shape.second];
  const float *x = state + other->state, *scalars = weights + g->w_scalars;
  float *h = state + g->state, *memory = h + g->states * g->padded;
  if (g->shape.cell == LZ_NORM) {
    const float factor = NAME(norm_of)(x, g->units);
    for (ptrdiff_t u = 0; u < g->units; u++) h[u] = x[u] * factor;
  } else if (g->shape.cell == LZ_LAYER_NORM) {
    const norm_input in = {{x, second ? state + second->state : x}, {other->units, second ? second->units : 0}};
    NAME(layer_norm)(&in, scalars, h);
  } else {
    const lz_memory m = {g->shape.slots, g->head, g->shape.heads, scalars};
    NAME(memory_step)(&m, x, memory, memory, h, room);
  }
}

// `tokens`: room for a token's row where the table lies as it is.
static void sequence_stage(const lz_layout *l, int stage, const float *weights, const lz_plain *plain, uint32_t token, float *state,
                           float *gates, float *tokens) {
  const lz_stage *g = &l->stage[stage];
  const float *start = weights + g->w_bias;
  if (stage == 0)
    start = l->shape.plain ? plain_row(l, plain, token, tokens) : weights + l->w_table + (ptrdiff_t)token * l->gate_stride;
  const float *below = g->shape.below < 0 ? 0 : state + l->stage[g->shape.below].state;
  const float *second = g->shape.second < 0 ? 0 : state + l->stage[g->shape.second].state;
  const float *other = g->shape.other < 0 ? 0 : state + l->stage[g->shape.other].state;
  for (ptrdiff_t head = 0; head < g->shape.heads; head++) {
    const ptrdiff_t first = head * g->head;
    sequence_head(g, weights, head, start, below, second, other ? other + first : 0, state + g->state + first, gates);
  }
}

void NAME(run_sequence)(const lz_layout *l, const float *weights, const lz_plain *plain, float *state,
                        const uint32_t *tokens, int64_t count, double *loss, float *losses, uint8_t *hits, float *scratch) {
  const ptrdiff_t H = l->top, rows = l->readout_blocks * LZ_BLOCK;
  float *gates = scratch, *logits = scratch + 2 * ((l->head_gates + 15) / 16 * 16), *row = logits + (rows + 15) / 16 * 16;
  for (int64_t token = 0; token < count; token++) {
    for (int stage = 0; stage < l->shape.stages; stage++)
      if (l->stage[stage].rows) sequence_stage(l, stage, weights, plain, tokens[token] & LZ_ID, state, gates, row);
      else sequence_rowless(l, &l->stage[stage], weights, state, row + (l->shape.plain ? l->gate_stride : 0));
    const uint32_t target = tokens[token + 1];
    if (target & LZ_MARK) {
      if (losses) losses[token] = 0;
      if (hits) hits[token] = 0;
      continue;
    }
    const float *const parts[2] = {state + l->stage[l->shape.stages - 1].state, 0};
    const ptrdiff_t counts[2] = {H, 0};
    const ptrdiff_t V = l->shape.vocabulary, filled = l->shape.plain ? V : rows;
    if (l->shape.plain) plain_product(plain->readout, plain->readout_bias, V, H, parts[0], logits);
    else sequence_product(weights + l->w_readout, H * LZ_BLOCK, weights + l->w_readout_bias, l->readout_blocks, parts, counts, logits);
    for (ptrdiff_t r = filled; r < (rows + VL - 1) / VL * VL; r++) logits[r] = LZ_LOWEST;
    vf top = splat(LZ_LOWEST), sum = splat(0);
    for (ptrdiff_t r = 0; r < rows; r += VL) top = at_least(top, load(logits + r));
    float maximum = LZ_LOWEST;
    for (int i = 0; i < VL; i++) maximum = top[i] < maximum ? maximum : top[i];
    for (ptrdiff_t r = 0; r < rows; r += VL) sum += exp_negative(load(logits + r) - splat(maximum));
    float total = 0;
    for (int i = 0; i < VL; i++) total += sum[i];
    const vf normalizer = splat(maximum) + log_positive(splat(total));
    const float own = normalizer[0] - logits[target];
    *loss += (double)own;
    if (losses) losses[token] = own;
    if (hits) {
      ptrdiff_t first = 0;
      while (first < rows && logits[first] != maximum) first++;
      hits[token] = first == (ptrdiff_t)target;
    }
  }
}
