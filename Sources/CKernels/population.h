// The population step for one vector width. The including file defines VL (lanes), RB (gate rows held in registers at
// once: 12 or 4) and NAME(f), and sets the target of the functions.
//
// The shared-weight product is the only heavy part: for a block of packed rows, RB × 2 accumulators (the + and the −
// columns of VL pairs) run over k with one broadcast weight and two vectors of the state. What the directions add is
// cheap: (W ± εabᵀ)h = Wh ± εa(bᵀh) needs bᵀh once per matrix, and sets the accumulators' start.

#include <string.h>

#include "CKernels.h"
#include "vector_math.h"

#define PLUS 0
#define MINUS LZ_LANES

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

// What a tile adds to the shared product of one matrix.
typedef struct {
  const uint16_t *row_signs;    // rank-one: a
  const uint16_t *block_signs;  // dense: [inputs][12] of this block
  const float *twice;           // dense: 2εh, [inputs][32], − columns with −ε
  vf start[2];                  // rank-one: ±ε bᵀh; dense: ±ε Σh
} direction;

// acc += W·(the segments), RB rows from `row` of a packed block, pairs from `lane`.
INLINE void shared_product(const float *w, int row, const segment *segments, int parts, int lane, vf acc[RB][2]) {
  for (int s = 0; s < parts; s++) {
    const float *h = segments[s].rows + lane;
    for (ptrdiff_t k = segments[s].count; k > 0; k--, h += LZ_COLUMNS, w += LZ_BLOCK) {
      const vf plus = load(h + PLUS), minus = load(h + MINUS);
      #pragma clang loop unroll(full)
      for (int r = 0; r < RB; r++) {
        const vf weight = splat(narrow_weight(w[row + r]));
        acc[r][0] += weight * plus;
        acc[r][1] += weight * minus;
      }
    }
  }
}

// acc −= 2ε(h where the sign is −1): with the start Σεh this is Σ ±εh.
INLINE void dense_product(const direction *d, int row, ptrdiff_t inputs, int lane, vf acc[RB][2]) {
  const float *h = d->twice + lane;
  const uint16_t *signs = d->block_signs;
  for (ptrdiff_t k = 0; k < inputs; k++, h += LZ_COLUMNS, signs += LZ_BLOCK) {
    const vf plus = load(h + PLUS), minus = load(h + MINUS);
    #pragma clang loop unroll(full)
    for (int r = 0; r < RB; r++) {
      acc[r][0] = subtract_masked(acc[r][0], plus, signs[row + r], lane);
      acc[r][1] = subtract_masked(acc[r][1], minus, signs[row + r], lane);
    }
  }
}

// The start of a matrix's direction at the current input: ±ε bᵀh, or for dense ones 2εh and ±ε Σh.
INLINE void prepare(direction *d, const uint16_t *column_signs, int dense, float epsilon, const segment *segments,
                    int parts, int lane, float *twice) {
  vf plus = splat(0), minus = splat(0);
  ptrdiff_t k = 0;
  for (int s = 0; s < parts; s++)
    for (ptrdiff_t i = 0; i < segments[s].count; i++, k++) {
      const vf hp = load(segments[s].rows + i * LZ_COLUMNS + lane + PLUS);
      const vf hm = load(segments[s].rows + i * LZ_COLUMNS + lane + MINUS);
      if (dense) {
        store(twice + k * LZ_COLUMNS + lane + PLUS, splat(2 * epsilon) * hp);
        store(twice + k * LZ_COLUMNS + lane + MINUS, splat(-2 * epsilon) * hm);
        plus += hp, minus += hm;
      } else {
        plus += negated(hp, column_signs[k], lane), minus += negated(hm, column_signs[k], lane);
      }
    }
  d->start[0] = splat(epsilon) * plus;
  d->start[1] = splat(-epsilon) * minus;
}

// Adds ±ε(sign of bias) and the matrix's direction to `value`, which both columns share, for one row.
INLINE void start_row(const direction *d, int dense, vf value, vf flat, int row, int lane, vf out[2]) {
  const vf plus = dense ? d->start[0] : negated(d->start[0], d->row_signs[row], lane);
  const vf minus = dense ? d->start[1] : negated(d->start[1], d->row_signs[row], lane);
  out[0] = (value + flat) + plus;
  out[1] = (value - flat) + minus;
}

INLINE void lstm_unit(const vf gates[4], vf c, vf *new_c, vf *new_h) {
  const ratio i = sigmoid_ratio(gates[0]), f = sigmoid_ratio(gates[1]), g = tanh_ratio(gates[2]);
  const ratio o = sigmoid_ratio(gates[3]);
  const vf next = (f.p / f.q) * c + (i.p * g.p) / (i.q * g.q);
  const ratio t = tanh_ratio(next);
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
  float *tokens;       // [head_gates][16] the first layer's input for one head
  uint16_t *token_signs; // [head_gates]
  float *next;         // [head_gates / 4][32] the next h of one head
  float *twice;        // dense
  float *shifted;      // exact: [rows][32] exp(logit − maximum so far), and [rows / RB][32] that maximum
  float *maxima;
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
    if (!l->shape.dense) t->row_signs |= ch->signs[l->s_table_row + tokens[p]] & (uint16_t)(1u << p);
  }
}

// A head's part of those rows, transposed so that pairs are contiguous, and the signs of their directions.
static void gather(const tile *t, ptrdiff_t head) {
  const lz_layout *l = t->layout;
  const ptrdiff_t first = head * l->head_gates, count = l->head_gates;
  if (t->same) {
    for (ptrdiff_t r = 0; r < count; r++)
      for (int lane = 0; lane < LZ_LANES; lane += VL) store(t->tokens + r * LZ_LANES + lane, splat(t->rows[0][first + r]));
  } else {
    const float *rows[LZ_LANES];
    for (int p = 0; p < LZ_LANES; p++) rows[p] = t->rows[p] + first;
    transpose_rows(rows, LZ_LANES, count, t->tokens, LZ_LANES);
  }
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

// One head of one layer, one token: advances its h [D][32] and c. `below`: the layer below's h, null for the first.
static void step_head(const tile *t, int layer, ptrdiff_t head, const float *below, float *h, float *c) {
  const lz_layout *l = t->layout;
  const lz_chunk *ch = t->chunk;
  const ptrdiff_t inputs = l->inputs[layer], first_block = head * l->head_blocks, units = l->head;
  const int dense = l->shape.dense;
  const uint16_t *bias_signs = ch->signs + l->s_bias[layer];
  const uint16_t *column_signs = ch->signs + l->s_kernel_column[layer];
  const vf epsilon = splat(ch->epsilon);
  const segment own = {h, units};
  const segment segments[2] = {below ? (segment){below, l->shape.hidden} : own, own};
  const int parts = below ? 2 : 1;

  for (int lane = 0; lane < LZ_LANES; lane += VL) {
    direction d = {.row_signs = ch->signs + l->s_kernel_row[layer], .twice = t->twice};
    prepare(&d, dense ? column_signs : column_signs + head * inputs, dense, ch->epsilon, segments, parts, lane, t->twice);
    for (ptrdiff_t block = 0; block < l->head_blocks; block++) {
      const float *w = ch->weights + l->w_kernel[layer] + (first_block + block) * inputs * LZ_BLOCK;
      d.block_signs = column_signs + (first_block + block) * inputs * LZ_BLOCK;
      #pragma clang loop unroll(full)
      for (int row = 0; row < LZ_BLOCK; row += RB) {
        vf acc[RB][2];
        #pragma clang loop unroll(full)
        for (int r = 0; r < RB; r++) {
          const ptrdiff_t local = block * LZ_BLOCK + row + r, gate = first_block * LZ_BLOCK + local;
          vf flat = negated(epsilon, bias_signs[gate], lane);
          vf value;
          if (layer == 0) {
            value = load(t->tokens + local * LZ_LANES + lane);
            flat += negated(epsilon, t->token_signs[local], lane);
          } else {
            value = splat(ch->weights[l->w_bias[layer] + gate]);
          }
          start_row(&d, dense, value, flat, (int)gate, lane, acc[r]);
        }
        shared_product(w, row, segments, parts, lane, acc);
        if (dense) dense_product(&d, row, inputs, lane, acc);
        #pragma clang loop unroll(full)
        for (int u = 0; u < RB / 4; u++) {
          const ptrdiff_t unit = block * LZ_UNITS + row / 4 + u;
          if (unit >= units) continue; // padding: the next head begins where it would be stored
          #pragma clang loop unroll(full)
          for (int sign = 0; sign < 2; sign++) {
            const ptrdiff_t at = unit * LZ_COLUMNS + sign * LZ_LANES + lane;
            const vf gates[4] = {acc[4 * u][sign], acc[4 * u + 1][sign], acc[4 * u + 2][sign], acc[4 * u + 3][sign]};
            vf new_c, new_h;
            lstm_unit(gates, load(c + at), &new_c, &new_h);
            store(c + at, new_c);
            store(t->next + at, narrow_state(new_h));
          }
        }
      }
    }
  }
  memcpy(h, t->next, sizeof(float) * (size_t)(units * LZ_COLUMNS));
}

#include "readout.h"

void NAME(run_chunk)(const lz_layout *l, const lz_chunk *ch, float *scratch) {
  const ptrdiff_t half = l->units * LZ_COLUMNS, rows = l->readout_blocks * LZ_BLOCK;
  const ptrdiff_t head_rows = (l->head_gates + 31) / 32 * 32;
  tile t = {.layout = l, .chunk = ch, .tokens = scratch};
  scratch += head_rows * LZ_LANES;
  t.token_signs = (uint16_t *)scratch;
  scratch += head_rows / 2;
  t.next = scratch;
  scratch += l->head_blocks * LZ_UNITS * LZ_COLUMNS;
  if (l->shape.dense) {
    t.twice = scratch;
    scratch += 2 * (ptrdiff_t)l->shape.hidden * LZ_COLUMNS;
  }
  if (l->shape.exact_readout) {
    t.shifted = scratch;
    t.maxima = scratch + rows * LZ_COLUMNS;
  }

  for (int64_t token = 0; token < ch->count; token++) {
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
        if (layer == 0) gather(&t, head);
        step_head(&t, layer, head, below, h + first, c + first);
      }
      below = h;
    }
    if (ch->loss) read_out(&t, below, targets, token);
  }
}
