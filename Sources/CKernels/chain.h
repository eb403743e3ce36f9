// A stage of exact training whose rows' products with what lies below are on the tape: what is left is element by element. See
// include/sweep.h for the layouts.
//
// `rows` and `scalars` (a unit's) and `aside` are constants wherever they are passed.

// VL units of one stream at one token.
typedef struct {
  const lz_chain *chain;
  ptrdiff_t sample, unit; // the stream's place among all slots', the first unit
} chain_place;

INLINE void chain_scalars(const lz_chain *c, const int scalars, ptrdiff_t unit, vf *to) {
  if (scalars) load_gates(c->scalars, scalars, scalars * unit, scalars * c->hidden, to);
}

// The rows' inputs, those of the tape, or of the token's row of the table, and the bias; then the scalars.
INLINE void chain_rows(const chain_place *p, const int rows, const int scalars, const uint32_t *tokens, vf *a) {
  const lz_chain *c = p->chain;
  const ptrdiff_t first = rows * p->unit, gates = rows * c->hidden;
  vf bias[LZ_MAX_ROWS];
  load_gates(c->bias, rows, first, gates, bias);
  if (tokens) load_gates(c->table + (ptrdiff_t)(*tokens & LZ_ID) * gates, rows, first, gates, a);
  else load_gates(c->rows + p->sample * rows * c->units, rows, first, gates, a);
  for (int r = 0; r < rows; r++) a[r] += bias[r];
  chain_scalars(c, scalars, p->unit, a + rows);
}

INLINE void chain_forward(const lz_chain *c, const int rows, const int scalars, const uint32_t *tokens, ptrdiff_t first,
                          ptrdiff_t count, ptrdiff_t column, ptrdiff_t columns) {
  for (ptrdiff_t slot = first; slot < first + count; slot++)
    for (ptrdiff_t b = column; b < column + columns; b++)
      for (ptrdiff_t u = 0; u < c->units; u += VL) {
        const chain_place p = {c, slot * c->streams + b, u};
        const ptrdiff_t at = p.sample * c->units + u;
        vf a[LZ_MAX_ROWS + LZ_MAX_SCALARS];
        chain_rows(&p, rows, scalars, tokens ? tokens + (slot - first) * c->streams + b : 0, a);
        const vf other = c->other ? load(c->other + at) : splat(0);
        const stream_units result = {
          .rows = a, .asides = &other, .before = c->before + at, .after = c->after + at,
          .others_before = c->others_before + at, .others_after = c->others_after + at, .state_step = c->others_step,
          .kept = c->rows + p.sample * rows * c->units + rows * u, .streams = 1, .units = c->units};
        NAME(cells)[c->cell].streams(&result);
      }
}

// ∂ of the rows on the tape, of the other stage's h, and of the states before.
INLINE void chain_backward(const lz_chain *c, const int rows, const int scalars, const int aside, const int past, ptrdiff_t first,
                           ptrdiff_t count, ptrdiff_t column, ptrdiff_t columns) {
  const int own = rows + (aside == LZ_OTHER); // the scalars
  for (ptrdiff_t slot = first + count - 1; slot >= first; slot--)
    for (ptrdiff_t b = column; b < column + columns; b++)
      for (ptrdiff_t u = 0; u < c->units; u += VL) {
        const ptrdiff_t sample = slot * c->streams + b, at = sample * c->units + u, block = (sample - first * c->streams) * c->units + u;
        float *tape = c->rows + sample * rows * c->units + rows * u, *carried = c->state_adjoint + b * c->units + u;
        vf kept[LZ_MAX_ROWS + 1 + LZ_MAX_SCALARS], da[LZ_MAX_ROWS + 1 + LZ_MAX_SCALARS], direct;
        for (int r = 0; r < rows; r++) kept[r] = load(tape + r * VL);
        kept[rows] = c->other ? load(c->other + at) : splat(0);
        chain_scalars(c, scalars, u, kept + own);
        const vf dh = load(c->adjoint + block);
        const unit_backward unit = {
          .kept = kept, .before = c->before + at, .after = c->after + at, .others_before = c->others_before + at,
          .others_after = c->others_after + at, .state_step = c->others_step, .dh = past ? dh + load(carried) : dh,
          .others = carried + c->streams * c->units, .others_step = c->streams * c->units, .direct = (float *)&direct, .rows = da};
        NAME(cells)[c->cell].backward(&unit);
        store_gates(tape, rows, da);
        if (scalars) store_gates(c->scalar_adjoint + sample * scalars * c->units + scalars * u, scalars, da + own);
        if (past) store(carried, direct);
        if (aside != LZ_OTHER) continue;
        float *to = c->other_adjoint + block;
        store(to, c->adds ? load(to) + da[rows] : da[rows]);
      }
}

// Calls of such a function with a cell's rows and scalars as constants.
#define WITH_SIZES(sizes, call)                                                                                      \
  do {                                                                                                               \
    if ((sizes).rows == 1) call(1, 0);                                                                               \
    else if ((sizes).scalars == 0) call(2, 0);                                                                       \
    else if ((sizes).scalars == 1) call(2, 1);                                                                       \
    else call(2, 2);                                                                                                 \
  } while (0)

void NAME(chain_forward)(const lz_chain *c, const uint32_t *tokens, ptrdiff_t first, ptrdiff_t count, ptrdiff_t column,
                         ptrdiff_t columns) {
  const lz_cell_sizes sizes = lz_sizes_of((lz_cell)c->cell);
  #define FORWARD(rows, scalars) chain_forward(c, rows, scalars, tokens, first, count, column, columns)
  WITH_SIZES(sizes, FORWARD);
  #undef FORWARD
}

void NAME(chain_backward)(const lz_chain *c, ptrdiff_t first, ptrdiff_t count, ptrdiff_t column, ptrdiff_t columns) {
  const lz_cell_sizes sizes = lz_sizes_of((lz_cell)c->cell);
  #define BACKWARD(rows, scalars) chain_backward(c, rows, scalars, sizes.aside, sizes.past, first, count, column, columns)
  WITH_SIZES(sizes, BACKWARD);
  #undef BACKWARD
}
#undef WITH_SIZES

// Norms of `samples` samples of `hidden` of `units` numbers, the rest of which are 0.
void NAME(norm_rows)(const float *x, ptrdiff_t hidden, ptrdiff_t units, ptrdiff_t samples, float *h) {
  for (; samples > 0; samples--, x += units, h += units) {
    const vf factor = splat(NAME(norm_of)(x, hidden));
    for (ptrdiff_t u = 0; u < units; u += VL) store(h + u, load(x + u) * factor);
  }
}

// ∂x from ∂h, added to what is there if `adds`.
void NAME(norm_rows_backward)(const float *x, const float *dh, ptrdiff_t hidden, ptrdiff_t units, ptrdiff_t samples, int adds,
                              float *dx) {
  for (; samples > 0; samples--, x += units, dh += units, dx += units) {
    vf along = splat(0);
    for (ptrdiff_t u = 0; u < units; u += VL) along += load(x + u) * load(dh + u);
    float sum = 0;
    for (int lane = 0; lane < VL; lane++) sum += along[lane];
    const float factor = NAME(norm_of)(x, hidden);
    const vf slope = splat(factor * factor * factor * sum / (float)hidden);
    for (ptrdiff_t u = 0; u < units; u += VL) {
      const vf d = load(dh + u) * splat(factor) - load(x + u) * slope;
      store(dx + u, adds ? load(dx + u) + d : d);
    }
  }
}
