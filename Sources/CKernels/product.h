// The product of a block of packed rows with the columns of a tile: the population step's only heavy part. Included by
// population.h only.

// An experiment, for a build of its own (-DLZ_EMULATE_BF16): weights and states of the products as bf16, sums in float. The
// measurements are in Benchmarks/README.md.
#ifdef LZ_EMULATE_BF16
INLINE float narrow_weight(float x) {
  const uint32_t bits = __builtin_bit_cast(uint32_t, x);
  return __builtin_bit_cast(float, (bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000u); // to the nearest, ties to even
}
INLINE vf narrow_state(vf x) {
  const vu bits = __builtin_bit_cast(vu, x);
  return __builtin_bit_cast(vf, (bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000u);
}
#else
INLINE float narrow_weight(float x) { return x; }
INLINE vf narrow_state(vf x) { return x; }
#endif

typedef struct { const float *rows; ptrdiff_t count; } segment; // part of a layer's input: [count][32]

#define SB 2 // column vectors beside each other: + and −

// SB column vectors of one tile: `at` is the first one's place in a row of 32, the second lies 16 further.
typedef struct {
  int lane, sign; // first pair; 0: from the + columns, 1: from the − columns
  int at;         // sign · 16 + lane
} place;

#define EACH_PLACE(p)                                                                                                 \
  for (int sign_ = 0; sign_ < 2; sign_ += SB)                                                                        \
    for (int lane_ = 0; lane_ < LZ_LANES; lane_ += VL)                                                               \
      for (place p = {lane_, sign_, sign_ * LZ_LANES + lane_}, *once_ = &p; once_; once_ = 0)

// sum += W·(the segments) for `rows` rows, as many as the registers hold.
INLINE void product_slice(const float *w, const int rows, const segment *segments, int parts, place at, vf (*sum)[SB]) {
  vf acc[LZ_BLOCK][SB];
  #pragma clang loop unroll(full)
  for (int r = 0; r < rows; r++)
    for (int s = 0; s < SB; s++) acc[r][s] = sum[r][s];
  for (int part = 0; part < parts; part++) {
    const float *h = segments[part].rows + at.at;
    for (ptrdiff_t k = segments[part].count; k > 0; k--, h += LZ_COLUMNS, w += LZ_BLOCK) {
      __builtin_prefetch(w + 32 * LZ_BLOCK);
      vf x[SB];
      for (int s = 0; s < SB; s++) x[s] = load(h + s * LZ_LANES);
      #pragma clang loop unroll(full)
      for (int r = 0; r < rows; r++) {
        const vf weight = splat(narrow_weight(w[r]));
        for (int s = 0; s < SB; s++) acc[r][s] += weight * x[s];
      }
    }
  }
  #pragma clang loop unroll(full)
  for (int r = 0; r < rows; r++)
    for (int s = 0; s < SB; s++) sum[r][s] = acc[r][s];
}

// acc += W·(the segments) for the first `rows` rows of a packed block. With 16 registers half of a block is all that they hold:
// 6 rows × 2 vectors take 8 loads for 12 multiply-adds, where 12 × 1 take 13.
INLINE void shared_product(const float *w, const int rows, const segment *segments, int parts, place at,
                           vf acc[LZ_BLOCK][SB]) {
  const int slice = VL == 16 || rows <= 6 ? rows : rows / 2;
  #pragma clang loop unroll(full)
  for (int first = 0; first < rows; first += slice) product_slice(w + first, slice, segments, parts, at, acc + first);
}

INLINE void dense_slice(const float *w, const int rows, const uint16_t *signs, const segment *segments, int parts,
                        const float *twice, place at, vf (*sum)[SB]) {
  vf acc[LZ_BLOCK][SB];
  #pragma clang loop unroll(full)
  for (int r = 0; r < rows; r++)
    for (int s = 0; s < SB; s++) acc[r][s] = sum[r][s];
  twice += at.at;
  for (int part = 0; part < parts; part++) {
    const float *h = segments[part].rows + at.at;
    for (ptrdiff_t k = segments[part].count; k > 0;
         k--, h += LZ_COLUMNS, twice += LZ_COLUMNS, w += LZ_BLOCK, signs += LZ_BLOCK) {
      vf x[SB], move[SB];
      for (int s = 0; s < SB; s++) x[s] = load(h + s * LZ_LANES), move[s] = load(twice + s * LZ_LANES);
      #pragma clang loop unroll(full)
      for (int r = 0; r < rows; r++) {
        const vf weight = splat(narrow_weight(w[r]));
        for (int s = 0; s < SB; s++) {
          acc[r][s] += weight * x[s];
          acc[r][s] = subtract_masked(acc[r][s], move[s], signs[r], at.lane);
        }
      }
    }
  }
  #pragma clang loop unroll(full)
  for (int r = 0; r < rows; r++)
    for (int s = 0; s < SB; s++) sum[r][s] = acc[r][s];
}

// acc += W·h and −= 2ε(h where the sign is −1): with the start Σεh this is Σ (w ± ε)h. Products and subtractions run on
// different units, so that the signs cost little where they share a loop.
INLINE void dense_product(const float *w, const int rows, const uint16_t *signs, const segment *segments, int parts,
                          const float *twice, place at, vf acc[LZ_BLOCK][SB]) {
  const int slice = VL == 16 || rows <= 6 ? rows : rows / 2;
  #pragma clang loop unroll(full)
  for (int first = 0; first < rows; first += slice)
    dense_slice(w + first, slice, signs + first, segments, parts, twice, at, acc + first);
}
