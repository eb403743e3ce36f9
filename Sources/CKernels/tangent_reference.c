// What the kernels of columns.h compute for tangents, one pair at a time, in double, as the definition reads. For tests.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "CKernels.h"
#include "cells/reference.h"
#include "reference_direction.h"

// A value and its derivative along the direction.
typedef struct { double v, d; } dual;

typedef struct {
  const lz_layout *l;
  const lz_chunk *ch;
  int pair; // bit of the sign words
} column;

static lz_entries entries(const column *c) { return (lz_entries){c->l, c->ch->signs, c->pair}; }

static dual add(dual a, dual b) { return (dual){a.v + b.v, a.d + b.d}; }
static dual times(dual a, dual b) { return (dual){a.v * b.v, a.d * b.v + a.v * b.d}; }
static dual kernel_weight(const column *c, int stage, ptrdiff_t row, ptrdiff_t k) {
  const lz_entries z = entries(c);
  const lz_stage *s = &c->l->stage[stage];
  return (dual){c->ch->weights[s->w_kernel + entry_packed(row, k, s->inputs)], kernel_entry(&z, stage, row, k)};
}

static dual gate_start(const column *c, int stage, ptrdiff_t row, uint32_t token) {
  const lz_layout *l = c->l;
  const float *w = c->ch->weights;
  const lz_entries z = entries(c);
  const double bias = bias_entry(&z, stage, row);
  if (stage > 0) return (dual){w[l->stage[stage].w_bias + row], bias};
  return (dual){w[l->w_table + token * l->gate_stride + row], bias + table_entry(&z, token, row)};
}

// Scalar i of the unit that gate row `row` belongs to.
static dual scalar(const column *c, int stage, ptrdiff_t row, int i) {
  const lz_entries z = entries(c);
  const lz_stage *s = &c->l->stage[stage];
  const ptrdiff_t at = row / s->rows * s->scalars + i;
  return (dual){c->ch->weights[s->w_scalars + at], scalar_entry(&z, stage, at)};
}

static dual logit(const column *c, ptrdiff_t v, const dual *top) {
  const lz_layout *l = c->l;
  const float *w = c->ch->weights;
  const lz_entries z = entries(c);
  dual sum = {w[l->w_readout_bias + v], readout_bias_entry(&z, v)};
  for (ptrdiff_t k = 0; k < l->top; k++)
    sum = add(sum, times((dual){w[l->w_readout + entry_packed(v, k, l->top)], readout_entry(&z, v, k)}, top[k]));
  return sum;
}

// h of a stage, null for none.
static const dual *h_of(const lz_layout *l, const dual *state, int stage) {
  return stage < 0 ? 0 : state + l->stage[stage].state;
}

// One unit of a stage: its states after the token, [S]. `state`: those of all stages.
static void advance_unit(const column *c, int stage, ptrdiff_t u, uint32_t token, const dual *state, dual *after) {
  const lz_stage *s = &c->l->stage[stage];
  if (s->shape.cell == LZ_NORM) {
    const dual *x = h_of(c->l, state, s->shape.other);
    dual squares = {0, 0};
    for (ptrdiff_t k = 0; k < s->units; k++) squares = add(squares, times(x[k], x[k]));
    const ref result = ref_norm(ref_of(x[u].v, x[u].d), ref_of(squares.v, squares.d), s->units);
    after[0] = (dual){creal(result), ref_derivative(result)};
    return;
  }
  const dual *below = h_of(c->l, state, s->shape.below), *second = h_of(c->l, state, s->shape.second), *own = state + s->state;
  const ptrdiff_t first = u / s->head * s->head;
  ref a[LZ_MAX_ROWS + LZ_MAX_SCALARS], aside = 0, before[LZ_MAX_STATES], next[LZ_MAX_STATES];
  if (s->aside == LZ_OTHER) {
    const dual other = h_of(c->l, state, s->shape.other)[u];
    aside = ref_of(other.v, other.d);
  }
  const ptrdiff_t first_row = u / s->head * s->head_gates + s->rows * (u % s->head);
  for (int g = 0; g < s->rows; g++) {
    const ptrdiff_t row = first_row + g, read = s->below + s->second;
    dual sum = gate_start(c, stage, row, token);
    for (ptrdiff_t k = 0; k < s->below; k++) sum = add(sum, times(kernel_weight(c, stage, row, k), below[k]));
    for (ptrdiff_t k = 0; k < s->second; k++) sum = add(sum, times(kernel_weight(c, stage, row, s->below + k), second[k]));
    if (s->aside == LZ_LATE && g == s->rows - 1) {
      aside = ref_of(sum.v, sum.d);
      sum = scalar(c, stage, row, 0);
    }
    for (ptrdiff_t k = read; k < s->inputs; k++)
      sum = add(sum, times(kernel_weight(c, stage, row, k), own[first + k - read]));
    a[g] = ref_of(sum.v, sum.d);
  }
  for (int i = 0; i < s->scalars && s->aside != LZ_LATE; i++) {
    const dual own_scalar = scalar(c, stage, first_row, i);
    a[s->rows + i] = ref_of(own_scalar.v, own_scalar.d);
  }
  for (int i = 0; i < s->states; i++) before[i] = ref_of(own[i * s->padded + u].v, own[i * s->padded + u].d);
  cell_reference(s->shape.cell, a, aside, before, next);
  for (int i = 0; i < s->states; i++) after[i] = (dual){creal(next[i]), ref_derivative(next[i])};
}

// Advances the states (as a tile has them, a number a row) by one token.
static void advance(const column *c, dual *state, uint32_t token) {
  const lz_layout *l = c->l;
  for (int stage = 0; stage < l->shape.stages; stage++) {
    const lz_stage *s = &l->stage[stage];
    dual *next = malloc(sizeof(dual) * (size_t)(s->units * s->states));
    for (ptrdiff_t u = 0; u < s->units; u++) advance_unit(c, stage, u, token, state, next + u * s->states);
    for (ptrdiff_t u = 0; u < s->units; u++)
      for (int i = 0; i < s->states; i++) state[s->state + i * s->padded + u] = next[u * s->states + i];
    free(next);
  }
}

static void read_out(const column *c, const dual *top, uint32_t target, int64_t token) {
  const lz_layout *l = c->l;
  const lz_chunk *ch = c->ch;
  const ptrdiff_t V = l->shape.vocabulary, H = l->top;
  dual *logits = malloc(sizeof(dual) * (size_t)V);
  double most = -INFINITY, sum = 0, slope = 0;
  for (ptrdiff_t v = 0; v < V; v++) logits[v] = logit(c, v, top), most = fmax(most, logits[v].v);
  for (ptrdiff_t v = 0; v < V; v++) sum += exp(logits[v].v - most);
  for (ptrdiff_t v = 0; v < V; v++) slope += exp(logits[v].v - most) / sum * logits[v].d;
  ch->loss[c->pair] += most + log(sum) - logits[target].v;
  ch->loss[c->pair + LZ_LANES] += slope - logits[target].d;
  if (l->shape.exact_readout && c->pair < ch->valid) {
    float *delta = ch->delta + token * ch->tile_step * l->delta_tile + c->pair;
    float *input = ch->input + token * ch->tile_step * l->input_tile + c->pair * LZ_PANEL;
    for (ptrdiff_t v = 0; v < V; v++) delta[v * LZ_LANES] = (float)(exp(logits[v].v - most) / sum - (v == (ptrdiff_t)target));
    for (ptrdiff_t k = 0; k < H; k++) input[k / LZ_PANEL * LZ_LANES * LZ_PANEL + k % LZ_PANEL] = (float)top[k].v;
  }
  free(logits);
}

void lz_run_tangent_reference(const lz_layout *l, const lz_chunk *ch, int with_readout) {
  const ptrdiff_t n = l->state / LZ_COLUMNS;
  dual *h = malloc(sizeof(dual) * (size_t)n);
  if (l->shape.exact_readout && with_readout)
    for (int64_t t = 0; t < ch->count; t++) {
      memset(ch->delta + t * ch->tile_step * l->delta_tile, 0, sizeof(float) * (size_t)l->delta_tile);
      memset(ch->input + t * ch->tile_step * l->input_tile, 0, sizeof(float) * (size_t)l->input_tile);
    }
  for (int pair = 0; pair < LZ_LANES; pair++) {
    const column c = {l, ch, pair};
    float *state = ch->state + pair;
    for (ptrdiff_t i = 0; i < n; i++) h[i] = (dual){state[i * LZ_COLUMNS], state[i * LZ_COLUMNS + LZ_LANES]};
    for (int64_t t = 0; t < ch->count; t++) {
      const uint32_t token = ch->tokens[pair][t] & LZ_ID, target = ch->tokens[pair][t + 1];
      ch->seen[token] |= (uint16_t)(1u << pair);
      advance(&c, h, token);
      if (with_readout && !(target & LZ_MARK)) read_out(&c, h_of(l, h, l->shape.stages - 1), target, t);
    }
    for (ptrdiff_t i = 0; i < n; i++)
      state[i * LZ_COLUMNS] = (float)h[i].v, state[i * LZ_COLUMNS + LZ_LANES] = (float)h[i].d;
  }
  free(h);
}
