// The directions of one pair, entry by entry, in double, as the definition reads. For the references.
#ifndef REFERENCE_DIRECTION_H
#define REFERENCE_DIRECTION_H

#include <math.h>

#include "CKernels.h"

// One pair of a tile.
typedef struct {
  const lz_layout *l;
  const uint16_t *signs; // of the tile
  int pair;              // bit of the sign words
} lz_entries;

static inline double entry_sign(const lz_entries *z, ptrdiff_t word) { return (z->signs[word] >> z->pair) & 1 ? -1.0 : 1.0; }

// The weight in block order [row / 12][k][12].
static inline ptrdiff_t entry_packed(ptrdiff_t row, ptrdiff_t k, ptrdiff_t inputs) {
  return (row / LZ_BLOCK * inputs + k) * LZ_BLOCK + row % LZ_BLOCK;
}

// Σ a·b over the products of signs, whose words lie so far apart, in units that make the entry's mean square 1.
static inline double entry_factored(const lz_entries *z, ptrdiff_t row, ptrdiff_t row_step, ptrdiff_t column, ptrdiff_t column_step) {
  double sum = 0;
  for (int j = 0; j < z->l->shape.rank; j++) sum += entry_sign(z, row + j * row_step) * entry_sign(z, column + j * column_step);
  return sum / sqrt(z->l->shape.rank);
}

static inline double kernel_entry(const lz_entries *z, int layer, ptrdiff_t row, ptrdiff_t k) {
  const lz_layout *l = z->l;
  const ptrdiff_t inputs = l->inputs[layer], columns = l->s_kernel_column[layer];
  if (l->shape.dense) return entry_sign(z, columns + entry_packed(row, k, inputs));
  return entry_factored(z, l->s_kernel_row[layer] + row, l->gates, columns + row / l->head_gates * inputs + k,
                        l->shape.heads * inputs);
}

static inline double bias_entry(const lz_entries *z, int layer, ptrdiff_t row) { return entry_sign(z, z->l->s_bias[layer] + row); }

static inline double table_entry(const lz_entries *z, uint32_t token, ptrdiff_t row) {
  const lz_layout *l = z->l;
  if (l->shape.dense) return entry_sign(z, l->s_table_column + token * l->gate_stride + row);
  return entry_factored(z, l->s_table_row + token, l->shape.vocabulary, l->s_table_column + row, l->gate_stride);
}

static inline double readout_entry(const lz_entries *z, ptrdiff_t row, ptrdiff_t k) {
  const lz_layout *l = z->l;
  if (l->shape.exact_readout) return 0;
  if (l->shape.dense) return entry_sign(z, l->s_readout_column + entry_packed(row, k, l->shape.hidden));
  return entry_factored(z, l->s_readout_row + row, l->readout_blocks * LZ_BLOCK, l->s_readout_column + k, l->shape.hidden);
}

static inline double readout_bias_entry(const lz_entries *z, ptrdiff_t row) {
  return z->l->shape.exact_readout ? 0 : entry_sign(z, z->l->s_readout_bias + row);
}

#endif
