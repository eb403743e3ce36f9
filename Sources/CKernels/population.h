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
        const vf weight = splat(w[row + r]);
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
  float *tokens;       // [gate_stride][16] the first layer's input
  uint16_t *token_signs; // [gate_stride]
  float *twice;        // dense
  float *shifted;      // exact: [rows][32] exp(logit − maximum so far), and [rows / RB][32] that maximum
  float *maxima;
} tile;

// The tokens' rows of the table, transposed so that pairs are contiguous, and the signs of their directions.
static void look_up(const tile *t, const uint32_t tokens[LZ_LANES]) {
  const lz_layout *l = t->layout;
  const lz_chunk *ch = t->chunk;
  const float *rows[LZ_LANES];
  int same = 1;
  for (int p = 0; p < LZ_LANES; p++) {
    rows[p] = ch->weights + l->w_table + (ptrdiff_t)tokens[p] * l->gate_stride;
    ch->seen[tokens[p]] |= (uint16_t)(1u << p);
    same &= tokens[p] == tokens[0];
  }
  if (same) {
    for (ptrdiff_t r = 0; r < l->gate_stride; r++)
      for (int lane = 0; lane < LZ_LANES; lane += VL) store(t->tokens + r * LZ_LANES + lane, splat(rows[0][r]));
  } else {
    transpose_rows(rows, LZ_LANES, l->gate_stride, t->tokens, LZ_LANES);
  }
  const uint16_t *columns = ch->signs + l->s_table_column;
  if (l->shape.dense) {
    memset(t->token_signs, 0, sizeof(uint16_t) * (size_t)l->gate_stride);
    for (int p = 0; p < LZ_LANES; p++) {
      const uint16_t *signs = columns + (ptrdiff_t)tokens[p] * l->gate_stride;
      for (ptrdiff_t r = 0; r < l->gate_stride; r++) t->token_signs[r] |= signs[r] & (uint16_t)(1u << p);
    }
  } else {
    uint16_t row = 0;
    for (int p = 0; p < LZ_LANES; p++) row |= ch->signs[l->s_table_row + tokens[p]] & (uint16_t)(1u << p);
    for (ptrdiff_t r = 0; r < l->gate_stride; r++) t->token_signs[r] = columns[r] ^ row;
  }
}

// One layer, one token: reads h and c, writes the next h and c.
static void step_layer(const tile *t, int layer, const segment *segments, int parts, float *c, float *next) {
  const lz_layout *l = t->layout;
  const lz_chunk *ch = t->chunk;
  const ptrdiff_t inputs = l->inputs[layer];
  const int dense = l->shape.dense;
  const uint16_t *bias_signs = ch->signs + l->s_bias[layer];
  const vf epsilon = splat(ch->epsilon);

  for (int lane = 0; lane < LZ_LANES; lane += VL) {
    direction d = {.row_signs = ch->signs + l->s_kernel_row[layer], .twice = t->twice};
    prepare(&d, ch->signs + l->s_kernel_column[layer], dense, ch->epsilon, segments, parts, lane, t->twice);
    for (ptrdiff_t block = 0; block < l->blocks; block++) {
      const float *w = ch->weights + l->w_kernel[layer] + block * inputs * LZ_BLOCK;
      d.block_signs = ch->signs + l->s_kernel_column[layer] + block * inputs * LZ_BLOCK;
      #pragma clang loop unroll(full)
      for (int row = 0; row < LZ_BLOCK; row += RB) {
        vf acc[RB][2];
        #pragma clang loop unroll(full)
        for (int r = 0; r < RB; r++) {
          const ptrdiff_t gate = block * LZ_BLOCK + row + r;
          vf flat = negated(epsilon, bias_signs[gate], lane);
          vf value;
          if (layer == 0) {
            value = load(t->tokens + gate * LZ_LANES + lane);
            flat += negated(epsilon, t->token_signs[gate], lane);
          } else {
            value = splat(ch->weights[l->w_bias[layer] + gate]);
          }
          start_row(&d, dense, value, flat, (int)gate, lane, acc[r]);
        }
        shared_product(w, row, segments, parts, lane, acc);
        if (dense) dense_product(&d, row, inputs, lane, acc);
        #pragma clang loop unroll(full)
        for (int u = 0; u < RB / 4; u++)
          #pragma clang loop unroll(full)
          for (int sign = 0; sign < 2; sign++) {
            const ptrdiff_t at = (block * LZ_UNITS + row / 4 + u) * LZ_COLUMNS + sign * LZ_LANES + lane;
            const vf gates[4] = {acc[4 * u][sign], acc[4 * u + 1][sign], acc[4 * u + 2][sign], acc[4 * u + 3][sign]};
            vf new_c, new_h;
            lstm_unit(gates, load(c + at), &new_c, &new_h);
            store(c + at, new_c);
            store(next + at, new_h);
          }
      }
    }
  }
}

#include "readout.h"

void NAME(run_chunk)(const lz_layout *l, const lz_chunk *ch, float *scratch) {
  const ptrdiff_t layer_state = 2 * l->units * LZ_COLUMNS, half = l->units * LZ_COLUMNS;
  const ptrdiff_t rows = l->readout_blocks * LZ_BLOCK;
  tile t = {.layout = l, .chunk = ch, .tokens = scratch};
  scratch += l->gate_stride * LZ_LANES;
  t.token_signs = (uint16_t *)scratch;
  scratch += (l->gate_stride + 31) / 32 * 16;
  float *next = scratch;
  scratch += l->shape.layers * half;
  if (l->shape.dense) {
    t.twice = scratch;
    scratch += 2 * (ptrdiff_t)l->shape.hidden * LZ_COLUMNS;
  }
  if (l->shape.exact_readout) {
    t.shifted = scratch;
    t.maxima = scratch + rows * LZ_COLUMNS;
  }

  // h alternates between the state and the scratch: [layer] where it is now, where the next goes
  float *h[LZ_MAX_LAYERS], *spare[LZ_MAX_LAYERS];
  for (int layer = 0; layer < l->shape.layers; layer++) {
    h[layer] = ch->state + layer * layer_state;
    spare[layer] = next + layer * half;
  }
  for (int64_t token = 0; token < ch->count; token++) {
    uint32_t inputs[LZ_LANES], targets[LZ_LANES];
    for (int p = 0; p < LZ_LANES; p++) inputs[p] = ch->tokens[p][token], targets[p] = ch->tokens[p][token + 1];
    look_up(&t, inputs);
    for (int layer = 0; layer < l->shape.layers; layer++) {
      segment segments[2] = {{h[layer], l->shape.hidden}};
      int parts = 1;
      if (layer > 0) {
        segments[1] = segments[0];
        segments[0] = (segment){h[layer - 1], l->shape.hidden};
        parts = 2;
      }
      step_layer(&t, layer, segments, parts, ch->state + layer * layer_state + half, spare[layer]);
      float *swap = h[layer];
      h[layer] = spare[layer];
      spare[layer] = swap;
    }
    read_out(&t, h[l->shape.layers - 1], targets, token);
  }
  if (ch->count & 1)
    for (int layer = 0; layer < l->shape.layers; layer++)
      memcpy(ch->state + layer * layer_state, next + layer * half, sizeof(float) * (size_t)half);
}
