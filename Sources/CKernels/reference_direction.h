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

// Philox 4×32-10 for one counter.
static inline void entry_words(const lz_philox *p, uint32_t index, uint32_t out[4]) {
  uint32_t c0 = index, c1 = p->counter[0], c2 = p->counter[1], c3 = p->counter[2], k0 = p->key[0], k1 = p->key[1];
  for (int round = 0; round < 10; round++, k0 += 0x9E3779B9u, k1 += 0xBB67AE85u) {
    const uint64_t a = (uint64_t)c0 * 0xD2511F53u, b = (uint64_t)c2 * 0xCD9E8D57u;
    c0 = (uint32_t)(b >> 32) ^ c1 ^ k0, c1 = (uint32_t)b;
    c2 = (uint32_t)(a >> 32) ^ c3 ^ k1, c3 = (uint32_t)a;
  }
  out[0] = c0, out[1] = c1, out[2] = c2, out[3] = c3;
}

// Lane `lane` of a normal entry; see normal.h.
static inline double entry_normal(const lz_entries *z, int32_t tensor, ptrdiff_t entry, int lane) {
  const lz_philox philox = lz_named(z->signs + z->l->s_name, tensor);
  uint32_t words[16];
  for (uint32_t i = 0; i < 4; i++) entry_words(&philox, 4 * (uint32_t)entry + i, words + 4 * i);
  const double pi = 3.14159265358979323846;
  const double u = (double)(words[lane % 8] >> 9) * 0x1p-23 + 0x1p-24, radius = sqrt(-2 * log(u));
  const uint32_t word = words[8 + lane % 8];
  const double part = (double)(word >> 7 & 0x7fffff) * 0x1p-23 + 0x1p-24 - 0.5, angle = pi / 2 * (part + (double)(word >> 30));
  return radius * (lane < 8 ? cos(angle) : sin(angle));
}

static inline double kernel_entry(const lz_entries *z, int stage, ptrdiff_t row, ptrdiff_t k) {
  const lz_shape *s = &z->l->shape;
  const lz_stage *g = &z->l->stage[stage];
  if (s->nodes) return 0;
  if (s->normal) return entry_normal(z, lz_kernel_number(stage), entry_packed(row, k, g->inputs), z->pair);
  if (s->dense) return entry_sign(z, g->s_kernel_column + entry_packed(row, k, g->inputs));
  return entry_factored(z, g->s_kernel_row + row, g->gates, g->s_kernel_column + row / g->head_gates * g->inputs + k,
                        g->shape.heads * g->inputs);
}

static inline double bias_entry(const lz_entries *z, int stage, ptrdiff_t row) {
  if (z->l->shape.normal) return entry_normal(z, lz_bias_number(stage), row, z->pair);
  return entry_sign(z, z->l->stage[stage].s_bias + row);
}

static inline double scalar_entry(const lz_entries *z, int stage, ptrdiff_t unit) {
  if (z->l->shape.nodes) return 0;
  if (z->l->shape.normal) return entry_normal(z, lz_scalars_number(z->l, stage), unit, z->pair);
  return entry_sign(z, z->l->stage[stage].s_scalars + unit);
}

static inline double table_entry(const lz_entries *z, uint32_t token, ptrdiff_t row) {
  const lz_layout *l = z->l;
  if (l->shape.nodes) return 0;
  if (l->shape.normal) // an entry has one pair and 16 rows
    return entry_normal(z, 0, ((ptrdiff_t)token * LZ_LANES + z->pair) * (l->gate_stride / LZ_LANES) + row / LZ_LANES,
                        (int)(row % LZ_LANES));
  if (l->shape.dense) return entry_sign(z, l->s_table_column + token * l->gate_stride + row);
  return entry_factored(z, l->s_table_row + token, l->shape.vocabulary, l->s_table_column + row, l->gate_stride);
}

static inline double readout_entry(const lz_entries *z, ptrdiff_t row, ptrdiff_t k) {
  const lz_layout *l = z->l;
  if (l->shape.exact_readout) return 0;
  if (l->shape.normal) return entry_normal(z, lz_readout_number(l), entry_packed(row, k, l->top), z->pair);
  if (l->shape.dense) return entry_sign(z, l->s_readout_column + entry_packed(row, k, l->top));
  return entry_factored(z, l->s_readout_row + row, l->readout_blocks * LZ_BLOCK, l->s_readout_column + k, l->top);
}

static inline double readout_bias_entry(const lz_entries *z, ptrdiff_t row) {
  if (z->l->shape.exact_readout) return 0;
  if (z->l->shape.normal) return entry_normal(z, lz_readout_bias_number(z->l), row, z->pair);
  return entry_sign(z, z->l->s_readout_bias + row);
}

#endif
