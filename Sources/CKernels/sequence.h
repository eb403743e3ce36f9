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

INLINE void sequence_product(const float *w, const float *start, ptrdiff_t blocks, const float *const parts[2],
                             const ptrdiff_t counts[2], float *out) {
  const ptrdiff_t block_size = (counts[0] + counts[1]) * LZ_BLOCK;
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

// The units of one head.
static void sequence_gates(ptrdiff_t units, const float *gates, float *c, float *h) {
  for (ptrdiff_t u = 0; u < units; u += VL) {
    float lanes[4][VL] __attribute__((aligned(64))) = {{0}}, cell[VL] __attribute__((aligned(64))) = {0};
    const int count = units - u < VL ? (int)(units - u) : VL;
    for (int i = 0; i < count; i++) {
      cell[i] = c[u + i];
      for (int g = 0; g < 4; g++) lanes[g][i] = gates[4 * (u + i) + g];
    }
    const vf in[4] = {load(lanes[0]), load(lanes[1]), load(lanes[2]), load(lanes[3])};
    vf new_c, new_h;
    lstm_unit(in, load(cell), &new_c, &new_h);
    for (int i = 0; i < count; i++) c[u + i] = new_c[i], h[u + i] = new_h[i];
  }
}

void NAME(run_sequence)(const lz_layout *l, const float *weights, float *state, const uint32_t *tokens,
                        int64_t count, double *loss, float *losses, uint8_t *hits, float *scratch) {
  const ptrdiff_t H = l->shape.hidden, rows = l->readout_blocks * LZ_BLOCK;
  float *gates = scratch, *logits = scratch + (l->head_gates + 15) / 16 * 16;
  for (int64_t token = 0; token < count; token++) {
    for (int layer = 0; layer < l->shape.layers; layer++) {
      const float *start = layer == 0 ? weights + l->w_table + (ptrdiff_t)(tokens[token] & LZ_ID) * l->gate_stride
                                      : weights + l->w_bias[layer];
      for (ptrdiff_t head = 0; head < l->shape.heads; head++) {
        float *h = state + layer * 2 * l->units + head * l->head;
        const float *const parts[2] = {layer == 0 ? h : state + (layer - 1) * 2 * l->units, h};
        const ptrdiff_t counts[2] = {layer == 0 ? l->head : H, layer == 0 ? 0 : l->head};
        sequence_product(weights + l->w_kernel[layer] + head * l->head_gates * l->inputs[layer],
                         start + head * l->head_gates, l->head_blocks, parts, counts, gates);
        sequence_gates(l->head, gates, h + l->units, h);
      }
    }
    const uint32_t target = tokens[token + 1];
    if (target & LZ_MARK) {
      if (losses) losses[token] = 0;
      if (hits) hits[token] = 0;
      continue;
    }
    const float *const parts[2] = {state + (l->shape.layers - 1) * 2 * l->units, 0};
    const ptrdiff_t counts[2] = {H, 0};
    sequence_product(weights + l->w_readout, weights + l->w_readout_bias, l->readout_blocks, parts, counts, logits);
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
