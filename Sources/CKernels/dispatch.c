// Which kernels run: the widest that the processor has, or the one asked for.
#include "CKernels.h"
#include "select.h"

#define DECLARE(suffix)                                                                                              \
  void lz_run_chunk_##suffix(const lz_layout *, const lz_chunk *, float *);                                          \
  void lz_run_pairs_##suffix(const lz_layout *, const lz_chunk *, float *);                                          \
  void lz_run_tangent_##suffix(const lz_layout *, const lz_chunk *, int, float *);                                   \
  void lz_run_forward_##suffix(const lz_layout *, const lz_chunk *, const lz_second *, float *);                     \
  void lz_run_heads_##suffix(const lz_layout *, const lz_chunk *, ptrdiff_t, ptrdiff_t, ptrdiff_t, float *, float *,   \
                             float *);                                                                              \
  void lz_read_heads_##suffix(const lz_layout *, const lz_chunk *, ptrdiff_t, ptrdiff_t, ptrdiff_t, float *);          \
  void lz_run_sequence_##suffix(const lz_layout *, const float *, const lz_plain *, float *, const uint32_t *,       \
                                int64_t, double *, float *, uint8_t *, float *);                                     \
  void lz_readout_gradient_##suffix(const lz_layout *, const float *, const float *, ptrdiff_t, ptrdiff_t, ptrdiff_t,  \
                                    ptrdiff_t, ptrdiff_t, int, float *, float *);                                    \
  void lz_readout_total_##suffix(const lz_layout *, const float *, const float *, ptrdiff_t, ptrdiff_t, float,       \
                                 ptrdiff_t, float *, float *);                                                       \
  void lz_read_samples_##suffix(const lz_layout *, const lz_samples *, ptrdiff_t, ptrdiff_t, ptrdiff_t, double *,     \
                                float *);                                                                            \
  void lz_strip_gradient_##suffix(const lz_layout *, const lz_samples *, ptrdiff_t, ptrdiff_t, ptrdiff_t, int,        \
                                  float *, float *, float *, float *);                                               \
  void lz_expand_signs_##suffix(const uint16_t *, ptrdiff_t, const float *, const uint16_t *, float *, ptrdiff_t);     \
  void lz_sum_signs_##suffix(const uint16_t *, ptrdiff_t, ptrdiff_t, ptrdiff_t, const float *, float *);               \
  void lz_sum_normals_##suffix(const uint16_t *, ptrdiff_t, ptrdiff_t, int32_t, ptrdiff_t, ptrdiff_t, const float *,   \
                               float *);                                                                            \
  void lz_sum_normal_row_##suffix(const lz_layout *, const uint16_t *, ptrdiff_t, ptrdiff_t, uint32_t, const float *,  \
                                  float *);                                                                         \
  void lz_draw_signs_##suffix(const lz_philox *, ptrdiff_t, uint16_t *);                                              \
  void lz_expand_nodes_##suffix(const uint16_t *, ptrdiff_t, const float *, float *, ptrdiff_t);                       \
  void lz_pack_rows_##suffix(const float *, ptrdiff_t, float *);                                                       \
  void lz_sgd_##suffix(const lz_optimizer *, ptrdiff_t, const float *, float *, float *);                            \
  void lz_adam_##suffix(const lz_optimizer *, ptrdiff_t, const float *, float *, float *, float *);                  \
  void lz_descend_##suffix(ptrdiff_t, float, float, const float *, float *);                                          \
  double lz_fma_rounds_##suffix(int64_t);
DECLARE(portable)
#if defined(__x86_64__)
DECLARE(avx2)
DECLARE(avx512)
#endif

void lz_run_chunk_reference(const lz_layout *, const lz_chunk *);
void lz_read_samples_reference(const lz_layout *, const lz_samples *, ptrdiff_t, ptrdiff_t, ptrdiff_t, double *);
void lz_strip_gradient_reference(const lz_layout *, const lz_samples *, ptrdiff_t, ptrdiff_t, ptrdiff_t, int, float *, float *);
void lz_run_tangent_reference(const lz_layout *, const lz_chunk *, int);
void lz_run_sequence_reference(const lz_layout *, const float *, const lz_plain *, float *, const uint32_t *, int64_t, double *,
                               float *, uint8_t *);

int lz_supported(lz_instructions instructions) {
  switch (instructions) {
  case LZ_REFERENCE:
  case LZ_PORTABLE: return 1;
#if defined(__x86_64__)
  case LZ_AVX2: return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  case LZ_AVX512:
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
#endif
  default: return 0;
  }
}

void lz_run_chunk(lz_instructions which, const lz_layout *layout, const lz_chunk *chunk, float *scratch) {
  if (which == LZ_REFERENCE) return lz_run_chunk_reference(layout, chunk);
  if (layout->shape.rank > 1 || layout->shape.normal) {
    #define CALL(suffix) lz_run_pairs_##suffix(layout, chunk, scratch)
    SELECT(which, CALL)
    #undef CALL
  }
  #define CALL(suffix) lz_run_chunk_##suffix(layout, chunk, scratch)
  SELECT(which, CALL)
  #undef CALL
}

void lz_run_tangent(lz_instructions which, const lz_layout *layout, const lz_chunk *chunk, int with_readout, float *scratch) {
  if (which == LZ_REFERENCE) return lz_run_tangent_reference(layout, chunk, with_readout);
  #define CALL(suffix) lz_run_tangent_##suffix(layout, chunk, with_readout, scratch)
  SELECT(which, CALL)
  #undef CALL
}

void lz_run_forward(lz_instructions which, const lz_layout *layout, const lz_chunk *chunk, const lz_second *second,
                    float *scratch) {
  #define CALL(suffix) lz_run_forward_##suffix(layout, chunk, second, scratch)
  SELECT(which, CALL)
  #undef CALL
}

void lz_run_heads(lz_instructions which, const lz_layout *layout, const lz_chunk *tiles, ptrdiff_t count, ptrdiff_t head,
                  ptrdiff_t heads, float *states, float *logits, float *scratch) {
  #define CALL(suffix) lz_run_heads_##suffix(layout, tiles, count, head, heads, states, logits, scratch)
  SELECT(which, CALL)
  #undef CALL
}

void lz_read_heads(lz_instructions which, const lz_layout *layout, const lz_chunk *tiles, ptrdiff_t count, ptrdiff_t tile,
                   ptrdiff_t groups, float *logits) {
  #define CALL(suffix) lz_read_heads_##suffix(layout, tiles, count, tile, groups, logits)
  SELECT(which, CALL)
  #undef CALL
}

ptrdiff_t lz_sequence_scratch(const lz_layout *l) {
  ptrdiff_t room = 0;
  for (int i = 0; i < l->shape.stages; i++) {
    const lz_stage *g = &l->stage[i];
    const ptrdiff_t own = g->memory ? lz_memory_room(g->shape.slots, g->head, g->shape.heads) : 0;
    if (own > room) room = own;
  }
  return 2 * ((l->head_gates + 15) / 16 * 16) + (l->readout_blocks * LZ_BLOCK + 15) / 16 * 16
         + (l->shape.plain ? l->gate_stride : 0) + room;
}

void lz_run_sequence(lz_instructions which, const lz_layout *layout, const float *weights, const lz_plain *plain,
                     float *state, const uint32_t *tokens, int64_t count, double *loss, float *losses, uint8_t *hits,
                     float *scratch) {
  if (which == LZ_REFERENCE) return lz_run_sequence_reference(layout, weights, plain, state, tokens, count, loss, losses, hits);
  #define CALL(suffix) lz_run_sequence_##suffix(layout, weights, plain, state, tokens, count, loss, losses, hits, scratch)
  SELECT(which, CALL)
  #undef CALL
}

void lz_readout_gradient(lz_instructions which, const lz_layout *layout, const float *delta, const float *input,
                         ptrdiff_t tokens, ptrdiff_t tiles, ptrdiff_t token_tiles, ptrdiff_t block, ptrdiff_t blocks,
                         int fresh, float *sum, float *bias) {
  #define CALL(suffix)                                                                                                  \
    lz_readout_gradient_##suffix(layout, delta, input, tokens, tiles, token_tiles, block, blocks, fresh, sum, bias)
  SELECT(which, CALL)
  #undef CALL
}

void lz_readout_total(lz_instructions which, const lz_layout *layout, const float *sums, const float *biases,
                      ptrdiff_t groups, ptrdiff_t rows, float scale, ptrdiff_t row, float *to, float *bias) {
  #define CALL(suffix) lz_readout_total_##suffix(layout, sums, biases, groups, rows, scale, row, to, bias)
  SELECT(which, CALL)
  #undef CALL
}

void lz_read_samples(lz_instructions which, const lz_layout *layout, const lz_samples *samples, ptrdiff_t token, ptrdiff_t tile,
                     ptrdiff_t count, double *loss, float *scratch) {
  if (which == LZ_REFERENCE) return lz_read_samples_reference(layout, samples, token, tile, count, loss);
  #define CALL(suffix) lz_read_samples_##suffix(layout, samples, token, tile, count, loss, scratch)
  SELECT(which, CALL)
  #undef CALL
}

void lz_strip_gradient(lz_instructions which, const lz_layout *layout, const lz_samples *samples, ptrdiff_t strip,
                       ptrdiff_t tile, ptrdiff_t count, int fresh, float *references, float *sum, float *bias, float *scratch) {
  if (which == LZ_REFERENCE)
    return lz_strip_gradient_reference(layout, samples, strip, tile, count, fresh, sum, bias);
  #define CALL(suffix) lz_strip_gradient_##suffix(layout, samples, strip, tile, count, fresh, references, sum, bias, scratch)
  SELECT(which, CALL)
  #undef CALL
}

void lz_sum_normals(lz_instructions which, const uint16_t *names, ptrdiff_t tile_stride, ptrdiff_t tiles, int32_t tensor,
                    ptrdiff_t first, ptrdiff_t count, const float *coefficients, float *out) {
  #define CALL(suffix) lz_sum_normals_##suffix(names, tile_stride, tiles, tensor, first, count, coefficients, out)
  SELECT(which, CALL)
  #undef CALL
}

void lz_sum_normal_row(lz_instructions which, const lz_layout *layout, const uint16_t *names, ptrdiff_t tile_stride,
                       ptrdiff_t tiles, uint32_t token, const float *coefficients, float *out) {
  #define CALL(suffix) lz_sum_normal_row_##suffix(layout, names, tile_stride, tiles, token, coefficients, out)
  SELECT(which, CALL)
  #undef CALL
}

void lz_draw_signs(lz_instructions which, const lz_philox *philox, ptrdiff_t count, uint16_t *words) {
  #define CALL(suffix) lz_draw_signs_##suffix(philox, count, words)
  SELECT(which, CALL)
  #undef CALL
}

void lz_expand_signs(lz_instructions which, const uint16_t *words, ptrdiff_t rows, const float *coefficients,
                     const uint16_t *seen, float *out, ptrdiff_t out_stride) {
  #define CALL(suffix) lz_expand_signs_##suffix(words, rows, coefficients, seen, out, out_stride)
  SELECT(which, CALL)
  #undef CALL
}

void lz_sum_signs(lz_instructions which, const uint16_t *words, ptrdiff_t tile_stride, ptrdiff_t tiles,
                  ptrdiff_t count, const float *coefficients, float *out) {
  #define CALL(suffix) lz_sum_signs_##suffix(words, tile_stride, tiles, count, coefficients, out)
  SELECT(which, CALL)
  #undef CALL
}

void lz_expand_nodes(lz_instructions which, const uint16_t *words, ptrdiff_t count, const float *coefficients, float *out,
                     ptrdiff_t stride) {
  #define CALL(suffix) lz_expand_nodes_##suffix(words, count, coefficients, out, stride)
  SELECT(which, CALL)
  #undef CALL
}

void lz_pack_rows(lz_instructions which, const float *from, ptrdiff_t columns, float *to) {
  #define CALL(suffix) lz_pack_rows_##suffix(from, columns, to)
  SELECT(which, CALL)
  #undef CALL
}

void lz_sgd(lz_instructions which, const lz_optimizer *o, ptrdiff_t count, const float *gradient, float *velocity,
            float *parameters) {
  #define CALL(suffix) lz_sgd_##suffix(o, count, gradient, velocity, parameters)
  SELECT(which, CALL)
  #undef CALL
}

void lz_adam(lz_instructions which, const lz_optimizer *o, ptrdiff_t count, const float *gradient, float *mean,
             float *square, float *parameters) {
  #define CALL(suffix) lz_adam_##suffix(o, count, gradient, mean, square, parameters)
  SELECT(which, CALL)
  #undef CALL
}

void lz_descend(lz_instructions which, ptrdiff_t count, float rate, float keep, const float *gradient, float *weights) {
  #define CALL(suffix) lz_descend_##suffix(count, rate, keep, gradient, weights)
  SELECT(which, CALL)
  #undef CALL
}

double lz_fma_rounds(lz_instructions which, int64_t rounds) {
  #define CALL(suffix) lz_fma_rounds_##suffix(rounds)
  SELECT(which, CALL)
  #undef CALL
}
