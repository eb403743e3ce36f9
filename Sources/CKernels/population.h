// The population step for one vector width. The including file defines VL (lanes) and NAME(f), and sets the target of the
// functions.
//
// The shared-weight product is the only heavy part: for a block of 12 packed rows, 12 × 2 accumulators (the + and the −
// columns of VL pairs) run over k with one broadcast weight and two vectors of the state. What the directions add is cheap:
// (W ± εabᵀ)h = Wh ± εa(bᵀh) needs bᵀh once per matrix, and sets the accumulators' start.
//
// `late` (whether the last row of a unit is), `kind`, `first` (layer) and `rows` (of a block) are constants wherever they are
// passed: each combination has its own code, and cells come in only where rows become states. `kind` is 0 for products of
// signs, 1 for a sign a weight, and UNMOVED where no weight is moved but the gates' inputs are.

#include <string.h>

#include "CKernels.h"
#include "vector_math.h"
#include "product.h"
#include "direction.h"
#include "token_rows.h"
#include "cells/cells.h"
#include "rowless.h"

// What a head of a stage reads and writes at one token.
typedef struct {
  const tile *t;
  const lz_stage *stage;
  int parts;
  ptrdiff_t head, state_step;
  segment segments[2]; // below, if there is one, and the own state, if it is read, or a second stage
  float *h, *next;     // [D][32], and where the new h goes, which may be h itself if no row reads it; the other states of a unit lie state_step further each
  const float *other;  // likewise of the same units of another stage, or null
} head_step;

// A block of gate rows of a head, and the constants of its code.
typedef struct {
  const head_step *now;
  int late, kind, first; // kind: 0 products of signs, 1 a sign a weight, UNMOVED
  ptrdiff_t block, packed; // of the head, of the stage
} gate_block;

// What directions add: to the product with the whole input, or apart to the products with what lies below and with the own state.
typedef struct { direction whole, own; } head_directions;

INLINE vf row_start(const gate_block *b, const head_directions *d, const int is_late, int r, place at, int s) {
  const head_step *now = b->now;
  const tile *t = now->t;
  const lz_stage *g = now->stage;
  const lz_chunk *ch = t->chunk;
  const ptrdiff_t gate = b->packed * LZ_BLOCK + r;
  vf value;
  if (b->first)
    value = load(t->tokens + (b->block * LZ_BLOCK + r) * LZ_COLUMNS + at.at + s * LZ_LANES);
  else
    value = splat(ch->weights[g->w_bias + gate])
            + negated(splat(signed_epsilon(ch->epsilon, at, s)), ch->signs[g->s_bias + gate], at.lane);
  if (!b->late) return value + direction_start(&d->whole, b->kind, gate, at, s);
  if (!b->first) value += direction_start(&d->whole, b->kind, gate, at, s);
  return is_late ? value : value + direction_start(&d->own, b->kind, gate, at, s);
}

// Where a late row begins once what comes from below is put aside.
INLINE vf late_start(const gate_block *b, const head_directions *d, int r, place at, int s) {
  const head_step *now = b->now;
  const lz_stage *g = now->stage;
  const lz_chunk *ch = now->t->chunk;
  const ptrdiff_t gate = b->packed * LZ_BLOCK + r, unit = gate / LATE_ROWS;
  const vf value = splat(ch->weights[g->w_scalars + unit])
                   + negated(splat(signed_epsilon(ch->epsilon, at, s)), ch->signs[g->s_scalars + unit], at.lane);
  return value + direction_start(&d->own, b->kind, gate, at, s);
}

// The scalars of a block's units.
INLINE void unit_scalars(const gate_block *b, ptrdiff_t units, place at, vf (*out)[SB]) {
  const head_step *now = b->now;
  const lz_stage *g = now->stage;
  const lz_chunk *ch = now->t->chunk;
  const ptrdiff_t first = b->packed * g->block_units * g->scalars;
  for (ptrdiff_t i = 0; i < units * g->scalars; i++)
    for (int s = 0; s < SB; s++) {
      out[i][s] = splat(ch->weights[g->w_scalars + first + i]);
      if (b->kind != UNMOVED)
        out[i][s] += negated(splat(signed_epsilon(ch->epsilon, at, s)), ch->signs[g->s_scalars + first + i], at.lane);
    }
}

// acc += the products with some of the segments, which begin at column `from` of the matrix.
INLINE void block_product(const gate_block *b, const int rows, const segment *segments, int parts, ptrdiff_t from, place at,
                          vf acc[LZ_BLOCK][SB]) {
  const lz_stage *g = b->now->stage;
  const lz_chunk *ch = b->now->t->chunk;
  const ptrdiff_t first = (b->packed * g->inputs + from) * LZ_BLOCK;
  const float *w = ch->weights + g->w_kernel + first;
  if (b->kind == 1)
    dense_product(w, rows, ch->signs + g->s_kernel_column + first, segments, parts, b->now->t->twice + from * LZ_COLUMNS, at, acc);
  else
    shared_product(w, rows, segments, parts, at, acc);
}

// One block of gate rows of one head: the states but h in place, and the new h in t->next. `rows`: those that are no padding, or a
// few more; `units` are those that are none.
INLINE void step_block(const gate_block *b, const head_directions *d, const int rows, ptrdiff_t units, place at) {
  const head_step *now = b->now;
  const int last = LATE_ROWS - 1;
  vf acc[LZ_BLOCK][SB], asides[LZ_BLOCK][SB];
  #pragma clang loop unroll(full)
  for (int r = 0; r < rows; r++)
    for (int s = 0; s < SB; s++) acc[r][s] = row_start(b, d, b->late && r % LATE_ROWS == last, r, at, s);
  if (b->late) {
    const ptrdiff_t below = b->first ? 0 : now->segments[0].count;
    if (!b->first) block_product(b, rows, now->segments, 1, 0, at, acc);
    #pragma clang loop unroll(full)
    for (int u = 0; u < rows / LATE_ROWS; u++)
      for (int s = 0; s < SB; s++) {
        asides[u][s] = acc[LATE_ROWS * u + last][s];
        acc[LATE_ROWS * u + last][s] = late_start(b, d, LATE_ROWS * u + last, at, s);
      }
    block_product(b, rows, now->segments + (b->first ? 0 : 1), 1, below, at, acc);
  } else {
    block_product(b, rows, now->segments, now->parts, 0, at, acc);
  }
  vf scalars[LZ_MAX_SCALARS * LZ_BLOCK][SB];
  if (!b->late && now->stage->scalars) unit_scalars(b, units, at, scalars);
  const ptrdiff_t to = b->block * now->stage->block_units * LZ_COLUMNS + at.at;
  const unit_rows result = {.rows = acc, .asides = b->late ? asides : acc, .scalars = scalars, .other = now->other ? now->other + to : 0,
                            .h = now->h + to, .next = now->next + to, .state_step = now->state_step, .units = units};
  NAME(cells)[now->stage->shape.cell].step(&result);
}

// The directions' part of a head's products at one place.
INLINE void prepare_head(const head_step *now, head_directions *d, const int late, const int kind, const int first, place at) {
  const tile *t = now->t;
  const lz_stage *g = now->stage;
  const lz_chunk *ch = t->chunk;
  const uint16_t *columns = ch->signs + g->s_kernel_column + (kind ? 0 : now->head * g->inputs);
  if (!late) {
    prepare(&d->whole, columns, kind, ch->epsilon, now->segments, now->parts, at, t->twice);
    return;
  }
  const ptrdiff_t below = first ? 0 : now->segments[0].count;
  if (!first) prepare(&d->whole, columns, kind, ch->epsilon, now->segments, 1, at, t->twice);
  prepare(&d->own, columns + below, kind, ch->epsilon, now->segments + (first ? 0 : 1), 1, at, t->twice + below * LZ_COLUMNS);
}

// The rows of a head's last block, in as few sizes as cost little: every size has its own code.
INLINE void step_last(const gate_block *b, const head_directions *d, place at) {
  const lz_stage *g = b->now->stage;
  const int some = b->late ? 2 * LATE_ROWS : 4;
  const ptrdiff_t units = g->head - b->block * g->block_units, rows = units * g->rows;
  if (rows <= some) step_block(b, d, some, units, at);
  else if (rows <= 2 * some && 2 * some < LZ_BLOCK) step_block(b, d, 2 * some, units, at);
  else step_block(b, d, LZ_BLOCK, units, at);
}

INLINE void step_blocks(const head_step *now, const int late, const int kind, const int first) {
  const tile *t = now->t;
  const lz_stage *g = now->stage;
  const ptrdiff_t last = g->head_blocks - 1, packed = now->head * g->head_blocks;
  EACH_PLACE(at) {
    const direction none = {.row_signs = t->chunk->signs + g->s_kernel_row, .twice = t->twice};
    head_directions d = {none, none};
    if (kind != UNMOVED) prepare_head(now, &d, late, kind, first, at);
    for (ptrdiff_t block = 0; block < last; block++) {
      const gate_block b = {now, late, kind, first, block, packed + block};
      step_block(&b, &d, LZ_BLOCK, g->block_units, at);
    }
    const gate_block b = {now, late, kind, first, last, packed + last};
    step_last(&b, &d, at);
  }
}

static void NAME(step_rank_one_first)(const head_step *now) { step_blocks(now, 0, 0, 1); }
static void NAME(step_rank_one)(const head_step *now) { step_blocks(now, 0, 0, 0); }
static void NAME(step_dense_first)(const head_step *now) { step_blocks(now, 0, 1, 1); }
static void NAME(step_dense)(const head_step *now) { step_blocks(now, 0, 1, 0); }
static void NAME(step_unmoved_first)(const head_step *now) { step_blocks(now, 0, UNMOVED, 1); }
static void NAME(step_unmoved)(const head_step *now) { step_blocks(now, 0, UNMOVED, 0); }
static void NAME(step_late_rank_one_first)(const head_step *now) { step_blocks(now, 1, 0, 1); }
static void NAME(step_late_rank_one)(const head_step *now) { step_blocks(now, 1, 0, 0); }
static void NAME(step_late_dense_first)(const head_step *now) { step_blocks(now, 1, 1, 1); }
static void NAME(step_late_dense)(const head_step *now) { step_blocks(now, 1, 1, 0); }

// By late, kind and first. Gates are not moved where rows are late: a late row has two inputs.
typedef void (*head_function)(const head_step *);
static const head_function NAME(head_functions)[2][3][2] = {
  {{NAME(step_rank_one), NAME(step_rank_one_first)}, {NAME(step_dense), NAME(step_dense_first)},
   {NAME(step_unmoved), NAME(step_unmoved_first)}},
  {{NAME(step_late_rank_one), NAME(step_late_rank_one_first)}, {NAME(step_late_dense), NAME(step_late_dense_first)},
   {0, 0}},
};

// One head of one stage, one token: advances its h [D][32] and the states that lie `state_step` apart. `below`: h of the
// stage below, null for the first; `second`: h of a second stage that the matrix reads, or null; `other`: h of the same units of
// another stage, if the cell reads one.
static void step_head(const tile *t, const lz_stage *g, ptrdiff_t head, const float *below, const float *second, const float *other,
                      float *h, ptrdiff_t state_step) {
  const segment own = second ? (segment){second, g->second} : (segment){h, g->head};
  const lz_shape *s = &t->layout->shape;
  const head_step now = {.t = t, .stage = g, .parts = (below ? 1 : 0) + (second ? 1 : g->own), .head = head, .h = h,
                         .next = g->own ? t->next : h, .other = other, .state_step = state_step,
                         .segments = {below ? (segment){below, g->below} : own, own}};
  const int kind = s->nodes ? UNMOVED : s->dense ? 1 : 0;
  NAME(head_functions)[g->aside == LZ_LATE][kind][below ? 0 : 1](&now);
  if (g->own) memcpy(h, t->next, sizeof(float) * (size_t)(g->head * LZ_COLUMNS));
}

// h of a stage of a tile, null for none.
static const float *h_of(const lz_chunk *ch, const lz_layout *l, int stage) {
  return stage < 0 ? 0 : ch->state + l->stage[stage].state * LZ_COLUMNS;
}

#include "readout.h"

// The mean h of every pair in every stage, as it is before token `token` of the chunk.
static void emit_means(const tile *t, int64_t token) {
  const lz_layout *l = t->layout;
  const lz_means *m = &t->chunk->means;
  for (int stage = 0; stage < l->shape.stages; stage++) {
    const lz_stage *g = &l->stage[stage];
    const float *h = t->chunk->state + g->state * LZ_COLUMNS;
    float *to = m->at + stage * m->stage + token * m->token;
    for (ptrdiff_t u = 0; u < m->row; u += 4)
      for (int p = 0; p < LZ_LANES; p += 4) {
        v4 out[4];
        four_states(h, u, g->units, p, 1, out);
        for (int i = 0; i < 4; i++) store4(to + (p + i) * m->row + u, out[i]);
      }
  }
}

// All heads of a stage.
static void step_stage(const tile *t, int stage) {
  const lz_layout *l = t->layout;
  const lz_stage *g = &l->stage[stage];
  if (!g->rows) {
    const lz_chunk *ch = t->chunk;
    const tile_scalars scalars = {ch->weights, {ch->signs, ch->signs}, {ch->epsilon, -ch->epsilon}, 0};
    return NAME(step_rowless)(l, g, ch->state, &scalars, t->scratch);
  }
  const float *below = h_of(t->chunk, l, g->shape.below), *second = h_of(t->chunk, l, g->shape.second);
  const float *other = h_of(t->chunk, l, g->shape.other);
  float *h = t->chunk->state + g->state * LZ_COLUMNS;
  for (ptrdiff_t head = 0; head < g->shape.heads; head++) {
    const ptrdiff_t first = head * g->head * LZ_COLUMNS;
    if (stage == 0) (l->shape.nodes ? gather_nodes : gather)(t, head);
    step_head(t, g, head, below, second, other ? other + first : 0, h + first, g->padded * LZ_COLUMNS);
  }
}

void NAME(run_chunk)(const lz_layout *l, const lz_chunk *ch, float *scratch) {
  const ptrdiff_t rows = l->readout_blocks * LZ_BLOCK;
  const ptrdiff_t head_rows = (l->head_gates + 31) / 32 * 32;
  lz_chunk now = *ch;
  tile t = {.layout = l, .chunk = &now, .tokens = scratch, .scratch = scratch};
  float *const room = scratch;
  scratch += head_rows * LZ_COLUMNS;
  t.token_signs = (uint16_t *)scratch;
  scratch += head_rows / 2;
  t.next = scratch;
  scratch += l->next;
  if (l->shape.dense) {
    t.twice = scratch;
    scratch += l->widest * LZ_COLUMNS;
  }
  if (l->shape.plain) t.plain_rows = room + l->scratch - l->gate_stride * LZ_LANES;
  if (l->shape.exact_readout && !l->shape.plain) {
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
    for (int stage = 0; stage < l->shape.stages; stage++) step_stage(&t, stage);
    if (ch->hidden) hand_out(l, ch, token);
    else if (ch->loss) read_out(&t, ch->state + l->stage[l->shape.stages - 1].state * LZ_COLUMNS, targets, token);
    if (l->shape.nodes) emit_means(&t, token + 1);
  }
}
