// Tiles whose two columns of a lane are no pair of signs. Included by the files of one vector width, behind population.h, of
// which it needs nothing but the vector maths.
//
// - tangent: the "+" columns are the unperturbed model of each pair, the "−" columns its derivative along the pair's direction Z.
//   The pre-activations are a = W·h + b and ȧ = W·ḣ + Z·h + ż_b: the shared product of two columns serves here too, and no ε
//   exists.
// - forward: the "+" and the "−" columns are θ + εz and θ + ε'z' with signs of their own: two tiles of directions side by side,
//   or directions beside the unperturbed model (ε' = 0); and θ ± εz for the kinds of directions that population.h does not know.
//
// `tangent` and `kind` are constants wherever they are passed.

// Kinds of directions.
#define ONE_PRODUCT 0 // a·bᵀ
#define SIGNS 1       // a sign for every weight
#define PRODUCTS 2    // Σ a·bᵀ/√rank
#define NORMAL 3      // standard normal entries

#define CB (VL == 16 ? LZ_BLOCK : 4) // rows held in registers at once
#define CB_LATE (VL == 16 ? LZ_BLOCK : 2 * LATE_ROWS) // likewise, whole units whose last row is late

typedef struct { const float *rows; ptrdiff_t count; } column_part; // part of a stage's input: [count][32]

typedef struct {
  const lz_layout *layout;
  const lz_chunk *chunk;
  const uint16_t *signs[2]; // of the "+" and of the "−" columns
  float epsilon[2];
  uint16_t *seen[2];        // the second may be null
  const float *rows[LZ_LANES]; // each lane's token's row of the table
  uint32_t inputs[LZ_LANES], targets[LZ_LANES];
  uint16_t marked;          // bit p: nobody has to predict the target of lane p
  float *tokens;            // [head_gates][16] the first stage's input for one head
  uint16_t *token_signs[2]; // [head_gates]
  float *token_moves;       // products: [head_gates][32], normal: [gate_stride][32] the entries of the tokens' rows, those of the second signs 16 further
  float *starts;            // products: [1, or 2 where rows are late][rank][32] ±bᵀh/√rank, times ε where there is one
  float share;              // 1/√rank
  float *entries;           // normal: [entries][16] all but the table's
  float *token_entries;     // normal: [16][gate_stride] the tokens' rows, one for each lane
  float *next;              // [head_blocks · block_units][32] the next h of one head
  float *logits;            // exact: [rows][32]
  float *plain_rows;        // as a tile's
} columns;

// acc += W·(the parts), `rows` rows from `row` of a packed block.
INLINE void column_product(const float *w, int row, const int rows, const column_part *in, int parts, int lane, vf (*acc)[2]) {
  for (int i = 0; i < parts; i++) {
    const float *h = in[i].rows + lane;
    for (ptrdiff_t k = in[i].count; k > 0; k--, h += LZ_COLUMNS, w += LZ_BLOCK) {
      const vf plus = load(h), minus = load(h + LZ_LANES);
      #pragma clang loop unroll(full)
      for (int r = 0; r < rows; r++) {
        const vf weight = splat(w[row + r]);
        acc[r][0] += weight * plus;
        acc[r][1] += weight * minus;
      }
    }
  }
}

// What the directions of one matrix add.
typedef struct {
  const uint16_t *row_signs[2];   // products: a
  ptrdiff_t row_step;             // from the words of one product to those of the next
  const uint16_t *block_signs[2]; // signs: [inputs][12] of this block
  vf start[2];                    // one product: bᵀh; signs: Σh; times ε where there is one
  float *starts;                  // products: as columns.starts
} column_direction;

// Σ of the inputs, each with its sign where there are words. One sum for each column.
INLINE void column_sums(const columns *t, const uint16_t *const words[2], const int tangent, const int kind, const column_part *in,
                        int parts, int lane, vf sum[2]) {
  sum[0] = sum[1] = splat(0);
  ptrdiff_t k = 0;
  for (int i = 0; i < parts; i++)
    for (ptrdiff_t j = 0; j < in[i].count; j++, k++) {
      const float *h = in[i].rows + j * LZ_COLUMNS + lane;
      for (int s = 0; s < 2; s++) {
        if (tangent && s == 1) continue;
        const vf x = load(h + s * LZ_LANES);
        sum[s] += kind == SIGNS ? x : negated(x, words[s][k], lane);
      }
    }
  const vf plus = sum[0];
  sum[0] = tangent ? splat(0) : splat(t->epsilon[0]) * plus;
  sum[1] = tangent ? plus : splat(t->epsilon[1]) * sum[1];
}

// `words`, `step`: the column factors' words, and how far the next product's are.
INLINE void column_prepare(column_direction *d, const columns *t, ptrdiff_t words, ptrdiff_t step, const int tangent,
                           const int kind, const column_part *in, int parts, int lane) {
  const int rank = kind == PRODUCTS ? t->layout->shape.rank : 1;
  for (int j = 0; j < rank; j++) {
    const uint16_t *factors[2] = {t->signs[0] + words + j * step, t->signs[1] + words + j * step};
    column_sums(t, factors, tangent, kind, in, parts, lane, d->start);
    if (kind != PRODUCTS) continue;
    for (int s = 0; s < 2; s++) store(d->starts + j * LZ_COLUMNS + s * LZ_LANES + lane, splat(t->share) * d->start[s]);
  }
}

// What the products of a matrix add to a row.
INLINE vf column_products(const column_direction *d, const columns *t, const uint16_t *row_signs, ptrdiff_t row, int s, int lane) {
  vf sum = splat(0);
  for (int j = 0; j < t->layout->shape.rank; j++)
    sum += negated(load(d->starts + j * LZ_COLUMNS + s * LZ_LANES + lane), row_signs[j * d->row_step + row], lane);
  return sum;
}

// −2εh where the sign is −1; with the start Σεh this is Σ ±εh.
INLINE void column_dense(const column_direction *d, const columns *t, int row, const int rows, const int tangent, const column_part *in,
                         int parts, int lane, vf (*acc)[2]) {
  ptrdiff_t at = row;
  for (int i = 0; i < parts; i++) {
    const float *h = in[i].rows + lane;
    for (ptrdiff_t k = in[i].count; k > 0; k--, h += LZ_COLUMNS, at += LZ_BLOCK) {
      const vf plus = splat(tangent ? 2 : 2 * t->epsilon[0]) * load(h), minus = splat(2 * t->epsilon[1]) * load(h + LZ_LANES);
      #pragma clang loop unroll(full)
      for (int r = 0; r < rows; r++) {
        if (tangent) {
          acc[r][1] = subtract_masked(acc[r][1], plus, d->block_signs[0][at + r], lane);
        } else {
          acc[r][0] = subtract_masked(acc[r][0], plus, d->block_signs[0][at + r], lane);
          acc[r][1] = subtract_masked(acc[r][1], minus, d->block_signs[1][at + r], lane);
        }
      }
    }
  }
}

// Σ εzh with entries [inputs][12][16] of a block.
INLINE void column_normal(const float *z, const columns *t, int row, const int rows, const int tangent, const column_part *in,
                          int parts, int lane, vf (*acc)[2]) {
  z += row * LZ_LANES + lane;
  for (int i = 0; i < parts; i++) {
    const float *h = in[i].rows + lane;
    for (ptrdiff_t k = in[i].count; k > 0; k--, h += LZ_COLUMNS, z += LZ_BLOCK * LZ_LANES) {
      const vf plus = tangent ? load(h) : splat(t->epsilon[0]) * load(h), minus = splat(t->epsilon[1]) * load(h + LZ_LANES);
      #pragma clang loop unroll(full)
      for (int r = 0; r < rows; r++) {
        const vf entry = load(z + r * LZ_LANES);
        if (tangent) acc[r][1] += entry * plus;
        else acc[r][0] += entry * plus, acc[r][1] += entry * minus;
      }
    }
  }
}

// What a matrix' direction adds to a row of one column at its start; normal entries add with the product.
INLINE vf column_move(const column_direction *d, const columns *t, const int tangent, const int kind, ptrdiff_t row, int s, int lane) {
  const uint16_t *row_signs = d->row_signs[tangent ? 0 : s];
  return kind == PRODUCTS ? column_products(d, t, row_signs, row, s, lane)
         : kind == SIGNS ? d->start[s] : negated(d->start[s], row_signs[row], lane);
}

// The start of a row: its value, which all columns share, and what bias and matrix directions add. `flat`: the signs' sum of
// the additive parts, times ε where there is one.
INLINE void column_start(const column_direction *d, const columns *t, const int tangent, const int kind, vf value, const vf flat[2],
                         ptrdiff_t row, int lane, vf out[2]) {
  for (int s = 0; s < 2; s++) {
    if (tangent && s == 0) {
      out[0] = value;
      continue;
    }
    out[s] = tangent ? flat[s] : value + flat[s];
    if (kind != NORMAL) out[s] += column_move(d, t, tangent, kind, row, s, lane);
  }
}

// h of a stage, null for none.
INLINE const float *column_h(const columns *t, int stage) {
  return stage < 0 ? 0 : t->chunk->state + t->layout->stage[stage].state * LZ_COLUMNS;
}

// One head of one stage at one token, on one vector of lanes, and the constants of its code.
typedef struct {
  const columns *t;
  const lz_stage *stage;
  int tangent, kind, late, first, lane; // first: the stage that reads the table
  ptrdiff_t head, state_step;
  column_part below, own; // own: the own state, or a second stage; empty if there is none
  float *h, *next;    // the new h goes to next, which may be h if no row reads it; the other states of a unit lie state_step further each
  const float *other; // h of the same units of another stage, or null
  column_direction whole, apart; // of the whole input; or, with late rows, of what lies below and of the own state
} column_head;

INLINE void head_directions_of(column_head *now) {
  const columns *t = now->t;
  const lz_layout *l = t->layout;
  const lz_stage *g = now->stage;
  const ptrdiff_t step = g->shape.heads * g->inputs;
  const ptrdiff_t words = g->s_kernel_column + (now->kind == SIGNS ? 0 : now->head * g->inputs);
  const column_part both[2] = {now->below, now->own};
  now->whole = (column_direction){.row_step = g->gates, .starts = t->starts};
  for (int s = 0; s < 2; s++) now->whole.row_signs[s] = t->signs[s] + g->s_kernel_row;
  now->apart = now->whole;
  now->apart.starts = t->starts + l->shape.rank * LZ_COLUMNS;
  if (now->kind == NORMAL) return;
  if (!now->late) {
    const int parts = (now->below.rows ? 1 : 0) + (now->own.count > 0);
    column_prepare(&now->whole, t, words, step, now->tangent, now->kind, now->below.rows ? both : both + 1, parts, now->lane);
    return;
  }
  if (now->below.rows) column_prepare(&now->whole, t, words, step, now->tangent, now->kind, both, 1, now->lane);
  column_prepare(&now->apart, t, words + now->below.count, step, now->tangent, now->kind, both + 1, 1, now->lane);
}

// The additive part of the directions of gate row `gate`, row `local` of its head: of the bias, and of the token's row.
INLINE vf flat_move(const column_head *now, ptrdiff_t local, ptrdiff_t gate, int s) {
  const columns *t = now->t;
  const lz_stage *g = now->stage;
  const int from = now->tangent ? 0 : s;
  const vf size = splat(now->tangent ? 1 : t->epsilon[s]);
  if (now->kind == NORMAL) {
    vf entry = load(t->entries + (g->z_bias + gate) * LZ_LANES + now->lane);
    if (now->first) entry += load(t->token_moves + gate * LZ_COLUMNS + now->lane);
    return size * entry;
  }
  vf flat = negated(size, t->signs[from][g->s_bias + gate], now->lane);
  if (!now->first) return flat;
  if (now->kind == PRODUCTS) flat += size * load(t->token_moves + local * LZ_COLUMNS + from * LZ_LANES + now->lane);
  else flat += negated(size, t->token_signs[from][local], now->lane);
  return flat;
}

// Both columns' start of a row; of a late one, of the part that comes from below.
INLINE void gate_start(const column_head *now, const int is_late, ptrdiff_t local, vf out[2]) {
  const columns *t = now->t;
  const lz_stage *g = now->stage;
  const ptrdiff_t gate = now->head * g->head_gates + local;
  const vf flat[2] = {flat_move(now, local, gate, 0), flat_move(now, local, gate, 1)};
  const vf value = now->first ? load(t->tokens + local * LZ_LANES + now->lane) : splat(t->chunk->weights[g->w_bias + gate]);
  if (!now->late) {
    column_start(&now->whole, t, now->tangent, now->kind, value, flat, gate, now->lane, out);
    return;
  }
  for (int s = 0; s < 2; s++) {
    out[s] = now->tangent ? (s ? flat[1] : value) : value + flat[s];
    if (now->kind == NORMAL || (now->tangent && s == 0)) continue;
    if (!now->first) out[s] += column_move(&now->whole, t, now->tangent, now->kind, gate, s, now->lane);
    if (!is_late) out[s] += column_move(&now->apart, t, now->tangent, now->kind, gate, s, now->lane);
  }
}

// Both columns of a scalar.
INLINE void scalar_columns(const column_head *now, ptrdiff_t index, vf out[2]) {
  const columns *t = now->t;
  const lz_stage *g = now->stage;
  const vf value = splat(t->chunk->weights[g->w_scalars + index]);
  for (int s = 0; s < 2; s++) {
    const vf size = splat(now->tangent ? 1 : t->epsilon[s]);
    const vf flat = now->kind == NORMAL ? size * load(t->entries + (g->z_scalars + index) * LZ_LANES + now->lane)
                                        : negated(size, t->signs[now->tangent ? 0 : s][g->s_scalars + index], now->lane);
    out[s] = now->tangent ? (s ? flat : value) : value + flat;
  }
}

// Both columns' start of a late row's product with the own state.
INLINE void late_gate_start(const column_head *now, ptrdiff_t local, vf out[2]) {
  const columns *t = now->t;
  const ptrdiff_t gate = now->head * now->stage->head_gates + local;
  scalar_columns(now, gate / LATE_ROWS, out);
  for (int s = 0; s < 2; s++) {
    if (now->kind == NORMAL || (now->tangent && s == 0)) continue;
    out[s] += column_move(&now->apart, t, now->tangent, now->kind, gate, s, now->lane);
  }
}

// acc += the products of `rows` rows from `row` of a block with some parts of the input, which begin at column `from` of the matrix.
INLINE void gate_products(const column_head *now, ptrdiff_t block, int row, const int rows, const column_part *in, int parts,
                          ptrdiff_t from, vf (*acc)[2]) {
  const columns *t = now->t;
  const lz_stage *g = now->stage;
  const ptrdiff_t packed = ((now->head * g->head_blocks + block) * g->inputs + from) * LZ_BLOCK;
  column_product(t->chunk->weights + g->w_kernel + packed, row, rows, in, parts, now->lane, acc);
  if (now->kind == SIGNS) {
    column_direction d = now->whole;
    for (int s = 0; s < 2; s++) d.block_signs[s] = t->signs[s] + g->s_kernel_column + packed;
    column_dense(&d, t, row, rows, now->tangent, in, parts, now->lane, acc);
  }
  if (now->kind == NORMAL)
    column_normal(t->entries + (g->z_kernel + packed) * LZ_LANES, t, row, rows, now->tangent, in, parts, now->lane, acc);
}

// Some rows of a block from `row`.
INLINE void column_slice(const column_head *now, ptrdiff_t block, int row, const int slice) {
  const lz_stage *g = now->stage;
  const int last = LATE_ROWS - 1;
  const column_part both[2] = {now->below, now->own};
  vf acc[LZ_BLOCK][2], asides[LZ_BLOCK][2];
  #pragma clang loop unroll(full)
  for (int r = 0; r < slice; r++) gate_start(now, now->late && r % LATE_ROWS == last, block * LZ_BLOCK + row + r, acc[r]);
  if (now->late) {
    if (!now->first) gate_products(now, block, row, slice, both, 1, 0, acc);
    #pragma clang loop unroll(full)
    for (int u = 0; u < slice / LATE_ROWS; u++) {
      for (int s = 0; s < 2; s++) asides[u][s] = acc[LATE_ROWS * u + last][s];
      late_gate_start(now, block * LZ_BLOCK + row + LATE_ROWS * u + last, acc[LATE_ROWS * u + last]);
    }
    gate_products(now, block, row, slice, both + 1, 1, now->below.count, acc);
  } else {
    const int parts = (now->first ? 0 : 1) + (now->own.count > 0);
    gate_products(now, block, row, slice, now->first ? both + 1 : both, parts, 0, acc);
  }
  // Units of padding are left out: the next head begins where they would be stored.
  const ptrdiff_t first = block * g->block_units + row / g->rows, left = g->head - first, units = slice / g->rows;
  const ptrdiff_t to = first * LZ_COLUMNS + now->lane;
  vf scalars[LZ_MAX_SCALARS * LZ_BLOCK][2];
  const ptrdiff_t own = now->late ? 0 : g->scalars, at = (now->head * g->head_blocks * g->block_units + first) * own;
  for (ptrdiff_t i = 0; i < units * own; i++) scalar_columns(now, at + i, scalars[i]);
  const unit_rows result = {.rows = acc, .asides = now->late ? asides : acc, .scalars = scalars, .other = now->other ? now->other + to : 0,
                            .h = now->h + to, .next = now->next + to, .state_step = now->state_step,
                            .units = left < units ? left : units};
  const cell_functions *cell = &NAME(cells)[g->shape.cell];
  (now->tangent ? cell->tangent : cell->forward)(&result);
}

// One head of one stage, one token: advances its h [D][32] and its other states.
INLINE void column_step(const columns *t, const int tangent, const int kind, const int late, int stage, ptrdiff_t head) {
  const lz_stage *g = &t->layout->stage[stage];
  const float *below = column_h(t, g->shape.below), *second = column_h(t, g->shape.second), *other = column_h(t, g->shape.other);
  float *h = t->chunk->state + (g->state + head * g->head) * LZ_COLUMNS;
  const int slice = late ? CB_LATE : CB;
  for (int lane = 0; lane < LZ_LANES; lane += VL) {
    column_head now = {.t = t, .stage = g, .tangent = tangent, .kind = kind, .late = late, .first = stage == 0, .lane = lane,
                       .head = head, .state_step = g->padded * LZ_COLUMNS, .below = {below, g->below},
                       .own = second ? (column_part){second, g->second} : (column_part){h, g->own ? g->head : 0}, .h = h, .next = g->own ? t->next : h,
                       .other = other ? other + head * g->head * LZ_COLUMNS : 0};
    head_directions_of(&now);
    for (ptrdiff_t block = 0; block < g->head_blocks; block++)
      for (int row = 0; row < LZ_BLOCK; row += slice) column_slice(&now, block, row, slice);
  }
  if (g->own) memcpy(h, t->next, sizeof(float) * (size_t)(g->head * LZ_COLUMNS));
}

// Functions of their own: one that held them all would take a compiler minutes.
typedef void (*column_function)(const columns *, int, ptrdiff_t);
#define EACH_MODE(MODE) MODE(0, ONE_PRODUCT) MODE(0, SIGNS) MODE(0, PRODUCTS) MODE(0, NORMAL) \
                        MODE(1, ONE_PRODUCT) MODE(1, SIGNS) MODE(1, PRODUCTS) MODE(1, NORMAL)
#define DEFINE(tangent, kind)                                                                                         \
  __attribute__((noinline)) static void NAME(column_##tangent##_##kind)(                                              \
    const columns *t, int stage, ptrdiff_t head) {                                                                    \
    column_step(t, tangent, kind, 0, stage, head);                                                                    \
  }                                                                                                                   \
  __attribute__((noinline)) static void NAME(column_late_##tangent##_##kind)(                                         \
    const columns *t, int stage, ptrdiff_t head) {                                                                    \
    column_step(t, tangent, kind, 1, stage, head);                                                                    \
  }
EACH_MODE(DEFINE)
#undef DEFINE
#define LISTED(tangent, kind) {NAME(column_##tangent##_##kind), NAME(column_late_##tangent##_##kind)},
static const column_function NAME(column_functions)[8][2] = {EACH_MODE(LISTED)}; // by mode and late
#undef LISTED

#include "columns_table.h"
#include "columns_readout.h"

INLINE void column_chunk(columns *t, const int tangent, const int kind, int with_readout, float *scratch) {
  const lz_layout *l = t->layout;
  const lz_chunk *ch = t->chunk;
  const ptrdiff_t head_rows = (l->head_gates + 31) / 32 * 32;
  t->tokens = scratch;
  t->token_signs[0] = (uint16_t *)(scratch + head_rows * LZ_LANES);
  t->token_signs[1] = t->token_signs[0] + head_rows;
  t->next = scratch + head_rows * LZ_COLUMNS;
  t->logits = t->next + l->next;
  if (l->shape.plain) t->plain_rows = scratch + l->scratch - l->gate_stride * LZ_LANES;
  float *rest = t->logits + (l->shape.exact_readout && !l->shape.plain ? (l->readout_blocks * LZ_BLOCK + l->readout_blocks) * LZ_COLUMNS : 0);
  if (kind == NORMAL) {
    t->token_moves = rest;
    t->token_entries = t->token_moves + l->gate_stride * LZ_COLUMNS;
    t->entries = t->token_entries + l->gate_stride * LZ_LANES;
    column_entries(t);
  }
  if (kind == PRODUCTS) {
    t->token_moves = rest;
    t->starts = t->token_moves + head_rows * LZ_COLUMNS;
    t->share = 1 / __builtin_sqrtf((float)l->shape.rank);
  }
  const column_function *step = NAME(column_functions)[4 * tangent + kind]; // by late
  // Layer norms and memories have no tangents.
  const tile_scalars scalars = {ch->weights, {t->signs[0], t->signs[1]}, {t->epsilon[0], t->epsilon[1]}, kind == NORMAL ? t->entries : 0};
  for (int64_t token = 0; token < ch->count; token++) {
    column_tokens(t, token);
    for (int stage = 0; stage < l->shape.stages; stage++) {
      const lz_stage *g = &l->stage[stage];
      if (tangent && g->shape.cell == LZ_NORM)
        NAME(norm_tangents)(column_h(t, g->shape.other), g->units, ch->state + g->state * LZ_COLUMNS);
      else if (!g->rows)
        NAME(step_rowless)(l, g, ch->state, &scalars, scratch);
      for (ptrdiff_t head = 0; g->rows && head < g->shape.heads; head++) {
        if (stage == 0) column_table(t, kind, head, tangent ? 1 : 2);
        step[g->aside == LZ_LATE](t, stage, head);
      }
    }
    if (ch->hidden) hand_out(l, ch, token);
    else if (with_readout) column_read_out(t, tangent, kind, column_h(t, l->shape.stages - 1), token);
  }
}

// θ ± εz of every pair, for sums of products and for normal entries.
void NAME(run_pairs)(const lz_layout *l, const lz_chunk *ch, float *scratch) {
  columns t = {.layout = l, .chunk = ch, .signs = {ch->signs, ch->signs}, .epsilon = {ch->epsilon, -ch->epsilon},
               .seen = {ch->seen, 0}};
  if (l->shape.normal) column_chunk(&t, 0, NORMAL, ch->loss != 0, scratch);
  else column_chunk(&t, 0, PRODUCTS, ch->loss != 0, scratch);
}

void NAME(run_tangent)(const lz_layout *l, const lz_chunk *ch, int with_readout, float *scratch) {
  columns t = {.layout = l, .chunk = ch, .signs = {ch->signs, ch->signs}, .seen = {ch->seen, 0}};
  if (l->shape.dense) column_chunk(&t, 1, SIGNS, with_readout, scratch);
  else if (l->shape.normal) column_chunk(&t, 1, NORMAL, with_readout, scratch);
  else if (l->shape.rank > 1) column_chunk(&t, 1, PRODUCTS, with_readout, scratch);
  else column_chunk(&t, 1, ONE_PRODUCT, with_readout, scratch);
}

void NAME(run_forward)(const lz_layout *l, const lz_chunk *ch, const lz_second *second, float *scratch) {
  columns t = {.layout = l, .chunk = ch, .signs = {ch->signs, second->signs}, .epsilon = {ch->epsilon, second->epsilon},
               .seen = {ch->seen, second->seen}};
  if (l->shape.dense) column_chunk(&t, 0, SIGNS, 1, scratch);
  else if (l->shape.rank > 1) column_chunk(&t, 0, PRODUCTS, 1, scratch);
  else column_chunk(&t, 0, ONE_PRODUCT, 1, scratch);
}
