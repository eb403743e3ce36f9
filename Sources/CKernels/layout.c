#include <string.h>

#include "CKernels.h"

static ptrdiff_t round_up(ptrdiff_t n, ptrdiff_t to) { return (n + to - 1) / to * to; }

#define LZ_CELL(name, rows, states, scalars, past, aside)                                                            \
  _Static_assert((rows) == 1 || (rows) == 4 || ((rows) == 3 && (aside) == LZ_LATE) ||                                 \
                   ((rows) == 2 && (past) != LZ_HEAD), "the kernels have no code for such rows of " #name);          \
  _Static_assert((past) == LZ_HEAD || (aside) != LZ_LATE, "a late row needs the own state: " #name);                 \
  _Static_assert((aside) != LZ_LATE || (scalars) == 1, "the bias of a late row is a scalar: " #name);                 \
  _Static_assert((past) != LZ_HEAD || (aside) == LZ_LATE || !(scalars), "exact training has no scalars of " #name);   \
  _Static_assert((scalars) <= LZ_MAX_SCALARS, "too many scalars of " #name);                                         \
  _Static_assert((states) >= 1 && (states) <= LZ_MAX_STATES, "too many states of " #name);
#include "cells/cells.def"
#undef LZ_CELL

static const lz_cell_sizes cells[] = {
  #define LZ_CELL(name, rows, states, scalars, past, aside) {rows, states, scalars, past, aside},
  #include "cells/cells.def"
  #undef LZ_CELL
  {0, 1, 0, LZ_PRESENT, LZ_OTHER},
  {0, 1, 2, LZ_PRESENT, LZ_OTHER},
  {0, 1, 6, LZ_UNIT, LZ_NOTHING},
};

lz_cell_sizes lz_sizes_of(lz_cell cell) { return cells[cell]; }

static lz_stage sizes_of_stage(const lz_shape *s, int index) {
  const lz_stage_shape *shape = &s->stage[index];
  const lz_cell_sizes cell = cells[shape->cell];
  lz_stage g = {.shape = *shape, .rows = cell.rows, .states = cell.states, .scalars = cell.scalars, .own = cell.past == LZ_HEAD,
                .aside = cell.aside, .units = shape->units};
  g.block_units = LZ_BLOCK / (g.rows ? g.rows : 1);
  g.padded = round_up(g.units, g.block_units);
  g.head = g.units / shape->heads;
  if (g.rows) {
    g.head_blocks = (g.head + g.block_units - 1) / g.block_units;
    g.below = shape->below < 0 ? 0 : s->stage[shape->below].units;
    g.second = shape->second < 0 ? 0 : s->stage[shape->second].units;
    g.inputs = g.below + g.second + (g.own ? g.head : 0);
  }
  g.head_gates = g.head_blocks * LZ_BLOCK;
  g.blocks = shape->heads * g.head_blocks;
  g.gates = shape->heads * g.head_gates;
  // Without rows no block is padded; a memory's scalars belong to the elements of a slot.
  g.scalar_count = g.scalars * (g.rows ? g.blocks * g.block_units : shape->cell == LZ_MEMORY ? g.head : g.units);
  g.memory = shape->cell == LZ_MEMORY ? shape->slots * g.head : 0;
  return g;
}

#define TAKE(total, field, count) do { field = total; total += round_up((count), 16); } while (0)

static void place_stages(lz_layout *l, ptrdiff_t rank, ptrdiff_t *w, ptrdiff_t *n) {
  const lz_shape *s = &l->shape;
  const ptrdiff_t dense = s->dense, any = !s->normal;
  ptrdiff_t rows = 0;
  for (int i = 0; i < s->stages; i++) {
    lz_stage *g = &l->stage[i];
    TAKE(*w, g->w_kernel, g->gates * g->inputs);
    TAKE(*w, g->w_bias, i == 0 ? 0 : g->gates);
    TAKE(*w, g->w_scalars, g->scalar_count);
    TAKE(*n, g->s_kernel_row, g->inputs ? rank * g->gates : 0);
    TAKE(*n, g->s_kernel_column, (dense * g->gates + rank * g->shape.heads) * g->inputs);
    TAKE(*n, g->s_bias, any * g->gates);
    TAKE(*n, g->s_scalars, any * g->scalar_count);
    if (s->normal) {
      g->z_kernel = l->entries;
      g->z_bias = g->z_kernel + g->gates * g->inputs;
      g->z_scalars = g->z_bias + g->gates;
      l->entries = g->z_scalars + g->scalar_count;
    }
    g->state = rows;
    rows += g->states * g->padded + g->memory;
  }
  l->state = rows * LZ_COLUMNS;
}

static void place_scratch(lz_layout *l, ptrdiff_t rank, ptrdiff_t rows) {
  const lz_shape *s = &l->shape;
  ptrdiff_t late = 0;
  for (int i = 0; i < s->stages; i++) late |= l->stage[i].aside == LZ_LATE;
  const ptrdiff_t head_rows = round_up(l->head_gates, 32);
  l->scratch = head_rows * LZ_COLUMNS                      // a head's part of the tokens' rows, columns contiguous
               + head_rows / 2                             // their signs
               + l->next                                   // a head's next h
               + (s->dense ? l->widest * LZ_COLUMNS : 0)   // 2εh of a stage's inputs
               + (s->exact_readout && !s->plain ? (rows + l->readout_blocks) * LZ_COLUMNS : 0) // powers of the logits, their references
               + (rank > 1 ? (head_rows + (1 + late) * rank) * LZ_COLUMNS : 0); // sums of directions: what they add to a head's rows, bᵀh
  if (s->normal) l->scratch += l->entries * LZ_LANES + l->gate_stride * (LZ_LANES + LZ_COLUMNS); // all but the table, tokens' rows
  l->memory_scratch = l->scratch;
  for (int i = 0; i < s->stages; i++) {
    const lz_stage *g = &l->stage[i];
    // Keys, and what is erased and added; scores; of each head sums, scores and powers, and the sum of the key of the write.
    const ptrdiff_t floats = ((g->shape.heads + 3) * g->head + g->shape.slots + 3 * g->shape.heads + 1) * LZ_COLUMNS;
    if (g->memory && l->memory_scratch + floats > l->scratch) l->scratch = l->memory_scratch + floats;
  }
  if (s->plain) l->scratch = round_up(l->scratch, 16) + l->gate_stride * LZ_LANES; // at the end, the tokens' rows as a packed table has them
}

void lz_layout_make(const lz_shape *shape, lz_layout *l) {
  memset(l, 0, sizeof *l);
  l->shape = *shape;
  lz_shape *s = &l->shape;
  if (s->rank < 1) s->rank = 1;
  l->top = l->widest = s->stage[s->stages - 1].units;
  for (int i = 0; i < s->stages; i++) {
    const lz_stage g = l->stage[i] = sizes_of_stage(s, i);
    const ptrdiff_t next = g.head_blocks * g.block_units * LZ_COLUMNS;
    if (g.head_gates > l->head_gates) l->head_gates = g.head_gates;
    if (next > l->next) l->next = next;
    if (g.inputs > l->widest) l->widest = g.inputs;
  }
  // Words of products, of signs, and of either.
  const ptrdiff_t rank = s->dense || s->normal || s->nodes ? 0 : s->rank, dense = s->dense, any = !s->normal;
  l->gate_stride = round_up(l->stage[0].gates, 16);
  l->readout_blocks = (s->vocabulary + LZ_BLOCK - 1) / LZ_BLOCK;
  const ptrdiff_t rows = l->readout_blocks * LZ_BLOCK;
  l->delta_tile = rows * LZ_LANES;
  l->input_panels = (l->top + LZ_PANEL - 1) / LZ_PANEL;
  l->input_tile = l->input_panels * LZ_LANES * LZ_PANEL;

  ptrdiff_t w = 0, n = 0;
  TAKE(w, l->w_table, s->plain ? 0 : s->vocabulary * l->gate_stride);
  TAKE(n, l->s_table_row, rank * s->vocabulary);
  TAKE(n, l->s_table_column, (dense * s->vocabulary + rank) * l->gate_stride);
  place_stages(l, rank, &w, &n);
  TAKE(w, l->w_readout, s->plain ? 0 : rows * l->top);
  TAKE(w, l->w_readout_bias, s->plain ? 0 : rows);
  TAKE(n, l->s_readout_row, s->exact_readout ? 0 : rank * rows);
  TAKE(n, l->s_readout_column, s->exact_readout ? 0 : (dense * rows + rank) * l->top);
  TAKE(n, l->s_readout_bias, s->logits ? 2 * rows : s->exact_readout ? 0 : any * rows);
  TAKE(n, l->s_name, s->normal ? LZ_NAME_WORDS : 0);
  l->weights = w + 16; // the vector loads of the last block may read past its end
  l->signs = round_up(n, 32);
  l->z_readout = l->entries;
  l->z_readout_bias = l->z_readout + rows * l->top;
  if (s->normal && !s->exact_readout) l->entries = l->z_readout_bias + rows;
  place_scratch(l, rank, rows);
}

ptrdiff_t lz_head_logits(const lz_layout *l) { return (l->readout_blocks * LZ_BLOCK + 1) * LZ_COLUMNS; }

ptrdiff_t lz_strips(const lz_layout *l) { return (l->readout_blocks + LZ_STRIP - 1) / LZ_STRIP; }

ptrdiff_t lz_strip_scratch(const lz_layout *l, ptrdiff_t samples) {
  const ptrdiff_t rows = LZ_STRIP * LZ_BLOCK;
  return rows * (l->top + 1)                  // weights and biases
         + (rows + LZ_STRIP) * LZ_COLUMNS     // powers of a sample's logits, their references
         + rows * LZ_LANES * samples;         // p − y
}

void lz_fresh_states(const lz_layout *l, ptrdiff_t columns, float *state) {
  memset(state, 0, sizeof(float) * (size_t)(l->state / LZ_COLUMNS * columns));
  if (l->shape.empty_memory) return;
  for (int i = 0; i < l->shape.stages; i++) {
    const lz_stage *g = &l->stage[i];
    float *to = state + (g->state + g->states * g->padded) * columns;
    for (ptrdiff_t row = 0; row < g->memory; row++)
      for (ptrdiff_t column = 0; column < columns; column++) *to++ = lz_memory_start((uint32_t)row);
  }
}

ptrdiff_t lz_memory_room(ptrdiff_t slots, ptrdiff_t width, ptrdiff_t heads) {
  return (heads + 6) * round_up(width, 16) + 2 * round_up(slots, 16) + round_up(heads + 1, 16);
}
