// Stages without rows: what they compute of the h of others and of their scalars, for a tile.

#include "norm.h"
#include "layer_norm.h"
#include "memory.h"
#include "memory_stream.h"

// `scalars`: those of the first stage on; `scratch`: as lz_layout says.
static void NAME(step_rowless)(const lz_layout *l, const lz_stage *g, float *state, const tile_scalars *scalars, float *scratch) {
  const lz_stage *other = &l->stage[g->shape.other], *second = g->shape.second < 0 ? 0 : &l->stage[g->shape.second];
  const float *x = state + other->state * LZ_COLUMNS;
  float *h = state + g->state * LZ_COLUMNS;
  if (g->shape.cell == LZ_NORM) return NAME(norm_columns)(x, g->units, h);
  tile_scalars own = *scalars;
  own.weights += g->w_scalars;
  for (int s = 0; s < 2; s++) own.signs[s] += g->s_scalars;
  if (own.entries) own.entries += g->z_scalars * LZ_LANES;
  if (g->shape.cell == LZ_LAYER_NORM) {
    const norm_input in = {{x, second ? state + second->state * LZ_COLUMNS : x}, {other->units, second ? second->units : 0}};
    return NAME(layer_norm_columns)(&in, &own, h);
  }
  const ptrdiff_t heads = g->shape.heads, width = g->head;
  memory_tile m = {.slots = g->shape.slots, .width = width, .heads = heads, .scalars = own};
  m.keys = scratch + l->memory_scratch;
  m.erase = m.keys + (heads + 1) * width * LZ_COLUMNS;
  m.add = m.erase + width * LZ_COLUMNS;
  m.scores = m.add + width * LZ_COLUMNS;
  m.sums = m.scores + m.slots * LZ_COLUMNS;
  m.top = m.sums + (heads + 1) * LZ_COLUMNS;
  m.total = m.top + heads * LZ_COLUMNS;
  NAME(memory_columns)(&m, x, h + g->states * g->padded * LZ_COLUMNS, h);
}
