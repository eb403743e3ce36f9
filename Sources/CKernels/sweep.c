// Dispatch and packing of the exact baseline's kernels.
#include "CKernels.h"
#include "select.h"

#define DECLARE(suffix)                                                                                              \
  void lz_sweep_forward_##suffix(const lz_sweep *, const uint32_t *, ptrdiff_t, ptrdiff_t, int, ptrdiff_t, ptrdiff_t); \
  void lz_sweep_backward_##suffix(const lz_sweep *, const float *, ptrdiff_t, ptrdiff_t, ptrdiff_t, ptrdiff_t);        \
  void lz_chain_forward_##suffix(const lz_chain *, const uint32_t *, ptrdiff_t, ptrdiff_t, ptrdiff_t, ptrdiff_t);      \
  void lz_chain_backward_##suffix(const lz_chain *, ptrdiff_t, ptrdiff_t, ptrdiff_t, ptrdiff_t);                       \
  void lz_multiply_samples_##suffix(const float *, ptrdiff_t, ptrdiff_t, const float *, ptrdiff_t, ptrdiff_t, int, float *,\
                                    ptrdiff_t);                                                                      \
  void lz_norm_rows_##suffix(const float *, ptrdiff_t, ptrdiff_t, ptrdiff_t, float *);                                 \
  void lz_norm_rows_backward_##suffix(const float *, const float *, ptrdiff_t, ptrdiff_t, ptrdiff_t, int, float *);    \
  void lz_layer_norm_rows_##suffix(const lz_layer_norm_input *, ptrdiff_t, float *);                                    \
  void lz_layer_norm_rows_backward_##suffix(const lz_layer_norm_input *, const float *, ptrdiff_t, float *, ptrdiff_t); \
  void lz_memory_step_##suffix(const lz_memory *, const float *, const float *, float *, float *, float *);             \
  void lz_memory_step_backward_##suffix(const lz_memory *, const float *, const float *, const float *, const float *,  \
                                        float *, float *, float *, float *);                                            \
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

ptrdiff_t lz_sweep_forward_floats(lz_cell cell, ptrdiff_t hidden, ptrdiff_t inputs) {
  return lz_sizes_of(cell).rows * round_up(hidden, 16) * inputs;
}

ptrdiff_t lz_sweep_backward_floats(lz_cell cell, ptrdiff_t hidden, ptrdiff_t inputs) {
  return inputs / hidden * round_up(hidden, 64) * lz_sizes_of(cell).rows * hidden;
}

// A matrix with heads, [GH][skipped + inputs − H + head].
typedef struct {
  const float *w;
  ptrdiff_t hidden, head, inputs, skipped, rows;
} matrix;

// Column k of a row of the matrix without heads.
static float weight(const matrix *m, ptrdiff_t row, ptrdiff_t k) {
  const ptrdiff_t below = m->inputs - m->hidden, own = k - below, first = row / m->rows / m->head * m->head;
  const float *w = m->w + row * (m->skipped + below + m->head) + m->skipped;
  if (own < 0) return w[k];
  return own >= first && own < first + m->head ? w[below + own - first] : 0;
}

// [U / lanes][inputs][G gates][lanes units]
static void pack_forward(const matrix *m, ptrdiff_t lanes, float *forward, ptrdiff_t piece, ptrdiff_t pieces) {
  const ptrdiff_t blocks = round_up(m->hidden, 16) / lanes;
  for (ptrdiff_t block = blocks * piece / pieces; block < blocks * (piece + 1) / pieces; block++)
    for (ptrdiff_t g = 0; g < m->rows; g++)
      for (ptrdiff_t lane = 0; lane < lanes; lane++) {
        const ptrdiff_t u = block * lanes + lane;
        float *to = forward + (block * m->inputs * m->rows + g) * lanes + lane;
        for (ptrdiff_t k = 0; k < m->inputs; k++) to[k * m->rows * lanes] = u < m->hidden ? weight(m, m->rows * u + g, k) : 0;
      }
}

// For each part of H columns: [⌈U / 4 lanes⌉][GH][4 lanes].
static void pack_backward(const matrix *m, ptrdiff_t lanes, float *backward, ptrdiff_t piece, ptrdiff_t pieces) {
  const ptrdiff_t wide = 4 * lanes, of_part = round_up(round_up(m->hidden, 16), wide) / wide, parts = m->inputs / m->hidden;
  const ptrdiff_t groups = parts * of_part, gates = m->rows * m->hidden;
  for (ptrdiff_t group = groups * piece / pieces; group < groups * (piece + 1) / pieces; group++)
    for (ptrdiff_t k = 0; k < gates; k++)
      for (ptrdiff_t j = 0; j < wide; j++) {
        const ptrdiff_t part = group / of_part, unit = group % of_part * wide + j;
        backward[(group * gates + k) * wide + j] = unit < m->hidden ? weight(m, k, part * m->hidden + unit) : 0;
      }
}

void lz_sweep_pack(lz_instructions which, lz_cell cell, ptrdiff_t hidden, ptrdiff_t head, ptrdiff_t inputs, ptrdiff_t skipped,
                   const float *w, float *forward, float *backward, ptrdiff_t piece, ptrdiff_t pieces) {
  const matrix m = {w, hidden, head, inputs, skipped, lz_sizes_of(cell).rows};
  pack_forward(&m, lz_sweep_lanes(which), forward, piece, pieces);
  pack_backward(&m, lz_sweep_lanes(which), backward, piece, pieces);
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

void lz_chain_forward(lz_instructions which, const lz_chain *chain, const uint32_t *tokens, ptrdiff_t first, ptrdiff_t count,
                      ptrdiff_t column, ptrdiff_t columns) {
  #define CALL(suffix) lz_chain_forward_##suffix(chain, tokens, first, count, column, columns)
  SELECT(which, CALL)
  #undef CALL
}

void lz_chain_backward(lz_instructions which, const lz_chain *chain, ptrdiff_t first, ptrdiff_t count, ptrdiff_t column,
                       ptrdiff_t columns) {
  #define CALL(suffix) lz_chain_backward_##suffix(chain, first, count, column, columns)
  SELECT(which, CALL)
  #undef CALL
}

void lz_norm_rows(lz_instructions which, const float *x, ptrdiff_t hidden, ptrdiff_t units, ptrdiff_t samples, float *h) {
  #define CALL(suffix) lz_norm_rows_##suffix(x, hidden, units, samples, h)
  SELECT(which, CALL)
  #undef CALL
}

void lz_norm_rows_backward(lz_instructions which, const float *x, const float *dh, ptrdiff_t hidden, ptrdiff_t units,
                           ptrdiff_t samples, int adds, float *dx) {
  #define CALL(suffix) lz_norm_rows_backward_##suffix(x, dh, hidden, units, samples, adds, dx)
  SELECT(which, CALL)
  #undef CALL
}

// [padded / 2 lanes][terms][2 lanes], the last panel of one vector if that is all that is left.
void lz_pack_product(lz_instructions which, const float *w, ptrdiff_t outputs, ptrdiff_t output_step, ptrdiff_t padded,
                     ptrdiff_t terms, ptrdiff_t term_step, float *packed, ptrdiff_t piece, ptrdiff_t pieces) {
  const ptrdiff_t panel = 2 * lz_sweep_lanes(which), panels = round_up(padded, panel) / panel;
  for (ptrdiff_t p = panels * piece / pieces; p < panels * (piece + 1) / pieces; p++) {
    const ptrdiff_t first = p * panel, width = padded - first < panel ? padded - first : panel;
    float *to = packed + first * terms;
    for (ptrdiff_t i = 0; i < width; i++) {
      const float *from = w + (first + i) * output_step;
      for (ptrdiff_t k = 0; k < terms; k++) to[k * width + i] = first + i < outputs ? from[k * term_step] : 0;
    }
  }
}

void lz_multiply_samples(lz_instructions which, const float *packed, ptrdiff_t padded, ptrdiff_t terms, const float *x,
                         ptrdiff_t x_step, ptrdiff_t samples, int adds, float *out, ptrdiff_t out_step) {
  #define CALL(suffix) lz_multiply_samples_##suffix(packed, padded, terms, x, x_step, samples, adds, out, out_step)
  SELECT(which, CALL)
  #undef CALL
}

void lz_layer_norm_rows(lz_instructions which, const lz_layer_norm_input *input, ptrdiff_t samples, float *h) {
  #define CALL(suffix) lz_layer_norm_rows_##suffix(input, samples, h)
  SELECT(which, CALL)
  #undef CALL
}

void lz_layer_norm_rows_backward(lz_instructions which, const lz_layer_norm_input *input, const float *adjoint, ptrdiff_t samples,
                                 float *scalar_adjoint, ptrdiff_t scalar_stride) {
  #define CALL(suffix) lz_layer_norm_rows_backward_##suffix(input, adjoint, samples, scalar_adjoint, scalar_stride)
  SELECT(which, CALL)
  #undef CALL
}

void lz_memory_step(lz_instructions which, const lz_memory *memory, const float *interface, const float *before, float *after,
                    float *reads, float *room) {
  #define CALL(suffix) lz_memory_step_##suffix(memory, interface, before, after, reads, room)
  SELECT(which, CALL)
  #undef CALL
}

void lz_memory_step_backward(lz_instructions which, const lz_memory *memory, const float *interface, const float *before,
                             const float *after, const float *read_adjoint, float *adjoint, float *interface_adjoint,
                             float *scalar_adjoint, float *room) {
  #define CALL(suffix) lz_memory_step_backward_##suffix(memory, interface, before, after, read_adjoint, adjoint,              \
                                                        interface_adjoint, scalar_adjoint, room)
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
