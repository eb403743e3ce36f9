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

// The units of one head. `asides`: late rows from below, one every G; else null.
static void sequence_units(const lz_layout *l, const float *gates, const float *asides, float *h) {
  const ptrdiff_t rows = l->rows, states = l->states;
  for (ptrdiff_t u = 0; u < l->head; u += VL) {
    float lanes[LZ_MAX_ROWS][VL] __attribute__((aligned(64))) = {{0}}, aside[VL] __attribute__((aligned(64))) = {0};
    float state[LZ_MAX_STATES][VL] __attribute__((aligned(64))) = {{0}};
    const int count = l->head - u < VL ? (int)(l->head - u) : VL;
    for (int i = 0; i < count; i++) {
      for (ptrdiff_t s = 0; s < states; s++) state[s][i] = h[s * l->units + u + i];
      for (ptrdiff_t r = 0; r < rows; r++) lanes[r][i] = gates[rows * (u + i) + r];
      if (asides) aside[i] = asides[rows * (u + i) + rows - 1];
    }
    vf a[LZ_MAX_ROWS], before[LZ_MAX_STATES], after[LZ_MAX_STATES];
    for (ptrdiff_t r = 0; r < rows; r++) a[r] = load(lanes[r]);
    for (ptrdiff_t s = 0; s < states; s++) before[s] = load(state[s]);
    NAME(cells)[l->shape.cell].one(a, load(aside), before, after);
    for (int i = 0; i < count; i++)
      for (ptrdiff_t s = 0; s < states; s++) h[s * l->units + u + i] = after[s][i];
  }
}

// One head of one layer, one token. `below` is null for the first layer, whose start holds what the token adds.
static void sequence_head(const lz_layout *l, const float *weights, int layer, ptrdiff_t head, const float *start,
                          const float *below, float *h, float *gates) {
  const ptrdiff_t block_size = l->inputs[layer] * LZ_BLOCK, below_count = below ? l->shape.hidden : 0, rows = l->rows;
  const float *w = weights + l->w_kernel[layer] + head * l->head_gates * l->inputs[layer];
  start += head * l->head_gates;
  if (!l->late) {
    const float *const parts[2] = {below ? below : h, h};
    const ptrdiff_t counts[2] = {below ? below_count : l->head, below ? l->head : 0};
    sequence_product(w, block_size, start, l->head_blocks, parts, counts, gates);
    sequence_units(l, gates, 0, h);
    return;
  }
  // What comes from below stays apart; early rows of the own state's product begin with it, late ones with their bias.
  float *own = gates + (l->head_gates + 15) / 16 * 16;
  const float *asides = start;
  if (below) {
    const float *const parts[2] = {below, 0};
    const ptrdiff_t counts[2] = {below_count, 0};
    sequence_product(w, block_size, start, l->head_blocks, parts, counts, gates);
    asides = gates;
  }
  memcpy(own, asides, sizeof(float) * (size_t)l->head_gates);
  const float *late = weights + l->w_late[layer] + head * l->head_blocks * l->block_units;
  for (ptrdiff_t u = 0; u < l->head; u++) own[rows * u + rows - 1] = late[u];
  const float *const parts[2] = {h, 0};
  const ptrdiff_t counts[2] = {l->head, 0};
  sequence_product(w + below_count * LZ_BLOCK, block_size, own, l->head_blocks, parts, counts, own);
  sequence_units(l, own, asides, h);
}

void NAME(run_sequence)(const lz_layout *l, const float *weights, float *state, const uint32_t *tokens,
                        int64_t count, double *loss, float *losses, uint8_t *hits, float *scratch) {
  const ptrdiff_t H = l->shape.hidden, rows = l->readout_blocks * LZ_BLOCK;
  float *gates = scratch, *logits = scratch + (1 + l->late) * ((l->head_gates + 15) / 16 * 16);
  const ptrdiff_t layer_states = l->states * l->units;
  for (int64_t token = 0; token < count; token++) {
    for (int layer = 0; layer < l->shape.layers; layer++) {
      const float *start = layer == 0 ? weights + l->w_table + (ptrdiff_t)(tokens[token] & LZ_ID) * l->gate_stride
                                      : weights + l->w_bias[layer];
      const float *below = layer == 0 ? 0 : state + (layer - 1) * layer_states;
      for (ptrdiff_t head = 0; head < l->shape.heads; head++)
        sequence_head(l, weights, layer, head, start, below, state + layer * layer_states + head * l->head, gates);
    }
    const uint32_t target = tokens[token + 1];
    if (target & LZ_MARK) {
      if (losses) losses[token] = 0;
      if (hits) hits[token] = 0;
      continue;
    }
    const float *const parts[2] = {state + (l->shape.layers - 1) * layer_states, 0};
    const ptrdiff_t counts[2] = {H, 0};
    sequence_product(weights + l->w_readout, H * LZ_BLOCK, weights + l->w_readout_bias, l->readout_blocks, parts, counts, logits);
    for (ptrdiff_t r = rows; r < (rows + VL - 1) / VL * VL; r++) logits[r] = LZ_LOWEST;
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
