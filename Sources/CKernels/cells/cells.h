// Every cell's functions on vectors. They take the rows `a` of a unit, after which come its scalars (but not a late row's bias), the aside,
// and the states before:
//
// NAME_step       the population's step
// NAME_forward    the same where the two columns of a lane are no pair of signs; may be the step
// NAME_tangent    values with their derivatives
// NAME_activate   the step of exact training, which also keeps what the way back needs: a vector a row, one more where rows are late
// NAME_backward   ∂ of the rows, and of the states before by other ways than the rows, from ∂ of the states after (`d`). After what was
//                 kept of the rows come the aside and the scalars, and after ∂ of the rows ∂ of those
#ifndef CELLS_H
#define CELLS_H

typedef struct { vf v, d; } dual; // a value and its derivative

INLINE vf tanh_value(vf x) {
  const ratio t = tanh_ratio(x);
  return t.p / t.q;
}

#include "all.h"

// Units of a block at a tile's place, or at a vector of lanes, and the rows of both their columns.
typedef struct {
  vf (*rows)[2];        // [units · G][2]
  vf (*asides)[2];      // [units][2] what late rows have from below
  vf (*scalars)[2];     // [units · K][2]
  const float *other;   // h of the same units of another stage, for cells that read one
  float *h, *next;      // states of the first unit, of the "+" columns; the new h goes to next
  ptrdiff_t state_step; // from one state to the next
  ptrdiff_t units;
} unit_rows;

typedef void (*unit_function)(const vf *a, vf aside, const vf *before, vf *after);
typedef void (*dual_function)(const dual *a, dual aside, const dual *before, dual *after);

INLINE void each_unit(const unit_rows *u, const int rows, const int states, const int scalars, const int aside,
                      const unit_function step) {
  for (ptrdiff_t unit = 0; unit < u->units; unit++)
    #pragma clang loop unroll(full)
    for (int s = 0; s < 2; s++) {
      const ptrdiff_t to = unit * LZ_COLUMNS + s * LZ_LANES;
      vf a[LZ_MAX_ROWS + LZ_MAX_SCALARS], before[LZ_MAX_STATES], after[LZ_MAX_STATES];
      for (int r = 0; r < rows; r++) a[r] = u->rows[rows * unit + r][s];
      for (int i = 0; i < scalars; i++) a[rows + i] = u->scalars[scalars * unit + i][s];
      for (int i = 0; i < states; i++) before[i] = load(u->h + i * u->state_step + to);
      step(a, aside == LZ_OTHER ? load(u->other + to) : u->asides[unit][s], before, after);
      for (int i = 1; i < states; i++) store(u->h + i * u->state_step + to, after[i]);
      store(u->next + to, narrow_state(after[0]));
    }
}

INLINE void each_dual_unit(const unit_rows *u, const int rows, const int states, const int scalars, const int aside,
                           const dual_function tangent) {
  for (ptrdiff_t unit = 0; unit < u->units; unit++) {
    const ptrdiff_t to = unit * LZ_COLUMNS;
    dual a[LZ_MAX_ROWS + LZ_MAX_SCALARS], before[LZ_MAX_STATES], after[LZ_MAX_STATES];
    for (int r = 0; r < rows; r++) a[r] = (dual){u->rows[rows * unit + r][0], u->rows[rows * unit + r][1]};
    for (int i = 0; i < scalars; i++) a[rows + i] = (dual){u->scalars[scalars * unit + i][0], u->scalars[scalars * unit + i][1]};
    for (int i = 0; i < states; i++) {
      const float *from = u->h + i * u->state_step + to;
      before[i] = (dual){load(from), load(from + LZ_LANES)};
    }
    const dual from = aside == LZ_OTHER ? (dual){load(u->other + to), load(u->other + to + LZ_LANES)}
                                        : (dual){u->asides[unit][0], u->asides[unit][1]};
    tangent(a, from, before, after);
    for (int i = 0; i < states; i++) {
      float *out = i ? u->h + i * u->state_step + to : u->next + to;
      store(out, after[i].v);
      store(out + LZ_LANES, after[i].d);
    }
  }
}

// Some streams' units of one vector at one token of exact training.
typedef struct {
  const vf *rows;               // of a stream, [G] and the scalars; those of the next stream are row_step further
  ptrdiff_t row_step;
  const vf *asides;             // likewise
  ptrdiff_t aside_step;
  const float *before;          // h; the other states lie state_step further each, those of the next stream units further
  float *after;
  const float *others_before;   // the first state after h
  float *others_after;
  ptrdiff_t units, state_step;
  float *kept, *late;           // null: nothing is kept. Those of the next stream are G·units further
  int streams;
} stream_units;

INLINE void each_stream(const stream_units *u, const int rows, const int states, const int aside,
                        void (*const activate)(const vf *, vf, const vf *, vf *, vf *)) {
  for (int i = 0; i < u->streams; i++) {
    vf before[LZ_MAX_STATES], after[LZ_MAX_STATES], kept[LZ_MAX_ROWS + 1];
    const ptrdiff_t to = i * u->units;
    before[0] = load(u->before + to);
    for (int s = 1; s < states; s++) before[s] = load(u->others_before + (s - 1) * u->state_step + to);
    activate(u->rows + i * u->row_step, aside ? u->asides[i * u->aside_step] : splat(0), before, after, kept);
    if (u->kept)
      for (int r = 0; r < rows; r++) store(u->kept + rows * to + r * VL, kept[r]);
    if (u->kept && aside == LZ_LATE) store(u->late + rows * to + (rows - 1) * VL, kept[rows]);
    store(u->after + to, after[0]);
    for (int s = 1; s < states; s++) store(u->others_after + (s - 1) * u->state_step + to, after[s]);
  }
}

// One vector of units of one stream on the way back.
typedef struct {
  const vf *kept;          // [G], then the aside if there is one, then the scalars
  const float *before, *others_before, *others_after, *after;
  ptrdiff_t state_step;
  vf dh;
  float *others;           // ∂ of the states after h, at the next token; becomes that at this one
  ptrdiff_t others_step;
  float *direct;           // ∂ of h before by other ways than the rows; null where there are none
  vf *rows;                // [G], then ∂ of those
} unit_backward;

INLINE void one_backward(const unit_backward *u, const int states, const int direct,
                         void (*const backward)(const vf *, const vf *, const vf *, const vf *, vf *, vf *)) {
  vf before[LZ_MAX_STATES], after[LZ_MAX_STATES], d[LZ_MAX_STATES], dbefore[LZ_MAX_STATES];
  before[0] = load(u->before), after[0] = load(u->after), d[0] = u->dh;
  for (int s = 1; s < states; s++) {
    before[s] = load(u->others_before + (s - 1) * u->state_step);
    after[s] = load(u->others_after + (s - 1) * u->state_step);
    d[s] = load(u->others + (s - 1) * u->others_step);
  }
  backward(u->kept, before, after, d, u->rows, dbefore);
  for (int s = 1; s < states; s++) store(u->others + (s - 1) * u->others_step, dbefore[s]);
  if (direct) store(u->direct, dbefore[0]);
}

// A late row's bias is the kernels'.
#define GIVEN(scalars, aside) ((aside) == LZ_LATE ? 0 : (scalars))

// Out of line: products are compiled once for all cells.
#define LZ_CELL(name, rows, states, scalars, past, aside)                                                           \
  __attribute__((noinline)) static void NAME(name##_one)(const vf *a, vf extra, const vf *before, vf *after) {      \
    name##_step(a, extra, before, after);                                                                           \
  }                                                                                                                 \
  __attribute__((noinline)) static void NAME(name##_units)(const unit_rows *u) {                                    \
    each_unit(u, rows, states, GIVEN(scalars, aside), aside, name##_step);                                          \
  }                                                                                                                 \
  __attribute__((noinline)) static void NAME(name##_forward_units)(const unit_rows *u) {                            \
    each_unit(u, rows, states, GIVEN(scalars, aside), aside, name##_forward);                                       \
  }                                                                                                                 \
  __attribute__((noinline)) static void NAME(name##_tangent_units)(const unit_rows *u) {                            \
    each_dual_unit(u, rows, states, GIVEN(scalars, aside), aside, name##_tangent);                                  \
  }                                                                                                                 \
  __attribute__((noinline)) static void NAME(name##_streams)(const stream_units *u) {                               \
    each_stream(u, rows, states, aside, name##_activate);                                                           \
  }                                                                                                                 \
  __attribute__((noinline)) static void NAME(name##_unit_backward)(const unit_backward *u) {                        \
    one_backward(u, states, (aside) == LZ_LATE || (past) == LZ_UNIT, name##_backward);                              \
  }
#include "cells.def"
#undef LZ_CELL

typedef struct {
  unit_function one;
  void (*step)(const unit_rows *), (*forward)(const unit_rows *), (*tangent)(const unit_rows *);
  void (*streams)(const stream_units *);
  void (*backward)(const unit_backward *);
} cell_functions;

static const cell_functions NAME(cells)[] = {
  #define LZ_CELL(name, rows, states, scalars, past, aside)                                                          \
    {NAME(name##_one), NAME(name##_units), NAME(name##_forward_units), NAME(name##_tangent_units),              \
     NAME(name##_streams), NAME(name##_unit_backward)},
  #include "cells.def"
  #undef LZ_CELL
};

// Rows of a unit whose last row is late.
#define LATE_ROWS 3

#endif
