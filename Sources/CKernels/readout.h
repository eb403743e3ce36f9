// The readout of a tile: logits in blocks, their log-sum-exp online, and for the exact gradient p − y and h of every pair.
// Everything is in powers of two: with the references whole numbers, moving to a new one is exact.
// Included by population.h only.

#define LOG2_E 1.44269504f
#define LOG_2 0.693147181f

typedef struct { vf reference[SB], sum[SB], target[SB]; } log_sum;

// Folds the logits of a block into the running sum of 2^(logit/log 2 − reference).
INLINE void fold(const tile *t, log_sum *sums, const int rows, vf acc[LZ_BLOCK][SB], ptrdiff_t block, place at, vi targets) {
  #pragma clang loop unroll(full)
  for (int s = 0; s < SB; s++) {
    vf top[4], sum[4];
    #pragma clang loop unroll(full)
    for (int r = 0; r < rows; r++) top[r % 4] = r < 4 ? acc[r][s] : at_least(acc[r][s], top[r % 4]);
    const vf most = at_least(at_least(top[0], top[1]), at_least(top[2], top[3]));
    const vf reference = at_least(nearest(most * splat(LOG2_E)), sums->reference[s]);
    #pragma clang loop unroll(full)
    for (int r = 0; r < rows; r++) {
      const vf power = power_of_two(acc[r][s] * splat(LOG2_E) - reference);
      sum[r % 4] = r < 4 ? power : sum[r % 4] + power;
      if (t->powers) store(t->powers + (block * LZ_BLOCK + r) * LZ_COLUMNS + at.at + s * LZ_LANES, power);
      sums->target[s] = targets == (vi)((int32_t)(block * LZ_BLOCK) + r) ? acc[r][s] : sums->target[s];
    }
    sums->sum[s] = sums->sum[s] * power_of_two(sums->reference[s] - reference) + ((sum[0] + sum[1]) + (sum[2] + sum[3]));
    sums->reference[s] = reference;
    if (t->references) store(t->references + block * LZ_COLUMNS + at.at + s * LZ_LANES, reference);
  }
}

// One block of logits.
INLINE void read_block(const tile *t, const segment *state, const direction *d, const int perturbed, const int dense,
                       const int rows, ptrdiff_t block, place at, vi targets, log_sum *sums) {
  const lz_layout *l = t->layout;
  const lz_chunk *ch = t->chunk;
  const float *w = ch->weights + l->w_readout + block * state->count * LZ_BLOCK;
  const float *bias = ch->weights + l->w_readout_bias + block * LZ_BLOCK;
  vf acc[LZ_BLOCK][SB];
  #pragma clang loop unroll(full)
  for (int r = 0; r < rows; r++) {
    const ptrdiff_t v = block * LZ_BLOCK + r;
    for (int s = 0; s < SB; s++) {
      acc[r][s] = splat(bias[r]);
      if (!perturbed) continue;
      acc[r][s] += negated(splat(signed_epsilon(ch->epsilon, at, s)), ch->signs[l->s_readout_bias + v], at.lane);
      acc[r][s] += direction_start(d, dense, v, at, s);
    }
  }
  if (perturbed && dense)
    dense_product(w, rows, ch->signs + l->s_readout_column + block * state->count * LZ_BLOCK, state, 1, t->twice, at, acc);
  else
    shared_product(w, rows, state, 1, at, acc);
  fold(t, sums, rows, acc, block, at, targets);
}

// What a tile's readout leaves: for each of the 32 columns the final reference and 1/(2·sum).
typedef struct { _Alignas(64) float reference[LZ_COLUMNS], share[LZ_COLUMNS]; } shares;

// The losses of VL columns, added to those that there are.
INLINE void add_loss(vf reference, vf sum, vf target, uint16_t marked, int lane, double *to) {
  const vf loss = (reference * splat(LOG_2) + log_positive(sum)) - target;
  vd total;
  __builtin_memcpy(&total, to, sizeof total);
  total += __builtin_convertvector(masked(loss, (uint16_t)~marked, lane), vd);
  __builtin_memcpy(to, &total, sizeof total);
}

INLINE void read_blocks(const tile *t, const float *h, const uint32_t targets[LZ_LANES], const int perturbed,
                        const int dense, shares *out) {
  const lz_layout *l = t->layout;
  const lz_chunk *ch = t->chunk;
  const segment state = {h, l->top};
  const ptrdiff_t last = l->readout_blocks - 1;
  EACH_PLACE(at) {
    direction d = {.row_signs = ch->signs + l->s_readout_row, .twice = t->twice};
    if (perturbed) prepare(&d, ch->signs + l->s_readout_column, dense, ch->epsilon, &state, 1, at, t->twice);
    vi rows;
    for (int i = 0; i < VL; i++) rows[i] = (int32_t)targets[at.lane + i];
    log_sum sums;
    for (int s = 0; s < SB; s++) sums.reference[s] = splat(LZ_LOWEST), sums.sum[s] = sums.target[s] = splat(0);
    for (ptrdiff_t block = 0; block < last; block++) read_block(t, &state, &d, perturbed, dense, 12, block, at, rows, &sums);
    const ptrdiff_t rest = l->shape.vocabulary - last * LZ_BLOCK;
    if (rest <= 4) read_block(t, &state, &d, perturbed, dense, 4, last, at, rows, &sums);
    else if (rest <= 8) read_block(t, &state, &d, perturbed, dense, 8, last, at, rows, &sums);
    else read_block(t, &state, &d, perturbed, dense, 12, last, at, rows, &sums);
    for (int s = 0; s < SB; s++) {
      const int column = at.at + s * LZ_LANES;
      add_loss(sums.reference[s], sums.sum[s], sums.target[s], t->marked, at.lane, ch->loss + column);
      const vf share = splat(0.5f) / sums.sum[s];
      __builtin_memcpy(out->reference + column, &sums.reference[s], sizeof share);
      __builtin_memcpy(out->share + column, &share, sizeof share);
    }
  }
}

static void NAME(read_exact)(const tile *t, const float *h, const uint32_t *targets, shares *out) { read_blocks(t, h, targets, 0, 0, out); }
static void NAME(read_rank_one)(const tile *t, const float *h, const uint32_t *targets, shares *out) { read_blocks(t, h, targets, 1, 0, out); }
static void NAME(read_dense)(const tile *t, const float *h, const uint32_t *targets, shares *out) { read_blocks(t, h, targets, 1, 1, out); }

// The pairs that exist and have a target to predict; those of the others are zeros.
INLINE uint16_t predicted(const tile *t) {
  return (uint16_t)((1u << t->chunk->valid) - 1) & (uint16_t)~t->marked;
}

// What makes the powers of the block that begins at row `first` halves of probabilities, for each column of a pair.
INLINE void block_scales(const tile *t, const shares *shares, ptrdiff_t first, int lane, vf scale[2]) {
  for (int s = 0; s < 2; s++) {
    const int column = s * LZ_LANES + lane;
    scale[s] = load(shares->share + column)
               * power_of_two(load(t->references + first / LZ_BLOCK * LZ_COLUMNS + column) - load(shares->reference + column));
  }
}

// p − y, but for the y, of the mean of both columns of every pair in the rows first ..< end of a block.
INLINE void mean_probabilities(const tile *t, const shares *shares, ptrdiff_t first, ptrdiff_t end, uint16_t kept, int lane,
                               float *delta) {
  vf scale[2];
  block_scales(t, shares, first, lane, scale);
  for (ptrdiff_t row = first; row < end; row++) {
    const float *power = t->powers + row * LZ_COLUMNS + lane;
    store(delta + row * LZ_LANES + lane, masked(load(power) * scale[0] + load(power + LZ_LANES) * scale[1], kept, lane));
  }
}

// p − y of the mean of both columns of every pair.
static void emit_delta(const tile *t, const shares *shares, const uint32_t targets[LZ_LANES], float *delta) {
  const lz_layout *l = t->layout;
  const uint16_t kept = predicted(t);
  const ptrdiff_t rows = (l->shape.vocabulary + 3) / 4 * 4;
  for (int lane = 0; lane < LZ_LANES; lane += VL)
    for (ptrdiff_t first = 0; first < rows; first += LZ_BLOCK)
      mean_probabilities(t, shares, first, first + LZ_BLOCK < rows ? first + LZ_BLOCK : rows, kept, lane, delta);
  memset(delta + rows * LZ_LANES, 0, sizeof(float) * (size_t)(l->delta_tile - rows * LZ_LANES));
  for (int p = 0; p < LZ_LANES; p++)
    if (kept >> p & 1) delta[targets[p] * LZ_LANES + p] -= 1.0f;
}

// Where the logits are moved: the probability of the rows whose sign is −1, for each column of a pair.
INLINE void share_of_negative(const tile *t, const shares *shares, const uint16_t *const signs[2], int lane, vf out[2]) {
  const ptrdiff_t rows = t->layout->shape.vocabulary;
  vf sum[2] = {splat(0), splat(0)};
  for (ptrdiff_t first = 0; first < rows; first += LZ_BLOCK) {
    const ptrdiff_t end = first + LZ_BLOCK < rows ? first + LZ_BLOCK : rows;
    vf scale[2], part[2] = {splat(0), splat(0)};
    block_scales(t, shares, first, lane, scale);
    for (ptrdiff_t row = first; row < end; row++)
      for (int s = 0; s < 2; s++) part[s] += masked(load(t->powers + row * LZ_COLUMNS + s * LZ_LANES + lane), signs[s][row], lane);
    for (int s = 0; s < 2; s++) sum[s] += part[s] * scale[s];
  }
  for (int s = 0; s < 2; s++) out[s] = splat(2) * sum[s];
}

// p − y as losses tell it: the logits x of every column are moved by ±ε of signs z of its own, and the mean of both columns'
// [L(x + εz) − L(x − εz)]/2ε · z is handed out. With A the probability of the rows whose sign is −1, Σ p·e^(±εz) is
// e^(±ε)·(1 − A) + e^(∓ε)·A: the powers that the unmoved loss is made of serve both signs.
static void emit_moved_delta(const tile *t, const shares *shares, const uint32_t targets[LZ_LANES], float *delta) {
  const lz_layout *l = t->layout;
  const float epsilon = t->chunk->epsilon;
  const uint16_t kept = predicted(t), *const signs[2] = {t->chunk->signs + l->s_readout_bias,
                                                         t->chunk->signs + l->s_readout_bias + l->readout_blocks * LZ_BLOCK};
  uint16_t of_target[2] = {0, 0};
  for (int p = 0; p < LZ_LANES; p++)
    for (int s = 0; s < 2; s++) of_target[s] |= signs[s][targets[p]] & (uint16_t)(1u << p);
  const vf apart = power_of_two(splat(-2 * LOG2_E * epsilon)); // e^−2ε
  for (int lane = 0; lane < LZ_LANES; lane += VL) {
    vf negative[2], half[2]; // half of the slopes
    share_of_negative(t, shares, signs, lane, negative);
    for (int s = 0; s < 2; s++) {
      const vf a = negative[s], b = at_least(splat(1) - a, splat(0));
      half[s] = splat(0.25f / epsilon) * log_positive((b + apart * a) / (apart * b + a))
                - negated(splat(0.5f), of_target[s], lane);
    }
    for (ptrdiff_t row = 0; row < l->shape.vocabulary; row++)
      store(delta + row * LZ_LANES + lane,
            masked(negated(half[0], signs[0][row], lane) + negated(half[1], signs[1][row], lane), kept, lane));
  }
  memset(delta + l->shape.vocabulary * LZ_LANES, 0, sizeof(float) * (size_t)(l->delta_tile - l->shape.vocabulary * LZ_LANES));
}

// Units u … u + 3 of pairs p … p + 3, each pair's together: the mean of its two columns, or the + column; 0 beyond `hidden`.
INLINE void four_states(const float *h, ptrdiff_t u, ptrdiff_t hidden, int p, const int mean, v4 out[4]) {
  for (int i = 0; i < 4; i++) {
    const float *from = h + (u + i) * LZ_COLUMNS + p;
    if (u + i >= hidden) out[i] = (v4)(0.0f);
    else out[i] = mean ? (v4)(0.5f) * (load4(from) + load4(from + LZ_LANES)) : load4(from);
  }
  transpose4(out);
}

// The mean state of every pair, or that of its + column, units contiguous: 4 × 4 transposes from [unit][16 of 32].
INLINE void emit_input(const lz_layout *l, uint16_t kept, const float *h, float *input, const int mean) {
  const ptrdiff_t hidden = l->top, panel = LZ_LANES * LZ_PANEL;
  for (ptrdiff_t u = 0; u < l->input_panels * LZ_PANEL; u += 4) {
    float *to = input + u / LZ_PANEL * panel + u % LZ_PANEL;
    for (int p = 0; p < LZ_LANES; p += 4) {
      v4 out[4];
      four_states(h, u, hidden, p, mean, out);
      for (int i = 0; i < 4; i++) store4(to + (p + i) * LZ_PANEL, kept >> (p + i) & 1 ? out[i] : (v4)(0.0f));
    }
  }
}

// h of a token, for a readout that is done apart.
static void hand_out(const lz_layout *l, const lz_chunk *ch, ptrdiff_t token) {
  const ptrdiff_t floats = l->top * LZ_COLUMNS;
  memcpy(ch->hidden + token * ch->tile_step * floats, h_of(ch, l, l->shape.stages - 1), sizeof(float) * (size_t)floats);
}

// The loss of every column, and what the exact gradient needs.
static void read_out(const tile *t, const float *h, const uint32_t targets[LZ_LANES], ptrdiff_t token) {
  const lz_layout *l = t->layout;
  const lz_chunk *ch = t->chunk;
  shares shares;
  const int asked = t->marked != 0xffff; // whether anybody looks at the logits
  if (!l->shape.exact_readout) {
    if (asked) (l->shape.dense ? NAME(read_dense) : NAME(read_rank_one))(t, h, targets, &shares);
    return;
  }
  float *delta = ch->delta + token * ch->tile_step * l->delta_tile;
  float *input = ch->input + token * ch->tile_step * l->input_tile;
  if (!asked) {
    memset(delta, 0, sizeof(float) * (size_t)l->delta_tile);
    memset(input, 0, sizeof(float) * (size_t)l->input_tile);
    return;
  }
  NAME(read_exact)(t, h, targets, &shares);
  (l->shape.logits ? emit_moved_delta : emit_delta)(t, &shares, targets, delta);
  emit_input(l, predicted(t), h, input, 1);
}
