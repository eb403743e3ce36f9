// What the fast kernels compute, one column at a time, in double, as the definition reads. For tests.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "CKernels.h"
#include "cells/reference.h"
#include "reference_direction.h"

typedef struct {
  const lz_layout *l;
  const lz_chunk *ch;
  int pair;      // bit of the sign words
  double shift;  // +ε, −ε or 0
  const lz_plain *plain;
  int reads;     // plain: whether logits are wanted
} column;

static lz_entries entries(const column *c) { return (lz_entries){c->l, c->ch ? c->ch->signs : 0, c->pair}; }

// Gate g of a unit among the padded gate rows.
static ptrdiff_t gate_row(const lz_stage *s, ptrdiff_t unit, int g) {
  return unit / s->head * s->head_gates + s->rows * (unit % s->head) + g;
}

static double kernel_weight(const column *c, const float *weights, int stage, ptrdiff_t row, ptrdiff_t k) {
  const lz_stage *s = &c->l->stage[stage];
  const double w = weights[s->w_kernel + entry_packed(row, k, s->inputs)];
  if (c->shift == 0) return w;
  const lz_entries z = entries(c);
  return w + c->shift * kernel_entry(&z, stage, row, k);
}

static double readout_weight(const column *c, const float *weights, ptrdiff_t row, ptrdiff_t k) {
  const lz_layout *l = c->l;
  const double w = l->shape.plain ? c->plain->readout[row * l->top + k] : weights[l->w_readout + entry_packed(row, k, l->top)];
  if (c->shift == 0) return w;
  const lz_entries z = entries(c);
  return w + c->shift * readout_entry(&z, row, k);
}

// What a token adds to a gate row, among the padded ones.
static double table_weight(const column *c, const float *weights, uint32_t token, ptrdiff_t row) {
  const lz_layout *l = c->l;
  const lz_stage *s = &l->stage[0];
  if (!l->shape.plain) return weights[l->w_table + token * l->gate_stride + row];
  const ptrdiff_t gates = s->rows * s->head, i = row / s->head_gates * gates + row % s->head_gates;
  return (double)c->plain->table[token * gates * s->shape.heads + i] + c->plain->table_bias[i];
}

static double gate_start(const column *c, const float *weights, int stage, ptrdiff_t row, uint32_t token) {
  const lz_layout *l = c->l;
  const double w = stage == 0 ? table_weight(c, weights, token, row) : weights[l->stage[stage].w_bias + row];
  if (c->shift == 0) return w;
  const lz_entries z = entries(c);
  return w + c->shift * (bias_entry(&z, stage, row) + (stage == 0 ? table_entry(&z, token, row) : 0));
}

// Scalar number `at` of a stage.
static double scalar(const column *c, const float *weights, int stage, ptrdiff_t at) {
  const double w = weights[c->l->stage[stage].w_scalars + at];
  if (c->shift == 0) return w;
  const lz_entries z = entries(c);
  return w + c->shift * scalar_entry(&z, stage, at);
}

// h of a stage, null for none.
static const double *h_of(const lz_layout *l, const double *state, int stage) {
  return stage < 0 ? 0 : state + l->stage[stage].state;
}

// One unit of a stage: its states after the token, [S]. `state`: those of all stages.
static void advance_unit(const column *c, const float *weights, int stage, ptrdiff_t u, uint32_t token, const double *state,
                         double *after) {
  const lz_stage *s = &c->l->stage[stage];
  const double *below = h_of(c->l, state, s->shape.below), *second = h_of(c->l, state, s->shape.second), *own = state + s->state;
  if (s->shape.cell == LZ_NORM) {
    const double *x = h_of(c->l, state, s->shape.other);
    double squares = 0;
    for (ptrdiff_t k = 0; k < s->units; k++) squares += x[k] * x[k];
    after[0] = creal(ref_norm(x[u], squares, s->units));
    return;
  }
  const ptrdiff_t first = u / s->head * s->head;
  ref a[LZ_MAX_ROWS + LZ_MAX_SCALARS], aside = s->aside == LZ_OTHER ? h_of(c->l, state, s->shape.other)[u] : 0;
  ref before[LZ_MAX_STATES], next[LZ_MAX_STATES];
  for (int g = 0; g < s->rows; g++) {
    const ptrdiff_t row = gate_row(s, u, g);
    double sum = gate_start(c, weights, stage, row, token);
    for (ptrdiff_t k = 0; k < s->below; k++) sum += kernel_weight(c, weights, stage, row, k) * below[k];
    for (ptrdiff_t k = 0; k < s->second; k++) sum += kernel_weight(c, weights, stage, row, s->below + k) * second[k];
    if (s->aside == LZ_LATE && g == s->rows - 1) {
      aside = sum;
      sum = scalar(c, weights, stage, row / s->rows);
    }
    const ptrdiff_t read = s->below + s->second;
    for (ptrdiff_t k = read; k < s->inputs; k++) sum += kernel_weight(c, weights, stage, row, k) * own[first + k - read];
    a[g] = sum;
  }
  for (int i = 0; i < s->scalars && s->aside != LZ_LATE; i++) a[s->rows + i] = scalar(c, weights, stage, gate_row(s, u, 0) / s->rows * s->scalars + i);
  for (int i = 0; i < s->states; i++) before[i] = own[i * s->padded + u];
  cell_reference(s->shape.cell, a, aside, before, next);
  for (int i = 0; i < s->states; i++) after[i] = creal(next[i]);
}

#include "reference_memory.h"

// Advances the states (as a tile has them, a number a row) by one token; logits [V].
static void advance(const column *c, const float *weights, double *state, uint32_t token, double *logits) {
  const lz_layout *l = c->l;
  const ptrdiff_t H = l->top;
  for (int stage = 0; stage < l->shape.stages; stage++) {
    const lz_stage *s = &l->stage[stage];
    if (s->shape.cell == LZ_LAYER_NORM || s->shape.cell == LZ_MEMORY) {
      (s->memory ? advance_memory : advance_layer_norm)(c, weights, stage, state);
      continue;
    }
    double *next = malloc(sizeof(double) * (size_t)(s->units * s->states));
    for (ptrdiff_t u = 0; u < s->units; u++) advance_unit(c, weights, stage, u, token, state, next + u * s->states);
    for (ptrdiff_t u = 0; u < s->units; u++)
      for (int i = 0; i < s->states; i++) state[s->state + i * s->padded + u] = next[u * s->states + i];
    free(next);
  }
  const double *top = h_of(l, state, l->shape.stages - 1);
  if (l->shape.plain && !c->reads) return;
  for (ptrdiff_t v = 0; v < l->shape.vocabulary; v++) {
    double logit = l->shape.plain ? c->plain->readout_bias[v] : weights[l->w_readout_bias + v];
    const lz_entries z = entries(c);
    if (c->shift != 0) logit += c->shift * readout_bias_entry(&z, v);
    for (ptrdiff_t k = 0; k < H; k++) logit += readout_weight(c, weights, v, k) * top[k];
    logits[v] = logit;
  }
}

static double log_sum_exp(const double *logits, ptrdiff_t count) {
  double top = logits[0], sum = 0;
  for (ptrdiff_t v = 1; v < count; v++) top = fmax(top, logits[v]);
  for (ptrdiff_t v = 0; v < count; v++) sum += exp(logits[v] - top);
  return top + log(sum);
}

// Turns logits into probabilities and returns −log p(target).
static double softmax(double *logits, ptrdiff_t count, uint32_t target) {
  const double normalizer = log_sum_exp(logits, count), loss = normalizer - logits[target];
  for (ptrdiff_t v = 0; v < count; v++) logits[v] = exp(logits[v] - normalizer);
  return loss;
}

// Adds half of [L(x + εz) − L(x − εz)]/2ε · z to a pair's `delta`, for the logits x of one of its columns and that column's
// signs; `moved` is room for V logits.
static void add_slopes(const column *c, const double *logits, uint32_t target, const uint16_t *signs, double *moved, float *delta) {
  const ptrdiff_t V = c->l->shape.vocabulary;
  const lz_entries z = {c->l, signs, c->pair};
  double slope = 0;
  for (int side = 1; side >= -1; side -= 2) {
    for (ptrdiff_t v = 0; v < V; v++) moved[v] = logits[v] + side * c->ch->epsilon * entry_sign(&z, v);
    slope += side * (log_sum_exp(moved, V) - moved[target]) / (2 * c->ch->epsilon);
  }
  for (ptrdiff_t v = 0; v < V; v++) delta[v * LZ_LANES] += (float)(0.5 * slope * entry_sign(&z, v));
}

// Half of a column's h behind `token` tokens: two columns make their pair's mean.
static void add_to_means(const lz_layout *l, const lz_means *m, int64_t token, int pair, const double *h) {
  for (int stage = 0; stage < l->shape.stages; stage++)
    for (ptrdiff_t u = 0; u < l->stage[stage].units; u++)
      m->at[stage * m->stage + token * m->token + pair * m->row + u] += (float)(0.5 * h_of(l, h, stage)[u]);
}

static void clear_means(const lz_layout *l, const lz_chunk *ch) {
  for (int stage = 0; stage < l->shape.stages; stage++)
    for (int64_t t = 0; t <= ch->count; t++)
      memset(ch->means.at + stage * ch->means.stage + t * ch->means.token, 0, sizeof(float) * (size_t)(LZ_LANES * ch->means.row));
}

void lz_run_chunk_reference(const lz_layout *l, const lz_chunk *ch) {
  const ptrdiff_t n = l->state / LZ_COLUMNS, V = l->shape.vocabulary, H = l->top;
  double *h = malloc(sizeof(double) * (size_t)(n + 2 * V)), *logits = h + n, *moved = logits + V;
  const double *top = h_of(l, h, l->shape.stages - 1);
  const ptrdiff_t rows = l->readout_blocks * LZ_BLOCK;
  if (l->shape.exact_readout && ch->loss)
    for (int64_t t = 0; t < ch->count; t++) {
      memset(ch->delta + t * ch->tile_step * l->delta_tile, 0, sizeof(float) * (size_t)l->delta_tile);
      memset(ch->input + t * ch->tile_step * l->input_tile, 0, sizeof(float) * (size_t)l->input_tile);
    }
  if (l->shape.nodes) clear_means(l, ch);
  for (int col = 0; col < LZ_COLUMNS; col++) {
    const int pair = col % LZ_LANES;
    lz_chunk now = *ch;
    const column c = {l, &now, pair, col < LZ_LANES ? ch->epsilon : -ch->epsilon, &ch->plain, 0};
    for (ptrdiff_t i = 0; i < n; i++) h[i] = ch->state[i * LZ_COLUMNS + col];
    if (l->shape.nodes) add_to_means(l, &ch->means, 0, pair, h);
    for (int64_t t = 0; t < ch->count; t++, now.signs += ch->sign_step, now.loss += ch->loss_step) {
      const uint32_t token = ch->tokens[pair][t] & LZ_ID, target = ch->tokens[pair][t + 1];
      if (ch->seen) ch->seen[token] |= (uint16_t)(1u << pair);
      advance(&c, ch->weights, h, token, logits);
      if (l->shape.nodes) add_to_means(l, &ch->means, t + 1, pair, h);
      for (ptrdiff_t k = 0; k < H && ch->hidden; k++) ch->hidden[(t * ch->tile_step * H + k) * LZ_COLUMNS + col] = (float)top[k];
      if (!ch->loss || target & LZ_MARK) continue;
      const int hands_out = l->shape.exact_readout && pair < ch->valid;
      float *delta = hands_out ? ch->delta + t * ch->tile_step * l->delta_tile + pair : 0;
      float *input = hands_out ? ch->input + t * ch->tile_step * l->input_tile + pair * LZ_PANEL : 0;
      if (hands_out && l->shape.logits)
        add_slopes(&c, logits, target, now.signs + l->s_readout_bias + (col < LZ_LANES ? 0 : rows), moved, delta);
      now.loss[col] += softmax(logits, V, target);
      if (!hands_out) continue;
      for (ptrdiff_t v = 0; v < V && !l->shape.logits; v++) delta[v * LZ_LANES] += (float)(0.5 * (logits[v] - (v == (ptrdiff_t)target)));
      for (ptrdiff_t k = 0; k < H; k++)
        input[k / LZ_PANEL * LZ_LANES * LZ_PANEL + k % LZ_PANEL] += (float)(0.5 * top[k]);
    }
    for (ptrdiff_t i = 0; i < n; i++) ch->state[i * LZ_COLUMNS + col] = (float)h[i];
  }
  free(h);
}

void lz_run_sequence_reference(const lz_layout *l, const float *weights, const lz_plain *plain, float *state,
                               const uint32_t *tokens, int64_t count, double *loss, float *losses, uint8_t *hits) {
  const ptrdiff_t n = l->state / LZ_COLUMNS;
  double *h = malloc(sizeof(double) * (size_t)(n + l->shape.vocabulary)), *logits = h + n;
  for (ptrdiff_t i = 0; i < n; i++) h[i] = state[i];
  const column c = {.l = l, .plain = plain, .reads = 1}; // unmoved: nobody looks at the signs
  for (int64_t t = 0; t < count; t++) {
    advance(&c, weights, h, tokens[t] & LZ_ID, logits);
    const uint32_t target = tokens[t + 1];
    ptrdiff_t first = 0;
    for (ptrdiff_t v = 1; v < l->shape.vocabulary; v++) first = logits[v] > logits[first] ? v : first;
    const double own = target & LZ_MARK ? 0 : softmax(logits, l->shape.vocabulary, target);
    *loss += own;
    if (losses) losses[t] = (float)own;
    if (hits) hits[t] = first == (ptrdiff_t)target;
  }
  for (ptrdiff_t i = 0; i < n; i++) state[i] = (float)h[i];
  free(h);
}
