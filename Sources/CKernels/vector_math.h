// Vector maths for the width VL of the including file. Included by population.h only.

typedef float vf __attribute__((ext_vector_type(VL)));
typedef int32_t vi __attribute__((ext_vector_type(VL)));
typedef uint32_t vu __attribute__((ext_vector_type(VL)));
typedef double vd __attribute__((ext_vector_type(VL)));
typedef float v4 __attribute__((ext_vector_type(4)));

#define INLINE static inline __attribute__((always_inline))

INLINE vf splat(float x) { return (vf)(x); }
INLINE vf load(const float *p) { return *(const vf *)p; }
INLINE void store(float *p, vf x) { *(vf *)p = x; }
INLINE vf load_any(const float *p) { vf x; __builtin_memcpy(&x, p, sizeof x); return x; }
INLINE void store_any(float *p, vf x) { __builtin_memcpy(p, &x, sizeof x); }
// `lanes` floats, anywhere in memory; the rest is 0, and stays as it is.
INLINE vf load_some(const float *p, ptrdiff_t lanes) {
  vf x = splat(0);
  __builtin_memcpy(&x, p, sizeof(float) * (size_t)lanes);
  return x;
}
INLINE void store_some(float *p, ptrdiff_t lanes, vf x) { __builtin_memcpy(p, &x, sizeof(float) * (size_t)lanes); }
INLINE v4 load4(const float *p) { v4 x; __builtin_memcpy(&x, p, sizeof x); return x; }
INLINE void store4(float *p, v4 x) { __builtin_memcpy(p, &x, sizeof x); }
// A NaN in x stays: it must reach the loss, where it is seen.
INLINE vf at_least(vf x, vf low) { return x < low ? low : x; }
INLINE vf at_most(vf x, vf high) { return x > high ? high : x; }

// tanh(x) = x·P(x²)/Q(x²), minimax on |x| ≤ 9 (relative error 2.1e-8 before rounding); tanh(9) rounds to 1.
//
// p/q = tanh(x·scale)/below: powers of two, which go into the coefficients and cost nothing.
typedef struct { vf p, q; } ratio;
INLINE ratio scaled_tanh_ratio(vf x, const float scale, const float below) {
  x = at_most(at_least(x, splat(-9.0f / scale)), splat(9.0f / scale));
  const float s2 = scale * scale, s4 = s2 * s2;
  const vf u = x * x;
  vf p = splat(1.3353411709715601e-08f * s4 * s4 * scale), q = splat(7.776046686558402e-07f * s4 * s4 * below);
  p = p * u + splat(2.060818405880127e-05f * s4 * s2 * scale);
  q = q * u + splat(0.0003285546263214201f * s4 * s2 * below);
  p = p * u + splat(0.0034955344162881374f * s4 * scale);
  q = q * u + splat(0.025876779109239578f * s4 * below);
  p = p * u + splat(0.13380980491638184f * s2 * scale);
  q = q * u + splat(0.4671429693698883f * s2 * below);
  p = p * u + splat(scale);
  q = q * u + splat(below);
  return (ratio){x * p, q};
}
INLINE ratio tanh_ratio(vf x) { return scaled_tanh_ratio(x, 1, 1); }
// σ(x) = (1 + tanh(x/2))/2
INLINE ratio sigmoid_ratio(vf x) {
  const ratio t = scaled_tanh_ratio(x, 0.5f, 1);
  return (ratio){splat(0.5f) * (t.q + t.p), t.q};
}
// 2σ(x)
INLINE ratio twice_sigmoid_ratio(vf x) {
  const ratio t = scaled_tanh_ratio(x, 0.5f, 1);
  return (ratio){t.q + t.p, t.q};
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

// 2^z, relative error 1.5e-7; NaN stays. Other than AVX-512, at z below −126: 2⁻¹²⁶; above 127: something finite or infinite.
INLINE vf power_of_two(vf z) {
#if VL == 16 && defined(__x86_64__)
  const vf n = (vf)_mm512_roundscale_ps((__m512)z, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
#else
  const vf magic = splat(12583039.0f); // 1.5·2²³ + 127: adding it leaves the nearest integer + 127 in the low bits
  z = at_least(z, splat(-126.0f));
  const vf shifted = z + magic, n = shifted - magic;
#endif
  const vf f = z - n;
  vf p = splat(0.001326472731307149f); // minimax for 2^f on |f| ≤ ½ with p(0) = 1
  p = p * f + splat(0.009671512991189957f);
  p = p * f + splat(0.05550733581185341f);
  p = p * f + splat(0.24022242426872253f);
  p = p * f + splat(0.6931470036506653f);
  p = p * f + splat(1.0f);
#if VL == 16 && defined(__x86_64__)
  return (vf)_mm512_scalef_ps((__m512)p, (__m512)n);
#else
  return p * __builtin_bit_cast(vf, __builtin_bit_cast(vi, shifted) << 23);
#endif
}

// The nearest whole number, for |x| < 2²².
INLINE vf nearest(vf x) {
  const vf magic = splat(12582912.0f);
  return (x + magic) - magic;
}

// log(x) for normal x: exponent, then 2·atanh((m−1)/(m+1)) of the mantissa by its series. NaN stays.
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
// The top bit of each lane is the lane's bit of the word.
INLINE vi lane_signs(uint16_t word, int first) {
  vi shifts;
  for (int i = 0; i < VL; i++) shifts[i] = 31 - i;
  return (vi)((int32_t)word >> first) << shifts;
}
#if VL == 8 && defined(__x86_64__)
INLINE vf masked(vf x, uint16_t word, int first) {
  return (vf)_mm256_blendv_ps(_mm256_setzero_ps(), (__m256)x, (__m256)lane_signs(word, first));
}
#else
INLINE vf masked(vf x, uint16_t word, int first) {
  return __builtin_bit_cast(vf, __builtin_bit_cast(vi, x) & (lane_signs(word, first) >> 31));
}
#endif
INLINE vf subtract_masked(vf a, vf x, uint16_t word, int first) { return a - masked(x, word, first); }
INLINE vf negated(vf x, uint16_t word, int first) {
  const vi sign = lane_signs(word, first) & (vi)(INT32_MIN);
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

// Four columns from `column` of the 16 rows, each as the contiguous lanes of the rows from `lane`.
INLINE void gather4(const float *const *rows, ptrdiff_t column, int lane, vf out[4]) {
#if VL == 4
  for (int i = 0; i < 4; i++) out[i] = load4(rows[lane + i] + column);
  transpose4(out);
#else
  vf z[4];
  (void)lane;
  #pragma clang loop unroll(full)
  for (int i = 0; i < 4; i++) {
#if VL == 16
    const v4 a = load4(rows[i] + column), b = load4(rows[4 + i] + column);
    const v4 c = load4(rows[8 + i] + column), d = load4(rows[12 + i] + column);
    z[i] = __builtin_shufflevector(__builtin_shufflevector(a, b, 0, 1, 2, 3, 4, 5, 6, 7),
                                   __builtin_shufflevector(c, d, 0, 1, 2, 3, 4, 5, 6, 7),
                                   0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
#else
    z[i] = __builtin_shufflevector(load4(rows[lane + i] + column), load4(rows[lane + 4 + i] + column), 0, 1, 2, 3, 4, 5, 6, 7);
#endif
  }
  #if VL == 16
  #define PICK(a, b, i, j, k, l) __builtin_shufflevector(a, b, i, j, k, l, i + 4, j + 4, k + 4, l + 4, \
                                                         i + 8, j + 8, k + 8, l + 8, i + 12, j + 12, k + 12, l + 12)
  #else
  #define PICK(a, b, i, j, k, l) __builtin_shufflevector(a, b, i, j, k, l, i + 4, j + 4, k + 4, l + 4)
  #endif
  const vf ab0 = PICK(z[0], z[1], 0, VL, 1, VL + 1), ab1 = PICK(z[0], z[1], 2, VL + 2, 3, VL + 3);
  const vf cd0 = PICK(z[2], z[3], 0, VL, 1, VL + 1), cd1 = PICK(z[2], z[3], 2, VL + 2, 3, VL + 3);
  out[0] = PICK(ab0, cd0, 0, 1, VL, VL + 1);
  out[1] = PICK(ab0, cd0, 2, 3, VL + 2, VL + 3);
  out[2] = PICK(ab1, cd1, 0, 1, VL, VL + 1);
  out[3] = PICK(ab1, cd1, 2, 3, VL + 2, VL + 3);
  #undef PICK
#endif
}
