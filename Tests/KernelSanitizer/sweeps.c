// The exact baseline's sweeps, against the same in plain loops and in double.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

typedef struct { ptrdiff_t vocabulary, hidden, head, layers, streams, slots; } size;

static const size sizes[] = {
  {1, 1, 1, 1, 1, 1},  {5, 3, 3, 2, 2, 3},   {7, 16, 16, 1, 6, 2},  {9, 17, 17, 2, 7, 2}, {11, 20, 5, 3, 5, 3},
  {13, 33, 11, 1, 13, 2}, {4, 40, 8, 2, 3, 2}, {6, 5, 1, 1, 19, 4},
};

static char text[128];

// A model's weights and one tape. As the kernels have it: [slot][stream][unit], units padded.
typedef struct {
  size s;
  ptrdiff_t units;
  lz_cell_sizes sizes;
  lz_cell cell;
  float *table, *w[4], *bias[4], *h[4], *c[4], *gates[4], *input_adjoint[4], *cell_adjoint[4];
  lz_sweep_layer layers[4];
  lz_sweep sweep;
  uint32_t *tokens;
  float *output_adjoint;
} model;

static ptrdiff_t columns_of(const size *s, ptrdiff_t layer) { return (layer ? s->hidden : 0) + s->head; }
static ptrdiff_t inputs_of(const size *s, ptrdiff_t layer) { return layer ? 2 * s->hidden : s->hidden; }

// Units of padding are 0, as the sweeps are promised.
static float *random_states(const model *m, ptrdiff_t rows) {
  float *x = random_floats(rows * m->units, 0.9f);
  for (ptrdiff_t i = 0; i < rows * m->units; i++)
    if (i % m->units >= m->s.hidden) x[i] = 0;
  return x;
}

static void make_layer(model *m, ptrdiff_t layer) {
  const size *s = &m->s;
  const ptrdiff_t inputs = inputs_of(s, layer), slot = s->streams * m->units, gates = m->sizes.rows * s->hidden;
  const ptrdiff_t others = m->sizes.states - 1;
  m->w[layer] = floats_anywhere(gates * columns_of(s, layer), 1);
  fill_random(m->w[layer], gates * columns_of(s, layer), 0.5f);
  m->bias[layer] = floats_anywhere(gates, 3);
  fill_random(m->bias[layer], gates, 0.5f);
  float *late_bias = floats_anywhere(s->hidden, 3);
  fill_random(late_bias, s->hidden, 0.5f);
  float *forward = floats(lz_sweep_forward_floats(m->cell, s->hidden, inputs));
  float *backward = floats(lz_sweep_backward_floats(m->cell, s->hidden, inputs));
  for (ptrdiff_t piece = 0; piece < 3; piece++)
    lz_sweep_pack(instructions, m->cell, s->hidden, s->head, inputs, 0, m->w[layer], forward, backward, piece, 3);
  m->h[layer] = random_states(m, (s->slots + 1) * s->streams);
  m->c[layer] = random_states(m, others * (s->slots + 1) * s->streams);
  m->gates[layer] = floats(s->slots * m->sizes.rows * slot);
  m->input_adjoint[layer] = random_states(m, inputs / s->hidden * s->streams);
  m->cell_adjoint[layer] = random_states(m, others * s->streams);
  m->layers[layer] = (lz_sweep_layer){
    .inputs = inputs, .bias = m->bias[layer], .late_bias = late_bias, .forward = forward, .backward = backward,
    .h = m->h[layer], .others = m->c[layer], .others_step = (s->slots + 1) * slot, .gates = m->gates[layer],
    .late = m->sizes.aside == LZ_LATE ? floats(s->slots * m->sizes.rows * slot) : NULL, .input_adjoint = m->input_adjoint[layer],
    .state_adjoint = m->cell_adjoint[layer], .direct = m->sizes.aside == LZ_LATE ? random_states(m, s->streams) : NULL};
}

static void make(model *m, const size *s, lz_cell cell) {
  m->s = *s;
  m->cell = cell;
  m->sizes = lz_sizes_of(cell);
  m->units = (s->hidden + 15) / 16 * 16;
  m->table = floats_anywhere(s->vocabulary * m->sizes.rows * s->hidden, 1);
  fill_random(m->table, s->vocabulary * m->sizes.rows * s->hidden, 0.5f);
  for (ptrdiff_t layer = 0; layer < s->layers; layer++) make_layer(m, layer);
  m->sweep = (lz_sweep){.hidden = s->hidden, .units = m->units, .streams = s->streams, .layers = s->layers,
                        .cell = (int32_t)cell, .table = m->table, .layer = m->layers};
  m->tokens = tokens(s->slots * s->streams);
  fill_tokens(m->tokens, s->slots * s->streams, (uint32_t)s->vocabulary);
  m->output_adjoint = random_states(m, s->slots * s->streams);
}

// Column k of gate row `row`: what it reads of (the state below,) the own state; −1 where its head does not see it.
static ptrdiff_t place(const size *s, ptrdiff_t layer, ptrdiff_t row, ptrdiff_t k) {
  const ptrdiff_t below = layer ? s->hidden : 0;
  if (k < below) return k;
  const ptrdiff_t own = k - below, first = row / 4 / s->head * s->head;
  return own >= first && own < first + s->head ? below + own - first : -1;
}

static double weight(const model *m, ptrdiff_t layer, ptrdiff_t row, ptrdiff_t k) {
  const ptrdiff_t at = place(&m->s, layer, row, k);
  return at < 0 ? 0 : (double)m->w[layer][row * columns_of(&m->s, layer) + at];
}

static double logistic(double x) { return 1 / (1 + exp(-x)); }

static double gate(const model *m, ptrdiff_t layer, ptrdiff_t slot, ptrdiff_t stream, ptrdiff_t row) {
  const size *s = &m->s;
  const ptrdiff_t below = layer ? s->hidden : 0, at = (slot * s->streams + stream) * m->units;
  double x = (double)m->bias[layer][row];
  if (!layer) x += (double)m->table[(m->tokens[slot * s->streams + stream] & LZ_ID) * 4 * s->hidden + row];
  for (ptrdiff_t k = 0; k < below; k++)
    x += weight(m, layer, row, k) * (double)m->h[layer - 1][at + s->streams * m->units + k];
  for (ptrdiff_t k = 0; k < s->hidden; k++) x += weight(m, layer, row, below + k) * (double)m->h[layer][at + k];
  return row % 4 == 2 ? tanh(x) : logistic(x);
}

// Each step of the tape follows from the one before it, as it stands on the tape.
static void compare_forward(const model *m) {
  const size *s = &m->s;
  const double tolerance = (double)(2 * s->hidden + 24) * 0x1p-23;
  for (ptrdiff_t layer = 0; layer < s->layers; layer++)
    for (ptrdiff_t row = 0; row < s->slots * s->streams; row++)
      for (ptrdiff_t u = 0; u < s->hidden; u++) {
        double g[4];
        for (int i = 0; i < 4; i++) g[i] = gate(m, layer, row / s->streams, row % s->streams, 4 * u + i);
        const double c = g[1] * (double)m->c[layer][row * m->units + u] + g[0] * g[2];
        const ptrdiff_t next = (row + s->streams) * m->units + u;
        expect_near("c", next, (double)m->c[layer][next], c, tolerance);
        expect_near("h", next, (double)m->h[layer][next], g[3] * tanh(c), tolerance);
      }
}

// ∂gates of one token and layer in double, and what they hand on; the adjoints are [layer][stream][unit].
typedef struct { double *own[4], *below[4], *cell[4]; } adjoints;

static void step_back(const model *m, adjoints *a, ptrdiff_t layer, ptrdiff_t slot, double *delta) {
  const size *s = &m->s;
  for (ptrdiff_t b = 0; b < s->streams; b++) {
    for (ptrdiff_t u = 0; u < s->hidden; u++) {
      const ptrdiff_t row = slot * s->streams + b, at = b * s->hidden + u;
      double g[4];
      for (int i = 0; i < 4; i++) g[i] = gate(m, layer, slot, b, 4 * u + i);
      const double before = (double)m->c[layer][row * m->units + u], t = tanh((double)m->c[layer][(row + s->streams) * m->units + u]);
      const double above = layer + 1 < s->layers ? a->below[layer + 1][at] : (double)m->output_adjoint[row * m->units + u];
      const double dh = a->own[layer][at] + above, dc = a->cell[layer][at] + dh * g[3] * (1 - t * t);
      double *d = delta + 4 * at;
      d[0] = dc * g[2] * g[0] * (1 - g[0]);
      d[1] = dc * before * g[1] * (1 - g[1]);
      d[2] = dc * g[0] * (1 - g[2] * g[2]);
      d[3] = dh * t * g[3] * (1 - g[3]);
      a->cell[layer][at] = dc * g[1];
    }
    for (ptrdiff_t k = 0; k < inputs_of(s, layer); k++) {
      double sum = 0;
      for (ptrdiff_t row = 0; row < 4 * s->hidden; row++) sum += weight(m, layer, row, k) * delta[4 * b * s->hidden + row];
      if (layer && k < s->hidden) a->below[layer][b * s->hidden + k] = sum;
      else a->own[layer][b * s->hidden + k - (layer ? s->hidden : 0)] = sum;
    }
  }
}

static void compare_backward(const model *m, adjoints *a) {
  const size *s = &m->s;
  double *delta = doubles(4 * s->streams * s->hidden);
  // errors of a token's ∂gates are carried to the tokens before it
  const double tolerance = (double)(s->slots * s->layers * (8 * s->hidden + 64)) * 0x1p-23;
  for (ptrdiff_t slot = s->slots - 1; slot >= 0; slot--)
    for (ptrdiff_t layer = s->layers - 1; layer >= 0; layer--) {
      step_back(m, a, layer, slot, delta);
      for (ptrdiff_t i = 0; i < 4 * s->streams * s->hidden; i++) {
        const ptrdiff_t row = slot * s->streams + i / (4 * s->hidden);
        expect_near("∂gates", i, (double)m->gates[layer][row * 4 * m->units + i % (4 * s->hidden)], delta[i], tolerance);
      }
    }
}

static adjoints adjoints_of(const model *m) {
  adjoints a;
  const size *s = &m->s;
  for (ptrdiff_t layer = 0; layer < s->layers; layer++) {
    const ptrdiff_t parts = layer ? 2 : 1;
    a.own[layer] = doubles(s->streams * s->hidden);
    a.below[layer] = doubles(s->streams * s->hidden);
    a.cell[layer] = doubles(s->streams * s->hidden);
    for (ptrdiff_t i = 0; i < s->streams * s->hidden; i++) {
      const ptrdiff_t b = i / s->hidden, u = i % s->hidden;
      a.own[layer][i] = (double)m->input_adjoint[layer][(parts * b + parts - 1) * m->units + u];
      a.cell[layer][i] = (double)m->cell_adjoint[layer][b * m->units + u];
    }
  }
  return a;
}

// Where the other cells read and write; what they compute is compared with its definition elsewhere.
static void check_other_cells(const size *s) {
  for (lz_cell cell = 1; cell < LZ_NORM; cell++) {
    if (lz_sizes_of(cell).past != LZ_HEAD) continue;
    snprintf(text, sizeof text, "sweeps of cell %d, V%td H%td of %td a head, L%td B%td K%td", (int)cell, s->vocabulary, s->hidden,
             s->head, s->layers, s->streams, s->slots);
    current_case = text;
    model m;
    make(&m, s, cell);
    lz_sweep_forward(instructions, &m.sweep, m.tokens, 0, s->slots, 0, 0, s->streams);
    lz_sweep_forward(instructions, &m.sweep, m.tokens, 0, s->slots, 1, 0, s->streams);
    lz_sweep_backward(instructions, &m.sweep, m.output_adjoint, 0, s->slots, 0, s->streams);
    for (ptrdiff_t layer = 0; layer < s->layers; layer++)
      for (ptrdiff_t i = 0; i < (s->slots + 1) * s->streams * m.units; i++) {
        const float h = m.h[layer][i];
        expect_near("h", i, (double)h, 0, 1e6);
        if (i % m.units >= s->hidden) expect_near("padding", i, (double)h, 0, 0);
      }
    release_all();
  }
}

// Where chains and norms read and write, on tapes that end where the contract does; what they compute is compared with its definition
// elsewhere.
static void check_chains(const size *s) {
  for (lz_cell cell = 0; cell < LZ_NORM; cell++) {
    const lz_cell_sizes sizes = lz_sizes_of(cell);
    if (sizes.past == LZ_HEAD) continue;
    snprintf(text, sizeof text, "chain of cell %d, H%td B%td K%td", (int)cell, s->hidden, s->streams, s->slots);
    current_case = text;
    model m = {.s = *s, .units = (s->hidden + 15) / 16 * 16};
    const ptrdiff_t samples = s->slots * s->streams, rows = sizes.rows * s->hidden;
    float *bias = floats_anywhere(rows, 1), *h = random_states(&m, samples + s->streams), *other = random_states(&m, samples);
    fill_random(bias, rows, 0.5f);
    float *scalars = floats_anywhere(sizes.scalars * s->hidden, 1);
    fill_random(scalars, sizes.scalars * s->hidden, 0.5f);
    float *tape = random_floats(samples * sizes.rows * m.units, 1), *input = random_states(&m, samples);
    const lz_chain chain = {
      .cell = (int32_t)cell, .hidden = s->hidden, .units = m.units, .streams = s->streams, .bias = bias, .scalars = scalars, .rows = tape, .before = h,
      .after = h + s->streams * m.units, .others_before = h, .others_after = h + s->streams * m.units,
      .other = sizes.aside == LZ_OTHER ? other : NULL, .adjoint = random_states(&m, samples), .other_adjoint = input,
      .state_adjoint = random_states(&m, s->streams), .scalar_adjoint = floats(samples * sizes.scalars * m.units)};
    lz_chain_forward(instructions, &chain, NULL, 0, s->slots, 0, s->streams);
    lz_chain_backward(instructions, &chain, 0, s->slots, 0, s->streams);
    lz_norm_rows(instructions, other, s->hidden, m.units, samples, input);
    lz_norm_rows_backward(instructions, other, input, s->hidden, m.units, samples, 1, h + s->streams * m.units);
    for (ptrdiff_t i = 0; i < samples * m.units; i++)
      if (i % m.units >= s->hidden) {
        expect_near("padding of h", i, (double)h[s->streams * m.units + i], 0, 0);
        expect_near("padding of a norm", i, (double)input[i], 0, 0);
      }
    release_all();
  }
}

void check_sweeps(void) {
  for (int i = 0; i < (int)(sizeof sizes / sizeof *sizes); i++) {
    const size *s = &sizes[i];
    snprintf(text, sizeof text, "sweeps, V%td H%td of %td a head, L%td B%td K%td", s->vocabulary, s->hidden, s->head,
             s->layers, s->streams, s->slots);
    current_case = text;
    model m;
    make(&m, s, LZ_CELL_lstm);
    // the streams in two calls, the slots in two calls: a part of a tape must not touch the rest
    const ptrdiff_t part = s->streams / 2, half = s->slots / 2;
    const ptrdiff_t from[2] = {0, part}, count[2] = {part, s->streams - part};
    for (int p = 0; p < 2; p++) {
      if (half) lz_sweep_forward(instructions, &m.sweep, m.tokens, 0, half, 1, from[p], count[p]);
      lz_sweep_forward(instructions, &m.sweep, m.tokens + half * s->streams, half, s->slots - half, 1, from[p], count[p]);
    }
    compare_forward(&m);
    adjoints a = adjoints_of(&m);
    for (int p = 0; p < 2; p++) {
      const float *later = m.output_adjoint + half * s->streams * m.units;
      lz_sweep_backward(instructions, &m.sweep, later, half, s->slots - half, from[p], count[p]);
      if (half) lz_sweep_backward(instructions, &m.sweep, m.output_adjoint, 0, half, from[p], count[p]);
    }
    compare_backward(&m, &a);
    lz_sweep_forward(instructions, &m.sweep, m.tokens, 0, s->slots, 0, 0, s->streams);
    compare_forward(&m);
    release_all();
    check_other_cells(s);
    check_chains(s);
  }
}
