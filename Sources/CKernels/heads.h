// The population step head by head, for models of one stage whose weights exceed the caches: a head of a single stage reads no
// other head's state, so it can run through all tokens of a chunk while its weights stay in the cache, for all tiles. Weights
// then cross from memory once a chunk and not once a token and tile.
//
// Only the readout sees all heads: each group of heads adds its part of every logit, and what they add up to is read at the end.
// Rank-one directions, a readout that is perturbed. Included by the files that include population.h.

// A tile's working memory, cut from a thread's scratch as run_chunk does.
static tile tile_in(const lz_layout *l, const lz_chunk *ch, float *scratch) {
  const ptrdiff_t head_rows = (l->head_gates + 31) / 32 * 32;
  tile t = {.layout = l, .chunk = ch, .tokens = scratch};
  scratch += head_rows * LZ_COLUMNS;
  t.token_signs = (uint16_t *)scratch;
  t.next = scratch + head_rows / 2;
  return t;
}

// What every pair reads at a token of the chunk, and has to predict.
static void read_tokens(tile *t, int64_t token, uint32_t inputs[LZ_LANES], uint32_t targets[LZ_LANES]) {
  t->marked = 0;
  for (int p = 0; p < LZ_LANES; p++) {
    const uint32_t target = t->chunk->tokens[p][token + 1];
    inputs[p] = t->chunk->tokens[p][token] & LZ_ID, targets[p] = target & LZ_ID;
    t->marked |= (uint16_t)((target >> 31) << p);
  }
}

// A head's part of the logits [rows][32] of a tile and token, and of bᵀh of the readout's direction in the row behind them.
static void NAME(add_logits)(const lz_layout *l, const lz_chunk *ch, ptrdiff_t head, const float *h, float *logits) {
  const ptrdiff_t units = l->stage[0].head, block_size = l->top * LZ_BLOCK, rows = l->readout_blocks * LZ_BLOCK;
  const uint16_t *signs = ch->signs + l->s_readout_column + head * units;
  for (int lane = 0; lane < LZ_LANES; lane += VL) {
    for (ptrdiff_t row = 0; row < rows; row += 4) {
      const float *w = ch->weights + l->w_readout + row / LZ_BLOCK * block_size + head * units * LZ_BLOCK + row % LZ_BLOCK;
      float *to = logits + row * LZ_COLUMNS + lane;
      vf acc[4][2];
      for (int r = 0; r < 4; r++)
        for (int sign = 0; sign < 2; sign++) acc[r][sign] = load(to + r * LZ_COLUMNS + sign * LZ_LANES);
      for (ptrdiff_t k = 0; k < units; k++, w += LZ_BLOCK) {
        const vf plus = load(h + k * LZ_COLUMNS + lane), minus = load(h + k * LZ_COLUMNS + LZ_LANES + lane);
        #pragma clang loop unroll(full)
        for (int r = 0; r < 4; r++) {
          acc[r][0] += splat(w[r]) * plus;
          acc[r][1] += splat(w[r]) * minus;
        }
      }
      for (int r = 0; r < 4; r++)
        for (int sign = 0; sign < 2; sign++) store(to + r * LZ_COLUMNS + sign * LZ_LANES, acc[r][sign]);
    }
    for (int sign = 0; sign < 2; sign++) {
      float *sum = logits + rows * LZ_COLUMNS + sign * LZ_LANES + lane;
      vf total = load(sum);
      for (ptrdiff_t k = 0; k < units; k++) total += negated(load(h + k * LZ_COLUMNS + sign * LZ_LANES + lane), signs[k], lane);
      store(sum, total);
    }
  }
}

void NAME(run_heads)(const lz_layout *l, const lz_chunk *tiles, ptrdiff_t count, ptrdiff_t head, ptrdiff_t heads,
                     float *states, float *logits, float *scratch) {
  const lz_stage *g = &l->stage[0];
  const ptrdiff_t stride = lz_head_logits(l), half = g->head * LZ_COLUMNS;
  memset(logits, 0, sizeof(float) * (size_t)(tiles->count * count * stride));
  for (const ptrdiff_t end = head + heads; head < end; head++) {
    if (states) memset(states, 0, sizeof(float) * (size_t)(count * g->states * half));
    for (int64_t token = 0; token < tiles->count; token++)
      for (ptrdiff_t i = 0; i < count; i++) {
        lz_chunk chunk = tiles[i];
        chunk.seen = NULL; // other threads run other heads of the same tile: noted once, with the losses
        tile t = tile_in(l, &chunk, scratch);
        uint32_t inputs[LZ_LANES], targets[LZ_LANES];
        read_tokens(&t, token, inputs, targets);
        look_up(&t, inputs);
        gather(&t, head);
        float *h = states ? states + i * g->states * half : chunk.state + head * half;
        step_head(&t, g, head, NULL, NULL, NULL, h, states ? half : g->padded * LZ_COLUMNS);
        NAME(add_logits)(l, &chunk, head, h, logits + (token * count + i) * stride);
      }
  }
}

// The logits of one sign's VL columns, written over the first group's part.
INLINE vf whole_logit(const lz_layout *l, const lz_chunk *ch, ptrdiff_t v, float epsilon, vf start, int lane, float *at,
                      ptrdiff_t part, ptrdiff_t groups) {
  vf value = splat(ch->weights[l->w_readout_bias + v]) + negated(splat(epsilon), ch->signs[l->s_readout_bias + v], lane)
             + negated(start, ch->signs[l->s_readout_row + v], lane);
  for (ptrdiff_t group = 0; group < groups; group++) value += load(at + group * part);
  store(at, value);
  return value;
}

INLINE vf head_loss(const lz_layout *l, const lz_chunk *ch, const uint32_t *targets, int sign, int lane, float *logits,
                    ptrdiff_t part, ptrdiff_t groups) {
  const float epsilon = sign ? -ch->epsilon : ch->epsilon;
  float *at = logits + sign * LZ_LANES + lane;
  vf sum = splat(0), top = splat(LZ_LOWEST), target = splat(0);
  for (ptrdiff_t group = 0; group < groups; group++) sum += load(at + l->readout_blocks * LZ_BLOCK * LZ_COLUMNS + group * part);
  const vf start = splat(epsilon) * sum;
  vi rows;
  for (int i = 0; i < VL; i++) rows[i] = (int32_t)targets[lane + i];
  for (ptrdiff_t v = 0; v < l->shape.vocabulary; v++) {
    const vf value = whole_logit(l, ch, v, epsilon, start, lane, at + v * LZ_COLUMNS, part, groups);
    top = at_least(top, value);
    target = rows == (vi)((int32_t)v) ? value : target;
  }
  vf total = splat(0);
  for (ptrdiff_t v = 0; v < l->shape.vocabulary; v++) total += exp_negative(load(at + v * LZ_COLUMNS) - top);
  return top + log_positive(total) - target;
}

void NAME(read_heads)(const lz_layout *l, const lz_chunk *tiles, ptrdiff_t count, ptrdiff_t index, ptrdiff_t groups,
                      float *logits) {
  const lz_chunk *ch = &tiles[index];
  const ptrdiff_t stride = lz_head_logits(l), part = ch->count * count * stride;
  tile t = {.layout = l, .chunk = ch};
  for (int64_t token = 0; token < ch->count; token++) {
    uint32_t inputs[LZ_LANES], targets[LZ_LANES];
    read_tokens(&t, token, inputs, targets);
    for (int p = 0; p < LZ_LANES; p++) ch->seen[inputs[p]] |= (uint16_t)(1u << p);
    if (t.marked == 0xffff) continue;
    for (int sign = 0; sign < 2; sign++)
      for (int lane = 0; lane < LZ_LANES; lane += VL) {
        const vf loss = head_loss(l, ch, targets, sign, lane, logits + (token * count + index) * stride, part, groups);
        double *total = ch->loss + sign * LZ_LANES + lane;
        for (int i = 0; i < VL; i++) total[i] += t.marked >> (lane + i) & 1 ? 0.0 : (double)loss[i];
      }
  }
}
