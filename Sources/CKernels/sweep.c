// Dispatch and packing of the exact baseline's kernels.
#include "CKernels.h"
#include "select.h"

#define DECLARE(suffix)                                                                                              \
  void lz_sweep_forward_##suffix(const lz_sweep *, const uint32_t *, ptrdiff_t, ptrdiff_t, int, ptrdiff_t, ptrdiff_t); \
  void lz_sweep_backward_##suffix(const lz_sweep *, const float *, ptrdiff_t, ptrdiff_t, ptrdiff_t, ptrdiff_t);        \
  double lz_softmax_rows_##suffix(float *, ptrdiff_t, ptrdiff_t, ptrdiff_t, const float *, const uint32_t *, float);   \
  void lz_add_rows_##suffix(const float *, ptrdiff_t, ptrdiff_t, ptrdiff_t, float *, const uint32_t *, float *,        \
                            ptrdiff_t);                                                                              \
  void lz_take_rows_##suffix(float *, ptrdiff_t, ptrdiff_t, ptrdiff_t, const uint32_t *, float *, ptrdiff_t);         \
  double lz_sum_squares_##suffix(const float *, ptrdiff_t);
DECLARE(portable)
#if defined(__x86_64__)
DECLARE(avx2)
DECLARE(avx512)
#endif

static ptrdiff_t round_up(ptrdiff_t n, ptrdiff_t to) { return (n + to - 1) / to * to; }

int lz_sweep_lanes(lz_instructions which) { return which == LZ_AVX512 ? 16 : which == LZ_AVX2 ? 8 : 4; }

ptrdiff_t lz_sweep_forward_floats(ptrdiff_t hidden, ptrdiff_t inputs) { return 4 * round_up(hidden, 16) * inputs; }

ptrdiff_t lz_sweep_backward_floats(ptrdiff_t hidden, ptrdiff_t inputs) {
  return round_up(inputs / hidden * round_up(hidden, 16), 64) * 4 * hidden;
}

// Column k of a row of the matrix without heads.
static float weight(const float *w, ptrdiff_t hidden, ptrdiff_t head, ptrdiff_t inputs, ptrdiff_t row, ptrdiff_t k) {
  const ptrdiff_t below = inputs - hidden, own = k - below, first = row / 4 / head * head;
  w += row * (below + head);
  if (own < 0) return w[k];
  return own >= first && own < first + head ? w[below + own - first] : 0;
}

// forward: [U / lanes][inputs][4 gates][lanes units]. backward: [outputs / 4 lanes][4H][4 lanes], the outputs being the
// columns of w with each part of H of them padded to U.
void lz_sweep_pack(lz_instructions which, ptrdiff_t hidden, ptrdiff_t head, ptrdiff_t inputs, const float *w,
                   float *forward, float *backward, ptrdiff_t piece, ptrdiff_t pieces) {
  const ptrdiff_t lanes = lz_sweep_lanes(which), units = round_up(hidden, 16), blocks = units / lanes;
  for (ptrdiff_t block = blocks * piece / pieces; block < blocks * (piece + 1) / pieces; block++)
    for (ptrdiff_t g = 0; g < 4; g++)
      for (ptrdiff_t lane = 0; lane < lanes; lane++) {
        const ptrdiff_t u = block * lanes + lane;
        float *to = forward + (block * inputs * 4 + g) * lanes + lane;
        for (ptrdiff_t k = 0; k < inputs; k++) to[k * 4 * lanes] = u < hidden ? weight(w, hidden, head, inputs, 4 * u + g, k) : 0;
      }
  const ptrdiff_t wide = 4 * lanes, groups = round_up(inputs / hidden * units, 64) / wide;
  for (ptrdiff_t group = groups * piece / pieces; group < groups * (piece + 1) / pieces; group++)
    for (ptrdiff_t k = 0; k < 4 * hidden; k++)
      for (ptrdiff_t j = 0; j < wide; j++) {
        const ptrdiff_t output = group * wide + j, part = output / units, unit = output % units;
        const int real = part < inputs / hidden && unit < hidden;
        backward[(group * 4 * hidden + k) * wide + j] = real ? weight(w, hidden, head, inputs, k, part * hidden + unit) : 0;
      }
}

void lz_sweep_forward(lz_instructions which, const lz_sweep *sweep, const uint32_t *tokens, ptrdiff_t first,
                      ptrdiff_t count, int keep, ptrdiff_t column, ptrdiff_t columns) {
  #define CALL(suffix) lz_sweep_forward_##suffix(sweep, tokens, first, count, keep, column, columns)
  SELECT(which, CALL)
  #undef CALL
}

void lz_sweep_backward(lz_instructions which, const lz_sweep *sweep, const float *output_adjoint, ptrdiff_t first,
                       ptrdiff_t count, ptrdiff_t column, ptrdiff_t columns) {
  #define CALL(suffix) lz_sweep_backward_##suffix(sweep, output_adjoint, first, count, column, columns)
  SELECT(which, CALL)
  #undef CALL
}

double lz_softmax_rows(lz_instructions which, float *logits, ptrdiff_t stride, ptrdiff_t rows, ptrdiff_t vocabulary,
                       const float *bias, const uint32_t *targets, float scale) {
  #define CALL(suffix) lz_softmax_rows_##suffix(logits, stride, rows, vocabulary, bias, targets, scale)
  SELECT(which, CALL)
  #undef CALL
}

void lz_add_rows(lz_instructions which, const float *from, ptrdiff_t stride, ptrdiff_t rows, ptrdiff_t columns,
                 float *sum, const uint32_t *targets, float *table, ptrdiff_t table_stride) {
  #define CALL(suffix) lz_add_rows_##suffix(from, stride, rows, columns, sum, targets, table, table_stride)
  SELECT(which, CALL)
  #undef CALL
}

void lz_take_rows(lz_instructions which, float *from, ptrdiff_t stride, ptrdiff_t rows, ptrdiff_t columns,
                  const uint32_t *targets, float *table, ptrdiff_t table_stride) {
  #define CALL(suffix) lz_take_rows_##suffix(from, stride, rows, columns, targets, table, table_stride)
  SELECT(which, CALL)
  #undef CALL
}

double lz_sum_squares(lz_instructions which, const float *x, ptrdiff_t count) {
  #define CALL(suffix) lz_sum_squares_##suffix(x, count)
  SELECT(which, CALL)
  #undef CALL
}
