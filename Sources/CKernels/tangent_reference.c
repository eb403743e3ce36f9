// What the kernels of columns.h compute for tangents, one pair at a time, in double, as the definition reads. For tests.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "CKernels.h"
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
static dual logistic(dual x) {
  const double s = 1 / (1 + exp(-x.v));
  return (dual){s, s * (1 - s) * x.d};
}
static dual tangens(dual x) {
  const double t = tanh(x.v);
  return (dual){t, (1 - t * t) * x.d};
}

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

static dual logit(const column *c, ptrdiff_t v, const dual *top) {
  const lz_layout *l = c->l;
  const float *w = c->ch->weights;
  const lz_entries z = entries(c);
  dual sum = {w[l->w_readout_bias + v], readout_bias_entry(&z, v)};
  for (ptrdiff_t k = 0; k < l->shape.hidden; k++)
    sum = add(sum, times((dual){w[l->w_readout + entry_packed(v, k, l->shape.hidden)], readout_entry(&z, v, k)}, top[k]));
  return sum;
}

// Advances h and c ([L][H]) by one token; `next` is room for [H].
static void advance(const column *c, dual *h, dual *cell, uint32_t token, dual *next) {
  const lz_layout *l = c->l;
  const ptrdiff_t H = l->shape.hidden;
  for (int layer = 0; layer < l->shape.layers; layer++) {
    dual *own = h + layer * H, *state = cell + layer * H;
    const dual *below = own - H;
    const ptrdiff_t below_count = layer == 0 ? 0 : H;
    for (ptrdiff_t u = 0; u < H; u++) {
      dual gates[4];
      for (int g = 0; g < 4; g++) {
        const ptrdiff_t row = u / l->head * l->head_gates + 4 * (u % l->head) + g, first = u / l->head * l->head;
        gates[g] = gate_start(c, layer, row, token);
        for (ptrdiff_t k = 0; k < l->inputs[layer]; k++)
          gates[g] = add(gates[g], times(kernel_weight(c, layer, row, k),
                                         k < below_count ? below[k] : own[first + k - below_count]));
      }
      state[u] = add(times(logistic(gates[1]), state[u]), times(logistic(gates[0]), tangens(gates[2])));
      next[u] = times(logistic(gates[3]), tangens(state[u]));
    }
    memcpy(own, next, sizeof(dual) * (size_t)H);
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
  const ptrdiff_t H = l->shape.hidden, n = l->shape.layers * H;
  dual *h = malloc(sizeof(dual) * (size_t)(2 * n + H)), *cell = h + n, *next = cell + n;
  if (l->shape.exact_readout && with_readout)
    for (int64_t t = 0; t < ch->count; t++) {
      memset(ch->delta + t * ch->tile_step * l->delta_tile, 0, sizeof(float) * (size_t)l->delta_tile);
      memset(ch->input + t * ch->tile_step * l->input_tile, 0, sizeof(float) * (size_t)l->input_tile);
    }
  for (int pair = 0; pair < LZ_LANES; pair++) {
    const column c = {l, ch, pair};
    float *state = ch->state + pair;
    #define AT(part, i) (((i) / H * 2 + (part)) * l->units + (i) % H) * LZ_COLUMNS
    for (ptrdiff_t i = 0; i < n; i++) {
      h[i] = (dual){state[AT(0, i)], state[AT(0, i) + LZ_LANES]};
      cell[i] = (dual){state[AT(1, i)], state[AT(1, i) + LZ_LANES]};
    }
    for (int64_t t = 0; t < ch->count; t++) {
      const uint32_t token = ch->tokens[pair][t] & LZ_ID, target = ch->tokens[pair][t + 1];
      ch->seen[token] |= (uint16_t)(1u << pair);
      advance(&c, h, cell, token, next);
      if (with_readout && !(target & LZ_MARK)) read_out(&c, h + n - H, target, t);
    }
    for (ptrdiff_t i = 0; i < n; i++) {
      state[AT(0, i)] = (float)h[i].v, state[AT(0, i) + LZ_LANES] = (float)h[i].d;
      state[AT(1, i)] = (float)cell[i].v, state[AT(1, i) + LZ_LANES] = (float)cell[i].d;
    }
    #undef AT
  }
  free(h);
}
