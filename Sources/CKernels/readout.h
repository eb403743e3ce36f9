// The readout of a tile: logits in blocks, their log-sum-exp online, and for the exact gradient p − y and h of every pair.
// Included by population.h only.

typedef struct { vf maximum[2], sum[2], target[2]; } log_sum;

// Folds RB logits of both columns into the running log-sum-exp.
INLINE void fold(const tile *t, log_sum *s, vf acc[RB][2], ptrdiff_t first, int lane, vi targets, int hit) {
  #pragma clang loop unroll(full)
  for (int sign = 0; sign < 2; sign++) {
    vf top = s->maximum[sign];
    #pragma clang loop unroll(full)
    for (int r = 0; r < RB; r++) top = at_least(top, acc[r][sign]);
    vf sum = s->sum[sign] * exp_negative(s->maximum[sign] - top);
    #pragma clang loop unroll(full)
    for (int r = 0; r < RB; r++) {
      const vf e = exp_negative(acc[r][sign] - top);
      sum += e;
      if (t->shifted) store(t->shifted + (first + r) * LZ_COLUMNS + sign * LZ_LANES + lane, e);
    }
    if (t->shifted) store(t->maxima + first / RB * LZ_COLUMNS + sign * LZ_LANES + lane, top);
    s->maximum[sign] = top;
    s->sum[sign] = sum;
    if (hit)
      #pragma clang loop unroll(full)
      for (int r = 0; r < RB; r++)
        s->target[sign] = (targets == (vi)((int32_t)first + r)) ? acc[r][sign] : s->target[sign];
  }
}

// p − y of the mean of both columns, and the mean state, as rows for the readout's exact gradient.
INLINE void emit_softmax(const tile *t, const vf normalizer[2], int lane) {
  const ptrdiff_t rows = t->layout->readout_blocks * LZ_BLOCK;
  for (ptrdiff_t first = 0; first < rows; first += RB) {
    vf scale[2];
    #pragma clang loop unroll(full)
    for (int sign = 0; sign < 2; sign++)
      scale[sign] = splat(0.5f) * exp_negative(load(t->maxima + first / RB * LZ_COLUMNS + sign * LZ_LANES + lane) - normalizer[sign]);
    for (int r = 0; r < RB; r++) {
      float *e = t->shifted + (first + r) * LZ_COLUMNS + lane;
      store(e, load(e) * scale[0] + load(e + LZ_LANES) * scale[1]);
    }
  }
}

static void emit_rows(const tile *t, const float *h, const uint32_t targets[LZ_LANES], ptrdiff_t token) {
  const lz_layout *l = t->layout;
  const lz_chunk *ch = t->chunk;
  float *delta = ch->delta + token * ch->row_step * l->delta_stride;
  float *input = ch->input + token * ch->row_step * l->input_stride;
  for (int p = 0; p < LZ_LANES; p++) {
    float *d = delta + p * l->delta_stride, *x = input + p * l->input_stride;
    if (p >= ch->valid || t->marked >> p & 1) {
      memset(d, 0, sizeof(float) * (size_t)l->delta_stride);
      memset(x, 0, sizeof(float) * (size_t)l->input_stride);
    }
  }
  // 4 × 4 transposes from [row][16 of 32] to [pair][row]
  for (int p = 0; p < LZ_LANES; p += 4) {
    if (p >= ch->valid) break;
    for (ptrdiff_t v = 0; v < l->shape.vocabulary; v += 4) {
      const float *from = t->shifted + v * LZ_COLUMNS + p;
      v4 out[4] = {load4(from), load4(from + LZ_COLUMNS), load4(from + 2 * LZ_COLUMNS), load4(from + 3 * LZ_COLUMNS)};
      transpose4(out);
      for (int i = 0; i < 4; i++)
        if (p + i < ch->valid && !(t->marked >> (p + i) & 1)) store4(delta + (p + i) * l->delta_stride + v, out[i]);
    }
    for (int i = 0; i < 4 && p + i < ch->valid; i++) {
      if (t->marked >> (p + i) & 1) continue;
      delta[(p + i) * l->delta_stride + targets[p + i]] -= 1.0f;
      float *x = input + (p + i) * l->input_stride;
      for (ptrdiff_t u = 0; u < l->shape.hidden; u++)
        x[u] = 0.5f * (h[u * LZ_COLUMNS + p + i] + h[u * LZ_COLUMNS + LZ_LANES + p + i]);
      x[l->shape.hidden] = 1.0f;
    }
  }
}

// Logits in blocks, log-sum-exp online, the loss of every column.
static void read_out(const tile *t, const float *h, const uint32_t targets[LZ_LANES], ptrdiff_t token) {
  const lz_layout *l = t->layout;
  const lz_chunk *ch = t->chunk;
  const int dense = l->shape.dense, perturbed = !l->shape.exact_readout;
  const ptrdiff_t inputs = l->shape.hidden;
  const segment state = {h, inputs};
  const uint16_t *bias_signs = ch->signs + l->s_readout_bias;
  const vf epsilon = splat(ch->epsilon);
  if (t->marked == 0xffff) {
    if (t->shifted) emit_rows(t, h, targets, token);
    return;
  }

  for (int lane = 0; lane < LZ_LANES; lane += VL) {
    direction d = {.row_signs = ch->signs + l->s_readout_row, .twice = t->twice};
    if (perturbed) prepare(&d, ch->signs + l->s_readout_column, dense, ch->epsilon, &state, 1, lane, t->twice);
    vi target_rows;
    for (int i = 0; i < VL; i++) target_rows[i] = (int32_t)targets[lane + i];
    log_sum s = {{splat(-1e30f), splat(-1e30f)}, {splat(0), splat(0)}, {splat(0), splat(0)}};
    for (ptrdiff_t block = 0; block < l->readout_blocks; block++) {
      const float *w = ch->weights + l->w_readout + block * inputs * LZ_BLOCK;
      const float *bias = ch->weights + l->w_readout_bias + block * LZ_BLOCK;
      int hit = 0;
      for (int i = 0; i < VL; i++) hit |= (uint32_t)(targets[lane + i] - (uint32_t)(block * LZ_BLOCK)) < LZ_BLOCK;
      d.block_signs = ch->signs + l->s_readout_column + block * inputs * LZ_BLOCK;
      #pragma clang loop unroll(full)
      for (int row = 0; row < LZ_BLOCK; row += RB) {
        vf acc[RB][2];
        #pragma clang loop unroll(full)
        for (int r = 0; r < RB; r++) {
          if (perturbed) {
            const ptrdiff_t v = block * LZ_BLOCK + row + r;
            start_row(&d, dense, splat(bias[row + r]), negated(epsilon, bias_signs[v], lane), (int)v, lane, acc[r]);
          } else {
            acc[r][0] = acc[r][1] = splat(bias[row + r]);
          }
        }
        shared_product(w, row, &state, 1, lane, acc);
        if (perturbed && dense) dense_product(&d, row, inputs, lane, acc);
        fold(t, &s, acc, block * LZ_BLOCK + row, lane, target_rows, hit);
      }
    }
    vf normalizer[2];
    for (int sign = 0; sign < 2; sign++) {
      normalizer[sign] = s.maximum[sign] + log_positive(s.sum[sign]);
      const vf loss = normalizer[sign] - s.target[sign];
      double *total = ch->loss + sign * LZ_LANES + lane;
      for (int i = 0; i < VL; i++) total[i] += t->marked >> (lane + i) & 1 ? 0.0 : (double)loss[i];
    }
    if (t->shifted) emit_softmax(t, normalizer, lane);
  }
  if (t->shifted) emit_rows(t, h, targets, token);
}
