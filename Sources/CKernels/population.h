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
#include "product.h"
#include "direction.h"
#include "token_rows.h"

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
