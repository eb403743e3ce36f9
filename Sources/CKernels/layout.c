#include "CKernels.h"

static ptrdiff_t round_up(ptrdiff_t n, ptrdiff_t to) { return (n + to - 1) / to * to; }

#define LZ_CELL(name, rows, states, late)                                                                            \
  _Static_assert((rows) == 1 || (rows) == 4 || ((rows) == 3 && (late)), "the kernels have no code for such rows of " #name); \
  _Static_assert((states) >= 1 && (states) <= LZ_MAX_STATES, "too many states of " #name);
#include "cells/cells.def"
#undef LZ_CELL

static const lz_cell_sizes cells[] = {
  #define LZ_CELL(name, rows, states, late) {rows, states, late},
  #include "cells/cells.def"
  #undef LZ_CELL
};

lz_cell_sizes lz_sizes_of(lz_cell cell) { return cells[cell]; }

lz_layout lz_layout_make(lz_shape s) {
  if (s.rank < 1) s.rank = 1;
  lz_layout l = {.shape = s, .rows = cells[s.cell].rows, .states = cells[s.cell].states, .late = cells[s.cell].late};
  l.block_units = LZ_BLOCK / l.rows;
  // Words of products, of signs, and of either.
  const ptrdiff_t rank = s.dense || s.normal || s.nodes ? 0 : s.rank, dense = s.dense, any = !s.normal;
  l.units = round_up(s.hidden, l.block_units);
  l.head = s.hidden / s.heads;
  l.head_blocks = (l.head + l.block_units - 1) / l.block_units;
  l.head_gates = l.head_blocks * LZ_BLOCK;
  l.blocks = s.heads * l.head_blocks;
  l.gates = s.heads * l.head_gates;
  l.gate_stride = round_up(l.gates, 16);
  l.late_units = l.late ? l.blocks * l.block_units : 0;
  l.readout_blocks = (s.vocabulary + LZ_BLOCK - 1) / LZ_BLOCK;
  const ptrdiff_t rows = l.readout_blocks * LZ_BLOCK;
  l.delta_tile = rows * LZ_LANES;
  l.input_panels = (s.hidden + LZ_PANEL - 1) / LZ_PANEL;
  l.input_tile = l.input_panels * LZ_LANES * LZ_PANEL;

  ptrdiff_t w = 0, n = 0;
  #define TAKE(total, field, count) do { l.field = total; total += round_up((count), 16); } while (0)
  TAKE(w, w_table, s.vocabulary * l.gate_stride);
  TAKE(n, s_table_row, rank * s.vocabulary);
  TAKE(n, s_table_column, (dense * s.vocabulary + rank) * l.gate_stride);
  for (int i = 0; i < s.layers; i++) {
    l.inputs[i] = (i == 0 ? 0 : (ptrdiff_t)s.hidden) + l.head;
    TAKE(w, w_kernel[i], l.gates * l.inputs[i]);
    TAKE(w, w_bias[i], i == 0 ? 0 : l.gates);
    TAKE(w, w_late[i], l.late_units);
    TAKE(n, s_kernel_row[i], rank * l.gates);
    TAKE(n, s_kernel_column[i], (dense * l.gates + rank * s.heads) * l.inputs[i]);
    TAKE(n, s_bias[i], any * l.gates);
    TAKE(n, s_late[i], any * l.late_units);
  }
  TAKE(w, w_readout, rows * s.hidden);
  TAKE(w, w_readout_bias, rows);
  TAKE(n, s_readout_row, s.exact_readout ? 0 : rank * rows);
  TAKE(n, s_readout_column, s.exact_readout ? 0 : (dense * rows + rank) * s.hidden);
  TAKE(n, s_readout_bias, s.logits ? 2 * rows : s.exact_readout ? 0 : any * rows);
  TAKE(n, s_name, s.normal ? LZ_NAME_WORDS : 0);
  #undef TAKE
  l.weights = w + 16; // the vector loads of the last block may read past its end
  l.signs = round_up(n, 32);
  for (int i = 0; s.normal && i < s.layers; i++) {
    l.z_kernel[i] = l.entries;
    l.z_bias[i] = l.z_kernel[i] + l.gates * l.inputs[i];
    l.z_late[i] = l.z_bias[i] + l.gates;
    l.entries = l.z_late[i] + l.late_units;
  }
  l.z_readout = l.entries;
  l.z_readout_bias = l.z_readout + rows * s.hidden;
  if (s.normal && !s.exact_readout) l.entries = l.z_readout_bias + rows;
  l.state = s.layers * l.states * l.units * LZ_COLUMNS;
  const ptrdiff_t head_rows = round_up(l.head_gates, 32);
  l.scratch = head_rows * LZ_COLUMNS                      // a head's part of the tokens' rows, columns contiguous
              + head_rows / 2                             // their signs
              + l.head_blocks * l.block_units * LZ_COLUMNS     // a head's next h
              + (s.dense ? 2 * (ptrdiff_t)s.hidden * LZ_COLUMNS : 0) // 2εh of the layer's inputs
              + (s.exact_readout ? (rows + l.readout_blocks) * LZ_COLUMNS : 0) // powers of the logits, their references
              + (rank > 1 ? (head_rows + (1 + l.late) * rank) * LZ_COLUMNS : 0); // sums of directions: what they add to a head's rows, bᵀh
  if (s.normal) l.scratch += l.entries * LZ_LANES + l.gate_stride * (LZ_LANES + LZ_COLUMNS); // all but the table, tokens' rows
  return l;
}

ptrdiff_t lz_head_logits(const lz_layout *l) { return (l->readout_blocks * LZ_BLOCK + 1) * LZ_COLUMNS; }
