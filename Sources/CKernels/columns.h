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

typedef struct { const float *rows; ptrdiff_t count; } column_part; // part of a layer's input: [count][32]

typedef struct {
  const lz_layout *layout;
  const lz_chunk *chunk;
  const uint16_t *signs[2]; // of the "+" and of the "−" columns
  float epsilon[2];
  uint16_t *seen[2];        // the second may be null
  const float *rows[LZ_LANES]; // each lane's token's row of the table
  uint32_t inputs[LZ_LANES], targets[LZ_LANES];
  uint16_t marked;          // bit p: nobody has to predict the target of lane p
  float *tokens;            // [head_gates][16] the first layer's input for one head
  uint16_t *token_signs[2]; // [head_gates]
  float *token_moves;       // products: [head_gates][32], normal: [gate_stride][32] the entries of the tokens' rows, those of the second signs 16 further
  float *starts;            // products: [rank][32] ±bᵀh/√rank, times ε where there is one
  float share;              // 1/√rank
  float *entries;           // normal: [entries][16] all but the table's
  float *token_entries;     // normal: [16][gate_stride] the tokens' rows, one for each lane
  float *next;              // [head_gates / 4][32] the next h of one head
  float *logits;            // exact: [rows][32]
} columns;

// acc += W·(the parts), CB rows from `row` of a packed block.
INLINE void column_product(const float *w, int row, const column_part *in, int parts, int lane, vf acc[CB][2]) {
  for (int i = 0; i < parts; i++) {
    const float *h = in[i].rows + lane;
    for (ptrdiff_t k = in[i].count; k > 0; k--, h += LZ_COLUMNS, w += LZ_BLOCK) {
      const vf plus = load(h), minus = load(h + LZ_LANES);
      #pragma clang loop unroll(full)
      for (int r = 0; r < CB; r++) {
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
    for (int s = 0; s < 2; s++) store(t->starts + j * LZ_COLUMNS + s * LZ_LANES + lane, splat(t->share) * d->start[s]);
  }
}

// What the products of a matrix add to a row.
INLINE vf column_products(const column_direction *d, const columns *t, const uint16_t *row_signs, ptrdiff_t row, int s, int lane) {
  vf sum = splat(0);
  for (int j = 0; j < t->layout->shape.rank; j++)
    sum += negated(load(t->starts + j * LZ_COLUMNS + s * LZ_LANES + lane), row_signs[j * d->row_step + row], lane);
  return sum;
}

// −2εh where the sign is −1; with the start Σεh this is Σ ±εh.
INLINE void column_dense(const column_direction *d, const columns *t, int row, const int tangent, const column_part *in,
                         int parts, int lane, vf acc[CB][2]) {
  ptrdiff_t at = row;
  for (int i = 0; i < parts; i++) {
    const float *h = in[i].rows + lane;
    for (ptrdiff_t k = in[i].count; k > 0; k--, h += LZ_COLUMNS, at += LZ_BLOCK) {
      const vf plus = splat(tangent ? 2 : 2 * t->epsilon[0]) * load(h), minus = splat(2 * t->epsilon[1]) * load(h + LZ_LANES);
      #pragma clang loop unroll(full)
      for (int r = 0; r < CB; r++) {
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
INLINE void column_normal(const float *z, const columns *t, int row, const int tangent, const column_part *in, int parts,
                          int lane, vf acc[CB][2]) {
  z += row * LZ_LANES + lane;
  for (int i = 0; i < parts; i++) {
    const float *h = in[i].rows + lane;
    for (ptrdiff_t k = in[i].count; k > 0; k--, h += LZ_COLUMNS, z += LZ_BLOCK * LZ_LANES) {
      const vf plus = tangent ? load(h) : splat(t->epsilon[0]) * load(h), minus = splat(t->epsilon[1]) * load(h + LZ_LANES);
      #pragma clang loop unroll(full)
      for (int r = 0; r < CB; r++) {
        const vf entry = load(z + r * LZ_LANES);
        if (tangent) acc[r][1] += entry * plus;
        else acc[r][0] += entry * plus, acc[r][1] += entry * minus;
      }
    }
  }
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
    if (kind == NORMAL) {
      out[s] = tangent ? flat[s] : value + flat[s];
      continue;
    }
    const uint16_t *row_signs = d->row_signs[tangent ? 0 : s];
    const vf start = kind == PRODUCTS ? column_products(d, t, row_signs, row, s, lane)
                   : kind == SIGNS ? d->start[s] : negated(d->start[s], row_signs[row], lane);
    out[s] = (tangent ? flat[s] : value + flat[s]) + start;
  }
}

// Gates and state of one unit, each value beside its derivative.
INLINE void tangent_unit(vf a[4][2], const vf c[2], vf new_c[2], vf new_h[2]) {
  const ratio ri = sigmoid_ratio(a[0][0]), rf = sigmoid_ratio(a[1][0]), rg = tanh_ratio(a[2][0]), ro = sigmoid_ratio(a[3][0]);
  const vf one = splat(1);
  const vf i = ri.p / ri.q, f = rf.p / rf.q, g = rg.p / rg.q, o = ro.p / ro.q;
  const vf di = i * (one - i) * a[0][1], df = f * (one - f) * a[1][1];
  const vf dg = (one - g * g) * a[2][1], dof = o * (one - o) * a[3][1];
  new_c[0] = f * c[0] + i * g;
  new_c[1] = (f * c[1] + df * c[0]) + (di * g + i * dg);
  const ratio rt = tanh_ratio(new_c[0]);
  const vf t = rt.p / rt.q;
  new_h[0] = o * t;
  new_h[1] = dof * t + o * ((one - t * t) * new_c[1]);
}

INLINE void forward_unit(vf a[4][2], const vf c[2], vf new_c[2], vf new_h[2]) {
  for (int s = 0; s < 2; s++) {
    const ratio i = sigmoid_ratio(a[0][s]), f = sigmoid_ratio(a[1][s]), g = tanh_ratio(a[2][s]), o = sigmoid_ratio(a[3][s]);
    new_c[s] = (f.p / f.q) * c[s] + (i.p * g.p) / (i.q * g.q);
    const ratio t = tanh_ratio(new_c[s]);
    new_h[s] = (o.p * t.p) / (o.q * t.q);
  }
}

// One head of one layer, one token: advances its h [D][32] and c. `below`: the layer below's h, null for the first.
INLINE void column_head(const columns *t, const int tangent, const int kind, int layer, ptrdiff_t head, const float *below,
                        float *h, float *c) {
  const lz_layout *l = t->layout;
  const lz_chunk *ch = t->chunk;
  const ptrdiff_t inputs = l->inputs[layer], first_block = head * l->head_blocks, units = l->head;
  const ptrdiff_t words = l->s_kernel_column[layer] + (kind == SIGNS ? 0 : head * inputs);
  const column_part own = {h, units};
  const column_part in[2] = {below ? (column_part){below, l->shape.hidden} : own, own};
  const int parts = below ? 2 : 1;

  for (int lane = 0; lane < LZ_LANES; lane += VL) {
    column_direction d = {.row_step = l->gates};
    for (int s = 0; s < 2; s++) d.row_signs[s] = t->signs[s] + l->s_kernel_row[layer];
    if (kind != NORMAL) column_prepare(&d, t, words, l->shape.heads * inputs, tangent, kind, in, parts, lane);
    for (ptrdiff_t block = 0; block < l->head_blocks; block++) {
      const ptrdiff_t packed = (first_block + block) * inputs * LZ_BLOCK;
      const float *w = ch->weights + l->w_kernel[layer] + packed;
      for (int s = 0; s < 2; s++) d.block_signs[s] = t->signs[s] + l->s_kernel_column[layer] + packed;
      #pragma clang loop unroll(full)
      for (int row = 0; row < LZ_BLOCK; row += CB) {
        vf acc[CB][2];
        #pragma clang loop unroll(full)
        for (int r = 0; r < CB; r++) {
          const ptrdiff_t local = block * LZ_BLOCK + row + r, gate = first_block * LZ_BLOCK + local;
          vf flat[2];
          for (int s = 0; s < 2; s++) {
            const int from = tangent ? 0 : s;
            const vf size = splat(tangent ? 1 : t->epsilon[s]);
            if (kind == NORMAL) {
              vf entry = load(t->entries + (l->z_bias[layer] + gate) * LZ_LANES + lane);
              if (layer == 0) entry += load(t->token_moves + gate * LZ_COLUMNS + lane);
              flat[s] = size * entry;
              continue;
            }
            flat[s] = negated(size, t->signs[from][l->s_bias[layer] + gate], lane);
            if (layer > 0) continue;
            if (kind == PRODUCTS) flat[s] += size * load(t->token_moves + local * LZ_COLUMNS + from * LZ_LANES + lane);
            else flat[s] += negated(size, t->token_signs[from][local], lane);
          }
          const vf value = layer == 0 ? load(t->tokens + local * LZ_LANES + lane) : splat(ch->weights[l->w_bias[layer] + gate]);
          column_start(&d, t, tangent, kind, value, flat, gate, lane, acc[r]);
        }
        column_product(w, row, in, parts, lane, acc);
        if (kind == SIGNS) column_dense(&d, t, row, tangent, in, parts, lane, acc);
        if (kind == NORMAL)
          column_normal(t->entries + (l->z_kernel[layer] + packed) * LZ_LANES, t, row, tangent, in, parts, lane, acc);
        #pragma clang loop unroll(full)
        for (int u = 0; u < CB / 4; u++) {
          const ptrdiff_t unit = block * LZ_UNITS + row / 4 + u;
          if (unit >= units) continue; // padding: the next head begins where it would be stored
          const ptrdiff_t at = unit * LZ_COLUMNS + lane;
          const vf before[2] = {load(c + at), load(c + at + LZ_LANES)};
          vf new_c[2], new_h[2];
          if (tangent) tangent_unit(acc + 4 * u, before, new_c, new_h);
          else forward_unit(acc + 4 * u, before, new_c, new_h);
          for (int s = 0; s < 2; s++) {
            store(c + at + s * LZ_LANES, new_c[s]);
            store(t->next + at + s * LZ_LANES, new_h[s]);
          }
        }
      }
    }
  }
  memcpy(h, t->next, sizeof(float) * (size_t)(units * LZ_COLUMNS));
}

#include "columns_table.h"
#include "columns_readout.h"

INLINE void column_chunk(columns *t, const int tangent, const int kind, int with_readout, float *scratch) {
  const lz_layout *l = t->layout;
  const lz_chunk *ch = t->chunk;
  const ptrdiff_t half = l->units * LZ_COLUMNS, head_rows = (l->head_gates + 31) / 32 * 32;
  t->tokens = scratch;
  t->token_signs[0] = (uint16_t *)(scratch + head_rows * LZ_LANES);
  t->token_signs[1] = t->token_signs[0] + head_rows;
  t->next = scratch + head_rows * LZ_COLUMNS;
  t->logits = t->next + l->head_blocks * LZ_UNITS * LZ_COLUMNS;
  float *rest = t->logits + (l->shape.exact_readout ? (l->readout_blocks * LZ_BLOCK + l->readout_blocks) * LZ_COLUMNS : 0);
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
  for (int64_t token = 0; token < ch->count; token++) {
    column_tokens(t, token);
    const float *below = 0;
    for (int layer = 0; layer < l->shape.layers; layer++) {
      float *h = ch->state + layer * 2 * half, *c = h + half;
      for (ptrdiff_t head = 0; head < l->shape.heads; head++) {
        const ptrdiff_t first = head * l->head * LZ_COLUMNS;
        if (layer == 0) column_table(t, kind, head, tangent ? 1 : 2);
        column_head(t, tangent, kind, layer, head, below, h + first, c + first);
      }
      below = h;
    }
    if (with_readout) column_read_out(t, tangent, kind, below, token);
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
