// The population step and the single model, against the reference, on shapes that are multiples of nothing.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

typedef struct {
  int32_t vocabulary, hidden, heads, layers;
  int64_t count; // tokens of the chunk
  int32_t valid; // pairs of the tile that are real
} size;

static const size sizes[] = {
  {1, 1, 1, 1, 1, 1},   {2, 1, 1, 3, 2, 16},   {5, 2, 2, 1, 3, 3},    {11, 3, 1, 2, 1, 15}, {13, 5, 5, 2, 2, 7},
  {16, 7, 1, 1, 4, 16}, {37, 12, 3, 2, 2, 9},  {61, 14, 2, 1, 3, 13}, {23, 20, 4, 3, 2, 5}, {90, 33, 3, 1, 2, 11},
  {127, 17, 1, 1, 5, 4},
};
#define COUNT(list) ((int)(sizeof(list) / sizeof *(list)))

static char text[128];

// Directions: products, signs for every weight, sums of three products, normal entries.
enum { PRODUCT, SIGNS, PRODUCTS, NORMAL, KINDS };
static const char *const kind_names[] = {"rank-one", "full-rank", "rank-three", "normal"};

static const char *const cell_names[] = {
  #define LZ_CELL(name, rows, states, scalars, past, aside) #name,
  #include "../../Sources/CKernels/cells/cells.def"
  #undef LZ_CELL
};
static lz_cell cell; // of all layouts, until it changes
static int in_blocks; // likewise: layers add to what they read

static lz_layout layout_made(const lz_shape *shape) {
  lz_layout layout;
  lz_layout_make(shape, &layout);
  return layout;
}

static lz_stage_shape *add_stage(lz_shape *shape, int cell_of_stage, int32_t heads, int below, int other) {
  const int32_t units = shape->stage[0].units;
  lz_stage_shape *stage = &shape->stage[shape->stages++];
  *stage = (lz_stage_shape){.cell = cell_of_stage, .units = units, .heads = heads, .below = below, .second = -1, .other = other};
  return stage;
}

// Whether a unit of the cell reads its input as it is, besides its rows.
static int reads_input(lz_cell cell) { return lz_sizes_of(cell).past == LZ_UNIT && lz_sizes_of(cell).aside == LZ_OTHER; }

// An embedding; for each layer norm, cell, gate and sum; a norm. After an elstm comes its output gate.
static void make_blocks(lz_shape *shape, const size *s) {
  shape->stages = 0;
  add_stage(shape, LZ_CELL_linear, 1, -1, -1);
  for (int i = 0; i < s->layers; i++) {
    const int x = shape->stages - 1;
    add_stage(shape, LZ_NORM, 1, -1, x);
    add_stage(shape, (int)cell, s->heads, x + 1, reads_input(cell) ? x + 1 : -1);
    if (cell == LZ_CELL_elstm) add_stage(shape, LZ_CELL_opening, 1, x + 1, x + 2)->second = x + 2;
    add_stage(shape, LZ_CELL_gating, 1, x + 1, shape->stages - 1);
    add_stage(shape, LZ_CELL_residual, 1, shape->stages - 1, x);
  }
  add_stage(shape, LZ_NORM, 1, -1, shape->stages - 1);
}

static lz_layout layout_of(const size *s, int kind, int exact) {
  snprintf(text, sizeof text, "%s%s V%d H%d/%d L%d K%lld %d pairs %s %s", cell_names[cell], in_blocks ? " in blocks" : "", s->vocabulary, s->hidden, s->heads, s->layers,
           (long long)s->count, s->valid, kind_names[kind], exact ? "exact" : "zo");
  current_case = text;
  lz_shape shape = {.vocabulary = s->vocabulary, .stages = s->layers, .dense = kind == SIGNS, .exact_readout = exact,
                    .normal = kind == NORMAL, .rank = kind == PRODUCTS ? 3 : 1};
  const int first = reads_input(cell);
  shape.stages += first;
  for (int i = 0; i < shape.stages; i++) {
    const int is_cell = i >= first;
    shape.stage[i] = (lz_stage_shape){.cell = is_cell ? (int32_t)cell : LZ_CELL_linear, .units = s->hidden,
                                      .heads = is_cell ? s->heads : 1, .below = i - 1, .second = -1,
                                      .other = is_cell && first ? i - 1 : -1};
  }
  if (in_blocks) make_blocks(&shape, s);
  return layout_made(&shape);
}

static float *random_weights(const lz_layout *l) {
  float *weights = random_floats(l->weights, 0.7f);
  for (ptrdiff_t row = l->shape.vocabulary; row < l->readout_blocks * LZ_BLOCK; row++)
    weights[l->w_readout_bias + row] = LZ_LOWEST;
  return weights;
}

// A rounding for each sum on the longest way to a loss, as the tests in Swift have it.
static double tolerance_of(const lz_layout *l, int64_t count) {
  ptrdiff_t sums = 0;
  const ptrdiff_t products = l->shape.rank > 1 ? 2 * l->shape.rank + 2 : 0;
  for (int i = 0; i < l->shape.stages; i++) sums += 2 * l->stage[i].inputs + 4 + 2 * products;
  // An entry that is drawn is off by some roundings of radius and angle, and as large as 6.
  if (l->shape.normal) return 16 * (double)(count * sums + 2 * l->top + l->shape.vocabulary + 8) * 0x1p-24;
  // A norm magnifies what roundings have done to small numbers.
  return (in_blocks ? 16 : 1) * (double)(count * sums + 2 * l->top + products + l->shape.vocabulary + 8) * 0x1p-24;
}

typedef struct {
  lz_chunk chunk;
  const uint32_t *rows[LZ_LANES];
  ptrdiff_t out_tiles;
} run;

// Everything that a chunk writes is new memory; what it reads is `from`'s.
static run run_like(const lz_layout *l, const run *from, const float *state) {
  run r = *from;
  r.chunk.state = copy_of(state, l->state);
  r.chunk.loss = doubles(LZ_COLUMNS);
  r.chunk.seen = words(l->shape.vocabulary);
  for (int i = 0; i < LZ_COLUMNS; i++) r.chunk.loss[i] = 0;
  memset(r.chunk.seen, 0, sizeof(uint16_t) * (size_t)l->shape.vocabulary);
  r.chunk.delta = l->shape.exact_readout ? floats(r.out_tiles * l->delta_tile) : NULL;
  r.chunk.input = l->shape.exact_readout ? floats(r.out_tiles * l->input_tile) : NULL;
  return r;
}

// `size`: the largest of the values, whose roundings the smaller ones share.
static void compare_scaled(const lz_layout *l, const run *fast, const run *exact, const size *s, double size) {
  const double tolerance = size * tolerance_of(l, s->count);
  for (int stage = 0; stage < l->shape.stages; stage++)
    for (int part = 0; part < l->stage[stage].states; part++) {
      const ptrdiff_t first = (l->stage[stage].state + part * l->stage[stage].padded) * LZ_COLUMNS;
      expect_floats("state", fast->chunk.state + first, exact->chunk.state + first, l->stage[stage].units * LZ_COLUMNS, tolerance);
    }
  for (int i = 0; i < LZ_COLUMNS; i++)
    if (i % LZ_LANES < s->valid) expect_near("loss", i, fast->chunk.loss[i], exact->chunk.loss[i], tolerance * (double)s->count);
  for (ptrdiff_t v = 0; v < l->shape.vocabulary; v++)
    expect_near("seen", v, fast->chunk.seen[v], exact->chunk.seen[v], 0);
  if (!l->shape.exact_readout) return;
  for (int64_t t = 0; t < s->count; t++) {
    const ptrdiff_t tile = t * fast->chunk.tile_step;
    // Estimated from losses, its last roundings are divided by 2ε.
    const double last = l->shape.logits ? 8 * 0x1p-24 / (2 * fast->chunk.epsilon) : 0;
    expect_floats("p − y", fast->chunk.delta + tile * l->delta_tile, exact->chunk.delta + tile * l->delta_tile,
                  l->delta_tile, tolerance + last);
    expect_floats("h", fast->chunk.input + tile * l->input_tile, exact->chunk.input + tile * l->input_tile,
                  l->input_tile, tolerance);
  }
}

static void compare(const lz_layout *l, const run *fast, const run *exact, const size *s) {
  compare_scaled(l, fast, exact, s, 1);
}

// What the chunks of all kernels read: weights, signs, and for each pair its tokens.
static run random_run(const lz_layout *l, const size *s, int same) {
  uint16_t *signs = words(l->signs);
  fill_words(signs, l->signs);
  run from = {.chunk = {.weights = random_weights(l), .signs = signs, .epsilon = 0.1f, .count = s->count,
                        .valid = s->valid, .tile_step = 3},
              .out_tiles = (s->count - 1) * 3 + 1};
  for (int p = 0; p < LZ_LANES; p++) {
    uint32_t *row = tokens(s->count + 1);
    fill_tokens(row, s->count + 1, (uint32_t)s->vocabulary);
    from.rows[p] = same && p > 0 ? from.rows[0] : row;
  }
  return from;
}

static void check_chunk(const size *s, int kind, int exact_readout, int same) {
  const lz_layout l = layout_of(s, kind, exact_readout);
  const run from = random_run(&l, s, same);
  const float *state = random_floats(l.state, 1);
  run fast = run_like(&l, &from, state), exact = run_like(&l, &from, state);
  fast.chunk.tokens = fast.rows, exact.chunk.tokens = exact.rows;
  lz_run_chunk(instructions, &l, &fast.chunk, floats(l.scratch));
  lz_run_chunk(LZ_REFERENCE, &l, &exact.chunk, NULL);
  compare(&l, &fast, &exact, s);
  release_all();
}

// Forward mode: values in the + columns, derivatives along the directions in the − columns.
static void check_tangent(const size *s, int kind, int exact_readout, int same) {
  const lz_layout l = layout_of(s, kind, exact_readout);
  const run from = random_run(&l, s, same);
  const float *state = random_floats(l.state, 1);
  run fast = run_like(&l, &from, state), exact = run_like(&l, &from, state), silent = run_like(&l, &from, state);
  fast.chunk.tokens = fast.rows, exact.chunk.tokens = exact.rows, silent.chunk.tokens = silent.rows;
  lz_run_tangent(instructions, &l, &fast.chunk, 1, floats(l.scratch));
  lz_run_tangent(LZ_REFERENCE, &l, &exact.chunk, 1, NULL);
  double size = 1;
  for (ptrdiff_t i = 0; i < l.state; i++) size = fmax(size, fabs((double)exact.chunk.state[i]));
  for (int i = 0; i < LZ_COLUMNS; i++) size = fmax(size, fabs(exact.chunk.loss[i]));
  compare_scaled(&l, &fast, &exact, s, 4 * size);
  silent.chunk.loss = NULL, silent.chunk.delta = NULL, silent.chunk.input = NULL;
  lz_run_tangent(instructions, &l, &silent.chunk, 0, floats(l.scratch));
  expect_floats("state without a readout", silent.chunk.state, fast.chunk.state, l.state, 0);
  release_all();
}

// Gates moved by signs of their own at every token, logits too or not, and the mean states of every pair.
static void check_nodes(const size *s, int logits, int same) {
  const lz_layout rank_one = layout_of(s, PRODUCT, 1);
  lz_shape shape = rank_one.shape;
  shape.nodes = 1, shape.logits = logits;
  const lz_layout l = layout_made(&shape);
  const run from = random_run(&l, s, same);
  const float *state = random_floats(l.state, 1);
  const ptrdiff_t row = (s->hidden + 15) / 16 * 16, layer = (s->count + 1) * LZ_LANES * row;
  uint16_t *signs = words(s->count * l.signs);
  fill_words(signs, s->count * l.signs);
  run fast = run_like(&l, &from, state), exact = run_like(&l, &from, state), *both[] = {&fast, &exact};
  for (int i = 0; i < 2; i++) {
    lz_chunk *c = &both[i]->chunk;
    c->tokens = both[i]->rows, c->signs = signs, c->sign_step = l.signs, c->loss_step = LZ_COLUMNS;
    c->loss = doubles(s->count * LZ_COLUMNS);
    for (int64_t j = 0; j < s->count * LZ_COLUMNS; j++) c->loss[j] = 0;
    c->means = (lz_means){floats(s->layers * layer), layer, LZ_LANES * row, row};
  }
  lz_run_chunk(instructions, &l, &fast.chunk, floats(l.scratch));
  lz_run_chunk(LZ_REFERENCE, &l, &exact.chunk, NULL);
  compare(&l, &fast, &exact, s);
  for (int64_t i = 0; i < s->count * LZ_COLUMNS; i++)
    if (i % LZ_LANES < s->valid) expect_near("loss of a token", i, fast.chunk.loss[i], exact.chunk.loss[i], tolerance_of(&l, s->count));
  expect_floats("mean states", fast.chunk.means.at, exact.chunk.means.at, s->layers * layer, tolerance_of(&l, s->count));
  release_all();
}

// The − columns become the + columns.
static float *turned(const float *state, ptrdiff_t count) {
  float *to = floats(count);
  for (ptrdiff_t i = 0; i < count; i++) to[i] = state[i ^ LZ_LANES];
  return to;
}

// Whether a row of a tile's state belongs to no unit.
static int is_padding(const lz_layout *l, ptrdiff_t row) {
  int stage = l->shape.stages - 1;
  while (l->stage[stage].state > row) stage--;
  return (row - l->stage[stage].state) % l->stage[stage].padded >= l->stage[stage].units;
}

// Two sets of directions: of the same signs with −ε it is the step of a pair; of others each half is the + half of its own.
static void check_forward(const size *s, int kind, int exact_readout, int same) {
  const lz_layout l = layout_of(s, kind, exact_readout);
  const run from = random_run(&l, s, same);
  const float *state = random_floats(l.state, 1);
  run pair = run_like(&l, &from, state), exact = run_like(&l, &from, state), two = run_like(&l, &from, state);
  run other = run_like(&l, &from, turned(state, l.state));
  pair.chunk.tokens = two.chunk.tokens = exact.chunk.tokens = other.chunk.tokens = from.rows;
  lz_run_forward(instructions, &l, &pair.chunk, &(lz_second){from.chunk.signs, -0.1f, NULL}, floats(l.scratch));
  lz_run_chunk(LZ_REFERENCE, &l, &exact.chunk, NULL);
  compare(&l, &pair, &exact, s);

  uint16_t *signs = words(l.signs);
  fill_words(signs, l.signs);
  uint16_t *seen = words(l.shape.vocabulary);
  memset(seen, 0, sizeof(uint16_t) * (size_t)l.shape.vocabulary);
  lz_run_forward(instructions, &l, &two.chunk, &(lz_second){signs, 0.3f, seen}, floats(l.scratch));
  other.chunk.signs = signs, other.chunk.epsilon = 0.3f;
  lz_run_chunk(LZ_REFERENCE, &l, &other.chunk, NULL);
  const double tolerance = tolerance_of(&l, s->count);
  for (int i = 0; i < LZ_COLUMNS; i++) {
    const run *own = i < LZ_LANES ? &exact : &other;
    if (i % LZ_LANES < s->valid)
      expect_near("loss", i, two.chunk.loss[i], own->chunk.loss[i % LZ_LANES], tolerance * (double)s->count);
    for (ptrdiff_t row = 0; row < l.state / LZ_COLUMNS; row++)
      if (!is_padding(&l, row))
        expect_near("state", row * LZ_COLUMNS + i, (double)two.chunk.state[row * LZ_COLUMNS + i],
                    (double)own->chunk.state[row * LZ_COLUMNS + i % LZ_LANES], tolerance);
  }
  for (ptrdiff_t v = 0; v < l.shape.vocabulary; v++) expect_near("seen", v, seen[v], other.chunk.seen[v], 0);
  release_all();
}

// The same losses head by head, two groups of heads, three tiles of which the middle one is looked at.
static void check_heads(const size *s, int carried) {
  const lz_layout l = layout_of(s, 0, 0);
  const float *weights = random_weights(&l), *state = random_floats(l.state, carried ? 1 : 0);
  lz_chunk tiles[3];
  run runs[3], exact = {.out_tiles = 0};
  for (int i = 0; i < 3; i++) {
    uint16_t *signs = words(l.signs);
    fill_words(signs, l.signs);
    run from = {.chunk = {.weights = weights, .signs = signs, .epsilon = 0.1f, .count = s->count, .valid = s->valid}};
    for (int p = 0; p < LZ_LANES; p++) {
      uint32_t *row = tokens(s->count + 1);
      fill_tokens(row, s->count + 1, (uint32_t)s->vocabulary);
      from.rows[p] = row;
    }
    runs[i] = run_like(&l, &from, state);
    runs[i].chunk.tokens = runs[i].rows;
    if (i == 1) exact = run_like(&l, &from, state);
    tiles[i] = runs[i].chunk;
  }
  exact.chunk.tokens = exact.rows;
  const ptrdiff_t part = s->count * 3 * lz_head_logits(&l), middle = s->heads / 2;
  float *logits = floats(2 * part), *room = carried ? NULL : floats(3 * l.stage[0].states * l.stage[0].head * LZ_COLUMNS);
  lz_run_heads(instructions, &l, tiles, 3, middle, s->heads - middle, room, logits + part, floats(l.scratch));
  lz_run_heads(instructions, &l, tiles, 3, 0, middle, room, logits, floats(l.scratch));
  for (int i = 0; i < 3; i++) lz_read_heads(instructions, &l, tiles, 3, i, 2, logits);
  lz_run_chunk(LZ_REFERENCE, &l, &exact.chunk, NULL);
  if (!carried) memcpy(runs[1].chunk.state, exact.chunk.state, sizeof(float) * (size_t)l.state);
  compare(&l, &runs[1], &exact, s);
  release_all();
}

// Σ (p − y)·hᵀ against plain loops, of the middle blocks only.
static void check_gradient(const size *s) {
  const lz_layout l = layout_of(s, 0, 1);
  const ptrdiff_t tiles = 3 * s->count, width = l.input_panels * LZ_PANEL, rows = l.readout_blocks * LZ_BLOCK;
  const ptrdiff_t block = l.readout_blocks / 3, blocks = l.readout_blocks - block;
  const float *delta = random_floats(tiles * l.delta_tile, 1), *input = random_floats(tiles * l.input_tile, 1);
  float *sum = floats(rows * width), *bias = floats(rows * LZ_LANES);
  // What is not begun anew is added to.
  memset(sum, 0, sizeof(float) * (size_t)(rows * width));
  memset(bias, 0xff, sizeof(float) * (size_t)(rows * LZ_LANES));
  for (ptrdiff_t row = block * LZ_BLOCK; row < rows; row++) sum[row * width] = NAN;
  // The last of three tiles, and the first two.
  lz_readout_gradient(instructions, &l, delta + 2 * l.delta_tile, input + 2 * l.input_tile, s->count, 1, 3, block, blocks, 1,
                      sum, bias);
  lz_readout_gradient(instructions, &l, delta, input, s->count, 2, 3, block, blocks, 0, sum, bias);
  const double tolerance = 1e-6 * (double)(tiles * LZ_LANES);
  for (ptrdiff_t row = block * LZ_BLOCK; row < rows; row++) {
    for (ptrdiff_t u = 0; u < width; u++) {
      double expected = 0;
      for (ptrdiff_t k = 0; k < tiles * LZ_LANES; k++)
        expected += (double)delta[k / LZ_LANES * l.delta_tile + row * LZ_LANES + k % LZ_LANES]
                    * (double)input[k / LZ_LANES * l.input_tile + (u / LZ_PANEL * LZ_LANES + k % LZ_LANES) * LZ_PANEL + u % LZ_PANEL];
      expect_near("readout's gradient", row * width + u, sum[row * width + u], expected, tolerance);
    }
    double total = 0, expected = 0;
    for (int p = 0; p < LZ_LANES; p++) {
      total += (double)bias[row * LZ_LANES + p];
      for (ptrdiff_t t = 0; t < tiles; t++) expected += (double)delta[t * l.delta_tile + row * LZ_LANES + p];
    }
    expect_near("bias of the readout's gradient", row, total, expected, tolerance);
  }
  for (ptrdiff_t i = 0; i < block * LZ_BLOCK * width; i++) expect_near("rows before", i, sum[i], 0, 0);
  release_all();
}

// Whether the cell can be all of a layer; parts of blocks read another stage.
static int is_alone(lz_cell cell) { return lz_sizes_of(cell).aside != LZ_OTHER || reads_input(cell); }

// What differs from cell to cell, on every second size.
static void check_other_cells(void) {
  for (cell = 1; cell < LZ_NORM; cell++)
    for (int i = 0; is_alone(cell) && i < COUNT(sizes); i += 2)
      for (int kind = 0; kind < KINDS; kind++) {
        check_chunk(&sizes[i], kind, i / 2 & 1, 0);
        check_tangent(&sizes[i], kind, i / 2 & 1, 0);
        if (kind != NORMAL) check_forward(&sizes[i], kind, i / 2 & 1, 0);
        if (sizes[i].layers == 1 && lz_sizes_of(cell).past == LZ_HEAD) check_heads(&sizes[i], kind & 1);
        if (lz_sizes_of(cell).aside == LZ_NOTHING) check_nodes(&sizes[i], kind & 1, 0);
      }
  cell = 0;
}

static void check_blocks(void) {
  in_blocks = 1;
  for (cell = 0; cell < LZ_NORM; cell++)
    for (int i = 4; is_alone(cell) && i < COUNT(sizes); i += 3)
      for (int kind = 0; kind < KINDS; kind++) {
        check_chunk(&sizes[i], kind, i & 1, 0);
        check_tangent(&sizes[i], kind, i & 1, 0);
        if (kind != NORMAL) check_forward(&sizes[i], kind, i & 1, 0);
      }
  in_blocks = 0, cell = 0;
}

void check_population(void) {
  for (int i = 0; i < COUNT(sizes); i++) check_gradient(&sizes[i]);
  for (int i = 0; i < COUNT(sizes); i++)
    for (int variant = 0; variant < 4 * KINDS; variant++) {
      check_chunk(&sizes[i], variant / 4, variant >> 1 & 1, variant & 1);
      check_tangent(&sizes[i], variant / 4, variant >> 1 & 1, variant & 1);
      if (variant / 4 != NORMAL) check_forward(&sizes[i], variant / 4, variant >> 1 & 1, variant & 1);
    }
  for (int i = 0; i < COUNT(sizes); i++)
    for (int logits = 0; logits < 2; logits++)
      for (int same = 0; same < 2; same++) check_nodes(&sizes[i], logits, same);
  for (int i = 0; i < COUNT(sizes); i++)
    for (int carried = 0; carried < 2 && sizes[i].layers == 1; carried++) check_heads(&sizes[i], carried);
  check_other_cells();
  check_blocks();
}

static void check_one_sequence(int i) {
  const size *s = &sizes[i];
  const int64_t count = 3 + i;
  const lz_layout l = layout_of(s, 0, 0);
  const float *weights = random_weights(&l);
  uint32_t *text_tokens = tokens(count + 1);
  fill_tokens(text_tokens, count + 1, (uint32_t)s->vocabulary);
  const ptrdiff_t states = l.state / LZ_COLUMNS;
  float *fast = random_floats(states, 1), *exact = copy_of(fast, states);
  float *fast_losses = floats(count), *exact_losses = floats(count);
  uint8_t *fast_hits = malloc((size_t)count), *exact_hits = malloc((size_t)count);
  double fast_loss = 0, exact_loss = 0;
  lz_run_sequence(instructions, &l, weights, NULL, fast, text_tokens, count, &fast_loss, i % 2 ? NULL : fast_losses,
                  i % 2 ? NULL : fast_hits, floats(lz_sequence_scratch(&l)));
  lz_run_sequence(LZ_REFERENCE, &l, weights, NULL, exact, text_tokens, count, &exact_loss, exact_losses, exact_hits, NULL);
  const double tolerance = tolerance_of(&l, count);
  expect_near("loss", 0, fast_loss, exact_loss, tolerance * (double)count);
  if (i % 2 == 0) expect_floats("losses", fast_losses, exact_losses, count, tolerance);
  for (int64_t t = 0; i % 2 == 0 && t < count; t++) expect_near("hits", t, fast_hits[t], exact_hits[t], 0);
  free(fast_hits), free(exact_hits);
  for (ptrdiff_t row = 0; row < states; row++)
    if (!is_padding(&l, row)) expect_near("state", row, (double)fast[row], (double)exact[row], tolerance);
  release_all();
}

void check_sequence(void) {
  for (in_blocks = 0; in_blocks < 2; in_blocks++)
    for (cell = 0; cell < LZ_NORM; cell++)
      for (int i = in_blocks ? 4 : 0; is_alone(cell) && i < COUNT(sizes); i++) check_one_sequence(i);
  in_blocks = 0, cell = 0;
}
