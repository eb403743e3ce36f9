// The exact readout's gradient, Σ (p − y)·hᵀ: the micro-kernel of the step, with p − y for weights and h for states.
// Included after population.h.

// Rows of a tile and token whose h stays in the first-level cache while all blocks of rows run over it.
#define GRADIENT_ROWS 12

#define GB (VL == 16 ? 2 : 1) // vectors of units beside each other: as many as the registers hold

// Where the rows of some tiles and tokens lie.
typedef struct { const float *delta[GRADIENT_ROWS], *input[GRADIENT_ROWS]; int count; } gradient_rows;

// One block of 12 rows by GB vectors of units. `from_delta` and `from_input`: where they begin in the rows of a tile and token.
// `fresh`: the sum begins here.
INLINE void gradient_block(const gradient_rows *rows, int fresh, ptrdiff_t from_delta, ptrdiff_t from_input, float *sum,
                           ptrdiff_t stride) {
  vf acc[LZ_BLOCK][GB];
  for (int r = 0; r < LZ_BLOCK; r++)
    for (int s = 0; s < GB; s++) acc[r][s] = fresh ? splat(0) : load(sum + r * stride + s * VL);
  for (int row = 0; row < rows->count; row++) {
    const float *delta = rows->delta[row] + from_delta, *input = rows->input[row] + from_input;
    for (int p = 0; p < LZ_LANES; p++) {
      vf x[GB];
      for (int s = 0; s < GB; s++) x[s] = load(input + p * LZ_PANEL + s * VL);
      #pragma clang loop unroll(full)
      for (int r = 0; r < LZ_BLOCK; r++) {
        const vf d = splat(delta[r * LZ_LANES + p]);
        for (int s = 0; s < GB; s++) acc[r][s] += d * x[s];
      }
    }
  }
  for (int r = 0; r < LZ_BLOCK; r++)
    for (int s = 0; s < GB; s++) store(sum + r * stride + s * VL, acc[r][s]);
}

INLINE void gradient_bias(const gradient_rows *rows, int fresh, ptrdiff_t from_delta, float *bias) {
  for (int i = 0; i < LZ_BLOCK * LZ_LANES; i += VL) {
    vf total = fresh ? splat(0) : load(bias + i);
    for (int row = 0; row < rows->count; row++) total += load(rows->delta[row] + from_delta + i);
    store(bias + i, total);
  }
}

// (p − y) and h as they lie: of a tile and token, and how many of each token.
typedef struct {
  const float *delta, *input;
  ptrdiff_t delta_size, delta_tiles, input_tiles;
} gradient_samples;

static void NAME(add_gradient)(const lz_layout *l, const gradient_samples *samples, ptrdiff_t tokens, ptrdiff_t tiles,
                               ptrdiff_t block, ptrdiff_t blocks, int fresh, float *sum, float *bias) {
  const ptrdiff_t stride = l->input_panels * LZ_PANEL, size = LZ_BLOCK * LZ_LANES, all = tokens * tiles;
  for (ptrdiff_t done = 0; done < all; done += GRADIENT_ROWS) {
    gradient_rows rows = {.count = all - done < GRADIENT_ROWS ? (int)(all - done) : GRADIENT_ROWS};
    for (int row = 0; row < rows.count; row++) {
      const ptrdiff_t token = (done + row) / tiles, tile = (done + row) % tiles;
      rows.delta[row] = samples->delta + (token * samples->delta_tiles + tile) * samples->delta_size;
      rows.input[row] = samples->input + (token * samples->input_tiles + tile) * l->input_tile;
    }
    for (ptrdiff_t panel = 0; panel < l->input_panels; panel++)
      for (ptrdiff_t b = block; b < block + blocks; b++)
        for (int column = 0; column < LZ_PANEL; column += GB * VL)
          gradient_block(&rows, fresh && done == 0, b * size, panel * LZ_LANES * LZ_PANEL + column,
                         sum + b * LZ_BLOCK * stride + panel * LZ_PANEL + column, stride);
    for (ptrdiff_t b = block; b < block + blocks; b++) gradient_bias(&rows, fresh && done == 0, b * size, bias + b * size);
  }
}

void NAME(readout_gradient)(const lz_layout *l, const float *delta, const float *input, ptrdiff_t tokens, ptrdiff_t tiles,
                            ptrdiff_t token_tiles, ptrdiff_t block, ptrdiff_t blocks, int fresh, float *sum, float *bias) {
  const gradient_samples samples = {delta, input, l->delta_tile, token_tiles, token_tiles};
  NAME(add_gradient)(l, &samples, tokens, tiles, block, blocks, fresh, sum, bias);
}

// Σ of the 16 pairs' parts of a bias, as a tree.
INLINE float lanes_total(const float *parts) {
  float sum[LZ_LANES / 2];
  for (int i = 0; i < LZ_LANES / 2; i++) sum[i] = parts[i] + parts[i + LZ_LANES / 2];
  for (int half = LZ_LANES / 4; half > 0; half /= 2)
    for (int i = 0; i < half; i++) sum[i] += sum[i + half];
  return sum[0];
}

void NAME(readout_total)(const lz_layout *l, const float *sums, const float *biases, ptrdiff_t groups, ptrdiff_t rows,
                         float scale, ptrdiff_t row, float *to, float *bias) {
  const ptrdiff_t stride = l->input_panels * LZ_PANEL, hidden = l->top;
  const float *from = sums + row * stride;
  for (ptrdiff_t u = 0; u < hidden; u += VL) {
    vf total = load(from + u);
    for (ptrdiff_t group = 1; group < groups; group++) total += load(from + group * rows * stride + u);
    total *= splat(scale);
    if (u + VL <= hidden) store_any(to + u, total);
    else for (ptrdiff_t i = u; i < hidden; i++) to[i] = total[i - u];
  }
  float total = lanes_total(biases + row * LZ_LANES);
  for (ptrdiff_t group = 1; group < groups; group++) total += lanes_total(biases + (group * rows + row) * LZ_LANES);
  *bias = scale * total;
}
