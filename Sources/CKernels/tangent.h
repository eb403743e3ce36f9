// Forward-mode derivatives of a tile: its "+" columns are the unperturbed model of each pair, its "−" columns their derivative
// along the pair's direction Z. The pre-activations are a = W·h + b and ȧ = W·ḣ + Z·h + ż_b, so that the shared product of two
// columns serves here too, and no ε exists. Included by the files of one vector width, behind population.h.

// Z·h for rows of one matrix: rank-one a·(bᵀh), of which bᵀh is made once; full-rank Σ h − 2 Σ h where the sign is −1.
typedef struct {
  const uint16_t *row_signs;   // rank-one: a
  const uint16_t *block_signs; // full-rank: [inputs][12] of this block
  vf start;                    // rank-one: bᵀh; full-rank: Σ h
} tangent_direction;

INLINE vf tangent_start(const uint16_t *column_signs, int dense, const segment *segments, int parts, int lane) {
  vf sum = splat(0);
  ptrdiff_t k = 0;
  for (int s = 0; s < parts; s++)
    for (ptrdiff_t i = 0; i < segments[s].count; i++, k++) {
      const vf h = load(segments[s].rows + i * LZ_COLUMNS + lane + PLUS);
      sum += dense ? h : negated(h, column_signs[k], lane);
    }
  return sum;
}

// The derivatives' accumulators −= 2h where the sign is −1.
INLINE void tangent_dense(const tangent_direction *d, int row, const segment *segments, int parts, int lane, vf acc[RB][2]) {
  const uint16_t *signs = d->block_signs;
  for (int s = 0; s < parts; s++) {
    const float *h = segments[s].rows + lane + PLUS;
    for (ptrdiff_t k = segments[s].count; k > 0; k--, h += LZ_COLUMNS, signs += LZ_BLOCK) {
      const vf twice = splat(2) * load(h);
      #pragma clang loop unroll(full)
      for (int r = 0; r < RB; r++) acc[r][1] = subtract_masked(acc[r][1], twice, signs[row + r], lane);
    }
  }
}

// Gates and state of one unit, each value beside its derivative.
INLINE void tangent_unit(vf a[4][2], const vf c[2], vf new_c[2], vf new_h[2]) {
  const ratio ri = sigmoid_ratio(a[0][0]), rf = sigmoid_ratio(a[1][0]), rg = tanh_ratio(a[2][0]), ro = sigmoid_ratio(a[3][0]);
  const vf one = splat(1);
  const vf i = ri.p / ri.q, f = rf.p / rf.q, g = rg.p / rg.q, o = ro.p / ro.q;
  const vf di = i * (one - i) * a[0][1], df = f * (one - f) * a[1][1];
  const vf dg = (one - g * g) * a[2][1], dof = o * (one - o) * a[3][1];
  new_c[0] = f * c[0] + i * g;
  new_c[1] = (f * c[1] + df * c[0]) + (di * g + i * dg);
  const ratio rt = tanh_ratio(new_c[0]);
  const vf t = rt.p / rt.q;
  new_h[0] = o * t;
  new_h[1] = dof * t + o * ((one - t * t) * new_c[1]);
}

// One head of one layer, one token: as step_head, for values and derivatives.
static void tangent_head(const tile *t, int layer, ptrdiff_t head, const float *below, float *h, float *c) {
  const lz_layout *l = t->layout;
  const lz_chunk *ch = t->chunk;
  const ptrdiff_t inputs = l->inputs[layer], first_block = head * l->head_blocks, units = l->head;
  const int dense = l->shape.dense;
  const uint16_t *bias_signs = ch->signs + l->s_bias[layer];
  const uint16_t *column_signs = ch->signs + l->s_kernel_column[layer];
  const segment own = {h, units};
  const segment segments[2] = {below ? (segment){below, l->shape.hidden} : own, own};
  const int parts = below ? 2 : 1;

  for (int lane = 0; lane < LZ_LANES; lane += VL) {
    tangent_direction d = {.row_signs = ch->signs + l->s_kernel_row[layer]};
    d.start = tangent_start(dense ? column_signs : column_signs + head * inputs, dense, segments, parts, lane);
    for (ptrdiff_t block = 0; block < l->head_blocks; block++) {
      const float *w = ch->weights + l->w_kernel[layer] + (first_block + block) * inputs * LZ_BLOCK;
      d.block_signs = column_signs + (first_block + block) * inputs * LZ_BLOCK;
      #pragma clang loop unroll(full)
      for (int row = 0; row < LZ_BLOCK; row += RB) {
        vf acc[RB][2];
        #pragma clang loop unroll(full)
        for (int r = 0; r < RB; r++) {
          const ptrdiff_t local = block * LZ_BLOCK + row + r, gate = first_block * LZ_BLOCK + local;
          vf flat = negated(splat(1), bias_signs[gate], lane);
          if (layer == 0) flat += negated(splat(1), t->token_signs[local], lane);
          acc[r][0] = layer == 0 ? load(t->tokens + local * LZ_LANES + lane) : splat(ch->weights[l->w_bias[layer] + gate]);
          acc[r][1] = flat + (dense ? d.start : negated(d.start, d.row_signs[gate], lane));
        }
        shared_product(w, row, segments, parts, lane, acc);
        if (dense) tangent_dense(&d, row, segments, parts, lane, acc);
        #pragma clang loop unroll(full)
        for (int u = 0; u < RB / 4; u++) {
          const ptrdiff_t unit = block * LZ_UNITS + row / 4 + u;
          if (unit >= units) continue; // padding: the next head begins where it would be stored
          const ptrdiff_t at = unit * LZ_COLUMNS + lane;
          const vf before[2] = {load(c + at + PLUS), load(c + at + MINUS)};
          vf new_c[2], new_h[2];
          tangent_unit(acc + 4 * u, before, new_c, new_h);
          store(c + at + PLUS, new_c[0]), store(c + at + MINUS, new_c[1]);
          store(t->next + at + PLUS, new_h[0]), store(t->next + at + MINUS, new_h[1]);
        }
      }
    }
  }
  memcpy(h, t->next, sizeof(float) * (size_t)(units * LZ_COLUMNS));
}

// Σ exp(z − m), and Σ exp(z − m)·ż beside it: the derivative of the log-sum-exp is Σ p·ż.
typedef struct { vf maximum, sum, weighted, target, target_tangent; } tangent_sum;

INLINE void tangent_fold(const tile *t, tangent_sum *s, vf acc[RB][2], ptrdiff_t first, int lane, vi targets) {
  vf top = s->maximum;
  #pragma clang loop unroll(full)
  for (int r = 0; r < RB; r++) top = at_least(top, acc[r][0]);
  const vf scale = exp_negative(s->maximum - top);
  vf sum = s->sum * scale, weighted = s->weighted * scale;
  #pragma clang loop unroll(full)
  for (int r = 0; r < RB; r++) {
    const vf e = exp_negative(acc[r][0] - top);
    sum += e;
    weighted += e * acc[r][1];
    if (t->shifted) store(t->shifted + (first + r) * LZ_COLUMNS + lane, e);
    const vi hit = targets == (vi)((int32_t)first + r);
    s->target = hit ? acc[r][0] : s->target;
    s->target_tangent = hit ? acc[r][1] : s->target_tangent;
  }
  if (t->shifted) store(t->maxima + first / RB * LZ_COLUMNS + lane, top);
  s->maximum = top;
  s->sum = sum;
  s->weighted = weighted;
}

// p − y and h of every pair as rows for the readout's exact gradient; rows of padding lanes and of marked targets are 0.
static void tangent_rows(const tile *t, const float *h, const uint32_t targets[LZ_LANES], uint32_t marked, ptrdiff_t token) {
  const lz_layout *l = t->layout;
  const lz_chunk *ch = t->chunk;
  for (int p = 0; p < LZ_LANES; p++) {
    float *d = ch->delta + (token * ch->row_step + p) * l->delta_stride;
    float *x = ch->input + (token * ch->row_step + p) * l->input_stride;
    if (p >= ch->valid || (marked >> p & 1)) {
      memset(d, 0, sizeof(float) * (size_t)l->delta_stride);
      memset(x, 0, sizeof(float) * (size_t)l->input_stride);
      continue;
    }
    for (ptrdiff_t v = 0; v < l->shape.vocabulary; v++) d[v] = t->shifted[v * LZ_COLUMNS + p];
    d[targets[p]] -= 1.0f;
    for (ptrdiff_t u = 0; u < l->shape.hidden; u++) x[u] = h[u * LZ_COLUMNS + p];
    x[l->shape.hidden] = 1.0f;
  }
}

// Logits in blocks; the loss of every pair, and its derivative along the direction.
static void tangent_read_out(const tile *t, const float *h, const uint32_t targets[LZ_LANES], uint32_t marked, ptrdiff_t token) {
  const lz_layout *l = t->layout;
  const lz_chunk *ch = t->chunk;
  const int dense = l->shape.dense, perturbed = !l->shape.exact_readout;
  const ptrdiff_t inputs = l->shape.hidden, rows = l->readout_blocks * LZ_BLOCK;
  const segment state = {h, inputs};
  const uint16_t *bias_signs = ch->signs + l->s_readout_bias;

  for (int lane = 0; lane < LZ_LANES; lane += VL) {
    tangent_direction d = {.row_signs = ch->signs + l->s_readout_row};
    if (perturbed) d.start = tangent_start(ch->signs + l->s_readout_column, dense, &state, 1, lane);
    vi target_rows;
    for (int i = 0; i < VL; i++) target_rows[i] = (int32_t)targets[lane + i];
    tangent_sum s = {.maximum = splat(-1e30f)};
    for (ptrdiff_t block = 0; block < l->readout_blocks; block++) {
      const float *w = ch->weights + l->w_readout + block * inputs * LZ_BLOCK;
      const float *bias = ch->weights + l->w_readout_bias + block * LZ_BLOCK;
      d.block_signs = ch->signs + l->s_readout_column + block * inputs * LZ_BLOCK;
      #pragma clang loop unroll(full)
      for (int row = 0; row < LZ_BLOCK; row += RB) {
        vf acc[RB][2];
        #pragma clang loop unroll(full)
        for (int r = 0; r < RB; r++) {
          const ptrdiff_t v = block * LZ_BLOCK + row + r;
          acc[r][0] = splat(bias[row + r]);
          acc[r][1] = splat(0);
          if (perturbed)
            acc[r][1] = negated(splat(1), bias_signs[v], lane) + (dense ? d.start : negated(d.start, d.row_signs[v], lane));
        }
        shared_product(w, row, &state, 1, lane, acc);
        if (perturbed && dense) tangent_dense(&d, row, &state, 1, lane, acc);
        tangent_fold(t, &s, acc, block * LZ_BLOCK + row, lane, target_rows);
      }
    }
    const vf normalizer = s.maximum + log_positive(s.sum);
    const vf loss = normalizer - s.target, slope = s.weighted / s.sum - s.target_tangent;
    for (int i = 0; i < VL; i++) {
      if (marked >> (lane + i) & 1) continue;
      ch->loss[PLUS + lane + i] += (double)loss[i];
      ch->loss[MINUS + lane + i] += (double)slope[i];
    }
    if (!t->shifted) continue;
    for (ptrdiff_t first = 0; first < rows; first += RB) {
      const vf scale = exp_negative(load(t->maxima + first / RB * LZ_COLUMNS + lane) - normalizer);
      for (int r = 0; r < RB; r++) {
        float *e = t->shifted + (first + r) * LZ_COLUMNS + lane;
        store(e, load(e) * scale);
      }
    }
  }
  if (t->shifted) tangent_rows(t, h, targets, marked, token);
}

void NAME(run_tangent)(const lz_layout *l, const lz_chunk *ch, int with_readout, float *scratch) {
  const ptrdiff_t half = l->units * LZ_COLUMNS, rows = l->readout_blocks * LZ_BLOCK;
  const ptrdiff_t head_rows = (l->head_gates + 31) / 32 * 32;
  tile t = {.layout = l, .chunk = ch, .tokens = scratch};
  scratch += head_rows * LZ_LANES;
  t.token_signs = (uint16_t *)scratch;
  scratch += head_rows / 2;
  t.next = scratch;
  scratch += l->head_blocks * LZ_UNITS * LZ_COLUMNS;
  if (l->shape.exact_readout) {
    t.shifted = scratch;
    t.maxima = scratch + rows * LZ_COLUMNS;
  }

  for (int64_t token = 0; token < ch->count; token++) {
    uint32_t inputs[LZ_LANES], targets[LZ_LANES], marked = 0;
    for (int p = 0; p < LZ_LANES; p++) {
      inputs[p] = ch->tokens[p][token] & LZ_ID;
      targets[p] = ch->tokens[p][token + 1] & LZ_ID;
      marked |= (ch->tokens[p][token + 1] & LZ_MARK ? 1u : 0u) << p;
    }
    look_up(&t, inputs);
    const float *below = 0;
    for (int layer = 0; layer < l->shape.layers; layer++) {
      float *h = ch->state + layer * 2 * half, *c = h + half;
      for (ptrdiff_t head = 0; head < l->shape.heads; head++) {
        const ptrdiff_t first = head * l->head * LZ_COLUMNS;
        if (layer == 0) gather(&t, head);
        tangent_head(&t, layer, head, below, h + first, c + first);
      }
      below = h;
    }
    if (with_readout) tangent_read_out(&t, below, targets, marked, token);
  }
}
