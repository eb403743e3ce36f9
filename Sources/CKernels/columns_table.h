// What the tiles of columns.h take from the token table, and the entries of their directions. Included by columns.h only.

// A token's input and target; notes what was read.
static void column_tokens(columns *t, int64_t token) {
  const lz_layout *l = t->layout;
  t->marked = 0;
  for (int p = 0; p < LZ_LANES; p++) {
    const uint32_t target = t->chunk->tokens[p][token + 1];
    t->inputs[p] = t->chunk->tokens[p][token] & LZ_ID;
    t->targets[p] = target & LZ_ID;
    t->marked |= (uint16_t)((target & LZ_MARK ? 1u : 0u) << p);
    for (int s = 0; s < 2; s++)
      if (t->seen[s]) t->seen[s][t->inputs[p]] |= (uint16_t)(1u << p);
  }
  find_rows(l, t->chunk, t->inputs, t->plain_rows, t->rows);
}

// The entries of the tokens' rows for a head's gate rows, where directions are sums of products.
static void column_table_products(const columns *t, ptrdiff_t first, int s) {
  const lz_layout *l = t->layout;
  const uint16_t *words = t->signs[s] + l->s_table_column + first, *rows = t->signs[s] + l->s_table_row;
  for (int j = 0; j < l->shape.rank; j++, words += l->gate_stride, rows += l->shape.vocabulary) {
    uint16_t row_signs = 0;
    for (int p = 0; p < LZ_LANES; p++) row_signs |= rows[t->inputs[p]] & (uint16_t)(1u << p);
    for (ptrdiff_t r = 0; r < l->stage[0].head_gates; r++)
      for (int lane = 0; lane < LZ_LANES; lane += VL) {
        float *out = t->token_moves + r * LZ_COLUMNS + s * LZ_LANES + lane;
        const vf move = negated(splat(t->share), words[r] ^ row_signs, lane);
        store(out, j == 0 ? move : load(out) + move);
      }
  }
}

// The entries of the tokens' rows for all gate rows. They are the same for both columns.
static void column_table_normal(const columns *t) {
  const lz_layout *l = t->layout;
  const lz_philox philox = lz_named(t->signs[0] + l->s_name, 0);
  const ptrdiff_t groups = l->gate_stride / LZ_LANES;
  const float *rows[LZ_LANES];
  for (int p = 0; p < LZ_LANES; p++) {
    float *own = t->token_entries + p * l->gate_stride;
    NAME(draw_entries)(&philox, ((ptrdiff_t)t->inputs[p] * LZ_LANES + p) * groups, groups, own);
    rows[p] = own;
  }
  transpose_rows(rows, LZ_LANES, l->gate_stride, t->token_moves, LZ_COLUMNS);
}

// All entries that a chunk holds.
static void column_entries(const columns *t) {
  const lz_layout *l = t->layout;
  const uint16_t *name = t->signs[0] + l->s_name;
  #define DRAW(tensor, at, count)                                                                                    \
    do {                                                                                                             \
      const lz_philox philox = lz_named(name, tensor);                                                               \
      NAME(draw_entries)(&philox, 0, count, t->entries + (at) * LZ_LANES);                                           \
    } while (0)
  for (int stage = 0; stage < l->shape.stages; stage++) {
    const lz_stage *g = &l->stage[stage];
    DRAW(lz_kernel_number(stage), g->z_kernel, g->gates * g->inputs);
    DRAW(lz_bias_number(stage), g->z_bias, g->gates);
    DRAW(lz_scalars_number(l, stage), g->z_scalars, g->scalar_count);
  }
  if (l->shape.exact_readout) return;
  DRAW(lz_readout_number(l), l->z_readout, l->readout_blocks * LZ_BLOCK * l->top);
  DRAW(lz_readout_bias_number(l), l->z_readout_bias, l->readout_blocks * LZ_BLOCK);
  #undef DRAW
}

// A head's part of the tokens' rows of the table, lanes contiguous, and the signs of their directions.
INLINE void column_table(const columns *t, const int kind, ptrdiff_t head, int sets) {
  const lz_layout *l = t->layout;
  const ptrdiff_t count = l->stage[0].head_gates, first = head * count;
  const float *rows[LZ_LANES];
  for (int p = 0; p < LZ_LANES; p++) rows[p] = t->rows[p] + first;
  transpose_rows(rows, LZ_LANES, count, t->tokens, LZ_LANES);
  if (kind == NORMAL && head == 0) column_table_normal(t);
  for (int s = 0; s < sets && kind != NORMAL; s++) {
    const uint16_t *words = t->signs[s] + l->s_table_column + first;
    uint16_t *out = t->token_signs[s];
    if (kind == PRODUCTS) {
      column_table_products(t, first, s);
      continue;
    }
    if (kind == ONE_PRODUCT) {
      uint16_t row_signs = 0;
      for (int p = 0; p < LZ_LANES; p++) row_signs |= t->signs[s][l->s_table_row + t->inputs[p]] & (uint16_t)(1u << p);
      for (ptrdiff_t r = 0; r < count; r++) out[r] = words[r] ^ row_signs;
      continue;
    }
    memset(out, 0, sizeof(uint16_t) * (size_t)count);
    for (int p = 0; p < LZ_LANES; p++) {
      const uint16_t *own = words + (ptrdiff_t)t->inputs[p] * l->gate_stride;
      for (ptrdiff_t r = 0; r < count; r++) out[r] |= own[r] & (uint16_t)(1u << p);
    }
  }
}
