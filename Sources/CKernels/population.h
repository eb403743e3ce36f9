// The population step for one vector width. The including file defines VL (lanes) and NAME(f), and sets the target of the
// functions.
//
// The shared-weight product is the only heavy part: for a block of 12 packed rows, 12 × 2 accumulators (the + and the − columns
// of VL pairs) run over k with one broadcast weight and two vectors of the state. What the directions add is cheap: (W ± εabᵀ)h = Wh ± εa(bᵀh) needs bᵀh
// once per matrix, and sets the accumulators' start.
//
// `dense`, `first` (layer) and `rows` (of a block that are no padding: 4, 8 or 12) are constants wherever they are passed:
// each combination has its own code. `dense` is 0 for products of signs, 1 for a sign a weight, and UNMOVED where no weight is
// moved but the gates' inputs are.

#include <string.h>

#include "CKernels.h"
#include "vector_math.h"

// An experiment, for a build of its own (-DLZ_EMULATE_BF16): weights and states of the products as bf16, sums in float. The
// measurements are in Benchmarks/README.md.
#ifdef LZ_EMULATE_BF16
INLINE float narrow_weight(float x) {
  const uint32_t bits = __builtin_bit_cast(uint32_t, x);
  return __builtin_bit_cast(float, (bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000u); // to the nearest, ties to even
}
INLINE vf narrow_state(vf x) {
  const vu bits = __builtin_bit_cast(vu, x);
  return __builtin_bit_cast(vf, (bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000u);
}
#else
INLINE float narrow_weight(float x) { return x; }
INLINE vf narrow_state(vf x) { return x; }
#endif

typedef struct { const float *rows; ptrdiff_t count; } segment; // part of a layer's input: [count][32]

#define UNMOVED 2

#define SB 2 // column vectors beside each other: + and −

// SB column vectors of one tile: `at` is the first one's place in a row of 32, the second lies 16 further.
typedef struct {
  int lane, sign; // first pair; 0: from the + columns, 1: from the − columns
  int at;         // sign · 16 + lane
} place;

#define EACH_PLACE(p)                                                                                                 \
  for (int sign_ = 0; sign_ < 2; sign_ += SB)                                                                        \
    for (int lane_ = 0; lane_ < LZ_LANES; lane_ += VL)                                                               \
      for (place p = {lane_, sign_, sign_ * LZ_LANES + lane_}, *once_ = &p; once_; once_ = 0)

// What a tile adds to the shared product of one matrix.
typedef struct {
  const uint16_t *row_signs;    // rank-one: a
  const float *twice;           // dense: 2εh, [inputs][32], − columns with −ε
  vf start[SB];                 // rank-one: ±ε bᵀh; dense: ±ε Σh
} direction;

// ε of the + columns, −ε of the − columns.
INLINE float signed_epsilon(float epsilon, place at, int s) { return at.sign + s == 0 ? epsilon : -epsilon; }

// sum += W·(the segments) for `rows` rows, as many as the registers hold.
INLINE void product_slice(const float *w, const int rows, const segment *segments, int parts, place at, vf (*sum)[SB]) {
  vf acc[LZ_BLOCK][SB];
  #pragma clang loop unroll(full)
  for (int r = 0; r < rows; r++)
    for (int s = 0; s < SB; s++) acc[r][s] = sum[r][s];
  for (int part = 0; part < parts; part++) {
    const float *h = segments[part].rows + at.at;
    for (ptrdiff_t k = segments[part].count; k > 0; k--, h += LZ_COLUMNS, w += LZ_BLOCK) {
      __builtin_prefetch(w + 32 * LZ_BLOCK);
      vf x[SB];
      for (int s = 0; s < SB; s++) x[s] = load(h + s * LZ_LANES);
      #pragma clang loop unroll(full)
      for (int r = 0; r < rows; r++) {
        const vf weight = splat(narrow_weight(w[r]));
        for (int s = 0; s < SB; s++) acc[r][s] += weight * x[s];
      }
    }
  }
  #pragma clang loop unroll(full)
  for (int r = 0; r < rows; r++)
    for (int s = 0; s < SB; s++) sum[r][s] = acc[r][s];
}

// acc += W·(the segments) for the first `rows` rows of a packed block. With 16 registers half of a block is all that they hold:
// 6 rows × 2 vectors take 8 loads for 12 multiply-adds, where 12 × 1 take 13.
INLINE void shared_product(const float *w, const int rows, const segment *segments, int parts, place at,
                           vf acc[LZ_BLOCK][SB]) {
  const int slice = VL == 16 || rows <= 6 ? rows : rows / 2;
  #pragma clang loop unroll(full)
  for (int first = 0; first < rows; first += slice) product_slice(w + first, slice, segments, parts, at, acc + first);
}

INLINE void dense_slice(const float *w, const int rows, const uint16_t *signs, const segment *segments, int parts,
                        const float *twice, place at, vf (*sum)[SB]) {
  vf acc[LZ_BLOCK][SB];
  #pragma clang loop unroll(full)
  for (int r = 0; r < rows; r++)
    for (int s = 0; s < SB; s++) acc[r][s] = sum[r][s];
  twice += at.at;
  for (int part = 0; part < parts; part++) {
    const float *h = segments[part].rows + at.at;
    for (ptrdiff_t k = segments[part].count; k > 0;
         k--, h += LZ_COLUMNS, twice += LZ_COLUMNS, w += LZ_BLOCK, signs += LZ_BLOCK) {
      vf x[SB], move[SB];
      for (int s = 0; s < SB; s++) x[s] = load(h + s * LZ_LANES), move[s] = load(twice + s * LZ_LANES);
      #pragma clang loop unroll(full)
      for (int r = 0; r < rows; r++) {
        const vf weight = splat(narrow_weight(w[r]));
        for (int s = 0; s < SB; s++) {
          acc[r][s] += weight * x[s];
          acc[r][s] = subtract_masked(acc[r][s], move[s], signs[r], at.lane);
        }
      }
    }
  }
  #pragma clang loop unroll(full)
  for (int r = 0; r < rows; r++)
    for (int s = 0; s < SB; s++) sum[r][s] = acc[r][s];
}

// acc += W·h and −= 2ε(h where the sign is −1): with the start Σεh this is Σ (w ± ε)h. Products and subtractions run on
// different units, so that the signs cost little where they share a loop.
INLINE void dense_product(const float *w, const int rows, const uint16_t *signs, const segment *segments, int parts,
                          const float *twice, place at, vf acc[LZ_BLOCK][SB]) {
  const int slice = VL == 16 || rows <= 6 ? rows : rows / 2;
  #pragma clang loop unroll(full)
  for (int first = 0; first < rows; first += slice)
    dense_slice(w + first, slice, signs + first, segments, parts, twice, at, acc + first);
}

// One term of the start of a direction.
INLINE void prepare_row(const uint16_t *column_signs, const int dense, float epsilon, const float *h, ptrdiff_t k, place at,
                        float *twice, vf sum[SB]) {
  for (int s = 0; s < SB; s++) {
    const vf x = load(h + at.at + s * LZ_LANES);
    if (dense) {
      store(twice + k * LZ_COLUMNS + at.at + s * LZ_LANES, splat(2 * signed_epsilon(epsilon, at, s)) * x);
      sum[s] += x;
    } else {
      sum[s] += negated(x, column_signs[k], at.lane);
    }
  }
}

// The start of a matrix's direction at the current input: ±ε bᵀh, or for dense ones 2εh and ±ε Σh. Four sums at a time, so
// that none waits for the one before.
INLINE void prepare(direction *d, const uint16_t *column_signs, const int dense, float epsilon, const segment *segments,
                    int parts, place at, float *twice) {
  vf sum[4][SB];
  for (int i = 0; i < 4; i++)
    for (int s = 0; s < SB; s++) sum[i][s] = splat(0);
  ptrdiff_t k = 0;
  for (int part = 0; part < parts; part++) {
    const float *h = segments[part].rows;
    const ptrdiff_t count = segments[part].count;
    ptrdiff_t i = 0;
    for (; i + 4 <= count; i += 4)
      #pragma clang loop unroll(full)
      for (int j = 0; j < 4; j++)
        prepare_row(column_signs, dense, epsilon, h + (i + j) * LZ_COLUMNS, k + i + j, at, twice, sum[j]);
    for (; i < count; i++) prepare_row(column_signs, dense, epsilon, h + i * LZ_COLUMNS, k + i, at, twice, sum[0]);
    k += count;
  }
  for (int s = 0; s < SB; s++)
    d->start[s] = splat(signed_epsilon(epsilon, at, s)) * ((sum[0][s] + sum[1][s]) + (sum[2][s] + sum[3][s]));
}

// The direction's part of a row's start.
INLINE vf direction_start(const direction *d, const int dense, ptrdiff_t row, place at, int s) {
  if (dense == UNMOVED) return splat(0);
  return dense ? d->start[s] : negated(d->start[s], d->row_signs[row], at.lane);
}

// Three divisions' work with two: the denominators lie in 1 … 420.
INLINE void lstm_unit(const vf gates[4], vf c, vf *new_c, vf *new_h) {
  const ratio i = twice_sigmoid_ratio(gates[0]), f = twice_sigmoid_ratio(gates[1]);
  const ratio g = scaled_tanh_ratio(gates[2], 1, 2);
  const vf ig = i.q * g.q;
  const vf next = ((f.p * c) * (0.5f * ig) + (i.p * g.p) * f.q) / (ig * f.q);
  const ratio o = twice_sigmoid_ratio(gates[3]), t = scaled_tanh_ratio(next, 1, 2);
  *new_c = next;
  *new_h = (o.p * t.p) / (o.q * t.q);
}

typedef struct {
  const lz_layout *layout;
  const lz_chunk *chunk;
  const float *rows[LZ_LANES]; // each pair's token's row of the table
  int same;            // all pairs read the same token
  uint16_t row_signs;  // rank-one: those of the tokens' rows
  uint16_t marked;     // bit p: nobody has to predict the target of pair p
  const uint32_t *inputs; // [16] the tokens
  float *tokens;       // [head_gates][32] the first layer's input for one head, with ±ε of its bias and its tokens
  uint16_t *token_signs; // [head_gates]
  float *next;         // [head_gates / 4][32] the next h of one head
  float *twice;        // dense
  float *powers;       // exact: [rows][32] 2^(logit − reference), in units of log 2,
  float *references;   // and [rows / 12][32] those references
} tile;

// Finds the tokens' rows of the table, and notes that they were read.
static void look_up(tile *t, const uint32_t tokens[LZ_LANES]) {
  const lz_layout *l = t->layout;
  const lz_chunk *ch = t->chunk;
  t->inputs = tokens;
  t->same = 1;
  t->row_signs = 0;
  for (int p = 0; p < LZ_LANES; p++) {
    t->rows[p] = ch->weights + l->w_table + (ptrdiff_t)tokens[p] * l->gate_stride;
    if (ch->seen) ch->seen[tokens[p]] |= (uint16_t)(1u << p);
    t->same &= tokens[p] == tokens[0];
    if (!l->shape.dense && !l->shape.nodes) t->row_signs |= ch->signs[l->s_table_row + tokens[p]] & (uint16_t)(1u << p);
  }
}

// The signs of the tokens' directions for a head's gate rows.
static void gather_signs(const tile *t, ptrdiff_t first) {
  const lz_layout *l = t->layout;
  const ptrdiff_t count = l->head_gates;
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
  const lz_layout *l = t->layout;
  const ptrdiff_t first = head * l->head_gates;
  const uint16_t *bias_signs = t->chunk->signs + l->s_bias[0] + first;
  const vf epsilon = splat(tangent ? 1 : t->chunk->epsilon);
  const float *rows[LZ_LANES];
  for (int p = 0; p < LZ_LANES; p++) rows[p] = t->rows[p] + first;
  if (!nodes) gather_signs(t, first);
  for (int lane = 0; lane < LZ_LANES; lane += VL)
    for (ptrdiff_t r = 0; r < l->head_gates; r += 4) {
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

// What a head of a layer reads and writes at one token.
typedef struct {
  const tile *t;
  int layer, parts;
  ptrdiff_t head;
  segment segments[2];
  float *c;
} head_step;

// One block of gate rows of one head: new c, and new h in t->next.
INLINE void step_block(const head_step *now, const direction *d, const int dense, const int first, const int rows,
                       ptrdiff_t block, place at) {
  const tile *t = now->t;
  const lz_layout *l = t->layout;
  const lz_chunk *ch = t->chunk;
  const ptrdiff_t packed = now->head * l->head_blocks + block, inputs = l->inputs[now->layer];
  const float *w = ch->weights + l->w_kernel[now->layer] + packed * inputs * LZ_BLOCK;
  vf acc[LZ_BLOCK][SB];
  #pragma clang loop unroll(full)
  for (int r = 0; r < rows; r++) {
    const ptrdiff_t gate = packed * LZ_BLOCK + r;
    for (int s = 0; s < SB; s++) {
      vf value;
      if (first)
        value = load(t->tokens + (block * LZ_BLOCK + r) * LZ_COLUMNS + at.at + s * LZ_LANES);
      else
        value = splat(ch->weights[l->w_bias[now->layer] + gate])
                + negated(splat(signed_epsilon(ch->epsilon, at, s)), ch->signs[l->s_bias[now->layer] + gate], at.lane);
      acc[r][s] = value + direction_start(d, dense, gate, at, s);
    }
  }
  if (dense == 1)
    dense_product(w, rows, ch->signs + l->s_kernel_column[now->layer] + packed * inputs * LZ_BLOCK, now->segments,
                  now->parts, t->twice, at, acc);
  else
    shared_product(w, rows, now->segments, now->parts, at, acc);
  #pragma clang loop unroll(full)
  for (int u = 0; u < rows / 4; u++)
    #pragma clang loop unroll(full)
    for (int s = 0; s < SB; s++) {
      const ptrdiff_t to = (block * LZ_UNITS + u) * LZ_COLUMNS + at.at + s * LZ_LANES;
      const vf gates[4] = {acc[4 * u][s], acc[4 * u + 1][s], acc[4 * u + 2][s], acc[4 * u + 3][s]};
      vf new_c, new_h;
      lstm_unit(gates, load(now->c + to), &new_c, &new_h);
      store(now->c + to, new_c);
      store(t->next + to, narrow_state(new_h));
    }
}

INLINE void step_blocks(const head_step *now, const int dense, const int first) {
  const tile *t = now->t;
  const lz_layout *l = t->layout;
  const lz_chunk *ch = t->chunk;
  const ptrdiff_t last = l->head_blocks - 1;
  const ptrdiff_t columns = l->s_kernel_column[now->layer] + (dense ? 0 : now->head * l->inputs[now->layer]);
  EACH_PLACE(at) {
    direction d = {.row_signs = ch->signs + l->s_kernel_row[now->layer], .twice = t->twice};
    if (dense != UNMOVED) prepare(&d, ch->signs + columns, dense, ch->epsilon, now->segments, now->parts, at, t->twice);
    for (ptrdiff_t block = 0; block < last; block++) step_block(now, &d, dense, first, 12, block, at);
    switch (l->head - last * LZ_UNITS) {
    case 1: step_block(now, &d, dense, first, 4, last, at); break;
    case 2: step_block(now, &d, dense, first, 8, last, at); break;
    default: step_block(now, &d, dense, first, 12, last, at);
    }
  }
}

static void NAME(step_rank_one_first)(const head_step *now) { step_blocks(now, 0, 1); }
static void NAME(step_rank_one)(const head_step *now) { step_blocks(now, 0, 0); }
static void NAME(step_dense_first)(const head_step *now) { step_blocks(now, 1, 1); }
static void NAME(step_dense)(const head_step *now) { step_blocks(now, 1, 0); }
static void NAME(step_unmoved_first)(const head_step *now) { step_blocks(now, UNMOVED, 1); }
static void NAME(step_unmoved)(const head_step *now) { step_blocks(now, UNMOVED, 0); }

// One head of one layer, one token: advances its h [D][32] and c. `below`: the layer below's h, null for the first.
static void step_head(const tile *t, int layer, ptrdiff_t head, const float *below, float *h, float *c) {
  const lz_layout *l = t->layout;
  const segment own = {h, l->head};
  const head_step now = {.t = t, .layer = layer, .parts = below ? 2 : 1, .head = head, .c = c,
                         .segments = {below ? (segment){below, l->shape.hidden} : own, own}};
  if (l->shape.nodes) (below ? NAME(step_unmoved) : NAME(step_unmoved_first))(&now);
  else if (l->shape.dense) (below ? NAME(step_dense) : NAME(step_dense_first))(&now);
  else (below ? NAME(step_rank_one) : NAME(step_rank_one_first))(&now);
  memcpy(h, t->next, sizeof(float) * (size_t)(l->head * LZ_COLUMNS));
}

#include "readout.h"

// The mean h of every pair in every layer, as it is before token `token` of the chunk.
static void emit_means(const tile *t, int64_t token) {
  const lz_layout *l = t->layout;
  const lz_means *m = &t->chunk->means;
  for (int layer = 0; layer < l->shape.layers; layer++) {
    const float *h = t->chunk->state + layer * 2 * l->units * LZ_COLUMNS;
    float *to = m->at + layer * m->layer + token * m->token;
    for (ptrdiff_t u = 0; u < m->row; u += 4)
      for (int p = 0; p < LZ_LANES; p += 4) {
        v4 out[4];
        four_states(h, u, l->shape.hidden, p, 1, out);
        for (int i = 0; i < 4; i++) store4(to + (p + i) * m->row + u, out[i]);
      }
  }
}

void NAME(run_chunk)(const lz_layout *l, const lz_chunk *ch, float *scratch) {
  const ptrdiff_t half = l->units * LZ_COLUMNS, rows = l->readout_blocks * LZ_BLOCK;
  const ptrdiff_t head_rows = (l->head_gates + 31) / 32 * 32;
  lz_chunk now = *ch;
  tile t = {.layout = l, .chunk = &now, .tokens = scratch};
  scratch += head_rows * LZ_COLUMNS;
  t.token_signs = (uint16_t *)scratch;
  scratch += head_rows / 2;
  t.next = scratch;
  scratch += l->head_blocks * LZ_UNITS * LZ_COLUMNS;
  if (l->shape.dense) {
    t.twice = scratch;
    scratch += 2 * (ptrdiff_t)l->shape.hidden * LZ_COLUMNS;
  }
  if (l->shape.exact_readout) {
    t.powers = scratch;
    t.references = scratch + rows * LZ_COLUMNS;
  }

  if (l->shape.nodes) emit_means(&t, 0);
  for (int64_t token = 0; token < ch->count; token++, now.signs += ch->sign_step, now.loss += ch->loss_step) {
    uint32_t inputs[LZ_LANES], targets[LZ_LANES];
    t.marked = 0;
    for (int p = 0; p < LZ_LANES; p++) {
      const uint32_t target = ch->tokens[p][token + 1];
      inputs[p] = ch->tokens[p][token] & LZ_ID, targets[p] = target & LZ_ID;
      t.marked |= (uint16_t)((target >> 31) << p);
    }
    look_up(&t, inputs);
    const float *below = 0;
    for (int layer = 0; layer < l->shape.layers; layer++) {
      float *h = ch->state + layer * 2 * half, *c = h + half;
      for (ptrdiff_t head = 0; head < l->shape.heads; head++) {
        const ptrdiff_t first = head * l->head * LZ_COLUMNS;
        if (layer == 0) (l->shape.nodes ? gather_nodes : gather)(&t, head);
        step_head(&t, layer, head, below, h + first, c + first);
      }
      below = h;
    }
    if (ch->loss) read_out(&t, below, targets, token);
    if (l->shape.nodes) emit_means(&t, token + 1);
  }
}
