// The exact readout apart from a tile's step, in double, as its definition reads. For tests.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "CKernels.h"

// Logits [V] of one column of a sample; returns their log-sum-exp.
static double logits_of(const lz_layout *l, const lz_samples *all, ptrdiff_t sample, int column, double *logits) {
  const float *h = all->hidden + sample * l->top * LZ_COLUMNS + column;
  double top = -INFINITY, sum = 0;
  for (ptrdiff_t v = 0; v < l->shape.vocabulary; v++) {
    double x = all->plain.readout_bias[v];
    for (ptrdiff_t k = 0; k < l->top; k++) x += (double)all->plain.readout[v * l->top + k] * h[k * LZ_COLUMNS];
    logits[v] = x, top = fmax(top, x);
  }
  for (ptrdiff_t v = 0; v < l->shape.vocabulary; v++) sum += exp(logits[v] - top);
  return top + log(sum);
}

void lz_read_samples_reference(const lz_layout *l, const lz_samples *all, ptrdiff_t token, ptrdiff_t tile, ptrdiff_t count,
                               double *loss) {
  double *logits = malloc(sizeof(double) * (size_t)l->shape.vocabulary);
  for (; token < all->tokens; token++)
    for (ptrdiff_t j = 0; j < count; j++) {
      const ptrdiff_t i = token * all->token_tiles + tile + j;
      float *input = all->input + i * l->input_tile;
      memset(input, 0, sizeof(float) * (size_t)l->input_tile);
      for (int column = 0; column < LZ_COLUMNS; column++) {
        const int p = column % LZ_LANES;
        const uint32_t target = all->targets[i * LZ_LANES + p];
        if (target & LZ_MARK) continue;
        const double sum = logits_of(l, all, i, column, logits);
        loss[j * LZ_COLUMNS + column] += sum - logits[target];
        for (ptrdiff_t k = 0; k < l->top; k++)
          input[(k / LZ_PANEL * LZ_LANES + p) * LZ_PANEL + k % LZ_PANEL]
            += 0.5f * all->hidden[(i * l->top + k) * LZ_COLUMNS + column];
      }
    }
  free(logits);
}

void lz_strip_gradient_reference(const lz_layout *l, const lz_samples *all, ptrdiff_t strip, ptrdiff_t tile, ptrdiff_t count,
                                 int fresh, float *sum, float *bias) {
  const ptrdiff_t rows = LZ_STRIP * LZ_BLOCK, first = strip * rows, stride = l->input_panels * LZ_PANEL;
  const ptrdiff_t V = l->shape.vocabulary, end = first + rows < V ? first + rows : V;
  double *logits = malloc(sizeof(double) * (size_t)V);
  if (fresh) memset(sum, 0, sizeof(float) * (size_t)(rows * stride)), memset(bias, 0, sizeof(float) * (size_t)(rows * LZ_LANES));
  for (ptrdiff_t token = 0; token < all->tokens; token++)
    for (ptrdiff_t i = token * all->token_tiles + tile, last = i + count; i < last; i++)
      for (int column = 0; column < LZ_COLUMNS; column++) {
        const int p = column % LZ_LANES;
        const uint32_t target = all->targets[i * LZ_LANES + p];
        if (target & LZ_MARK) continue;
        const double normalizer = logits_of(l, all, i, column, logits);
        const float *input = all->input + i * l->input_tile;
        for (ptrdiff_t v = first; v < end; v++) {
          const double d = 0.5 * (exp(logits[v] - normalizer) - (v == (ptrdiff_t)target));
          bias[(v - first) * LZ_LANES + p] += (float)d;
          for (ptrdiff_t k = 0; k < l->top; k++)
            sum[(v - first) * stride + k] += (float)(d * input[(k / LZ_PANEL * LZ_LANES + p) * LZ_PANEL + k % LZ_PANEL]);
        }
      }
  free(logits);
}
