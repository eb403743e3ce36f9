// The exact readout in two passes over strips of its rows; see include/readout.h. Included after readout_gradient.h and update.h.

typedef struct { _Alignas(64) float reference[LZ_COLUMNS], share[LZ_COLUMNS], target[LZ_COLUMNS]; } sample_sums;

// A strip's rows in the kernels' order, as a packed readout has them.
typedef struct { const float *weights, *bias; ptrdiff_t first, blocks; } strip_rows;

static strip_rows pack_strip(const lz_layout *l, const lz_plain *plain, ptrdiff_t strip, float *room) {
  const ptrdiff_t first = strip * LZ_STRIP, left = l->readout_blocks - first, V = l->shape.vocabulary, top = l->top;
  const strip_rows rows = {room, room + LZ_STRIP * LZ_BLOCK * top, first, left < LZ_STRIP ? left : LZ_STRIP};
  float *bias = room + LZ_STRIP * LZ_BLOCK * top;
  for (ptrdiff_t b = 0; b < rows.blocks; b++, room += LZ_BLOCK * top, bias += LZ_BLOCK) {
    const ptrdiff_t row = (first + b) * LZ_BLOCK, count = V - row < LZ_BLOCK ? V - row : LZ_BLOCK;
    const float *from = plain->readout + row * top;
    for (ptrdiff_t j = 0; j < LZ_BLOCK; j++) bias[j] = j < count ? plain->readout_bias[row + j] : LZ_LOWEST;
    if (count == LZ_BLOCK) {
      NAME(pack_rows)(from, top, room);
      continue;
    }
    for (ptrdiff_t k = 0; k < top; k++)
      for (ptrdiff_t j = 0; j < LZ_BLOCK; j++) room[k * LZ_BLOCK + j] = j < count ? from[j * top + k] : 0;
  }
  return rows;
}

// Folds the logits of a strip into a sample's sums; `block`: what the strip's first block counts as.
INLINE void fold_strip(const tile *t, const strip_rows *rows, const float *h, ptrdiff_t block, place at, vi targets, log_sum *sums) {
  const segment state = {h, t->layout->top};
  for (ptrdiff_t b = 0; b < rows->blocks; b++) {
    vf acc[LZ_BLOCK][SB];
    #pragma clang loop unroll(full)
    for (int r = 0; r < LZ_BLOCK; r++)
      for (int s = 0; s < SB; s++) acc[r][s] = splat(rows->bias[b * LZ_BLOCK + r]);
    shared_product(rows->weights + b * LZ_BLOCK * state.count, LZ_BLOCK, &state, 1, at, acc);
    fold(t, sums, LZ_BLOCK, acc, block + b, at, targets);
  }
}

static uint16_t marks_of(const uint32_t targets[LZ_LANES]) {
  uint16_t marked = 0;
  for (int p = 0; p < LZ_LANES; p++) marked |= (uint16_t)((targets[p] >> 31) << p);
  return marked;
}

// One strip of one sample in the first pass.
static void read_strip(const lz_layout *l, const strip_rows *rows, const float *h, const uint32_t targets[LZ_LANES], sample_sums *sums) {
  const tile t = {.layout = l};
  EACH_PLACE(at) {
    vi ids;
    for (int i = 0; i < VL; i++) ids[i] = (int32_t)(targets[at.lane + i] & LZ_ID);
    log_sum sum;
    for (int s = 0; s < SB; s++) {
      const int column = at.at + s * LZ_LANES;
      sum.reference[s] = load(sums->reference + column), sum.sum[s] = load(sums->share + column);
      sum.target[s] = load(sums->target + column);
    }
    fold_strip(&t, rows, h, rows->first, at, ids, &sum);
    for (int s = 0; s < SB; s++) {
      const int column = at.at + s * LZ_LANES;
      store(sums->reference + column, sum.reference[s]);
      store(sums->share + column, sum.sum[s]);
      store(sums->target + column, sum.target[s]);
    }
  }
}

// The end of the first pass: a sample's losses, and its share and mean h.
static void end_sample(const lz_layout *l, const float *h, uint16_t marked, sample_sums *sums, double *loss, float *input) {
  for (int column = 0; column < LZ_COLUMNS; column += VL) {
    const vf sum = load(sums->share + column);
    add_loss(load(sums->reference + column), sum, load(sums->target + column), marked, column % LZ_LANES, loss + column);
    store(sums->share + column, splat(0.5f) / sum);
  }
  emit_input(l, (uint16_t)~marked, h, input, 1);
}

void NAME(read_samples)(const lz_layout *l, const lz_samples *all, ptrdiff_t token, ptrdiff_t tile, ptrdiff_t count, double *loss,
                        float *scratch) {
  const ptrdiff_t size = l->top * LZ_COLUMNS, strips = lz_strips(l);
  #define EACH_SAMPLE(i)                                                                                              \
    for (ptrdiff_t token_ = token; token_ < all->tokens; token_++)                                                    \
      for (ptrdiff_t i = token_ * all->token_tiles + tile, end_ = i + count; i < end_; i++)
  EACH_SAMPLE(i) {
    sample_sums *sums = (sample_sums *)all->sums + i;
    for (int column = 0; column < LZ_COLUMNS; column++)
      sums->reference[column] = LZ_LOWEST, sums->share[column] = sums->target[column] = 0;
  }
  for (ptrdiff_t strip = 0; strip < strips; strip++) {
    const strip_rows rows = pack_strip(l, &all->plain, strip, scratch);
    EACH_SAMPLE(i) {
      const uint32_t *targets = all->targets + i * LZ_LANES;
      sample_sums *sums = (sample_sums *)all->sums + i;
      if (marks_of(targets) == 0xffff) continue;
      if (strip % LZ_STRETCH == 0)
        memcpy(all->starts + strip / LZ_STRETCH * all->stretch_step + i * LZ_COLUMNS, sums->reference, sizeof sums->reference);
      read_strip(l, &rows, all->hidden + i * size, targets, sums);
    }
  }
  EACH_SAMPLE(i) {
    const uint16_t marked = marks_of(all->targets + i * LZ_LANES);
    float *input = all->input + i * l->input_tile;
    if (marked == 0xffff) memset(input, 0, sizeof(float) * (size_t)l->input_tile);
    else end_sample(l, all->hidden + i * size, marked, (sample_sums *)all->sums + i,
                    loss + (i % all->token_tiles - tile) * LZ_COLUMNS, input);
  }
  #undef EACH_SAMPLE
}

// p − y of a strip's rows of one sample. `powers`: room for them, and for their references.
static void strip_delta(const lz_layout *l, const strip_rows *rows, const float *h, const uint32_t targets[LZ_LANES],
                        const sample_sums *sums, float *references, float *powers, float *delta) {
  const tile t = {.layout = l, .powers = powers, .references = powers + LZ_STRIP * LZ_BLOCK * LZ_COLUMNS};
  const uint16_t kept = (uint16_t)~marks_of(targets);
  const vi none = (vi)(-1);
  EACH_PLACE(at) {
    log_sum sum;
    for (int s = 0; s < SB; s++) sum.reference[s] = load(references + at.at + s * LZ_LANES), sum.sum[s] = sum.target[s] = splat(0);
    fold_strip(&t, rows, h, 0, at, none, &sum);
    for (int s = 0; s < SB; s++) store(references + at.at + s * LZ_LANES, sum.reference[s]);
  }
  shares shares;
  memcpy(shares.reference, sums->reference, sizeof shares.reference);
  memcpy(shares.share, sums->share, sizeof shares.share);
  for (int lane = 0; lane < LZ_LANES; lane += VL)
    for (ptrdiff_t b = 0; b < rows->blocks; b++)
      mean_probabilities(&t, &shares, b * LZ_BLOCK, (b + 1) * LZ_BLOCK, kept, lane, delta);
  const ptrdiff_t first = rows->first * LZ_BLOCK;
  for (int p = 0; p < LZ_LANES; p++) {
    const ptrdiff_t row = (ptrdiff_t)(targets[p] & LZ_ID) - first;
    if (kept >> p & 1 && row >= 0 && row < rows->blocks * LZ_BLOCK) delta[row * LZ_LANES + p] -= 1.0f;
  }
}

void NAME(strip_gradient)(const lz_layout *l, const lz_samples *all, ptrdiff_t strip, ptrdiff_t tile, ptrdiff_t count, int fresh,
                          float *references, float *sum, float *bias, float *scratch) {
  const ptrdiff_t strip_size = LZ_STRIP * LZ_BLOCK, size = strip_size * LZ_LANES;
  const strip_rows rows = pack_strip(l, &all->plain, strip, scratch);
  float *powers = scratch + strip_size * (l->top + 1), *delta = powers + (strip_size + LZ_STRIP) * LZ_COLUMNS;
  for (ptrdiff_t token = 0; token < all->tokens; token++)
    for (ptrdiff_t j = 0; j < count; j++) {
      const ptrdiff_t i = token * all->token_tiles + tile + j;
      const uint32_t *targets = all->targets + i * LZ_LANES;
      float *reference = references + i * LZ_COLUMNS, *out = delta + (token * count + j) * size;
      if (marks_of(targets) == 0xffff) {
        memset(out, 0, sizeof(float) * (size_t)size);
        continue;
      }
      if (strip % LZ_STRETCH == 0)
        memcpy(reference, all->starts + strip / LZ_STRETCH * all->stretch_step + i * LZ_COLUMNS, sizeof(float) * LZ_COLUMNS);
      strip_delta(l, &rows, all->hidden + i * l->top * LZ_COLUMNS, targets, (const sample_sums *)all->sums + i, reference,
                  powers, out);
    }
  const gradient_samples samples = {delta, all->input + tile * l->input_tile, size, count, all->token_tiles};
  NAME(add_gradient)(l, &samples, all->tokens, count, 0, rows.blocks, fresh, sum, bias);
}
