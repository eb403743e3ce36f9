// Vector maths for the width VL of the including file. Included by population.h only.

typedef float vf __attribute__((ext_vector_type(VL)));
typedef int32_t vi __attribute__((ext_vector_type(VL)));
typedef uint32_t vu __attribute__((ext_vector_type(VL)));
typedef double vd __attribute__((ext_vector_type(VL)));
typedef float v4 __attribute__((ext_vector_type(4)));

#define INLINE static inline __attribute__((always_inline))

INLINE vf load(const float *p) { return *(const vf *)p; }
INLINE void store(float *p, vf x) { *(vf *)p = x; }
INLINE v4 load4(const float *p) { v4 x; __builtin_memcpy(&x, p, sizeof x); return x; }
INLINE void store4(float *p, v4 x) { __builtin_memcpy(p, &x, sizeof x); }
INLINE vf splat(float x) { return (vf)(x); }
// A NaN in x stays: it must reach the loss, where it is seen.
INLINE vf at_least(vf x, vf low) { return x < low ? low : x; }
INLINE vf at_most(vf x, vf high) { return x > high ? high : x; }

// tanh(x) = x·P(x²)/Q(x²), minimax on |x| ≤ 9 (relative error 2.1e-8 before rounding); tanh(9) rounds to 1.
typedef struct { vf p, q; } ratio;
INLINE ratio tanh_ratio(vf x) {
  x = at_most(at_least(x, splat(-9.0f)), splat(9.0f));
  const vf u = x * x;
  vf p = splat(1.3353411709715601e-08f), q = splat(7.776046686558402e-07f);
  p = p * u + splat(2.060818405880127e-05f);
  q = q * u + splat(0.0003285546263214201f);
  p = p * u + splat(0.0034955344162881374f);
  q = q * u + splat(0.025876779109239578f);
  p = p * u + splat(0.13380980491638184f);
  q = q * u + splat(0.4671429693698883f);
  p = p * u + splat(1.0f);
  q = q * u + splat(1.0f);
  return (ratio){x * p, q};
}
// σ(x) = (1 + tanh(x/2))/2
INLINE ratio sigmoid_ratio(vf x) {
  const ratio t = tanh_ratio(splat(0.5f) * x);
  return (ratio){splat(0.5f) * (t.q + t.p), t.q};
}

// exp(x) for x ≤ 0, relative error 2e-7; below −87 the result is exp(−87). NaN stays: the power of two is a factor, and
// no addition to the bits, which would turn some NaNs into numbers.
INLINE vf exp_negative(vf x) {
  x = at_least(x, splat(-87.0f));
  const vf magic = splat(12583039.0f); // 1.5·2²³ + 127: adding it leaves the nearest integer + 127 in the low bits
  const vf shifted = x * splat(1.44269504f) + magic;
  const vf n = shifted - magic;
  vf r = x - n * splat(0.693359375f);
  r = r - n * splat(-2.12194440e-4f);
  vf p = splat(0.0013814597623422742f);
  p = p * r + splat(0.008368716575205326f);
  p = p * r + splat(0.04166838899254799f);
  p = p * r + splat(0.1666652113199234f);
  p = p * r + splat(0.5f);
  p = p * r + splat(1.0f);
  p = p * r + splat(1.0f);
  return p * __builtin_bit_cast(vf, __builtin_bit_cast(vi, shifted) << 23);
}

// log(x) for normal x ≥ 1: exponent, then 2·atanh((m−1)/(m+1)) of the mantissa by its series. NaN stays.
INLINE vf log_positive(vf x) {
  const vi bits = __builtin_bit_cast(vi, x);
  vi exponent = ((bits - 0x3f3504f3) >> 23); // m in [√½, √2)
  const vf m = __builtin_bit_cast(vf, bits - (exponent << 23));
  const vf s = (m - splat(1.0f)) / (m + splat(1.0f));
  const vf z = s * s;
  vf p = splat(0.22222222f);
  p = p * z + splat(0.28571429f);
  p = p * z + splat(0.4f);
  p = p * z + splat(0.66666667f);
  p = p * z;
  const vf e = __builtin_convertvector(exponent, vf);
  const vf log = e * splat(0.693147181f) + (s * splat(2.0f) + s * p);
  return x == x ? log : x;
}

// x in the lanes whose bit (first + lane) of the word is set, 0 elsewhere; x negated in those lanes.
#if VL == 16 && defined(__x86_64__)
INLINE vf masked(vf x, uint16_t word, int first) {
  (void)first;
  return (vf)_mm512_maskz_mov_ps(word, (__m512)x);
}
INLINE vf subtract_masked(vf a, vf x, uint16_t word, int first) {
  (void)first;
  return (vf)_mm512_mask_sub_ps((__m512)a, word, (__m512)a, (__m512)x);
}
INLINE vf negated(vf x, uint16_t word, int first) {
  (void)first;
  return (vf)_mm512_mask_sub_ps((__m512)x, word, _mm512_setzero_ps(), (__m512)x);
}
#else
INLINE vi lane_masks(uint16_t word, int first) {
  vi shifts;
  for (int i = 0; i < VL; i++) shifts[i] = 31 - i;
  return ((vi)((int32_t)word >> first) << shifts) >> 31;
}
INLINE vf masked(vf x, uint16_t word, int first) {
  return __builtin_bit_cast(vf, __builtin_bit_cast(vi, x) & lane_masks(word, first));
}
INLINE vf subtract_masked(vf a, vf x, uint16_t word, int first) { return a - masked(x, word, first); }
INLINE vf negated(vf x, uint16_t word, int first) {
  const vi sign = lane_masks(word, first) & (vi)(INT32_MIN);
  return __builtin_bit_cast(vf, __builtin_bit_cast(vi, x) ^ sign);
}
#endif

// Four rows of four become their columns.
INLINE void transpose4(v4 rows[4]) {
  const v4 ab0 = __builtin_shufflevector(rows[0], rows[1], 0, 4, 1, 5), ab1 = __builtin_shufflevector(rows[0], rows[1], 2, 6, 3, 7);
  const v4 cd0 = __builtin_shufflevector(rows[2], rows[3], 0, 4, 1, 5), cd1 = __builtin_shufflevector(rows[2], rows[3], 2, 6, 3, 7);
  rows[0] = __builtin_shufflevector(ab0, cd0, 0, 1, 4, 5);
  rows[1] = __builtin_shufflevector(ab0, cd0, 2, 3, 6, 7);
  rows[2] = __builtin_shufflevector(ab1, cd1, 0, 1, 4, 5);
  rows[3] = __builtin_shufflevector(ab1, cd1, 2, 3, 6, 7);
}

// out[j · step + i] = rows[i][j] for `height` rows (a multiple of 4) and `count` columns (likewise).
INLINE void transpose_rows(const float *const *rows, int height, ptrdiff_t count, float *out, ptrdiff_t step) {
  for (ptrdiff_t j = 0; j < count; j += 4) {
    #pragma clang loop unroll(full)
    for (int i = 0; i < height; i += 4) {
      v4 square[4] = {load4(rows[i] + j), load4(rows[i + 1] + j), load4(rows[i + 2] + j), load4(rows[i + 3] + j)};
      transpose4(square);
      for (int k = 0; k < 4; k++) store4(out + (j + k) * step + i, square[k]);
    }
  }
}
