// The readout of columns.h: losses, derivatives of losses, and what the exact readout's gradient needs.

// Σ exp(z − m) of both columns; for tangents of the "+" column only, and Σ exp(z − m)·ż beside it: the derivative of the
// log-sum-exp is Σ p·ż.
typedef struct { vf maximum[2], sum[2], target[2], weighted; } column_sum;

INLINE void column_fold(const columns *t, column_sum *sums, const int tangent, vf acc[CB][2], ptrdiff_t first, int lane, vi targets) {
  for (int s = 0; s < 2; s++) {
    #pragma clang loop unroll(full)
    for (int r = 0; r < CB; r++) {
      sums->target[s] = targets == (vi)((int32_t)first + r) ? acc[r][s] : sums->target[s];
      if (t->layout->shape.exact_readout) store(t->logits + (first + r) * LZ_COLUMNS + s * LZ_LANES + lane, acc[r][s]);
    }
    if (tangent && s == 1) continue;
    vf top = sums->maximum[s];
    #pragma clang loop unroll(full)
    for (int r = 0; r < CB; r++) top = at_least(top, acc[r][s]);
    const vf scale = exp_negative(sums->maximum[s] - top);
    vf sum = sums->sum[s] * scale, weighted = sums->weighted * scale;
    #pragma clang loop unroll(full)
    for (int r = 0; r < CB; r++) {
      const vf e = exp_negative(acc[r][s] - top);
      sum += e;
      if (tangent) weighted += e * acc[r][1];
    }
    sums->maximum[s] = top;
    sums->sum[s] = sum;
    if (tangent) sums->weighted = weighted;
  }
}

// p − y and h of every pair: of the unperturbed model, or the means over both columns. 0 for padding lanes and for marked
// targets. The logits have become probabilities.
static void column_rows(const columns *t, int tangent, const float *h, int64_t token) {
  const lz_layout *l = t->layout;
  const lz_chunk *ch = t->chunk;
  float *delta = ch->delta + token * ch->tile_step * l->delta_tile;
  float *input = ch->input + token * ch->tile_step * l->input_tile;
  memset(delta, 0, sizeof(float) * (size_t)l->delta_tile);
  memset(input, 0, sizeof(float) * (size_t)l->input_tile);
  for (int p = 0; p < ch->valid; p++) {
    if (t->marked >> p & 1) continue;
    for (ptrdiff_t v = 0; v < l->shape.vocabulary; v++) {
      const float *both = t->logits + v * LZ_COLUMNS + p;
      delta[v * LZ_LANES + p] = tangent ? both[0] : 0.5f * (both[0] + both[LZ_LANES]);
    }
    delta[(ptrdiff_t)t->targets[p] * LZ_LANES + p] -= 1.0f;
    for (ptrdiff_t u = 0; u < l->top; u++) {
      const float *both = h + u * LZ_COLUMNS + p;
      input[(u / LZ_PANEL * LZ_LANES + p) * LZ_PANEL + u % LZ_PANEL] = tangent ? both[0] : 0.5f * (both[0] + both[LZ_LANES]);
    }
  }
}

INLINE void column_losses(const columns *t, const column_sum *sums, const int tangent, int lane) {
  const lz_layout *l = t->layout;
  double *total = t->chunk->loss + lane;
  for (int s = 0; s < 2; s++) {
    if (tangent && s == 1) continue;
    const vf normalizer = sums->maximum[s] + log_positive(sums->sum[s]);
    const vf loss = normalizer - sums->target[s], slope = sums->weighted / sums->sum[s] - sums->target[1];
    for (int i = 0; i < VL; i++) {
      if (t->marked >> (lane + i) & 1) continue;
      total[s * LZ_LANES + i] += (double)loss[i];
      if (tangent) total[LZ_LANES + i] += (double)slope[i];
    }
    if (!l->shape.exact_readout) continue;
    for (ptrdiff_t v = 0; v < l->shape.vocabulary; v++) {
      float *logit = t->logits + v * LZ_COLUMNS + s * LZ_LANES + lane;
      store(logit, exp_negative(load(logit) - normalizer));
    }
  }
}

INLINE void column_read_out(const columns *t, const int tangent, const int kind, const float *h, int64_t token) {
  const lz_layout *l = t->layout;
  const lz_chunk *ch = t->chunk;
  const int perturbed = !l->shape.exact_readout;
  const ptrdiff_t inputs = l->top;
  const column_part in = {h, inputs};

  for (int lane = 0; lane < LZ_LANES && t->marked != 0xffff; lane += VL) {
    column_direction d = {.row_step = l->readout_blocks * LZ_BLOCK, .starts = t->starts};
    for (int s = 0; s < 2; s++) d.row_signs[s] = t->signs[s] + l->s_readout_row;
    if (perturbed && kind != NORMAL) column_prepare(&d, t, l->s_readout_column, inputs, tangent, kind, &in, 1, lane);
    vi targets;
    for (int i = 0; i < VL; i++) targets[i] = (int32_t)t->targets[lane + i];
    column_sum sums = {{splat(LZ_LOWEST), splat(LZ_LOWEST)}, {splat(0), splat(0)}, {splat(0), splat(0)}, splat(0)};
    for (ptrdiff_t block = 0; block < l->readout_blocks; block++) {
      const float *w = ch->weights + l->w_readout + block * inputs * LZ_BLOCK;
      const float *bias = ch->weights + l->w_readout_bias + block * LZ_BLOCK;
      for (int s = 0; s < 2; s++) d.block_signs[s] = t->signs[s] + l->s_readout_column + block * inputs * LZ_BLOCK;
      #pragma clang loop unroll(full)
      for (int row = 0; row < LZ_BLOCK; row += CB) {
        vf acc[CB][2];
        #pragma clang loop unroll(full)
        for (int r = 0; r < CB; r++) {
          const ptrdiff_t v = block * LZ_BLOCK + row + r;
          acc[r][0] = splat(bias[row + r]);
          acc[r][1] = tangent ? splat(0) : acc[r][0];
          if (!perturbed) continue;
          vf flat[2];
          for (int s = 0; s < 2; s++)
            flat[s] = kind == NORMAL
                        ? splat(tangent ? 1 : t->epsilon[s]) * load(t->entries + (l->z_readout_bias + v) * LZ_LANES + lane)
                        : negated(splat(tangent ? 1 : t->epsilon[s]), t->signs[tangent ? 0 : s][l->s_readout_bias + v], lane);
          column_start(&d, t, tangent, kind, acc[r][0], flat, v, lane, acc[r]);
        }
        column_product(w, row, CB, &in, 1, lane, acc);
        if (perturbed && kind == SIGNS) column_dense(&d, t, row, CB, tangent, &in, 1, lane, acc);
        if (perturbed && kind == NORMAL)
          column_normal(t->entries + (l->z_readout + block * inputs * LZ_BLOCK) * LZ_LANES, t, row, CB, tangent, &in, 1, lane, acc);
        column_fold(t, &sums, tangent, acc, block * LZ_BLOCK + row, lane, targets);
      }
    }
    column_losses(t, &sums, tangent, lane);
  }
  if (l->shape.exact_readout) column_rows(t, tangent, h, token);
}
