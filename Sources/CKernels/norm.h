// The root mean square norm (Zhang and Sennrich 2019, arXiv 1910.07467) of a stage's h: h = x/√(mean x² + 10⁻⁶). It has no gain: all that
// read it are matrices, which have their own.

INLINE vf norm_factor(vf squares, ptrdiff_t units) {
  return splat(1) / __builtin_elementwise_sqrt(squares / splat((float)units) + splat(LZ_NORM_EPSILON));
}

// A tile's columns, [units][32].
static void NAME(norm_columns)(const float *x, ptrdiff_t units, float *h) {
  for (int column = 0; column < LZ_COLUMNS; column += VL) {
    vf squares = splat(0);
    for (ptrdiff_t u = 0; u < units; u++) {
      const vf value = load(x + u * LZ_COLUMNS + column);
      squares += value * value;
    }
    const vf factor = norm_factor(squares, units);
    for (ptrdiff_t u = 0; u < units; u++)
      store(h + u * LZ_COLUMNS + column, load(x + u * LZ_COLUMNS + column) * factor);
  }
}

// The same where the "−" columns are derivatives.
static void NAME(norm_tangents)(const float *x, ptrdiff_t units, float *h) {
  for (int lane = 0; lane < LZ_LANES; lane += VL) {
    vf squares = splat(0), along = splat(0);
    for (ptrdiff_t u = 0; u < units; u++) {
      const vf value = load(x + u * LZ_COLUMNS + lane);
      squares += value * value;
      along += value * load(x + u * LZ_COLUMNS + LZ_LANES + lane);
    }
    const vf factor = norm_factor(squares, units), slope = factor * factor * factor * along / splat((float)units);
    for (ptrdiff_t u = 0; u < units; u++) {
      const ptrdiff_t at = u * LZ_COLUMNS + lane;
      const vf value = load(x + at);
      store(h + at, value * factor);
      store(h + at + LZ_LANES, load(x + at + LZ_LANES) * factor - value * slope);
    }
  }
}

// 1/√(mean x² + 10⁻⁶) of some numbers that lie side by side.
static float NAME(norm_of)(const float *x, ptrdiff_t units) {
  vf squares = splat(0);
  ptrdiff_t u = 0;
  for (; u + VL <= units; u += VL) {
    const vf value = load_any(x + u);
    squares += value * value;
  }
  float sum = 0;
  for (int lane = 0; lane < VL; lane++) sum += squares[lane];
  for (; u < units; u++) sum += x[u] * x[u];
  return norm_factor(splat(sum), units)[0];
}
