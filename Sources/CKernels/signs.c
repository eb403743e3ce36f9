// From sign words to what the update needs: floats for the GEMMs, and sums over pairs by table.
#include "CKernels.h"

void lz_expand_signs(const uint16_t *words, ptrdiff_t tile_stride, ptrdiff_t tiles, ptrdiff_t rows,
                     const float *coefficients, const uint16_t *seen, ptrdiff_t seen_stride, float *out) {
  for (ptrdiff_t row = 0; row < rows; row++)
    for (ptrdiff_t t = 0; t < tiles; t++) {
      const uint32_t word = words[t * tile_stride + row];
      const uint32_t present = seen ? seen[t * seen_stride + row] : 0xffff;
      float *to = out + (row * tiles + t) * LZ_LANES;
      for (int p = 0; p < LZ_LANES; p++) {
        const float magnitude = coefficients ? coefficients[t * LZ_LANES + p] : 1.0f;
        const float value = (word >> p) & 1 ? -magnitude : magnitude;
        to[p] = (present >> p) & 1 ? value : 0.0f;
      }
    }
}

ptrdiff_t lz_sum_signs_scratch(ptrdiff_t tiles) { return tiles * 512; }

void lz_sum_signs_prepare(const float *coefficients, ptrdiff_t tiles, float *scratch) {
  for (ptrdiff_t t = 0; t < tiles; t++)
    for (int half = 0; half < 2; half++)
      for (int bits = 0; bits < 256; bits++) {
        float sum = 0;
        for (int p = 0; p < 8; p++) {
          const float c = coefficients[t * LZ_LANES + half * 8 + p];
          sum += (bits >> p) & 1 ? -c : c;
        }
        scratch[(t * 2 + half) * 256 + bits] = sum;
      }
}

void lz_sum_signs(const uint16_t *words, ptrdiff_t tile_stride, ptrdiff_t tiles, ptrdiff_t count,
                  const float *prepared, float *out) {
  for (ptrdiff_t i = 0; i < count; i++) {
    float sum = 0;
    for (ptrdiff_t t = 0; t < tiles; t++) {
      const uint32_t word = words[t * tile_stride + i];
      sum += prepared[t * 512 + (word & 255)] + prepared[t * 512 + 256 + (word >> 8)];
    }
    out[i] = sum;
  }
}
