// The exact readout's gradient, Σ (p − y)·hᵀ: the micro-kernel of the step, with p − y for weights and h for states.
// Included after population.h.

// Tiles whose h stays in the first-level cache while all blocks of rows run over it.
#define GRADIENT_TILES 12

#define GB (VL == 16 ? 2 : 1) // vectors of units beside each other: as many as the registers hold

// One block of 12 rows by GB vectors of units.
INLINE void gradient_block(const lz_layout *l, const float *delta, const float *input, ptrdiff_t tiles, float *sum,
                           ptrdiff_t stride) {
  vf acc[LZ_BLOCK][GB];
  for (int r = 0; r < LZ_BLOCK; r++)
    for (int s = 0; s < GB; s++) acc[r][s] = load(sum + r * stride + s * VL);
  for (ptrdiff_t tile = 0; tile < tiles; tile++, delta += l->delta_tile, input += l->input_tile)
    for (int p = 0; p < LZ_LANES; p++) {
      vf x[GB];
      for (int s = 0; s < GB; s++) x[s] = load(input + p * LZ_PANEL + s * VL);
      #pragma clang loop unroll(full)
      for (int r = 0; r < LZ_BLOCK; r++) {
        const vf d = splat(delta[r * LZ_LANES + p]);
        for (int s = 0; s < GB; s++) acc[r][s] += d * x[s];
      }
    }
  for (int r = 0; r < LZ_BLOCK; r++)
    for (int s = 0; s < GB; s++) store(sum + r * stride + s * VL, acc[r][s]);
}

INLINE void gradient_bias(const lz_layout *l, const float *delta, ptrdiff_t tiles, float *bias) {
  for (int i = 0; i < LZ_BLOCK * LZ_LANES; i += VL) {
    vf total = load(bias + i);
    for (ptrdiff_t tile = 0; tile < tiles; tile++) total += load(delta + tile * l->delta_tile + i);
    store(bias + i, total);
  }
}

void NAME(readout_gradient)(const lz_layout *l, const float *delta, const float *input, ptrdiff_t tiles, ptrdiff_t block,
                            ptrdiff_t blocks, float *sum, float *bias) {
  const ptrdiff_t stride = l->input_panels * LZ_PANEL, size = LZ_BLOCK * LZ_LANES;
  for (ptrdiff_t tile = 0; tile < tiles; tile += GRADIENT_TILES) {
    const ptrdiff_t count = tiles - tile < GRADIENT_TILES ? tiles - tile : GRADIENT_TILES;
    const float *d = delta + tile * l->delta_tile, *x = input + tile * l->input_tile;
    for (ptrdiff_t panel = 0; panel < l->input_panels; panel++)
      for (ptrdiff_t b = block; b < block + blocks; b++)
        for (int column = 0; column < LZ_PANEL; column += GB * VL)
          gradient_block(l, d + b * size, x + panel * LZ_LANES * LZ_PANEL + column, count,
                         sum + b * LZ_BLOCK * stride + panel * LZ_PANEL + column, stride);
    for (ptrdiff_t b = block; b < block + blocks; b++) gradient_bias(l, d + b * size, count, bias + b * size);
  }
}
