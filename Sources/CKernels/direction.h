// What a direction adds to a product. (W ± εabᵀ)h = Wh ± εa(bᵀh) needs bᵀh once per matrix, and sets the accumulators' start; a
// sign a weight needs Σh and 2εh. Included by population.h only.

#define UNMOVED 2

// What a tile adds to the shared product of one matrix.
typedef struct {
  const uint16_t *row_signs;    // rank-one: a
  const float *twice;           // dense: 2εh, [inputs][32], − columns with −ε
  vf start[SB];                 // rank-one: ±ε bᵀh; dense: ±ε Σh
} direction;

// ε of the + columns, −ε of the − columns.
INLINE float signed_epsilon(float epsilon, place at, int s) { return at.sign + s == 0 ? epsilon : -epsilon; }

// One term of the start of a direction.
INLINE void prepare_row(const uint16_t *column_signs, const int dense, float epsilon, const float *h, ptrdiff_t k, place at,
                        float *twice, vf sum[SB]) {
  for (int s = 0; s < SB; s++) {
    const vf x = load(h + at.at + s * LZ_LANES);
    if (dense) {
      store(twice + k * LZ_COLUMNS + at.at + s * LZ_LANES, splat(2 * signed_epsilon(epsilon, at, s)) * x);
      sum[s] += x;
    } else {
      sum[s] += negated(x, column_signs[k], at.lane);
    }
  }
}

// The start of a matrix's direction at the current input: ±ε bᵀh, or for dense ones 2εh and ±ε Σh. Four sums at a time, so
// that none waits for the one before.
INLINE void prepare(direction *d, const uint16_t *column_signs, const int dense, float epsilon, const segment *segments,
                    int parts, place at, float *twice) {
  vf sum[4][SB];
  for (int i = 0; i < 4; i++)
    for (int s = 0; s < SB; s++) sum[i][s] = splat(0);
  ptrdiff_t k = 0;
  for (int part = 0; part < parts; part++) {
    const float *h = segments[part].rows;
    const ptrdiff_t count = segments[part].count;
    ptrdiff_t i = 0;
    for (; i + 4 <= count; i += 4)
      #pragma clang loop unroll(full)
      for (int j = 0; j < 4; j++)
        prepare_row(column_signs, dense, epsilon, h + (i + j) * LZ_COLUMNS, k + i + j, at, twice, sum[j]);
    for (; i < count; i++) prepare_row(column_signs, dense, epsilon, h + i * LZ_COLUMNS, k + i, at, twice, sum[0]);
    k += count;
  }
  for (int s = 0; s < SB; s++)
    d->start[s] = splat(signed_epsilon(epsilon, at, s)) * ((sum[0][s] + sum[1][s]) + (sum[2][s] + sum[3][s]));
}

// The direction's part of a row's start.
INLINE vf direction_start(const direction *d, const int dense, ptrdiff_t row, place at, int s) {
  if (dense == UNMOVED) return splat(0);
  return dense ? d->start[s] : negated(d->start[s], d->row_signs[row], at.lane);
}
