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
static dual kernel_weight(const column *c, int layer, ptrdiff_t row, ptrdiff_t k) {
  const lz_entries z = entries(c);
  return (dual){c->ch->weights[c->l->w_kernel[layer] + entry_packed(row, k, c->l->inputs[layer])],
                kernel_entry(&z, layer, row, k)};
}

static dual gate_start(const column *c, int layer, ptrdiff_t row, uint32_t token) {
  const lz_layout *l = c->l;
  const float *w = c->ch->weights;
  const lz_entries z = entries(c);
  const double bias = bias_entry(&z, layer, row);
  if (layer > 0) return (dual){w[l->w_bias[layer] + row], bias};
  return (dual){w[l->w_table + token * l->gate_stride + row], bias + table_entry(&z, token, row)};
}

static dual late_bias(const column *c, int layer, ptrdiff_t row) {
  const lz_entries z = entries(c);
  const ptrdiff_t unit = row / c->l->rows;
  return (dual){c->ch->weights[c->l->w_late[layer] + unit], late_entry(&z, layer, unit)};
}

static dual logit(const column *c, ptrdiff_t v, const dual *top) {
  const lz_layout *l = c->l;
  const float *w = c->ch->weights;
  const lz_entries z = entries(c);
  dual sum = {w[l->w_readout_bias + v], readout_bias_entry(&z, v)};
  for (ptrdiff_t k = 0; k < l->shape.hidden; k++)
    sum = add(sum, times((dual){w[l->w_readout + entry_packed(v, k, l->shape.hidden)], readout_entry(&z, v, k)}, top[k]));
  return sum;
}

// One unit of a layer: its states after the token, [S]. `own`: the layer's states [S][H], `below`: the h below.
static void advance_unit(const column *c, int layer, ptrdiff_t u, uint32_t token, const dual *below, const dual *own, dual *after) {
  const lz_layout *l = c->l;
  const ptrdiff_t H = l->shape.hidden, first = u / l->head * l->head, below_count = layer == 0 ? 0 : H;
  ref a[LZ_MAX_ROWS], aside = 0, before[LZ_MAX_STATES], next[LZ_MAX_STATES];
  for (int g = 0; g < l->rows; g++) {
    const ptrdiff_t row = u / l->head * l->head_gates + l->rows * (u % l->head) + g;
    dual sum = gate_start(c, layer, row, token);
    for (ptrdiff_t k = 0; k < below_count; k++) sum = add(sum, times(kernel_weight(c, layer, row, k), below[k]));
    if (l->late && g == l->rows - 1) {
      aside = ref_of(sum.v, sum.d);
      sum = late_bias(c, layer, row);
    }
    for (ptrdiff_t k = 0; k < l->head; k++) sum = add(sum, times(kernel_weight(c, layer, row, below_count + k), own[first + k]));
    a[g] = ref_of(sum.v, sum.d);
  }
  for (int s = 0; s < l->states; s++) before[s] = ref_of(own[s * H + u].v, own[s * H + u].d);
  cell_reference(l->shape.cell, a, aside, before, next);
  for (int s = 0; s < l->states; s++) after[s] = (dual){creal(next[s]), ref_derivative(next[s])};
}

// Advances the states ([L][S][H]) by one token; `next` is room for [H][S].
static void advance(const column *c, dual *state, uint32_t token, dual *next) {
  const lz_layout *l = c->l;
  const ptrdiff_t H = l->shape.hidden, step = l->states * H;
  for (int layer = 0; layer < l->shape.layers; layer++) {
    dual *own = state + layer * step;
    for (ptrdiff_t u = 0; u < H; u++) advance_unit(c, layer, u, token, own - step, own, next + u * l->states);
    for (ptrdiff_t u = 0; u < H; u++)
      for (int s = 0; s < l->states; s++) own[s * H + u] = next[u * l->states + s];
  }
}

static void read_out(const column *c, const dual *top, uint32_t target, int64_t token) {
  const lz_layout *l = c->l;
  const lz_chunk *ch = c->ch;
  const ptrdiff_t V = l->shape.vocabulary, H = l->shape.hidden;
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
  const ptrdiff_t H = l->shape.hidden, n = l->shape.layers * l->states * H;
  dual *h = malloc(sizeof(dual) * (size_t)(n + l->states * H)), *next = h + n;
  if (l->shape.exact_readout && with_readout)
    for (int64_t t = 0; t < ch->count; t++) {
      memset(ch->delta + t * ch->tile_step * l->delta_tile, 0, sizeof(float) * (size_t)l->delta_tile);
      memset(ch->input + t * ch->tile_step * l->input_tile, 0, sizeof(float) * (size_t)l->input_tile);
    }
  for (int pair = 0; pair < LZ_LANES; pair++) {
    const column c = {l, ch, pair};
    float *state = ch->state + pair;
    #define AT(i) ((i) / H * l->units + (i) % H) * LZ_COLUMNS
    for (ptrdiff_t i = 0; i < n; i++) h[i] = (dual){state[AT(i)], state[AT(i) + LZ_LANES]};
    for (int64_t t = 0; t < ch->count; t++) {
      const uint32_t token = ch->tokens[pair][t] & LZ_ID, target = ch->tokens[pair][t + 1];
      ch->seen[token] |= (uint16_t)(1u << pair);
      advance(&c, h, token, next);
      if (with_readout && !(target & LZ_MARK)) read_out(&c, h + n - l->states * H, target, t);
    }
    for (ptrdiff_t i = 0; i < n; i++) state[AT(i)] = (float)h[i].v, state[AT(i) + LZ_LANES] = (float)h[i].d;
    #undef AT
  }
  free(h);
}
