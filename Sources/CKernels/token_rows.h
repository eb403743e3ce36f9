// The first stage's input: the tokens' rows of the table with their directions. Included by population.h only.

typedef struct {
  const lz_layout *layout;
  const lz_chunk *chunk;
  const float *rows[LZ_LANES]; // each pair's token's row of the table
  int same;            // all pairs read the same token
  uint16_t row_signs;  // rank-one: those of the tokens' rows
  uint16_t marked;     // bit p: nobody has to predict the target of pair p
  const uint32_t *inputs; // [16] the tokens
  float *tokens;       // [head_gates][32] the first stage's input for one head, with ±ε of its bias and its tokens
  uint16_t *token_signs; // [head_gates]
  float *next;         // [head_blocks · block_units][32] the next h of one head
  float *twice;        // dense
  float *scratch;      // all of the thread's
  float *powers;       // exact: [rows][32] 2^(logit − reference), in units of log 2,
  float *references;   // and [rows / 12][32] those references
  float *plain_rows;   // plain: [16][gate_stride]
} tile;

// Where the parameters lie as they are: a token's row with the bias, in the kernels' order.
static const float *plain_row(const lz_layout *l, const lz_plain *plain, uint32_t token, float *to) {
  const lz_stage *g = &l->stage[0];
  const ptrdiff_t gates = g->rows * g->head;
  const float *row = plain->table + (ptrdiff_t)token * gates * g->shape.heads, *bias = plain->table_bias;
  for (ptrdiff_t head = 0; head < g->shape.heads; head++, row += gates, bias += gates) {
    float *out = to + head * g->head_gates;
    for (ptrdiff_t i = 0; i < gates; i++) out[i] = row[i] + bias[i];
    for (ptrdiff_t i = gates; i < g->head_gates; i++) out[i] = 0;
  }
  return to;
}

// The rows of the table of a tile's tokens.
static void find_rows(const lz_layout *l, const lz_chunk *ch, const uint32_t tokens[LZ_LANES], float *room,
                      const float *rows[LZ_LANES]) {
  for (int p = 0; p < LZ_LANES; p++) {
    if (!l->shape.plain) rows[p] = ch->weights + l->w_table + (ptrdiff_t)tokens[p] * l->gate_stride;
    else if (p > 0 && tokens[p] == tokens[p - 1]) rows[p] = rows[p - 1];
    else rows[p] = plain_row(l, &ch->plain, tokens[p], room + p * l->gate_stride);
  }
}

// Finds the tokens' rows of the table, and notes that they were read.
static void look_up(tile *t, const uint32_t tokens[LZ_LANES]) {
  const lz_layout *l = t->layout;
  const lz_chunk *ch = t->chunk;
  t->inputs = tokens;
  t->same = 1;
  t->row_signs = 0;
  find_rows(l, ch, tokens, t->plain_rows, t->rows);
  for (int p = 0; p < LZ_LANES; p++) {
    if (ch->seen) ch->seen[tokens[p]] |= (uint16_t)(1u << p);
    t->same &= tokens[p] == tokens[0];
    if (!l->shape.dense && !l->shape.nodes) t->row_signs |= ch->signs[l->s_table_row + tokens[p]] & (uint16_t)(1u << p);
  }
}

// The signs of the tokens' directions for a head's gate rows.
static void gather_signs(const tile *t, ptrdiff_t first) {
  const lz_layout *l = t->layout;
  const ptrdiff_t count = l->stage[0].head_gates;
  const uint16_t *columns = t->chunk->signs + l->s_table_column + first;
  if (l->shape.dense) {
    memset(t->token_signs, 0, sizeof(uint16_t) * (size_t)count);
    for (int p = 0; p < LZ_LANES; p++) {
      const uint16_t *signs = columns + (ptrdiff_t)t->inputs[p] * l->gate_stride;
      for (ptrdiff_t r = 0; r < count; r++) t->token_signs[r] |= signs[r] & (uint16_t)(1u << p);
    }
  } else {
    for (ptrdiff_t r = 0; r < count; r++) t->token_signs[r] = columns[r] ^ t->row_signs;
  }
}

// A head's part of the tokens' rows, transposed so that pairs are contiguous, ±ε of bias and table added, or of the gates' own
// signs alone (nodes); or, for tangents, the rows alone and beside them the signs' sum.
INLINE void gather_rows(const tile *t, ptrdiff_t head, const int tangent, const int nodes) {
  const lz_stage *g = &t->layout->stage[0];
  const ptrdiff_t first = head * g->head_gates;
  const uint16_t *bias_signs = t->chunk->signs + g->s_bias + first;
  const vf epsilon = splat(tangent ? 1 : t->chunk->epsilon);
  const float *rows[LZ_LANES];
  for (int p = 0; p < LZ_LANES; p++) rows[p] = t->rows[p] + first;
  if (!nodes) gather_signs(t, first);
  for (int lane = 0; lane < LZ_LANES; lane += VL)
    for (ptrdiff_t r = 0; r < g->head_gates; r += 4) {
      vf value[4];
      if (t->same)
        for (int i = 0; i < 4; i++) value[i] = splat(rows[0][r + i]);
      else
        gather4(rows, r, lane, value);
      float *to = t->tokens + r * LZ_COLUMNS + lane;
      #pragma clang loop unroll(full)
      for (int i = 0; i < 4; i++) {
        vf move = negated(epsilon, bias_signs[r + i], lane);
        if (!nodes) move += negated(epsilon, t->token_signs[r + i], lane);
        store(to + i * LZ_COLUMNS, tangent ? value[i] : value[i] + move);
        store(to + i * LZ_COLUMNS + LZ_LANES, tangent ? move : value[i] - move);
      }
    }
}

static void gather(const tile *t, ptrdiff_t head) { gather_rows(t, head, 0, 0); }
static void gather_nodes(const tile *t, ptrdiff_t head) { gather_rows(t, head, 0, 1); }
